/**
 * Every source type, and the column that comes of it: asked of the mapping itself, so that what docs/types.md says, and what
 * the golden mappings hold, is what tables get.
 */
import type { FormatVersion } from "../../../schemas/iceberg.ts";
import { assert } from "../../base/errors.ts";
import { inferType } from "../decode/json-infer.ts";
import type { IcebergType, NestedField, Schema } from "../iceberg/types.ts";
import type { DecodeMode, TableSettings } from "../settings.ts";
import { newRules } from "./mapping-rules.ts";
import { evolve, initialMapping, type MappingSource, type SchemaText, type TableMapping } from "./schema-map.ts";

export const typeSources = ["Avro", "Protobuf", "JSON Schema", "JSON without a schema"] as const;
export type TypeSource = (typeof typeSources)[number];

export interface TypeRow {
  readonly source: TypeSource;
  /** As people write it. */
  readonly type: string;
  /** Names the column; unique within its source. */
  readonly field: string;
  /** Spelled without ids; "no column" when there is none. */
  readonly column: string;
  /** The same in tables of format 3. */
  readonly column3: string;
}

/**
 * Declared types: the source's own JSON for Avro and JSON Schema, a field for Protobuf, a value for JSON; `since`, the rules that
 * first know it. New ones come last, so that the golden mappings of earlier rules stay as they are.
 */
type Declared = readonly (readonly [type: string, declaration: unknown, since?: number])[];

const logical = (type: string, logicalType: string, more: object = {}) => ({ type, logicalType, ...more });
const fixed = (name: string, size: number, more: object = {}) => ({ type: "fixed", name, size, ...more });

const connect = (name: string, type: string, carrier: string, parameters?: Readonly<Record<string, string>>) => ({
  type,
  title: `org.apache.kafka.connect.data.${name}`,
  "connect.type": carrier,
  ...(parameters === undefined ? {} : { "connect.parameters": parameters }),
});

const avro: Declared = [
  ["`null`", "null"],
  ["`boolean`", "boolean"],
  ["`int`", "int"],
  ["`long`", "long"],
  ["`float`", "float"],
  ["`double`", "double"],
  ["`bytes`", "bytes"],
  ["`string`", "string"],
  ["`fixed` of 7 bytes", fixed("Seven", 7)],
  ["`enum`", { type: "enum", name: "Suit", symbols: ["SPADES", "HEARTS"] }],
  ["`bytes`, `decimal(12, 3)`", logical("bytes", "decimal", { precision: 12, scale: 3 })],
  ["`fixed`, `decimal(38, 10)`", fixed("Money", 16, { logicalType: "decimal", precision: 38, scale: 10 })],
  ["`decimal` beyond 38 digits", logical("bytes", "decimal", { precision: 39, scale: 1 })],
  ["`string`, `uuid`", logical("string", "uuid")],
  ["`fixed` of 16 bytes, `uuid`", fixed("Uuid", 16, { logicalType: "uuid" })],
  ["`int`, `date`", logical("int", "date")],
  ["`int`, `time-millis`", logical("int", "time-millis")],
  ["`long`, `time-micros`", logical("long", "time-micros")],
  ["`long`, `timestamp-millis`", logical("long", "timestamp-millis")],
  ["`long`, `timestamp-micros`", logical("long", "timestamp-micros")],
  ["`long`, `timestamp-nanos`", logical("long", "timestamp-nanos")],
  ["`long`, `local-timestamp-millis`", logical("long", "local-timestamp-millis")],
  ["`long`, `local-timestamp-micros`", logical("long", "local-timestamp-micros")],
  ["`long`, `local-timestamp-nanos`", logical("long", "local-timestamp-nanos")],
  ["`fixed` of 12 bytes, `duration`", fixed("Span", 12, { logicalType: "duration" })],
  ["`[null, T]`", ["null", "long"]],
  ["`[A, B]`", ["string", "long"]],
  ["`array` of T", { type: "array", items: "int" }],
  ["`map` of T", { type: "map", values: "double" }],
  ["`record`", { type: "record", name: "Point", fields: [{ name: "x", type: "double" }] }],
  ["`record` without fields", { type: "record", name: "Empty", fields: [] }],
  [
    "`record` inside itself, from the third time",
    {
      type: "record",
      name: "Tree",
      fields: [
        { name: "left", type: ["null", "Tree"] },
        { name: "v", type: "int" },
      ],
    },
  ],
  [
    "Connect's `Decimal`, of scale 2 and no precision",
    logical("bytes", "decimal", { precision: 64, scale: 2, "connect.name": "org.apache.kafka.connect.data.Decimal" }),
    7,
  ],
];

