/** The part of the JSON Schema comparison that is about properties: see the content models in compatibility-json.ts. */
import type { Incompatibility } from "./compatibility.ts";
import type { JsonComparison } from "./compatibility-json.ts";
import { acceptsAll, finding, printed, unevaluatedOf } from "./json-schema-parts.ts";
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
  const found = [...names].flatMap((name) => {
    const at = `${path}/properties/${name}`;
    if (!ours.has(name)) return removed(comparison, reader, theirs.get(name), name, at);
    if (!theirs.has(name)) return added(comparison, reader, writer, name, at);
    return comparison.compare(ours.get(name), theirs.get(name), at);
  });
  return [
    ...found,
    ...requiredFindings(reader, writer, path),
    ...additionalFindings(comparison, reader, writer, path),
    ...dependencyFindings(reader, writer, path),
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
  const covering = schemaOfUnnamed(reader, name);
  if (covering === false) return [finding("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", path)];
  if (comparison.accepts(covering, writerSchema, path)) return [];
  return [finding("PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path)];
}

function added(
  comparison: JsonComparison,
  reader: JsonObject,
  writer: JsonObject,
  name: string,
  path: string,
): readonly Incompatibility[] {
  const schema = propertiesOf(reader).get(name);
  const before = schemaOfUnnamed(writer, name);
  if (requiredOf(reader).includes(name) && !requiredOf(writer).includes(name)) {
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

function requiredFindings(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
  const before = propertiesOf(writer);
  return requiredOf(reader)
    .filter((name) => !requiredOf(writer).includes(name))
    .filter((name) => before.has(name) || schemaOfUnnamed(writer, name) === true) // The others: said by `added`.
    .filter((name) => !hasDefault(propertiesOf(reader).get(name)))
    .map((name) => finding("REQUIRED_ATTRIBUTE_ADDED", `${path}/required/${name}`));
}

function additionalFindings(
  comparison: JsonComparison,
  reader: JsonObject,
  writer: JsonObject,
  path: string,
): readonly Incompatibility[] {
  const ours = additionalOf(reader);
  const theirs = additionalOf(writer);
  const patterns = Object.entries(patternsOf(reader)).flatMap(([pattern, schema]) => {
    const before = patternsOf(writer)[pattern] ?? theirs;
    return comparison.accepts(schema, before, path)
      ? []
      : [finding("PATTERN_PROPERTY_NARROWED", `${path}/patternProperties`)];
  });
  const lost = Object.entries(patternsOf(writer)).flatMap(([pattern, schema]) => {
    if (patternsOf(reader)[pattern] !== undefined || comparison.accepts(ours, schema, path)) return [];
    return [finding("PATTERN_PROPERTY_REMOVED", `${path}/patternProperties`)];
  });
  const names =
    reader["propertyNames"] !== undefined && printed(reader["propertyNames"]) !== printed(writer["propertyNames"]);
  const at = `${path}/additionalProperties`;
  const narrowed = ours === false ? "ADDITIONAL_PROPERTIES_REMOVED" : "ADDITIONAL_PROPERTIES_NARROWED";
  return [
    ...patterns,
    ...lost,
    ...(comparison.accepts(ours, theirs, at) ? [] : [finding(narrowed, at)]),
    ...(names ? [finding("PROPERTY_NAMES_CHANGED", `${path}/propertyNames`)] : []),
  ];
}

/** Any dependency that was not there in the same words narrows. */
function dependencyFindings(reader: JsonObject, writer: JsonObject, path: string): readonly Incompatibility[] {
  return ["dependencies", "dependentRequired", "dependentSchemas"].flatMap((key) => {
    const ours = isJsonObject(reader[key]) ? reader[key] : {};
    const theirs = isJsonObject(writer[key]) ? writer[key] : {};
    return Object.keys(ours)
      .filter((name) => printed(ours[name]) !== printed(theirs[name]))
      .map((name) => finding("DEPENDENCY_ADDED", `${path}/${key}/${name}`));
  });
}

function propertiesOf(schema: JsonObject): ReadonlyMap<string, unknown> {
  return new Map(isJsonObject(schema["properties"]) ? Object.entries(schema["properties"]) : []);
}

function patternsOf(schema: JsonObject): JsonObject {
  return isJsonObject(schema["patternProperties"]) ? schema["patternProperties"] : {};
}

/** true, false or a schema; {} counts as true. */
function additionalOf(schema: JsonObject): unknown {
  const additional = schema["additionalProperties"] ?? unevaluatedOf(schema, "unevaluatedProperties") ?? true;
  return isJsonObject(additional) && acceptsAll(additional) ? true : additional;
}

/** What decides about a property that is not named. A pattern that matches does; of several, the first. */
function schemaOfUnnamed(schema: JsonObject, name: string): unknown {
  const pattern = Object.entries(patternsOf(schema)).find(([each]) => matches(each, name));
  return pattern === undefined ? additionalOf(schema) : pattern[1];
}

/**
 * Patterns come from clients and run on the event loop, so only those run whose time is at most quadratic: no groups, one
 * quantifier. Others decide about nothing here, which errs towards "incompatible".
 */
function matches(pattern: string, name: string): boolean {
  if (/[()\\]/.test(pattern) || (pattern.match(/[*+{?]/g)?.length ?? 0) > 1 || name.length > 1000) return false;
  try {
    return new RegExp(pattern, "u").test(name);
  } catch (cause) {
    if (cause instanceof SyntaxError) return false; // Another dialect of regular expressions.
    throw cause;
  }
}

function requiredOf(schema: JsonObject): readonly string[] {
  return Array.isArray(schema["required"]) ? schema["required"].map(String) : [];
}

function hasDefault(schema: unknown): boolean {
  return isJsonObject(schema) && schema["default"] !== undefined;
}
