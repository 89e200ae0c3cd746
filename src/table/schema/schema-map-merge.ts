/** Merges a source's type into a table's: gives ids to what is new, widens what may widen, refuses the rest (rules G1-G7). */
import { decimalShape } from "../iceberg/primitive.ts";
import type { IcebergType, NestedField, PrimitiveType } from "../iceberg/types.ts";
import { type Draft, freeName } from "./schema-map-draft.ts";
import { isNothing, nowhere, type SourceField, type SourceType } from "./schema-map-types.ts";

export type Merged<T extends IcebergType = IcebergType> =
  | { readonly kind: "ok"; readonly type: T }
  | { readonly kind: "refused"; readonly reason: string };

/** The greatest field id that is not reserved (Iceberg spec, "Reserved Field IDs"; rule A13). */
const fieldIdMax = 2_147_483_447;

/** The type with ids; `parent` is the id of the field that has it. Refused where two fields would be one. */
export function assignIds(type: SourceType, parent: number, draft: Draft): Merged {
  switch (type.kind) {
    case "primitive":
      return { kind: "ok", type: type.type };
    case "json":
    case "nothing": // Only the content of a list or map that nobody has seen filled.
      return { kind: "ok", type: "string" };
    case "struct": {
      const merged = mergeFields([], type.fields, parent, draft);
      return merged.kind === "ok" ? { kind: "ok", type: { type: "struct", fields: merged.fields } } : merged;
    }
    case "list": {
      const elementId = draft.nextId();
      return within(assignIds(type.element, elementId, draft), (element) => {
        return { type: "list", "element-id": elementId, "element-required": false, element };
      });
    }
    case "map": {
      const keyId = draft.nextId();
      const valueId = draft.nextId();
      return within(assignIds(type.value, valueId, draft), (value) => {
        return { type: "map", "key-id": keyId, key: "string", "value-id": valueId, "value-required": false, value };
      });
    }
  }
}

function within(inner: Merged, outer: (type: IcebergType) => IcebergType): Merged {
  return inner.kind === "ok" ? { kind: "ok", type: outer(inner.type) } : inner;
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
  // Floored: a table of format 2 has no finer type.
  if (pair === "timestamptz_ns→timestamptz" || pair === "timestamp_ns→timestamp") return column;
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
  const keys = new Set(sources.map(keyOf));
  for (const source of sources) {
    if (isNothing(source.type) && source.isExcluded !== true) continue;
    const site: FieldSite = { parent, source, key: keyOf(source), siblings: keys, draft };
    const merged = mergeField(fields, site);
    if (merged.kind === "refused") return merged;
    fields = merged.fields;
  }
  return { kind: "ok", fields };
}

interface FieldSite {
  readonly parent: number;
  readonly source: SourceField;
  readonly key: string;
  /** Keys of the struct's fields in this source. */
  readonly siblings: ReadonlySet<string>;
  readonly draft: Draft;
}

function keyOf(source: SourceField): string {
  return source.key ?? source.name;
}

/** Into the column that the field has had, under whatever name; into one that people made for it; or into a new one. */
function mergeField(present: readonly NestedField[], site: FieldSite): MergedFields {
  const { parent, source, key, draft } = site;
  if (source.isExcluded === true) {
    if (draft.bound(parent, key) !== nowhere) draft.bind(parent, key, nowhere);
    return { kind: "ok", fields: present };
  }
  const fields = draft.bound(parent, key) === undefined ? renamed(present, site) : present;
  const id = draft.bound(parent, key);
  const field = fields.find((each) => each.id === id);
  if (field === undefined) {
    const adopted = adopt(fields, site);
    if (adopted !== undefined) return adopted;
    if (id !== undefined) return { kind: "ok", fields }; // People dropped the column: its values have no place any more.
    return addColumn(fields, site);
  }
  const merged = draft.attempt(() => mergeInto(field, site));
  if (merged.kind === "ok") return { kind: "ok", fields: withType(fields, field, merged.type) };
  if (draft.rules.onTypeChange !== "new-column") {
    return { kind: "refused", reason: `${source.name}: ${merged.reason}` };
  }
  return addVariant(fields, site);
}