const protobuf: Declared = [
  ["`int32`, `sint32`, `sfixed32`", "int32 f"],
  ["`uint32`, `fixed32`", "uint32 f"],
  ["`int64`, `sint64`, `sfixed64`", "int64 f"],
  ["`uint64`, `fixed64`", "uint64 f"],
  ["`float`", "float f"],
  ["`double`", "double f"],
  ["`bool`", "bool f"],
  ["`string`", "string f"],
  ["`bytes`", "bytes f"],
  ["enum", "Suit f"],
  ["message", "Point f"],
  ["message without fields", "Empty f"],
  ["message inside itself, from the third time", "Tree f"],
  ["`repeated` T", "repeated int32 f"],
  ["`map<K, V>`", "map<int32, double> f"],
  ["`google.protobuf.Timestamp`", "google.protobuf.Timestamp f"],
  ["`google.protobuf.Duration`", "google.protobuf.Duration f"],
  ["`google.type.Date`", "google.type.Date f"],
  ["`google.type.TimeOfDay`", "google.type.TimeOfDay f"],
  ["`google.protobuf.Int64Value` and the other wrappers", "google.protobuf.Int64Value f"],
  ["`google.protobuf.UInt64Value`", "google.protobuf.UInt64Value f"],
  ["`google.protobuf.StringValue`", "google.protobuf.StringValue f"],
  ["`google.protobuf.BytesValue`", "google.protobuf.BytesValue f"],
  ["`google.protobuf.Struct`, `Value`, `ListValue`", "google.protobuf.Struct f"],
  ["`google.protobuf.Any`", "google.protobuf.Any f"],
  [
    "`confluent.type.Decimal`, of scale 2",
    'confluent.type.Decimal f [(confluent.field_meta).params = { key: "scale", value: "2" }]',
    7,
  ],
];

const jsonSchema: Declared = [
  ["`boolean`", { type: "boolean" }],
  ["`integer`", { type: "integer" }],
  ["`number`", { type: "number" }],
  ["`integer` or `number`", { type: ["integer", "number"] }],
  ["`string`", { type: "string" }],
  ["`string`, `date-time`", { type: "string", format: "date-time" }],
  ["`string`, `date`", { type: "string", format: "date" }],
  ["`string`, `uuid`", { type: "string", format: "uuid" }],
  ["`string` of any other format", { type: "string", format: "email" }],
  ["T or `null`", { type: ["string", "null"] }],
  ["`oneOf`, `anyOf` of T and `null`", { oneOf: [{ type: "null" }, { type: "integer" }] }],
  ["`oneOf`, `anyOf` of several", { oneOf: [{ type: "string" }, { type: "integer" }] }],
  ["`enum`, `const`", { enum: ["a", "b"] }],
  ["`object` with `properties`", { type: "object", properties: { x: { type: "number" } } }],
  ["`object` with `additionalProperties` of T alone", { type: "object", additionalProperties: { type: "integer" } }],
  ["`object` of neither", { type: "object" }],
  [
    "`allOf` of objects",
    { allOf: [{ properties: { a: { type: "string" } } }, { properties: { b: { type: "number" } } }] },
  ],
  ["`array` of T", { type: "array", items: { type: "string" } }],
  ["tuple", { type: "array", prefixItems: [{ type: "string" }] }],
  ["anything", {}],
  ["nothing", false],
  [
    "`object` with `properties`, and `oneOf` or `anyOf`",
    { properties: { x: { type: "number" } }, oneOf: [{ required: ["x"] }, { maxProperties: 0 }] },
    5,
  ],
  ["Connect's `Decimal`, of scale 2", connect("Decimal", "number", "bytes", { scale: "2" }), 3],
  [
    "Connect's `Decimal`, of precision 9",
    connect("Decimal", "number", "bytes", { scale: "2", "connect.decimal.precision": "9" }),
    3,
  ],
  ["Connect's `Date`", connect("Date", "integer", "int32"), 3],
  ["Connect's `Time`", connect("Time", "integer", "int32"), 3],
  ["Connect's `Timestamp`", connect("Timestamp", "integer", "int64"), 3],
  ["Connect's bytes", { type: "string", "connect.type": "bytes" }, 7],
];

const inferred: Declared = [
  ["number", 1.5],
  ["string", "text"],
  ["`true`, `false`", true],
  ["object", { x: 1 }],
  ["array", ["text"]],
  ["`null`, `[]`, `{}`: until something else is met", null],
];

const declared: Readonly<Record<TypeSource, Declared>> = {
  Avro: avro,
  Protobuf: protobuf,
  "JSON Schema": jsonSchema,
  "JSON without a schema": inferred,
};

