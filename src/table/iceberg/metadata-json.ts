/**
 * Table metadata files: `<location>/metadata/<5-digit version>-<uuid>.metadata.json`. Reading checks what we rely on
 * (rules F1, F3, F10) and makes snapshot ids bigint; every field that we do not know passes through as it was (F9).
 */
import { CorruptData } from "../../base/errors.ts";
import { isJsonObject, type Json, type JsonObject, parseJsonObject, renderJson } from "./json.ts";
import type { TableMetadata } from "./metadata.ts";
import type { Schema } from "./types.ts";

/** The newest format version that we read and pass on. We write data for version 2 only. */
const formatVersionMax = 3;

export function parseMetadata(text: string, source: string): TableMetadata {
  return toMetadata(parseJsonObject(text, source), source);
}

export function renderMetadata(metadata: TableMetadata): string {
  return renderJson(metadata);
}

/** From JSON that json.ts parsed, e.g. the `metadata` of a catalog's answer. */
export function toMetadata(json: JsonObject, source: string): TableMetadata {
  const version = json["format-version"];
  if (version !== 1 && version !== 2 && version !== 3) {
    throw corrupt(source, `format-version 1 to ${formatVersionMax}`, version);
  }
  const metadata = { ...(version === 1 ? fromVersion1(json) : json), ...normalized(json, source) };
  checkRequired(metadata, source);
  checkReferences(metadata as unknown as TableMetadata, source);
  return metadata as unknown as TableMetadata;
}

/** "00003-6f0c….metadata.json" is version 3; undefined when the name does not say. */
export function metadataVersion(location: string): number | undefined {
  const match = /\/v?(\d+)[^/]*\.metadata\.json$/.exec(location);
  return match === null ? undefined : Number(match[1]);
}

export function metadataFileName(version: number, uuid: string): string {
  return `${String(version).padStart(5, "0")}-${uuid}.metadata.json`;
}

/** Format version 1 may name its one schema and one spec instead of listing them (spec, "Version 1"). */
function fromVersion1(json: JsonObject): JsonObject {
  const schema = json["schema"];
  const fields = json["partition-spec"];
  const listed: Record<string, Json> = { "last-sequence-number": 0, "default-sort-order-id": 0, ...json };
  if (json["schemas"] === undefined && isJsonObject(schema)) {
    listed["schemas"] = [{ ...schema, "schema-id": 0 }];
    listed["current-schema-id"] = 0;
  }
  if (json["partition-specs"] === undefined && Array.isArray(fields)) {
    const numbered = (fields as readonly JsonObject[]).map((field, index) => ({ "field-id": 1000 + index, ...field }));
    listed["partition-specs"] = [{ "spec-id": 0, fields: numbered }];
    listed["default-spec-id"] = 0;
    listed["last-partition-id"] = 999 + numbered.length;
  }
  listed["sort-orders"] ??= [{ "order-id": 0, fields: [] }];
  return listed;
}

/** Readers of version 1 look for one schema and one list of partition fields; later versions have none. */
export function ofVersion(metadata: TableMetadata): TableMetadata {
  const { schema: _schema, "partition-spec": _fields, ...common } = metadata;
  if (metadata["format-version"] > 1) return common;
  const schema = metadata.schemas.find((each) => each["schema-id"] === metadata["current-schema-id"]);
  const spec = metadata["partition-specs"].find((each) => each["spec-id"] === metadata["default-spec-id"]);
  return { ...common, schema, "partition-spec": spec?.fields };
}

/** The fields that hold snapshot ids, with bigint in them, and the optional fields that we want to be there. */
function normalized(json: JsonObject, source: string): Record<string, unknown> {
  const current = snapshotId(json["current-snapshot-id"] ?? -1, source);
  const refs = isJsonObject(json["refs"]) ? json["refs"] : undefined;
  const entries = Object.entries(refs ?? {}).map(([name, ref]) => [name, withSnapshotId(ref, source)] as const);
  // Before refs existed, main was current-snapshot-id alone.
  if (refs?.["main"] === undefined && current !== -1n) {
    entries.push(["main", { "snapshot-id": current, type: "branch" }]);
  }
  const statistics = ["statistics", "partition-statistics"].filter((name) => json[name] !== undefined);
  return {
    properties: json["properties"] ?? {},
    "current-snapshot-id": current,
    snapshots: listOf(json, "snapshots", source),
    "snapshot-log": listOf(json, "snapshot-log", source),
    "metadata-log": json["metadata-log"] ?? [],
    refs: Object.fromEntries(entries),
    ...Object.fromEntries(statistics.map((name) => [name, listOf(json, name, source)])),
  };
}

function listOf(json: JsonObject, name: string, source: string): readonly unknown[] {
  const list = json[name] ?? [];
  if (!Array.isArray(list)) throw corrupt(source, `a list as ${name}`, list);
  return (list as readonly Json[]).map((member) => withSnapshotId(member, source));
}