function mergeInto(field: NestedField, { source, draft }: FieldSite): Merged {
  if (!draft.take(field.id))
    return { kind: "refused", reason: `another field of the schema goes to ${field.name} too` };
  return mergeType(field.type, source.type, field.id, draft);
}

function withType(fields: readonly NestedField[], field: NestedField, type: IcebergType): readonly NestedField[] {
  return type === field.type ? fields : fields.map((each) => (each === field ? { ...field, type } : each));
}

/**
 * A field that says how it was called before keeps that one's column, which takes the new name, unless people have named it
 * otherwise. Both names stay bound: producers of the old schema go on for a while.
 */
function renamed(fields: readonly NestedField[], site: FieldSite): readonly NestedField[] {
  const { parent, source, key, siblings, draft } = site;
  for (const alias of source.aliases ?? []) {
    const id = siblings.has(alias) ? undefined : draft.bound(parent, alias);
    if (id === undefined) continue;
    draft.bind(parent, key, id);
    const others = fields.filter((each) => each.id !== id);
    const name = freeName(source.name, others, parent === 0);
    return fields.map((each) => (each.id === id && each.name === alias ? { ...each, name } : each));
  }
  return fields;
}

/** A column that people added by the field's very name, before its producers came, or after they had dropped the first one. */
function adopt(fields: readonly NestedField[], site: FieldSite): MergedFields | undefined {
  const { source, draft } = site;
  const stray = draft.strayNamed(source.name, fields);
  if (stray === undefined || (draft.isLenient && !isAlike(stray.type, source.type))) return undefined;
  const merged = draft.attempt(() => mergeInto(stray, site));
  if (merged.kind === "refused") return undefined;
  bindAll(stray.id, site);
  return { kind: "ok", fields: withType(fields, stray, merged.type) };
}

function isAlike(type: IcebergType, source: SourceType): boolean {
  if (typeof type === "string") return source.kind === "primitive" && source.type === type;
  return type.type === source.kind;
}

function addColumn(fields: readonly NestedField[], site: FieldSite): MergedFields {
  const { parent, source, draft } = site;
  if (!draft.admits(source.type)) return { kind: "ok", fields };
  const id = draft.nextId();
  if (id > fieldIdMax) return idsAreOut;
  bindAll(id, site);
  draft.take(id);
  const name = freeName(source.name, fields, parent === 0);
  const doc = source.comment === undefined ? {} : { doc: source.comment };
  const assigned = assignIds(source.type, id, draft);
  if (assigned.kind === "refused") return assigned;
  return { kind: "ok", fields: [...fields, { id, name, required: false, type: assigned.type, ...doc }] };
}

const idsAreOut = { kind: "refused", reason: "the table has given out all field ids" } as const;

/** Under its name and the names it went by, so that a producer of an older schema who comes later finds the column too. */
function bindAll(id: number, { parent, source, key, siblings, draft }: FieldSite): void {
  draft.bind(parent, key, id, source.isCast);
  for (const alias of source.aliases ?? []) {
    if (!siblings.has(alias) && draft.bound(parent, alias) === undefined) draft.bind(parent, alias, id);
  }
}

/**
 * The first further column of the field that takes the type, or a new one: amount__2, amount__3, ... Only this source's
 * records go there: those of other schemas keep to the column that they fit.
 */
function addVariant(fields: readonly NestedField[], site: FieldSite): MergedFields {
  const { parent, source, key, draft } = site;
  const variants = draft.variants(parent, key);
  for (const variant of variants) {
    const field = fields.find((each) => each.id === variant.id);
    const merged = field === undefined ? undefined : draft.attempt(() => mergeInto(field, site));
    if (field === undefined || merged?.kind !== "ok") continue;
    draft.move(variant);
    return { kind: "ok", fields: withType(fields, field, merged.type) };
  }
  const id = draft.nextId();
  if (id > fieldIdMax) return idsAreOut;
  const variant = variants.length + 2;
  draft.move({ parent, name: key, id, variant });
  draft.take(id);
  const name = freeName(`${source.name}__${variant}`, fields, parent === 0);
  const assigned = assignIds(source.type, id, draft);
  if (assigned.kind === "refused") return assigned;
  return { kind: "ok", fields: [...fields, { id, name, required: false, type: assigned.type }] };
}
