/** What the lake does not hold yet, and what retention makes of that. Pure. */
import type { Offset, Uuid } from "../base/ids.ts";
import type { RetentionHold } from "../log/retention.ts";
import type { Image, TableInfo } from "../metadata/image.ts";
import type { TableSettings } from "./settings.ts";
import { tableStateOf } from "./table-state.ts";
import { backfillHold, beginLane } from "./tools/backfill-plan.ts";

/** By the topic's name; undefined when it becomes no table. */
export function retentionPolicies(tables: readonly TableSettings[]): (topic: string) => LakeRetention | undefined {
  const policies = new Map(tables.map(({ topic, retention }) => [topic, retention]));
  return (topic) => policies.get(topic);
}

export type LakeRetention = TableSettings["retention"];

/**
 * From the first offset of the partition that is not in the topic's table; undefined when nobody waits for one. Before its
 * table exists a topic has nothing in it; history that a backfill still has to bring is not there either. Of several
 * generations the newest counts: it may be translated anew from the start.
 */
export function retentionHold(
  image: Image,
  policyOf: (topic: string) => LakeRetention | undefined,
  at: { readonly topicId: Uuid; readonly partition: number },
): RetentionHold | undefined {
  const topic = image.topic(at.topicId);
  const policy = topic === undefined ? undefined : policyOf(topic.name);
  if (policy === undefined || policy === "off") return undefined;
  let newest: TableInfo | undefined;
  for (const table of image.tables()) {
    if (table.topicId === at.topicId && table.generation > (newest?.generation ?? 0)) newest = table;
  }
  const backfill = newest === undefined || !newest.lanes.has(beginLane) ? undefined : tableStateOf(newest)?.backfill;
  const history = backfill === undefined ? undefined : backfillHold(backfill, newest as TableInfo, at.partition);
  const upTo = history ?? newest?.committedTo.get(at.partition) ?? (0 as Offset);
  return { upTo, waits: policy === "wait" };
}
