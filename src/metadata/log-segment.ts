/**
 * One file of the metadata log of kind file.
 *
 *   | magic 8 | version 4 | first seq 8 | hash before it 32 | CRC-32C of all before 4 | record | record | ...
 *   record   | length 4 | CRC-32C of the entry 4 | entry (schemas/storage.ts) |
 *
 * One record is written and synced at a time. So a bad record at the very end is an append that was never answered, and a
 * bad record with a good one after it was durable once: that is damage, and nobody may go on from it.
 */
import { crc32c } from "@node-rs/crc32";
import { entryHeadBytes, hashBytes, segmentMagic, segmentVersion } from "../../schemas/storage.ts";
import { ByteReader, ByteWriter, joined } from "../base/bytes.ts";
import { CorruptData } from "../base/errors.ts";
import type { Seq } from "../base/ids.ts";
import { type ChainedEntry, decodeEntry, sameHash } from "./entry-format.ts";

export const segmentHeadBytes = 8 + 4 + 8 + hashBytes + 4;
const recordHeadBytes = 8;

export interface SegmentHead {
  readonly firstSeq: Seq;
  readonly previousHash: Uint8Array;
}

export interface Scan {
  readonly entries: readonly ChainedEntry[];
  /** Where each entry's record begins. */
  readonly positions: readonly number[];
  /** Where the good records end; what follows is the torn tail. */
  readonly end: number;
}

export function encodeSegmentHead(head: SegmentHead): Uint8Array {
  const writer = new ByteWriter(segmentHeadBytes);
  writer.utf8(segmentMagic, segmentMagic.length);
  writer.uint32(segmentVersion);
  writer.int64(head.firstSeq);
  writer.bytes(head.previousHash);
  const bytes = writer.toBytes();
  const crc = new ByteWriter();
  crc.uint32(crc32c(bytes));
  return joined([bytes, crc.toBytes()]);
}

/** undefined when the head was never written whole: the file was being made. */
export function decodeSegmentHead(bytes: Uint8Array, source: string): SegmentHead | undefined {
  if (bytes.length < segmentHeadBytes) return undefined;
  const reader = new ByteReader(bytes, { source });
  const magic = reader.utf8(segmentMagic.length);
  const version = reader.uint32();
  const firstSeq = reader.int64() as Seq;
  const previousHash = reader.view(hashBytes).slice();
  if (reader.uint32() !== crc32c(bytes.subarray(0, segmentHeadBytes - 4))) return undefined;
  if (magic !== segmentMagic) reader.corrupt("a metadata log segment", JSON.stringify(magic));
  if (version !== segmentVersion) reader.corrupt(`version ${segmentVersion}`, `version ${version}`);
  return { firstSeq, previousHash };
}

export function encodeRecord(entry: Uint8Array): readonly Uint8Array[] {
  const head = new ByteWriter(recordHeadBytes);
  head.uint32(entry.length);
  head.uint32(crc32c(entry));
  return [head.toBytes(), entry];
}

/** All good records from `position` on. Throws CorruptData on what cannot be a torn tail. */
export function scanRecords(bytes: Uint8Array, at: ScanStart, source: string): Scan {
  const entries: ChainedEntry[] = [];
  const positions: number[] = [];
  let position = at.position;
  let { seq, hash } = at;
  for (;;) {
    const entry = recordAt(bytes, position, source);
    if (entry === undefined) break;
    const isNext = entry.seq === seq && (hash === undefined || sameHash(entry.previousHash, hash));
    if (!isNext) throw corrupt(source, position, `entry ${seq} after the one before`, `entry ${entry.seq}`);
    entries.push(entry);
    positions.push(position);
    position += recordBytes(entry);
    seq = (seq + 1) as Seq;
    hash = entry.hash;
  }
  return { entries, positions, end: position };
}

export interface ScanStart {
  readonly position: number;
  /** Of the record there. */
  readonly seq: Seq;
  /** Of the entry before it; undefined when the caller does not know. */
  readonly hash: Uint8Array | undefined;
}

/** Throws when a good record of a later entry follows somewhere after the end: then the end was durable once. */
export function requireTornTail(bytes: Uint8Array, end: number, nextSeq: Seq, source: string): void {
  for (let position = end + 1; position + recordHeadBytes + entryHeadBytes <= bytes.length; position++) {
    const entry = recordAt(bytes, position, source);
    if (entry !== undefined && entry.seq > nextSeq)
      throw corrupt(source, end, `entry ${nextSeq}`, `damage, and entry ${entry.seq} whole at byte ${position}`);
  }
}

function recordAt(bytes: Uint8Array, position: number, source: string): ChainedEntry | undefined {
  if (position + recordHeadBytes > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = view.getUint32(position);
  const start = position + recordHeadBytes;
  if (length < entryHeadBytes || start + length > bytes.length) return undefined;
  const entry = bytes.subarray(start, start + length);
  return crc32c(entry) === view.getUint32(position + 4) ? decodeEntry(entry, source) : undefined;
}

export function recordBytes(entry: { readonly events: Uint8Array }): number {
  return recordHeadBytes + entryHeadBytes + entry.events.length;
}

function corrupt(source: string, position: number, expected: string, found: string): CorruptData {
  return new CorruptData({ source, position, expected, found });
}
