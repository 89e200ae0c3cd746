/**
 * The registry of one cluster: decides over Subjects, appends to the log, and applies what was appended. Writes run one after
 * another, so what a write decided on is still true when it is applied; reads see what has been applied.
 */
import { Lane } from "../base/async.ts";
import { type CompatibilityLevel, pairsToCheck } from "./compatibility.ts";
import { refusals } from "./refused.ts";
import type { Reference, SchemaContent } from "./schema-content.ts";
import {
  incompatibilities,
  type ParsedSchema,
  parseSchema,
  type ResolvedReference,
  serializedSchema,
} from "./schema-format.ts";
import {
  deleteSubjectRecord,
  isSameContent,
  levelRecord,
  type Mode,
  modeRecord,
  noopRecord,
  type RegistryRecord,
  Subjects,
  type SubjectVersion,
  schemaRecord,
  schemaTombstone,
} from "./subjects.ts";

/** The compacted topic `_schemas`, as text. */
export interface SchemaLog {
  /** Resolves when the record is durable. A rejection leaves open whether it was appended. */
  append(key: string, value: string | null): Promise<void>;
  /** All records up to now, in their order. */
  replay(): AsyncIterable<RegistryRecord>;
}

export interface SchemaRegistryOptions {
  readonly log: SchemaLog;
  readonly compatibility: CompatibilityLevel;
  readonly schemaBytesMax: number;
  readonly schemasMax: number;
  readonly guard?: RegistrationGuard | undefined;
}

/** Why what reads the subject's records could not read them with the schema: [] when all can. Asked before it is registered. */
export type RegistrationGuard = (registration: {
  readonly subject: string;
  /** Versions that are not deleted, in rising order. */
  readonly earlier: readonly GuardedSchema[];
  readonly proposed: Omit<GuardedSchema, "id">;
}) => readonly string[];

export interface GuardedSchema extends SchemaContent {
  readonly id: number;
  /** Each after those that it uses itself. */
  readonly resolved: readonly ResolvedReference[];
}

export interface ProposedSchema {
  readonly schemaType: string;
  readonly schema: string;
  readonly references: readonly Reference[];
  readonly isNormalized: boolean;
}

export interface CompatibilityAnswer {
  readonly isCompatible: boolean;
  readonly messages: readonly string[];
}

/** Depth of references of references. */
const referenceDepthMax = 50;
const live = { withDeleted: false };
const all = { withDeleted: true };

export class SchemaRegistry implements AsyncDisposable {
  readonly #options: SchemaRegistryOptions;
  readonly #writes = new Lane();
  #subjects: Subjects;
  /** An append failed and may yet be in the log: what we know is not all of it. */
  #isStale = false;

  private constructor(options: SchemaRegistryOptions, subjects: Subjects) {
    this.#options = options;
    this.#subjects = subjects;
  }

  /** Resolves when the log has been read to its end. */
  static async open(options: SchemaRegistryOptions): Promise<SchemaRegistry> {
    return new SchemaRegistry(options, await replayed(options.log));
  }

  /** Read it and use it in the same turn. */
  get subjects(): Subjects {
    return this.#subjects;
  }

