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
    "definitions",
    "$defs",
  ];
  return Object.keys(schema).every((key) => annotations.includes(key));
}

export function acceptsNothing(schema: JsonObject): boolean {
  return isJsonObject(schema["not"]) && acceptsAll(schema["not"]);
}

/** For comparing values: keys in one order. */
export function printed(value: unknown): string {
  return value === undefined ? "" : printJson(sortedJson(value));
}
