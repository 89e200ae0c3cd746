/**
 * Single values as bytes (Iceberg spec, Appendix D) and the bounds of a column made from its least and greatest value:
 *
 *   boolean 1 byte · int, date, float 4 LE · long, time, timestamp, double 8 LE · uuid 16 BE
 *   decimal: unscaled, two's complement, big-endian, fewest bytes · string UTF-8 · fixed, binary as they are
 *
 * Long strings and binaries are cut: a lower bound by dropping what is behind, an upper bound also by counting its last
 * unit up, so that it stays above every value that starts with it (rules B3, B4).
 */
import { utf8Text } from "../../base/bytes.ts";
import { assert } from "../../base/errors.ts";
import { decimalShape } from "./primitive.ts";
import type { PrimitiveType, PrimitiveValue } from "./types.ts";

/** What the reference implementation keeps of strings (code points) and binaries (bytes): truncate(16). */
export const boundUnitsMax = 16;

export function serializeValue(type: PrimitiveType, value: PrimitiveValue): Uint8Array {
  switch (typeof value) {
    case "boolean":
      return Uint8Array.of(value ? 1 : 0);
    case "string":
      return new TextEncoder().encode(value);
    case "bigint":
      return decimalShape(type) === undefined ? int64Bytes(value) : bigintBytes(value);
    case "number":
      return numberBytes(type, value);
    case "function":
    case "object":
    case "symbol":
    case "undefined":
    default:
      return value;
  }
}

/** The inverse of serializeValue. A long, float or its like may be narrower than its type: written before a promotion (rule B8). */
export function deserializeValue(type: PrimitiveType, bytes: Uint8Array): PrimitiveValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case "boolean":
      return view.getUint8(0) !== 0;
    case "int":
    case "date":
      return view.getInt32(0, true);
    case "long":
    case "time":
    case "timestamp":
    case "timestamptz":
    case "timestamp_ns":
    case "timestamptz_ns":
      return bytes.length === 4 ? BigInt(view.getInt32(0, true)) : view.getBigInt64(0, true);
    case "float":
      return view.getFloat32(0, true);
    case "double":
      return bytes.length === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
    case "string":
      return utf8Text(bytes);
    case "binary":
    case "uuid":
    default:
      return decimalShape(type) === undefined ? bytes : bigintFromBytes(bytes);
  }
}

/** Of the least value: what is behind the limit is dropped, which can only make it smaller. */
export function lowerBound(type: PrimitiveType, serialized: Uint8Array, unitsMax = boundUnitsMax): Uint8Array {
  if (type === "string") return serialized.slice(0, codePointsEnd(serialized, unitsMax));
  if (type === "binary") return serialized.slice(0, unitsMax);
  return serialized;
}

/** Of the greatest value; undefined when no short bound is above it. */
export function upperBound(
  type: PrimitiveType,
  serialized: Uint8Array,
  unitsMax = boundUnitsMax,
): Uint8Array | undefined {
  if (type === "string") {
    const end = codePointsEnd(serialized, unitsMax);
    return end === serialized.length ? serialized.slice() : stringAbove(serialized.subarray(0, end));
  }
  if (type === "binary") {
    return serialized.length <= unitsMax ? serialized.slice() : bytesAbove(serialized.slice(0, unitsMax));
  }
  return serialized;
}

/** Big-endian two's complement in the fewest bytes; 0 is one byte. */
export function bigintBytes(value: bigint): Uint8Array {
  let length = 1;
  while (BigInt.asIntN(8 * length, value) !== value) length += 1;
  return fixedBigintBytes(value, length);
}

/** Big-endian two's complement in exactly `length` bytes, which must suffice. */
export function fixedBigintBytes(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let rest = value;
  for (let at = length - 1; at >= 0; at -= 1) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

export function bigintFromBytes(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return bytes.length === 0 ? 0n : BigInt.asIntN(8 * bytes.length, value);
}

function numberBytes(type: PrimitiveType, value: number): Uint8Array {
  const bytes = new Uint8Array(type === "double" ? 8 : 4);
  const view = new DataView(bytes.buffer);
  if (type === "double") view.setFloat64(0, value, true);
  else if (type === "float") view.setFloat32(0, value, true);
  else {
    assert(type === "int" || type === "date", `a number is no ${type}`);
    view.setInt32(0, value, true);
  }
  return bytes;
}

function int64Bytes(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value, true);
  return bytes;
}

/** Where the first `limit` code points of valid UTF-8 end. */
export function codePointsEnd(utf8: Uint8Array, limit: number): number {
  let seen = 0;
  for (let at = 0; at < utf8.length; at += 1) {
    const isStart = ((utf8[at] as number) & 0xc0) !== 0x80;
    if (isStart && seen === limit) return at;
    if (isStart) seen += 1;
  }
  return utf8.length;
}

const codePointMax = 0x10ffff;

/** The shortest string above all that start with `utf8`; UTF-8's byte order is the order of code points. */
function stringAbove(utf8: Uint8Array): Uint8Array | undefined {
  const points = Array.from(utf8Text(utf8), (unit) => unit.codePointAt(0) as number);
  for (let at = points.length - 1; at >= 0; at -= 1) {
    const point = points[at] as number;
    if (point === codePointMax) continue;
    const next = point === 0xd7ff ? 0xe000 : point + 1; // Surrogates (D800-DFFF) are no code points of their own.
    return new TextEncoder().encode(String.fromCodePoint(...points.slice(0, at), next));
  }
  return undefined;
}

/** The shortest byte string above all that start with `bytes`, which it may overwrite. */
function bytesAbove(bytes: Uint8Array): Uint8Array | undefined {
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    const byte = bytes[at] as number;
    if (byte === 0xff) continue;
    bytes[at] = byte + 1;
    return bytes.slice(0, at + 1);
  }
  return undefined;
}
