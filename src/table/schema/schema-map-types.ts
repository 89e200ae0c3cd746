/** A source's type in the table's words, before it has columns: what Avro, JSON Schema, Protobuf and inference all come down to. */
import { CorruptData } from "../../base/errors.ts";
import type { PrimitiveType } from "../iceberg/types.ts";

export type SourceType =
  /** Absent in all rows: gets no column (format 2 has no type for it). */
  | { readonly kind: "nothing" }
  | {
      readonly kind: "primitive";
      readonly type: PrimitiveType;
      /** Written as Kafka Connect does (connect-types.ts), not as the type is elsewhere. */
      readonly isConnect?: true;
    }
  /** Anything at all, kept as JSON text in a string column. */
  | { readonly kind: "json" }
  | { readonly kind: "struct"; readonly fields: readonly SourceField[] }
  | { readonly kind: "list"; readonly element: SourceType }
  /** Keys are strings. */
  | { readonly kind: "map"; readonly value: SourceType };

export interface SourceField {
  /** As the source spells it. The column's name may differ (rule A9). */
  readonly name: string;
  /** What the source knows the field by, when that is not its name: a renamed field keeps its column by it. */
  readonly key?: string;
  /** Keys by which the field went before, as the source itself says: it keeps their column. */
  readonly aliases?: readonly string[];
  readonly type: SourceType;
  /** Of the column, when it is made. */
  readonly comment?: string;
  /** A person wants no column of it. */
  readonly isExcluded?: true;
  /** A person gave the type: values are brought to it. */
  readonly isCast?: true;
  /** A person gave the name. */
  readonly isNamed?: true;
}

/** Which column a field of a source goes to. */
export interface Binding {
  /** Field id of the struct that holds the field; 0 for the record itself. For a list or map, its element's or value's id. */
  readonly parent: number;
  /** The source field's key: its name as the source spells it, or what stands for it. */
  readonly name: string;
  readonly id: number;
  /** 2, 3, ...: a further column of the same field, for values whose type the first one cannot take. */
  readonly variant?: number;
  /** Values are brought to the column's type; those that cannot be make their record bad. */
  readonly isCast?: true;
}

/** Id in the binding of a field whose values are not wanted. */
export const nowhere = 0;

export const nothing: SourceType = { kind: "nothing" };
export const json: SourceType = { kind: "json" };

/** Whether a column would come of it. A struct without columns is nothing: Parquet has no empty group. */
export function isNothing(type: SourceType): boolean {
  switch (type.kind) {
    case "nothing":
      return true;
    case "struct":
      return type.fields.every((field) => field.isExcluded === true || isNothing(field.type));
    case "list":
      return isNothing(type.element);
    case "map":
      return isNothing(type.value);
    case "primitive":
    case "json":
      return false;
  }
}

/** How many times a named type may stand inside itself before the rest becomes JSON text. */
export const recursionMax = 2;
/** Nesting beyond this becomes JSON text, recursive or not. */
export const nestingMax = 24;

/**
 * Types that one source may come to. Few named types that refer to each other can spell a tree that no memory holds, so
 * whoever walks them counts.
 */
export const sourceTypesMax = 5000;

export class TypeBudget {
  #left = sourceTypesMax;
  /** Throws CorruptData when the source spells too many types. */
  take(source: string): void {
    this.#left -= 1;
    if (this.#left >= 0) return;
    const expected = `at most ${sourceTypesMax} columns and groups`;
    throw new CorruptData({ source, position: 0, expected, found: "more" });
  }
}
