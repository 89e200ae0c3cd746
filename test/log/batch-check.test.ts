/** Proves: each check of kafka.md 5.1 refuses with its reason, in Kafka's order, and what can be repaired is repaired. */
import { describe, expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import type { AppendOutcome } from "../../src/log/log.ts";
import { inflate } from "../../src/protocol/compression.ts";
import { BatchView, checkBatch, compressions } from "../../src/protocol/record-batch.ts";
import { buildBatch, RecordCursor } from "../../src/protocol/records.ts";
import { at, PartitionWorld, records } from "../support/owned-partition.ts";

/** One batch with bytes replaced and, unless said otherwise, the checksum made right again. */
function changed(
  batch: Uint8Array,
  position: number,
  bytes: readonly number[],
  options = { isSealed: true },
): Uint8Array {
  const copy = Uint8Array.from(batch);
  copy.set(bytes, position);
  if (options.isSealed) new DataView(copy.buffer).setUint32(17, new BatchView(copy).computedCrc);
  return copy;
}

async function outcomeOf(
  make: (world: PartitionWorld) => Uint8Array,
  options: { readonly config?: Readonly<Record<string, string>>; readonly apiVersion?: number } = {},
): Promise<string> {
  const world = await PartitionWorld.open(options.config === undefined ? {} : { config: options.config });
  const outcome = await world.append(make(world), { apiVersion: options.apiVersion ?? 13 });
  return outcome.kind === "rejected" ? outcome.reason : outcome.kind;
}

async function storedBatch(world: PartitionWorld, from = 0): Promise<BatchView> {
  const read = await world.partition.read({
    from: at(from),
    bytesMax: 1e6,
    atLeastOne: true,
    isolation: "read-uncommitted",
  });
  if (read.kind !== "batches") throw new Error(read.kind);
  return new BatchView(read.batches[0] as Uint8Array);
}

const hour = 3_600_000;

describe("a batch is refused", () => {
  test.each<[string, (world: PartitionWorld) => Uint8Array, string]>([
    ["that is no batch", () => new Uint8Array(20), "invalid-record"],
    ["that is empty", () => new Uint8Array(0), "invalid-record"],
    ["of an older magic", (world) => changed(world.batch(), 16, [1]), "invalid-record"],
    ["that is two", (world) => joined([world.batch(), world.batch()]), "invalid-record"],
    ["that is cut", (world) => world.batch().subarray(0, 70), "invalid-record"],
    ["whose base offset is not 0", (world) => world.batch(1, { baseOffset: at(5) }), "invalid-record"],
    ["whose checksum is wrong", (world) => changed(world.batch(), 62, [9], { isSealed: false }), "corrupt-message"],
    ["of an unknown compression", (world) => changed(world.batch(), 22, [5]), "invalid-record"],
    [
      "of lz4 whose blocks may refer to each other",
      (world) => changed(world.batch(9, { compression: "lz4" }), 61 + 4, [0x40, 0x40, 0xc0]),
      "invalid-record",
    ],
    ["without records", () => buildBatch({ records: [], lastOffsetDelta: 0 }), "invalid-record"],
    ["whose count is not its offsets", (world) => changed(world.batch(3), 26, [7]), "invalid-record"],
    ["that says control", (world) => world.batch(1, { isControl: true }), "invalid-record"],
    [
      "of a producer without sequence",
      (world) => world.batch(1, { producerId: 4, producerEpoch: 0 }),
      "invalid-record",
    ],
    ["that claims append time", (world) => world.batch(1, { timestampType: "append" }), "invalid-timestamp"],
    [
      "from the future",
      (world) => buildBatch({ records: records(1, world.clock.now() + 2 * hour) }),
      "invalid-timestamp",
    ],
    ["with nanoseconds for milliseconds", () => buildBatch({ records: records(1, 2 ** 53 - 10) }), "invalid-timestamp"],
    ["with fewer records than announced", (world) => shortOf(world.batch(2)), "invalid-record"],
    [
      "that does not inflate",
      (world) => changed(world.batch(9, { compression: "gzip" }), 75, [1, 2, 3]),
      "invalid-record",
    ],
  ])("%s", async (_name, make, reason) => {
    expect(await outcomeOf(make)).toBe(reason);
  });

  /** The header's count says two, the bytes hold one. */
  function shortOf(two: Uint8Array): Uint8Array {
    const firstRecordBytes = 1 + (two[61] as number) / 2; // Its length as a zigzag varint of one byte.
    const one = Uint8Array.from(two.subarray(0, 61 + firstRecordBytes));
    new DataView(one.buffer).setInt32(8, one.length - 12);
    return changed(one, 61, [two[61] as number]);
  }

  test("that is larger than the topic allows, before its checksum is looked at", async () => {
    const make = (world: PartitionWorld): Uint8Array => changed(world.batch(50), 62, [9], { isSealed: false });
    expect(await outcomeOf(make, { config: { "max.message.bytes": "500" } })).toBe("message-too-large");
  });

  test("of zstd by an old client, and taken from a newer one", async () => {
    const make = (world: PartitionWorld): Uint8Array => world.batch(3, { compression: "zstd" });
    expect(await outcomeOf(make, { apiVersion: 6 })).toBe("unsupported-compression");
    expect(await outcomeOf(make, { apiVersion: 7 })).toBe("appended");
  });

  test("with a record that is too old for the topic; a record without a timestamp passes", async () => {
    const config = { "message.timestamp.before.max.ms": "1000" };
    const old = (world: PartitionWorld): Uint8Array => buildBatch({ records: records(1, world.clock.now() - 5000) });
    expect(await outcomeOf(old, { config })).toBe("invalid-timestamp");
    expect(await outcomeOf(() => buildBatch({ records: records(1, -1) }), { config })).toBe("appended");
  });
});

test("every record without a key is named where the topic is compacted, the first three with a reason", async () => {
  const world = await PartitionWorld.open({ config: { "cleanup.policy": "compact,delete" } });
  const keyed = records(6, world.clock.now());
  const batch = buildBatch({ records: keyed.map((record, index) => (index > 1 ? { ...record, key: null } : record)) });
  const outcome = (await world.append(batch)) as AppendOutcome & { readonly kind: "rejected" };
  expect(outcome.reason).toBe("invalid-record");
  expect(outcome.badRecords?.map((bad) => bad.index)).toEqual([2, 3, 4, 5]);
  expect(outcome.detail).toMatch(/^4 records were refused.*record 2: .*record 3: .*record 4: [^:]*$/);
});

describe("what the broker writes", () => {
  test.each(compressions)("a batch compressed with %s is looked into and kept as it is", async (compression) => {
    const world = await PartitionWorld.open();
    const sent = world.batch(20, { compression });
    await world.append(sent);
    const stored = await storedBatch(world);
    expect(Buffer.compare(stored.bytes.subarray(17), sent.subarray(17))).toBe(0);
  });

  test("append time goes over the client's, into the header alone", async () => {
    const world = await PartitionWorld.open({ config: { "message.timestamp.type": "LogAppendTime" } });
    world.clock.advance(777);
    const batch = buildBatch({
      records: records(2, 5),
      producerId: 3,
      producerEpoch: 0,
      baseSequence: 0,
    });
    const now = world.clock.now();
    expect(await world.append(batch)).toMatchObject({ appendTimestamp: now });
    const stored = await storedBatch(world);
    expect([stored.timestampType, stored.maxTimestamp, stored.baseTimestamp]).toEqual(["append", now, 5]);
    expect(checkBatch(stored.bytes)).toBeUndefined();
    world.clock.advance(1000);
    expect(await world.append(batch)).toMatchObject({ appendTimestamp: now }); // A repeat: the first answer.
  });

  test("a false greatest timestamp is put right, with the checksum", async () => {
    const world = await PartitionWorld.open();
    await world.append(changed(buildBatch({ records: records(3, 1000) }), 35, [0, 0, 0, 0, 0, 0, 0, 1]));
    const stored = await storedBatch(world);
    expect(stored.maxTimestamp).toBe(1002);
    expect(checkBatch(stored.bytes)).toBeUndefined();
  });

  test("offset deltas that are not 0, 1, 2 are put right", async () => {
    const world = await PartitionWorld.open();
    const holes = records(3, 1000).map((record, index) => ({ ...record, offsetDelta: index * 5 }));
    await world.append(
      buildBatch({
        records: holes,
        lastOffsetDelta: 2,
        compression: "gzip",
        producerId: 8,
        producerEpoch: 1,
        baseSequence: 0,
      }),
    );
    const stored = await storedBatch(world);
    const plain = inflate(stored.compression ?? "none", stored.records, { bytesMax: 1e6 });
    const cursor = new RecordCursor(plain, stored.recordCount);
    const deltas: number[] = [];
    while (cursor.next()) deltas.push(cursor.offsetDelta);
    expect(deltas).toEqual([0, 1, 2]);
    expect([stored.compression, stored.producerId, stored.baseSequence]).toEqual(["gzip", 8, 0]);
  });

  test.each([
    ["uncompressed", "gzip", "none"],
    ["zstd", "none", "zstd"],
    ["lz4", "snappy", "lz4"],
    ["producer", "gzip", "gzip"],
  ] as const)("a topic of compression %s stores %s as %s", async (type, sent, stored) => {
    const world = await PartitionWorld.open({ config: { "compression.type": type } });
    await world.append(world.batch(30, { compression: sent, producerId: 8, producerEpoch: 1, baseSequence: 0 }));
    const batch = await storedBatch(world);
    expect([batch.compression, batch.producerId, batch.recordCount]).toEqual([stored, 8, 30]);
    expect(checkBatch(batch.bytes)).toBeUndefined();
  });

  test("what grows beyond the topic's limit when it is recompressed is refused", async () => {
    const make = (world: PartitionWorld): Uint8Array =>
      buildBatch({ compression: "gzip", records: records(1, world.clock.now(), 5000) });
    const config = { "compression.type": "uncompressed", "max.message.bytes": "1000" };
    expect(await outcomeOf(make, { config })).toBe("message-too-large");
  });
});
