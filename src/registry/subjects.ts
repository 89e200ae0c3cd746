/**
 * What the records of `_schemas` add up to. The records are Confluent's own, so that its tools read ours and ours read its:
 *
 *   key    {"keytype":"SCHEMA","subject":"s","version":1,"magic":1}       value  {"subject","version","id","schemaType"?,"references"?,"schema","deleted"}
 *   key    {"keytype":"CONFIG","subject":"s" or null,"magic":0}           value  {"compatibilityLevel":"FULL"}
 *   key    {"keytype":"MODE","subject":"s" or null,"magic":0}             value  {"mode":"READONLY"}
 *   key    {"keytype":"DELETE_SUBJECT","subject":"s","magic":0}           value  {"subject":"s","version":3}: up to 3 are soft-deleted
 *   key    {"keytype":"NOOP","magic":0}                                   value  anything; ours keeps {"idMax":7}, see noopRecord
 *
 * A null value is a tombstone: the version, the level or the mode is gone. The topic is compacted by key.
 */
import { CorruptData } from "../base/errors.ts";
import { type CompatibilityLevel, compatibilityLevels } from "./compatibility.ts";
import { guidOf } from "./guid.ts";
import type { Reference, SchemaContent } from "./schema-content.ts";

export interface SubjectVersion extends SchemaContent {
  readonly subject: string;
  readonly version: number;
  readonly id: number;
  /** Softly: it still decodes, and no longer counts for lookups and compatibility. */
  readonly isDeleted: boolean;
}

export const modes = ["READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT"] as const;
export type Mode = (typeof modes)[number];

export interface RegistryRecord {
  readonly key: string;
  readonly value: string | null;
}

/** Mutable, with one writer: `apply`. Nothing here waits. */
export class Subjects {
  /** Versions in rising order. */
  readonly #subjects = new Map<string, SubjectVersion[]>();
  readonly #byId = new Map<number, Set<SubjectVersion>>();
  readonly #idOfGuid = new Map<string, number>();
  readonly #referrers = new Map<string, Set<SubjectVersion>>();
  /** null stands for all subjects. */
  readonly #levels = new Map<string | null, CompatibilityLevel>();
  readonly #modes = new Map<string | null, Mode>();
  #idMax = 0;
  #count = 0;

  /** The largest id ever given: ids are in the bytes of records, so none is given twice. */
  get idMax(): number {
    return this.#idMax;
  }

  /** Versions kept, deleted ones included. */
  get count(): number {
    return this.#count;
  }

  /** Throws CorruptData for bytes that are no record of a registry. Keys of a kind that we do not know change nothing. */
  apply(record: RegistryRecord): void {
    const key = parseRecord(record.key, "key");
    const value = record.value === null ? null : parseRecord(record.value, "value");
    const subject = typeof key["subject"] === "string" ? key["subject"] : null;
    switch (key["keytype"]) {
      case "SCHEMA":
        this.#applySchema(text(key, "subject"), whole(key, "version"), value);
        break;
      case "DELETE_SUBJECT":
        if (value !== null) this.#softDelete(text(value, "subject"), whole(value, "version"));
        break;
      case "CONFIG":
        put(
          this.#levels,
          subject,
          compatibilityLevels.find((level) => level === value?.["compatibilityLevel"]),
        );
        break;
      case "MODE":
        put(
          this.#modes,
          subject,
          modes.find((mode) => mode === value?.["mode"]),
        );
        break;
      case "NOOP":
        if (value?.["idMax"] !== undefined) this.#idMax = Math.max(this.#idMax, whole(value, "idMax"));
        break;
      default:
    }
  }

  subjects(): readonly string[] {
    return [...this.#subjects.keys()].sort();
  }

  /** In rising order; [] when there is no such subject. */
  versions(subject: string, options: { readonly withDeleted: boolean }): readonly SubjectVersion[] {
    const all = this.#subjects.get(subject) ?? [];
    return options.withDeleted ? all : all.filter(({ isDeleted }) => !isDeleted);
  }

  version(
    subject: string,
    version: number | "latest",
    options: { readonly withDeleted: boolean },
  ): SubjectVersion | undefined {
    const all = this.versions(subject, options);
    return version === "latest" ? all.at(-1) : all.find((each) => each.version === version);
  }

  /** Deleted versions included: what they were written with must stay readable. */
  byId(id: number): readonly SubjectVersion[] {
    return [...(this.#byId.get(id) ?? [])];
  }

  idOf(content: SchemaContent): number | undefined {
    const id = this.#idOfGuid.get(guidOf(content));
    // The guid is a digest that can be made to collide: what it finds is compared.
    const found = id === undefined ? undefined : this.byId(id)[0];
    return found !== undefined && isSameContent(found, content) ? id : undefined;
  }

  idOfGuid(guid: string): number | undefined {
    return this.#idOfGuid.get(guid);
  }

  /** Versions, not deleted, whose references name this one. */
  referrers(subject: string, version: number): readonly SubjectVersion[] {
    const all = [...(this.#referrers.get(referenceKey(subject, version)) ?? [])];
    return all.filter(({ isDeleted }) => !isDeleted);
  }

  level(subject: string | null): CompatibilityLevel | undefined {
    return this.#levels.get(subject);
  }

  mode(subject: string | null): Mode | undefined {
    return this.#modes.get(subject);
  }

  #applySchema(subject: string, version: number, value: Fields | null): void {
    const before = this.version(subject, version, { withDeleted: true });
    if (before !== undefined) this.#remove(before);
    if (value === null) return;
    this.#insert({
      subject,
      version,
      id: whole(value, "id"),
      schemaType: typeof value["schemaType"] === "string" ? value["schemaType"] : "AVRO",
      schema: text(value, "schema"),
      references: referencesOf(value["references"]),
      isDeleted: value["deleted"] === true,
    });
  }

  #softDelete(subject: string, upTo: number): void {
    for (const each of this.versions(subject, { withDeleted: false })) {
      if (each.version > upTo) continue;
      this.#remove(each);
      this.#insert({ ...each, isDeleted: true });
    }
  }

  #insert(version: SubjectVersion): void {
    const versions = this.#subjects.get(version.subject) ?? [];
    const at = versions.findIndex((each) => each.version > version.version);
    versions.splice(at < 0 ? versions.length : at, 0, version);
    this.#subjects.set(version.subject, versions);
    this.#byId.set(version.id, (this.#byId.get(version.id) ?? new Set()).add(version));
    this.#idOfGuid.set(guidOf(version), version.id);
    this.#idMax = Math.max(this.#idMax, version.id);
    this.#count += 1;
    for (const reference of version.references) {
      const key = referenceKey(reference.subject, reference.version);
      this.#referrers.set(key, (this.#referrers.get(key) ?? new Set()).add(version));
    }
  }

