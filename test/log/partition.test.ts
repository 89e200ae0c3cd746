/** Proves: an ack means durable and in order, a repeat is acknowledged with the first, and reads give whole batches within their bounds. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { OperationFailed } from "../../src/base/errors.ts";
import type { AppendOutcome, Isolation, PartitionReadResult } from "../../src/log/log.ts";
import { BatchView, checkBatch } from "../../src/protocol/record-batch.ts";
import { buildBatch, buildMarker } from "../../src/protocol/records.ts";
import { at, PartitionWorld, records } from "../support/owned-partition.ts";

/** Lets everything that is ready run. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** What has been answered so far: base offset or reason, in the order of the answers. */
function answers(appends: readonly Promise<AppendOutcome>[]): (number | string)[] {
  const seen: (number | string)[] = [];
  for (const append of appends) {
    void append.then(
      (outcome) => seen.push(outcome.kind === "appended" ? outcome.baseOffset : outcome.reason),
      () => seen.push("failed"),
    );
  }
  return seen;
}

function read(
  world: PartitionWorld,
  from: number,
  options: { readonly bytesMax?: number; readonly atLeastOne?: boolean; readonly isolation?: Isolation } = {},
): Promise<PartitionReadResult> {
  return world.partition.read({
    from: at(from),
    bytesMax: 1_000_000,
    atLeastOne: true,
    isolation: "read-uncommitted",
    ...options,
  });
}

function offsets(result: PartitionReadResult): readonly number[] | string {
  return result.kind === "batches" ? result.batches.map((batch) => new BatchView(batch).baseOffset) : result.kind;
}

describe("acknowledgement", () => {
  test("comes when the batch is durable, in order, with the offset", async () => {
    const world = await PartitionWorld.open();
    world.streams.isDurableAtOnce = false;
    const seen = answers([world.append(world.batch(3)), world.append(world.batch(2)), world.append(world.batch(1))]);
    await settle();
    expect(seen).toEqual([]);
    expect(world.partition.highWatermark).toBe(0);
    world.stream.persist(2);
    await settle();
    expect(seen).toEqual([0, 3]);
    expect(world.partition.highWatermark).toBe(5);
    world.stream.persist();
    await settle();
    expect(seen).toEqual([0, 3, 5]);
  });

  test("of a duplicate waits until the first one is durable", async () => {
    const world = await PartitionWorld.open();
    world.streams.isDurableAtOnce = false;
    const batch = world.batch(4, { producerId: 9, producerEpoch: 0, baseSequence: 0 });
    const seen = answers([world.append(batch), world.append(batch)]);
    await settle();
    expect(seen).toEqual([]);
    world.stream.persist();
    await settle();
    expect(seen).toEqual([0, 0]);
    expect(world.partition.highWatermark).toBe(4);
    expect(await world.append(batch)).toMatchObject({ kind: "appended", baseOffset: 0 });
    expect(world.partition.counts.duplicateBatches).toBe(2);
  });

  test("never comes when the storage fails, for duplicates neither, and nothing is taken after", async () => {
    const world = await PartitionWorld.open();
    world.streams.isDurableAtOnce = false;
    const batch = world.batch(1, { producerId: 9, producerEpoch: 0, baseSequence: 0 });
    const appends = [world.append(batch), world.append(batch)];
    world.stream.fail();
    for (const append of appends) await expect(append).rejects.toThrow(OperationFailed);
    await expect(world.append(world.batch())).rejects.toThrow(OperationFailed);
    expect(world.partition.highWatermark).toBe(0);
  });

  test("is not given by a closed partition", async () => {
    const world = await PartitionWorld.open();
    world.partition.close();
    expect(await world.append(world.batch())).toMatchObject({ kind: "rejected", reason: "closed" });
    expect(await read(world, 0)).toEqual({ kind: "closed" });
  });
});

