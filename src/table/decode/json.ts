/**
 * Parsed JSON into columns, one closure a column.
 *
 * What fits no column (an unknown field, a value of another type, an integer that a double cannot hold) is only counted
 * here; json-extra.ts then looks at the record again and keeps it as text, or finds the fields that deserve a column.
 */
import { assert } from "../../base/errors.ts";
import { type DecimalShape, decimalShape } from "../iceberg/primitive.ts";
import {
  type ColumnNode,
  type LeafNode,
  type ListNode,
  type MapNode,
  putAbsent,
  putEmpty,
  type StructNode,
} from "../parquet/columns.ts";
import { isNothing, type SourceType } from "../schema/schema-map-types.ts";
import type { BytesLeaf, DoubleLeaf, FixedLeaf, Int32Leaf, Int64Leaf } from "../translate/leaf.ts";
import { BadRecord } from "./bad-record.ts";
import type { Bound } from "./bound.ts";
import { compileCast } from "./cast.ts";
import { compileConnect } from "./connect.ts";
import { unscaledOf } from "./decimal-text.ts";
import { isRawNumber, type RawNumber, writeJson } from "./json-text.ts";
import { isUuidText, putUuidText } from "./put-text.ts";
import { parseDate, parseDateTime } from "./time-text.ts";

/** Writes a value at the repetition level. null and undefined are absent. */
export type JsonPut = (value: unknown, rep: number) => void;

export interface JsonSite {
  readonly bound: Bound;
  /** Values of the last record that found no place; the caller resets it. */
  readonly misfits: { count: number };
  /** A schema was declared: a value of another type is a bad record, not a misfit. */
  readonly isStrict: boolean;
  /** A person gave the type of the column: values are brought to it. */
  readonly isCast?: boolean;
  /** There is an extra column: what the schema does not name may be of any type. */
  readonly hasExtra?: boolean;
}

/** `source` is what a JSON Schema says; undefined for inferred columns, where the column says all. */
export function compileJson(node: ColumnNode, source: SourceType | undefined, site: JsonSite): JsonPut {
  const put = compilePresent(node, source, site);
  return (value, rep) => {
    if (value === null || value === undefined) putAbsent(node, rep);
    else put(value, rep);
  };
}

function compilePresent(node: ColumnNode, source: SourceType | undefined, site: JsonSite): JsonPut {
  switch (node.kind) {
    case "leaf":
      return compileLeaf(node, source, site);
    case "struct":
      return compileStruct(node, source, site);
    case "list":
      return compileList(node, source?.kind === "list" ? source.element : undefined, site);
    case "map":
      return compileMap(node, source?.kind === "map" ? source.value : undefined, site);
  }
}

function misfit(node: ColumnNode, expected: string, value: unknown, rep: number, site: JsonSite): void {
  if (site.isStrict) throw new BadRecord("type-mismatch", `${expected} expected, ${typeOf(value)} found`);
  site.misfits.count += 1;
  putAbsent(node, rep); // Of the row itself: all its fields.
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  return isRawNumber(value) ? "a number" : `a ${typeof value}`;
}

function compileStruct(node: StructNode, source: SourceType | undefined, site: JsonSite): JsonPut {
  const sources = namedTypes(source);
  const columns = node.fields.map((field) => field.node).filter((column) => !column.required);
  /** By the source's name; made when first met, since names are the source's own. */
  const places = new Map<string, { readonly at: number; readonly put: JsonPut } | undefined>();
  const placeOf = (name: string): { readonly at: number; readonly put: JsonPut } | undefined => {
    const column = site.bound(node, name);
    const isNamed = source === undefined || sources.has(name);
    const isStrict = site.isStrict && (isNamed || site.hasExtra !== true);
    const below = { ...site, isStrict, isCast: site.bound.isCast(node, name) || site.isCast === true };
    const place =
      column !== undefined
        ? { at: columns.indexOf(column), put: compileJson(column, sources.get(name), below) }
        : site.bound.isExcluded(node, name)
          ? excluded
          : undefined;
    if (place !== undefined || places.size < placesMax) places.set(name, place);
    return place;
  };
  const excluded = { at: columns.length, put: () => {} }; // Behind the columns, where nobody looks.
  const writtenAt = new Float64Array(columns.length + 1); // By which call; a double counts further than any process runs.
  let call = 0;
  return (value, rep) => {
    if (typeof value !== "object" || Array.isArray(value) || isRawNumber(value)) {
      misfit(node, "an object", value, rep, site);
      return;
    }
    call += 1;
    const thisCall = call;
    const object = value as Readonly<Record<string, unknown>>;
    for (const name in object) {
      let place = places.get(name);
      if (place === undefined && !places.has(name)) place = placeOf(name);
      if (place === undefined) {
        if (object[name] !== null) site.misfits.count += 1;
        continue;
      }
      place.put(object[name], rep);
      writtenAt[place.at] = thisCall;
    }
    for (let at = 0; at < columns.length; at += 1) {
      if (writtenAt[at] !== thisCall) putAbsent(columns[at] as ColumnNode, rep);
    }
  };
}

