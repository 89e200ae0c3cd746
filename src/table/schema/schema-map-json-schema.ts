/**
 * JSON Schema (draft 4 to 2020-12, what describes shape) as table types.
 *
 *   object with properties → struct · object with additionalProperties: T alone → map<string, T> · array of T → list
 *   integer → long · number → double · boolean · string, by format: date-time → timestamptz, date → date, uuid → uuid
 *   [T, null], anyOf/oneOf with null → T · allOf → the fields of all · enum, const → the type of their values
 *   anyOf/oneOf beside a type or properties → these: what the alternatives add is not named, from rules 5 on
 *   allOf of what has a type and what has none → the type, from rules 7 on
 *   several types, no type, recursion, tuples → JSON text
 *   Kafka Connect's Decimal, Date, Time, Timestamp → decimal, date, time, timestamptz (connect-types.ts), from rules 3 on
 *
 * A `$ref` points into the document or into one that it refers to in the registry: nothing is fetched.
 */
import { isDeepStrictEqual } from "node:util";
import type { PrimitiveType } from "../iceberg/types.ts";
import { connectType } from "./connect-types.ts";
import { type Json, type JsonDocument, JsonSchemaDocuments, wrong } from "./json-schema-documents.ts";
import { readsBesideChoices, readsConstraints } from "./mapping-rules.ts";
import type { SchemaText } from "./schema-map.ts";
import {
  json,
  nestingMax,
  nothing,
  recursionMax,
  type SourceField,
  type SourceType,
  TypeBudget,
} from "./schema-map-types.ts";

/** Throws CorruptData when the text is no JSON Schema, or refers to what is not there. */
export function jsonSchemaSourceType(
  { text, references = [] }: Pick<SchemaText, "text" | "references">,
  rules = 1,
): SourceType {
  const documents = new JsonSchemaDocuments(text, references);
  return convert(documents.root.schema, {
    documents,
    document: documents.root.document,
    above: [],
    budget: new TypeBudget(),
    rules,
  });
}

interface Site {
  readonly documents: JsonSchemaDocuments;
  /** The one that `$ref` counts from. */
  readonly document: JsonDocument;
  /** Schemas on the way down. */
  readonly above: readonly unknown[];
  readonly budget: TypeBudget;
  readonly rules: number;
}

function convert(schema: unknown, site: Site): SourceType {
  if (schema === true || schema === undefined) return json;
  if (schema === false) return nothing;
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) throw wrong("a schema", schema);
  if (site.above.length >= nestingMax) return json;
  if (site.above.filter((other) => other === schema).length > recursionMax) return json;
  site.budget.take("JSON Schema");
  const below: Site = { ...site, above: [...site.above, schema] };
  const node = schema as Json;
  if (typeof node["$ref"] === "string") {
    const { schema: target, document } = site.documents.resolve(node["$ref"], site.document);
    return convert(target, { ...below, document });
  }
  if (Array.isArray(node["allOf"])) return convertAll(node, below);
  const choices = node["oneOf"] ?? node["anyOf"];
  if (!Array.isArray(choices)) return convertTyped(node, below);
  const beside = readsBesideChoices(site.rules) ? convertTyped(node, below) : json;
  return beside.kind === "json" ? convertChoice(choices, below) : beside;
}

function convertTyped(node: Json, below: Site): SourceType {
  const connect = connectType(node, below.rules);
  if (connect !== undefined) return connect;
  const types = typesOf(node).filter((type) => type !== "null");
  const [type] = types;
  if (type === undefined) return typesOf(node).length > 0 ? nothing : json;
  if (types.length > 1) return types.every((each) => each === "integer" || each === "number") ? double : json;
  switch (type) {
    case "object":
      return convertObject(node, below);
    case "array":
      return convertArray(node, below);
    case "string":
      return { kind: "primitive", type: stringType(node["format"]) };
    case "integer":
      return { kind: "primitive", type: "long" };
    case "number":
      return double;
    case "boolean":
      return { kind: "primitive", type: "boolean" };
    default:
      throw wrong("a type of JSON Schema", type);
  }
}

