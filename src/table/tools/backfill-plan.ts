/**
 * A table that began with what was new, and its topic's history brought in behind it. Pure.
 *
 *   log start      X          F              last stable
 *       |----------|==========|──────────────|
 *                  backfill n   live          F: where the table began, in the lane "begin" of the metadata log
 *
 * Each backfill is a lane of its own, from X up to where the one before it began, or F. The fold takes its rounds only
 * without a gap, so that nobody brings a record twice; where it stands is where its lane ends.
 */
import type { Offset } from "../../base/ids.ts";
import type { TableInfo } from "../../metadata/image.ts";
import type { NextRange, PartitionView } from "../rounds.ts";

/** In the state of the table, as JSON. Keys are partitions. */
export interface Backfill {
  readonly lane: string;
  readonly from: Readonly<Record<string, number>>;
  readonly to: Readonly<Record<string, number>>;
  /** Of record batches; null: as fast as it goes. */
  readonly bytesPerSecond: number | null;
}

export interface BackfillReport {
  readonly state: "running" | "done";
  readonly records: number;
  readonly translated: number;
  readonly committed: number;
  readonly bytesPerSecond: number | null;
  readonly partitions: readonly {
    readonly partition: number;
    readonly from: number;
    readonly to: number;
    readonly translatedTo: number;
    readonly committedTo: number;
  }[];
}

/** `beginOf`: the offset that a partition is wanted from. undefined: there is nothing to bring. */
export function planBackfill(
  known: { readonly table: TableInfo; readonly before: Backfill | undefined; readonly views: readonly PartitionView[] },
  beginOf: (view: PartitionView) => number,
  bytesPerSecond: number | null,
): Backfill | undefined {
  const { table, before, views } = known;
  const fence = table.lanes.get(beginLane);
  const from: Record<string, number> = {};
  const to: Record<string, number> = {};
  for (const view of views) {
    const key = String(view.partition);
    const end = before?.from[key] ?? fence?.get(view.partition);
    if (end === undefined) continue;
    to[key] = end;
    from[key] = Math.min(end, Math.max(view.logStart, beginOf(view)));
  }
  if (Object.keys(to).every((key) => from[key] === to[key])) return undefined;
  return { lane: `backfill ${numberOf(before) + 1}`, from, to, bytesPerSecond };
}

/** Of a table that began with what was new; a table from the log's start has none. */
export const beginLane = "begin";

function numberOf(backfill: Backfill | undefined): number {
  return Number(backfill?.lane.split(" ")[1] ?? 0);
}

/** What is still to be translated; [] when it is done. */
export function backfillRanges(
  backfill: Backfill,
  table: TableInfo,
  views: readonly PartitionView[],
): readonly NextRange[] {
  const starts = new Map(views.map(({ partition, logStart }) => [partition, logStart]));
  return progressOf(backfill, table).flatMap(({ partition, translatedTo, to }) => {
    if (translatedTo >= to) return [];
    // What retention took meanwhile counts as skips.
    const readFrom = Math.min(to, Math.max(translatedTo, starts.get(partition) ?? 0));
    return [{ partition, from: translatedTo as Offset, readFrom: readFrom as Offset, to: to as Offset }];
  });
}

export function backfillReport(backfill: Backfill, table: TableInfo): BackfillReport {
  const partitions = progressOf(backfill, table);
  const sum = (of: (each: (typeof partitions)[number]) => number): number =>
    partitions.reduce((total, each) => total + of(each), 0);
  const records = sum(({ from, to }) => to - from);
  const committed = sum(({ from, committedTo }) => committedTo - from);
  return {
    state: committed < records ? "running" : "done",
    records,
    translated: sum(({ from, translatedTo }) => translatedTo - from),
    committed,
    bytesPerSecond: backfill.bytesPerSecond,
    partitions,
  };
}

/** What retention must leave for it; undefined: nothing. */
export function backfillHold(backfill: Backfill, table: TableInfo, partition: number): Offset | undefined {
  const own = progressOf(backfill, table).find((each) => each.partition === partition);
  return own === undefined || own.committedTo >= own.to ? undefined : (own.committedTo as Offset);
}

function progressOf({ lane, from, to }: Backfill, table: TableInfo): BackfillReport["partitions"] {
  return Object.entries(to).map(([key, end]) => {
    const partition = Number(key);
    const begin = from[key] ?? end;
    const translatedTo = table.lanes.get(lane)?.get(partition) ?? begin;
    const committedTo = table.committedLanes.get(lane)?.get(partition) ?? begin;
    return { partition, from: begin, to: end, translatedTo, committedTo };
  });
}
