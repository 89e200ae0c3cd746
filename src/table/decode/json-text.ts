/** JSON text to values in which no integer has lost digits: one beyond 2^53 stays as it is written (rule M12). */
import { BadRecord } from "./bad-record.ts";

/** What JSON.rawJSON makes: a number as text, which JSON.stringify writes as it was. */
export interface RawNumber {
  readonly rawJSON: string;
}

/** ECMAScript 2026 ("JSON.parse source text access"), which Node 24 has and TypeScript's library does not know yet. */
interface JsonWithSource {
  parse(text: string, revive: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): value is RawNumber;
}
const json = JSON as unknown as JsonWithSource;

/** 2^53 has sixteen digits: a text without so long a run has no integer that a number cannot hold. */
const longRun = /\d{16}/;
const integer = /^-?\d+$/;

export function parseJson(text: string): unknown {
  try {
    return longRun.test(text) ? json.parse(text, keepLongIntegers) : JSON.parse(text);
  } catch (cause) {
    throw new BadRecord("malformed", cause instanceof Error ? cause.message : String(cause));
  }
}

function keepLongIntegers(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return context.source !== undefined && integer.test(context.source) ? json.rawJSON(context.source) : value;
}

export function isRawNumber(value: unknown): value is RawNumber {
  return typeof value === "object" && value !== null && json.isRawJSON(value);
}
