/**
 * JSON whose integers keep all their digits (rule F4): Iceberg's snapshot ids exceed 2^53, where JSON.parse rounds.
 * An integer within ±(2^53 - 1) is a number, any other integer is a bigint; rendering a bigint writes its digits.
 */
import { CorruptData } from "../../base/errors.ts";

export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;

export interface JsonObject {
  readonly [name: string]: Json;
}

export function parseJson(text: string, source: string): Json {
  try {
    return (JSON.parse as ParseWithSource)(text, exactInteger) as Json;
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new CorruptData({ source, position: 0, expected: "JSON", found });
  }
}

export function parseJsonObject(text: string, source: string): JsonObject {
  const value = parseJson(text, source);
  if (isJsonObject(value)) return value;
  throw new CorruptData({ source, position: 0, expected: "a JSON object", found: text.slice(0, 40) });
}

/** Fields that are undefined are left out, as JSON.stringify does. */
export function renderJson(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === "bigint" ? (JSON as unknown as RawJson).rawJSON(member.toString()) : member,
  );
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Source text access (ES2026, in V8 since 11.4): TypeScript's library does not declare it yet. */
type ParseWithSource = (
  text: string,
  reviver: (name: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;

interface RawJson {
  rawJSON(text: string): unknown;
}

function exactInteger(_name: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return context.source !== undefined && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}
