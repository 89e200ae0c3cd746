/**
 * Record batches, magic 2, read and patched where they lie.
 *
 *    0  int64  base offset              ─ outside the checksum: a broker writes them
 *    8  int32  length of what follows
 *   12  int32  partition leader epoch   ─ outside the checksum
 *   16  int8   magic = 2
 *   17  uint32 CRC-32C of everything from byte 21 on
 *   21  int16  attributes: 0-2 compression · 3 log append time · 4 transactional · 5 control · 6 delete horizon
 *   23  int32  last offset delta
 *   27  int64  base timestamp, which is the delete horizon where bit 6 says so (KIP-534)
 *   35  int64  max timestamp
 *   43  int64  producer id             51  int16 producer epoch      53  int32 base sequence
 *   57  int32  record count            61  records, compressed as one
 *
 * CorruptData is for bytes that should have been checked before; `checkBatch` gives its verdict as a value.
 */
import { crc32c } from "@node-rs/crc32";
import { assert, CorruptData } from "../base/errors.ts";
import type { Offset } from "../base/ids.ts";

export const batchHeaderBytes = 61;
/** Base offset and length: enough to find the end of a batch. */
const prefixBytes = 12;

export const compressions = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
export type Compression = (typeof compressions)[number];

const at = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const;
assert(at.recordCount + 4 === batchHeaderBytes, "the header's fields and its length disagree");

const appendTimeBit = 1 << 3;
const transactionalBit = 1 << 4;
const controlBit = 1 << 5;
const deleteHorizonBit = 1 << 6;

