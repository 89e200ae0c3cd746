/**
 * The records of `_schemas`. They are Confluent's own, so that its tools read ours and ours read its:
 *
 *   key    {"keytype":"SCHEMA","subject":"s","version":1,"magic":1}       value  {"subject","version","id","schemaType"?,"references"?,"metadata"?,"ruleSet"?,"schema","deleted"}
 *   key    {"keytype":"CONFIG","subject":"s" or null,"magic":0}           value  {"compatibilityLevel":"FULL", ...}
 *   key    {"keytype":"MODE","subject":"s" or null,"magic":0}             value  {"mode":"READONLY"}
 *   key    {"keytype":"DELETE_SUBJECT","subject":"s","magic":0}           value  {"subject":"s","version":3}: up to 3 are soft-deleted
 *   key    {"keytype":"NOOP","magic":0}                                   value  anything; ours keeps {"idMax":7,"contexts":{".c":3}}, see noopRecord
 *
 * A null value is a tombstone: the version, the config or the mode is gone. The topic is compacted by key.
 */
import { CorruptData } from "../base/errors.ts";
import { defaultContext } from "./context.ts";
import { InvalidContract, readMetadata, readRuleSet } from "./data-contract.ts";
import { isJsonObject, type JsonObject } from "./json-text.ts";
import type { NewVersion, Reference, SubjectVersion } from "./schema-content.ts";
import type { SubjectConfig } from "./subject-config.ts";

export interface RegistryRecord {
  readonly key: string;
  readonly value: string | null;
}

export interface LoggedRecord extends RegistryRecord {
  /** When it was appended. */
  readonly timestampMs: number;
}

export const modes = ["READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT"] as const;
export type Mode = (typeof modes)[number];

export function schemaRecord(version: NewVersion): RegistryRecord {
  const { subject, id, schemaType, references, metadata, ruleSet, schema, isDeleted } = version;
  const value = {
    subject,
    version: version.version,
    id,
    ...(schemaType === "AVRO" ? {} : { schemaType }),
    ...(references.length === 0 ? {} : { references }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(ruleSet === undefined ? {} : { ruleSet }),
    schema,
    deleted: isDeleted,
  };
  return { key: schemaKey(subject, version.version), value: JSON.stringify(value) };
}

/** Throws CorruptData. */
export function versionOfRecord(
  { subject, version, timestampMs }: Pick<SubjectVersion, "subject" | "version" | "timestampMs">,
  value: JsonObject,
): SubjectVersion {
  const schema = text(value, "schema");
  try {
    return {
      subject,
      version,
      id: whole(value, "id"),
      schemaType: typeof value["schemaType"] === "string" ? value["schemaType"] : "AVRO",
      schema,
      references: referencesOf(value["references"]),
      metadata: readMetadata(value["metadata"]),
      ruleSet: readRuleSet(value["ruleSet"]),
      isDeleted: value["deleted"] === true,
      timestampMs,
    };
  } catch (cause) {
    if (cause instanceof InvalidContract) throw corrupt(`metadata and rules (${cause.message})`, JSON.stringify(value));
    throw cause;
  }
}

export function schemaTombstone(subject: string, version: number): RegistryRecord {
  return { key: schemaKey(subject, version), value: null };
}

export function deleteSubjectRecord(subject: string, version: number): RegistryRecord {
  const key = JSON.stringify({ keytype: "DELETE_SUBJECT", subject, magic: 0 });
  return { key, value: JSON.stringify({ subject, version }) };
}

export function configRecord(subject: string | null, config: SubjectConfig | undefined): RegistryRecord {
  const key = JSON.stringify({ keytype: "CONFIG", subject, magic: 0 });
  return { key, value: config === undefined ? null : JSON.stringify(config) };
}

export function modeRecord(subject: string | null, mode: Mode | null): RegistryRecord {
  const key = JSON.stringify({ keytype: "MODE", subject, magic: 0 });
  return { key, value: mode === null ? null : JSON.stringify({ mode }) };
}

/**
 * Written before versions are deleted for good: their tombstones vanish by compaction, and the largest id with them; given
 * again, it would make old records decode as something else. Confluent's reader skips the value of a NOOP.
 */
export function noopRecord(idMaxes: ReadonlyMap<string, number>): RegistryRecord {
  const { [defaultContext]: idMax = 0, ...contexts } = Object.fromEntries(idMaxes);
  const value = { idMax, ...(Object.keys(contexts).length === 0 ? {} : { contexts }) };
  return { key: JSON.stringify({ keytype: "NOOP", magic: 0 }), value: JSON.stringify(value) };
}

/** By context. */
export function idMaxesOf(value: JsonObject): ReadonlyMap<string, number> {
  const contexts = value["contexts"] ?? {};
  if (!isJsonObject(contexts)) throw corrupt(`"contexts" to be an object`, JSON.stringify(value));
  const others = Object.keys(contexts).map((context) => [context, whole(contexts, context)] as const);
  return new Map(value["idMax"] === undefined ? others : [[defaultContext, whole(value, "idMax")], ...others]);
}

function schemaKey(subject: string, version: number): string {
  return JSON.stringify({ keytype: "SCHEMA", subject, version, magic: 1 });
}

/** Throws CorruptData. */
export function parseRecord(record: string, part: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(record);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  if (!isJsonObject(value)) throw corrupt(`a ${part} that is a JSON object`, record);
  return value;
}

export function text(fields: JsonObject, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw corrupt(`"${name}" to be text`, JSON.stringify(fields));
  return value;
}

export function whole(fields: JsonObject, name: string): number {
  const value = fields[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw corrupt(`"${name}" to be a whole number`, JSON.stringify(fields));
  return value;
}

function referencesOf(value: unknown): readonly Reference[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw corrupt(`"references" to be a list`, JSON.stringify(value));
  return value.map((each: unknown) => {
    if (!isJsonObject(each)) throw corrupt("a reference", JSON.stringify(value));
    return { name: text(each, "name"), subject: text(each, "subject"), version: whole(each, "version") };
  });
}

function corrupt(expected: string, found: string): CorruptData {
  return new CorruptData({ source: "_schemas", position: 0, expected, found: found.slice(0, 100) });
}
