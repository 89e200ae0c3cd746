/** Proves: a waiting fetch goes on when there are bytes enough, when time is up, when nobody waits any more, and not before. */
import { expect, test } from "vitest";
import type { Offset, Uuid } from "../../src/base/ids.ts";
import { FetchWait, type WaitEnd } from "../../src/log/fetch-wait.ts";
import { LogWorld } from "../support/log-world.ts";

interface Waiting {
  readonly world: LogWorld;
  readonly wait: FetchWait;
  readonly topicId: Uuid;
  readonly ends: WaitEnd[];
  readonly abort: AbortController;
  readonly start: (bytesMin: number) => Promise<void>;
}

async function waiting(fetchesWaitingMax = 10): Promise<Waiting> {
  const world = new LogWorld();
  const topicId = await world.topic("orders", 2);
  const wait = new FetchWait({ clock: world.clock, limits: { fetchesWaitingMax } });
  const ends: WaitEnd[] = [];
  const abort = new AbortController();
  const start = async (bytesMin: number): Promise<void> => {
    const positions = [0, 1].map((index) => ({ partition: world.partition(topicId, index), from: 0 as Offset }));
    const request = {
      positions,
      isolation: "read-uncommitted",
      bytesMin,
      waitMsMax: 500,
      signal: abort.signal,
    } as const;
    ends.push(await wait.wait(request));
  };
  return { world, wait, topicId, ends, abort, start };
}

test("bytes of several partitions count together", async () => {
  const { world, wait, topicId, ends, start } = await waiting();
  const size = world.batch().length;
  const done = start(2 * size + 1);
  await world.fill(topicId, 0, 1);
  await world.fill(topicId, 1, 1);
  expect(ends).toEqual([]);
  await world.fill(topicId, 0, 1);
  await done;
  expect(ends).toEqual(["bytes"]);
  expect(wait.waiting).toBe(0);
});

test("bytes that are there end the wait at once", async () => {
  const { world, topicId, ends, start } = await waiting();
  await world.fill(topicId, 1, 1);
  await start(1);
  expect(ends).toEqual(["bytes"]);
});

test("time ends it", async () => {
  const { world, ends, start } = await waiting();
  const done = start(1);
  world.clock.advance(499);
  expect(ends).toEqual([]);
  world.clock.advance(1);
  await done;
  expect(ends).toEqual(["time"]);
});

test("a connection that goes ends it, and leaves no listener behind", async () => {
  const { world, topicId, ends, abort, start } = await waiting();
  const done = start(1);
  abort.abort();
  await done;
  await world.fill(topicId, 0, 1);
  expect(ends).toEqual(["aborted"]);
});

test("a start that moves past the position, or a topic that is deleted, ends it", async () => {
  const { world, topicId, ends, start } = await waiting();
  await world.fill(topicId, 0, 1);
  const done = start(1_000_000);
  await world.partition(topicId, 0).deleteRecords(1 as Offset);
  await done;
  const again = start(1_000_000); // The position is below the start already.
  await again;
  const { world: other, topicId: otherId, ends: otherEnds, start: otherStart } = await waiting();
  const last = otherStart(1_000_000);
  other.metadata.apply([{ kind: "delete-topic", topicId: otherId }]);
  await last;
  expect([...ends, ...otherEnds]).toEqual(["bytes", "bytes", "bytes"]);
});

test("beyond the bound of waiting fetches there is no waiting", async () => {
  const { world, ends, start } = await waiting(1);
  const first = start(1);
  await start(1);
  expect(ends).toEqual(["crowded"]);
  world.clock.advance(500);
  await first;
  expect(ends).toEqual(["crowded", "time"]);
});