/** The header of one batch, read on demand. The bytes are borrowed and are exactly one batch. */
export class BatchView {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    if (bytes.length < batchHeaderBytes) throw tooShort(bytes, batchHeaderBytes);
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get baseOffset(): Offset {
    return int64At(this.#view, at.baseOffset) as Offset;
  }
  /** As the header says it: without the 12 bytes before. */
  get length(): number {
    return this.#view.getInt32(at.length);
  }
  get leaderEpoch(): number {
    return this.#view.getInt32(at.leaderEpoch);
  }
  get magic(): number {
    return this.#view.getInt8(at.magic);
  }
  get crc(): number {
    return this.#view.getUint32(at.crc);
  }
  get attributes(): number {
    return this.#view.getInt16(at.attributes);
  }
  /** undefined for a number that Kafka gives no meaning. */
  get compression(): Compression | undefined {
    return compressions[this.attributes & 7];
  }
  get timestampType(): "create" | "append" {
    return (this.attributes & appendTimeBit) === 0 ? "create" : "append";
  }
  get isTransactional(): boolean {
    return (this.attributes & transactionalBit) !== 0;
  }
  get isControl(): boolean {
    return (this.attributes & controlBit) !== 0;
  }
  /** When a cleaner may drop the tombstones of the batch, or the marker that it is; undefined until it was cleaned once. */
  get deleteHorizonMs(): number | undefined {
    return (this.attributes & deleteHorizonBit) === 0 ? undefined : this.baseTimestamp;
  }
  get lastOffsetDelta(): number {
    return this.#view.getInt32(at.lastOffsetDelta);
  }
  get lastOffset(): Offset {
    return (this.baseOffset + this.lastOffsetDelta) as Offset;
  }
  /** The offset after the batch. */
  get nextOffset(): Offset {
    return (this.baseOffset + this.lastOffsetDelta + 1) as Offset;
  }
  get baseTimestamp(): number {
    return int64At(this.#view, at.baseTimestamp);
  }
  get maxTimestamp(): number {
    return int64At(this.#view, at.maxTimestamp);
  }
  get producerId(): number {
    return int64At(this.#view, at.producerId);
  }
  get producerEpoch(): number {
    return this.#view.getInt16(at.producerEpoch);
  }
  get baseSequence(): number {
    return this.#view.getInt32(at.baseSequence);
  }
  /** Sequences wrap from the greatest int32 to 0. */
  get lastSequence(): number {
    return this.baseSequence < 0 ? -1 : (this.baseSequence + this.lastOffsetDelta) % 2 ** 31;
  }
  get recordCount(): number {
    return this.#view.getInt32(at.recordCount);
  }
  /** Compressed, unless `compression` is "none". */
  get records(): Uint8Array {
    return this.bytes.subarray(batchHeaderBytes);
  }
  get computedCrc(): number {
    return crc32c(this.bytes.subarray(at.attributes));
  }
}

/** Without a view of the whole, for who asks nothing else. The bytes are at least a header. */
export function isTransactionalBatch(bytes: Uint8Array): boolean {
  return ((bytes[at.attributes + 1] as number) & transactionalBit) !== 0;
}

/** What is wrong with a batch. "timestamp" and "producer" are legal int64 that no clock and no broker gives. */
export interface BatchFault {
  readonly fault: "length" | "magic" | "checksum" | "compression" | "count" | "offset" | "timestamp" | "producer";
  readonly detail: string;
}

/**
 * Checks one batch as far as that goes without its records, the checksum before anything that it covers. undefined means
 * that every getter of BatchView gives a safe number that fits the others.
 */
export function checkBatch(bytes: Uint8Array): BatchFault | undefined {
  if (bytes.length < batchHeaderBytes) return { fault: "length", detail: `${bytes.length} bytes are not a batch` };
  const batch = new BatchView(bytes);
  if (batch.magic !== 2) return { fault: "magic", detail: `magic ${batch.magic} instead of 2` };
  if (batch.length !== bytes.length - prefixBytes)
    return {
      fault: "length",
      detail: `the header says ${batch.length} bytes, there are ${bytes.length - prefixBytes}`,
    };
  if (batch.computedCrc !== batch.crc) return { fault: "checksum", detail: "the batch does not match its checksum" };
  if (batch.compression === undefined) return { fault: "compression", detail: `compression ${batch.attributes & 7}` };
  if (!Number.isSafeInteger(batch.baseOffset) || batch.baseOffset < 0 || !Number.isSafeInteger(batch.lastOffset))
    return { fault: "offset", detail: "the base offset is out of range" };
  if (!Number.isSafeInteger(batch.baseTimestamp) || !Number.isSafeInteger(batch.maxTimestamp))
    return { fault: "timestamp", detail: "a timestamp is beyond 2^53 ms" };
  if (!Number.isSafeInteger(batch.producerId)) return { fault: "producer", detail: "the producer id is beyond 2^53" };
  return checkCount(batch);
}

/** Cleaning may leave fewer records than offsets, or none, but never more; every uncompressed record takes 7 bytes. */
function checkCount(batch: BatchView): BatchFault | undefined {
  const { recordCount, lastOffsetDelta } = batch;
  if (lastOffsetDelta < 0 || recordCount < 0 || recordCount > lastOffsetDelta + 1)
    return { fault: "count", detail: `${recordCount} records with a last offset delta of ${lastOffsetDelta}` };
  if (batch.compression === "none" && recordCount * recordBytesMin > batch.records.length)
    return { fault: "count", detail: `${recordCount} records in ${batch.records.length} bytes` };
  return undefined;
}

/** Length, attributes, two deltas, key length, value length, header count: a byte each. */
export const recordBytesMin = 7;

/** The batches of a concatenation, as views. Throws CorruptData when it does not end where a batch does. */
export function splitBatches(bytes: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const batches: Uint8Array[] = [];
  for (let from = 0; from < bytes.length; ) {
    if (bytes.length - from < batchHeaderBytes) throw tooShort(bytes, from + batchHeaderBytes);
    const end = from + prefixBytes + view.getInt32(from + at.length);
    if (end < from + batchHeaderBytes || end > bytes.length) throw tooShort(bytes, end);
    batches.push(bytes.subarray(from, end));
    from = end;
  }
  return batches;
}

export interface BatchPatch {
  readonly baseOffset: Offset;
  readonly leaderEpoch: number;
  /** The greatest timestamp of the records, when the client's header does not tell the truth. */
  readonly maxTimestamp?: number;
  /** The broker's time, for topics that stamp it: sets the attribute and the max timestamp. */
  readonly appendTimestamp?: number;
}

/** Writes what the broker decides into a batch that the caller owns. The checksum is computed again only if it must be. */
export function patchBatch(bytes: Uint8Array, patch: BatchPatch): void {
  const batch = new BatchView(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  setInt64(view, at.baseOffset, patch.baseOffset);
  view.setInt32(at.leaderEpoch, patch.leaderEpoch);
  const attributes = patch.appendTimestamp === undefined ? batch.attributes : batch.attributes | appendTimeBit;
  const maxTimestamp = patch.appendTimestamp ?? patch.maxTimestamp ?? batch.maxTimestamp;
  if (attributes === batch.attributes && maxTimestamp === batch.maxTimestamp) return;
  view.setInt16(at.attributes, attributes);
  setInt64(view, at.maxTimestamp, maxTimestamp);
  view.setUint32(at.crc, batch.computedCrc);
}

export interface BatchFields {
  readonly baseOffset: Offset;
  readonly leaderEpoch: number;
  readonly compression: Compression;
  readonly timestampType: "create" | "append";
  readonly isTransactional: boolean;
  readonly isControl: boolean;
  /** Whether the base timestamp is the delete horizon. */
  readonly hasDeleteHorizon: boolean;
  readonly lastOffsetDelta: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordCount: number;
  /** As they go on the wire: compressed already. */
  readonly records: Uint8Array;
}

/** One batch from its parts. */
export function encodeBatch(fields: BatchFields): Uint8Array {
  const bytes = new Uint8Array(batchHeaderBytes + fields.records.length);
  const view = new DataView(bytes.buffer);
  setInt64(view, at.baseOffset, fields.baseOffset);
  view.setInt32(at.length, bytes.length - prefixBytes);
  view.setInt32(at.leaderEpoch, fields.leaderEpoch);
  view.setInt8(at.magic, 2);
  view.setInt16(
    at.attributes,
    compressions.indexOf(fields.compression) |
      (fields.timestampType === "append" ? appendTimeBit : 0) |
      (fields.isTransactional ? transactionalBit : 0) |
      (fields.isControl ? controlBit : 0) |
      (fields.hasDeleteHorizon ? deleteHorizonBit : 0),
  );
  view.setInt32(at.lastOffsetDelta, fields.lastOffsetDelta);
  setInt64(view, at.baseTimestamp, fields.baseTimestamp);
  setInt64(view, at.maxTimestamp, fields.maxTimestamp);
  setInt64(view, at.producerId, fields.producerId);
  view.setInt16(at.producerEpoch, fields.producerEpoch);
  view.setInt32(at.baseSequence, fields.baseSequence);
  view.setInt32(at.recordCount, fields.recordCount);
  bytes.set(fields.records, batchHeaderBytes);
  view.setUint32(at.crc, crc32c(bytes.subarray(at.attributes)));
  return bytes;
}

export type BatchChanges = Partial<BatchFields> & Pick<BatchFields, "records">;

/** The batch with other records, and what changes with them. */
export function rebuildBatch(batch: BatchView, changes: BatchChanges): Uint8Array {
  return encodeBatch({
    baseOffset: batch.baseOffset,
    leaderEpoch: batch.leaderEpoch,
    compression: batch.compression ?? "none",
    timestampType: batch.timestampType,
    isTransactional: batch.isTransactional,
    isControl: batch.isControl,
    hasDeleteHorizon: batch.deleteHorizonMs !== undefined,
    lastOffsetDelta: batch.lastOffsetDelta,
    baseTimestamp: batch.baseTimestamp,
    maxTimestamp: batch.maxTimestamp,
    producerId: batch.producerId,
    producerEpoch: batch.producerEpoch,
    baseSequence: batch.baseSequence,
    recordCount: batch.recordCount,
    ...changes,
  });
}

/** Rounded beyond ±2^53; `checkBatch` refuses what is not safe. */
function int64At(view: DataView, position: number): number {
  return view.getInt32(position) * 2 ** 32 + view.getUint32(position + 4);
}

function setInt64(view: DataView, position: number, value: number): void {
  assert(Number.isSafeInteger(value), "not a safe integer");
  view.setInt32(position, Math.floor(value / 2 ** 32));
  view.setUint32(position + 4, value >>> 0);
}

function tooShort(bytes: Uint8Array, needed: number): CorruptData {
  return new CorruptData({
    source: "record batch",
    position: bytes.length,
    expected: `a whole batch, up to byte ${needed}`,
    found: `${bytes.length} bytes`,
  });
}
