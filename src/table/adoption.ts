/**
 * A table that was built beside a topic's own becomes the topic's own when the settings name it: it goes on where it ended,
 * which its lanes say, and the table of before stays where it is. Decided here, partition by partition, and once. Pure.
 *
 *   log start ────────────── F ─────────── last stable
 *   beside    ═══════════════╡               "beside", "begin" and "live" stand at F
 *   own                      ╞═══════════▶   from the entry of the lane "adopted" on
 */
import type { Offset } from "../base/ids.ts";
import type { MetadataEvent } from "../metadata/events.ts";
import type { TableInfo } from "../metadata/image.ts";
import { emptyRange, emptyRound, type PartitionView } from "./rounds.ts";
import type { TableSettings } from "./settings.ts";
import { tableStateOf } from "./table-state.ts";
import { adoptedLane, besideLane } from "./topic-table.ts";

export type Adoption =
  /** It is the topic's own already, in all partitions that are here. */
  | { readonly kind: "none" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "adopts"; readonly events: readonly MetadataEvent[] };

export function planAdoption(
  table: TableInfo,
  known: {
    readonly settings: TableSettings;
    readonly views: readonly PartitionView[];
    /** Else the broker that commits to the table begins. */
    readonly isCommitter: boolean;
  },
): Adoption {
  const { settings, isCommitter } = known;
  const adopted = table.lanes.get(adoptedLane);
  const views = known.views.filter(({ partition }) => adopted?.has(partition) !== true);
  if (!table.lanes.has(besideLane) || views.length === 0) return { kind: "none" };
  if (adopted === undefined && !isCommitter)
    return { kind: "refused", reason: `the broker of partition 0 does not write to ${table.name} yet` };
  const reason = unfitReason(table, settings, views);
  if (reason !== undefined) return { kind: "refused", reason };
  const { id, generation } = table;
  const ranges = views.map(({ partition }) => emptyRange(partition, endOf(table, partition)));
  const gap = gapReason(table, settings, views);
  return {
    kind: "adopts",
    events: [
      emptyRound(id, generation, adoptedLane, ranges),
      ...(gap === undefined ? [] : [{ kind: "table-state", table: id, state: "paused", reason: gap } as const]),
    ],
  };
}

/** What other settings put right. */
function unfitReason(
  table: TableInfo,
  { topic, table: name, errors }: TableSettings,
  views: readonly PartitionView[],
): string | undefined {
  const state = tableStateOf(table);
  const isBehind = views.some(({ partition, logStart }) => endOf(table, partition) > logStart);
  if (state?.backfill === undefined && isBehind)
    return `${table.name} holds nothing of the topic yet: name the table of before again, and run inlet table backfill ${topic} --into ${table.name}`;
  if (errors.policy === "dlq" && (state?.deadLetterPlaces ?? null) !== null && errors.deadLetterTable !== `${name}_dlq`)
    return `dead letters of ${table.name} are in ${name}_dlq: leave errors.dlq.table out, or set it to that`;
  return undefined;
}

/** What a person decides on. */
function gapReason(table: TableInfo, { topic }: TableSettings, views: readonly PartitionView[]): string | undefined {
  const gap = views.find(({ partition, logStart }) => logStart > endOf(table, partition));
  if (gap === undefined) return undefined;
  const records = `records ${endOf(table, gap.partition)} to ${gap.logStart - 1} of partition ${gap.partition}`;
  const wayOut = `name the table of before again, or go on without them: inlet table resume ${topic} --accept`;
  return `${records} went from the log before ${table.name} became the topic's table: ${wayOut}`;
}

/** A partition that came later is in it from the partition's beginning on. */
function endOf(table: TableInfo, partition: number): Offset {
  return table.lanes.get(besideLane)?.get(partition) ?? (0 as Offset);
}
