/** How a file's raw values become those of a leaf: as they are, or widened as Iceberg allows (rule G2). */
import type { parquetSchema } from "hyparquet";
import { CorruptData } from "../../base/errors.ts";
import { bigintFromBytes, fixedBigintBytes } from "../iceberg/bounds.ts";
import { decimalShape } from "../iceberg/primitive.ts";
import type { Leaf } from "../translate/leaf.ts";

type Element = ReturnType<typeof parquetSchema>["element"];
type PhysicalType = NonNullable<Element["type"]>;

/** Of one page, as hyparquet decodes them. */
export type RawValues = ArrayLike<unknown>;

/** Puts the value at `index`. */
export type PutValue = (values: RawValues, index: number, rep: number) => void;

/** What pages are decoded as: floats as integers of their size. */
export function rawType(type: PhysicalType): PhysicalType {
  return type === "FLOAT" ? "INT32" : type === "DOUBLE" ? "INT64" : type;
}

/** undefined when the leaf cannot hold what the file's column does. */
export function compilePut(leaf: Leaf, element: Element): PutValue | undefined {
  if (!hasUnit(leaf.shape.type, element)) return undefined;
  const decimal = decimalShape(leaf.shape.type);
  if (decimal !== undefined) return putDecimal(leaf, element, decimal.scale);
  const { type } = element;
  switch (leaf.kind) {
    case "boolean":
      return type === "BOOLEAN" ? (values, at, rep) => leaf.put(rep, values[at] as boolean) : undefined;
    case "int32":
      return type === "INT32" ? (values, at, rep) => leaf.put(rep, values[at] as number) : undefined;
    case "int64":
      if (type === "INT32") return (values, at, rep) => leaf.putNumber(rep, values[at] as number);
      return type === "INT64" ? words((low, high, rep) => leaf.put(rep, low, high)) : undefined;
    case "float":
      return type === "FLOAT" ? (values, at, rep) => leaf.putBits(rep, values[at] as number) : undefined;
    case "double":
      if (type === "FLOAT") return (values, at, rep) => leaf.put(rep, floatOf(values[at] as number));
      return type === "DOUBLE" ? words((low, high, rep) => leaf.putBits(rep, low, high)) : undefined;
    case "bytes":
      return type === "BYTE_ARRAY"
        ? (values, at, rep) => {
            const bytes = values[at] as Uint8Array;
            leaf.put(rep, bytes, 0, bytes.length);
          }
        : undefined;
    case "fixed":
      return type === "FIXED_LEN_BYTE_ARRAY" && element.type_length === leaf.width
        ? (values, at, rep) => leaf.put(rep, ofWidth(values[at] as Uint8Array, leaf.width), 0)
        : undefined;
  }
}

function ofWidth(bytes: Uint8Array, width: number): Uint8Array {
  if (bytes.length === width) return bytes;
  const found = `${bytes.length} bytes`;
  throw new CorruptData({ source: "a Parquet page", position: 0, expected: `${width} bytes`, found });
}

/** A time in another unit would need another number: such a file is left as it is. */
function hasUnit(type: string, element: Element): boolean {
  const isNanos = type === "timestamp_ns" || type === "timestamptz_ns";
  const isTime = type === "time" || type === "timestamp" || type === "timestamptz";
  if (!isTime && !isNanos) return true;
  const logical = element.logical_type;
  if (logical !== undefined && "unit" in logical) return logical.unit === (isNanos ? "NANOS" : "MICROS");
  if (isNanos) return false; // Converted types know none.
  return element.converted_type === undefined || element.converted_type.endsWith("_MICROS");
}

/** 64-bit values by their memory, without a bigint each. */
function words(put: (low: number, high: number, rep: number) => void): PutValue {
  let values: RawValues | undefined;
  let memory: Int32Array = new Int32Array();
  return (of, at, rep) => {
    if (of !== values) {
      const array = of instanceof BigInt64Array ? of : BigInt64Array.from(of as readonly bigint[]);
      memory = new Int32Array(array.buffer, array.byteOffset, array.length * 2);
      values = of;
    }
    put(memory[at * 2] as number, memory[at * 2 + 1] as number, rep);
  };
}

function putDecimal(leaf: Leaf, element: Element, scale: number): PutValue | undefined {
  const logical = element.logical_type;
  const fileScale = logical?.type === "DECIMAL" ? logical.scale : (element.scale ?? 0);
  if (fileScale !== scale) return undefined;
  const { type } = element;
  const isNumber = type === "INT32" || type === "INT64";
  if (!isNumber && type !== "FIXED_LEN_BYTE_ARRAY" && type !== "BYTE_ARRAY") return undefined;
  return (values, at, rep) => {
    const value = values[at];
    const unscaled = value instanceof Uint8Array ? bigintFromBytes(value) : BigInt(value as number | bigint);
    if (leaf.kind === "int32") leaf.put(rep, Number(unscaled));
    else if (leaf.kind === "int64") leaf.putBigInt(rep, unscaled);
    else if (leaf.kind === "fixed") leaf.put(rep, fixedBigintBytes(unscaled, leaf.width), 0);
  };
}

const scratch = new DataView(new ArrayBuffer(4));

function floatOf(bits: number): number {
  scratch.setInt32(0, bits);
  return scratch.getFloat32(0);
}
