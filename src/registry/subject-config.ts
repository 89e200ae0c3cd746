/** What is set for a subject, a context or all of them: its level, and what is added to its schemas. */
import { type CompatibilityLevel, compatibilityLevels } from "./compatibility.ts";
import { InvalidContract, type Metadata, type RuleSet, readMetadata, readRuleSet } from "./data-contract.ts";
import type { JsonObject } from "./json-text.ts";
import { RegistryRefused, refusals } from "./refused.ts";

export interface SubjectConfig {
  /** The subject that this one is another name of. */
  readonly alias?: string;
  /** Whether schemas are put in their normal form without being asked. */
  readonly normalize?: boolean;
  /** Whether reserved names of fields are looked at; not, unless it is said. */
  readonly validateFields?: boolean;
  /** Whether names and defaults of Avro are held to the specification; they are, unless it is said. */
  readonly validateNewSchemas?: boolean;
  readonly compatibilityLevel?: CompatibilityLevel;
  /** A property of the metadata: only versions with the same value of it are compared. */
  readonly compatibilityGroup?: string;
  readonly defaultMetadata?: Metadata;
  readonly overrideMetadata?: Metadata;
  readonly defaultRuleSet?: RuleSet;
  readonly overrideRuleSet?: RuleSet;
}

/** undefined takes a value back. */
export type ConfigUpdate = { readonly [K in keyof SubjectConfig]?: SubjectConfig[K] | undefined };

/** Fields of Confluent's that change what a registry does, and that this one does not do. */
const unserved = ["aliasForDeks", "validateRules", "compatibilityPolicy"];

/** Of a request. Throws RegistryRefused. */
export function configUpdateOf(fields: JsonObject): ConfigUpdate {
  const refused = unserved.find(
    (name) => fields[name] !== undefined && fields[name] !== null && fields[name] !== false,
  );
  if (refused !== undefined) throw refusals.notPermitted(`this registry does not serve ${refused}`);
  const level = fields["compatibility"];
  const known = compatibilityLevels.find((each) => each === String(level).toUpperCase());
  if (level !== undefined && level !== null && known === undefined) throw refusals.invalidCompatibility();
  const update = readFields(fields);
  if (level === undefined && Object.keys(update).length === 0) throw refusals.invalidCompatibility();
  return level === undefined ? update : { ...update, compatibilityLevel: known };
}

/** Of a record: what is not understood is left out. */
export function storedConfig(fields: JsonObject): SubjectConfig {
  const level = compatibilityLevels.find((each) => each === fields["compatibilityLevel"]);
  try {
    return present({ ...readFields(fields), compatibilityLevel: level });
  } catch (cause) {
    if (!(cause instanceof RegistryRefused)) throw cause;
    return present({ compatibilityLevel: level });
  }
}

/** undefined when nothing is set any more. */
export function updated(before: SubjectConfig | undefined, update: ConfigUpdate): SubjectConfig | undefined {
  const after = present({ ...before, ...update });
  return Object.keys(after).length === 0 ? undefined : after;
}

export function present(update: ConfigUpdate): SubjectConfig {
  return Object.fromEntries(Object.entries(update).filter(([, value]) => value !== undefined));
}

function readFields(fields: JsonObject): ConfigUpdate {
  const read = <T>(name: string, of: (value: unknown) => T): object =>
    fields[name] === undefined ? {} : { [name]: fields[name] === null ? undefined : of(fields[name]) };
  try {
    return {
      ...read("alias", text),
      ...read("normalize", (value) => value === true),
      ...read("validateFields", (value) => value === true),
      ...read("validateNewSchemas", (value) => value === true),
      ...read("compatibilityGroup", text),
      ...read("defaultMetadata", readMetadata),
      ...read("overrideMetadata", readMetadata),
      ...read("defaultRuleSet", readRuleSet),
      ...read("overrideRuleSet", readRuleSet),
    };
  } catch (cause) {
    if (cause instanceof InvalidContract) throw refusals.invalidRuleSet(cause.message);
    throw cause;
  }
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new InvalidContract("alias and compatibilityGroup are texts");
  return value;
}