/** Of a struct's fields. One whose type says nothing has asked for no column: it may be of any, as if it were not named. */
export function namedTypes(source: SourceType | undefined): ReadonlyMap<string, SourceType> {
  const fields = source?.kind === "struct" ? source.fields.filter((field) => !isNothing(field.type)) : [];
  return new Map(fields.map((field) => [field.name, field.type]));
}

/** Names without a column that are remembered as such: objects used as maps have new ones without end. */
const placesMax = 2000;

function compileList(node: ListNode, element: SourceType | undefined, site: JsonSite): JsonPut {
  const put = compileJson(node.element, element, site);
  return (value, rep) => {
    if (!Array.isArray(value)) {
      misfit(node, "an array", value, rep, site);
      return;
    }
    if (value.length === 0) putEmpty(node, rep);
    for (let at = 0; at < value.length; at += 1) put(value[at], at === 0 ? rep : node.rep);
  };
}

function compileMap(node: MapNode, element: SourceType | undefined, site: JsonSite): JsonPut {
  assert(node.key.kind === "leaf" && node.key.leaf.kind === "bytes", "map keys are strings");
  const key = node.key.leaf;
  const put = compileJson(node.value, element, site);
  return (value, rep) => {
    if (typeof value !== "object" || Array.isArray(value) || isRawNumber(value)) {
      misfit(node, "an object", value, rep, site);
      return;
    }
    const entries = Object.entries(value as object);
    if (entries.length === 0) putEmpty(node, rep);
    entries.forEach(([name, item], at) => {
      key.putString(at === 0 ? rep : node.rep, wellFormed(name));
      put(item, at === 0 ? rep : node.rep);
    });
  };
}

/** An escaped lone surrogate is legal JSON and no Unicode: it becomes U+FFFD, as it would on any way to UTF-8. */
function wellFormed(text: string): string {
  return text.toWellFormed();
}

function compileLeaf(node: LeafNode, source: SourceType | undefined, site: JsonSite): JsonPut {
  const leaf = node.leaf;
  const connect = source?.kind === "primitive" && source.isConnect === true ? source : undefined;
  const putConnect = connect && compileConnect(leaf, connect.type);
  if (putConnect !== undefined) return putConnect;
  const wrong = (expected: string, value: unknown, rep: number): void => misfit(node, expected, value, rep, site);
  const decimal = decimalShape(leaf.shape.type);
  if (site.isCast === true || decimal !== undefined) {
    const put = compileJsonCast(leaf);
    if (site.isCast === true || decimal === undefined || site.isStrict) return put;
    return (value, rep) => (isDecimal(value, decimal) ? put(value, rep) : wrong("a decimal", value, rep));
  }
  switch (leaf.shape.type) {
    case "string":
      if (source?.kind === "json") return (value, rep) => (leaf as BytesLeaf).putString(rep, writeJson(value));
      return (value, rep) => {
        if (typeof value === "string") (leaf as BytesLeaf).putString(rep, value);
        else wrong("a string", value, rep);
      };
    case "double":
      return (value, rep) => {
        if (typeof value === "number") (leaf as DoubleLeaf).put(rep, value);
        else if (isRawNumber(value) && (site.isStrict || isRounded(value)))
          (leaf as DoubleLeaf).put(rep, nearest(value));
        else wrong("a number", value, rep);
      };
    case "long":
      return (value, rep) => {
        if (typeof value === "number" && Number.isSafeInteger(value)) (leaf as Int64Leaf).putNumber(rep, value);
        else putBigInteger(leaf as Int64Leaf, value, rep, () => wrong("an integer", value, rep));
      };
    case "boolean":
      assert(leaf.kind === "boolean", "boolean columns hold booleans");
      return (value, rep) => {
        if (typeof value === "boolean") leaf.put(rep, value);
        else wrong("a boolean", value, rep);
      };
    case "binary":
    case "date":
    case "float":
    case "int":
    case "time":
    case "timestamp":
    case "timestamptz":
    case "timestamp_ns":
    case "timestamptz_ns":
    case "uuid":
    default:
      return compileFormatted(leaf, wrong);
  }
}