  /** The schema of a record's prefix, with what it refers to; undefined when there is none. */
  schemaById(id: number): (SchemaContent & { readonly resolved: readonly ResolvedReference[] }) | undefined {
    const found = this.#subjects.byId(id)[0];
    return found === undefined ? undefined : { ...found, resolved: this.#resolve(found.references) };
  }

  /** The schema as programs carry it, for those who have no parser of its text. */
  serialized(version: SubjectVersion): string {
    return serializedSchema(this.#parse({ ...version, isNormalized: false }));
  }

  level(subject: string | null): CompatibilityLevel {
    const own = subject === null ? undefined : this.#subjects.level(subject);
    return own ?? this.#subjects.level(null) ?? this.#options.compatibility;
  }

  mode(subject: string | null): Mode {
    const global = this.#subjects.mode(null) ?? "READWRITE";
    if (global === "READONLY_OVERRIDE" || subject === null) return global;
    return this.#subjects.mode(subject) ?? global;
  }

  /** The version with this content, deleted ones only when asked for. Throws RegistryRefused. */
  lookup(subject: string, proposed: ProposedSchema, options: { readonly withDeleted: boolean }): SubjectVersion {
    const versions = this.#subjects.versions(subject, options);
    if (versions.length === 0) throw refusals.subjectNotFound(subject);
    const found = this.#sameContent(versions, this.#content(proposed, this.#parse(proposed)));
    if (found === undefined) throw refusals.schemaNotFound();
    return found;
  }

  /** Registers, or finds the version that is there already. `as` forces id and version in mode IMPORT. */
  async register(
    subject: string,
    proposed: ProposedSchema,
    as?: { readonly id: number; readonly version?: number },
  ): Promise<SubjectVersion> {
    const parsed = this.#parse(proposed);
    const content = this.#content(proposed, parsed);
    // Producers register on every start: what is there already needs no write.
    const known = this.#sameContent(this.#subjects.versions(subject, live), content);
    if (known !== undefined && (as === undefined || as.id === known.id)) return known;
    return await this.#write(async () => {
      const version =
        as === undefined ? this.#admit(subject, content, parsed) : this.#admitImport(subject, content, as);
      if (version.isNew) await this.#append(schemaRecord(version.of));
      return version.of;
    });
  }

  /** `version` undefined compares as a registration would. Throws RegistryRefused when there is no such version. */
  check(subject: string, proposed: ProposedSchema, version?: number | "latest"): CompatibilityAnswer {
    const parsed = this.#parse(proposed);
    const compared = this.#compare(this.level(subject), this.#checkedAgainst(subject, version), parsed);
    const broken = this.#guarded(subject, this.#content(proposed, parsed));
    return {
      isCompatible: compared.isCompatible && broken.length === 0,
      messages: [
        ...compared.messages,
        ...broken.map((reason) => `{errorType:'TABLE_WOULD_BREAK', description:'${reason}'}`),
      ],
    };
  }

