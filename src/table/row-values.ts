/** One value a row of a column, transformed: what rows are split into partitions and sorted by. */
import { assert } from "../base/errors.ts";
import { bigintFromBytes } from "./iceberg/bounds.ts";
import { decimalShape } from "./iceberg/primitive.ts";
import { compileTransform, type TransformFunction } from "./iceberg/transforms.ts";
import type { PrimitiveValue } from "./iceberg/types.ts";
import type { Columns } from "./parquet/columns.ts";
import type { Leaf } from "./translate/leaf.ts";

export interface RowValues {
  /** The transformed values of the first `rows` rows. */
  valuesOf(rows: number): readonly (PrimitiveValue | null)[];
}

/** What the transform makes of a column; nulls when there is no such column. */
export function rowValues(
  columns: Columns,
  sourceId: number,
  transform: Parameters<typeof compileTransform>[0],
): RowValues {
  const leaf = columns.leaves.find((each) => each.shape.id === sourceId);
  if (leaf === undefined) return { valuesOf: (rows) => Array.from({ length: rows }, () => null) };
  assert(leaf.maxRep === 0, "what rows are split or sorted by is in no list or map"); // Rule G9.
  const compiled = compileTransform(transform, leaf.shape.type);
  assert(compiled.kind === "ok", compiled.kind === "ok" ? "" : compiled.reason);
  return { valuesOf: (rows) => transformed(leaf, compiled.apply, rows) };
}

/** One a row; the column has one slot a row, since it is in no list. */
function transformed(leaf: Leaf, apply: TransformFunction, rows: number): readonly (PrimitiveValue | null)[] {
  const values: (PrimitiveValue | null)[] = [];
  let index = 0;
  for (let row = 0; row < rows; row += 1) {
    if (leaf.defs[row] === leaf.maxDef) {
      values.push(apply(primitiveAt(leaf, index)));
      index += 1;
    } else {
      values.push(null);
    }
  }
  return values;
}

/** The leaf's value in the form that transforms and manifests take. */
export function primitiveAt(leaf: Leaf, index: number): PrimitiveValue {
  switch (leaf.kind) {
    case "boolean":
      return leaf.values[index] === 1;
    case "int32": {
      const value = leaf.values[index] as number;
      return decimalShape(leaf.shape.type) === undefined ? value : BigInt(value);
    }
    case "int64":
      return leaf.at(index);
    case "float":
    case "double":
      return leaf.values[index] as number;
    case "bytes":
      return leaf.shape.type === "string" ? Buffer.from(leaf.at(index)).toString("utf8") : leaf.at(index).slice();
    case "fixed":
      return decimalShape(leaf.shape.type) === undefined ? leaf.at(index).slice() : bigintFromBytes(leaf.at(index));
  }
}