/** Strings whose JSON Schema names a format. */
function compileFormatted(
  leaf: LeafNode["leaf"],
  wrong: (expected: string, value: unknown, rep: number) => void,
): JsonPut {
  const text = new TextEncoder();
  return (value, rep) => {
    if (typeof value !== "string") return wrong("a string", value, rep);
    switch (leaf.shape.type) {
      case "timestamptz": {
        const micros = parseDateTime(value);
        return micros === undefined ? wrong("a date-time", value, rep) : (leaf as Int64Leaf).putBigInt(rep, micros);
      }
      case "date": {
        const days = parseDate(value);
        return days === undefined ? wrong("a date", value, rep) : (leaf as Int32Leaf).put(rep, days);
      }
      case "uuid": {
        if (!isUuidText(value)) return wrong("a UUID", value, rep);
        const bytes = text.encode(value);
        return putUuidText(leaf as FixedLeaf, rep, bytes, 0, bytes.length);
      }
      case "binary":
      case "boolean":
      case "double":
      case "float":
      case "int":
      case "long":
      case "string":
      case "time":
      case "timestamp":
      case "timestamp_ns":
      case "timestamptz_ns":
      default:
        return wrong(leaf.shape.type, value, rep);
    }
  };
}

function putBigInteger(leaf: Int64Leaf, value: unknown, rep: number, wrong: () => void): void {
  const text = isRawNumber(value) ? value.rawJSON : Number.isInteger(value) ? BigInt(value as number).toString() : "";
  if (!wholeText.test(text)) return wrong();
  const whole = text.length > wholeTextMax ? undefined : BigInt(text);
  if (whole === undefined || BigInt.asIntN(64, whole) !== whole)
    throw new BadRecord("out-of-range", "an integer is wider than 64 bits");
  leaf.putBigInt(rep, whole);
}

/** Longer than any integer of 64 bits that does not begin with zeros, which JSON does not allow. */
const wholeTextMax = 20;

/** Has more digits than a double, which takes the nearest one: not an integer, of which each digit counts. */
export function isRounded(value: RawNumber): boolean {
  return !isWhole(value) && Number.isFinite(Number(value.rawJSON));
}

export function isWhole({ rawJSON }: RawNumber): boolean {
  return wholeText.test(rawJSON);
}

const wholeText = /^-?\d+$/;

function nearest({ rawJSON }: RawNumber): number {
  const value = Number(rawJSON);
  if (!Number.isFinite(value)) throw new BadRecord("out-of-range", `${rawJSON.slice(0, 60)} is beyond double`);
  return value;
}

/** Whether a column of decimals takes it, exactly. */
export function isDecimal(value: unknown, shape: DecimalShape): boolean {
  if (typeof value === "object" && !isRawNumber(value)) return false;
  try {
    unscaledOf((typeof value === "string" ? value : writeJson(value)).trim(), shape);
    return true;
  } catch (cause) {
    if (!(cause instanceof BadRecord)) throw cause;
    return false;
  }
}

function compileJsonCast(leaf: LeafNode["leaf"]): JsonPut {
  const put = compileCast(leaf);
  const isText = leaf.shape.type === "string";
  return (value, rep) => {
    if (typeof value === "object" && !isRawNumber(value) && !isText)
      throw new BadRecord("type-mismatch", `a ${leaf.shape.type} expected, ${typeOf(value)} found`);
    put(typeof value === "string" ? { text: value, isText: true } : { text: writeJson(value), isText: false }, rep);
  };
}