describe("lane", () => {
  test("a large compressed batch keeps its place before a small plain one", async () => {
    const world = await PartitionWorld.open();
    const large = buildBatch({
      compression: "gzip",
      records: [{ timestamp: world.clock.now(), key: null, value: randomBytes(200_000) }],
    });
    const outcomes = await Promise.all([
      world.append(world.batch(1)),
      world.append(large),
      world.append(world.batch(5)),
      world.append(large),
      world.append(world.batch(1)),
    ]);
    expect(outcomes.map((outcome) => outcome.kind === "appended" && outcome.baseOffset)).toEqual([0, 1, 2, 7, 8]);
  });

  test("a plain batch that nobody is ahead of is assigned in the same turn", async () => {
    const world = await PartitionWorld.open();
    world.streams.isDurableAtOnce = false;
    void world.append(world.batch(1));
    world.stream.persist(); // No turn has passed.
    expect(world.stream.end).toBe(1);
  });

  test("waits while the storage backs off, and says busy when too many wait", async () => {
    const world = await PartitionWorld.open({ laneBatchesMax: 2 });
    world.stream.backOff();
    const seen = answers([world.append(world.batch()), world.append(world.batch()), world.append(world.batch())]);
    await settle();
    expect(seen).toEqual(["busy"]);
    world.stream.admit();
    await settle();
    expect(seen).toEqual(["busy", 0, 1]);
  });
});

describe("reading", () => {
  test("an offset inside a batch gives that batch, whole", async () => {
    const world = await PartitionWorld.open();
    await world.append(world.batch(10));
    await world.append(world.batch(10));
    const result = await read(world, 7);
    expect(offsets(result)).toEqual([0, 10]);
    expect(result).toMatchObject({ next: 20, highWatermark: 20, logStart: 0 });
  });

  test("what is stored is what was sent, with offset and leader epoch, the checksum untouched", async () => {
    const world = await PartitionWorld.open();
    await world.append(world.batch(3));
    const sent = world.batch(2);
    await world.append(sent);
    const result = await read(world, 3);
    if (result.kind !== "batches") throw new Error(result.kind);
    const stored = new BatchView(result.batches[0] as Uint8Array);
    expect(checkBatch(stored.bytes)).toBeUndefined();
    expect([stored.baseOffset, stored.leaderEpoch, stored.crc]).toEqual([3, 1, new BatchView(sent).crc]);
    expect(Buffer.compare(stored.bytes.subarray(17), sent.subarray(17))).toBe(0);
  });

  test("the first batch comes whatever its size if at least one is asked for, else none that is too large", async () => {
    const world = await PartitionWorld.open();
    for (let count = 0; count < 3; count += 1) await world.append(world.batch(1));
    const size = world.batch(1).length;
    expect(offsets(await read(world, 0, { bytesMax: 1 }))).toEqual([0]);
    expect(offsets(await read(world, 0, { bytesMax: 1, atLeastOne: false }))).toEqual([]);
    expect(offsets(await read(world, 0, { bytesMax: 2 * size }))).toEqual([0, 1]);
  });

  test("nothing that is not durable is read; the end waits, beyond it is out of range", async () => {
    const world = await PartitionWorld.open();
    await world.append(world.batch(2));
    world.streams.isDurableAtOnce = false;
    void world.append(world.batch(3));
    expect(offsets(await read(world, 0))).toEqual([0]);
    expect(offsets(await read(world, 2))).toEqual([]);
    expect(offsets(await read(world, 5))).toEqual([]); // The assigned end: it may become readable.
    expect(await read(world, 6)).toEqual({ kind: "out-of-range" });
  });

  test("cold bytes are read as cached ones are", async () => {
    const world = await PartitionWorld.open();
    await world.append(world.batch(2));
    world.stream.isCold = true;
    expect(offsets(await read(world, 1))).toEqual([0]);
  });

  test("listeners are called once, at an advance, a moved start, or the close", async () => {
    const world = await PartitionWorld.open();
    let calls = 0;
    const listen = (): Disposable =>
      world.partition.onAdvance(() => {
        calls += 1;
      });
    listen();
    await world.append(world.batch());
    await world.append(world.batch());
    expect(calls).toBe(1);
    listen();
    await world.partition.deleteRecords(at(1));
    expect(calls).toBe(2);
    listen()[Symbol.dispose]();
    listen();
    world.partition.close();
    expect(calls).toBe(3);
  });

  test("the bytes that a waiting fetch could get are known without reading", async () => {
    const world = await PartitionWorld.open();
    await world.append(world.batch(2));
    await world.append(world.batch(2));
    const size = world.batch(2).length;
    expect(world.partition.bytesAvailable(at(0), "read-uncommitted")).toBe(2 * size);
    expect(world.partition.bytesAvailable(at(2), "read-uncommitted")).toBe(size);
    expect(world.partition.bytesAvailable(at(4), "read-uncommitted")).toBe(0);
  });
});

