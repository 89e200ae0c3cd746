/**
 * Which blocks of a range a read takes, and which its reader is likely to want next. A block that is read in part is read
 * again, so a read ends where a block does once it has half of what was asked for:
 *
 *   | block | block | block | block | block | block |
 *        ^ from                         ^ to
 *        |-- wanted --|----- ahead -----|
 */
import type { Offset } from "../base/ids.ts";
import type { IndexedBlock } from "./object-format.ts";

export interface PlannedRead {
  readonly from: Offset;
  readonly to: Offset;
  readonly bytesMax: number;
  /** Comes after others: takes nothing rather than a part of a block. */
  readonly mayBeEmpty?: boolean;
  /** How much is read ahead, bytes; by a block more. */
  readonly aheadBytesMax: number;
}

export interface ReadPlan {
  readonly wanted: readonly IndexedBlock[];
  readonly ahead: readonly IndexedBlock[];
  readonly aheadBytes: number;
  /** Nothing before `to` is left out. */
  readonly isWhole: boolean;
}

/** `blocks` are those that end after `from`, in order. */
export function planRead(blocks: Iterable<IndexedBlock>, read: PlannedRead): ReadPlan {
  const wanted: IndexedBlock[] = [];
  const ahead: IndexedBlock[] = [];
  let wantedBytes = 0;
  let aheadBytes = 0;
  let isWhole = true;
  for (const block of blocks) {
    if (block.from >= read.to) break;
    const bytes = block.bytes * shareFrom(block, read.from);
    const isEnough = wanted.length > 0 ? wantedBytes >= read.bytesMax / 2 : read.mayBeEmpty === true;
    if (isWhole && !(isEnough && wantedBytes + bytes > read.bytesMax)) {
      wanted.push(block);
      wantedBytes += bytes;
      continue;
    }
    isWhole = false;
    if (aheadBytes >= read.aheadBytesMax) break;
    ahead.push(block);
    aheadBytes += block.bytes;
  }
  return { wanted, ahead, aheadBytes, isWhole };
}

/** About how much of the block lies at or after the offset. */
function shareFrom(block: IndexedBlock, from: Offset): number {
  return Math.min(1, (block.to - from) / (block.to - block.from));
}
