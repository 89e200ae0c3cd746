/** One JSON text into one row: scanned, or else parsed, put into its columns, and what is left over into the extra column. */
import { isAscii, isUtf8 } from "node:buffer";
import { decimalShape } from "../iceberg/primitive.ts";
import type { ColumnNode, StructNode } from "../parquet/columns.ts";
import { nothing, type SourceType } from "../schema/schema-map-types.ts";
import type { BytesLeaf, Levels } from "../translate/leaf.ts";
import { BadRecord } from "./bad-record.ts";
import type { Bound } from "./bound.ts";
import { besideSchema, connectJsonType, objectOf, withDecimals } from "./connect-json.ts";
import { compileJson } from "./json.ts";
import { findLeftovers } from "./json-extra.ts";
import { mergeInferred } from "./json-infer.ts";
import { compileJsonScan } from "./json-scan.ts";
import { type NumberCare, parseJson } from "./json-text.ts";

/** Gives the type of fields that ask for a column; nothing when the row is whole. */
export type JsonRecordPut = (text: Uint8Array, start: number) => SourceType;

export interface JsonTarget {
  /** A struct for records, one column for any other value. */
  readonly node: ColumnNode;
  readonly bound: Bound;
  /** Undefined where people dropped it, and with it what is left over; and inside keys. */
  readonly extra: BytesLeaf | undefined;
  /** Nothing may be left over: a key that lost a field would be another one. */
  readonly isKey?: boolean;
  /** A person gave the type of the whole: values are brought to it. */
  readonly isCast?: boolean;
}

export interface JsonRules {
  /** What a JSON Schema says; undefined for inferred columns. */
  readonly source: SourceType | undefined;
  readonly isStrict: boolean;
  readonly mayGrow: boolean;
  /** Paths of fields whose values are not wanted. */
  readonly excluded: ReadonlySet<string>;
  /** The mapping's rules, where records may stand beside their schemas. */
  readonly connect?: number | undefined;
}

/** The extra column's def when it is absent: it is optional and stands at the top. */
const absentDef = 0;

export function compileJsonRecord(target: JsonTarget, rules: JsonRules): JsonRecordPut {
  const put = compileJsonValue(target, rules);
  const care = careOf(target, rules.source);
  const putParsed: JsonRecordPut = (text, start) => {
    const { row, type } = readJsonRow(text, start, rules, care);
    const wanted = put(row, () => readJsonRow(text, start, rules, "all").row);
    return wanted === nothing || type === undefined ? wanted : mergeInferred([type(), wanted]);
  };
  const { node } = target;
  return node.kind === "struct" && !hasExact(target) ? scanFirst(node, target, rules, putParsed) : putParsed;
}

/** After a record that could not be scanned, this many are parsed without trying; twice as many each time. */
const unscannedMax = 64;

function scanFirst(node: StructNode, target: JsonTarget, rules: JsonRules, putParsed: JsonRecordPut): JsonRecordPut {
  const { bound, extra } = target;
  const site = { bound, misfits: { count: 0 }, isStrict: rules.isStrict };
  const scan = compileJsonScan(node, rules.source, site, careOf(target, rules.source));
  const slots = new Float64Array(node.levels.length);
  let unscanned = 0;
  let left = 0;
  return (text, start) => {
    if (rules.connect !== undefined && beginsWithSchema(text, start)) return putParsed(text, start);
    if (left > 0) {
      left -= 1;
      return putParsed(text, start);
    }
    for (let at = 0; at < slots.length; at += 1) slots[at] = (node.levels[at] as Levels).slots;
    if (scan(text, start)) {
      unscanned = 0;
      extra?.levels.none(0, absentDef);
      return nothing;
    }
    for (let at = 0; at < slots.length; at += 1) (node.levels[at] as Levels).cut(slots[at] as number);
    unscanned = Math.min(unscannedMax, unscanned * 2 + 1);
    left = unscanned;
    return putParsed(text, start);
  };
}

type Care = Omit<JsonTarget, "extra">;

/** What columns can hold of numbers beyond integers is kept when there is such a column, and what is kept as text. */
export function careOf(target: Care, source?: SourceType): NumberCare {
  return hasExact(target) || (source !== undefined && hasText(source)) ? "all" : "integers";
}

function hasExact({ node, bound, isCast }: Care): boolean {
  return isCast === true || bound.hasCasts || node.leaves.some((leaf) => decimalShape(leaf.shape.type) !== undefined);
}

/** Whether JSON text is in it. */
function hasText(source: SourceType): boolean {
  switch (source.kind) {
    case "json":
      return true;
    case "struct":
      return source.fields.some((field) => hasText(field.type));
    case "list":
      return hasText(source.element);
    case "map":
      return hasText(source.value);
    case "primitive":
    case "nothing":
      return false;
  }
}

/** `exact`: the same value with all digits of its numbers, for what is left over. */
export type JsonValuePut = (value: unknown, exact: () => unknown) => SourceType;

/** Of a value that was parsed before. */
export function compileJsonValue(target: JsonTarget, rules: JsonRules): JsonValuePut {
  const misfits = { count: 0 };
  const { node, bound, extra, isKey = false, isCast = false } = target;
  const hasExtra = extra !== undefined;
  const leftoverRules = { ...rules, forgetsDropped: isKey };
  const put = compileJson(node, rules.source, { bound, misfits, isStrict: rules.isStrict, isCast, hasExtra });
  return (value, exact) => {
    misfits.count = 0;
    put(value, 0);
    if (misfits.count === 0) {
      extra?.levels.none(0, absentDef);
      return nothing;
    }
    const leftovers = findLeftovers(exact(), node, bound, leftoverRules);
    if (isKey && leftovers.extra !== undefined)
      throw new BadRecord("type-mismatch", `the key has ${leftovers.extra}, which no column takes`);
    if (leftovers.extra === undefined) extra?.levels.none(0, absentDef);
    else extra?.putString(0, leftovers.extra);
    return leftovers.wanted;
  };
}

export interface JsonRow {
  readonly row: unknown;
  /** As the schema beside it says. */
  readonly type?: () => SourceType;
}

/** The record, or what stands beside its schema. Throws BadRecord. */
export function readJsonRow(
  text: Uint8Array,
  start: number,
  { connect }: Pick<JsonRules, "connect">,
  care?: NumberCare,
): JsonRow {
  const value = readJson(text, start, care);
  const found = connect === undefined || !beginsWithSchema(text, start) ? undefined : besideSchema(value);
  const payload = found?.payload === null ? {} : found?.payload;
  if (connect === undefined || found?.schema["type"] !== "struct" || objectOf(payload) === undefined)
    return { row: value };
  return { row: withDecimals(payload, found.schema), type: () => connectJsonType(found.schema, connect) };
}

const schemaFirst = new TextEncoder().encode('{"schema"');

/** As the converter writes it. Records that do not are scanned before anybody looks at what they are. */
function beginsWithSchema(text: Uint8Array, start: number): boolean {
  for (let at = 0; at < schemaFirst.length; at += 1) if (text[start + at] !== schemaFirst[at]) return false;
  return true;
}

export function readJson(text: Uint8Array, start: number, care?: NumberCare): unknown {
  return parseJson(decodeText(text, start), care);
}

function decodeText(bytes: Uint8Array, start: number): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
  if (isAscii(text)) return text.toString("latin1");
  if (!isUtf8(text)) throw new BadRecord("invalid-utf8", "in a JSON text");
  return text.toString("utf8");
}
