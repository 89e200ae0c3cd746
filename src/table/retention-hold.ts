/** What the lake does not hold yet, and retention must therefore leave in the log. Pure. */
import type { Offset, Uuid } from "../base/ids.ts";
import type { Image, TableInfo } from "../metadata/image.ts";
import { tableStateOf } from "./table-state.ts";
import { backfillHold, beginLane } from "./tools/backfill-plan.ts";

/**
 * The first offset of the partition that is not in the topic's table; undefined when the topic becomes no table. Before its
 * table exists a topic keeps everything. Of several generations the newest counts: it may be translated anew from the start.
 */
export function retentionHold(
  image: Image,
  becomesTable: (topic: string) => boolean,
  at: { readonly topicId: Uuid; readonly partition: number },
): Offset | undefined {
  const topic = image.topic(at.topicId);
  if (topic === undefined || !becomesTable(topic.name)) return undefined;
  let newest: TableInfo | undefined;
  for (const table of image.tables()) {
    if (table.topicId === at.topicId && table.generation > (newest?.generation ?? 0)) newest = table;
  }
  const backfill = newest === undefined || !newest.lanes.has(beginLane) ? undefined : tableStateOf(newest)?.backfill;
  const history = backfill === undefined ? undefined : backfillHold(backfill, newest as TableInfo, at.partition);
  return history ?? newest?.committedTo.get(at.partition) ?? (0 as Offset);
}