  #checkedAgainst(subject: string, version: number | "latest" | undefined): readonly SubjectVersion[] {
    const versions = this.#subjects.versions(subject, live);
    if (version === undefined) return versions;
    if (version === "latest") return versions.slice(-1);
    const against = this.#subjects.version(subject, version, live);
    if (against === undefined)
      throw versions.length === 0 ? refusals.subjectNotFound(subject) : refusals.versionNotFound(version);
    return [against];
  }

  #guarded(subject: string, content: SchemaContent): readonly string[] {
    const { guard } = this.#options;
    if (guard === undefined) return [];
    const earlier = this.#subjects.versions(subject, live);
    if (earlier.some((each) => isSameContent(each, content))) return [];
    return guard({
      subject,
      earlier: earlier.map((each) => ({ ...each, resolved: this.#resolve(each.references) })),
      proposed: { ...content, resolved: this.#resolve(content.references) },
    });
  }

  setLevel(subject: string | null, level: CompatibilityLevel | null): Promise<void> {
    return this.#write(async () => {
      if (subject !== null && level === null && this.#subjects.level(subject) === undefined)
        throw refusals.noSubjectConfig(subject);
      await this.#append(levelRecord(subject, level));
    });
  }

  setMode(subject: string | null, mode: Mode | null, options: { readonly isForced: boolean }): Promise<void> {
    return this.#write(async () => {
      if (subject !== null && mode === null && this.#subjects.mode(subject) === undefined)
        throw refusals.noSubjectMode(subject);
      // Ids that are already given would be taken for imported ones.
      const exists = subject === null ? this.#subjects.count > 0 : this.#subjects.versions(subject, live).length > 0;
      if (mode === "IMPORT" && exists && !options.isForced)
        throw refusals.notPermitted("Cannot import since found existing subjects");
      await this.#append(modeRecord(subject, mode));
    });
  }

  /** Softly first, then for good. Returns the versions deleted. */
  deleteSubject(subject: string, options: { readonly isPermanent: boolean }): Promise<readonly number[]> {
    return this.#write(async () => {
      this.#assertWritable(subject);
      const versions = this.#subjects.versions(subject, all);
      if (versions.length === 0) throw refusals.subjectNotFound(subject);
      const kept = versions.filter(({ isDeleted }) => !isDeleted);
      if (options.isPermanent && kept.length > 0) throw refusals.subjectNotSoftDeleted(subject);
      if (!options.isPermanent && kept.length === 0) throw refusals.subjectSoftDeleted(subject);
      const deleted = options.isPermanent ? versions : kept;
      for (const { version } of deleted) this.#assertUnreferenced(subject, version);
      if (options.isPermanent) await this.#forget(deleted);
      else {
        await this.#append(deleteSubjectRecord(subject, (deleted.at(-1) as SubjectVersion).version));
        if (this.#subjects.level(subject) !== undefined) await this.#append(levelRecord(subject, null));
        if (this.#subjects.mode(subject) !== undefined) await this.#append(modeRecord(subject, null));
      }
      return deleted.map(({ version }) => version);
    });
  }

  deleteVersion(
    subject: string,
    version: number | "latest",
    options: { readonly isPermanent: boolean },
  ): Promise<number> {
    return this.#write(async () => {
      this.#assertWritable(subject);
      if (this.#subjects.versions(subject, all).length === 0) throw refusals.subjectNotFound(subject);
      const found = this.#subjects.version(subject, version, version === "latest" ? live : all);
      if (found === undefined) throw refusals.versionNotFound(version);
      if (options.isPermanent && !found.isDeleted) throw refusals.versionNotSoftDeleted(subject, found.version);
      if (!options.isPermanent && found.isDeleted) throw refusals.versionSoftDeleted(subject, found.version);
      this.#assertUnreferenced(subject, found.version);
      if (options.isPermanent) await this.#forget([found]);
      else await this.#append(schemaRecord({ ...found, isDeleted: true }));
      return found.version;
    });
  }

  /** Refuses new writes and resolves when the running ones have settled. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writes.close();
  }

  /** In the lane: what it reads stays true until its append. */
  #admit(
    subject: string,
    content: SchemaContent,
    parsed: ParsedSchema,
  ): { readonly of: SubjectVersion; readonly isNew: boolean } {
    const versions = this.#subjects.versions(subject, live);
    const known = this.#sameContent(versions, content);
    if (known !== undefined) return { of: known, isNew: false };
    this.#assertWritable(subject);
    if (this.mode(subject) === "IMPORT") throw refusals.notPermitted(`Subject ${subject} is in import mode`);
    if (this.#subjects.count >= this.#options.schemasMax)
      throw refusals.notPermitted(
        `The registry holds ${this.#subjects.count} schemas: registry.schemas.max is reached`,
      );
    const answer = this.#compare(this.level(subject), versions, parsed);
    if (!answer.isCompatible) throw refusals.incompatible(`[${answer.messages.join(", ")}]`);
    const [broken] = this.#guarded(subject, content);
    if (broken !== undefined) throw refusals.breaksTable(broken);
    const id = this.#subjects.idOf(content) ?? this.#subjects.idMax + 1;
    return { of: { ...content, subject, version: this.#nextVersion(subject), id, isDeleted: false }, isNew: true };
  }

  #admitImport(
    subject: string,
    content: SchemaContent,
    as: { readonly id: number; readonly version?: number },
  ): { readonly of: SubjectVersion; readonly isNew: boolean } {
    if (this.mode(subject) !== "IMPORT") throw refusals.notPermitted(`Subject ${subject} is not in import mode`);
    const holder = this.#subjects.byId(as.id)[0];
    if (holder !== undefined && this.#sameContent([holder], content) === undefined)
      throw refusals.notPermitted(`Overwrite new schema with id ${as.id} is not permitted.`);
    const version = as.version ?? this.#nextVersion(subject);
    const before = this.#subjects.version(subject, version, live);
    if (before !== undefined && before.id !== as.id)
      throw refusals.idMismatch(`Schema already registered with id ${before.id} instead of input id ${as.id}`);
    return { of: { ...content, subject, version, id: as.id, isDeleted: false }, isNew: true };
  }

  #nextVersion(subject: string): number {
    return (this.#subjects.versions(subject, all).at(-1)?.version ?? 0) + 1;
  }

  #compare(level: CompatibilityLevel, earlier: readonly SubjectVersion[], proposed: ParsedSchema): CompatibilityAnswer {
    const parsed = new Map<SubjectVersion, ParsedSchema>();
    const parsedOf = (version: SubjectVersion): ParsedSchema => {
      const known = parsed.get(version) ?? this.#parse({ ...version, isNormalized: false });
      parsed.set(version, known);
      return known;
    };
    const pairs = pairsToCheck<SubjectVersion | undefined>(level, earlier, undefined);
    for (const { reader, writer, earlier: against } of pairs) {
      const parsedReader = reader === undefined ? proposed : parsedOf(reader);
      const found = incompatibilities(parsedReader, writer === undefined ? proposed : parsedOf(writer));
      if (found.length === 0) continue;
      const side = reader === undefined ? "new" : "old";
      const messages = found.map(
        ({ type, path, detail }) =>
          `{errorType:'${type}', description:'at path '${path}' the ${side} schema cannot read what the other wrote', additionalInfo:'${detail}'}`,
      );
      const version = `{oldSchemaVersion: ${against?.version}}`;
      return {
        isCompatible: false,
        messages: [...messages, version, `{oldSchema: '${against?.schema}'}`, `{compatibility: '${level}'}`],
      };
    }
    return { isCompatible: true, messages: [] };
  }

  #parse(proposed: ProposedSchema): ParsedSchema {
    const { schemaType, schema, references, isNormalized } = proposed;
    if (schema === "") throw refusals.invalidSchema("Empty schema");
    if (Buffer.byteLength(schema) > this.#options.schemaBytesMax)
      throw refusals.invalidSchema(`longer than ${this.#options.schemaBytesMax} bytes (registry.schema.bytes.max)`);
    return parseSchema({ schemaType, schema, references: this.#resolve(references) }, { isNormalized });
  }

  #content(proposed: ProposedSchema, parsed: ParsedSchema): SchemaContent {
    return { schemaType: parsed.schemaType, schema: parsed.canonical, references: proposed.references };
  }

  /** Each after those that it uses itself, none twice. */
  #resolve(references: readonly Reference[]): readonly ResolvedReference[] {
    const resolved = new Map<string, ResolvedReference>();
    const visit = (list: readonly Reference[], depth: number): void => {
      if (depth > referenceDepthMax) throw refusals.invalidSchema(`references are deeper than ${referenceDepthMax}`);
      for (const { name, subject, version } of list) {
        if (resolved.has(`${subject} ${version}`)) continue;
        // A deleted one still serves those that refer to it already.
        const found = this.#subjects.version(subject, version, all);
        if (found === undefined)
          throw refusals.invalidSchema(`no schema reference found for subject "${subject}" and version ${version}`);
        visit(found.references, depth + 1);
        resolved.set(`${subject} ${version}`, { name, schema: found.schema });
      }
    };
    visit(references, 0);
    return [...resolved.values()];
  }

  #sameContent(versions: readonly SubjectVersion[], content: SchemaContent): SubjectVersion | undefined {
    return versions.findLast((each) => isSameContent(each, content));
  }

  #assertWritable(subject: string): void {
    const mode = this.mode(subject);
    if (mode === "READONLY" || mode === "READONLY_OVERRIDE")
      throw refusals.notPermitted(`Subject ${subject} is in read-only mode`);
  }

  #assertUnreferenced(subject: string, version: number): void {
    if (this.#subjects.referrers(subject, version).length > 0) throw refusals.referenceExists(subject, version);
  }

  async #forget(versions: readonly SubjectVersion[]): Promise<void> {
    await this.#append(noopRecord(this.#subjects.idMax));
    for (const { subject, version } of versions) await this.#append(schemaTombstone(subject, version));
  }

  #write<T>(work: () => Promise<T>): Promise<T> {
    return this.#writes.run(async () => {
      if (this.#isStale) {
        this.#subjects = await replayed(this.#options.log);
        this.#isStale = false;
      }
      return await work();
    });
  }

  async #append(record: RegistryRecord): Promise<void> {
    try {
      await this.#options.log.append(record.key, record.value);
    } catch (cause) {
      this.#isStale = true;
      throw refusals.storeFailed(cause);
    }
    this.#subjects.apply(record);
  }
}

async function replayed(log: SchemaLog): Promise<Subjects> {
  const subjects = new Subjects();
  for await (const record of log.replay()) subjects.apply(record);
  return subjects;
}
