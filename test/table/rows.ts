/** Rows as plain values, put into columns one by one: the plainest way to fill a table in a test. */

import { fixedBigintBytes } from "../../src/table/iceberg/bounds.ts";
import { type ColumnNode, type Columns, putAbsent, putEmpty } from "../../src/table/parquet/columns.ts";
import type { Leaf } from "../../src/table/translate/leaf.ts";

/** null is absent; lists are arrays, maps arrays of pairs, structs objects by name; the rest as PrimitiveValue. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value };

export function putRow(columns: Columns, row: { readonly [name: string]: Value }): void {
  putValue(columns.root, 0, row);
  columns.endRow();
}

function putValue(node: ColumnNode, rep: number, value: Value): void {
  if (value === null) {
    putAbsent(node, rep);
    return;
  }
  switch (node.kind) {
    case "leaf":
      putPrimitive(node.leaf, rep, value);
      return;
    case "struct":
      for (const field of node.fields) putValue(field.node, rep, (value as Record<string, Value>)[field.name] ?? null);
      return;
    case "list": {
      const items = value as readonly Value[];
      if (items.length === 0) putEmpty(node, rep);
      items.forEach((item, at) => putValue(node.element, at === 0 ? rep : node.rep, item));
      return;
    }
    case "map": {
      const pairs = value as readonly (readonly [Value, Value])[];
      if (pairs.length === 0) putEmpty(node, rep);
      pairs.forEach(([key, item], at) => {
        putValue(node.key, at === 0 ? rep : node.rep, key);
        putValue(node.value, at === 0 ? rep : node.rep, item);
      });
    }
  }
}

function putPrimitive(leaf: Leaf, rep: number, value: Value): void {
  switch (leaf.kind) {
    case "boolean":
      return leaf.put(rep, value as boolean);
    case "int32":
      return leaf.put(rep, Number(value));
    case "float":
    case "double":
      return leaf.put(rep, value as number);
    case "int64":
      return leaf.putBigInt(rep, value as bigint);
    case "bytes":
      if (typeof value === "string") return leaf.putString(rep, value);
      return leaf.put(rep, value as Uint8Array, 0, (value as Uint8Array).length);
    case "fixed":
      if (typeof value === "bigint") return leaf.put(rep, fixedBigintBytes(value, leaf.width), 0);
      return leaf.put(rep, value as Uint8Array, 0);
  }
}
