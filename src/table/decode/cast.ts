/** Single values into columns of a type that a person gave them. What the type cannot hold exactly makes the record bad. */
import { decimalShape } from "../iceberg/primitive.ts";
import type { BytesLeaf, FixedLeaf, FloatLeaf, Int32Leaf, Int64Leaf, Leaf } from "../translate/leaf.ts";
import { putUnscaled } from "./avro-scalar.ts";
import { BadRecord } from "./bad-record.ts";
import { unscaledOf } from "./decimal-text.ts";
import { putUuidText } from "./put-text.ts";
import { parseDate, parseDateTime, parseLocalDateTime, parseTime } from "./time-text.ts";

/** Text, a number, or a number as it was written where a double cannot hold it. */
export interface Castable {
  readonly text: string;
  /** The value was text, not a number or a truth. */
  readonly isText: boolean;
}

/** Of a scalar's JSON text: what stands in quotes may be text, or what JSON has no numbers for. */
export function castable(json: string, isText: boolean): Castable {
  return { text: json.startsWith('"') ? String(JSON.parse(json)) : json, isText };
}

/** In the fewest digits that mean the same float: 0.1, not what a double makes of it. */
export function floatText(value: number): string {
  for (let digits = 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(value);
}

export type CastPut = (value: Castable, rep: number) => void;

const int64Max = 2n ** 63n;
const whole = { precision: 19, scale: 0 };

/** Throws BadRecord for what the leaf's type cannot hold. */
export function compileCast(leaf: Leaf): CastPut {
  const { type } = leaf.shape;
  const decimal = decimalShape(type);
  if (decimal !== undefined) {
    const put = putUnscaled(leaf, decimal.scale);
    return ({ text }, rep) => put(rep, unscaledOf(text.trim(), decimal));
  }
  switch (type) {
    case "string":
    case "binary":
      return ({ text }, rep) => (leaf as BytesLeaf).putString(rep, text.toWellFormed());
    case "boolean":
      return ({ text }, rep) => {
        if (leaf.kind !== "boolean" || (text !== "true" && text !== "false")) throw wrong(text, type);
        leaf.put(rep, text === "true");
      };
    case "int":
    case "long":
      return ({ text }, rep) => putWhole(leaf as Int32Leaf | Int64Leaf, unscaledOf(text.trim(), whole), rep);
    case "float":
    case "double":
      return ({ text }, rep) => (leaf as FloatLeaf).put(rep, realOf(text, type));
    case "date":
    case "time":
    case "timestamp":
    case "timestamptz":
    case "timestamp_ns":
    case "timestamptz_ns":
    case "uuid":
    default:
      return compileFromText(leaf);
  }
}

function putWhole(leaf: Int32Leaf | Int64Leaf, value: bigint, rep: number): void {
  const isWide = leaf.kind === "int64";
  const max = isWide ? int64Max : 2n ** 31n;
  if (value >= max || value < -max) throw new BadRecord("out-of-range", `${value} is beyond ${leaf.shape.type}`);
  if (isWide) leaf.putBigInt(rep, value);
  else leaf.put(rep, Number(value));
}

/** The nearest one: a person who asks for a float wants no more. */
function realOf(text: string, type: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isNaN(value) && text !== "NaN") throw wrong(text, type);
  const isWritten = /^[+-]?Infinity$/.test(text);
  const held = type === "float" ? Math.fround(value) : value;
  if (!Number.isFinite(held) && !Number.isNaN(held) && !isWritten)
    throw new BadRecord("out-of-range", `${text} is beyond ${type}`);
  return value;
}

/** Types that only text can say. */
function compileFromText(leaf: Leaf): CastPut {
  const { type } = leaf.shape;
  const read = fromText(leaf);
  return ({ text, isText }, rep) => {
    if (!isText || !read(text, rep)) throw wrong(text, type);
  };
}

function fromText(leaf: Leaf): (text: string, rep: number) => boolean {
  const micros = (parse: (text: string) => bigint | undefined) => (text: string, rep: number) => {
    const value = parse(text);
    if (value !== undefined) (leaf as Int64Leaf).putBigInt(rep, value);
    return value !== undefined;
  };
  switch (leaf.shape.type) {
    case "timestamptz":
      return micros(parseDateTime);
    case "timestamp":
      return micros(parseLocalDateTime);
    case "time":
      return micros(parseTime);
    case "date":
      return (text, rep) => {
        const days = parseDate(text);
        if (days !== undefined) (leaf as Int32Leaf).put(rep, days);
        return days !== undefined;
      };
    case "uuid":
      return (text, rep) => {
        const bytes = new TextEncoder().encode(text);
        putUuidText(leaf as FixedLeaf, rep, bytes, 0, bytes.length);
        return true;
      };
    case "binary":
    case "boolean":
    case "double":
    case "float":
    case "int":
    case "long":
    case "string":
    case "timestamp_ns":
    case "timestamptz_ns":
    default:
      return () => false;
  }
}

function wrong(text: string, type: string): BadRecord {
  return new BadRecord("type-mismatch", `"${text.slice(0, 60)}" is no ${type}`);
}
