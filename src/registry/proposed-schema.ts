/** A schema as a request says it, and what the registry adds before it is registered. */

import { confluentVersion, withConfluentVersion } from "./confluent-version.ts";
import { type Metadata, mergedMetadata, mergedRuleSet, type RuleSet } from "./data-contract.ts";
import type { Reference, SchemaContent } from "./schema-content.ts";
import type { SubjectConfig } from "./subject-config.ts";

export interface ProposedSchema {
  readonly schemaType: string;
  /** Empty stands for that of the latest version. */
  readonly schema: string;
  readonly references: readonly Reference[];
  readonly metadata?: Metadata | undefined;
  readonly ruleSet?: RuleSet | undefined;
  readonly isNormalized: boolean;
}

/** What a registration insists on. */
export interface RegisterAs {
  /** In mode IMPORT only. */
  readonly id?: number;
  /** In mode IMPORT any; else the next one. With "latest" the same content counts as registered in the latest version alone. */
  readonly version?: number | "latest";
  /** Whether it may be incompatible. */
  readonly isForced?: boolean;
}

/** With what the latest version has and the request does not say, and what the config adds. */
export function populated(
  proposed: ProposedSchema,
  latest: SchemaContent | undefined,
  config: SubjectConfig,
): ProposedSchema {
  const metadata = proposed.metadata ?? latest?.metadata;
  const ruleSet = proposed.ruleSet ?? latest?.ruleSet;
  const isEmpty = proposed.schema === "" && latest !== undefined;
  return {
    ...proposed,
    ...(isEmpty ? { schema: latest.schema, schemaType: latest.schemaType, references: latest.references } : {}),
    metadata: mergedMetadata(mergedMetadata(config.defaultMetadata, metadata), config.overrideMetadata),
    ruleSet: mergedRuleSet(mergedRuleSet(config.defaultRuleSet, ruleSet), config.overrideRuleSet),
  };
}

/** With its number in the metadata, where the client has asked for a number or a schema with one goes before it. */
export function numbered(
  proposed: ProposedSchema,
  version: number,
  { isAsked }: { readonly isAsked: boolean },
): ProposedSchema {
  const { metadata } = proposed;
  if (!isAsked && confluentVersion(metadata) === undefined) return proposed;
  return { ...proposed, metadata: withConfluentVersion(metadata, version) };
}
