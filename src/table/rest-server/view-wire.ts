/** What requests say of views (Iceberg's rest-catalog-open-api.yaml), or a reason why not. */
import { BadRequest, objectOf, propertiesAt, schemaOf, stringAt, stringsAt } from "../catalog-wire.ts";
import { isJsonObject, type Json, type JsonObject, renderJson } from "../iceberg/json.ts";
import type { Representation, ViewUpdate, ViewVersion } from "../iceberg/view-metadata.ts";

export function viewUpdatesOf(body: JsonObject): readonly ViewUpdate[] {
  return listAt(body, "updates").map((json) => updateOf(objectOf(json, "an update")));
}

/** The uuid that the view must have; undefined: any. */
export function assertedUuid(body: JsonObject): string | undefined {
  let asserted: string | undefined;
  for (const json of listAt(body, "requirements")) {
    const requirement = objectOf(json, "a requirement");
    if (requirement["type"] !== "assert-view-uuid")
      throw new BadRequest(`unknown requirement of a view: ${renderJson(requirement["type"] ?? null)}`);
    asserted = stringAt(requirement, "uuid");
  }
  return asserted;
}

export function viewVersionOf(json: Json | undefined): ViewVersion {
  const version = objectOf(json, "a view version");
  const catalog = version["default-catalog"] ?? null;
  if (catalog !== null && typeof catalog !== "string") throw new BadRequest("default-catalog must be a string");
  return {
    "version-id": numberAt(version, "version-id"),
    "timestamp-ms": numberAt(version, "timestamp-ms"),
    "schema-id": numberAt(version, "schema-id"),
    summary: propertiesAt(version, "summary"),
    representations: listAt(version, "representations").map(representationOf),
    ...(catalog === null ? {} : { "default-catalog": catalog }),
    "default-namespace": stringsAt(version, "default-namespace"),
  };
}

function representationOf(json: Json): Representation {
  const representation = objectOf(json, "a representation");
  const type = stringAt(representation, "type");
  if (type !== "sql") throw new BadRequest(`Found unsupported view representations: ${type}`);
  return { type, sql: stringAt(representation, "sql"), dialect: stringAt(representation, "dialect") };
}

function updateOf(update: JsonObject): ViewUpdate {
  const action = update["action"] as ViewUpdate["action"];
  switch (action) {
    case "assign-uuid":
      return { action, uuid: stringAt(update, "uuid") };
    case "upgrade-format-version":
      return { action, "format-version": numberAt(update, "format-version") };
    case "add-schema":
      return { action, schema: schemaOf(update["schema"]) };
    case "set-location":
      return { action, location: stringAt(update, "location") };
    case "set-properties":
      if (!isJsonObject(update["updates"])) throw new BadRequest("set-properties: updates must be an object");
      return { action, updates: propertiesAt(update, "updates") };
    case "remove-properties":
      return { action, removals: stringsAt(update, "removals") };
    case "add-view-version":
      return { action, "view-version": viewVersionOf(update["view-version"]) };
    case "set-current-view-version":
      return { action, "view-version-id": numberAt(update, "view-version-id") };
    default:
      throw new BadRequest(`unknown update of a view: ${renderJson(update["action"] ?? null)}`);
  }
}

function numberAt(json: JsonObject, name: string): number {
  const value = json[name];
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw new BadRequest(`${name} must be a whole number`);
}

function listAt(body: JsonObject, name: string): readonly Json[] {
  const value = body[name] ?? [];
  if (Array.isArray(value)) return value as readonly Json[];
  throw new BadRequest(`${name} must be a list`);
}
