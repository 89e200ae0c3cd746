/** Least and greatest value of a column: found once, used for the Parquet footer and for the bounds in the manifest. */
import { assert } from "../../base/errors.ts";
import { bigintFromBytes, lowerBound, serializeValue, upperBound } from "../iceberg/bounds.ts";
import { decimalShape } from "../iceberg/primitive.ts";
import type { PrimitiveType } from "../iceberg/types.ts";
import type { BytesLeaf, FixedLeaf, Int64Leaf, Leaf } from "../translate/leaf.ts";

/** A value in the form in which `<` or a byte-wise comparison orders it. Booleans are 0 and 1, decimals unscaled. */
type Ordered = number | bigint | Uint8Array;

export interface Extremes {
  /** Undefined together with `max`: no value was there, or only NaN. */
  readonly min: Ordered | undefined;
  readonly max: Ordered | undefined;
  readonly nans: number;
}

export const noExtremes: Extremes = { min: undefined, max: undefined, nans: 0 };

/** Of all values of the leaf; `distinct` names a subset by index that holds every value once. */
export function findExtremes(leaf: Leaf, distinct: Uint32Array | undefined): Extremes {
  if (leaf.count === 0) return noExtremes;
  switch (leaf.kind) {
    case "boolean":
    case "int32":
    case "float":
    case "double":
      return ofNumbers(leaf.values, leaf.count, leaf.kind === "float" || leaf.kind === "double");
    case "int64":
      return ofInt64(leaf, distinct);
    case "fixed":
      return decimalShape(leaf.shape.type) === undefined ? ofBytes(leaf, distinct) : ofDecimals(leaf, distinct);
    case "bytes":
      return ofBytes(leaf, distinct);
  }
}

export function mergeExtremes(a: Extremes, b: Extremes): Extremes {
  const nans = a.nans + b.nans;
  if (a.min === undefined || a.max === undefined) return { min: b.min, max: b.max, nans };
  if (b.min === undefined || b.max === undefined) return { ...a, nans };
  return { min: isLess(b.min, a.min) ? b.min : a.min, max: isLess(a.max, b.max) ? b.max : a.max, nans };
}

interface Bounds {
  readonly lower: Uint8Array;
  /** Undefined when no short value is above the greatest (rules B3, B4). */
  readonly upper: Uint8Array | undefined;
  /** Whether the bounds are the least and the greatest value themselves. */
  readonly lowerIsExact: boolean;
  readonly upperIsExact: boolean;
}

/** Serialized as Iceberg wants bounds. */
export function boundsOf(type: PrimitiveType, extremes: Extremes): Bounds | undefined {
  if (extremes.min === undefined || extremes.max === undefined) return undefined;
  const min = serializeOrdered(type, extremes.min);
  const max = serializeOrdered(type, extremes.max);
  const lower = lowerBound(type, min);
  const upper = upperBound(type, max);
  return { lower, upper, lowerIsExact: lower.length === min.length, upperIsExact: isSame(upper, max) };
}

function serializeOrdered(type: PrimitiveType, value: Ordered): Uint8Array {
  if (type === "boolean") return serializeValue(type, value === 1);
  return serializeValue(type, typeof value === "number" && decimalShape(type) !== undefined ? BigInt(value) : value);
}

function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

function isLess(a: Ordered, b: Ordered): boolean {
  if (a instanceof Uint8Array) {
    assert(b instanceof Uint8Array, "values of one column are of one form");
    return Buffer.compare(a, b) < 0;
  }
  if (a === 0 && b === 0) return Object.is(a, -0) && !Object.is(b, -0);
  return a < (b as number | bigint);
}

/** Rule B5: NaN is counted and stays outside; a zero is taken as -0 below and as +0 above. */
function ofNumbers(
  values: Uint8Array | Int32Array | Float32Array | Float64Array,
  count: number,
  isFloating: boolean,
): Extremes {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let nans = 0;
  for (let at = 0; at < count; at += 1) {
    const value = values[at] as number;
    if (value < min) min = value;
    if (value > max) max = value;
    if (Number.isNaN(value)) nans += 1;
  }
  if (nans === count) return { min: undefined, max: undefined, nans };
  // A column of nothing but infinities never moves one of the two from where it began, which is then right.
  if (isFloating) return { min: min === 0 ? -0 : min, max: max === 0 ? 0 : max, nans };
  return { min, max, nans };
}

function ofInt64(leaf: Int64Leaf, distinct: Uint32Array | undefined): Extremes {
  const words = leaf.words;
  const count = distinct?.length ?? leaf.count;
  let min = distinct?.[0] ?? 0;
  let max = min;
  for (let at = 1; at < count; at += 1) {
    const index = distinct === undefined ? at : (distinct[at] as number);
    if (isWordsLess(words, index, min)) min = index;
    else if (isWordsLess(words, max, index)) max = index;
  }
  return { min: leaf.at(min), max: leaf.at(max), nans: 0 };
}

function isWordsLess(words: Int32Array, a: number, b: number): boolean {
  const highA = words[a * 2 + 1] as number;
  const highB = words[b * 2 + 1] as number;
  if (highA !== highB) return highA < highB;
  return (words[a * 2] as number) >>> 0 < (words[b * 2] as number) >>> 0;
}

function ofBytes(leaf: BytesLeaf | FixedLeaf, distinct: Uint32Array | undefined): Extremes {
  const count = distinct?.length ?? leaf.count;
  const { data } = leaf;
  let min = distinct?.[0] ?? 0;
  let max = min;
  for (let at = 1; at < count; at += 1) {
    const index = distinct === undefined ? at : (distinct[at] as number);
    const start = startOf(leaf, index);
    const end = startOf(leaf, index + 1);
    if (compareBytes(data, start, end, startOf(leaf, min), startOf(leaf, min + 1)) < 0) min = index;
    else if (compareBytes(data, start, end, startOf(leaf, max), startOf(leaf, max + 1)) > 0) max = index;
  }
  return { min: leaf.at(min).slice(), max: leaf.at(max).slice(), nans: 0 };
}

function startOf(leaf: BytesLeaf | FixedLeaf, index: number): number {
  return leaf.kind === "bytes" ? (leaf.offsets[index] as number) : index * leaf.width;
}

/** Unsigned and byte by byte, which for UTF-8 is the order of code points. */
function compareBytes(data: Uint8Array, aStart: number, aEnd: number, bStart: number, bEnd: number): number {
  const common = Math.min(aEnd - aStart, bEnd - bStart);
  for (let at = 0; at < common; at += 1) {
    const difference = (data[aStart + at] as number) - (data[bStart + at] as number);
    if (difference !== 0) return difference;
  }
  return aEnd - aStart - (bEnd - bStart);
}

function ofDecimals(leaf: FixedLeaf, distinct: Uint32Array | undefined): Extremes {
  const count = distinct?.length ?? leaf.count;
  let min: bigint | undefined;
  let max: bigint | undefined;
  for (let at = 0; at < count; at += 1) {
    const value = bigintFromBytes(leaf.at(distinct === undefined ? at : (distinct[at] as number)));
    if (min === undefined || value < min) min = value;
    if (max === undefined || value > max) max = value;
  }
  return { min, max, nans: 0 };
}