export function withSnapshotId(member: Json, source: string): Readonly<Record<string, unknown>> {
  if (!isJsonObject(member)) throw corrupt(source, "an object with a snapshot-id", member);
  const parent = member["parent-snapshot-id"];
  const id = { ...member, "snapshot-id": snapshotId(member["snapshot-id"], source) };
  return parent === undefined || parent === null ? id : { ...id, "parent-snapshot-id": snapshotId(parent, source) };
}

function snapshotId(value: Json | undefined, source: string): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  throw corrupt(source, "a snapshot id", value);
}

const requiredTypes = {
  "table-uuid": "string",
  location: "string",
  "last-sequence-number": "number",
  "last-updated-ms": "number",
  "last-column-id": "number",
  "current-schema-id": "number",
  "default-spec-id": "number",
  "last-partition-id": "number",
  "default-sort-order-id": "number",
} as const;

function checkRequired(metadata: Readonly<Record<string, unknown>>, source: string): void {
  for (const [name, type] of Object.entries(requiredTypes)) {
    if (typeof metadata[name] !== type) throw corrupt(source, `a ${type} as ${name}`, metadata[name]);
  }
  for (const name of ["schemas", "partition-specs", "sort-orders"]) {
    const list = metadata[name];
    if (!Array.isArray(list) || list.length === 0) throw corrupt(source, `a list of ${name}`, list);
  }
  for (const schema of metadata["schemas"] as readonly Json[]) toSchema(schema, source);
  for (const spec of metadata["partition-specs"] as readonly Json[]) requireSpec(spec, source);
}

/** Checks the shape that code walks: fields with ids, names and types, all the way down. */
export function toSchema(json: Json, source: string): Schema {
  requireType(json, source);
  if (!isJsonObject(json) || json["type"] !== "struct") throw corrupt(source, "a schema", json);
  return json as unknown as Schema;
}

function requireType(json: Json | undefined, source: string): void {
  if (typeof json === "string") return;
  const part = (name: string, type: "number" | "string") => {
    if (!isJsonObject(json) || typeof json[name] !== type) throw corrupt(source, `a type with its ${name}`, json);
  };
  const kind = isJsonObject(json) ? json["type"] : undefined;
  switch (typeof kind === "string" ? kind : "") {
    case "struct": {
      const { fields } = json as JsonObject;
      if (!Array.isArray(fields)) throw corrupt(source, "fields", json);
      for (const field of fields as readonly Json[]) {
        const isField = isJsonObject(field) && typeof field["id"] === "number" && typeof field["name"] === "string";
        if (!isField) throw corrupt(source, "a field", field);
        requireType(field["type"], source);
      }
      return;
    }
    case "list":
      part("element-id", "number");
      return requireType((json as JsonObject)["element"], source);
    case "map":
      part("key-id", "number");
      part("value-id", "number");
      requireType((json as JsonObject)["key"], source);
      return requireType((json as JsonObject)["value"], source);
    default:
      throw corrupt(source, "a type", json);
  }
}

function requireSpec(json: Json, source: string): void {
  const fields = isJsonObject(json) && typeof json["spec-id"] === "number" ? json["fields"] : undefined;
  if (!Array.isArray(fields)) throw corrupt(source, "a partition spec", json);
  for (const field of fields as readonly Json[]) {
    const isField =
      isJsonObject(field) &&
      typeof field["source-id"] === "number" &&
      typeof field["field-id"] === "number" &&
      typeof field["name"] === "string" &&
      typeof field["transform"] === "string";
    if (!isField) throw corrupt(source, "a partition field", field);
  }
}

function checkReferences(metadata: TableMetadata, source: string): void {
  const current = metadata["current-snapshot-id"];
  const schemaId = metadata["current-schema-id"];
  const specId = metadata["default-spec-id"];
  if (current !== -1n && !metadata.snapshots.some((snapshot) => snapshot["snapshot-id"] === current)) {
    throw corrupt(source, `a snapshot ${current}`, "none");
  }
  const main = metadata.refs["main"];
  if ((main?.["snapshot-id"] ?? -1n) !== current) throw corrupt(source, `main at ${current}`, main?.["snapshot-id"]);
  if (!metadata.schemas.some((schema) => schema["schema-id"] === schemaId)) {
    throw corrupt(source, `a schema ${schemaId}`, "none");
  }
  if (!metadata["partition-specs"].some((spec) => spec["spec-id"] === specId)) {
    throw corrupt(source, `a partition spec ${specId}`, "none");
  }
}

function corrupt(source: string, expected: string, found: unknown): CorruptData {
  return new CorruptData({ source, position: 0, expected, found: (renderJson(found) ?? "nothing").slice(0, 80) });
}
