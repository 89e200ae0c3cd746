/** What the files of a WAL hold, group by group, and what recovery would make of it. Nothing is written. */
import { walAlignBytes } from "../../schemas/stream-format.ts";
import type { Disk } from "../base/disk.ts";
import { KiB } from "../base/settings.ts";
import type { WalPosition, WalRecord } from "../stream/wal.ts";
import {
  decodeHeader,
  type GroupHeader,
  groupBytes,
  headerBytes,
  isBodyIntact,
  visitRecords,
} from "../stream/wal-format.ts";
import { scanWal } from "../stream/wal-recovery.ts";
import { openSegments, requireNoGap, type Segment } from "../stream/wal-segments.ts";

export interface WalSummary {
  readonly segments: readonly { readonly start: number; readonly bytes: number }[];
  /** Where writing would go on; undefined in a WAL without segments. */
  readonly tail: number | undefined;
  /** Nothing below is needed. */
  readonly trimmed: number;
  readonly lastSeq: number;
  readonly records: number;
}

export interface GroupSeen {
  readonly segment: number;
  readonly header: GroupHeader;
  readonly isIntact: boolean;
  /** Empty unless the group is intact and records were asked for. The bytes are borrowed until the next group. */
  readonly records: readonly WalRecord[];
}

/**
 * Follows the chain as a start would, with one segment in memory. Throws CorruptData where a start would refuse to go on.
 * `end` of `visit` is that of the record.
 */
export async function recoverable(
  disk: Disk,
  directory: string,
  visit: (record: WalRecord, end: WalPosition) => void = () => undefined,
): Promise<WalSummary> {
  return await withSegments(disk, directory, async (segments) => {
    const shown = segments.map(({ start, bytes }) => ({ start, bytes }));
    requireNoGap(segments);
    if (segments.length === 0) return { segments: shown, tail: undefined, trimmed: 0, lastSeq: 0, records: 0 };
    let records = 0;
    const found = await scanWal(segments, (record, end) => {
      records += 1;
      visit(record, end);
    });
    const tail = (segments[found.segment] as Segment).start + found.at;
    return { segments: shown, tail, trimmed: found.trimmed, lastSeq: found.last?.seq ?? 0, records };
  });
}

/** Every group that lies in the files, whether it counts or is left from before, with one group in memory. */
export async function eachGroup(
  disk: Disk,
  directory: string,
  options: { readonly withRecords: boolean },
  seen: (group: GroupSeen) => void,
): Promise<void> {
  await withSegments(disk, directory, async (segments) => {
    for (const segment of segments) await eachGroupOf(segment, options.withRecords, seen);
  });
}

async function eachGroupOf(segment: Segment, withRecords: boolean, seen: (group: GroupSeen) => void): Promise<void> {
  const window = new Uint8Array(windowBytes);
  let [from, end] = [0, 0];
  for (let at = 0; at + headerBytes <= segment.bytes; ) {
    if (at < from || at + headerBytes > end) {
      from = at;
      end = at + (await segment.file.read(window, at));
      if (end < at + headerBytes) return; // Shorter than it was when it was opened.
    }
    const header = decodeHeader(window.subarray(at - from, at - from + headerBytes), 0, segment.start + at);
    if (header === undefined) {
      at += walAlignBytes;
      continue;
    }
    const bytes = new Uint8Array(Math.min(groupBytes(header.bodyBytes), segment.bytes - at));
    await segment.file.read(bytes, at);
    const isIntact = isBodyIntact(bytes, 0, header);
    const records: WalRecord[] = [];
    if (isIntact && withRecords) visitRecords(bytes, 0, header, (record) => records.push(record));
    seen({ segment: segment.start, header, isIntact, records });
    at += isIntact ? groupBytes(header.bodyBytes) : walAlignBytes;
  }
}

/** Headers are looked for a window at a time. */
const windowBytes = 256 * KiB;

async function withSegments<T>(
  disk: Disk,
  directory: string,
  work: (segments: readonly Segment[]) => Promise<T>,
): Promise<T> {
  const segments = await openSegments(disk, directory, "read");
  try {
    return await work(segments);
  } finally {
    for (const { file } of segments) await file[Symbol.asyncDispose]();
  }
}
