/** What an id stands for: the same content has one id in a context, whatever subjects hold it. */
import type { Metadata, RuleSet } from "./data-contract.ts";

export interface Reference {
  readonly name: string;
  /** In the context of who refers to it, unless it says otherwise. */
  readonly subject: string;
  readonly version: number;
}

/** "AVRO", "JSON", "PROTOBUF", or what another registry wrote: kept and served, not registered. */
export type SchemaType = string;

export interface SchemaContent {
  readonly schemaType: SchemaType;
  /** Canonical. */
  readonly schema: string;
  readonly references: readonly Reference[];
  readonly metadata?: Metadata | undefined;
  readonly ruleSet?: RuleSet | undefined;
}

export interface SubjectVersion extends SchemaContent {
  readonly subject: string;
  readonly version: number;
  readonly id: number;
  /** Softly: it still decodes, and no longer counts for lookups and compatibility. */
  readonly isDeleted: boolean;
}

export function isSameContent(a: SchemaContent, b: SchemaContent): boolean {
  return (
    a.schema === b.schema &&
    a.schemaType === b.schemaType &&
    a.references.length === b.references.length &&
    a.references.every((each, index) => {
      const other = b.references[index] as Reference;
      return each.name === other.name && each.subject === other.subject && each.version === other.version;
    }) &&
    isSamePart(a.metadata, b.metadata) &&
    isSamePart(a.ruleSet, b.ruleSet)
  );
}

/** Both are in the one form that reading gives them. */
function isSamePart(a: object | undefined, b: object | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
