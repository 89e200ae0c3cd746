/** Which of the tables in the metadata log is a topic's own, and which are built beside it. Pure. */
import type { Uuid } from "../base/ids.ts";
import type { TableInfo } from "../metadata/image.ts";

/**
 * Only tables built beside a topic's own have it, from the entry on that creates them: it ends where the topic did then, and
 * so does the table.
 */
export const besideLane = "beside";

/** The newest generation. */
export function ownTable(tables: Iterable<TableInfo>, topicId: Uuid | undefined): TableInfo | undefined {
  let newest: TableInfo | undefined;
  for (const table of tables) {
    if (table.topicId !== topicId || table.lanes.has(besideLane)) continue;
    if (table.generation > (newest?.generation ?? 0)) newest = table;
  }
  return newest;
}

export function besideTables(tables: Iterable<TableInfo>, topicId: Uuid | undefined): readonly TableInfo[] {
  return [...tables].filter((table) => table.topicId === topicId && table.lanes.has(besideLane));
}
