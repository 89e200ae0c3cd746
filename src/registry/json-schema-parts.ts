/** Small readings of JSON Schemas that the comparisons share. */
import type { Incompatibility } from "./compatibility.ts";
import { isJsonObject, type JsonObject, printJson, sortedJson } from "./json-text.ts";

export function finding(type: string, path: string): Incompatibility {
  return { type, path, detail: type.toLowerCase().replaceAll("_", " ") };
}

export function acceptsAll(schema: JsonObject): boolean {
  const annotations = [
    "$schema",
    "$id",
    "id",
    "title",
    "description",
    "default",
    "examples",
    "$comment",
    "$anchor",
    "deprecated",
    "readOnly",
    "writeOnly",
    "definitions",
    "$defs",
  ];
  return Object.keys(schema).every((key) => annotations.includes(key));
}

export function acceptsNothing(schema: JsonObject): boolean {
  return isJsonObject(schema["not"]) && acceptsAll(schema["not"]);
}

const unevaluatedKeys = ["unevaluatedProperties", "unevaluatedItems"] as const;
/** Beside one of these `unevaluated…` is about less than what the schema itself leaves: it sees into them. */
const seenInto = ["$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "contains"];

/** What a schema says of properties or items that it does not name, where that can be told without looking into others. */
export function unevaluatedOf(schema: JsonObject, key: (typeof unevaluatedKeys)[number]): unknown {
  return seenInto.some((other) => schema[other] !== undefined) ? undefined : schema[key];
}

/** Of schemas that are compared part by part: what their parts together leave open must stay in the same words. */
export function unevaluatedFindings(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
  return unevaluatedKeys
    .filter((key) => !isOpen(reader[key]) && printed(reader[key]) !== printed(writer[key]))
    .map((key) =>
      finding(
        `${key === "unevaluatedItems" ? "UNEVALUATED_ITEMS" : "UNEVALUATED_PROPERTIES"}_NARROWED`,
        `${path}/${key}`,
      ),
    );
}

/** The same object where it has none, so that it stays known. */
export function withoutUnevaluated(schema: JsonObject): JsonObject {
  return unevaluatedKeys.some((key) => key in schema) ? without(schema, ...unevaluatedKeys) : schema;
}

function isOpen(unnamed: unknown): boolean {
  return unnamed === undefined || unnamed === true || (isJsonObject(unnamed) && acceptsAll(unnamed));
}

export function without(schema: JsonObject, ...keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => !keys.includes(key)));
}

/** For comparing values: keys in one order. Of each object once, since combined schemas are compared many times. */
export function printed(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value !== "object" || value === null) return printJson(value);
  const text = texts.get(value) ?? printJson(sortedJson(value));
  texts.set(value, text);
  return text;
}

const texts = new WeakMap<object, string>();
