/** What an image says of ranges and objects by row, made of plain lists: an object's row is its place among the objects. */
import type { Seq } from "../../src/base/ids.ts";
import type { CommittedRange, ObjectEntry, ObjectRows, RangeRows } from "../../src/metadata/image.ts";
import type { RangeRow } from "../../src/metadata/packed-range.ts";

export function objectRowsOf(objects: ReadonlyMap<string, ObjectEntry>): ObjectRows {
  const at = (row: number): ObjectEntry | undefined => [...objects.values()][row - 1];
  return {
    key: (row) => at(row)?.key ?? "",
    bytes: (row) => at(row)?.bytes ?? 0,
    kind: (row) => at(row)?.kind ?? "stream",
    committedAt: (row) => at(row)?.committedAt ?? (0 as Seq),
  };
}

export function rangeRowsOf(ranges: readonly CommittedRange[], objects: ReadonlyMap<string, ObjectEntry>): RangeRows {
  const keys = [...objects.keys()];
  const rows = ranges.map((range): RangeRow => ({ ...range, object: keys.indexOf(range.object) + 1 }));
  let at = -1;
  return {
    get row() {
      return rows[at] as RangeRow;
    },
    next() {
      at += 1;
      return at < rows.length;
    },
  };
}
