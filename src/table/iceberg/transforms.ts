/**
 * Partition transforms (Iceberg spec, "Partition Transforms", and Appendix B for the hash). All map null to null, and all
 * are computed from the value itself (rules G10, G11).
 */
import { utf8Text } from "../../base/bytes.ts";
import { assert } from "../../base/errors.ts";
import { bigintBytes, codePointsEnd } from "./bounds.ts";
import { decimalShape, fixedLength } from "./primitive.ts";
import type { PrimitiveType, PrimitiveValue, Transform } from "./types.ts";

export type TransformFunction = (value: PrimitiveValue | null) => PrimitiveValue | null;

/** The transform's function for a source type, or why there is none. */
export function compileTransform(
  transform: Transform,
  source: PrimitiveType,
):
  | { readonly kind: "ok"; readonly apply: TransformFunction; readonly result: PrimitiveType }
  | { readonly kind: "refused"; readonly reason: string } {
  const apply = applyOf(transform, source);
  const result = transformResultType(transform, source);
  if (apply === undefined || result === undefined) {
    return { kind: "refused", reason: `${transform} does not apply to ${source}` };
  }
  return { kind: "ok", apply: (value) => (value === null ? null : apply(value)), result };
}

/** undefined when the transform does not apply to the type. */
export function transformResultType(transform: Transform, source: PrimitiveType): PrimitiveType | undefined {
  if (transform === "identity" || transform === "void") return source;
  if (transform.startsWith("bucket")) return canBucket(source) ? "int" : undefined;
  if (transform.startsWith("truncate")) return canTruncate(source) ? source : undefined;
  if (transform === "hour") return isTimestamp(source) ? "int" : undefined;
  // The spec says int for day; the reference implementation says date. They are stored alike, and readers show a date.
  if (transform === "day") return isTimestamp(source) || source === "date" ? "date" : undefined;
  return isTimestamp(source) || source === "date" ? "int" : undefined;
}

/** The N of bucket[N] and truncate[W]; undefined for any other transform. */
export function transformWidth(transform: Transform): number | undefined {
  const match = /^(?:bucket|truncate)\[(\d+)\]$/.exec(transform);
  return match === null ? undefined : Number(match[1]);
}

function applyOf(
  transform: Transform,
  source: PrimitiveType,
): ((value: PrimitiveValue) => PrimitiveValue | null) | undefined {
  if (transformResultType(transform, source) === undefined) return undefined;
  if (transform === "identity") return (value) => value;
  if (transform === "void") return () => null;
  const width = transformWidth(transform);
  if (width !== undefined) {
    if (width < 1) return undefined;
    if (transform.startsWith("truncate")) return (value) => truncateValue(value, width, source);
    // Nanoseconds fall into the bucket of their microsecond.
    const hashed = isNanos(source)
      ? (value: PrimitiveValue) => microsOf(value as bigint)
      : (value: PrimitiveValue) => value;
    return (value) => (hashValue(hashed(value), source) & 0x7fffffff) % width;
  }
  const unit = isNanos(source) ? 1000n : 1n;
  const days =
    source === "date" ? (value: PrimitiveValue) => value as number : (value: PrimitiveValue) => daysOf(value, unit);
  if (transform === "year") return (value) => yearOf(days(value)) - 1970;
  if (transform === "month") return (value) => monthsOf(days(value));
  if (transform === "day") return days;
  return (value) => floorDivide(value as bigint, microsPerHour * unit) | 0; // It wraps after 245,000 years, as in the reference.
}

function isTimestamp(type: PrimitiveType): boolean {
  return type === "timestamp" || type === "timestamptz" || isNanos(type);
}

function isNanos(type: PrimitiveType): boolean {
  return type === "timestamp_ns" || type === "timestamptz_ns";
}

function canBucket(type: PrimitiveType): boolean {
  return type !== "boolean" && type !== "float" && type !== "double";
}

function canTruncate(type: PrimitiveType): boolean {
  return (
    type === "int" || type === "long" || type === "string" || type === "binary" || decimalShape(type) !== undefined
  );
}

const microsPerHour = 3_600_000_000n;
const microsPerDay = 24n * microsPerHour;

/** Towards minus infinity, so that what was before 1970 falls into its own hour and day. */
function floorDivide(value: bigint, by: bigint): number {
  const quotient = value / by;
  return Number(value % by < 0n ? quotient - 1n : quotient);
}

function daysOf(value: PrimitiveValue, unit: bigint): number {
  return floorDivide(value as bigint, microsPerDay * unit);
}

function microsOf(nanos: bigint): bigint {
  return (nanos - (((nanos % 1000n) + 1000n) % 1000n)) / 1000n;
}

/** Civil year and month of a day since 1970-01-01 in the proleptic Gregorian calendar (Hinnant, "days_from_civil" inverted). */
function civil(days: number): { readonly year: number; readonly month: number } {
  const shifted = days + 719_468; // Counted from 0000-03-01, so that a leap day ends its year.
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month };
}

function yearOf(days: number): number {
  return civil(days).year;
}

function monthsOf(days: number): number {
  const { year, month } = civil(days);
  return (year - 1970) * 12 + month - 1;
}

/** The remainder is positive for negatives too; at the type's end the result wraps, as in the reference. */
function truncateValue(value: PrimitiveValue, width: number, type: PrimitiveType): PrimitiveValue {
  switch (typeof value) {
    case "number":
      return (value - (((value % width) + width) % width)) | 0;
    case "bigint": {
      const wide = BigInt(width);
      const truncated = value - (((value % wide) + wide) % wide);
      return decimalShape(type) === undefined ? BigInt.asIntN(64, truncated) : truncated;
    }
    case "string": {
      const utf8 = new TextEncoder().encode(value);
      return utf8Text(utf8.subarray(0, codePointsEnd(utf8, width)));
    }
    case "boolean":
      return value;
    case "function":
    case "object":
    case "symbol":
    case "undefined":
    default:
      return value.slice(0, width);
  }
}

/** Appendix B: what of a value is hashed. Integers, dates and times as a long of eight bytes, little-endian. */
export function hashValue(value: PrimitiveValue, type: PrimitiveType): number {
  if (typeof value === "string") return murmur3(new TextEncoder().encode(value));
  if (typeof value === "number") return hashLong(BigInt(value));
  if (typeof value === "bigint")
    return decimalShape(type) === undefined ? hashLong(value) : murmur3(bigintBytes(value));
  assert(value instanceof Uint8Array, `${type} has no hash`);
  assert(type === "binary" || type === "uuid" || fixedLength(type) !== undefined, `${type} holds no bytes`);
  return murmur3(value);
}

function hashLong(value: bigint): number {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt.asIntN(64, value), true);
  return murmur3(bytes);
}

/** Murmur3, x86, 32 bits, seed 0; signed. */
export function murmur3(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocksEnd = bytes.length & ~3;
  let hash = 0;
  for (let at = 0; at < blocksEnd; at += 4) {
    hash ^= scramble(view.getInt32(at, true));
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = bytes.length - 1; at >= blocksEnd; at -= 1) tail = (tail << 8) | (bytes[at] as number);
  if (blocksEnd < bytes.length) hash ^= scramble(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}
