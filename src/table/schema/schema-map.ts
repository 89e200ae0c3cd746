/**
 * How a topic's schemas become one table's columns. The mapping is plain data: it is kept in the metadata log, frozen in
 * every round under its version, and changed only by the table's committer through `evolve`.
 *
 *   source field (by name, or by number where it has one, below its parent's column) ──binding──▶ field id ──▶ column of the Iceberg schema
 *
 * Ids are given once, from lastColumnId on, and never again (rules G1, G7). All columns but partition and offset are optional
 * (A8), so every evolution is an added optional column or a widened type (G2-G4).
 */
import { isDeepStrictEqual } from "node:util";
import { assert, CorruptData } from "../../base/errors.ts";
import { protobufMessageAt } from "../../registry/protobuf-schema.ts";
import type { PlaceColumns } from "../commit/live-files.ts";
import { parseAvroSchema } from "../decode/avro-schema.ts";
import type { IcebergType, NestedField, Schema } from "../iceberg/types.ts";
import { type DecodeMode, keyColumnName, type MetadataColumn, type TableSettings } from "../settings.ts";
import {
  type ColumnOverrides,
  isKeyCast,
  keyOverride,
  type Overridden,
  overridden,
  overriddenKey,
  overridesOf,
} from "./column-overrides.ts";
import { withDistinctPaths } from "./distinct-paths.ts";
import { newRules } from "./mapping-rules.ts";
import { avroSourceType } from "./schema-map-avro.ts";
import { Draft, type DraftRules, freeName } from "./schema-map-draft.ts";
import { jsonSchemaSourceType } from "./schema-map-json-schema.ts";
import {
  envelopeRow,
  keyFields,
  keyParent,
  keyRefusal,
  movedKeyRefusal,
  newRowKey,
  type RowKey,
  withOpField,
  withRowKey,
  withWholeKeys,
} from "./schema-map-keys.ts";
import { assignIds, mergeType } from "./schema-map-merge.ts";
import { protobufFile, protobufSourceType, protobufValueType } from "./schema-map-protobuf.ts";
import { shapeOf, type TableShape, wantedShape } from "./schema-map-shape.ts";
import { type Binding, isNothing, type SourceType } from "./schema-map-types.ts";

export interface TableMapping {
  /** Which types source types become (mapping-rules.ts), for as long as the table lives. Absent in states of earlier versions: 1. */
  readonly rules?: number;
  /** Grows by one with each change. Same records and same version give the same rows (rule M11). */
  readonly version: number;
  readonly schema: Schema;
  /** Greatest field id ever given, dropped columns included. */
  readonly lastColumnId: number;
  /** Field ids of the columns that are ours. */
  readonly own: OwnColumns;
  readonly bindings: readonly Binding[];
  /** What is known of schema ids, by sourceKey. */
  readonly sources: Readonly<Record<string, SourceState>>;
  /** What identifies a row; undefined in a table that is only appended to. */
  readonly rowKey?: RowKey | undefined;
  /** Absent: values lie flat, keys as shapeOf says. */
  readonly shape?: TableShape;
  /** What the settings said of single columns. */
  readonly overrides?: ColumnOverrides;
  /** Inferred columns reached their bound: what is new goes to the extra column. */
  readonly isFull: boolean;
}

export type OwnColumns = Readonly<Partial<Record<MetadataColumn | "value" | "extra", number>>>;

/** Why a schema id cannot be decoded into this table, or how it can. */
export type SourceState =
  | {
      readonly kind: "avro" | "json-schema" | "protobuf";
      /** Fields of this source that go to another column than the one bound to their name. */
      readonly moved?: readonly Binding[];
    }
  | { readonly kind: "refused"; readonly reason: string };

export type RecordPart = "key" | "value";

/** Confluent's number, or the GUID or UUID of a schema as text. */
export type SchemaId = number | string;

export type MappingSource =
  | {
      readonly kind: "schema-id";
      readonly part: RecordPart;
      readonly schemaId: SchemaId;
      readonly schema: SchemaText;
      /** Of a Protobuf schema: which of its messages the records are; undefined when they do not say so readably. */
      readonly message?: MessagePath | undefined;
    }
  /** The registry says that there is no such id. */
  | { readonly kind: "missing"; readonly part: RecordPart; readonly schemaId: SchemaId }
  /** Fields that schemaless records have and the table has not. */
  | { readonly kind: "inferred"; readonly part: RecordPart; readonly type: SourceType };

