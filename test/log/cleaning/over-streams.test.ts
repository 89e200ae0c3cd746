/** Proves: over real streams a compacted topic keeps the newest record of each key, for every reader and across restarts. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Offset, Uuid } from "../../../src/base/ids.ts";
import type { Isolation } from "../../../src/log/log.ts";
import { BatchView } from "../../../src/protocol/record-batch.ts";
import { buildBatch, buildMarker, type NewBatch } from "../../../src/protocol/records.ts";
import { recordsOf } from "../../support/stored-log.ts";
import { StreamNode } from "../../support/stream-node.ts";

const day = 86_400_000;

let node: StreamNode;
let topicId: Uuid;

beforeEach(async () => {
  node = new StreamNode();
  await node.start();
  topicId = await node.topic("accounts", {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0",
    "delete.retention.ms": String(day),
  });
});

afterEach(async () => {
  await node.stop();
  expect(node.failures).toEqual([]);
});

type Pair = readonly [key: string, value: string | null];

async function produce(pairs: readonly Pair[], fields: Partial<NewBatch> = {}): Promise<number | string> {
  const timestamp = node.runtime.clock.now();
  const records = pairs.map(([key, value]) => ({
    timestamp,
    key: Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
  }));
  const batch = buildBatch({ records, ...fields });
  const outcome = await node.partition(topicId).append(batch, { origin: "client", apiVersion: 13 });
  return outcome.kind === "appended" ? outcome.baseOffset : outcome.reason;
}

async function upload(): Promise<void> {
  await node.storage.flush();
}

async function clean(): Promise<void> {
  await upload();
  await node.log.clean();
}

/** As a consumer that goes on where it stopped, with small fetches. */
async function read(isolation: Isolation = "read-committed"): Promise<readonly string[]> {
  const partition = node.partition(topicId);
  const found: string[] = [];
  let position = partition.logStart;
  while (position < partition.highWatermark) {
    const answer = await partition.read({ from: position, bytesMax: 1, atLeastOne: true, isolation });
    if (answer.kind !== "batches") throw new Error(answer.kind);
    expect(answer.next).toBeGreaterThan(position); // A consumer always gets further, also where all is gone.
    const aborted = new Set(answer.aborted.map(({ producerId }) => producerId));
    for (const bytes of answer.batches) {
      const batch = new BatchView(bytes);
      if (batch.isControl || (batch.isTransactional && aborted.has(batch.producerId))) continue;
      for (const { offset, key, value } of recordsOf(batch))
        if (offset >= position) found.push(`${offset} ${key}=${value}`);
    }
    position = answer.next;
  }
  return found;
}

