/** JSON text to values in which no number has lost what its column could hold: it stays as it is written (rule M12). */
import { BadRecord } from "./bad-record.ts";
import { withoutZerosBehind } from "./decimal-text.ts";

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

/** How numbers are read: such that no integer loses digits, or such that no number does. */
export type NumberCare = "integers" | "all";

/** A double holds any fifteen digits; small exponents are looked at too, since they may come to nothing. */
const manyDigits = /\d(?:(?:\.?\d){15}|[eE][+-]?\d{3})/;
const integer = /^-?\d+$/;

/** Objects and lists inside each other: what walks a value calls itself for each, and the stack ends. Jackson's bound. */
export const jsonDepthMax = 1000;

/** Throws BadRecord. */
export function parseJson(text: string, care: NumberCare = "integers"): unknown {
  const value = parsed(text, JSON.parse);
  if (text.length > 2 * jsonDepthMax) requireShallow(value, jsonDepthMax); // Each level takes two brackets.
  if (care === "all") return manyDigits.test(text) ? parsed(text, (again) => json.parse(again, keepAllDigits)) : value;
  return mayHaveLost(value) ? parsed(text, (again) => json.parse(again, keepLongIntegers)) : value;
}

function parsed(text: string, parse: (text: string) => unknown): unknown {
  try {
    return parse(text);
  } catch (cause) {
    throw new BadRecord("malformed", cause instanceof Error ? cause.message : String(cause));
  }
}

function requireShallow(value: unknown, levels: number): void {
  if (typeof value !== "object" || value === null) return;
  if (levels === 0) throw new BadRecord("malformed", `values nest deeper than ${jsonDepthMax}`);
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) requireShallow(value[at], levels - 1);
    return;
  }
  const fields = value as Readonly<Record<string, unknown>>; // JSON.parse makes objects that inherit nothing which is listed.
  for (const name in fields) requireShallow(fields[name], levels - 1);
}

/** An integer beyond 2^53, or a number beyond what doubles reach, is in it. Cheaper to see here than in its text. */
function mayHaveLost(value: unknown): boolean {
  if (typeof value === "number") {
    return !Number.isSafeInteger(value) && (Number.isInteger(value) || !Number.isFinite(value));
  }
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return value.some(mayHaveLost);
  const fields = value as Readonly<Record<string, unknown>>; // JSON.parse makes objects that inherit nothing which is listed.
  for (const name in fields) if (mayHaveLost(fields[name])) return true;
  return false;
}

/** An integer beyond 2^53, what a double would make another one of, and a number beyond what doubles reach, stay as they are written. */
function keepLongIntegers(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  if (typeof value !== "number" || source === undefined || Number.isSafeInteger(value)) return value;
  if (!Number.isFinite(value) || integer.test(source)) return json.rawJSON(source);
  return Number.isInteger(value) ? keepAllDigits(_key, value, { source }) : value;
}

function keepAllDigits(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  if (typeof value !== "number" || source === undefined) return value;
  return digitsOf(source) === digitsOf(String(value)) ? value : json.rawJSON(source);
}

/** Significant digits and where the point stands among them: equal for texts of one number. */
function digitsOf(text: string): string {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const digits = (whole + fraction).replace(/^0+/, "");
  const significant = withoutZerosBehind(digits);
  return significant === ""
    ? "0"
    : `${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}

/** As JSON.stringify, but for half surrogate pairs, which become U+FFFD: most readers take no text that has their escapes. */
export function writeJson(value: unknown): string {
  const text = JSON.stringify(value);
  return text.includes("\\ud") ? text.replaceAll(halfPair, (found) => (found === "\\\\" ? found : "\\ufffd")) : text;
}

/** A backslash, or half of a pair: whole ones are written as they are. */
const halfPair = /\\(?:\\|ud[89a-f][0-9a-f]{2})/g;

/** Of a text that is a number of JSON. */
export function rawNumber(text: string): RawNumber {
  return json.rawJSON(text);
}

export function isRawNumber(value: unknown): value is RawNumber {
  return typeof value === "object" && value !== null && json.isRawJSON(value);
}
