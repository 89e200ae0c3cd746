/**
 * Keys of JSON without a schema. A key has no extra column: what its columns cannot take makes the record bad, and nothing
 * of a key is lost. Whole numbers are longs, since most keys are ids.
 */
import { BadRecord } from "../decode/bad-record.ts";
import { makeBound } from "../decode/bound.ts";
import { besideSchema } from "../decode/connect-json.ts";
import { payloadOf } from "../decode/debezium-json.ts";
import { compileJson } from "../decode/json.ts";
import { findLeftovers } from "../decode/json-extra.ts";
import { inferKeyType } from "../decode/json-infer.ts";
import { careOf, readJson } from "../decode/json-record.ts";
import { isRawNumber } from "../decode/json-text.ts";
import type { ColumnNode } from "../parquet/columns.ts";
import { excludedPaths, isKeyCast, overriddenKey, overridesOf } from "../schema/column-overrides.ts";
import { connectRules } from "../schema/mapping-rules.ts";
import type { TableMapping } from "../schema/schema-map.ts";
import { keyTypeRefusal } from "../schema/schema-map-keys.ts";
import { shapeOf } from "../schema/schema-map-shape.ts";
import { isNothing, json, nothing, type SourceType } from "../schema/schema-map-types.ts";
import type { TableSettings } from "../settings.ts";
import { type KeyNodes, putAllAbsent } from "./part-nodes.ts";
import type { PartPut, PutOutcome } from "./translate-parts.ts";

const ok: PutOutcome = { kind: "ok" };
const rules = { isStrict: true, forgetsDropped: true, infer: inferKeyType } as const;

/** Throws BadRecord. */
export function compileJsonKey(mapping: TableMapping, nodes: KeyNodes, settings: TableSettings): PartPut {
  const { rowKey, isFull, overrides } = mapping;
  const identifies = rowKey?.part === "key";
  const mayGrow = !isFull && !nodes.isDropped && !(identifies && rowKey.ids.length > 0);
  const bound = makeBound(mapping.bindings);
  const excluded = excludedPaths(overridesOf("key", overrides, settings));
  const misfits = { count: 0 };
  const site = { bound, misfits, isStrict: true };
  const isFlat = shapeOf(mapping).key === "flat";
  const isCast = isKeyCast(mapping, settings);
  const isOfEnvelope = identifies && settings.mode.envelope === "debezium";
  const { record, whole } = nodes;
  const putRecord = compileJson(record, undefined, site);
  const care = careOf({ node: record, bound, isCast });
  const putWhole = whole === undefined ? undefined : compileJson(whole, undefined, { ...site, isCast });

  const plain = (value: unknown): unknown => {
    const found = connectRules(mapping.rules) === undefined ? undefined : besideSchema(value);
    return found === undefined ? value : found.payload;
  };
  const fieldsWanted = (value: unknown): SourceType => {
    misfits.count = 0;
    putRecord(value, 0);
    if (misfits.count === 0) return nothing;
    const { extra, wanted } = findLeftovers(value, record, bound, { ...rules, excluded, mayGrow });
    if (extra !== undefined) throw new BadRecord("type-mismatch", `the key has ${extra}, which no column takes`);
    return wanted;
  };
  const wholeWanted = (value: unknown): SourceType => {
    if (putWhole !== undefined) putWhole(value, 0);
    else if (mayGrow && (isFlat || isCast || record.fields.length === 0)) return wholeType(value, isCast);
    else if (!nodes.isDropped) throw new BadRecord("type-mismatch", "the key is one value, and keys have fields");
    return nothing;
  };
  return (bytes) => {
    const read = bytes === null ? null : readJson(bytes, 0, care);
    const value = isOfEnvelope ? payloadOf(read) : plain(read);
    if (value === null) {
      putAllAbsent(nodes.all);
      return ok;
    }
    // The order of fields would tell rows apart in their text.
    if (isCast && identifies && isContainer(value))
      throw new BadRecord("no-key", "the key is a list or has fields: only single values identify rows");
    // A struct that is to nest has no column yet, or one of another type, which refuses it.
    const isRecord = !isCast && isObject(value) && (isFlat || record.fields.length > 0);
    const wanted = isRecord ? fieldsWanted(value) : wholeWanted(value);
    if (isNothing(wanted)) {
      absentBut(nodes.all, isRecord ? record : whole);
      return ok;
    }
    const become = overriddenKey(wanted, overrides, settings, { isKnown: false });
    const refusal = identifies && become.kind === "ok" ? keyTypeRefusal(become.type) : undefined;
    if (refusal !== undefined) throw new BadRecord("no-key", refusal);
    return { kind: "new-fields", type: wanted };
  };
}

/** What a value with a type of its own becomes is known even of one that says nothing, as an empty list. */
function wholeType(value: unknown, isCast: boolean): SourceType {
  const type = inferKeyType(value);
  if (isNothing(type) && isCast) return json;
  if (isNothing(type) && !isVoid(value))
    throw new BadRecord("type-mismatch", "the key does not say of what it is a list, or what its fields are");
  return type;
}

/** Nothing is lost of it when it becomes null. */
function isVoid(value: unknown): boolean {
  return isObject(value) && Object.values(value).every((item) => item === null);
}

function absentBut(all: readonly ColumnNode[], written: ColumnNode | undefined): void {
  for (const node of all) if (node !== written) putAllAbsent([node]);
}

function isContainer(value: unknown): boolean {
  return typeof value === "object" && !isRawNumber(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return isContainer(value) && value !== null && !Array.isArray(value);
}
