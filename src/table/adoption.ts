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
import { adoptedLane, besideLane, formerTables } from "./topic-table.ts";

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
    /** All in the metadata log. */
    readonly tables: readonly TableInfo[];
    /** Else the broker that commits to the table begins. */
    readonly isCommitter: boolean;
  },
): Adoption {
  const { settings, tables, isCommitter } = known;
  const adopted = table.lanes.get(adoptedLane);
  const views = known.views.filter(({ partition }) => adopted?.has(partition) !== true);
  if (!table.lanes.has(besideLane) || views.length === 0) return { kind: "none" };
  const others = tables.filter(({ id, topicId }) => id !== table.id && topicId === table.topicId);
  const joins = views.map((view) => ({ ...view, at: joinAt(table, view, others) }));
  if (adopted === undefined && !isCommitter)
    return { kind: "refused", reason: `the broker of partition 0 does not write to ${table.name} yet` };
  const reason = unfitReason(table, settings, joins);
  if (reason !== undefined) return { kind: "refused", reason };
  const { id, generation } = table;
  const ranges = joins.map(({ partition, at }) => emptyRange(partition, at));
  const gap = gapReason(table, settings, joins);
  // In one entry of the log: a broker that knows the table of before alone would else find both running, and leave this one.
  const leaves = isCommitter && table.state === "running" ? leaveFormer(table, tables, settings) : [];
  const states = gap === undefined ? leaves : [paused(id, gap)];
  return { kind: "adopts", events: [emptyRound(id, generation, adoptedLane, ranges), ...states] };
}

/** One table is the topic's at a time; records go into another one again when a person says so, since it may lack some. */
export function leaveFormer(
  own: TableInfo,
  tables: readonly TableInfo[],
  { topic }: Pick<TableSettings, "topic">,
): readonly MetadataEvent[] {
  return formerTables(tables, own).map(({ id }) => paused(id, `topic ${topic} went on with ${own.name}`));
}

function paused(table: TableInfo["id"], reason: string): MetadataEvent {
  return { kind: "table-state", table, state: "paused", reason };
}

/** A partition, and where the table goes on in it. */
type Join = PartitionView & { readonly at: Offset };

/**
 * Where the table ended. A partition that came since is in it from its beginning on; but where no other table has anything of
 * it, its beginning is what the log has, as for every table (nextRanges): what went before is not this table's loss.
 */
function joinAt(table: TableInfo, { partition, logStart }: PartitionView, others: readonly TableInfo[]): Offset {
  const end = table.lanes.get(besideLane)?.get(partition);
  if (end !== undefined) return end;
  return others.some(({ translatedTo }) => translatedTo.has(partition)) ? (0 as Offset) : logStart;
}

/** What other settings put right. */
function unfitReason(
  table: TableInfo,
  { topic, table: name, errors }: TableSettings,
  joins: readonly Join[],
): string | undefined {
  const state = tableStateOf(table);
  const isBehind = joins.some(({ at, logStart }) => at > logStart);
  if (state?.backfill === undefined && isBehind)
    return `${table.name} holds nothing of the topic yet: name the table of before again, and run inlet table backfill ${topic} --into ${table.name}`;
  if (errors.policy === "dlq" && (state?.deadLetterPlaces ?? null) !== null && errors.deadLetterTable !== `${name}_dlq`)
    return `dead letters of ${table.name} are in ${name}_dlq: leave errors.dlq.table out, or set it to that`;
  return undefined;
}

/** What a person decides on. */
function gapReason(table: TableInfo, { topic }: TableSettings, joins: readonly Join[]): string | undefined {
  const gap = joins.find(({ at, logStart }) => logStart > at);
  if (gap === undefined) return undefined;
  const records = `records ${gap.at} to ${gap.logStart - 1} of partition ${gap.partition}`;
  const wayOut = `name the table of before again, or go on without them: inlet table resume ${topic} --accept`;
  return `${records} went from the log before ${table.name} became the topic's table: ${wayOut}`;
}
