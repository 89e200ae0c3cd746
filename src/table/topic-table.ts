/** Which of the tables in the metadata log is a topic's own, and which are built beside it. Pure. */
import type { Uuid } from "../base/ids.ts";
import type { TableInfo } from "../metadata/image.ts";
import type { TableSettings } from "./settings.ts";

/** What the settings say of where a table is. */
export type ConfiguredTable = Pick<TableSettings, "catalog" | "namespace" | "table">;

/**
 * Only tables built beside a topic's own have it, from the entry on that creates them: it ends where the topic did then, and
 * so does the table.
 */
export const besideLane = "beside";

/** Of a table that was built beside and is the topic's own since (adoption.ts): the partitions that go on in it. */
export const adoptedLane = "adopted";

/**
 * The newest generation of the name that the settings say, one that was built beside included; or else of those that were the
 * topic's own: people rename tables in their catalog, and say the new name then.
 */
export function ownTable(
  tables: Iterable<TableInfo>,
  topicId: Uuid | undefined,
  configured: ConfiguredTable,
): TableInfo | undefined {
  const known = [...tables].filter((table) => table.topicId === topicId);
  return (
    newest(known.filter((table) => isNamed(table, configured))) ?? newest(known.filter((table) => !isBeside(table)))
  );
}

/** Those that the settings do not name. */
export function besideTables(
  tables: Iterable<TableInfo>,
  topicId: Uuid | undefined,
  configured: ConfiguredTable,
): readonly TableInfo[] {
  return [...tables].filter((table) => table.topicId === topicId && isBeside(table) && !isNamed(table, configured));
}

/** The one of that very name. */
export function besideTable(tables: Iterable<TableInfo>, topicId: Uuid, name: ConfiguredTable): TableInfo | undefined {
  return [...tables].find((table) => table.topicId === topicId && isBeside(table) && isNamed(table, name));
}

/** Tables of other names that were the topic's own before this one, and still run. */
export function formerTables(tables: Iterable<TableInfo>, own: TableInfo): readonly TableInfo[] {
  const isOther = (table: TableInfo): boolean => table.catalog !== own.catalog || baseName(table) !== baseName(own);
  return [...tables].filter(
    (table) => table.topicId === own.topicId && table.state === "running" && !isBeside(table) && isOther(table),
  );
}

function isBeside({ lanes }: TableInfo): boolean {
  return lanes.has(besideLane) && !lanes.has(adoptedLane);
}

function isNamed(table: TableInfo, { catalog, namespace, table: name }: ConfiguredTable): boolean {
  return table.catalog === catalog && baseName(table) === [...namespace, name].join(".");
}

/** Without its generation. */
function baseName({ name }: TableInfo): string {
  return name.replace(/__g\d+$/, "");
}

function newest(tables: readonly TableInfo[]): TableInfo | undefined {
  return tables.reduce<TableInfo | undefined>(
    (newest, table) => (table.generation >= (newest?.generation ?? 0) ? table : newest),
    undefined,
  );
}
