/**
 * Whether every document that an older JSON Schema accepts is accepted by a newer one, judged by structure: Confluent's main
 * rules under its names. Where a rule cannot tell, the change counts as incompatible. Content models:
 *
 *   open            additionalProperties is absent or true: anything may be there already, so an added property narrows
 *   closed          additionalProperties is false: an added property was never there before, so it is free
 *   partially open  additionalProperties or patternProperties is a schema: it decides about what was or becomes unnamed
 *
 * unevaluatedProperties counts as additionalProperties where there is none and nothing that it would have to see into.
 */
import { ComparedPairs } from "./compared-pairs.ts";
import type { Incompatibility } from "./compatibility.ts";
import { objectFindings } from "./compatibility-json-object.ts";
import { Effort, TooComplex } from "./effort.ts";
import { isMetaSchema } from "./json-documents.ts";
import { JsonReferences, type JsonSchemaText } from "./json-references.ts";
import {
  acceptsAll,
  acceptsNothing,
  finding,
  printed,
  unevaluatedFindings,
  unevaluatedOf,
  without,
  withoutUnevaluated,
} from "./json-schema-parts.ts";
import { isJsonObject, isWholeNumber, type JsonObject, numberOf } from "./json-text.ts";

/** [] when the reader accepts all that the writer accepted. */
export function jsonIncompatibilities(reader: JsonSchemaText, writer: JsonSchemaText): readonly Incompatibility[] {
  const comparison = new JsonComparison(new JsonReferences(reader), new JsonReferences(writer), new Effort(stepsMax));
  try {
    return comparison.compare(reader.root, writer.root, "#");
  } catch (cause) {
    if (!(cause instanceof TooComplex)) throw cause;
    return [finding("SCHEMA_TOO_COMPLEX", "#")];
  }
}

/** Deeper nesting is not followed, and so not trusted. */
const depthMax = 200;
/**
 * Steps in one check: combined schemas try pairs, and a hostile schema could make the pairs explode. A comparison takes as many as
 * ten keywords, and one for each keyword, property and value that it goes through.
 */
const stepsMax = 1_000_000;
const stepsOfComparison = 10;

export class JsonComparison {
  readonly #reader: JsonReferences;
  readonly #writer: JsonReferences;
  readonly #effort: Effort;
  readonly #pairs = new ComparedPairs<JsonObject, JsonObject>();
  #depth = 0;

  constructor(reader: JsonReferences, writer: JsonReferences, effort: Effort) {
    this.#reader = reader;
    this.#writer = writer;
    this.#effort = effort;
  }

  compare(readerSchema: unknown, writerSchema: unknown, path: string): readonly Incompatibility[] {
    this.spend(stepsOfComparison);
    const reader = asObject(this.#reader.resolved(readerSchema));
    const writer = asObject(this.#writer.resolved(writerSchema));
    if (reader === undefined || writer === undefined)
      return isSameDraft(readerSchema, writerSchema) ? [] : [finding("REFERENCE_UNRESOLVED", path)];
    if (acceptsNothing(writer) || acceptsAll(reader) || reader === writer) return [];
    if (acceptsNothing(reader)) return [finding("SCHEMA_REMOVED", path)];
    return this.#pairs.compare(reader, writer, () => this.#within(reader, writer, path));
  }

  /** Throws TooComplex when the check has taken all it may. */
  spend(steps: number): void {
    this.#effort.spend(steps);
  }

  accepts(reader: unknown, writer: unknown, path: string): boolean {
    return this.#pairs.holds(() => this.compare(reader, writer, path));
  }

  /** Whether schemas, or lists of names, are the same in words, and the reader's `$ref`s lead to no less. */
  keeps(reader: unknown, writer: unknown, path: string): boolean {
    if (printed(reader) !== printed(writer)) return false;
    return Array.isArray(reader) || this.accepts(reader, writer, path);
  }

  #within(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
    if (this.#depth === depthMax) return [finding("SCHEMA_TOO_COMPLEX", path)];
    this.#depth += 1;
    for (const each of [reader, writer]) this.spend(Object.keys(each).length + (valuesIn(each)?.length ?? 0));
    const isCombined = [reader, writer].some(combines);
    const found = isCombined ? this.#combined(reader, writer, path) : this.#plain(reader, writer, path);
    this.#depth -= 1;
    return found;
  }

  #plain(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
    const types = typeFindings(reader, writer, path);
    if (types.length > 0) return types;
    return [
      ...this.#values(reader, writer, path),
      ...boundFindings(reader, writer, path),
      ...objectFindings(this, reader, writer, path),
      ...this.#items(reader, writer, path),
      ...this.#not(reader, writer, path),
      ...this.#conditions(reader, writer, path),
    ];
  }

  #values(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
    const ours = printedValues(reader);
    if (ours === undefined) return [];
    const theirs = printedValues(writer);
    const covered = theirs !== undefined && [...theirs].every((value) => ours.has(value));
    return covered ? [] : [finding("ENUM_ARRAY_NARROWED", `${path}/enum`)];
  }