/** Indexes of a message among its file's, then among that one's own: [1, 0] is the first inside the second. */
export type MessagePath = readonly number[];

export interface SchemaText {
  readonly type: "AVRO" | "JSON" | "PROTOBUF";
  readonly text: string;
  /** What it refers to or imports, by the names that it uses; each after those that it uses itself. */
  readonly references?: readonly { readonly name: string; readonly schema: string }[];
}

export type Evolution =
  | { readonly kind: "unchanged" | "changed"; readonly mapping: TableMapping }
  /** Records of the source are dead letters from now on: the mapping remembers why, so that nobody asks again. */
  | { readonly kind: "refused"; readonly reason: string; readonly mapping: TableMapping };

/** Beyond it, new fields of schemaless JSON go to the extra column. */
export const inferredColumnsMax = 500;

/** A Protobuf schema is known under its id, and each of its messages under its path too. */
export function sourceKey(part: RecordPart, schemaId: SchemaId, message?: MessagePath): string {
  return message === undefined ? `${part}:${schemaId}` : `${part}:${schemaId}/${message.join(".")}`;
}

/** The mapping of a table that has seen no record: metadata columns, and the value of raw and string topics. */
export function initialMapping(settings: TableSettings): TableMapping {
  const draft = new Draft({ lastColumnId: 0, bindings: [] });
  const fields: NestedField[] = [];
  const own: Partial<Record<MetadataColumn | "value" | "extra", number>> = {};
  const add = (
    role: MetadataColumn | "value" | "extra",
    name: string,
    type: IcebergType,
    { required = false, ...doc }: { readonly required?: boolean; readonly doc?: string } = {},
  ): void => {
    const id = draft.nextId();
    own[role] = id;
    const withIds = type === headersType ? numbered(draft) : type;
    fields.push({ id, name: freeName(name, fields), required, type: withIds, ...doc });
  };
  const prefix = settings.metadataPrefix;
  const wants = (column: MetadataColumn): boolean => settings.metadataColumns.includes(column);
  add("partition", `${prefix}_partition`, "int", { required: true });
  add("offset", `${prefix}_offset`, "long", { required: true });
  if (wants("timestamp")) add("timestamp", `${prefix}_timestamp`, "timestamptz");
  if (wants("timestamp_type")) add("timestamp_type", `${prefix}_timestamp_type`, "string");
  const keyType = typeOfBytes(settings.key.decode); // The type of any other comes with the first key.
  if (wants("key") && keyType !== undefined) {
    const { role, name, ...doc } = keyColumn(settings.overrides, settings);
    add(role, name, keyOverride(settings.overrides, settings)?.type ?? keyType, doc);
  }
  if (wants("headers") && settings.headers === "list") add("headers", `${prefix}_headers`, headersType);
  const valueType = typeOfBytes(settings.value.decode);
  if (valueType !== undefined) add("value", "value", valueType);
  if (settings.value.decode === "json") add("extra", "_extra", "string");
  const rowKey = newRowKey(settings.mode);
  const shape = wantedShape(settings);
  const isUsual = isDeepStrictEqual(shape, shapeOf({ rowKey }));
  return withRowKey({
    rules: newRules(settings),
    version: 1,
    schema: { type: "struct", "schema-id": 0, fields },
    lastColumnId: draft.lastColumnId,
    own,
    bindings: draft.bindings,
    sources: {},
    ...(rowKey === undefined ? {} : { rowKey }),
    ...(isUsual ? {} : { shape }),
    ...(settings.overrides === undefined ? {} : { overrides: settings.overrides }),
    isFull: false,
  });
}

/** Of a part that is taken as it comes. */
function typeOfBytes(decode: DecodeMode): "binary" | "string" | undefined {
  return decode === "raw" ? "binary" : decode === "string" ? "string" : undefined;
}

/** Stands for the headers' type until its ids are given, which must come after the column's own. */
const headersType: IcebergType = { type: "struct", fields: [] };

function numbered(draft: Draft): IcebergType {
  return {
    type: "list",
    "element-id": draft.nextId(),
    "element-required": true,
    element: {
      type: "struct",
      fields: [
        { id: draft.nextId(), name: "key", required: true, type: "string" },
        { id: draft.nextId(), name: "value", required: false, type: "binary" },
      ],
    },
  };
}