describe("deleting records", () => {
  test("moves the start, also into a batch, which then is still read whole", async () => {
    const world = await PartitionWorld.open();
    await world.append(world.batch(10));
    await world.append(world.batch(10));
    expect(await world.partition.deleteRecords(at(13))).toEqual({ kind: "moved", logStart: 13 });
    expect(await read(world, 12)).toEqual({ kind: "out-of-range" });
    expect(offsets(await read(world, 13))).toEqual([10]);
    expect(await world.partition.deleteRecords(at(5))).toEqual({ kind: "moved", logStart: 13 });
    expect(await world.partition.deleteRecords(at(21))).toEqual({ kind: "out-of-range" });
    expect(await world.partition.deleteRecords("high-watermark")).toEqual({ kind: "moved", logStart: 20 });
    await world.reopen();
    expect([world.partition.logStart, world.partition.highWatermark]).toEqual([20, 20]);
    expect(await world.append(world.batch())).toMatchObject({ baseOffset: 20 });
  });

  test("is told by a read that comes before the mover hears of it, instead of passing over what is gone", async () => {
    const world = await PartitionWorld.open();
    for (let i = 0; i < 3; i += 1) await world.append(world.batch(10));
    const heard = Promise.withResolvers<void>();
    world.streams.trim = async (id, to) => {
      world.streams.stream(id).trim(to);
      await heard.promise;
    };
    world.stream.isCold = true;
    const moving = world.partition.deleteRecords(at(10));
    await settle();
    expect(await read(world, 5)).toEqual({ kind: "out-of-range" });
    expect(offsets(await read(world, 10))).toEqual([10, 20]);
    heard.resolve();
    expect(await moving).toEqual({ kind: "moved", logStart: 10 });
  });

  test("ends as a closed partition when the topic goes meanwhile, and fails only where nobody let go", async () => {
    const refusal = new OperationFailed("trim refused: the stream is gone", { happened: "no" });
    const world = await PartitionWorld.open();
    await world.append(world.batch());
    world.streams.trim = () => Promise.reject(refusal);
    await expect(world.partition.deleteRecords(at(1))).rejects.toBe(refusal);
    world.streams.trim = () => {
      world.partition.close();
      return Promise.reject(refusal);
    };
    expect(await world.partition.deleteRecords(at(1))).toEqual({ kind: "closed" });
    expect(await world.partition.deleteRecords(at(1))).toEqual({ kind: "closed" });
  });

  test("is refused where records only go when newer ones replace them", async () => {
    const world = await PartitionWorld.open({ config: { "cleanup.policy": "compact" } });
    await world.append(world.batch());
    expect(await world.partition.deleteRecords(at(1))).toEqual({ kind: "compacted-only" });
  });
});

