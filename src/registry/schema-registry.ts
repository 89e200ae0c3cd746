/**
 * The registry of one cluster: decides over Subjects, appends to the log, and applies what was appended. Writes run one after
 * another, so what a write decided on is still true when it is applied; reads see what has been applied.
 */
import { Lane } from "../base/async.ts";
import type { CompatibilityLevel } from "./compatibility.ts";
import { type CompatibilityAnswer, checkCompatibility } from "./compatibility-check.ts";
import { contextOf, isValidSubject } from "./context.ts";
import { numbered, type ProposedSchema, type RegisterAs } from "./proposed-schema.ts";
import { refusals } from "./refused.ts";
import {
  configRecord,
  deleteSubjectRecord,
  type LoggedRecord,
  type Mode,
  modeRecord,
  noopRecord,
  type RegistryRecord,
  schemaRecord,
  schemaTombstone,
} from "./registry-record.ts";
import { reservedFieldFindings } from "./reserved-fields.ts";
import { isSameContent, type NewVersion, type SchemaContent, type SubjectVersion } from "./schema-content.ts";
import { type ParsedSchema, type ResolvedReference, serializedSchema } from "./schema-format.ts";
import { SchemaReader } from "./schema-reader.ts";
import { type ConfigInScope, isBelow, modeInScope } from "./scope.ts";
import { type ConfigUpdate, type SubjectConfig, updated } from "./subject-config.ts";
import { Subjects } from "./subjects.ts";

/** The compacted topic `_schemas`, as text. */
export interface SchemaLog {
  /** Resolves with the record's time when it is durable. A rejection leaves open whether it was appended. */
  append(key: string, value: string | null): Promise<number>;
  /** All records up to now, in their order. */
  replay(): AsyncIterable<LoggedRecord>;
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

  get #reader(): SchemaReader {
    return new SchemaReader(this.#subjects, this.#options);
  }

  /** The schema of a record's prefix, with what it refers to; undefined when there is none. */
  schemaById(id: number, context: string): GuardedSchema | undefined {
    const found = this.#subjects.ids(context).byId(id)[0];
    return found === undefined ? undefined : this.#guardedOf(found);
  }

  /** The schema as programs carry it, for those who have no parser of its text. */
  serialized(version: SubjectVersion): string {
    return serializedSchema(this.#reader.parse(version));
  }

  config(subject: string | null): ConfigInScope {
    return this.#reader.config(subject);
  }

  mode(subject: string | null): Mode {
    return modeInScope(this.#subjects, subject);
  }

  /** The version with this content, deleted ones only when asked for. Throws RegistryRefused. */
  lookup(subject: string, proposed: ProposedSchema, options: { readonly withDeleted: boolean }): SubjectVersion {
    if (this.#subjects.versions(subject, options).length === 0) throw refusals.subjectNotFound(subject);
    const found = this.#reader.find(subject, proposed, options);
    if (found === undefined) throw refusals.schemaNotFound();
    return found;
  }

  /** Registers, or finds the version that is there already. */
  async register(subject: string, proposed: ProposedSchema, as: RegisterAs = {}): Promise<NewVersion> {
    if (!isValidSubject(subject, { isScope: false })) throw refusals.invalidSubject(subject);
    // Producers register on every start: what is there already needs no write.
    const known = this.#known(subject, proposed, as);
    if (known !== undefined) return known;
    return await this.#write(async () => {
      const version = this.#admit(subject, proposed, as);
      if (this.#subjects.version(subject, version.version, live) === version) return version;
      // In this order: were the last record of an id gone before its next one is there, a crash could give the id away again.
      await this.#append(schemaRecord(version));
      await this.#forgetEarlier(version);
      return version;
    });
  }

  /** `version` undefined compares as a registration would. Throws RegistryRefused when there is no such version. */
  check(subject: string, proposed: ProposedSchema, version?: number | "latest"): CompatibilityAnswer {
    const earlier = this.#checkedAgainst(subject, version);
    const [content, parsed] = this.#reader.read(subject, proposed, { isNew: true });
    const compared = this.#compare(subject, earlier, content, parsed);
    const broken = this.#guarded(subject, content);
    return {
      isCompatible: compared.isCompatible && broken.length === 0,
      messages: [
        ...compared.messages,
        ...broken.map((reason) => `{errorType:'TABLE_WOULD_BREAK', description:'${reason}'}`),
      ],
    };
  }

  /** Resolves with what is set for it from then on. null takes all of it back, and resolves with what was set. */
  setConfig(subject: string | null, update: ConfigUpdate | null): Promise<SubjectConfig> {
    return this.#write(async () => {
      this.#assertScope(subject);
      this.#assertWritable(subject);
      const before = this.#subjects.config(subject);
      if (update === null && before === undefined && subject !== null) throw refusals.subjectNotFound(subject);
      const after = update === null ? undefined : updated(before, update);
      await this.#append(configRecord(subject, after));
      return (update === null ? before : after) ?? {};
    });
  }

