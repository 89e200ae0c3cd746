/** The part of the JSON Schema comparison that is about properties: see the content models in compatibility-json.ts. */
import type { Incompatibility } from "./compatibility.ts";
import type { JsonComparison } from "./compatibility-json.ts";
import { acceptsAll, finding, unevaluatedOf } from "./json-schema-parts.ts";
import { isJsonObject, type JsonObject } from "./json-text.ts";

export function objectFindings(
  comparison: JsonComparison,
  reader: JsonObject,
  writer: JsonObject,
  path: string,
): readonly Incompatibility[] {
  const ours = propertiesOf(reader);
  const theirs = propertiesOf(writer);
  const names = new Set([...ours.keys(), ...theirs.keys()]);
  const required = { ours: requiredOf(reader), theirs: requiredOf(writer) };
  comparison.spend(names.size + required.ours.size + required.theirs.size);
  const found = [...names].flatMap((name) => {
    const at = `${path}/properties/${name}`;
    if (!ours.has(name)) return removed(comparison, reader, theirs.get(name), name, at);
    if (!theirs.has(name)) {
      const isDemanded = required.ours.has(name) && !required.theirs.has(name);
      return added(comparison, { name, schema: ours.get(name), isDemanded }, writer, at);
    }
    return comparison.compare(ours.get(name), theirs.get(name), at);
  });
  return [
    ...found,
    ...requiredFindings(comparison, reader, writer, path),
    ...additionalFindings(comparison, reader, writer, path),
    ...dependencyFindings(comparison, reader, writer, path),
  ];
}

