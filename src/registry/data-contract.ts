/**
 * What a schema carries beside its text: metadata and rules, which Confluent's serializers act on. They are part of what a schema
 * is: the same text with other metadata is another version with another id. Here they are checked, put in one form, and merged.
 */
import { isJsonObject, type JsonObject } from "./json-text.ts";

/** In the order in which Confluent hashes them; keys and sets are sorted. */
export interface Metadata {
  readonly tags?: Readonly<Record<string, readonly string[]>>;
  readonly properties?: Readonly<Record<string, string>>;
  /** Names of properties that are not to be shown. */
  readonly sensitive?: readonly string[];
}

export interface RuleSet {
  readonly migrationRules?: readonly Rule[];
  readonly domainRules?: readonly Rule[];
  readonly encodingRules?: readonly Rule[];
  readonly enableAt?: string;
}

export interface Rule {
  readonly name: string;
  readonly doc?: string;
  readonly kind?: string;
  readonly mode?: string;
  readonly type?: string;
  readonly tags?: readonly string[];
  readonly params?: Readonly<Record<string, string>>;
  readonly expr?: string;
  readonly onSuccess?: string;
  readonly onFailure?: string;
  readonly disabled?: boolean;
}

/** What the value is not. */
export class InvalidContract extends Error {
  override readonly name = "InvalidContract";
}

/** undefined for null and for what is absent. Throws InvalidContract. */
export function readMetadata(value: unknown): Metadata | undefined {
  if (value === undefined || value === null) return undefined;
  const { tags, properties, sensitive } = objectOf(value, "metadata");
  return {
    ...(isAbsent(tags) ? {} : { tags: mapOf(tags, "metadata.tags", sortedTexts) }),
    ...(isAbsent(properties) ? {} : { properties: mapOf(properties, "metadata.properties", textOf) }),
    ...(isAbsent(sensitive) ? {} : { sensitive: sortedTexts(sensitive, "metadata.sensitive") }),
  };
}

/** undefined for null and for what is absent. Throws InvalidContract. */
export function readRuleSet(value: unknown): RuleSet | undefined {
  if (value === undefined || value === null) return undefined;
  const { migrationRules, domainRules, encodingRules, enableAt } = objectOf(value, "ruleSet");
  return {
    ...(isAbsent(migrationRules) ? {} : { migrationRules: rulesOf(migrationRules, migrationModes) }),
    ...(isAbsent(domainRules) ? {} : { domainRules: rulesOf(domainRules, dataModes) }),
    ...(isAbsent(encodingRules) ? {} : { encodingRules: rulesOf(encodingRules, dataModes) }),
    ...(isAbsent(enableAt) ? {} : { enableAt: textOf(enableAt, "ruleSet.enableAt") }),
  };
}

/** What the newer one says stands; a list or map that it does not have is the older one's. */
export function mergedMetadata(older: Metadata | undefined, newer: Metadata | undefined): Metadata | undefined {
  if (older === undefined || newer === undefined) return newer ?? older;
  return readMetadata({
    tags: mergedMap(older.tags, newer.tags),
    properties: mergedMap(older.properties, newer.properties),
    sensitive: mergedList(older.sensitive, newer.sensitive),
  });
}

/** A newer rule takes the place of the older one of its name. */
export function mergedRuleSet(older: RuleSet | undefined, newer: RuleSet | undefined): RuleSet | undefined {
  if (older === undefined || newer === undefined) return newer ?? older;
  const rules = (name: "migrationRules" | "domainRules" | "encodingRules"): readonly Rule[] | undefined => {
    const names = new Set(newer[name]?.map((rule) => rule.name));
    return mergedList(
      older[name]?.filter((rule) => !names.has(rule.name)),
      newer[name],
    );
  };
  return readRuleSet({
    migrationRules: rules("migrationRules"),
    domainRules: rules("domainRules"),
    encodingRules: rules("encodingRules"),
    enableAt: newer.enableAt ?? older.enableAt,
  });
}

