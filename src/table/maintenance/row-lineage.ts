/**
 * Row lineage, kept through rewrites (Iceberg spec, "Row Lineage"; rule I4). A row inherits its id and the sequence number of
 * its last change from the file that it is in; in another file both must stand beside it, in columns with reserved ids.
 *
 *   read     file: first row id 40, sequence 3     rows without the columns, or with nulls      (40, 3) (41, 3) (42, 3)
 *   written  file: first row id 97, sequence 8     _row_id, _last_updated_sequence_number        40, 3   41, 3   42, 3
 */
import { assert } from "../../base/errors.ts";
import type { NestedField, Schema } from "../iceberg/types.ts";
import type { Columns } from "../parquet/columns.ts";
import type { Int64Leaf } from "../translate/leaf.ts";

const rowIdField: NestedField = { id: 2147483540, name: "_row_id", required: false, type: "long" };
const lastUpdatedField: NestedField = {
  id: 2147483539,
  name: "_last_updated_sequence_number",
  required: false,
  type: "long",
};

/** Where rows inherit from. */
export interface Inheritance {
  /** Of the file; null: from before the table had row ids, so that its rows have none to keep. */
  readonly firstRowId: number | null;
  readonly sequence: number;
}

/** The table's columns and those of lineage, as rewritten files have them. */
export function withLineage(schema: Schema): Schema {
  return { ...schema, fields: [...schema.fields, rowIdField, lastUpdatedField] };
}

/** A column of the table that a file could not hold beside those of lineage; undefined: there is none. */
export function lineageConflict(schema: Schema): string | undefined {
  const names = new Set([rowIdField.name, lastUpdatedField.name]);
  return schema.fields.find((field) => names.has(field.name))?.name;
}

/** Writes out what the rows from `from` on inherit. Columns without lineage are left as they are. */
export function fillLineage(
  columns: Columns,
  from: number,
  { firstRowId, sequence, firstRow }: Inheritance & { readonly firstRow: number },
): void {
  const leafOf = (field: NestedField) => columns.leaves.find((leaf) => leaf.shape.id === field.id);
  const [ids, updates] = [leafOf(rowIdField), leafOf(lastUpdatedField)];
  if (ids === undefined || updates === undefined || firstRowId === null) return;
  assert(ids.kind === "int64", "a row id is a long");
  assert(updates.kind === "int64", "a sequence number is a long");
  fill(ids, from, (row) => firstRowId + firstRow + row - from);
  fill(updates, from, () => sequence);
}

/** Gives each row without a value its own; those with one keep it. */
function fill(leaf: Int64Leaf, from: number, valueOf: (row: number) => number): void {
  const slots = leaf.slots;
  const present = leaf.defs.slice(from, slots);
  const values: bigint[] = [];
  const first = leaf.count - present.filter((def) => def === leaf.maxDef).length;
  for (let index = first; index < leaf.count; index += 1) values.push(leaf.at(index));
  leaf.levels.cut(from);
  let next = 0;
  for (let row = from; row < slots; row += 1) {
    if (present[row - from] === leaf.maxDef) {
      leaf.putBigInt(0, values[next] as bigint);
      next += 1;
    } else leaf.putNumber(0, valueOf(row));
  }
}
