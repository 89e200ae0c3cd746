/** One WAL group as bytes (schemas/stream-format.ts draws it), without any I/O. */
import { crc32, crc32c } from "@node-rs/crc32";
import {
  walAlignBytes,
  walGroupHeader,
  walMagic,
  walRecordEntry,
  walVersion,
  walVersionBefore,
} from "../../schemas/stream-format.ts";
import type { Offset, StreamId } from "../base/ids.ts";
import { layout, type Values } from "./layout.ts";
import type { WalGroup, WalPlace, WalPosition, WalRecord } from "./wal.ts";

const header = layout(walGroupHeader);
const entry = layout(walRecordEntry);

export type GroupHeader = Values<typeof walGroupHeader>;

/** What a group takes from the group before it. */
export interface GroupLink {
  readonly walId: number;
  readonly epoch: number;
  readonly seq: number;
  readonly position: number;
  readonly durable: number;
  readonly trimmed: number;
  readonly previousCrc: number;
}

export interface EncodedGroup {
  /** Borrowed from the records; a multiple of walAlignBytes in all. */
  readonly views: readonly Uint8Array[];
  readonly bytes: number;
  readonly headerCrc: number;
}

/** Enough of a group for decodeHeader. */
export const headerBytes = header.bytes;

/** Bytes that a record adds to a group. */
export function recordBytes(record: { readonly bytes: Uint8Array }): number {
  return entry.bytes + record.bytes.length;
}

/** Bytes that a group of records with this sum of recordBytes takes. */
export function groupBytes(bodyBytes: number): number {
  return alignUp(header.bytes + bodyBytes);
}

export function encodeGroup(link: GroupLink, records: readonly WalRecord[]): EncodedGroup {
  const head = Buffer.allocUnsafe(header.bytes + records.length * entry.bytes); // Written in full below.
  const bodies = joinedNeighbours(records);
  let bodyBytes = head.length - header.bytes;
  records.forEach((record, i) => {
    const { stream, after, from, to, maxTimestamp, epoch } = record;
    const at = header.bytes + i * entry.bytes;
    entry.write(head, at, { stream, after, from, to, maxTimestamp, epoch, bytes: record.bytes.length });
    bodyBytes += record.bytes.length;
  });
  let bodyCrc = crc32(head.subarray(header.bytes));
  for (const view of bodies) bodyCrc = crc32(view, bodyCrc);
  const recordCount = records.length;
  header.write(head, 0, {
    ...link,
    magic: walMagic,
    version: walVersion,
    recordCount,
    bodyBytes,
    bodyCrc,
    headerCrc: 0,
  });
  const headerCrc = crc32c(head.subarray(0, header.bytes - 4));
  head.writeUInt32BE(headerCrc, header.bytes - 4);
  const bytes = groupBytes(bodyBytes);
  const padding = zeros.subarray(0, bytes - header.bytes - bodyBytes);
  return { views: padding.length === 0 ? [head, ...bodies] : [head, ...bodies, padding], bytes, headerCrc };
}

/** The header at `at`, or undefined when there is none that could have been written there. */
export function decodeHeader(bytes: Uint8Array, at: number, position: number): GroupHeader | undefined {
  if (at + header.bytes > bytes.length) return undefined;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + at, header.bytes);
  if (view.readUInt32BE(0) !== walMagic || ![walVersion, walVersionBefore].includes(view.readUInt32BE(4)))
    return undefined;
  if (crc32c(view.subarray(0, header.bytes - 4)) !== view.readUInt32BE(header.bytes - 4)) return undefined;
  const values = header.read(bytes, at, "wal");
  return values.position === position ? values : undefined;
}

/** Whether the group's body, too, is what was written. */
export function isBodyIntact(bytes: Uint8Array, at: number, group: GroupHeader): boolean {
  const start = at + header.bytes;
  if (start + group.bodyBytes > bytes.length) return false;
  if (group.recordCount * entry.bytes > group.bodyBytes) return false;
  const body = bytes.subarray(start, start + group.bodyBytes);
  return (group.version === walVersionBefore ? crc32c(body) : crc32(body)) === group.bodyCrc;
}

/** Visits the records of an intact group. `end` of the last record is the end of the group. */
export function visitRecords(
  bytes: Uint8Array,
  at: number,
  group: GroupHeader,
  visit: (record: WalRecord, end: WalPosition, place: WalPlace) => void,
): void {
  const place: WalGroup = { position: group.position as WalPosition, bytes: groupBytes(group.bodyBytes) };
  let body = at + header.bytes + group.recordCount * entry.bytes;
  for (let i = 0; i < group.recordCount; i += 1) {
    const values = entry.read(bytes, at + header.bytes + i * entry.bytes, "wal");
    const record: WalRecord = {
      stream: values.stream as StreamId,
      epoch: values.epoch,
      after: values.after as Offset,
      from: values.from as Offset,
      to: values.to as Offset,
      maxTimestamp: values.maxTimestamp,
      bytes: bytes.subarray(body, body + values.bytes),
    };
    const from = body - at;
    body += values.bytes;
    const end = i === group.recordCount - 1 ? place.bytes : body - at;
    visit(record, (group.position + end) as WalPosition, { group: place, at: from });
  }
}

/** Calls back with the end and the place of each record, as visitRecords gives them, for a group that was written there. */
export function placeRecords<Record extends WalRecord>(
  group: WalGroup,
  records: readonly Record[],
  placed: (record: Record, end: WalPosition, place: WalPlace) => void,
): void {
  let at = header.bytes + records.length * entry.bytes;
  for (let i = 0; i < records.length; i += 1) {
    const record = records[i] as Record;
    const place = { group, at };
    at += record.bytes.length;
    const end = i === records.length - 1 ? group.bytes : at;
    placed(record, (group.position + end) as WalPosition, place);
  }
}

export function alignUp(bytes: number): number {
  return Math.ceil(bytes / walAlignBytes) * walAlignBytes;
}

const zeros = new Uint8Array(walAlignBytes);

/** Batches lie back to back in their slab most of the time: neighbours become one view, one CRC call, one iovec. */
function joinedNeighbours(records: readonly WalRecord[]): readonly Uint8Array[] {
  const views: Uint8Array[] = [];
  let last: Uint8Array | undefined;
  for (const { bytes } of records) {
    if (bytes.length === 0) continue;
    if (last !== undefined && last.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset) {
      last = new Uint8Array(last.buffer, last.byteOffset, last.length + bytes.length);
      views[views.length - 1] = last;
    } else {
      last = bytes;
      views.push(bytes);
    }
  }
  return views;
}
