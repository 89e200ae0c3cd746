/** Reads the two primitive types that carry numbers in their spelling, and says how each type is kept in memory. */
import { assert } from "../../base/errors.ts";
import type { PrimitiveType } from "./types.ts";

export interface DecimalShape {
  readonly precision: number;
  readonly scale: number;
}

/** Iceberg's and Parquet's largest decimal (Iceberg spec, "Primitive Types"). */
export const decimalPrecisionMax = 38;

const decimalPattern = /^decimal\((\d+),\s*(\d+)\)$/;
const fixedPattern = /^fixed\[(\d+)\]$/;

export function decimalShape(type: string): DecimalShape | undefined {
  const match = decimalPattern.exec(type);
  return match === null ? undefined : { precision: Number(match[1]), scale: Number(match[2]) };
}

/** Bytes of one value of a fixed[n]. */
export function fixedLength(type: string): number | undefined {
  const match = fixedPattern.exec(type);
  return match === null ? undefined : Number(match[1]);
}

/** The fewest bytes whose two's complement holds every unscaled value of the precision. */
export function decimalBytes(precision: number): number {
  assert(precision >= 1, "a decimal has a digit");
  let bytes = 1;
  while ((1n << BigInt(8 * bytes - 1)) - 1n < 10n ** BigInt(precision) - 1n) bytes += 1;
  return bytes;
}

/** How values lie in memory and in a Parquet file; one answer for both, so that encoding is copying. */
export type Layout =
  | { readonly kind: "boolean" | "int32" | "int64" | "float" | "double" | "bytes" }
  | { readonly kind: "fixed"; readonly width: number };

/** Rules A4-A6: what Parquet's physical type is for each of Iceberg's types. */
export function layoutOf(type: PrimitiveType): Layout {
  switch (type) {
    case "boolean":
    case "float":
    case "double":
      return { kind: type };
    case "int":
    case "date":
      return { kind: "int32" };
    case "long":
    case "time":
    case "timestamp":
    case "timestamptz":
    case "timestamp_ns":
    case "timestamptz_ns":
      return { kind: "int64" };
    case "string":
    case "binary":
      return { kind: "bytes" };
    case "uuid":
      return { kind: "fixed", width: 16 };
    default:
      return layoutOfParametrized(type);
  }
}

function layoutOfParametrized(type: string): Layout {
  const width = fixedLength(type);
  if (width !== undefined) return { kind: "fixed", width };
  const decimal = decimalShape(type);
  assert(decimal !== undefined, `no such type: ${type}`);
  if (decimal.precision <= 9) return { kind: "int32" };
  if (decimal.precision <= 18) return { kind: "int64" };
  return { kind: "fixed", width: decimalBytes(decimal.precision) };
}
