/** What the records of `_schemas` add up to. */
import { contextOf, withinContext } from "./context.ts";
import { IdSpace } from "./id-space.ts";
import type { JsonObject } from "./json-text.ts";
import {
  idMaxesOf,
  type LoggedRecord,
  type Mode,
  modes,
  parseRecord,
  text,
  versionOfRecord,
  whole,
} from "./registry-record.ts";
import type { SubjectVersion } from "./schema-content.ts";
import { type SubjectConfig, storedConfig } from "./subject-config.ts";

/** Mutable, with one writer: `apply`. Nothing here waits. */
export class Subjects {
  /** Versions in rising order. */
  readonly #subjects = new Map<string, SubjectVersion[]>();
  readonly #spaces = new Map<string, IdSpace>();
  readonly #referrers = new Map<string, Set<SubjectVersion>>();
  /** null stands for the default context. */
  readonly #configs = new Map<string | null, SubjectConfig>();
  readonly #modes = new Map<string | null, Mode>();
  #count = 0;

  /** Versions kept, deleted ones included. */
  get count(): number {
    return this.#count;
  }

  /** Throws CorruptData for bytes that are no record of a registry. Keys of a kind that we do not know change nothing. */
  apply(record: LoggedRecord): void {
    const key = parseRecord(record.key, "key");
    const value = record.value === null ? null : parseRecord(record.value, "value");
    const subject = typeof key["subject"] === "string" ? key["subject"] : null;
    switch (key["keytype"]) {
      case "SCHEMA":
        this.#applySchema(text(key, "subject"), whole(key, "version"), value, record.timestampMs);
        break;
      case "DELETE_SUBJECT":
        if (value !== null) this.#softDelete(text(value, "subject"), whole(value, "version"));
        break;
      case "CONFIG":
        put(this.#configs, subject, value === null ? undefined : storedConfig(value));
        break;
      case "MODE":
        put(
          this.#modes,
          subject,
          modes.find((mode) => mode === value?.["mode"]),
        );
        break;
      case "NOOP":
        for (const [context, idMax] of idMaxesOf(value ?? {})) this.#space(context).raise(idMax);
        break;
      default:
    }
  }

  /** In all contexts. */
  subjects(): readonly string[] {
    return [...this.#subjects.keys()].sort();
  }

  /** Those that have subjects, deleted ones included. */
  contexts(): readonly string[] {
    return [...new Set([...this.#subjects.keys()].map(contextOf))].sort();
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

  ids(context: string): Pick<IdSpace, "byId" | "idMax" | "idOf" | "idOfGuid"> {
    return this.#spaces.get(context) ?? new IdSpace();
  }

  idMaxes(): ReadonlyMap<string, number> {
    return new Map([...this.#spaces].map(([context, { idMax }]) => [context, idMax]));
  }

  /** Versions whose references name this one. */
  referrers(subject: string, version: number, options: { readonly withDeleted: boolean }): readonly SubjectVersion[] {
    const all = [...(this.#referrers.get(referenceKey(subject, version)) ?? [])];
    return all.filter(({ isDeleted }) => options.withDeleted || !isDeleted);
  }

  config(subject: string | null): SubjectConfig | undefined {
    return this.#configs.get(subject);
  }

  /** By the subject that they stand for: in the context of the alias, unless it says another. */
  aliases(): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, string[]>();
    for (const [subject, { alias = "" }] of this.#configs) {
      if (subject === null || alias === "") continue;
      const of = withinContext(contextOf(subject), alias);
      found.set(of, [...(found.get(of) ?? []), subject]);
    }
    return found;
  }

  mode(subject: string | null): Mode | undefined {
    return this.#modes.get(subject);
  }

  /** Subjects and contexts that have a mode of their own. */
  withMode(): readonly (string | null)[] {
    return [...this.#modes.keys()];
  }

  #space(context: string): IdSpace {
    const space = this.#spaces.get(context) ?? new IdSpace();
    this.#spaces.set(context, space);
    return space;
  }

  #applySchema(subject: string, version: number, value: JsonObject | null, timestampMs: number): void {
    const after = value === null ? undefined : versionOfRecord({ subject, version, timestampMs }, value);
    const before = this.version(subject, version, { withDeleted: true });
    if (before !== undefined) this.#remove(before);
    if (after !== undefined) this.#insert(after);
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
    this.#space(contextOf(version.subject)).insert(version);
    this.#count += 1;
    for (const key of referenceKeys(version)) {
      this.#referrers.set(key, (this.#referrers.get(key) ?? new Set()).add(version));
    }
  }

  #remove(version: SubjectVersion): void {
    const left = (this.#subjects.get(version.subject) ?? []).filter((each) => each !== version);
    if (left.length === 0) this.#subjects.delete(version.subject);
    else this.#subjects.set(version.subject, left);
    this.#space(contextOf(version.subject)).remove(version);
    this.#count -= 1;
    for (const key of referenceKeys(version)) this.#referrers.get(key)?.delete(version);
  }
}

function referenceKeys({ subject, references }: SubjectVersion): readonly string[] {
  return references.map((each) => referenceKey(withinContext(contextOf(subject), each.subject), each.version));
}

function referenceKey(subject: string, version: number): string {
  return `${version} ${subject}`;
}

function put<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
