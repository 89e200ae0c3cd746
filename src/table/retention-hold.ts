/** What the lake does not hold yet, and what retention makes of that. Pure. */
import type { Offset, Uuid } from "../base/ids.ts";
import type { RetentionHold } from "../log/retention.ts";
import type { Image, TableInfo } from "../metadata/image.ts";
import type { TableSettings } from "./settings.ts";
import { tableStateOf } from "./table-state.ts";
import { backfillHold, beginLane } from "./tools/backfill-plan.ts";
import { besideTables, type ConfiguredTable, ownTable } from "./topic-table.ts";

/** By the topic's name; undefined when it becomes no table. */
export function lakeTables(tables: readonly TableSettings[]): (topic: string) => LakeTable | undefined {
  const byTopic = new Map(tables.map((table) => [table.topic, table]));
  return (topic) => byTopic.get(topic);
}

export type LakeTable = ConfiguredTable & Pick<TableSettings, "retention">;

/**
 * From the first offset of the partition that is not in the topic's table; undefined when nobody waits for one. Before its
 * table exists a topic has nothing in it; history that a backfill still has to bring is not there either. Of several
 * generations the newest counts: it may be translated anew from the start. Tables that are built beside it count while they run.
 */
export function retentionHold(
  image: Image,
  tableOf: (topic: string) => LakeTable | undefined,
  at: { readonly topicId: Uuid; readonly partition: number },
): RetentionHold | undefined {
  const topic = image.topic(at.topicId);
  const configured = topic === undefined ? undefined : tableOf(topic.name);
  if (configured === undefined || configured.retention === "off") return undefined;
  const own = ownTable(image.tables(), at.topicId, configured);
  const needed = (own && historyHold(own, at.partition)) ?? own?.committedTo.get(at.partition) ?? (0 as Offset);
  const beside = besideTables(image.tables(), at.topicId, configured)
    .filter(({ state }) => state === "running")
    .flatMap((table) => historyHold(table, at.partition) ?? []);
  const upTo = Math.min(needed, ...beside) as Offset;
  return { upTo, waits: configured.retention === "wait" };
}

function historyHold(table: TableInfo, partition: number): Offset | undefined {
  const backfill = table.lanes.has(beginLane) ? tableStateOf(table)?.backfill : undefined;
  return backfill === undefined ? undefined : backfillHold(backfill, table, partition);
}
