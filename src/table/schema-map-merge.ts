/** Merges a source's type into a table's: gives ids to what is new, widens what may widen, refuses the rest (rules G1-G7). */
import { decimalShape } from "./iceberg/primitive.ts";
import type { IcebergType, NestedField, PrimitiveType } from "./iceberg/types.ts";
import { type Binding, isNothing, type SourceField, type SourceType } from "./schema-map-types.ts";

export type Merged<T extends IcebergType = IcebergType> =
  | { readonly kind: "ok"; readonly type: T }
  | { readonly kind: "refused"; readonly reason: string };

/** The greatest field id that is not reserved (Iceberg spec, "Reserved Field IDs"; rule A13). */
const fieldIdMax = 2_147_483_447;

/** Ids and bindings that an evolution gives out. Nothing is kept of it when the evolution is refused. */
export interface Draft {
  readonly lastColumnId: number;
  readonly bindings: readonly Binding[];
  /** With a bound on columns, mismatches and what is too much are left out instead of refused. */
  readonly isLenient: boolean;
  /** Something was left out because of the bound. */
  readonly isFull: boolean;
  nextId(): number;
  bound(parent: number, name: string): number | undefined;
  bind(parent: number, name: string, id: number): void;
  /** The type with ids; `parent` is the id of the field that has it. */
  assign(type: SourceType, parent: number): IcebergType;
  /** Whether a new column of the type stays within the bound; counts it if so. */
  admits(type: SourceType): boolean;
  freeName(name: string, siblings: readonly NestedField[], isTop?: boolean): string;
}

export function openDraft(
  start: { readonly lastColumnId: number; readonly bindings: readonly Binding[] },
  columnsMax?: number,
): Draft {
  let lastColumnId = start.lastColumnId;
  let bindings = start.bindings;
  let isFull = false;
  let columns = start.bindings.length; // A binding is a column or the group that holds some: never fewer than columns.
  const ids = new Map(bindings.map((binding) => [bindingKey(binding.parent, binding.name), binding.id]));
  const draft: Draft = {
    get lastColumnId() {
      return lastColumnId;
    },
    get bindings() {
      return bindings;
    },
    get isFull() {
      return isFull;
    },
    isLenient: columnsMax !== undefined,
    nextId() {
      lastColumnId += 1;
      return lastColumnId;
    },
    bound: (parent, name) => ids.get(bindingKey(parent, name)),
    bind(parent, name, id) {
      // A name whose column somebody dropped is bound anew (rule G7).
      const others = ids.has(bindingKey(parent, name))
        ? bindings.filter((binding) => binding.parent !== parent || binding.name !== name)
        : bindings;
      ids.set(bindingKey(parent, name), id);
      bindings = [...others, { parent, name, id }];
    },
    assign: (type, parent) => assignIds(type, parent, draft),
    admits(type) {
      if (columnsMax === undefined) return true;
      const more = columnsOf(type);
      if (columns + more > columnsMax) isFull = true;
      else columns += more;
      return !isFull;
    },
    freeName,
  };
  return draft;
}

function bindingKey(parent: number, name: string): string {
  return `${parent}/${name}`;
}

function columnsOf(type: SourceType): number {
  switch (type.kind) {
    case "struct":
      return type.fields.reduce((sum, field) => sum + columnsOf(field.type), 1);
    case "list":
      return columnsOf(type.element);
    case "map":
      return columnsOf(type.value);
    case "nothing":
      return 0;
    case "primitive":
    case "json":
      return 1;
  }
}

/** Names that Iceberg gives to metadata columns: not for a table's own columns at the top. */
const reservedNames = new Set([
  "_file",
  "_pos",
  "_deleted",
  "_spec_id",
  "_partition",
  "_row_id",
  "_last_updated_sequence_number",
  "_commit_snapshot_id",
  "_change_type",
  "_change_ordinal",
]);

/** The name itself, or with a number behind it: siblings that differ in case only are one column to half of the engines (rule A9). */
function freeName(name: string, siblings: readonly NestedField[], isTop = true): string {
  const taken = new Set(siblings.map((sibling) => sibling.name.toLowerCase()));
  const wanted = name === "" ? "_empty" : name;
  const isFree = (candidate: string): boolean =>
    !taken.has(candidate.toLowerCase()) && !(isTop && reservedNames.has(candidate.toLowerCase()));
  if (isFree(wanted)) return wanted;
  let suffix = 2;
  while (!isFree(`${wanted}_${suffix}`)) suffix += 1;
  return `${wanted}_${suffix}`;
}

