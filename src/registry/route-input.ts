/** What requests to the registry say, checked. Everything here throws RegistryRefused. */
import type { HttpRequest } from "../base/http.ts";
import { InvalidContract, readMetadata, readRuleSet } from "./data-contract.ts";
import { isJsonObject, type JsonObject } from "./json-text.ts";
import type { ProposedSchema, RegisterAs } from "./proposed-schema.ts";
import { RegistryRefused, refusals } from "./refused.ts";
import type { Reference } from "./schema-content.ts";

export function fieldsOf(request: HttpRequest): JsonObject {
  const text = Buffer.from(request.body).toString("utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  if (!isJsonObject(value)) throw new RegistryRefused(400, "the body must be a JSON object");
  return value;
}

export function proposedOf(request: HttpRequest): ProposedSchema {
  const fields = fieldsOf(request);
  const { schemaType = "AVRO", references = [] } = fields;
  const schema = fields["schema"] ?? "";
  if (unservedTags.some((name) => isAsked(fields[name])))
    throw refusals.notPermitted("this registry does not write tags into schemas: register the text that has them");
  if (typeof schema !== "string") throw new RegistryRefused(400, "schema must be text: a JSON schema is put in quotes");
  return {
    schema,
    schemaType: typeof schemaType === "string" ? schemaType.toUpperCase() : "AVRO",
    references: referencesOf(references),
    ...contractOf(fields),
    isNormalized: request.query.get("normalize")?.toLowerCase() === "true",
  };
}

/** What Confluent's registry changes the text by. */
const unservedTags = ["schemaTagsToAdd", "schemaTagsToRemove", "propagateSchemaTags"];

function isAsked(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value === true;
}

function contractOf(fields: JsonObject): Pick<ProposedSchema, "metadata" | "ruleSet"> {
  try {
    return { metadata: readMetadata(fields["metadata"]), ruleSet: readRuleSet(fields["ruleSet"]) };
  } catch (cause) {
    if (cause instanceof InvalidContract) throw refusals.invalidRuleSet(cause.message);
    throw cause;
  }
}

/** Confluent's clients say 0 where they insist on nothing, and -1 of an id; version -1 compares with the latest alone. */
export function registerAsOf(request: HttpRequest): RegisterAs {
  const { id, version } = fieldsOf(request);
  return {
    ...(typeof id === "number" && id > 0 ? { id } : {}),
    ...(typeof version === "number" && version > 0 ? { version } : {}),
    ...(version === -1 ? { version: "latest" } : {}),
    ...(request.query.get("force")?.toLowerCase() === "true" ? { isForced: true } : {}),
  };
}

/** Ids and versions are ints in Java. */
const wholeMax = 2 ** 31 - 1;

export function versionOf(text: string): number | "latest" {
  if (text === "latest" || text === "-1") return "latest";
  const version = Number(text);
  if (!/^\d+$/.test(text) || version < 1 || version > wholeMax) throw refusals.invalidVersion(text);
  return version;
}

export function wholeOf(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > wholeMax) throw new RegistryRefused(404, "HTTP 404 Not Found");
  return value;
}

function referencesOf(value: unknown): readonly Reference[] {
  if (value === null) return [];
  if (!Array.isArray(value)) throw new RegistryRefused(400, "references must be a list");
  return value.map((each: unknown) => {
    const { name, subject, version } = isJsonObject(each) ? each : {};
    if (typeof name !== "string" || typeof subject !== "string" || typeof version !== "number")
      throw new RegistryRefused(400, "a reference has a name, a subject and a version");
    return { name, subject, version };
  });
}
