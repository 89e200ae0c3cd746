/**
 * Records whose every byte follows from topic, partition and sequence, so that a reader needs no copy of what was sent.
 *
 *   value  | float64 sequence | uint32 tag of topic and partition | zeros to 16 | bytes of the pattern, from where both say |
 *   key    none, or `k<n>` with n = sequence modulo the lane's keys
 *
 * A partition has one idempotent producer and no markers, so the offset of a record **is** its sequence: one that is lost,
 * doubled or out of order moves those behind it.
 */
import { BatchView, checkBatch, splitBatches } from "../../src/protocol/record-batch.ts";
import { buildBatch, RecordCursor } from "../../src/protocol/records.ts";
import { seededRandom } from "../support/seeded.ts";

/** One partition and what is known of it. */
export interface Lane {
  readonly topic: string;
  readonly partition: number;
  /** 0: records have no keys. Else the topic is compacted, and readers may find holes. */
  readonly keys: number;
  /** -1 where the topic says nothing; more than both may be kept, less than the laxer never. */
  readonly retentionMs: number;
  readonly retentionBytes: number;
  /** All below are acked. */
  acked: number;
  /** Where the newest batches begin and when they were made, oldest first. */
  readonly marks: { readonly from: number; readonly timestamp: number }[];
}

export const valueBytes = 1000;
const headBytes = 16;
const patternBytes = 65_536;
/** Twice, so that a piece from anywhere in the first half needs no wrap. */
const pattern = (() => {
  const half = seededRandom(1).fill(new Uint8Array(patternBytes));
  return Buffer.concat([half, half]);
})();

export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export function soakBatch(lane: Lane, from: number, count: number, nowMs: number, by: ProducerIdentity): Uint8Array {
  const records = Array.from({ length: count }, (_, index) => ({
    timestamp: nowMs,
    key: keyOf(lane, from + index),
    value: valueOf(lane, from + index),
  }));
  return buildBatch({ records, ...by, baseSequence: from });
}

function keyOf({ keys }: Lane, sequence: number): Uint8Array | null {
  return keys === 0 ? null : Buffer.from(`k${sequence % keys}`);
}

function valueOf(lane: Lane, sequence: number): Uint8Array {
  const value = Buffer.alloc(valueBytes);
  const tag = tagOf(lane);
  value.writeDoubleBE(sequence, 0);
  value.writeUInt32BE(tag, 8);
  pattern.copy(value, headBytes, placeOf(tag, sequence), placeOf(tag, sequence) + valueBytes - headBytes);
  return value;
}

/** Different for every lane of one run. FNV-1a. */
function tagOf({ topic, partition }: Lane): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${topic}/${partition}`)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

function placeOf(tag: number, sequence: number): number {
  return (Math.imul(sequence + 1, 0x9e3779b1) ^ tag) >>> 16;
}

export interface LaneRead {
  /** Where the reader goes on. */
  readonly next: number;
  readonly records: number;
  readonly bytes: number;
}

/**
 * Compares what a fetch from `from` brought with what must be there, `seen` for each record. Throws at the first difference: what
 * follows a hole says nothing new.
 */
export function checkRead(
  lane: Lane,
  from: number,
  fetched: readonly Uint8Array[],
  seen: (sequence: number, timestamp: number) => void = () => undefined,
): LaneRead {
  const where = `${lane.topic}/${lane.partition}`;
  let [next, records, bytes] = [from, 0, 0];
  for (const batchBytes of fetched.flatMap(splitBatches)) {
    const fault = checkBatch(batchBytes);
    if (fault !== undefined) throw new SoakViolation(`${where} at ${next}: ${JSON.stringify(fault)}`);
    const batch = new BatchView(batchBytes);
    const cursor = new RecordCursor(batch.records, batch.recordCount);
    while (cursor.next()) {
      const offset = batch.baseOffset + cursor.offsetDelta;
      if (offset < from) continue; // A fetch gives whole batches.
      const isExpected = lane.keys === 0 ? offset === next : offset >= next;
      if (!isExpected) throw new SoakViolation(`${where}: offset ${offset} comes where ${next} is next`);
      const difference = differenceOf(lane, offset, cursor.key, cursor.value);
      if (difference !== undefined) throw new SoakViolation(`${where} at ${offset}: ${difference}`);
      seen(offset, batch.baseTimestamp + cursor.timestampDelta);
      next = offset + 1;
      records += 1;
    }
    next = Math.max(next, batch.nextOffset); // A cleaned batch covers more than it holds.
    bytes += batchBytes.length;
  }
  return { next, records, bytes };
}

/** The promise was broken. */
export class SoakViolation extends Error {}

function differenceOf(lane: Lane, sequence: number, key: Uint8Array | null, value: Uint8Array | null) {
  if (value === null || value.length !== valueBytes) return `${value?.length} bytes of value`;
  const found = Buffer.from(value.buffer, value.byteOffset, value.length);
  const tag = tagOf(lane);
  if (found.readDoubleBE(0) !== sequence) return `the record of sequence ${found.readDoubleBE(0)}`;
  if (found.readUInt32BE(8) !== tag) return "another partition's record";
  const expected = pattern.subarray(placeOf(tag, sequence), placeOf(tag, sequence) + valueBytes - headBytes);
  if (Buffer.compare(found.subarray(headBytes), expected) !== 0) return "other bytes than were sent";
  const expectedKey = keyOf(lane, sequence);
  const isSameKey =
    key === null ? expectedKey === null : expectedKey !== null && Buffer.compare(key, expectedKey) === 0;
  return isSameKey ? undefined : "another key";
}
