/**
 * What becomes of one batch of a compacted log, as in Kafka (KIP-98, KIP-280, KIP-534): of each key the newest record stays; a
 * tombstone stays until its delete horizon, which the first cleaning sets; what was aborted goes at once; a marker goes when
 * nothing of its transaction is left and its own horizon has passed. Offsets never change. The last batch of a producer stays,
 * empty if need be, since it has the producer's last sequence. So does the last one of the round: a consumer that reads to
 * the end must get there. Pure.
 */
import { ByteWriter } from "../../base/bytes.ts";
import type { Offset } from "../../base/ids.ts";
import type { BatchChanges, BatchView } from "../../protocol/record-batch.ts";
import { RecordCursor } from "../../protocol/records.ts";
import { markerOf } from "../batch-preparer.ts";
import type { OffsetMap } from "./offset-map.ts";
import type { TransactionWalk } from "./transaction-walk.ts";

export interface CleaningRound {
  /** Of what lies below `end`, newest offsets. */
  readonly newest: Pick<OffsetMap, "get">;
  readonly walk: TransactionWalk;
  /** Whether it holds the last sequence of a producer that is still remembered. */
  readonly isLastOfProducer: (batch: BatchView) => boolean;
  /** Nothing at or above this is cleaned in this round. */
  readonly upTo: Offset;
  readonly nowMs: number;
  readonly deleteRetentionMs: number;
}

export type BatchFate =
  | WholeFate
  /** Its records decide. */
  | { readonly kind: "filtered"; readonly staysEmpty: boolean }
  | { readonly kind: "horizon-set"; readonly horizonMs: number };

/** What the header alone says. Batches must come in offset order. */
export function judgeBatch(batch: BatchView, round: CleaningRound): BatchFate {
  const staysEmpty = batch.nextOffset === round.upTo || (batch.producerId >= 0 && round.isLastOfProducer(batch));
  const { deleteHorizonMs, isControl } = batch;
  const isUseless = isControl ? round.walk.passMarker(batch, markerOf(batch)?.outcome) : round.walk.passData(batch);
  if (batch.recordCount === 0) return staysEmpty ? asIs : gone;
  if (isControl) {
    if (!isUseless) return asIs;
    if (deleteHorizonMs === undefined) return { kind: "horizon-set", horizonMs: horizonOf(round) };
    if (round.nowMs < deleteHorizonMs) return asIs;
  } else if (!isUseless) return { kind: "filtered", staysEmpty };
  return staysEmpty ? emptied : gone;
}

interface WholeFate {
  readonly kind: "as-is" | "gone" | "emptied";
}
const asIs: WholeFate = { kind: "as-is" };
const gone: WholeFate = { kind: "gone" };
const emptied: WholeFate = { kind: "emptied" };

export type Filtered =
  | WholeFate
  /** The records are not compressed yet. */
  | { readonly kind: "rewritten"; readonly changes: BatchChanges };

/** `records` inflated. A generator, so that the caller can let others run: hashing all keys of a batch may take long. */
export function* filterBatch(
  batch: BatchView,
  records: Uint8Array,
  staysEmpty: boolean,
  round: CleaningRound,
): Generator<void, Filtered, void> {
  const isKept = new Uint8Array(batch.recordCount);
  let kept = 0;
  let hasTombstones = false;
  // A horizon becomes the base of all timestamps: where one of them is too far from it, the tombstones stay.
  let canSetHorizon = batch.deleteHorizonMs === undefined;
  const shift = batch.baseTimestamp - horizonOf(round);
  const cursor = new RecordCursor(records, batch.recordCount);
  for (let index = 0; cursor.next(); index += 1) {
    if (index % recordsPerStep === recordsPerStep - 1) yield;
    if (!keeps(cursor, batch, round)) continue;
    isKept[index] = 1;
    kept += 1;
    if (cursor.value === null) hasTombstones = true;
    if (!Number.isSafeInteger(cursor.timestampDelta + shift)) canSetHorizon = false;
  }
  if (kept === 0) return staysEmpty ? emptied : gone;
  const setsHorizon = hasTombstones && canSetHorizon;
  if (kept === batch.recordCount && !setsHorizon) return asIs;
  const changes = yield* copyRecords(batch, records, isKept, setsHorizon ? horizonOf(round) : undefined);
  return { kind: "rewritten", changes: { ...changes, recordCount: kept } };
}

/** The marker, which is one record and never compressed, under a delete horizon. */
export function markerWithHorizon(batch: BatchView, horizonMs: number): BatchChanges {
  const steps = copyRecords(batch, batch.records, new Uint8Array(batch.recordCount).fill(1), horizonMs);
  for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value;
}

/** What is left of a batch without records: its offsets, its greatest timestamp and its producer's sequences. */
export const emptiedChanges: BatchChanges = {
  compression: "none",
  hasDeleteHorizon: false,
  baseTimestamp: -1,
  recordCount: 0,
  records: new Uint8Array(),
};

/** A tombstone that is kept for ever has one so far off that differences of timestamps stay safe. */
function horizonOf(round: CleaningRound): number {
  return Math.min(2 ** 51, round.nowMs + round.deleteRetentionMs);
}

function keeps(record: RecordCursor, batch: BatchView, round: CleaningRound): boolean {
  // Without a key it can never be replaced: it came before the topic was compacted.
  if (record.key === null) return false;
  if (batch.baseOffset + record.offsetDelta < round.newest.get(record.key)) return false;
  if (record.value !== null) return true;
  return batch.deleteHorizonMs === undefined || round.nowMs < batch.deleteHorizonMs;
}

/** The records that are kept; under a new horizon, if one is given, else under the base timestamp that they have. */
function* copyRecords(
  batch: BatchView,
  records: Uint8Array,
  isKept: Uint8Array,
  newHorizonMs: number | undefined,
): Generator<void, BatchChanges, void> {
  const writer = new ByteWriter(records.length);
  let maxTimestamp = -1;
  const cursor = new RecordCursor(records, batch.recordCount);
  for (let index = 0; cursor.next(); index += 1) {
    if (index % recordsPerStep === recordsPerStep - 1) yield;
    if (isKept[index] === 0) continue;
    const timestamp = batch.baseTimestamp + cursor.timestampDelta;
    maxTimestamp = Math.max(maxTimestamp, timestamp);
    if (newHorizonMs === undefined) writer.bytes(cursor.bytes);
    else cursor.copyTo(writer, timestamp - newHorizonMs);
  }
  return {
    ...(newHorizonMs === undefined ? {} : { hasDeleteHorizon: true, baseTimestamp: newHorizonMs }),
    ...(batch.timestampType === "append" ? {} : { maxTimestamp }),
    records: writer.toBytes(),
  };
}

/** Between two chances to let others run: about a tenth of a millisecond. */
const recordsPerStep = 256;
