/** Avro's primitive, enum and fixed types into leaves, logical types and widened columns included. */
import { assert } from "../../base/errors.ts";
import { uuidFromBytes } from "../../base/ids.ts";
import { bigintFromBytes, fixedBigintBytes } from "../iceberg/bounds.ts";
import { decimalShape } from "../iceberg/primitive.ts";
import type { BytesLeaf, Int32Leaf, Int64Leaf, Leaf } from "../translate/leaf.ts";
import type { AvroLogical, AvroScalar } from "./avro-schema.ts";
import { BadRecord } from "./bad-record.ts";
import type { AvroPut, Cursor } from "./cursor.ts";
import { putUtf8, putUuidText } from "./put-text.ts";

export function compileScalar(type: AvroScalar, leaf: Leaf): AvroPut {
  switch (type.kind) {
    case "boolean":
      assert(leaf.kind === "boolean", mismatch(type, leaf));
      return (cursor, rep) => leaf.put(rep, cursor.readBoolean());
    case "int":
      return compileInt(type.logical, leaf);
    case "long":
      assert(leaf.kind === "int64", mismatch(type, leaf));
      return compileLong(type.logical, leaf);
    case "float":
      assert(leaf.kind === "float" || leaf.kind === "double", mismatch(type, leaf));
      return (cursor, rep) => leaf.put(rep, cursor.readFloat());
    case "double":
      assert(leaf.kind === "double", mismatch(type, leaf));
      return (cursor, rep) => leaf.put(rep, cursor.readDouble());
    case "bytes":
      if (type.logical?.name === "decimal") return compileDecimal(type.logical, leaf, (cursor) => cursor.readLength());
      assert(leaf.kind === "bytes", mismatch(type, leaf));
      return (cursor, rep) => {
        const length = cursor.readLength();
        const start = cursor.take(length);
        leaf.put(rep, cursor.bytes, start, start + length);
      };
    case "string":
      return compileString(leaf);
    case "enum":
      assert(leaf.kind === "bytes", mismatch(type, leaf));
      return compileEnum(type.symbols, leaf);
    case "fixed":
      return compileFixed(type.size, type.logical, leaf);
  }
}

function mismatch(type: AvroScalar, leaf: Leaf): string {
  return `the mapping binds an Avro ${type.kind} to a ${leaf.shape.type} column`;
}

function compileInt(logical: AvroLogical | undefined, leaf: Leaf): AvroPut {
  if (logical?.name === "time-millis") {
    assert(leaf.kind === "int64", "a time column holds 64 bits");
    return (cursor, rep) => leaf.putNumber(rep, timeOfDay(cursor.readInt() * 1000));
  }
  if (leaf.kind === "int64") return (cursor, rep) => leaf.putNumber(rep, cursor.readInt());
  assert(leaf.kind === "int32" || leaf.kind === "double", "an int goes to an int, long or double column");
  return (cursor, rep) => (leaf as Int32Leaf).put(rep, cursor.readInt());
}

function compileLong(logical: AvroLogical | undefined, leaf: Int64Leaf): AvroPut {
  switch (logical?.name) {
    case "timestamp-millis":
    case "local-timestamp-millis":
      return (cursor, rep) => {
        cursor.readLong();
        putMillis(leaf, rep, cursor);
      };
    case "timestamp-nanos":
    case "local-timestamp-nanos":
      if (leaf.shape.type.endsWith("_ns")) return putLong(leaf);
      return (cursor, rep) => {
        cursor.readLong();
        const nanos = cursor.long;
        leaf.putBigInt(rep, (nanos - (((nanos % 1000n) + 1000n) % 1000n)) / 1000n);
      };
    case "time-micros":
      return (cursor, rep) => {
        cursor.readLong();
        leaf.putNumber(rep, timeOfDay(cursor.high * 4294967296 + (cursor.low >>> 0)));
      };
    case undefined:
    case "date":
    case "decimal":
    case "duration":
    case "local-timestamp-micros":
    case "time-millis":
    case "timestamp-micros":
    case "uuid":
    default:
      return putLong(leaf);
  }
}

/** What is beyond a day some engines show as another time, and others do not read. */
function timeOfDay(micros: number): number {
  if (micros < 0 || micros >= dayMicros) throw new BadRecord("out-of-range", `${micros} µs are no time of a day`);
  return micros;
}

const dayMicros = 86_400_000_000;

function putLong(leaf: Int64Leaf): AvroPut {
  return (cursor, rep) => {
    cursor.readLong();
    leaf.put(rep, cursor.low, cursor.high);
  };
}

