/** Proves: what the horizon, strange timestamps and sizes do to one batch, byte for byte where Kafka says so (KIP-534). */
import { expect, test } from "vitest";
import type { Offset } from "../../../src/base/ids.ts";
import {
  type CleaningRound,
  emptiedChanges,
  filterBatch,
  judgeBatch,
  markerWithHorizon,
} from "../../../src/log/cleaning/clean-batch.ts";
import { TransactionWalk } from "../../../src/log/cleaning/transaction-walk.ts";
import { BatchView, checkBatch, rebuildBatch } from "../../../src/protocol/record-batch.ts";
import { buildBatch, buildMarker, type NewBatch } from "../../../src/protocol/records.ts";
import { recordsOf } from "../../support/stored-log.ts";

const nowMs = 10_000;
const round: CleaningRound = {
  newest: { get: (key) => (Buffer.from(key).toString() === "old" ? 1000 : -1) },
  walk: new TransactionWalk([]),
  isLastOfProducer: () => false,
  upTo: 100 as Offset,
  nowMs,
  deleteRetentionMs: 500,
};

function batchOf(pairs: readonly (readonly [string, string | null])[], fields: Partial<NewBatch> = {}): BatchView {
  const records = pairs.map(([key, value], index) => ({
    timestamp: 7000 + index,
    key: Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    headers: [{ key: Buffer.from("h"), value: Buffer.from("1") }],
  }));
  return new BatchView(buildBatch({ records, baseOffset: 40 as Offset, ...fields }));
}

/** The batch as it is afterwards, or what became of it. */
function clean(batch: BatchView, over: Partial<CleaningRound> = {}): BatchView | string {
  const fate = judgeBatch(batch, { ...round, ...over });
  if (fate.kind === "horizon-set") return new BatchView(rebuildBatch(batch, markerWithHorizon(batch, fate.horizonMs)));
  if (fate.kind !== "filtered") return fate.kind;
  const steps = filterBatch(batch, batch.records, fate.staysEmpty, { ...round, ...over });
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  if (step.value.kind !== "rewritten") return step.value.kind;
  return new BatchView(rebuildBatch(batch, step.value.changes));
}

function view(cleaned: BatchView | string): BatchView {
  if (typeof cleaned === "string") throw new Error(cleaned);
  expect(checkBatch(cleaned.bytes)).toBeUndefined();
  return cleaned;
}

test("a tombstone gets its horizon as the base timestamp, and all times stay what they were", () => {
  const batch = batchOf([
    ["old", "x"],
    ["a", null],
    ["b", "1"],
  ]);
  const first = view(clean(batch));
  expect(first).toMatchObject({ deleteHorizonMs: nowMs + 500, baseTimestamp: nowMs + 500, attributes: 1 << 6 });
  expect(first).toMatchObject({ baseOffset: 40, lastOffset: 42, maxTimestamp: 7002, recordCount: 2 });
  expect(recordsOf(first)).toEqual(recordsOf(batch).slice(1));
  expect(clean(first)).toBe("as-is");
  expect(clean(first, { nowMs: nowMs + 499 })).toBe("as-is");
  const second = view(clean(first, { nowMs: nowMs + 500 }));
  expect(recordsOf(second)).toEqual(recordsOf(batch).slice(2));
  expect(second.deleteHorizonMs).toBe(nowMs + 500);
});

test("nothing is written again when nothing goes and no horizon is due", () => {
  expect(
    clean(
      batchOf([
        ["a", "1"],
        ["b", "2"],
      ]),
    ),
  ).toBe("as-is");
  expect(clean(batchOf([["old", "1"]]))).toBe("gone");
});

test("the last of a producer and of the round stay, without records", () => {
  const producer = { producerId: 5, producerEpoch: 2, baseSequence: 9 };
  const batch = batchOf(
    [
      ["old", "1"],
      ["old", "2"],
    ],
    producer,
  );
  expect(clean(batch)).toBe("gone");
  expect(clean(batch, { isLastOfProducer: () => true })).toBe("emptied");
  expect(clean(batch, { upTo: 42 as Offset })).toBe("emptied");
  const emptied = view(new BatchView(rebuildBatch(batch, emptiedChanges)));
  expect(emptied).toMatchObject({ recordCount: 0, lastOffset: 41, baseSequence: 9, producerId: 5, maxTimestamp: 7001 });
  expect(emptied.bytes).toHaveLength(61);
  expect(clean(emptied, { isLastOfProducer: () => true })).toBe("as-is");
  expect(clean(emptied)).toBe("gone");
});

test("append time is the batch's, whatever its records say", () => {
  const batch = batchOf(
    [
      ["old", "x"],
      ["a", "1"],
    ],
    { timestampType: "append" },
  );
  expect(view(clean(batch))).toMatchObject({ timestampType: "append", maxTimestamp: batch.maxTimestamp });
});

test("a tombstone that is never to go, or whose time no horizon can be the base of, does no harm", () => {
  const forever = view(clean(batchOf([["a", null]]), { deleteRetentionMs: Number.MAX_SAFE_INTEGER }));
  expect(recordsOf(forever)[0]?.timestamp).toBe(7000);
  const records = [{ timestamp: -(2 ** 53 - 1), key: Buffer.from("a"), value: null }];
  expect(clean(new BatchView(buildBatch({ records })), { upTo: 100 as Offset })).toBe("as-is");
});

test("a marker waits for what it ended, then for its horizon", () => {
  const data = batchOf([["a", "1"]], { producerId: 5, producerEpoch: 0, baseSequence: 0, isTransactional: true });
  const bytes = buildMarker({
    outcome: "commit",
    producerId: 5,
    producerEpoch: 0,
    coordinatorEpoch: 3,
    timestamp: 7000,
  });
  const marker = new BatchView(bytes);
  const after = new TransactionWalk([]);
  expect(clean(data, { walk: after })).toBe("as-is");
  expect(clean(marker, { walk: after })).toBe("as-is");
  const marked = view(clean(marker));
  expect(marked).toMatchObject({
    isControl: true,
    isTransactional: true,
    deleteHorizonMs: nowMs + 500,
    recordCount: 1,
  });
  expect(recordsOf(marked)).toEqual(recordsOf(marker));
  expect(clean(marked, { nowMs: nowMs + 499 })).toBe("as-is");
  expect(clean(marked, { nowMs: nowMs + 500 })).toBe("gone");
  expect(clean(marked, { nowMs: nowMs + 500, isLastOfProducer: () => true })).toBe("emptied");
});
