/**
 * The records inside a batch, after decompression, read one by one without copies and without strings.
 *
 *   | varint length | int8 attributes | varlong timestamp delta | varint offset delta |
 *   | varint key length | key | varint value length | value | varint header count | headers |     length -1: null
 *   header: | varint key length | key | varint value length | value |
 */

import { controlRecordKey, controlRecordType, endTxnMarker } from "../../schemas/kafka/control-records.ts";
import { ByteReader, ByteWriter, varlongBytes } from "../base/bytes.ts";
import { assert } from "../base/errors.ts";
import type { Offset } from "../base/ids.ts";
import { compress } from "./compression.ts";
import { type Compression, encodeBatch, recordBytesMin } from "./record-batch.ts";
import { decodeVersioned, encodeVersioned } from "./versioned.ts";

/** A cursor: each `next` moves it, and the getters speak of the record it stands on. Views are borrowed. */
export class RecordCursor {
  readonly #records: Uint8Array;
  readonly #reader: ByteReader;
  readonly #count: number;
  #read = 0;
  #start = 0;
  #attributesAt = 0;
  #offsetDeltaAt = 0;
  #end = 0;
  #key: Uint8Array | null = null;
  #value: Uint8Array | null = null;
  #headersAt = 0;
  /** Relative to the batch's base timestamp. Beyond ±2^53 it is rounded: refuse it, do not count with it. */
  timestampDelta = 0;
  offsetDelta = 0;
  headerCount = 0;

  /** `records` is what the batch holds, decompressed; `count` what its header announces. */
  constructor(records: Uint8Array, count: number) {
    this.#records = records;
    this.#reader = new ByteReader(records, { source: "records" });
    this.#count = count;
    if (count * recordBytesMin > records.length) this.#reader.corrupt(`${count} records`, `${records.length} bytes`);
  }

  get key(): Uint8Array | null {
    return this.#key;
  }
  get value(): Uint8Array | null {
    return this.#value;
  }

  /** The record as it lies, its length before it. */
  get bytes(): Uint8Array {
    return this.#records.subarray(this.#start, this.#end);
  }

