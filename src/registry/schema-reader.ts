/** Reads schemas in the light of what is registered: what they refer to, what configs say of them, and which version they stand for. */
import type { CompatibilityLevel } from "./compatibility.ts";
import { contextOf } from "./context.ts";
import { findVersion } from "./find-version.ts";
import { type ProposedSchema, populated } from "./proposed-schema.ts";
import { pinnedReferences, resolveReferences } from "./references.ts";
import { refusals } from "./refused.ts";
import { compareReferences, type Reference, type SchemaContent, type SubjectVersion } from "./schema-content.ts";
import { type ParsedSchema, parseSchema, type ResolvedReference, writtenOut } from "./schema-format.ts";
import { type ConfigInScope, configInScope } from "./scope.ts";
import type { Subjects } from "./subjects.ts";

export interface SchemaReaderOptions {
  readonly compatibility: CompatibilityLevel;
  readonly schemaBytesMax: number;
}

export interface ReadOptions {
  /** Not normalized, whatever the config says. */
  readonly isAsItIs?: boolean;
  /** Held to all that a new schema must be, unless the config lets it off. */
  readonly isNew?: boolean;
}

export interface FindOptions extends ReadOptions {
  readonly withDeleted: boolean;
  readonly isLatestOnly?: boolean;
}

/** For one turn: it knows the subjects as they were when it was made. */
export class SchemaReader {
  readonly #subjects: Subjects;
  readonly #options: SchemaReaderOptions;

  constructor(subjects: Subjects, options: SchemaReaderOptions) {
    this.#subjects = subjects;
    this.#options = options;
  }

  config(subject: string | null): ConfigInScope {
    return configInScope(this.#subjects, subject, this.#options.compatibility);
  }

  /** The content in its one form, and parsed. Throws RegistryRefused. */
  read(subject: string, proposed: ProposedSchema, options: ReadOptions = {}): readonly [SchemaContent, ParsedSchema] {
    const { schemaBytesMax } = this.#options;
    if (Buffer.byteLength(proposed.schema) > schemaBytesMax) throw refusals.schemaTooLarge(schemaBytesMax);
    return this.#read(subject, proposed, options);
  }

  /** Of a version that is registered: a bound that was set since does not count. */
  parse(version: SubjectVersion): ParsedSchema {
    const [, parsed] = this.#read(version.subject, { ...version, isNormalized: false }, { isAsItIs: true });
    return parsed;
  }

  /** The version that it stands for: as it is, or as it would be registered, since producers do not repeat what the registry adds. */
  find(subject: string, proposed: ProposedSchema, options: FindOptions): SubjectVersion | undefined {
    const { isLatestOnly = false, isAsItIs = false } = options;
    const versions = this.#subjects.versions(subject, options).slice(isLatestOnly ? -1 : 0);
    const sameAs = (each: ProposedSchema): SubjectVersion | undefined => {
      const [content] = this.read(subject, each, { isAsItIs });
      const isNormalized = !isAsItIs && this.#isNormalized(subject, each);
      return findVersion(versions, content, (version) => writtenOut(this.parse(version), { isNormalized }));
    };
    if (isLatestOnly) return sameAs(proposed);
    return (proposed.schema === "" ? undefined : sameAs(proposed)) ?? sameAs(this.populated(subject, proposed));
  }

  populated(subject: string, proposed: ProposedSchema): ProposedSchema {
    const latest = this.#subjects.version(subject, "latest", { withDeleted: false });
    return populated(proposed, latest, this.config(subject));
  }

  /** Of what is registered, or has been read as new. */
  resolved(subject: string, references: readonly Reference[]): readonly ResolvedReference[] {
    return resolveReferences(this.#subjects, contextOf(subject), references, { isStrict: false });
  }

  #read(
    subject: string,
    proposed: ProposedSchema,
    { isAsItIs = false, isNew = false }: ReadOptions,
  ): readonly [SchemaContent, ParsedSchema] {
    const { schemaType, schema, metadata, ruleSet } = proposed;
    if (schema === "") throw refusals.invalidSchema("Empty schema");
    const context = contextOf(subject);
    const isStrict = isNew && this.config(subject).validateNewSchemas !== false;
    const isNormalized = !isAsItIs && this.#isNormalized(subject, proposed);
    const references = pinnedReferences(this.#subjects, context, proposed.references);
    const resolved = resolveReferences(this.#subjects, context, references, { isStrict });
    const parsed = parseSchema({ schemaType, schema, references: resolved }, { isNormalized, isStrict });
    const content = {
      schemaType: parsed.schemaType,
      schema: parsed.canonical,
      references: isNormalized ? references.toSorted(compareReferences) : references,
      metadata,
      ruleSet,
    };
    return [content, parsed];
  }

  #isNormalized(subject: string, { isNormalized }: ProposedSchema): boolean {
    return isNormalized || this.config(subject).normalize === true;
  }
}
