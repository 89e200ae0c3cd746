/**
 * Whether a compacted partition is due for cleaning, and how far that may go. Pure.
 *
 *   start ──── clean ──── cleanedTo ──── dirty ──── upTo ──── not yet: open transactions, too young, not in an object
 */
import type { Offset } from "../../base/ids.ts";
import type { RangeSummary } from "../../stream/storage.ts";
import type { TopicConfig } from "../topic-config.ts";

/** How far the cleaner has come with a partition. Goes with the partition's sidecar: lost, it costs a second look, no more. */
export interface CleaningProgress {
  /** Below, each key has one record, save for tombstones and what they are followed by. */
  readonly cleanedTo: Offset;
  /** When the last of the tombstones and markers that cleaning left may go; 0 when it left none. */
  readonly horizonMs: number;
}

export const nothingCleaned: CleaningProgress = { cleanedTo: 0 as Offset, horizonMs: 0 };

export interface CleaningBounds {
  readonly start: Offset;
  readonly lastStable: Offset;
  /** What is not in the lake yet; undefined for no bound. */
  readonly hold: Offset | undefined;
  readonly nowMs: number;
}

export interface CleaningPlan {
  /** Records from here on are dirty: they may replace older ones. */
  readonly dirtyFrom: Offset;
  readonly upTo: Offset;
  /** Dirty bytes of all bytes that may be cleaned. */
  readonly dirtyRatio: number;
}

type CleaningConfig = Pick<
  TopicConfig,
  "cleanupPolicy" | "dirtyRatioMin" | "compactionLagMsMin" | "compactionLagMsMax"
>;

/** `stored` is what objects hold, in offset order. undefined when cleaning is not due. */
export function planCleaning(
  stored: readonly RangeSummary[],
  progress: CleaningProgress,
  config: CleaningConfig,
  bounds: CleaningBounds,
): CleaningPlan | undefined {
  if (!config.cleanupPolicy.compact) return undefined;
  const { start, lastStable, hold, nowMs } = bounds;
  const dirtyFrom = Math.max(start, progress.cleanedTo) as Offset;
  const dirty = stored.filter((range) => range.to > dirtyFrom);
  const youngest = nowMs - config.compactionLagMsMin;
  const tooYoung = config.compactionLagMsMin > 0 ? dirty.find((range) => range.maxTimestamp > youngest) : undefined;
  const upTo = Math.min(
    stored.at(-1)?.to ?? start,
    lastStable,
    hold ?? lastStable,
    tooYoung?.from ?? lastStable,
  ) as Offset;
  const cleanable = dirty.filter((range) => range.from < upTo);
  const dirtyBytes = upTo > dirtyFrom ? bytesOf(cleanable) : 0;
  const cleanBytes = bytesOf(stored.filter((range) => range.to <= dirtyFrom && range.to > start));
  const dirtyRatio = dirtyBytes === 0 ? 0 : dirtyBytes / (dirtyBytes + cleanBytes);
  const isOverdue = cleanable.some(
    (range) =>
      range.maxTimestamp >= 0 &&
      nowMs - range.maxTimestamp > Math.max(config.compactionLagMsMax, config.compactionLagMsMin),
  );
  const isDirtyEnough = dirtyBytes > 0 && (dirtyRatio > config.dirtyRatioMin || isOverdue);
  const hasRipeTombstones = progress.horizonMs > 0 && nowMs >= progress.horizonMs && upTo >= dirtyFrom;
  return isDirtyEnough || hasRipeTombstones ? { dirtyFrom, upTo, dirtyRatio } : undefined;
}

function bytesOf(ranges: readonly RangeSummary[]): number {
  return ranges.reduce((sum, range) => sum + range.bytes, 0);
}
