/** Which columns a record's key and its value have, as the table lays them out. */
import { below, type ColumnNode, type Columns, putAbsent, type StructNode } from "../parquet/columns.ts";
import type { TableMapping } from "../schema/schema-map.ts";
import { keyParent } from "../schema/schema-map-keys.ts";
import { shapeOf } from "../schema/schema-map-shape.ts";

interface Nodes {
  readonly columns: Columns;
  readonly mapping: TableMapping;
}

export interface KeyNodes {
  /** Where the fields of keys lie. */
  readonly record: StructNode;
  /** Of a key that is no record. */
  readonly whole: ColumnNode | undefined;
  /** Both. */
  readonly all: readonly ColumnNode[];
  /** The one column that there was is gone: nobody asks for another. */
  readonly isDropped: boolean;
}

/** One column, or those of its fields where they lie flat in the row. */
export function keyNodes({ columns, mapping }: Nodes): KeyNodes {
  const whole = nodeById(columns, mapping.own.key);
  const flat = structOf(columns.root, flatKeyIds(mapping), keyParent);
  if (shapeOf(mapping).key === "nested") return nested(columns, whole, mapping.own.key);
  const all = [...(whole === undefined ? [] : [whole]), ...(flat.fields.length === 0 ? [] : [flat])];
  return { record: flat, whole, all, isDropped: false };
}

/** All columns of the value. */
export interface ValueNodes extends KeyNodes {
  /** Of JSON. */
  readonly extra: ColumnNode | undefined;
}

export function valueNodes({ columns, mapping }: Nodes): ValueNodes {
  const whole = nodeById(columns, mapping.own.value);
  const extra = nodeById(columns, mapping.own.extra);
  const more = extra === undefined ? [] : [extra];
  if (shapeOf(mapping).value === "nested") {
    const { all, ...rest } = nested(columns, whole, mapping.own.value);
    return { ...rest, extra, all: [...all, ...more] };
  }
  const ours = new Set([...Object.values(mapping.own), ...flatKeyIds(mapping)]);
  const ids = columns.root.fields.map((field) => field.node.id).filter((id) => !ours.has(id));
  const record = structOf(columns.root, new Set(ids));
  return { record, whole, extra, all: [record, ...(whole === undefined ? [] : [whole]), ...more], isDropped: false };
}

/** The parent of fields of a column that is not there yet. */
const nobody = -2;

function nested(columns: Columns, column: ColumnNode | undefined, id: number | undefined): KeyNodes {
  if (column?.kind === "struct") return { record: column, whole: undefined, all: [column], isDropped: false };
  const record = structOf(columns.root, new Set(), nobody);
  const isDropped = id !== undefined && column === undefined;
  return { record, whole: column, all: column === undefined ? [] : [column], isDropped };
}

function flatKeyIds({ bindings }: TableMapping): ReadonlySet<number> {
  return new Set(bindings.filter((binding) => binding.parent === keyParent).map((binding) => binding.id));
}

/** Some fields of the struct, as a struct that sources find under `id`. */
export function structOf(struct: StructNode, ids: ReadonlySet<number>, id = struct.id): StructNode {
  const fields = struct.fields.filter((field) => ids.has(field.node.id));
  return { ...struct, id, fields, ...below(fields.map((field) => field.node)) };
}

function nodeById(columns: Columns, id: number | undefined): ColumnNode | undefined {
  return columns.root.fields.find((field) => field.node.id === id)?.node;
}

export function putAllAbsent(nodes: readonly ColumnNode[]): void {
  for (const node of nodes) putAbsent(node, 0);
}