/** Every table has them: they are made first, and cannot be left out. */
export function placeColumns({ own }: TableMapping): PlaceColumns {
  return { offset: own.offset ?? -1, partition: own.partition ?? -1 };
}

/**
 * The mapping with the source's columns in it. The schema id of the result's schema is for the committer to give (rule G5).
 * `partitionNames`: of the fields of the table's partition specs, which no new column may have.
 */
export function evolve(
  mapping: TableMapping,
  source: MappingSource,
  settings: TableSettings,
  partitionNames: readonly string[] = [],
): Evolution {
  const evolution = evolveBy(mapping, source, settings);
  if (evolution.mapping.schema === mapping.schema) return evolution;
  const present = { lastId: mapping.lastColumnId, otherPaths: partitionNames };
  const schema = withDistinctPaths(evolution.mapping.schema, present);
  return { ...evolution, mapping: { ...evolution.mapping, schema } };
}

function evolveBy(mapping: TableMapping, source: MappingSource, settings: TableSettings): Evolution {
  if (source.kind === "inferred") return evolveInferred(mapping, source, settings);
  const known = mapping.sources[sourceKey(source.part, source.schemaId)];
  if (known?.kind === "refused") return { kind: "refused", reason: known.reason, mapping };
  if (source.kind === "missing") return refuse(mapping, source, "the registry has no such schema");
  try {
    return source.schema.type === "PROTOBUF"
      ? evolveProtobuf(mapping, source, settings)
      : evolveTyped(mapping, { ...source, message: undefined }, typeOf(source.schema, mapping.rules), settings);
  } catch (cause) {
    if (!(cause instanceof CorruptData)) throw cause;
    return refuse(mapping, { ...source, message: undefined }, cause.message);
  }
}

type SchemaIdSource = Extract<MappingSource, { readonly kind: "schema-id" }>;

const sourceKinds = { AVRO: "avro", JSON: "json-schema", PROTOBUF: "protobuf" } as const;

function typeOf(schema: SchemaText, rules = 1): SourceType {
  const { type, text, references } = schema;
  return type === "AVRO"
    ? avroSourceType(parseAvroSchema(text, references), rules)
    : jsonSchemaSourceType(schema, rules);
}

/** The id is known from then on, whatever comes of this one of its messages. */
function evolveProtobuf(before: TableMapping, source: SchemaIdSource, settings: TableSettings): Evolution {
  const file = protobufFile(source.schema);
  const key = sourceKey(source.part, source.schemaId);
  const isKnown = before.sources[key] !== undefined;
  const mapping = isKnown
    ? before
    : { ...before, sources: { ...before.sources, [key]: { kind: "protobuf" as const } } };
  const message = source.message === undefined ? undefined : protobufMessageAt(file, source.message);
  // A path to no message is the record's fault, and its decoder says so.
  if (message === undefined) return finish(before, mapping, isKnown);
  const known = mapping.sources[sourceKey(source.part, source.schemaId, source.message)];
  if (known?.kind === "refused") return { kind: "refused", reason: known.reason, mapping };
  const isOneValue = source.part === "key" && isKeyCast(mapping, settings);
  const type = (isOneValue ? protobufValueType : protobufSourceType)(message, mapping.rules);
  return evolveTyped(mapping, source, type, settings);
}

function evolveTyped(
  mapping: TableMapping,
  source: SchemaIdSource,
  type: SourceType,
  settings: TableSettings,
): Evolution {
  const key = sourceKey(source.part, source.schemaId, source.message);
  const row = rowOf(mapping, source, type, settings);
  if (row.kind === "refused") return refuse(mapping, source, row.reason);
  const refusal = keyRefusal(mapping, source.part, row.type, settings.mode);
  if (refusal !== undefined) return refuse(mapping, source, refusal);
  const draft = draftOf(mapping, { onTypeChange: settings.value.onTypeChange });
  const merged =
    source.part === "key"
      ? mergeKey(mapping, row.type, draft, settings)
      : mergeValue(mapping, row.type, draft, source.schema.type === "JSON");
  if (merged.kind === "refused") return refuse(mapping, source, merged.reason);
  const movedRefusal = movedKeyRefusal(mapping, draft.moved);
  if (movedRefusal !== undefined) return refuse(mapping, source, movedRefusal);
  const kind = sourceKinds[source.schema.type];
  const state: SourceState = draft.moved.length === 0 ? { kind } : { kind, moved: draft.moved };
  const sources = { ...mapping.sources, [key]: state };
  const after = { ...merged.mapping, sources };
  if (source.part === "key") return finish(mapping, after, mapping.sources[key] !== undefined);
  return finish(mapping, withOpField(after, row.type, settings.mode), mapping.sources[key] !== undefined, row.type);
}