  /** null takes it back, and that of a subject which has none as well. */
  setMode(subject: string | null, mode: Mode | null, options: { readonly isForced: boolean }): Promise<void> {
    return this.#write(async () => {
      this.#assertScope(subject);
      if (mode === "IMPORT" && this.mode(subject) !== "IMPORT" && !options.isForced) await this.#makeRoom(subject);
      await this.#append(modeRecord(subject, mode));
    });
  }

  /** Resolves with what it was; null: there was none, and only those below it were asked for too. */
  deleteMode(subject: string | null, options: { readonly isRecursive: boolean }): Promise<Mode | null> {
    return this.#write(async () => {
      const before = this.#subjects.mode(subject) ?? null;
      if (before === null && subject !== null && !options.isRecursive) throw refusals.subjectNotFound(subject);
      const below = this.#subjects.withMode().filter((each) => each !== subject && isBelow(each, subject));
      for (const each of options.isRecursive ? below : []) await this.#append(modeRecord(each, null));
      await this.#append(modeRecord(subject, null));
      return before;
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
      for (const version of deleted) this.#assertUnreferenced(version, { ...options, by: "others" });
      if (options.isPermanent) await this.#forget(deleted);
      else await this.#append(deleteSubjectRecord(subject, (deleted.at(-1) as SubjectVersion).version));
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
      this.#assertUnreferenced(found, { ...options, by: "anyone" });
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
  #admit(subject: string, proposed: ProposedSchema, as: RegisterAs): NewVersion {
    const mode = this.mode(subject);
    if (as.id !== undefined && mode === "READWRITE")
      throw refusals.notPermitted(`Subject ${subject} is not in import mode`);
    const known = this.#known(subject, proposed, as);
    if (known !== undefined) return known;
    this.#assertWritable(subject);
    if (as.id === undefined && mode === "IMPORT")
      throw refusals.notPermitted(`Subject ${subject} is not in read-write mode`);
    if (this.#subjects.count >= this.#options.schemasMax)
      throw refusals.notPermitted(
        `The registry holds ${this.#subjects.count} schemas: registry.schemas.max is reached`,
      );
    return as.id === undefined
      ? this.#admitNew(subject, proposed, as)
      : this.#admitImport(subject, proposed, { ...as, id: as.id });
  }

  #admitNew(subject: string, proposed: ProposedSchema, { version, isForced = false }: RegisterAs): NewVersion {
    const next = this.#nextVersion(subject);
    const whole = numbered(this.#reader.populated(subject, proposed), next, { isAsked: version !== undefined });
    const [content, parsed] = this.#reader.read(subject, whole, { isNew: true });
    if (typeof version === "number" && version !== next)
      throw refusals.invalidSchema("Version is not one more than previous version");
    const answer = this.#compare(subject, this.#subjects.versions(subject, live), content, parsed);
    if (!answer.isCompatible && !isForced) throw refusals.incompatible(`[${answer.messages.join(", ")}]`);
    const [broken] = this.#guarded(subject, content);
    if (broken !== undefined) throw refusals.breaksTable(broken);
    const ids = this.#subjects.ids(contextOf(subject));
    return { ...content, subject, version: next, id: ids.idOf(content) ?? ids.idMax + 1, isDeleted: false };
  }

  /** What another registry has taken is not put in another form. */
  #admitImport(subject: string, proposed: ProposedSchema, as: RegisterAs & { readonly id: number }): NewVersion {
    const [content] = this.#reader.read(subject, proposed, { isAsItIs: true });
    const [holder] = this.#subjects.ids(contextOf(subject)).byId(as.id);
    if (holder !== undefined && !isSameContent(holder, content))
      throw refusals.notPermitted(`Overwrite new schema with id ${as.id} is not permitted.`);
    const version = typeof as.version === "number" ? as.version : this.#nextVersion(subject);
    const before = this.#subjects.version(subject, version, live);
    if (before !== undefined && before.id !== as.id)
      throw refusals.idMismatch(`Schema already registered with id ${before.id} instead of input id ${as.id}`);
    return before ?? { ...content, subject, version, id: as.id, isDeleted: false };
  }

  #nextVersion(subject: string): number {
    return (this.#subjects.versions(subject, all).at(-1)?.version ?? 0) + 1;
  }

  /** The version that a registration would only repeat. */
  #known(subject: string, proposed: ProposedSchema, { id, version }: RegisterAs): SubjectVersion | undefined {
    if (typeof version === "number") return undefined;
    const isAsItIs = this.mode(subject) === "IMPORT";
    const known = this.#reader.find(subject, proposed, { ...live, isAsItIs, isLatestOnly: version === "latest" });
    return id === undefined || id === known?.id ? known : undefined;
  }

  #checkedAgainst(subject: string, version: number | "latest" | undefined): readonly SubjectVersion[] {
    const versions = this.#subjects.versions(subject, live);
    if (version === undefined) return versions;
    if (version === "latest") return versions.slice(-1);
    const against = this.#subjects.version(subject, version, live);
    if (against === undefined) throw refusals.versionNotFound(version);
    return [against];
  }

  #compare(
    subject: string,
    versions: readonly SubjectVersion[],
    content: SchemaContent,
    proposed: ParsedSchema,
  ): CompatibilityAnswer {
    const { compatibilityLevel: level, compatibilityGroup: group, validateFields = false } = this.config(subject);
    const reserved = validateFields ? reservedFieldFindings(proposed, content.metadata, versions.at(-1)?.metadata) : [];
    const groupOf = ({ metadata }: SchemaContent): string | undefined => metadata?.properties?.[group as string];
    const earlier = group === undefined ? versions : versions.filter((each) => groupOf(each) === groupOf(content));
    return checkCompatibility({ level, earlier, proposed, reserved, parse: (version) => this.#reader.parse(version) });
  }

  #guarded(subject: string, content: SchemaContent): readonly string[] {
    const { guard } = this.#options;
    if (guard === undefined) return [];
    const earlier = this.#subjects.versions(subject, live);
    if (earlier.some((each) => isSameContent(each, content))) return [];
    return guard({
      subject,
      earlier: earlier.map((each) => this.#guardedOf(each)),
      proposed: { ...content, resolved: this.#reader.resolved(subject, content.references) },
    });
  }

  #guardedOf(version: SubjectVersion): SubjectVersion & GuardedSchema {
    return { ...version, resolved: this.#reader.resolved(version.subject, version.references) };
  }

  #assertScope(subject: string | null): void {
    if (subject !== null && !isValidSubject(subject, { isScope: true })) throw refusals.invalidSubject(subject);
  }

  #assertWritable(subject: string | null): void {
    const mode = this.mode(subject);
    if (mode === "READONLY" || mode === "READONLY_OVERRIDE")
      throw refusals.notPermitted(`Subject ${subject} in context ${contextOf(subject ?? "")} is in read-only mode`);
  }

  /** What goes for good must not be missed by deleted versions either: they still decode. */
  #assertUnreferenced(
    { subject, version }: SubjectVersion,
    { isPermanent, by }: { readonly isPermanent: boolean; readonly by: "anyone" | "others" },
  ): void {
    const referrers = this.#subjects.referrers(subject, version, { withDeleted: isPermanent });
    if (referrers.some((each) => by === "anyone" || each.subject !== subject))
      throw refusals.referenceExists(subject, version);
  }

  /** Imported ids must not meet ids that were given here: before the first import nothing is left. */
  async #makeRoom(scope: string | null): Promise<void> {
    const subjects = this.#subjects.subjects().filter((each) => isBelow(each, scope));
    if (subjects.some((each) => this.#subjects.versions(each, live).length > 0))
      throw refusals.notPermitted("Cannot import since found existing subjects");
    const deleted = subjects.flatMap((each) => this.#subjects.versions(each, all));
    const going = new Set(deleted);
    for (const { subject, version } of deleted) {
      const referrers = this.#subjects.referrers(subject, version, all);
      if (!referrers.every((each) => going.has(each))) throw refusals.referenceExists(subject, version);
    }
    if (deleted.length > 0) await this.#forget(deleted);
  }

  /** Deleted versions of the same id, now that it is back under a new version. */
  async #forgetEarlier({ subject, id, version }: NewVersion): Promise<void> {
    const earlier = this.#subjects.versions(subject, all).filter((each) => each.isDeleted && each.version < version);
    const free = earlier.filter(
      (each) => each.id === id && this.#subjects.referrers(subject, each.version, all).length === 0,
    );
    for (const each of free) await this.#append(schemaTombstone(subject, each.version));
  }

  /** The newest first, since versions may refer to earlier ones; of a subject without versions nothing is kept. */
  async #forget(versions: readonly SubjectVersion[]): Promise<void> {
    await this.#append(noopRecord(this.#subjects.idMaxes()));
    for (const { subject, version } of versions.toReversed()) await this.#append(schemaTombstone(subject, version));
    for (const subject of new Set(versions.map((each) => each.subject))) {
      if (this.#subjects.versions(subject, all).length > 0) continue;
      if (this.#subjects.config(subject) !== undefined) await this.#append(configRecord(subject, undefined));
      if (this.#subjects.mode(subject) !== undefined) await this.#append(modeRecord(subject, null));
    }
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
    let timestampMs: number;
    try {
      timestampMs = await this.#options.log.append(record.key, record.value);
    } catch (cause) {
      this.#isStale = true;
      throw refusals.storeFailed(cause);
    }
    this.#subjects.apply({ ...record, timestampMs });
  }
}

async function replayed(log: SchemaLog): Promise<Subjects> {
  const subjects = new Subjects();
  for await (const record of log.replay()) subjects.apply(record);
  return subjects;
}
