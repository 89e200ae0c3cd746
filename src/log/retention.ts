/** Where a partition's log should start, by age and by size, and what waits for the lake. Pure. */
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

/** What of a partition is not where its records are copied to. */
export interface RetentionHold {
  /** Records from here on are not there. */
  readonly upTo: Offset;
  /** They stay until they are there. Else they go when they are due, and are counted. */
  readonly waits: boolean;
}

/** What would have gone, had nothing waited for it. */
export interface Held {
  readonly bytes: number;
  /** Since when its oldest records are due by their age; 0 when they are due by size alone. */
  readonly overdueMs: number;
}

export interface RetentionPlan {
  readonly keepFrom: Offset;
  /** undefined where nobody copies the records. */
  readonly held: Held | undefined;
  /** Offsets that go before they were copied. */
  readonly lost: number;
}

export function planRetention(
  ranges: readonly RangeSummary[],
  policy: RetentionPolicy,
  at: { readonly start: Offset; readonly highWatermark: Offset; readonly nowMs: number },
  hold: RetentionHold | undefined,
): RetentionPlan {
  const due = retainedFrom(ranges, policy, { ...at, upTo: at.highWatermark });
  if (hold === undefined) return { keepFrom: due, held: undefined, lost: 0 };
  if (!hold.waits) {
    const lost = Math.max(0, due - Math.max(hold.upTo, at.start));
    return { keepFrom: due, held: { bytes: 0, overdueMs: 0 }, lost };
  }
  const upTo = Math.min(hold.upTo, at.highWatermark) as Offset;
  const keepFrom = retainedFrom(ranges, policy, { ...at, upTo });
  const kept = ranges.filter((range) => range.to > keepFrom && range.to <= due);
  const bytes = kept.reduce((sum, range) => sum + range.bytes, 0);
  const ages = kept.flatMap(({ maxTimestamp }) =>
    maxTimestamp < 0 ? [] : [at.nowMs - maxTimestamp - policy.retentionMs],
  );
  const overdueMs = policy.retentionMs < 0 ? 0 : Math.max(0, ...ages);
  return { keepFrom, held: { bytes, overdueMs }, lost: 0 };
}