function removed(
  comparison: JsonComparison,
  reader: JsonObject,
  writerSchema: unknown,
  name: string,
  path: string,
): readonly Incompatibility[] {
  if (writerSchema === false) return []; // It never was there.
  const covering = schemaOfUnnamed(comparison, reader, name);
  if (covering === false) return [finding("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", path)];
  if (comparison.accepts(covering, writerSchema, path)) return [];
  return [finding("PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path)];
}

/** `isDemanded`: the reader requires what the writer did not. */
function added(
  comparison: JsonComparison,
  { name, schema, isDemanded }: { readonly name: string; readonly schema: unknown; readonly isDemanded: boolean },
  writer: JsonObject,
  path: string,
): readonly Incompatibility[] {
  const before = schemaOfUnnamed(comparison, writer, name);
  if (isDemanded) {
    if (before !== true && !hasDefault(schema))
      return [finding("REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", path)];
  }
  if (before === false) return [];
  if (comparison.accepts(schema, before, path)) return [];
  const model =
    before === true
      ? "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"
      : "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL";
  return [finding(model, path)];
}

function requiredFindings(
  comparison: JsonComparison,
  reader: JsonObject,
  writer: JsonObject,
  path: string,
): readonly Incompatibility[] {
  const ours = propertiesOf(reader);
  const before = propertiesOf(writer);
  const requiredBefore = requiredOf(writer);
  return (
    [...requiredOf(reader)]
      .filter((name) => !requiredBefore.has(name))
      // Of the others, properties of ours: said by `added`.
      .filter((name) => before.has(name) || !ours.has(name) || schemaOfUnnamed(comparison, writer, name) === true)
      .filter((name) => !hasDefault(ours.get(name)))
      .map((name) => finding("REQUIRED_ATTRIBUTE_ADDED", `${path}/required/${name}`))
  );
}

function additionalFindings(
  comparison: JsonComparison,
  reader: JsonObject,
  writer: JsonObject,
  path: string,
): readonly Incompatibility[] {
  const ours = additionalOf(reader);
  const theirs = additionalOf(writer);
  const ourPatterns = patternsOf(reader);
  const theirPatterns = patternsOf(writer);
  comparison.spend(ourPatterns.size + theirPatterns.size);
  const patterns = [...ourPatterns].flatMap(([pattern, schema]) => {
    const before = theirPatterns.get(pattern) ?? theirs;
    return comparison.accepts(schema, before, path)
      ? []
      : [finding("PATTERN_PROPERTY_NARROWED", `${path}/patternProperties`)];
  });
  const lost = [...theirPatterns].flatMap(([pattern, schema]) => {
    if (ourPatterns.has(pattern) || comparison.accepts(ours, schema, path)) return [];
    return [finding("PATTERN_PROPERTY_REMOVED", `${path}/patternProperties`)];
  });
  const names =
    reader["propertyNames"] !== undefined &&
    !comparison.keeps(reader["propertyNames"], writer["propertyNames"], `${path}/propertyNames`);
  const at = `${path}/additionalProperties`;
  const narrowed = ours === false ? "ADDITIONAL_PROPERTIES_REMOVED" : "ADDITIONAL_PROPERTIES_NARROWED";
  return [
    ...patterns,
    ...lost,
    ...(comparison.accepts(ours, theirs, at) ? [] : [finding(narrowed, at)]),
    ...(names ? [finding("PROPERTY_NAMES_CHANGED", `${path}/propertyNames`)] : []),
  ];
}

/** Any dependency that was not there in the same words, and with the same meaning, narrows. */
function dependencyFindings(
  comparison: JsonComparison,
  reader: JsonObject,
  writer: JsonObject,
  path: string,
): readonly Incompatibility[] {
  return ["dependencies", "dependentRequired", "dependentSchemas"].flatMap((key) => {
    const ours = isJsonObject(reader[key]) ? reader[key] : {};
    const theirs = isJsonObject(writer[key]) ? writer[key] : {};
    comparison.spend(Object.keys(ours).length);
    return Object.keys(ours)
      .filter((name) => !comparison.keeps(ours[name], theirs[name], `${path}/${key}/${name}`))
      .map((name) => finding("DEPENDENCY_ADDED", `${path}/${key}/${name}`));
  });
}

function propertiesOf(schema: JsonObject): ReadonlyMap<string, unknown> {
  return new Map(isJsonObject(schema["properties"]) ? Object.entries(schema["properties"]) : []);
}

function patternsOf(schema: JsonObject): ReadonlyMap<string, unknown> {
  return new Map(isJsonObject(schema["patternProperties"]) ? Object.entries(schema["patternProperties"]) : []);
}

/** true, false or a schema; {} counts as true. */
function additionalOf(schema: JsonObject): unknown {
  const additional = schema["additionalProperties"] ?? unevaluatedOf(schema, "unevaluatedProperties") ?? true;
  return isJsonObject(additional) && acceptsAll(additional) ? true : additional;
}

/** What decides about a property that is not named. A pattern that matches does; of several, the first. */
function schemaOfUnnamed(comparison: JsonComparison, schema: JsonObject, name: string): unknown {
  for (const [pattern, ofPattern] of patternsOf(schema)) {
    comparison.spend(stepsOfPattern + pattern.length + name.length);
    if (matches(pattern, name)) return ofPattern;
  }
  return additionalOf(schema);
}

/** To compile it. */
const stepsOfPattern = 100;
/** No property's is longer, and none takes longer to match than a pattern takes to compile. */
const nameLengthMax = 200;

/**
 * Patterns come from clients and run on the event loop, so only those run whose time is at most quadratic: no groups, one
 * quantifier. Others decide about nothing here, which errs towards "incompatible".
 */
function matches(pattern: string, name: string): boolean {
  if (/[()\\]/.test(pattern) || (pattern.match(/[*+{?]/g)?.length ?? 0) > 1 || name.length > nameLengthMax)
    return false;
  try {
    return new RegExp(pattern, "u").test(name);
  } catch (cause) {
    if (cause instanceof SyntaxError) return false; // Another dialect of regular expressions.
    throw cause;
  }
}

function requiredOf(schema: JsonObject): ReadonlySet<string> {
  return new Set(Array.isArray(schema["required"]) ? schema["required"].map(String) : []);
}

function hasDefault(schema: unknown): boolean {
  return isJsonObject(schema) && schema["default"] !== undefined;
}