/** What Confluent's digest takes of it, in its order. */
export function* metadataTexts({ tags = {}, properties = {}, sensitive = [] }: Metadata): Generator<string> {
  for (const [key, values] of Object.entries(tags)) yield* [key, ...values];
  for (const entry of Object.entries(properties)) yield* entry;
  yield* sensitive;
}

/** The same of rules. */
export function* ruleSetTexts(rules: RuleSet): Generator<string> {
  const { migrationRules = [], domainRules = [], encodingRules = [], enableAt } = rules;
  for (const rule of [...migrationRules, ...domainRules, ...encodingRules]) yield* ruleTexts(rule);
  if (enableAt !== undefined) yield enableAt;
}

function* ruleTexts(rule: Rule): Generator<string> {
  const present = (text: string | undefined): readonly string[] => (text === undefined ? [] : [text]);
  for (const name of ["name", "doc", "kind", "mode", "type"] as const) yield* present(rule[name]);
  yield* rule.tags ?? [];
  for (const entry of Object.entries(rule.params ?? {})) yield* entry;
  for (const name of ["expr", "onSuccess", "onFailure"] as const) yield* present(rule[name]);
  if (rule.disabled === true) yield "\u0001";
}

const ruleKinds = ["TRANSFORM", "CONDITION"];
const migrationModes = ["UPGRADE", "DOWNGRADE", "UPDOWN"];
const dataModes = ["WRITE", "READ", "WRITEREAD"];

function rulesOf(value: unknown, modes: readonly string[]): readonly Rule[] {
  if (!Array.isArray(value)) throw new InvalidContract("rules are a list");
  const rules = value.map((each: unknown) => ruleOf(each, modes));
  const twice = rules.find(({ name }, index) => rules.findIndex((other) => other.name === name) < index);
  if (twice !== undefined) throw new InvalidContract(`there are two rules ${twice.name}`);
  return rules;
}

function ruleOf(value: unknown, modes: readonly string[]): Rule {
  const fields = objectOf(value, "a rule");
  const name = textOf(fields["name"], "the name of a rule");
  const text = (key: string, allowed?: readonly string[]): object => {
    if (isAbsent(fields[key])) return {};
    const found = textOf(fields[key], `${key} of rule ${name}`);
    if (allowed !== undefined && !allowed.includes(found))
      throw new InvalidContract(`${key} of rule ${name} must be one of ${allowed.join(", ")}`);
    return { [key]: found };
  };
  return {
    name,
    ...text("doc"),
    ...text("kind", ruleKinds),
    ...text("mode", modes),
    ...text("type"),
    ...(isAbsent(fields["tags"]) ? {} : { tags: sortedTexts(fields["tags"], `tags of rule ${name}`) }),
    ...(isAbsent(fields["params"]) ? {} : { params: mapOf(fields["params"], `params of rule ${name}`, textOf) }),
    ...text("expr"),
    ...text("onSuccess"),
    ...text("onFailure"),
    ...(fields["disabled"] === true ? { disabled: true } : {}),
  };
}

/** Java writes what is not there as null. */
function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

function objectOf(value: unknown, what: string): JsonObject {
  if (!isJsonObject(value)) throw new InvalidContract(`${what} must be an object`);
  return value;
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== "string") throw new InvalidContract(`${what} must be text`);
  return value;
}

function sortedTexts(value: unknown, what: string): readonly string[] {
  if (!Array.isArray(value)) throw new InvalidContract(`${what} must be a list of texts`);
  return [...new Set(value.map((each: unknown) => textOf(each, what)))].sort();
}

function mapOf<T>(value: unknown, what: string, read: (value: unknown, what: string) => T): Record<string, T> {
  const entries = Object.entries(objectOf(value, what)).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, read(each, `${what}.${key}`)]));
}

function mergedMap<T extends object>(older: T | undefined, newer: T | undefined): T | undefined {
  return older === undefined || newer === undefined ? (newer ?? older) : { ...older, ...newer };
}

function mergedList<T>(older: readonly T[] | undefined, newer: readonly T[] | undefined): readonly T[] | undefined {
  return older === undefined || newer === undefined ? (newer ?? older) : [...older, ...newer];
}