  #combined(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
    const parts = this.#parts(withoutUnevaluated(reader), withoutUnevaluated(writer), path);
    return [...parts, ...unevaluatedFindings(reader, writer, path)];
  }

  /** Of which one at least combines schemas. */
  #parts(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
    const writerSum = sumOf(writer);
    if (writerSum !== undefined) {
      // A document fits one branch and what stands beside them: the reader must take each such document.
      const rest = without(writer, writerSum.key);
      return writerSum.branches.flatMap((branch, index) => {
        const alone = acceptsAll(rest) ? branch : { ...rest, allOf: [...listOf(rest["allOf"]), branch] };
        return this.accepts(reader, alone, path) ? [] : [finding("SUM_TYPE_NARROWED", `${path}/${index}`)];
      });
    }
    const readerSum = sumOf(reader);
    if (readerSum !== undefined) {
      const rest = without(reader, readerSum.key);
      const beside = acceptsAll(rest) ? [] : this.compare(rest, writer, path);
      const fits = readerSum.branches.some((branch) => this.accepts(branch, writer, path));
      return fits ? beside : [...beside, finding("COMBINED_TYPE_SUBSCHEMAS_CHANGED", path)];
    }
    const readerAll = listOf(reader["allOf"]);
    if (readerAll.length > 0) {
      const parts = [without(reader, "allOf"), ...readerAll].filter((part) => !isJsonObject(part) || !acceptsAll(part));
      return parts.flatMap((part) =>
        this.accepts(part, writer, path) ? [] : [finding("PRODUCT_TYPE_EXTENDED", path)],
      );
    }
    // Each part alone accepts more than all together, so one that fits is proof.
    const parts = [without(writer, "allOf"), ...listOf(writer["allOf"])];
    return parts.some((part) => this.accepts(reader, part, path)) ? [] : [finding("PRODUCT_TYPE_NARROWED", path)];
  }

  #not(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
    if (reader["not"] === undefined) return [];
    // What the reader forbids, the writer must have forbidden.
    const covers =
      writer["not"] !== undefined &&
      new JsonComparison(this.#writer, this.#reader, this.#effort).accepts(writer["not"], reader["not"], path);
    return covers ? [] : [finding("NOT_TYPE_EXTENDED", `${path}/not`)];
  }

  /** What is decided by a document, or by who refers, is not taken apart. */
  #conditions(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
    const isMoved = ["$dynamicRef", "$recursiveRef"].some((key) => (reader[key] ?? writer[key]) !== writer[key]);
    if (isMoved) return [finding("DYNAMIC_REFERENCE_CHANGED", path)];
    const { if: asked, then, else: otherwise } = reader;
    if (asked === undefined || (then === undefined && otherwise === undefined)) return [];
    const isSame =
      this.keeps(asked, writer["if"], path) &&
      new JsonComparison(this.#writer, this.#reader, this.#effort).accepts(writer["if"], asked, path) &&
      this.keeps(then ?? true, writer["then"] ?? true, path) &&
      this.keeps(otherwise ?? true, writer["else"] ?? true, path);
    return isSame ? [] : [finding("CONDITION_CHANGED", `${path}/if`)];
  }

  #items(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
    const ours = itemsOf(reader);
    const theirs = itemsOf(writer);
    const length = Math.max(ours.tuple.length, theirs.tuple.length);
    const positions = Array.from({ length }, (_, index) => {
      const at = `${path}/items/${index}`;
      return this.compare(ours.tuple[index] ?? ours.rest, theirs.tuple[index] ?? theirs.rest, at);
    });
    const unique = reader["uniqueItems"] === true && writer["uniqueItems"] !== true;
    const contains = reader["contains"] !== undefined && !this.keeps(reader["contains"], writer["contains"], path);
    return [
      ...positions.flat(),
      ...this.compare(ours.rest, theirs.rest, `${path}/items`),
      ...(unique ? [finding("UNIQUE_ITEMS_ADDED", `${path}/uniqueItems`)] : []),
      ...(contains ? [finding("CONTAINS_CHANGED", `${path}/contains`)] : []),
    ];
  }
}