  /** Writes the record with another timestamp delta. */
  copyTo(writer: ByteWriter, timestampDelta: number): void {
    const rest = this.#records.subarray(this.#offsetDeltaAt, this.#end);
    writer.varint(1 + varlongBytes(timestampDelta) + rest.length);
    writer.uint8(this.#records[this.#attributesAt] as number);
    writer.varlong(timestampDelta);
    writer.bytes(rest);
  }

  /** false after the last record. Throws CorruptData for a record that is malformed or for bytes after the last one. */
  next(): boolean {
    const r = this.#reader;
    if (this.#read === this.#count) {
      if (r.remaining > 0) r.corrupt(`the end after ${this.#count} records`, `${r.remaining} more bytes`);
      return false;
    }
    this.#start = r.position;
    const length = r.varint();
    if (length < 0 || length > r.remaining) r.corrupt(`a record of at most ${r.remaining} bytes`, `${length}`);
    this.#end = r.position + length;
    this.#attributesAt = r.position;
    r.skip(1); // Attributes: none is defined.
    this.timestampDelta = r.varlongRounded();
    this.#offsetDeltaAt = r.position;
    this.offsetDelta = r.varint();
    this.#key = this.#nullable();
    this.#value = this.#nullable();
    this.#skipHeaders();
    if (r.position !== this.#end) r.corrupt(`a record that ends at ${this.#end}`, `one that ends at ${r.position}`);
    this.#read += 1;
    return true;
  }

  /** Keys are UTF-8 on the wire; they are given as bytes. */
  headers(): readonly { readonly key: Uint8Array; readonly value: Uint8Array | null }[] {
    const r = this.#reader;
    r.position = this.#headersAt;
    const headers: { key: Uint8Array; value: Uint8Array | null }[] = [];
    for (let left = this.headerCount; left > 0; left -= 1) {
      headers.push({ key: r.view(r.varint()), value: this.#nullable() });
    }
    r.position = this.#end;
    return headers;
  }

  #skipHeaders(): void {
    const r = this.#reader;
    this.headerCount = r.varint();
    this.#headersAt = r.position;
    if (this.headerCount < 0 || this.headerCount * 2 > r.remaining)
      r.corrupt(`at most ${r.remaining >> 1} headers`, `${this.headerCount}`);
    for (let left = this.headerCount; left > 0; left -= 1) {
      r.skip(r.varint());
      const length = r.varint();
      if (length !== -1) r.skip(length);
    }
  }

  #nullable(): Uint8Array | null {
    const length = this.#reader.varint();
    return length === -1 ? null : this.#reader.view(length);
  }
}

export interface NewRecord {
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: readonly { readonly key: Uint8Array; readonly value: Uint8Array | null }[];
  /** Default: its place in the list. Grows from record to record; holes are what cleaning leaves. */
  readonly offsetDelta?: number;
}

export interface NewBatch {
  readonly records: readonly NewRecord[];
  readonly baseOffset?: Offset;
  readonly leaderEpoch?: number;
  readonly compression?: Compression;
  readonly timestampType?: "create" | "append";
  readonly isTransactional?: boolean;
  readonly isControl?: boolean;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  /** Default: that of the last record. Cleaning keeps the original one, so that offsets stay covered. */
  readonly lastOffsetDelta?: number;
}

/** One batch with these records. For what is made here; clients bring their own. */
export function buildBatch(batch: NewBatch): Uint8Array {
  const timestamps = batch.records.map((record) => record.timestamp);
  const baseTimestamp = timestamps[0] ?? -1;
  const writer = new ByteWriter();
  let last = -1;
  for (const [index, record] of batch.records.entries()) {
    const offsetDelta = record.offsetDelta ?? index;
    assert(offsetDelta > last, "offset deltas grow");
    last = offsetDelta;
    writeRecord(writer, record, { offsetDelta, timestampDelta: record.timestamp - baseTimestamp });
  }
  const compression = batch.compression ?? "none";
  return encodeBatch({
    baseOffset: batch.baseOffset ?? (0 as Offset),
    leaderEpoch: batch.leaderEpoch ?? -1,
    compression,
    timestampType: batch.timestampType ?? "create",
    isTransactional: batch.isTransactional ?? false,
    isControl: batch.isControl ?? false,
    hasDeleteHorizon: false,
    lastOffsetDelta: batch.lastOffsetDelta ?? last,
    baseTimestamp,
    maxTimestamp: timestamps.reduce((greatest, timestamp) => Math.max(greatest, timestamp), -1),
    producerId: batch.producerId ?? -1,
    producerEpoch: batch.producerEpoch ?? -1,
    baseSequence: batch.baseSequence ?? -1,
    recordCount: batch.records.length,
    records: compress(compression, writer.toBytes()),
  });
}

export interface Marker {
  readonly outcome: keyof typeof controlRecordType;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  readonly timestamp: number;
}

/** The control batch that ends a producer's transaction in a partition. */
export function buildMarker(marker: Marker): Uint8Array {
  return buildBatch({
    isTransactional: true,
    isControl: true,
    producerId: marker.producerId,
    producerEpoch: marker.producerEpoch,
    records: [
      {
        timestamp: marker.timestamp,
        key: encodeVersioned(controlRecordKey, 0, { type: controlRecordType[marker.outcome] }),
        value: encodeVersioned(endTxnMarker, 0, { coordinatorEpoch: marker.coordinatorEpoch }),
      },
    ],
  });
}

/** What a control record says; undefined for types that are not ours (leader changes, snapshots of KRaft). */
export function readMarker(
  record: Pick<RecordCursor, "key" | "value">,
): Pick<Marker, "outcome" | "coordinatorEpoch"> | undefined {
  if (record.key === null || record.value === null) return undefined;
  const { type } = decodeVersioned(controlRecordKey, record.key, "newer-appends");
  if (type !== controlRecordType.abort && type !== controlRecordType.commit) return undefined;
  const { coordinatorEpoch } = decodeVersioned(endTxnMarker, record.value, "newer-appends");
  return { outcome: type === controlRecordType.commit ? "commit" : "abort", coordinatorEpoch };
}

function writeRecord(
  writer: ByteWriter,
  record: NewRecord,
  deltas: { readonly offsetDelta: number; readonly timestampDelta: number },
): void {
  const body = new ByteWriter();
  body.int8(0);
  body.varlong(deltas.timestampDelta);
  body.varint(deltas.offsetDelta);
  writeNullable(body, record.key);
  writeNullable(body, record.value);
  const headers = record.headers ?? [];
  body.varint(headers.length);
  for (const { key, value } of headers) {
    writeNullable(body, key);
    writeNullable(body, value);
  }
  writer.varint(body.length);
  writer.append(body);
}

function writeNullable(writer: ByteWriter, bytes: Uint8Array | null): void {
  writer.varint(bytes === null ? -1 : bytes.length);
  if (bytes !== null) writer.bytes(bytes);
}