describe("transactions", () => {
  const transactional = { producerId: 5, producerEpoch: 0, isTransactional: true };
  const marker = (outcome: "commit" | "abort"): Uint8Array =>
    buildMarker({ outcome, producerId: 5, producerEpoch: 0, coordinatorEpoch: 1, timestamp: 1 });

  test("a read-committed reader sees up to the last stable offset, and which records were aborted", async () => {
    const world = await PartitionWorld.open();
    await world.append(world.batch(2));
    await world.append(world.batch(3, { ...transactional, baseSequence: 0 }));
    await world.append(world.batch(1));
    expect(world.partition.lastStable).toBe(2);
    expect(offsets(await read(world, 0, { isolation: "read-committed" }))).toEqual([0]);
    expect(offsets(await read(world, 0))).toEqual([0, 2, 5]);
    await world.append(marker("abort"), { origin: "coordinator" });
    expect(world.partition.lastStable).toBe(7);
    const all = await read(world, 0, { isolation: "read-committed" });
    expect(offsets(all)).toEqual([0, 2, 5, 6]);
    expect(all).toMatchObject({ aborted: [{ producerId: 5, firstOffset: 2 }] });
    expect(await read(world, 0)).toMatchObject({ aborted: [] });
    await world.append(world.batch(1, { ...transactional, baseSequence: 3 }));
    await world.append(marker("commit"), { origin: "coordinator" });
    expect(await read(world, 7, { isolation: "read-committed" })).toMatchObject({ aborted: [], next: 9 });
  });

  test("a marker that is not durable yet does not show the transaction's records", async () => {
    const world = await PartitionWorld.open();
    await world.append(world.batch(3, { ...transactional, baseSequence: 0 }));
    world.streams.isDurableAtOnce = false;
    void world.append(marker("commit"), { origin: "coordinator" });
    await settle();
    expect(world.partition.lastStable).toBe(0);
    world.stream.persist();
    await settle();
    expect(world.partition.lastStable).toBe(4);
  });

  test("clients cannot write control records", async () => {
    const world = await PartitionWorld.open();
    expect(await world.append(marker("abort"))).toMatchObject({ kind: "rejected", reason: "invalid-record" });
  });
});

describe("retention", () => {
  test("deletes by size and age, not above what is held back", async () => {
    const world = await PartitionWorld.open({ config: { "retention.ms": "1000" } });
    world.stream.batchesPerRange = 1;
    for (let count = 0; count < 4; count += 1) await world.append(world.batch(10));
    world.clock.advance(5000);
    await world.append(world.batch(10));
    const size = world.batch(10).length;
    expect(world.partition.retained.held).toBeUndefined();
    const hold = { upTo: at(20), waits: true };
    expect(await world.partition.retain(world.clock.now(), hold)).toBe(2 * size);
    expect(world.partition.logStart).toBe(20);
    expect(world.partition.retained.held).toEqual({ bytes: 2 * size, overdueMs: expect.any(Number) });
    expect(world.partition.retained.held?.overdueMs).toBeGreaterThan(0);
    const alarm = { upTo: at(25), waits: false };
    expect(await world.partition.retain(world.clock.now(), alarm)).toBe(2 * size);
    expect(world.partition.logStart).toBe(40);
    expect([world.partition.retained.held?.bytes, world.partition.retained.lost]).toEqual([0, 15]);
  });

  test("leaves compacted topics alone", async () => {
    const world = await PartitionWorld.open({ config: { "cleanup.policy": "compact", "retention.ms": "1" } });
    await world.append(buildBatch({ records: records(3, 1000) }));
    expect(await world.partition.retain(world.clock.now(), undefined)).toBe(0);
  });
});

test("the end of an epoch is known across restarts (KIP-320)", async () => {
  const world = await PartitionWorld.open();
  await world.append(world.batch(4));
  await world.reopen();
  await world.append(world.batch(2));
  expect(world.partition.endOfEpoch(1)).toEqual({ epoch: 1, endOffset: 4 });
  expect(world.partition.endOfEpoch(2)).toEqual({ epoch: 2, endOffset: 6 });
  expect(world.partition.endOfEpoch(3)).toBeUndefined();
});