function draftOf(mapping: TableMapping, rules: DraftRules): Draft {
  return new Draft({ ...mapping, ownIds: Object.values(mapping.own) }, rules);
}

/**
 * The mapping over the table's current schema, which others may have changed: renamed and moved columns keep their ids and so
 * their bindings; dropped ones stay away until somebody adds a column of that name, which has a new id (rule G7).
 */
export function rebase(mapping: TableMapping, schema: Schema, lastColumnId: number): TableMapping {
  return {
    ...mapping,
    version: mapping.version + 1,
    schema,
    lastColumnId: Math.max(mapping.lastColumnId, lastColumnId),
    // Every source is asked again, since columns may be there for its fields; what was refused stays so.
    sources: Object.fromEntries(Object.entries(mapping.sources).filter(([, state]) => state.kind === "refused")),
  };
}

/** What becomes columns of a source: the row inside its envelope, when values have one, with the types that people want. */
function rowOf(mapping: TableMapping, source: SchemaIdSource, type: SourceType, settings: TableSettings): Overridden {
  if (source.part === "key") return overriddenKey(type, mapping.overrides, settings, { isKnown: true });
  const overrides = overridesOf("value", mapping.overrides, settings);
  if (settings.mode.envelope !== "debezium") return overridden(type, overrides, { isKnown: true });
  if (source.schema.type === "PROTOBUF")
    return { kind: "refused", reason: "envelopes are read in Avro and in JSON, not in Protobuf" };
  const row = envelopeRow(type);
  return row === undefined
    ? { kind: "refused", reason: "the schema is no Debezium envelope with op and after" }
    : overridden(row, overrides, { isKnown: true });
}

/** Schemas that were refused are asked about again: the table, or what its settings want, may be another now. */
export function withoutRefusals(mapping: TableMapping): TableMapping {
  const kept = Object.entries(mapping.sources).filter(([, state]) => state.kind !== "refused");
  if (kept.length === Object.keys(mapping.sources).length) return mapping;
  return { ...mapping, version: mapping.version + 1, sources: Object.fromEntries(kept) };
}

function refuse(
  mapping: TableMapping,
  source: { readonly part: RecordPart; readonly schemaId: SchemaId; readonly message?: MessagePath | undefined },
  reason: string,
): Evolution {
  const key = sourceKey(source.part, source.schemaId, source.message);
  const sources = { ...mapping.sources, [key]: { kind: "refused" as const, reason } };
  return { kind: "refused", reason, mapping: { ...mapping, version: mapping.version + 1, sources } };
}

function finish(before: TableMapping, after: TableMapping, isKnown: boolean, value?: SourceType): Evolution {
  const isSame = isKnown && after.lastColumnId === before.lastColumnId && after.schema === before.schema;
  if (isSame && after.bindings === before.bindings && after.isFull === before.isFull)
    return { kind: "unchanged", mapping: before };
  return { kind: "changed", mapping: withRowKey({ ...after, version: before.version + 1 }, value) };
}

type MergedMapping =
  | { readonly kind: "ok"; readonly mapping: TableMapping }
  | { readonly kind: "refused"; readonly reason: string };

/** Records lie flat at the top, unless the table is to nest them; any other value has the column `value`. */
function mergeValue(mapping: TableMapping, type: SourceType, draft: Draft, hasExtra: boolean): MergedMapping {
  let start = mapping;
  if (hasExtra && mapping.own.extra === undefined) {
    start = withOwnColumn(mapping, "extra", freeName("_extra", mapping.schema.fields), "string", draft);
  }
  if (type.kind === "nothing") return { kind: "ok", mapping: start };
  if (type.kind !== "struct" || shapeOf(mapping).value === "nested")
    return mergeOwnColumn(start, { role: "value", name: "value" }, type, draft);
  const merged = mergeType(start.schema, type, 0, draft);
  if (merged.kind === "refused") return merged;
  return { kind: "ok", mapping: withSchema(start, merged.type, draft) };
}