describe("a compacted topic", () => {
  test("keeps the newest of each key, at its offset, and what is not uploaded is left alone", async () => {
    await produce([
      ["a", "1"],
      ["b", "1"],
      ["a", "2"],
    ]);
    await upload();
    await produce([
      ["b", "2"],
      ["c", "1"],
    ]);
    await clean();
    await produce([
      ["c", "2"],
      ["c", "3"],
    ]);
    await node.log.clean();
    const expected = ["2 a=2", "3 b=2", "4 c=1", "5 c=2", "6 c=3"];
    expect(await read()).toEqual(expected);
    await node.restart();
    expect(await read()).toEqual(expected);
    expect(node.partition(topicId)).toMatchObject({ logStart: 0, highWatermark: 7 });
    expect(await node.partition(topicId).offsetFor({ kind: "earliest" }, "read-committed")).toMatchObject({
      offset: 0,
    });
  });

  test("loses a tombstone after its horizon, and not before; a consumer gets to the end all the same", async () => {
    await produce([["a", "1"]]);
    await produce([["b", "1"]]);
    await produce([["a", null]]);
    await clean();
    expect(await read()).toEqual(["1 b=1", "2 a=null"]);
    node.aheadMs = day - 60_000;
    await node.log.clean();
    expect(await read()).toEqual(["1 b=1", "2 a=null"]);
    await node.restart(); // The horizon is in the batch, and that there is one in the sidecar or found again.
    node.aheadMs = day + 60_000;
    await clean();
    expect(await read()).toEqual(["1 b=1"]);
    await produce([["b", null]]);
    await clean();
    node.aheadMs = 3 * day;
    await clean();
    expect(await read()).toEqual([]);
    expect(node.partition(topicId).highWatermark).toBe(4);
  });

  test("leaves alone what is clean: the store is written only when something changes", async () => {
    for (const key of ["a", "b", "c"]) {
      await produce([[key, "1"]]);
      await upload();
    }
    const objects = (): readonly string[] => Array.from(node.metadata.image.objects(), ({ key }) => key);
    const before = objects();
    await node.log.clean();
    expect(objects()).toEqual(before);
    await produce([["a", "2"]]);
    await clean();
    const now = new Set(node.metadata.image.ranges(streamOf(), 0 as Offset).map(({ object }) => object));
    expect([...now].filter((key) => before.includes(key))).toHaveLength(2);
    expect(await read()).toEqual(["1 b=1", "2 c=1", "3 a=2"]);
  });

  test("a reader in between sees each record that is left once, in order", async () => {
    for (let round = 0; round < 20; round += 1) {
      await produce([
        ["a", `${round}`],
        [`k${round}`, "x"],
      ]);
      await upload();
    }
    const reading = read();
    await node.log.clean();
    const offsets = (await reading).map((line) => Number(line.split(" ")[0]));
    expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
    expect(offsets.filter((offset) => offset % 2 === 1)).toHaveLength(20); // What was never replaced.
    expect(await read()).toHaveLength(21);
  });

  test("repeats of a producer are known although its records are gone", async () => {
    const producer = { producerId: 7, producerEpoch: 0 };
    expect(
      await produce(
        [
          ["a", "1"],
          ["a", "2"],
        ],
        { ...producer, baseSequence: 0 },
      ),
    ).toBe(0);
    await produce([["a", "3"]]);
    await clean();
    await node.restart();
    expect(await read()).toEqual(["2 a=3"]);
    expect(
      await produce(
        [
          ["a", "1"],
          ["a", "2"],
        ],
        { ...producer, baseSequence: 0 },
      ),
    ).toBe(0);
    expect(await produce([["b", "1"]], { ...producer, baseSequence: 5 })).toBe("out-of-order-sequence");
    expect(await produce([["b", "1"]], { ...producer, baseSequence: 2 })).toBe(3);
  });

  test("an aborted transaction goes, its marker after it, and the next one of its producer stays", async () => {
    const transaction = { producerId: 9, producerEpoch: 0, isTransactional: true };
    const end = async (outcome: "commit" | "abort"): Promise<void> => {
      const marker = buildMarker({ outcome, producerId: 9, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1 });
      await node.partition(topicId).append(marker, { origin: "coordinator", apiVersion: 0 });
    };
    await produce([["a", "aborted"]], { ...transaction, baseSequence: 0 });
    await end("abort");
    await produce([["a", "committed"]], { ...transaction, baseSequence: 1 });
    await end("commit");
    await produce([["b", "1"]]);
    const known = async (): Promise<readonly unknown[]> => {
      const answer = await node.partition(topicId).read({ ...whole, isolation: "read-committed" });
      return answer.kind === "batches" ? answer.aborted : [];
    };
    expect(await known()).toHaveLength(1);
    expect(await read("read-uncommitted")).toEqual(["0 a=aborted", "2 a=committed", "4 b=1"]);
    // The records go; then the marker gets its horizon; then it goes.
    for (const offsets of [
      [1, 2, 3, 4],
      [1, 2, 3, 4],
      [2, 3, 4],
    ]) {
      const offset = await produce([["b", "1"]]);
      await clean();
      expect((await batchOffsets()).slice(0, offsets.length - 1)).toEqual(offsets.slice(0, -1));
      expect(await read()).toEqual(["2 a=committed", `${offset} b=1`]);
      expect(await read("read-uncommitted")).toEqual(await read());
      expect(await known()).toEqual([]);
      node.aheadMs += 2 * day;
      await node.restart();
      expect(await read()).toEqual(["2 a=committed", `${offset} b=1`]);
    }
  });

  test("OffsetForLeaderEpoch and searches by time answer over what is left", async () => {
    const start = node.runtime.clock.now();
    await produce([["a", "1"]]);
    node.aheadMs = 10_000;
    await produce([
      ["b", "1"],
      ["a", "2"],
    ]);
    await clean();
    await node.restart();
    node.aheadMs = 20_000;
    await produce([["c", "1"]]);
    const partition = node.partition(topicId);
    expect(partition.endOfEpoch(0)).toEqual({ epoch: 0, endOffset: 3 });
    const at = (timestamp: number) => partition.offsetFor({ kind: "at-or-after", timestamp }, "read-committed");
    expect(await at(start)).toMatchObject({ offset: 1, leaderEpoch: 0 });
    expect(await at(start + 19_000)).toMatchObject({ offset: 3, leaderEpoch: 1 });
    expect(await partition.offsetFor({ kind: "max-timestamp" }, "read-committed")).toMatchObject({ offset: 3 });
  });
});

const whole = { from: 0 as Offset, bytesMax: 1e6, atLeastOne: true };

async function batchOffsets(): Promise<readonly number[]> {
  const answer = await node.partition(topicId).read({ ...whole, isolation: "read-uncommitted" });
  return answer.kind === "batches" ? answer.batches.map((bytes) => new BatchView(bytes).baseOffset) : [];
}

function streamOf() {
  const [stream] = node.metadata.image.topic(topicId)?.partitions ?? [];
  if (stream === undefined) throw new Error("the topic has a partition");
  return stream;
}