  #remove(version: SubjectVersion): void {
    const left = (this.#subjects.get(version.subject) ?? []).filter((each) => each !== version);
    if (left.length === 0) this.#subjects.delete(version.subject);
    else this.#subjects.set(version.subject, left);
    const users = this.#byId.get(version.id);
    users?.delete(version);
    if (users?.size === 0) {
      this.#byId.delete(version.id);
      this.#idOfGuid.delete(guidOf(version));
    }
    this.#count -= 1;
    for (const reference of version.references)
      this.#referrers.get(referenceKey(reference.subject, reference.version))?.delete(version);
  }
}

export function isSameContent(a: SchemaContent, b: SchemaContent): boolean {
  return (
    a.schema === b.schema &&
    a.schemaType === b.schemaType &&
    a.references.length === b.references.length &&
    a.references.every((each, index) => {
      const other = b.references[index] as Reference;
      return each.name === other.name && each.subject === other.subject && each.version === other.version;
    })
  );
}

export function schemaRecord(version: SubjectVersion): RegistryRecord {
  const { subject, id, schemaType, references, schema, isDeleted } = version;
  const value = {
    subject,
    version: version.version,
    id,
    ...(schemaType === "AVRO" ? {} : { schemaType }),
    ...(references.length === 0 ? {} : { references }),
    schema,
    deleted: isDeleted,
  };
  return { key: schemaKey(subject, version.version), value: JSON.stringify(value) };
}

export function schemaTombstone(subject: string, version: number): RegistryRecord {
  return { key: schemaKey(subject, version), value: null };
}

export function deleteSubjectRecord(subject: string, version: number): RegistryRecord {
  const key = JSON.stringify({ keytype: "DELETE_SUBJECT", subject, magic: 0 });
  return { key, value: JSON.stringify({ subject, version }) };
}

export function levelRecord(subject: string | null, level: CompatibilityLevel | null): RegistryRecord {
  const key = JSON.stringify({ keytype: "CONFIG", subject, magic: 0 });
  return { key, value: level === null ? null : JSON.stringify({ compatibilityLevel: level }) };
}

export function modeRecord(subject: string | null, mode: Mode | null): RegistryRecord {
  const key = JSON.stringify({ keytype: "MODE", subject, magic: 0 });
  return { key, value: mode === null ? null : JSON.stringify({ mode }) };
}

/**
 * Written before versions are deleted for good: their tombstones vanish by compaction, and the largest id with them; given
 * again, it would make old records decode as something else. Confluent's reader skips the value of a NOOP.
 */
export function noopRecord(idMax: number): RegistryRecord {
  return { key: JSON.stringify({ keytype: "NOOP", magic: 0 }), value: JSON.stringify({ idMax }) };
}

type Fields = Readonly<Record<string, unknown>>;

function schemaKey(subject: string, version: number): string {
  return JSON.stringify({ keytype: "SCHEMA", subject, version, magic: 1 });
}

function referenceKey(subject: string, version: number): string {
  return `${version} ${subject}`;
}

function put<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function parseRecord(record: string, part: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(record);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw corrupt(`a ${part} that is a JSON object`, record);
  return value as Fields;
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw corrupt(`"${name}" to be text`, JSON.stringify(fields));
  return value;
}

function whole(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw corrupt(`"${name}" to be a whole number`, JSON.stringify(fields));
  return value;
}

function referencesOf(value: unknown): readonly Reference[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw corrupt(`"references" to be a list`, JSON.stringify(value));
  return value.map((each: Fields) => ({
    name: text(each, "name"),
    subject: text(each, "subject"),
    version: whole(each, "version"),
  }));
}

function corrupt(expected: string, found: string): CorruptData {
  return new CorruptData({ source: "_schemas", position: 0, expected, found: found.slice(0, 100) });
}