/** Types that the Protobuf fields name. */
const protobufHead = `syntax = "proto3";
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/any.proto";
import "google/type/date.proto";
import "google/type/timeofday.proto";
import "confluent/meta.proto";
import "confluent/type/decimal.proto";
`;
const protobufTail = `
enum Suit { SPADES = 0; HEARTS = 1; }
message Point { double x = 1; }
message Empty {}
message Tree { Tree left = 1; int32 v = 2; }
`;

export function typeTable(): readonly TypeRow[] {
  return typeSources.flatMap((source) => {
    const [second, third] = [goldenMapping(source).schema, goldenMapping(source, 3).schema];
    const columnOf = ({ fields }: Schema, field: string): string => {
      const column = fields.find((each) => each.name === field);
      return column === undefined ? "no column" : spelled(column.type);
    };
    return declared[source].map(([type], at) => {
      const field = fieldName(at);
      return { source, type, field, column: columnOf(second, field), column3: columnOf(third, field) };
    });
  });
}

/** The schema of records that have every type of the source, or those alone that are wanted; undefined for JSON without one. */
export function typeSchema(
  source: TypeSource,
  isWanted: (field: string) => boolean = () => true,
): SchemaText | undefined {
  const of = sourceOf(source, declared[source], isWanted);
  return of.kind === "schema-id" ? of.schema : undefined;
}

/** The mapping of a topic whose one schema has every type of the source. */
export function goldenMapping(
  source: TypeSource,
  formatVersion: FormatVersion = 2,
  rules = newRules({ formatVersion }),
): TableMapping {
  const decode = source === "JSON without a schema" ? "json" : "schema-id";
  const settings = { ...plainSettings(decode), formatVersion };
  const known = declared[source].filter(([, , since = 1]) => rules >= since);
  const evolution = evolve({ ...initialMapping(settings), rules }, sourceOf(source, known), settings);
  assert(evolution.kind === "changed", "every type that is declared here has a place in a table");
  return evolution.mapping;
}

/** Columns that tables have before their first record. */
export function ownColumns(): readonly NestedField[] {
  return initialMapping(plainSettings("json")).schema.fields;
}

/** As engines' DDL does, in Iceberg's words. */
export function spelled(type: IcebergType): string {
  if (typeof type === "string") return type;
  switch (type.type) {
    case "struct":
      return `struct<${type.fields.map((field) => `${field.name}: ${spelled(field.type)}`).join(", ")}>`;
    case "list":
      return `list<${spelled(type.element)}>`;
    case "map":
      return `map<${spelled(type.key)}, ${spelled(type.value)}>`;
  }
}

function fieldName(at: number): string {
  return `f${at + 1}`;
}

function sourceOf(
  source: TypeSource,
  types: Declared,
  isWanted: (field: string) => boolean = () => true,
): MappingSource {
  const all = types.map(([, declaration], at) => [fieldName(at), declaration] as const);
  const fields = all.filter(([name]) => isWanted(name));
  const byId = (type: "AVRO" | "JSON" | "PROTOBUF", text: string): MappingSource => ({
    kind: "schema-id",
    part: "value",
    schemaId: 1,
    schema: { type, text },
    message: type === "PROTOBUF" ? [0] : undefined,
  });
  switch (source) {
    case "Avro": {
      const record = { type: "record", name: "All", fields: fields.map(([name, type]) => ({ name, type })) };
      return byId("AVRO", JSON.stringify(record));
    }
    case "JSON Schema":
      return byId("JSON", JSON.stringify({ type: "object", properties: Object.fromEntries(fields) }));
    case "Protobuf": {
      const body = fields.map(
        ([name, field], at) => `  ${String(field).replace(/ f( \[.*\])?$/, ` ${name} = ${at + 1}$1`)};`,
      );
      return byId("PROTOBUF", `${protobufHead}message All {\n${body.join("\n")}\n}${protobufTail}`);
    }
    case "JSON without a schema":
      return { kind: "inferred", part: "value", type: inferType(Object.fromEntries(fields)) };
  }
}

function plainSettings(decode: DecodeMode): TableSettings {
  return {
    topic: "all",
    catalog: "main",
    namespace: ["kafka"],
    table: "all",
    create: true,
    location: null,
    formatVersion: 2,
    value: { decode, subject: null, onTypeChange: "dead-letter" },
    key: { decode: "raw" },
    headers: "list",
    metadataPrefix: "_kafka",
    metadataColumns: ["partition", "offset", "timestamp", "timestamp_type", "key", "headers"],
    partitionBy: [],
    sortBy: [],
    mode: { write: "append", key: [], envelope: "none", opField: "op", tombstone: "delete" },
    commit: { everyMs: 30_000, bytesMax: 1 },
    errors: { policy: "dlq", deadLetterTable: "all_dlq" },
    expire: { keepMs: 1, keepMin: 1 },
    retention: "wait",
    maintain: { rewrites: false, manifests: false, orphansMs: 0 },
  };
}
