/** Proves: batches are what Kafka's format says, byte for byte; nothing in one is trusted before its checksum. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import { CorruptData } from "../../src/base/errors.ts";
import type { Offset } from "../../src/base/ids.ts";
import { inflate } from "../../src/protocol/compression.ts";
import { BatchView, checkBatch, compressions, patchBatch, splitBatches } from "../../src/protocol/record-batch.ts";
import { buildBatch, buildMarker, type NewRecord, RecordCursor, readMarker } from "../../src/protocol/records.ts";

const text = (value: string): Uint8Array => Buffer.from(value, "utf8");
const copy = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes);

const arbitraryRecords = fc.array(
  fc.record({
    timestamp: fc.integer({ min: -1, max: 2 ** 42 }),
    key: fc.option(fc.uint8Array({ maxLength: 20 })),
    value: fc.option(fc.uint8Array({ maxLength: 900 })),
    headers: fc.array(
      fc.record({ key: fc.uint8Array({ maxLength: 5 }), value: fc.option(fc.uint8Array({ maxLength: 5 })) }),
      { maxLength: 3 },
    ),
  }),
  { minLength: 1, maxLength: 8 },
);

function readAll(bytes: Uint8Array): readonly NewRecord[] {
  const batch = new BatchView(bytes);
  const records = inflate(batch.compression ?? "none", batch.records, { bytesMax: 1_000_000 });
  const cursor = new RecordCursor(records, batch.recordCount);
  const all: NewRecord[] = [];
  while (cursor.next()) {
    const headers = cursor.headers().map(({ key, value }) => ({ key: copy(key), value: value && copy(value) }));
    const { key, value } = cursor;
    all.push({
      timestamp: batch.baseTimestamp + cursor.timestampDelta,
      key: key && copy(key),
      value: value && copy(value),
      headers,
    });
  }
  return all;
}

describe("a batch of ours", () => {
  test("golden bytes", () => {
    const batch = buildBatch({
      records: [
        { timestamp: 1_700_000_000_000, key: text("k"), value: text("v"), headers: [{ key: text("h"), value: null }] },
      ],
      producerId: 5,
      producerEpoch: 1,
      baseSequence: 9,
    });
    expect(Buffer.from(batch).toString("hex")).toBe(
      [
        "0000000000000000", // base offset
        "0000003d", // length 61
        "ffffffff", // leader epoch
        "02", // magic
        Buffer.from(batch.subarray(17, 21)).toString("hex"), // checked below
        "0000", // attributes
        "00000000", // last offset delta
        "0000018bcfe56800", // base timestamp
        "0000018bcfe56800", // max timestamp
        "0000000000000005", // producer id
        "0001", // producer epoch
        "00000009", // base sequence
        "00000001", // count
        "16 00 00 00 02 6b 02 76 02 02 68 01".replaceAll(" ", ""), // one record
      ].join(""),
    );
    expect(checkBatch(batch)).toBeUndefined();
  });

  test.each(compressions)("keeps its records, %s", (compression) => {
    fc.assert(
      fc.property(arbitraryRecords, (records) => {
        const batch = buildBatch({ records, compression });
        expect(checkBatch(batch)).toBeUndefined();
        expect(new BatchView(batch).compression).toBe(compression);
        expect(readAll(batch)).toEqual(records);
      }),
      { numRuns: 40 },
    );
  });

  test("holes stay holes", () => {
    const records = [0, 4, 7].map((offsetDelta) => ({ timestamp: 1, key: null, value: null, offsetDelta }));
    const batch = new BatchView(buildBatch({ records, lastOffsetDelta: 9, baseOffset: 100 as Offset }));
    expect([batch.recordCount, batch.lastOffset, batch.nextOffset]).toEqual([3, 109, 110]);
    const cursor = new RecordCursor(batch.records, 3);
    const deltas: number[] = [];
    while (cursor.next()) deltas.push(cursor.offsetDelta);
    expect(deltas).toEqual([0, 4, 7]);
    expect(checkBatch(batch.bytes)).toBeUndefined();
  });

  test("a batch that cleaning emptied is whole", () => {
    expect(checkBatch(buildBatch({ records: [], lastOffsetDelta: 5 }))).toBeUndefined();
  });

  test("sequences wrap to 0", () => {
    const records = [0, 1, 2].map(() => ({ timestamp: 1, key: null, value: null }));
    expect(new BatchView(buildBatch({ records, producerId: 1, baseSequence: 2 ** 31 - 2 })).lastSequence).toBe(0);
  });
});

test("a marker says what it ends", () => {
  const marker = { outcome: "commit", producerId: 3, producerEpoch: 2, coordinatorEpoch: 8, timestamp: 5 } as const;
  const batch = new BatchView(buildMarker(marker));
  expect([batch.isControl, batch.isTransactional, batch.producerId, batch.producerEpoch]).toEqual([true, true, 3, 2]);
  const cursor = new RecordCursor(batch.records, 1);
  cursor.next();
  expect(readMarker(cursor)).toEqual({ outcome: "commit", coordinatorEpoch: 8 });
  expect(Buffer.from(cursor.key as Uint8Array).toString("hex")).toBe("00000001");
  expect(Buffer.from(cursor.value as Uint8Array).toString("hex")).toBe("000000000008");
  expect(readMarker({ key: Uint8Array.of(0, 0, 0, 2), value: Uint8Array.of(0, 0) })).toBeUndefined();
});

describe("patching", () => {
  const batch = (): Uint8Array => buildBatch({ records: [{ timestamp: 1000, key: null, value: text("v") }] });

  test("offset and epoch lie outside the checksum", () => {
    const bytes = batch();
    const before = new BatchView(bytes).crc;
    patchBatch(bytes, { baseOffset: (2 ** 40) as Offset, leaderEpoch: 7 });
    const after = new BatchView(bytes);
    expect([after.baseOffset, after.leaderEpoch, after.crc]).toEqual([2 ** 40, 7, before]);
    expect(checkBatch(bytes)).toBeUndefined();
  });

  test("a new max timestamp or append time changes the checksum with it", () => {
    for (const patch of [{ maxTimestamp: 5000 }, { appendTimestamp: 6000 }]) {
      const bytes = batch();
      patchBatch(bytes, { baseOffset: 1 as Offset, leaderEpoch: 0, ...patch });
      expect(checkBatch(bytes)).toBeUndefined();
      expect(new BatchView(bytes).maxTimestamp).toBe(Object.values(patch)[0]);
      expect(new BatchView(bytes).timestampType).toBe("appendTimestamp" in patch ? "append" : "create");
    }
  });
});

describe("splitting", () => {
  test("a concatenation falls into its batches, as views", () => {
    const batches = [1, 2, 3].map((n) =>
      buildBatch({ records: [{ timestamp: n, key: null, value: new Uint8Array(n) }] }),
    );
    const whole = joined(batches);
    const parts = splitBatches(whole);
    expect(parts.map((part) => part.length)).toEqual(batches.map((part) => part.length));
    expect(parts.every((part) => part.buffer === whole.buffer)).toBe(true);
    expect(() => splitBatches(whole.subarray(0, whole.length - 1))).toThrow(CorruptData);
    expect(() => splitBatches(whole.subarray(0, 40))).toThrow(CorruptData);
    expect(splitBatches(new Uint8Array(0))).toEqual([]);
  });
});

describe("checking", () => {
  const good = buildBatch({
    records: [{ timestamp: 1, key: text("k"), value: text("v") }],
    producerId: 1,
    baseSequence: 0,
  });

  test("every flipped bit under the checksum is found", () => {
    for (let bit = 17 * 8; bit < good.length * 8; bit += 1) {
      const bytes = copy(good);
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(checkBatch(bytes)?.fault).toBe("checksum");
    }
  });

  test("magic and length come first", () => {
    const old = copy(good);
    old[16] = 1;
    expect(checkBatch(old)?.fault).toBe("magic");
    expect(checkBatch(good.subarray(0, good.length - 1))?.fault).toBe("length");
    expect(checkBatch(Uint8Array.from([...good, 0]))?.fault).toBe("length");
    expect(checkBatch(new Uint8Array(10))?.fault).toBe("length");
  });

  test.each([
    ["compression", (v: DataView) => v.setInt16(21, 5)],
    ["count", (v: DataView) => v.setInt32(57, 2)],
    ["count", (v: DataView) => v.setInt32(23, -1)],
    ["timestamp", (v: DataView) => v.setBigInt64(35, 2n ** 60n)],
    ["producer", (v: DataView) => v.setBigInt64(43, 2n ** 60n)],
    ["offset", (v: DataView) => v.setBigInt64(0, -1n)],
    ["offset", (v: DataView) => v.setBigInt64(0, 2n ** 53n - 1n)],
  ] as const)("what cannot be is refused under a right checksum: %s", (fault, edit) => {
    const bytes = copy(good);
    const view = new DataView(bytes.buffer);
    if (fault === "offset") view.setInt32(23, 5); // So that base and delta overflow together.
    edit(view);
    view.setUint32(17, new BatchView(bytes).computedCrc);
    expect(checkBatch(bytes)?.fault).toBe(fault);
  });

  test("mutated records give values or CorruptData", () => {
    fc.assert(
      fc.property(arbitraryRecords, fc.array(fc.tuple(fc.nat(), fc.nat(255))), (records, edits) => {
        const batch = new BatchView(buildBatch({ records }));
        const bytes = copy(batch.records);
        for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
        try {
          const cursor = new RecordCursor(bytes, batch.recordCount);
          while (cursor.next()) cursor.headers();
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptData);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
