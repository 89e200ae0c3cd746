/** Rows of a file in the order that the table declares (rule G14). Ties stay as they came. */

import type { SortOrder } from "../iceberg/metadata.ts";
import type { PrimitiveValue } from "../iceberg/types.ts";
import type { Columns } from "../parquet/columns.ts";
import { rowValues } from "../row-values.ts";

type Compare = (a: number, b: number) => number;

/** A copy of the rows. */
export function sortedRows(columns: Columns, order: SortOrder): Columns {
  const compares = order.fields.map((field) => compareBy(columns, field));
  const rows = Array.from({ length: columns.rows }, (_, row) => row);
  rows.sort((a, b) => {
    for (const compare of compares) {
      const result = compare(a, b);
      if (result !== 0) return result;
    }
    return a - b;
  });
  return columns.inOrder(rows);
}

function compareBy(columns: Columns, field: SortOrder["fields"][number]): Compare {
  const values = rowValues(columns, field["source-id"], field.transform).valuesOf(columns.rows);
  const sign = field.direction === "asc" ? 1 : -1;
  const nullSign = field["null-order"] === "nulls-first" ? -1 : 1;
  return (a, b) => {
    const [left, right] = [values[a] ?? null, values[b] ?? null];
    if (left === null || right === null) return left === right ? 0 : left === null ? nullSign : -nullSign;
    return sign * compareValues(left, right);
  };
}

/** Both of one type. Bytes are unsigned; texts go by code point, as their UTF-8 does; NaN is the greatest, -0 below 0. */
export function compareValues(a: PrimitiveValue, b: PrimitiveValue): number {
  if (typeof a === "string" && typeof b === "string") return compareTexts(a, b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if (typeof a === "number" && typeof b === "number") return compareNumbers(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareNumbers(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (Object.is(a, b)) return 0;
  if (a === b) return Object.is(a, -0) ? -1 : 1;
  return Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : -1;
}

function compareTexts(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  for (let at = 0; at < end; at += 1) {
    const [left, right] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (left !== right) return codePointRank(left) - codePointRank(right);
  }
  return a.length - b.length;
}

/** Surrogates stand for what is above U+FFFF, though their units are below U+E000. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