/** 2^53 / 1000 / 2^32, rounded down: below it, milliseconds times 1000 are exact as a double. */
const exactHigh = 2097;

function putMillis(leaf: Int64Leaf, rep: number, cursor: Cursor): void {
  if (cursor.high < exactHigh && cursor.high >= -exactHigh) {
    leaf.putNumber(rep, (cursor.high * 4294967296 + (cursor.low >>> 0)) * 1000);
    return;
  }
  const micros = cursor.long * 1000n;
  if (BigInt.asIntN(64, micros) !== micros) throw new BadRecord("out-of-range", `timestamp ${cursor.long} ms`);
  leaf.putBigInt(rep, micros);
}

function compileString(leaf: Leaf): AvroPut {
  if (leaf.kind === "fixed") {
    return (cursor, rep) => {
      const length = cursor.readLength();
      const start = cursor.take(length);
      putUuidText(leaf, rep, cursor.bytes, start, start + length);
    };
  }
  assert(leaf.kind === "bytes", "a string goes to a string column");
  return (cursor, rep) => {
    const length = cursor.readLength();
    const start = cursor.take(length);
    putUtf8(leaf, rep, cursor.bytes, start, start + length);
  };
}

function compileEnum(symbols: readonly string[], leaf: BytesLeaf): AvroPut {
  const texts = symbols.map((symbol) => new TextEncoder().encode(symbol));
  return (cursor, rep) => {
    const text = texts[cursor.readInt()];
    if (text === undefined) throw new BadRecord("malformed", "an enum has no such symbol");
    leaf.put(rep, text, 0, text.length);
  };
}

function compileFixed(size: number, logical: AvroLogical | undefined, leaf: Leaf): AvroPut {
  if (logical?.name === "decimal") return compileDecimal(logical, leaf, () => size);
  if (logical?.name === "uuid" && leaf.kind === "bytes") {
    return (cursor, rep) => {
      const start = cursor.take(16);
      leaf.putString(rep, uuidFromBytes(cursor.bytes.subarray(start, start + 16)));
    };
  }
  assert(leaf.kind === "fixed" && leaf.width === size, "a fixed goes to a column of its width");
  return (cursor, rep) => leaf.put(rep, cursor.bytes, cursor.take(size));
}

function compileDecimal(
  logical: Extract<AvroLogical, { name: "decimal" }>,
  leaf: Leaf,
  readLength: (cursor: Cursor) => number,
): AvroPut {
  const limit = 10n ** BigInt(logical.precision);
  const put = putUnscaled(leaf, logical.scale);
  return (cursor, rep) => {
    const length = readLength(cursor);
    const start = cursor.take(length);
    const unscaled = unscaledAt(cursor.bytes, start, length);
    if (unscaled >= limit || unscaled <= -limit) {
      throw new BadRecord("out-of-range", `a decimal has more than ${logical.precision} digits`);
    }
    put(rep, unscaled);
  };
}

/** More bytes than any admitted precision needs: arithmetic on a megabyte of digits would take minutes. */
const decimalBytesMax = 1024;

export function unscaledAt(bytes: Uint8Array, start: number, length: number): bigint {
  if (length > decimalBytesMax) throw new BadRecord("out-of-range", `a decimal has ${length} bytes`);
  return bigintFromBytes(bytes.subarray(start, start + length));
}

/** Into a decimal column of the scale, or into text when no decimal column is wide enough. */
export function putUnscaled(leaf: Leaf, scale: number): (rep: number, unscaled: bigint) => void {
  switch (leaf.kind) {
    case "int32":
      return (rep, unscaled) => leaf.put(rep, Number(unscaled));
    case "int64":
      return (rep, unscaled) => leaf.putBigInt(rep, unscaled);
    case "fixed":
      return (rep, unscaled) => leaf.put(rep, fixedBigintBytes(unscaled, leaf.width), 0);
    case "boolean":
    case "bytes":
    case "double":
    case "float":
    default:
      assert(
        leaf.kind === "bytes" && decimalShape(leaf.shape.type) === undefined,
        "a decimal beyond 38 digits is text",
      );
      return (rep, unscaled) => leaf.putString(rep, decimalText(unscaled, scale));
  }
}

export function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const sign = unscaled < 0n ? "-" : "";
  return scale === 0 ? `${sign}${whole}` : `${sign}${whole}.${digits.slice(digits.length - scale)}`;
}