function assignIds(type: SourceType, parent: number, draft: Draft): IcebergType {
  switch (type.kind) {
    case "primitive":
      return type.type;
    case "json":
    case "nothing": // Only the content of a list or map that nobody has seen filled.
      return "string";
    case "struct": {
      const merged = mergeFields([], type.fields, parent, draft);
      return { type: "struct", fields: merged.kind === "ok" ? merged.fields : [] };
    }
    case "list": {
      const elementId = draft.nextId();
      const element = assignIds(type.element, elementId, draft);
      return { type: "list", "element-id": elementId, "element-required": false, element };
    }
    case "map": {
      const keyId = draft.nextId();
      const valueId = draft.nextId();
      const value = assignIds(type.value, valueId, draft);
      return { type: "map", "key-id": keyId, key: "string", "value-id": valueId, "value-required": false, value };
    }
  }
}

/** Gives back the same object when nothing changes. */
export function mergeType(existing: IcebergType, source: SourceType, parent: number, draft: Draft): Merged {
  if (source.kind === "nothing") return { kind: "ok", type: existing };
  if (typeof existing === "string") return mergePrimitive(existing, source, draft);
  if (existing.type === "struct" && source.kind === "struct") {
    const merged = mergeFields(existing.fields, source.fields, parent, draft);
    if (merged.kind === "refused") return merged;
    return { kind: "ok", type: merged.fields === existing.fields ? existing : { ...existing, fields: merged.fields } };
  }
  if (existing.type === "list" && source.kind === "list") {
    const merged = mergeType(existing.element, source.element, existing["element-id"], draft);
    if (merged.kind === "refused" || merged.type === existing.element) return same(merged, existing);
    return { kind: "ok", type: { ...existing, element: merged.type } };
  }
  if (existing.type === "map" && source.kind === "map") {
    const merged = mergeType(existing.value, source.value, existing["value-id"], draft);
    if (merged.kind === "refused" || merged.type === existing.value) return same(merged, existing);
    return { kind: "ok", type: { ...existing, value: merged.type } };
  }
  if (draft.isLenient) return { kind: "ok", type: existing };
  return { kind: "refused", reason: `a ${existing.type} cannot become a ${describe(source)}` };
}

function same(merged: Merged, existing: IcebergType): Merged {
  return merged.kind === "refused" ? merged : { kind: "ok", type: existing };
}

function describe(source: SourceType): string {
  return source.kind === "primitive" ? source.type : source.kind;
}

function mergePrimitive(existing: PrimitiveType, source: SourceType, draft: Draft): Merged {
  if (source.kind === "json" && existing === "string") return { kind: "ok", type: existing };
  const widened = source.kind === "primitive" ? widenedType(existing, source.type) : undefined;
  if (widened !== undefined && !draft.isLenient) return { kind: "ok", type: widened };
  if (draft.isLenient) return { kind: "ok", type: existing };
  return { kind: "refused", reason: `a ${existing} cannot become a ${describe(source)}` };
}

/**
 * The column's type once it also takes values of the other, exactly: Iceberg's promotions (rule G2), and sources narrower
 * than the column. undefined when there is none.
 */
export function widenedType(column: PrimitiveType, source: PrimitiveType): PrimitiveType | undefined {
  if (column === source) return column;
  const pair = `${source}→${column}`;
  if (pair === "int→long" || pair === "float→double" || pair === "int→double") return column;
  if (pair === "long→int" || pair === "double→float") return source;
  if (pair === "uuid→string") return column; // As text, which is what came.
  const wide = decimalShape(column);
  const other = decimalShape(source);
  if (wide === undefined || other === undefined || wide.scale !== other.scale) return undefined;
  return wide.precision >= other.precision ? column : source;
}

type MergedFields =
  | { readonly kind: "ok"; readonly fields: readonly NestedField[] }
  | { readonly kind: "refused"; readonly reason: string };

function mergeFields(
  existing: readonly NestedField[],
  sources: readonly SourceField[],
  parent: number,
  draft: Draft,
): MergedFields {
  let fields = existing;
  for (const source of sources) {
    if (isNothing(source.type)) continue;
    const key = source.key ?? source.name;
    const id = draft.bound(parent, key);
    const field = fields.find((each) => each.id === id);
    if (field === undefined) {
      if (!draft.admits(source.type)) continue;
      const fieldId = draft.nextId();
      if (fieldId > fieldIdMax) return { kind: "refused", reason: "the table has given out all field ids" };
      draft.bind(parent, key, fieldId);
      const name = draft.freeName(source.name, fields, parent === 0);
      fields = [...fields, { id: fieldId, name, required: false, type: draft.assign(source.type, fieldId) }];
      continue;
    }
    const merged = mergeType(field.type, source.type, field.id, draft);
    if (merged.kind === "refused") return { kind: "refused", reason: `${source.name}: ${merged.reason}` };
    if (merged.type === field.type) continue;
    fields = fields.map((each) => (each === field ? { ...field, type: merged.type } : each));
  }
  return { kind: "ok", fields };
}
