/**
 * The REST catalog's commit vocabulary as JSON (Iceberg's rest-catalog-open-api.yaml): what a request says becomes
 * Requirement and Update, or a reason why not. Writing needs no more than json.ts.
 */
import { CorruptData } from "../base/errors.ts";
import { isJsonObject, type Json, type JsonObject, renderJson } from "./iceberg/json.ts";
import { withSnapshotId } from "./iceberg/metadata-json.ts";
import type { Schema } from "./iceberg/types.ts";
import type { Requirement, Update } from "./iceberg/updates.ts";
import { readableSchema } from "./schema-wire.ts";

/** What a client sent is not what the specification says. */
export class BadRequest extends Error {
  override readonly name = "BadRequest";
}

export interface TableIdentifier {
  readonly namespace: readonly string[];
  readonly name: string;
}

export function requirementsOf(body: JsonObject): readonly Requirement[] {
  return listAt(body, "requirements").map((json) => {
    const requirement = objectOf(json, "a requirement");
    const fields = ofOwn(requirementFields, requirement["type"]);
    if (fields === undefined) throw new BadRequest(`unknown requirement: ${shown(requirement["type"])}`);
    requireFields(requirement, fields);
    if (requirement["type"] !== "assert-ref-snapshot-id") return requirement as unknown as Requirement;
    const id = requirement["snapshot-id"] ?? null;
    return { ...requirement, "snapshot-id": id === null ? null : bigintOf(id) } as unknown as Requirement;
  });
}

export function updatesOf(body: JsonObject): readonly Update[] {
  return listAt(body, "updates").map((json) => updateOf(objectOf(json, "an update")));
}

export function identifierOf(json: Json | undefined): TableIdentifier {
  const identifier = objectOf(json, "a table identifier");
  return { namespace: stringsAt(identifier, "namespace"), name: stringAt(identifier, "name") };
}

export function stringAt(json: JsonObject, name: string): string {
  const value = json[name];
  if (typeof value === "string") return value;
  throw new BadRequest(`${name} must be a string`);
}

export function stringsAt(json: JsonObject, name: string): readonly string[] {
  const value = json[name];
  if (Array.isArray(value) && value.every((member) => typeof member === "string")) return value;
  throw new BadRequest(`${name} must be a list of strings`);
}

export function propertiesAt(json: JsonObject, name: string): Readonly<Record<string, string>> {
  const value = json[name] ?? {};
  if (isJsonObject(value) && Object.values(value).every((member) => typeof member === "string")) {
    return value as Readonly<Record<string, string>>;
  }
  throw new BadRequest(`${name} must map strings to strings`);
}

export function objectOf(json: Json | undefined, what: string): JsonObject {
  if (isJsonObject(json)) return json;
  throw new BadRequest(`${what} must be an object`);
}

type FieldTypes = Readonly<Record<string, "string" | "number" | "object" | "id?" | "list">>;

const requirementFields: Readonly<Record<string, FieldTypes>> = {
  "assert-create": {},
  "assert-table-uuid": { uuid: "string" },
  "assert-ref-snapshot-id": { ref: "string", "snapshot-id": "id?" },
  "assert-last-assigned-field-id": { "last-assigned-field-id": "number" },
  "assert-current-schema-id": { "current-schema-id": "number" },
  "assert-last-assigned-partition-id": { "last-assigned-partition-id": "number" },
  "assert-default-spec-id": { "default-spec-id": "number" },
  "assert-default-sort-order-id": { "default-sort-order-id": "number" },
};

const updateFields: Readonly<Record<Update["action"], FieldTypes>> = {
  "assign-uuid": { uuid: "string" },
  "upgrade-format-version": { "format-version": "number" },
  "add-schema": { schema: "object" },
  "set-current-schema": { "schema-id": "number" },
  "add-spec": { spec: "object" },
  "set-default-spec": { "spec-id": "number" },
  "add-sort-order": { "sort-order": "object" },
  "set-default-sort-order": { "sort-order-id": "number" },
  "add-snapshot": { snapshot: "object" },
  "set-snapshot-ref": { "ref-name": "string", type: "string" },
  "remove-snapshots": { "snapshot-ids": "list" },
  "remove-snapshot-ref": { "ref-name": "string" },
  "set-location": { location: "string" },
  "set-properties": { updates: "object" },
  "remove-properties": { removals: "list" },
  "set-statistics": { statistics: "object" },
  "remove-statistics": {},
  "set-partition-statistics": { "partition-statistics": "object" },
  "remove-partition-statistics": {},
  "remove-partition-specs": { "spec-ids": "list" },
  "remove-schemas": { "schema-ids": "list" },
  "add-encryption-key": { "encryption-key": "object" },
  "remove-encryption-key": { "key-id": "string" },
};

const statisticsFields: FieldTypes = {
  "statistics-path": "string",
  "file-size-in-bytes": "number",
  "file-footer-size-in-bytes": "number",
  "blob-metadata": "list",
};
const encryptionKeyFields: FieldTypes = { "key-id": "string", "encrypted-key-metadata": "string" };
const partitionStatisticsFields: FieldTypes = { "statistics-path": "string", "file-size-in-bytes": "number" };