const double: SourceType = { kind: "primitive", type: "double" };

/** Names of JSON types; what is not said is taken from what the schema lists or constrains. */
function typesOf(node: Json): readonly string[] {
  const type = node["type"];
  if (typeof type === "string") return [type];
  if (Array.isArray(type)) return type.filter((each) => typeof each === "string");
  if (Array.isArray(node["enum"])) return [...new Set(node["enum"].map(jsonTypeOf))];
  if (Object.hasOwn(node, "const")) return [jsonTypeOf(node["const"])];
  if (Object.hasOwn(node, "properties")) return ["object"];
  return Object.hasOwn(node, "items") ? ["array"] : [];
}

function jsonTypeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "number" && Number.isInteger(value) ? "integer" : typeof value;
}

function stringType(format: unknown): "string" | "timestamptz" | "date" | "uuid" {
  if (format === "date-time") return "timestamptz";
  return format === "date" || format === "uuid" ? format : "string";
}

function convertObject(node: Json, below: Site): SourceType {
  const properties = node["properties"];
  if (typeof properties === "object" && properties !== null && Object.keys(properties).length > 0) {
    const fields = Object.entries(properties).map(([name, schema]) => ({ name, type: convert(schema, below) }));
    return { kind: "struct", fields };
  }
  const more = node["additionalProperties"];
  if (typeof more === "object" && more !== null) return { kind: "map", value: convert(more, below) };
  return json;
}

function convertArray(node: Json, below: Site): SourceType {
  const items = node["items"];
  if (Array.isArray(items) || Object.hasOwn(node, "prefixItems")) return json;
  const element = convert(items, below);
  return { kind: "list", element };
}

function convertChoice(choices: readonly unknown[], below: Site): SourceType {
  const present = choices.map((choice) => convert(choice, below)).filter((type) => type.kind !== "nothing");
  const [only] = present;
  if (only === undefined) return nothing;
  return present.length === 1 ? only : json;
}

function convertAll(node: Json, below: Site): SourceType {
  const { allOf, ...rest } = node;
  const own = typesOf(rest).length > 0 ? [convertTyped(rest, below)] : [];
  const parts = [...own, ...(allOf as readonly unknown[]).map((part) => convert(part, below))];
  if (readsConstraints(below.rules)) return parts.reduce(both, json);
  const fields = new Map<string, SourceField>();
  for (const part of parts) {
    if (part.kind === "struct") for (const field of part.fields) fields.set(field.name, field);
    else if (part.kind !== "json") return parts.length === 1 ? part : json;
  }
  return fields.size > 0 ? { kind: "struct", fields: [...fields.values()] } : json;
}

/** What holds under both: the narrower one. JSON text where they contradict each other. */
function both(a: SourceType, b: SourceType): SourceType {
  if (a.kind === "json" || isDeepStrictEqual(a, b)) return b;
  if (b.kind === "json") return a;
  if (a.kind === "struct" && b.kind === "struct") {
    const fields = new Map(a.fields.map((field) => [field.name, field]));
    for (const field of b.fields) {
      const before = fields.get(field.name);
      fields.set(field.name, before === undefined ? field : { ...field, type: both(before.type, field.type) });
    }
    return { kind: "struct", fields: [...fields.values()] };
  }
  if (a.kind === "list" && b.kind === "list") return { kind: "list", element: both(a.element, b.element) };
  if (a.kind !== "primitive" || b.kind !== "primitive") return json;
  const isNarrower = (narrow: SourceType, { type }: typeof a): boolean => {
    if (narrow.kind !== "primitive") return false;
    return type === "double" ? narrow.type === "long" : type === "string" && textual.includes(narrow.type);
  };
  return isNarrower(a, b) ? a : isNarrower(b, a) ? b : json;
}

/** What strings of some format become. */
const textual: readonly PrimitiveType[] = ["timestamptz", "date", "uuid"];
