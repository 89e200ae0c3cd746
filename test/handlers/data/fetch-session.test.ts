/** Proves: fetch sessions are bounded, the idle ones give way, and without room there is none, which is legal (KIP-227). */
import { expect, test } from "vitest";
import { uuidZero } from "../../../src/base/ids.ts";
import { type FetchContext, type FetchedPartition, FetchSessions } from "../../../src/handlers/data/fetch-session.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { seededRandom } from "../../support/seeded.ts";

function partitions(count: number): FetchedPartition[] {
  return Array.from({ length: count }, (_, partition) => ({
    topicId: uuidZero,
    topic: "a",
    partition,
    fetchOffset: 0,
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
    bytesMax: 100,
    toldHighWatermark: -1,
    toldLastStable: -1,
    toldLogStart: -1,
  }));
}

class Cache {
  readonly clock = new ManualClock();
  readonly sessions = new FetchSessions({
    clock: this.clock,
    random: seededRandom(3),
    limits: { sessionsMax: 2, sessionPartitionsMax: 10, sessionIdleMsMin: 1000 },
  });

  ask(sessionId: number, epoch: number, count: number): FetchContext {
    const wanted = { partitions: partitions(count), forgotten: [] };
    return this.sessions.context({ sessionId, epoch, usesTopicIds: false, ...wanted });
  }

  open(count: number): number {
    const context = this.ask(0, 0, count);
    return context.kind === "full" ? context.sessionId : -1;
  }
}

test("without room there is no session; the least recently used gives way once it is idle", () => {
  const cache = new Cache();
  const [first, second] = [cache.open(2), cache.open(2)];
  expect(cache.open(2)).toBe(0);
  cache.clock.advance(1000);
  expect(cache.ask(first, 1, 0).kind).toBe("incremental"); // Used: the second is the older now.
  expect(cache.open(2)).toBeGreaterThan(0);
  expect(cache.sessions.count).toBe(2);
  expect(cache.ask(second, 1, 0)).toEqual({ kind: "refused", reason: "session-not-found" });
  expect(cache.ask(first, 2, 0).kind).toBe("incremental");
});

test("partitions are bounded over all sessions, also when a session grows", () => {
  const cache = new Cache();
  expect(cache.open(11)).toBe(0);
  const id = cache.open(6);
  expect(cache.open(5)).toBe(0);
  expect(cache.ask(id, 1, 11)).toEqual({ kind: "refused", reason: "session-not-found" });
  expect(cache.open(10)).toBeGreaterThan(0); // What it held was given back.
});

test("a session without partitions ends", () => {
  const cache = new Cache();
  const sessionId = cache.open(1);
  const forgotten = [{ topicId: uuidZero, topic: "a", partition: 0 }];
  const context = cache.sessions.context({ sessionId, epoch: 1, usesTopicIds: false, partitions: [], forgotten });
  expect(context).toMatchObject({ kind: "full", sessionId: 0 });
  expect(cache.ask(sessionId, 2, 0).kind).toBe("refused");
});

test("a session may begin without partitions", () => {
  const cache = new Cache();
  const sessionId = cache.open(0);
  expect(sessionId).toBeGreaterThan(0);
  expect(cache.ask(sessionId, 1, 1)).toMatchObject({ kind: "incremental", sessionId });
});

test("a new full request replaces the client's session", () => {
  const cache = new Cache();
  const id = cache.open(1);
  expect(cache.ask(id, 0, 1)).toMatchObject({ kind: "full" });
  expect(cache.sessions.count).toBe(1);
});
