/** JSON that keeps its numbers as they were written: 9223372036854775807 and 1.0 mean something in a schema's defaults. */

/** A number whose text would change if JavaScript printed it. */
export interface ExactNumber {
  readonly rawJSON: string;
}

interface ExactJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): ExactNumber;
  isRawJSON(value: unknown): value is ExactNumber;
}

/** Of the "JSON.parse source text access" proposal, which V8 has and TypeScript's libraries do not yet describe. */
const exactJson = JSON as unknown as ExactJson;

/** Deeper texts are refused: what walks them recurses, JSON.parse with its reviver first. */
const depthMax = 500;

/** undefined when the text is no JSON, or nested deeper than any schema. */
export function parseJson(text: string): { readonly value: unknown } | undefined {
  if (isDeeper(text, depthMax)) return undefined;
  try {
    return {
      value: exactJson.parse(text, (_key, value, { source }) =>
        typeof value === "number" && source !== undefined && String(value) !== source
          ? exactJson.rawJSON(source)
          : value,
      ),
    };
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

/** One pass without recursion. Brackets inside strings open nothing. */
function isDeeper(text: string, max: number): boolean {
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === "\\" && isInString) index += 1;
    else if (character === '"') isInString = !isInString;
    else if (isInString) continue;
    else if (character === "[" || character === "{") depth += 1;
    else if (character === "]" || character === "}") depth -= 1;
    if (depth > max) return true;
  }
  return false;
}

/** Without white space, keys in the order that they have. */
export function printJson(value: unknown): string {
  return JSON.stringify(value);
}

/** Keys sorted at every depth. */
export function sortedJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedJson);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sortedJson(value[key])]),
  );
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !exactJson.isRawJSON(value);
}

/** The nearest number, or undefined when the value is none. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  return exactJson.isRawJSON(value) ? Number(value.rawJSON) : undefined;
}

/** undefined when the value is none, or is written as something else: 1.0. */
export function wholeNumberOf(value: unknown): bigint | undefined {
  if (!isWholeNumber(value)) return undefined;
  return BigInt(exactJson.isRawJSON(value) ? value.rawJSON : (value as number));
}

export function isWholeNumber(value: unknown): boolean {
  if (typeof value === "number") return Number.isInteger(value);
  return exactJson.isRawJSON(value) && /^-?\d+$/.test(value.rawJSON);
}