/** true → {}, false → { not: {} }. */
function asObject(schema: unknown): JsonObject | undefined {
  if (schema === true) return {};
  if (schema === false) return { not: {} };
  return isJsonObject(schema) ? schema : undefined;
}

/** Those of drafts, which are nobody's references, are not read. */
function isSameDraft(reader: unknown, writer: unknown): boolean {
  if (!isJsonObject(reader) || !isJsonObject(writer)) return false;
  return typeof reader["$ref"] === "string" && isMetaSchema(reader["$ref"]) && reader["$ref"] === writer["$ref"];
}

function combines(schema: JsonObject): boolean {
  return sumOf(schema) !== undefined || listOf(schema["allOf"]).length > 0;
}

/** Of a schema with both, the one; the other is part of what stands beside it. */
function sumOf(
  schema: JsonObject,
): { readonly key: "anyOf" | "oneOf"; readonly branches: readonly unknown[] } | undefined {
  const key = (["anyOf", "oneOf"] as const).find((each) => listOf(schema[each]).length > 0);
  return key === undefined ? undefined : { key, branches: listOf(schema[key]) };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

const allTypes = ["null", "boolean", "integer", "number", "string", "array", "object"];

function typesOf(schema: JsonObject): readonly string[] {
  const { type } = schema;
  if (typeof type === "string") return [type];
  if (Array.isArray(type)) return type.map(String);
  return valuesIn(schema)?.map(typeOf) ?? allTypes;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (numberOf(value) !== undefined) return isWholeNumber(value) ? "integer" : "number";
  return typeof value;
}

function typeFindings(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
  if (reader["type"] === undefined) return []; // What its values are is compared with them.
  // Kafka Connect's converter writes the same decimals as strings or as numbers.
  if (reader["connect.type"] === "bytes" && writer["connect.type"] === "bytes") return [];
  const ours = typesOf(reader);
  const theirs = typesOf(writer);
  const covers = (type: string): boolean => ours.includes(type) || (type === "integer" && ours.includes("number"));
  if (theirs.every(covers)) return [];
  return [finding(theirs.some(covers) ? "TYPE_NARROWED" : "TYPE_CHANGED", path)];
}

/** Of each list once: combined schemas are compared many times. */
const printedLists = new WeakMap<object, ReadonlySet<string>>();

function printedValues(schema: JsonObject): ReadonlySet<string> | undefined {
  const values = valuesIn(schema);
  if (values === undefined) return undefined;
  const known = printedLists.get(values) ?? new Set(values.map(printed));
  printedLists.set(values, known);
  return known;
}

function valuesIn(schema: JsonObject): readonly unknown[] | undefined {
  if (Array.isArray(schema["enum"])) return schema["enum"];
  return schema["const"] === undefined ? undefined : [schema["const"]];
}

/** Keyword of an upper or lower bound → the word in Confluent's names. */
const upperBounds = {
  maxLength: "MAX_LENGTH",
  maximum: "MAXIMUM",
  maxItems: "MAX_ITEMS",
  maxContains: "MAX_CONTAINS",
  maxProperties: "MAX_PROPERTIES",
};
const lowerBounds = {
  minLength: "MIN_LENGTH",
  minimum: "MINIMUM",
  minItems: "MIN_ITEMS",
  minContains: "MIN_CONTAINS",
  minProperties: "MIN_PROPERTIES",
};

function boundFindings(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
  const bounds = [
    ...Object.entries(upperBounds).map(([key, word]) => ({ key, word, sign: 1, narrowed: "DECREASED" })),
    ...Object.entries(lowerBounds).map(([key, word]) => ({ key, word, sign: -1, narrowed: "INCREASED" })),
    { key: "exclusiveMaximum", word: "EXCLUSIVE_MAXIMUM", sign: 1, narrowed: "DECREASED" },
    { key: "exclusiveMinimum", word: "EXCLUSIVE_MINIMUM", sign: -1, narrowed: "INCREASED" },
  ];
  const found = bounds.flatMap(({ key, word, sign, narrowed }) => {
    const at = `${path}/${key}`;
    if (reader[key] === true) return writer[key] === true ? [] : [finding(`${word}_ADDED`, at)]; // Draft 4's flag.
    const ours = boundOf(reader, key);
    const theirs = boundOf(writer, key);
    if (ours === undefined) return [];
    if (theirs === undefined) return [finding(`${word}_ADDED`, at)];
    return sign * ours < sign * theirs ? [finding(`${word}_${narrowed}`, at)] : [];
  });
  return [...found, ...patternFindings(reader, writer, path), ...multipleFindings(reader, writer, path)];
}

/** What `contains` says is there once at least, unless minContains says otherwise. */
function boundOf(schema: JsonObject, key: string): number | undefined {
  const isOnce = key === "minContains" && schema["contains"] !== undefined;
  return numberOf(schema[key]) ?? (isOnce ? 1 : undefined);
}

function patternFindings(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
  const { pattern } = reader;
  if (pattern === undefined || pattern === writer["pattern"]) return [];
  return [finding(writer["pattern"] === undefined ? "PATTERN_ADDED" : "PATTERN_CHANGED", `${path}/pattern`)];
}

function multipleFindings(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
  const ours = numberOf(reader["multipleOf"]);
  const theirs = numberOf(writer["multipleOf"]);
  if (ours === undefined) return [];
  if (theirs === undefined) return [finding("MULTIPLE_OF_ADDED", `${path}/multipleOf`)];
  return theirs % ours === 0 ? [] : [finding("MULTIPLE_OF_CHANGED", `${path}/multipleOf`)];
}

/**
 * Schemas by position, and the one of all further items. `additionalItems` without `items` has no effect by its specification;
 * Confluent's registry goes by it all the same.
 */
function itemsOf(schema: JsonObject): { readonly tuple: readonly unknown[]; readonly rest: unknown } {
  const { items, prefixItems, additionalItems } = schema;
  const unnamed = unevaluatedOf(schema, "unevaluatedItems") ?? true;
  if (Array.isArray(prefixItems)) return { tuple: prefixItems, rest: items ?? unnamed }; // Draft 2020-12.
  if (Array.isArray(items)) return { tuple: items, rest: additionalItems ?? unnamed };
  return { tuple: [], rest: items ?? additionalItems ?? unnamed };
}