function mergeKey(mapping: TableMapping, type: SourceType, draft: Draft, settings: TableSettings): MergedMapping {
  if (type.kind === "nothing" || !settings.metadataColumns.includes("key")) return { kind: "ok", mapping };
  if (type.kind === "struct" && shapeOf(mapping).key === "flat") {
    const flat = { kind: "struct", fields: keyFields(type, settings) } as const;
    const merged = mergeType(mapping.schema, flat, keyParent, draft);
    return merged.kind === "refused" ? merged : { kind: "ok", mapping: withSchema(mapping, merged.type, draft) };
  }
  return mergeOwnColumn(mapping, keyColumn(mapping.overrides, settings), type, draft);
}

interface OwnColumn {
  readonly role: "key" | "value";
  readonly name: string;
  readonly doc?: string;
}

function keyColumn(overrides: ColumnOverrides | undefined, settings: TableSettings): OwnColumn {
  const { name = keyColumnName(settings), comment } = keyOverride(overrides, settings) ?? {};
  return { role: "key", name, ...(comment === undefined ? {} : { doc: comment }) };
}

/** One column for the whole of a key or a value, whatever its type. */
function mergeOwnColumn(
  mapping: TableMapping,
  { role, name, ...doc }: OwnColumn,
  type: SourceType,
  draft: Draft,
): MergedMapping {
  const id = mapping.own[role];
  const field = mapping.schema.fields.find((each) => each.id === id);
  // A struct without fields is a column that no reader takes.
  if (field === undefined && (isNothing(type) || (draft.isLenient && !draft.admits(type))))
    return { kind: "ok", mapping };
  if (field === undefined) {
    const fieldId = draft.nextId();
    const added = assignIds(type, fieldId, draft);
    if (added.kind === "refused") return added;
    const freeOne = freeName(name, mapping.schema.fields);
    const fields = [
      ...mapping.schema.fields,
      { id: fieldId, name: freeOne, required: false, type: added.type, ...doc },
    ];
    const schema = { ...mapping.schema, fields };
    return { kind: "ok", mapping: { ...withSchema(mapping, schema, draft), own: { ...mapping.own, [role]: fieldId } } };
  }
  const merged = mergeType(field.type, type, field.id, draft);
  if (merged.kind === "refused") return merged;
  if (merged.type === field.type) return { kind: "ok", mapping };
  const fields = mapping.schema.fields.map((each) => (each === field ? { ...field, type: merged.type } : each));
  return { kind: "ok", mapping: withSchema(mapping, { ...mapping.schema, fields }, draft) };
}

function withOwnColumn(
  mapping: TableMapping,
  role: "extra",
  name: string,
  type: IcebergType,
  draft: Draft,
): TableMapping {
  const id = draft.nextId();
  const fields = [...mapping.schema.fields, { id, name, required: false, type }];
  return { ...withSchema(mapping, { ...mapping.schema, fields }, draft), own: { ...mapping.own, [role]: id } };
}

function withSchema(mapping: TableMapping, type: IcebergType, draft: Draft): TableMapping {
  assert(typeof type === "object" && type.type === "struct", "a schema is a struct");
  const schema = type === mapping.schema ? mapping.schema : { ...mapping.schema, fields: type.fields };
  return { ...mapping, schema, lastColumnId: draft.lastColumnId, bindings: draft.bindings };
}

/** Schemaless JSON never refuses: what fits no column has the extra column, or is a dead letter in a key, which has none. */
function evolveInferred(
  mapping: TableMapping,
  { part, type }: Extract<MappingSource, { readonly kind: "inferred" }>,
  settings: TableSettings,
): Evolution {
  if (mapping.isFull) return { kind: "unchanged", mapping };
  const draft = draftOf(mapping, { columnsMax: inferredColumnsMax });
  const { overrides } = mapping;
  const wanted =
    part === "key"
      ? overriddenKey(type, overrides, settings, { isKnown: false })
      : overridden(type, overridesOf(part, overrides, settings), { isKnown: false });
  assert(wanted.kind === "ok", "of types that nobody declared none is refused");
  const merged =
    part === "key"
      ? mergeKey(mapping, wanted.type, draft, settings)
      : mergeValue(mapping, withWholeKeys(wanted.type, settings.mode), draft, false);
  assert(merged.kind === "ok", "a lenient merge refuses nothing");
  return finish(mapping, { ...merged.mapping, isFull: draft.isFull }, true);
}
