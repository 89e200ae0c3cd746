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
    // Only this escape could make a text of its own begin as a marked integer does.
    if (text.includes("\\u0000")) return (JSON.parse as ParseWithSource)(text, exactInteger) as Json;
    const marked = withMarks(text);
    return marked === text ? JSON.parse(text) : withoutMarks(JSON.parse(marked));
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

/**
 * An integer that a double may round becomes a list (no name of a member could be one) of a text that begins with NUL: V8 parses
 * tables' metadata so in little more than half of the time that it takes with a function that is asked about each value.
 */
function withMarks(text: string): string {
  const marked: string[] = [];
  let taken = 0;
  for (let from = 0; from < text.length; ) {
    const found = text.indexOf('"', from);
    const to = found < 0 ? text.length : found;
    if (to - from >= digitsOfDouble) {
      const between = text.slice(from, to);
      const replaced = between.replace(longInteger, '["\\u0000$&"]');
      if (replaced.length > between.length) {
        marked.push(text.slice(taken, from), replaced);
        taken = to;
      }
    }
    from = endOfString(text, to);
  }
  return taken === 0 ? text : marked.join("") + text.slice(taken);
}

/** Any integer of fewer is one. */
const digitsOfDouble = 16;
/** Whole, and as JSON writes it: what is no number is left for JSON.parse to refuse. */
const longInteger = /(?<![\w.+-])-?[1-9]\d{15,}(?![\w.+-])/g;
const backslash = 0x5c;

/** After the quote that ends it; the text's end where none does. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    at = text.indexOf('"', at);
    if (at < 0) return text.length;
    let escapes = 0;
    while (text.charCodeAt(at - 1 - escapes) === backslash) escapes += 1;
    if (escapes % 2 === 0) return at + 1;
  }
}

/** In place: nobody else has the value yet. */
function withoutMarks(value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value) && typeof value[0] === "string" && value[0].charCodeAt(0) === 0)
    return integerOf(value[0].slice(1));
  const members = value as Record<string, Json>; // Of an array, by index.
  for (const name of Object.keys(members)) {
    const member = members[name];
    if (typeof member === "object" && member !== null) members[name] = withoutMarks(member);
  }
  return value;
}

function integerOf(digits: string): number | bigint {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits);
}

function exactInteger(_name: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return context.source !== undefined && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}
