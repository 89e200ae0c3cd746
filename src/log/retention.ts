/** Where a partition's log should start, by age and by size. Pure. */
import type { Offset } from "../base/ids.ts";
import type { RangeSummary } from "../stream/storage.ts";

export interface RetentionPolicy {
  /** -1 keeps for ever. */
  readonly retentionMs: number;
  /** -1 keeps any amount. */
  readonly retentionBytes: number;
}

/**
 * The first offset to keep; `start` when nothing may go. Whole ranges go, oldest first, as Kafka's segments do: by age when
 * their newest record is too old, by size when what remains is still at least the limit. Nothing at or above `upTo` goes.
 */
export function retainedFrom(
  ranges: readonly RangeSummary[],
  policy: RetentionPolicy,
  at: { readonly start: Offset; readonly upTo: Offset; readonly nowMs: number },
): Offset {
  let excess =
    policy.retentionBytes < 0 ? -1 : ranges.reduce((sum, range) => sum + range.bytes, 0) - policy.retentionBytes;
  let keepFrom = at.start;
  for (const range of ranges) {
    const isOld =
      policy.retentionMs >= 0 && range.maxTimestamp >= 0 && at.nowMs - range.maxTimestamp > policy.retentionMs;
    // Cleaning left nothing of it: it has no age, and must not keep what follows it.
    const isEmptied = range.bytes === 0 && (policy.retentionMs >= 0 || policy.retentionBytes >= 0);
    const isExcess = excess >= range.bytes && policy.retentionBytes >= 0;
    if (!(isOld || isExcess || isEmptied) || range.to > at.upTo) break;
    excess -= range.bytes;
    keepFrom = Math.max(keepFrom, range.to) as Offset;
  }
  return keepFrom;
}
