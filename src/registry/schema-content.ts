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

export interface SubjectVersion extends NewVersion {
  /** When it was registered, or deleted alone. */
  readonly timestampMs: number;
}

/** Not in the log yet. */
export interface NewVersion extends SchemaContent {
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
    isSameReferences(a.references, b.references) &&
    isSameMetadata(a.metadata, b.metadata) &&
    isSamePart(a.ruleSet, b.ruleSet)
  );
}

export function isSameReferences(a: readonly Reference[], b: readonly Reference[]): boolean {
  return a.length === b.length && a.every((each, index) => compareReferences(each, b[index] as Reference) === 0);
}

export function isSameMetadata(a: Metadata | undefined, b: Metadata | undefined): boolean {
  return isSamePart(a, b);
}

export function compareReferences(a: Reference, b: Reference): number {
  return compareText(a.subject, b.subject) || a.version - b.version || compareText(a.name, b.name);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** Both are in the one form that reading gives them. */
function isSamePart(a: object | undefined, b: object | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