/** A text such as "constructor" names nothing. */
function ofOwn(types: Readonly<Record<string, FieldTypes>>, name: Json | undefined): FieldTypes | undefined {
  return typeof name === "string" && Object.hasOwn(types, name) ? types[name] : undefined;
}

function updateOf(update: JsonObject): Update {
  const action = update["action"] as Update["action"];
  const fields = ofOwn(updateFields, action);
  if (fields === undefined) throw new BadRequest(`unknown update: ${shown(update["action"])}`);
  requireFields(update, fields);
  try {
    return withIds(action, update) as unknown as Update;
  } catch (cause) {
    if (cause instanceof CorruptData) throw new BadRequest(cause.message);
    throw cause;
  }
}

/** A schema that every reader of the table can read. */
export function schemaOf(json: Json | undefined): Schema {
  try {
    return readableSchema(json ?? null, "schema");
  } catch (cause) {
    if (cause instanceof CorruptData) throw new BadRequest(cause.message);
    throw cause;
  }
}

/** Snapshot ids as bigint, wherever the update holds them. */
function withIds(action: string, update: JsonObject): object {
  switch (action) {
    case "add-schema":
      if (typeof (update["last-column-id"] ?? 0) !== "number") throw new BadRequest("last-column-id must be a number");
      return { ...update, schema: schemaOf(update["schema"]) };
    case "set-properties":
      return { ...update, updates: propertiesAt(update, "updates") };
    case "remove-properties":
      return { ...update, removals: stringsAt(update, "removals") };
    case "add-spec":
    case "add-sort-order": {
      const { fields } = objectOf(update["spec"] ?? update["sort-order"], action);
      if (!Array.isArray(fields) || !fields.every(isJsonObject))
        throw new BadRequest(`${action}: fields must be objects`);
      return update;
    }
    case "add-snapshot":
      return { ...update, snapshot: snapshotOf(objectOf(update["snapshot"], "a snapshot")) };
    case "set-statistics": {
      requireFields({ ...objectOf(update["statistics"], action), action }, statisticsFields);
      const statistics = withSnapshotId(update["statistics"] as Json, "request");
      return { ...update, "snapshot-id": statistics["snapshot-id"], statistics };
    }
    case "set-partition-statistics": {
      requireFields({ ...objectOf(update["partition-statistics"], action), action }, partitionStatisticsFields);
      const statistics = withSnapshotId(update["partition-statistics"] as Json, "request");
      return { ...update, "partition-statistics": statistics };
    }
    case "add-encryption-key": {
      const key = objectOf(update["encryption-key"], action);
      requireFields({ ...key, action }, encryptionKeyFields);
      propertiesAt(key, "properties");
      return update;
    }
    case "set-snapshot-ref": {
      const given = Object.entries(update).filter(([, value]) => value !== null);
      const type = stringAt(update, "type").toLowerCase(); // Java's client takes either case, and so does its server.
      return { ...Object.fromEntries(given), type, "snapshot-id": bigintOf(update["snapshot-id"]) };
    }
    case "remove-statistics":
    case "remove-partition-statistics":
      return { ...update, "snapshot-id": bigintOf(update["snapshot-id"]) };
    case "remove-snapshots":
      return { ...update, "snapshot-ids": (update["snapshot-ids"] as readonly Json[]).map(bigintOf) };
    default:
      return update;
  }
}

/** What every reader of the table looks for in it. */
function snapshotOf(json: JsonObject): object {
  const hasTime = Number.isSafeInteger(json["timestamp-ms"]);
  // The first writers of version 1 listed the manifests themselves.
  const hasManifests = typeof json["manifest-list"] === "string" || Array.isArray(json["manifests"]);
  if (!hasTime || !hasManifests) throw new BadRequest("add-snapshot: timestamp-ms or manifest-list is missing");
  if (!Number.isSafeInteger(json["sequence-number"] ?? 0))
    throw new BadRequest("add-snapshot: sequence-number must be a whole number");
  propertiesAt(json, "summary");
  return withSnapshotId(json, "request");
}

function bigintOf(json: Json | undefined): bigint {
  if (typeof json === "bigint" || (typeof json === "number" && Number.isSafeInteger(json))) return BigInt(json);
  throw new BadRequest(`${shown(json)} is no snapshot id`);
}

function shown(json: Json | undefined): string {
  return typeof json === "string" ? json : renderJson(json ?? null).slice(0, 80);
}

function listAt(body: JsonObject, name: string): readonly Json[] {
  const value = body[name] ?? [];
  if (Array.isArray(value)) return value as readonly Json[];
  throw new BadRequest(`${name} must be a list`);
}

function requireFields(json: JsonObject, fields: FieldTypes): void {
  for (const [name, type] of Object.entries(fields)) {
    const value = json[name] ?? null;
    const fits =
      type === "id?"
        ? value === null || typeof value === "number" || typeof value === "bigint"
        : type === "list"
          ? Array.isArray(value)
          : type === "object"
            ? isJsonObject(value)
            : typeof value === type;
    if (!fits)
      throw new BadRequest(`${shown(json["type"] ?? json["action"])}: ${name} is missing or not what it must be`);
  }
}
