/** The words of layout.sort_by: a column, with asc or desc and nulls first or nulls last behind it. */
import type { SortBy } from "../table/settings.ts";
import type { Parsed } from "./shape.ts";

/** Source of a regular expression for editors. */
export const sortPattern =
  "^[^\\s(),]+(\\s+([aA][sS][cC]|[dD][eE][sS][cC]))?(\\s+[nN][uU][lL][lL][sS]\\s+([fF][iI][rR][sS][tT]|[lL][aA][sS][tT]))?$";

/** As in SQL and in Iceberg's reference: ascending puts nulls first, descending puts them last, unless it is said. */
export function parseSortBy(written: string): Parsed<SortBy> {
  const match = /^([^\s(),]+)(?:\s+(asc|desc))?(?:\s+nulls\s+(first|last))?$/i.exec(written.trim());
  if (match === null) return { kind: "refused", mustBe: "a column, c desc, or c desc nulls last" };
  const direction = match[2]?.toLowerCase() === "desc" ? "desc" : "asc";
  const said = match[3]?.toLowerCase();
  const nulls = said === "first" || said === "last" ? said : nullsOf(direction);
  return { kind: "value", value: { column: match[1] as string, direction, nulls } };
}

export function showSortBy({ column, direction, nulls }: SortBy): string {
  const words = [column, ...(direction === "desc" ? ["desc"] : [])];
  return (nulls === nullsOf(direction) ? words : [...words, "nulls", nulls]).join(" ");
}

function nullsOf(direction: SortBy["direction"]): SortBy["nulls"] {
  return direction === "asc" ? "first" : "last";
}
