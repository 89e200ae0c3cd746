/**
 * Finds what a WAL holds, and tells a torn tail from corruption.
 *
 *   | group | group | group | ? ...        The first group that does not continue the chain is the tail, unless a header
 *                           ^ tail         behind it says that the tail was durable once: then bytes have rotted.
 */
import { walAlignBytes } from "../../schemas/stream-format.ts";
import { CorruptData } from "../base/errors.ts";
import type { Wal } from "./wal.ts";
import {
  alignUp,
  decodeHeader,
  type GroupHeader,
  groupBytes,
  headerBytes,
  isBodyIntact,
  visitRecords,
} from "./wal-format.ts";
import type { Segment } from "./wal-segments.ts";

/** Where writing goes on. */
export interface WalTail {
  /** Index of the segment. */
  readonly segment: number;
  /** In the segment. */
  readonly at: number;
  /** Nothing below is needed. */
  readonly trimmed: number;
  /** The last group; undefined in an empty WAL. */
  readonly last: GroupHeader | undefined;
  /** The groups of which none says that they were durable, in order, and the segments that hold them. The last is one. */
  readonly unproven: readonly { readonly index: number; readonly group: GroupHeader }[];
}

export async function scanWal(segments: readonly Segment[], visit: Parameters<Wal["recover"]>[0]): Promise<WalTail> {
  let last: GroupHeader | undefined;
  const begin = await firstNeeded(segments);
  const trimmed = (segments[begin] as Segment).start;
  let tail: WalTail = { segment: begin, at: 0, trimmed, last: undefined, unproven: [] };
  let unproven: WalTail["unproven"] = [];
  let memory = new Uint8Array();
  for (let index = begin; index < segments.length; index += 1) {
    const segment = segments[index] as Segment;
    if (memory.length < segment.bytes) memory = new Uint8Array(segment.bytes);
    const bytes = memory.subarray(0, segment.bytes);
    await readSegment(segment, bytes);
    let at = 0;
    // The writer leaves the rest of a segment, or all of it, when a group does not fit: the chain goes on at the start of a
    // later one. It begins where nothing that was durable lies before.
    const first = groupAt(bytes, 0, segment.start);
    if (first !== undefined && (last === undefined ? first.durable <= trimmed : continues(last, first))) {
      for (let group: GroupHeader | undefined = first; group !== undefined; ) {
        visitRecords(bytes, at, group, visit);
        last = group;
        const { durable } = group;
        unproven = [...unproven.filter((before) => before.group.position >= durable), { index, group }];
        at += groupBytes(group.bodyBytes);
        const next = groupAt(bytes, at, segment.start);
        group = next !== undefined && continues(last, next) ? next : undefined;
      }
      tail = { segment: index, at, trimmed, last, unproven };
    }
    refuseProvenLoss(bytes, at, segment, segments, tail);
  }
  memory.buffer.transfer(0); // Back to the system at once: a broker that then has little to do may not collect for hours.
  return tail;
}

/**
 * The last segment that begins at or below a trimmed position. Segments before it wait for another use; reading all of a
 * large WAL would make every start slow.
 */
async function firstNeeded(segments: readonly Segment[]): Promise<number> {
  let trimmed = 0;
  const head = new Uint8Array(headerBytes);
  for (const { file, start } of segments) {
    await file.read(head, 0);
    trimmed = Math.max(trimmed, decodeHeader(head, 0, start)?.trimmed ?? 0);
  }
  return Math.max(
    0,
    segments.findLastIndex(({ start }) => start <= trimmed),
  );
}

/** The whole segment is read at once: at most one segment of memory, and no system call a group. */
async function readSegment(segment: Segment, into: Uint8Array): Promise<void> {
  const count = await segment.file.read(into, 0);
  if (count === into.length) return;
  const source = `WAL segment ${segment.start}`;
  throw new CorruptData({ source, position: count, expected: `${into.length} bytes`, found: `${count}` });
}

function groupAt(bytes: Uint8Array, at: number, start: number): GroupHeader | undefined {
  const header = decodeHeader(bytes, at, start + at);
  return header !== undefined && isBodyIntact(bytes, at, header) ? header : undefined;
}

function continues(last: GroupHeader, next: GroupHeader): boolean {
  const isLinked = next.seq === last.seq + 1 && next.previousCrc === last.headerCrc;
  return isLinked && next.walId === last.walId && next.epoch >= last.epoch;
}

/** Looks for a header behind the tail that was written when the tail was durable already. */
function refuseProvenLoss(
  bytes: Uint8Array,
  from: number,
  segment: Segment,
  segments: readonly Segment[],
  tail: WalTail,
): void {
  const position = (segments[tail.segment] as Segment).start + tail.at;
  for (let at = alignUp(from); at < bytes.length; at += walAlignBytes) {
    const header = decodeHeader(bytes, at, segment.start + at);
    if (header === undefined || header.durable <= position) continue;
    if (tail.last !== undefined && header.walId !== tail.last.walId) continue;
    throw new CorruptData({
      source: `WAL segment ${(segments[tail.segment] as Segment).start}`,
      position: tail.at,
      expected: `group ${(tail.last?.seq ?? 0) + 1}, which group ${header.seq} proves to have been durable`,
      found: "no such group",
    });
  }
}
