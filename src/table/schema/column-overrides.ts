/**
 * What a person says of single columns: another type, another name, a comment, or that there is to be none. Paths are those of
 * the value's fields, joined by dots; a list or a map is passed through ("lines.price"). Those of the key's fields come after
 * the name of the key's column ("_kafka_key.id"), whether they lie inside it or beside it; that name alone is the whole key. Pure.
 */
import { visitFields } from "../iceberg/schema-ids.ts";
import type { PrimitiveType } from "../iceberg/types.ts";
import { keyColumnName, type TableSettings } from "../settings.ts";
import type { RecordPart, TableMapping } from "./schema-map.ts";
import { keyParent } from "./schema-map-keys.ts";
import { widenedType } from "./schema-map-merge.ts";
import { shapeOf } from "./schema-map-shape.ts";
import { type Binding, json, nowhere, type SourceField, type SourceType } from "./schema-map-types.ts";

export interface ColumnOverride {
  readonly type?: PrimitiveType;
  /** Counts when the column is made, as the comment does. */
  readonly name?: string;
  readonly comment?: string;
  /** Its values go nowhere, not into the extra column either. */
  readonly isExcluded?: true;
}

export type ColumnOverrides = Readonly<Record<string, ColumnOverride>>;

/** Of the fields of the part, by its own paths. undefined: nothing is said of them. */
export function overridesOf(
  part: RecordPart,
  overrides: ColumnOverrides | undefined,
  settings: Pick<TableSettings, "metadataPrefix">,
): ColumnOverrides | undefined {
  const [whole, prefix] = [keyColumnName(settings), keyPath(settings)];
  const own = Object.entries(overrides ?? {}).flatMap(([path, said]): readonly [string, ColumnOverride][] => {
    if (part === "value") return path === whole || path.startsWith(prefix) ? [] : [[path, said]];
    return path.startsWith(prefix) ? [[path.slice(prefix.length), said]] : [];
  });
  return own.length === 0 ? undefined : Object.fromEntries(own);
}

/** What the paths of the key's fields begin with. */
export function keyPath(settings: Pick<TableSettings, "metadataPrefix">): string {
  return `${keyColumnName(settings)}.`;
}

/** What is said of the whole key: of the column that it is, or that its fields nest in. */
export function keyOverride(
  overrides: ColumnOverrides | undefined,
  settings: Pick<TableSettings, "metadataPrefix">,
): ColumnOverride | undefined {
  return overrides?.[keyColumnName(settings)];
}

/** Whether each key is one value of a type that a person gave, a key with fields too. */
export function isKeyCast(mapping: TableMapping, settings: Pick<TableSettings, "metadataPrefix">): boolean {
  return keyOverride(mapping.overrides, settings)?.type !== undefined;
}

export type Overridden =
  | { readonly kind: "ok"; readonly type: SourceType }
  | { readonly kind: "refused"; readonly reason: string };

/** The source's type as the overrides want it. `isKnown`: the source says its types, so that what can never be cast is refused. */
export function overridden(
  type: SourceType,
  overrides: ColumnOverrides | undefined,
  { isKnown, at = "" }: { readonly isKnown: boolean; readonly at?: string },
): Overridden {
  if (overrides === undefined) return { kind: "ok", type };
  const refusals: string[] = [];
  const convert = (of: SourceType, path: string): SourceType => {
    switch (of.kind) {
      case "struct":
        return { kind: "struct", fields: of.fields.map((field) => convertField(field, path)) };
      case "list":
        return { kind: "list", element: convert(of.element, path) };
      case "map":
        return { kind: "map", value: convert(of.value, path) };
      case "json":
      case "nothing":
      case "primitive":
        return of;
    }
  };
  const convertField = (field: SourceField, above: string): SourceField => {
    const path = above === "" ? field.name : `${above}.${field.name}`;
    const said = Object.hasOwn(overrides, path) ? overrides[path] : undefined;
    if (said === undefined) return { ...field, type: convert(field.type, path) };
    if (said.type !== undefined && isKnown) {
      const refusal = castRefusal(field.type, said.type);
      if (refusal !== undefined) refusals.push(`columns.overrides.${at}${path}: ${refusal}`);
    }
    return {
      ...field,
      key: field.key ?? field.name,
      ...(said.name === undefined ? {} : { name: said.name, isNamed: true }),
      ...(said.comment === undefined ? {} : { comment: said.comment }),
      ...(said.isExcluded === true ? { isExcluded: true } : {}),
      ...(said.type === undefined
        ? { type: convert(field.type, path) }
        : { type: cast(field.type, said.type), isCast: true }),
    };
  };
  const converted = convert(type, "");
  const [reason] = refusals;
  return reason === undefined ? { kind: "ok", type: converted } : { kind: "refused", reason };
}

/** As `overridden`, of a key. */
export function overriddenKey(
  type: SourceType,
  overrides: ColumnOverrides | undefined,
  settings: Pick<TableSettings, "metadataPrefix">,
  { isKnown }: { readonly isKnown: boolean },
): Overridden {
  const to = keyOverride(overrides, settings)?.type;
  if (to === undefined || type.kind === "nothing")
    return overridden(type, overridesOf("key", overrides, settings), { isKnown, at: keyPath(settings) });
  const refusal = isKnown ? castRefusal(type, to) : undefined;
  return refusal === undefined
    ? { kind: "ok", type: cast(type, to) }
    : { kind: "refused", reason: `columns.overrides.${keyColumnName(settings)}: ${refusal}` };
}

/** Into a string column goes text as it is, and anything else as JSON. */
function cast(from: SourceType, to: PrimitiveType): SourceType {
  return to === "string" && from.kind !== "primitive" ? json : { kind: "primitive", type: to };
}

const numbers = ["int", "long", "float", "double", "decimal"];

/** Why no value of the one type could become one of the other. */
export function castRefusal(from: SourceType, to: PrimitiveType): string | undefined {
  if (to === "string" || from.kind === "nothing") return undefined;
  if (from.kind !== "primitive")
    return `${from.kind === "json" ? "JSON text" : `a ${from.kind}`} cannot become a ${to}`;
  if (from.type === "string" || widenedType(to, from.type) === to) return undefined;
  const isNumber = (type: string): boolean => numbers.includes(type.replace(/\(.*/, ""));
  if (isNumber(from.type) && isNumber(to)) return undefined;
  return `a ${from.type} cannot become a ${to}`;
}

/** Why the table's columns are not what the settings say of them now. */
export function overridesMismatch(mapping: TableMapping, settings: TableSettings): string | undefined {
  const { overrides = {} } = settings;
  const before = mapping.overrides ?? {};
  const flat = flatKeyMismatch(mapping, settings);
  if (flat !== undefined) return flat;
  for (const path of new Set([...Object.keys(before), ...Object.keys(overrides)])) {
    const [was, now] = [before[path]?.type, overrides[path]?.type];
    if (was === now || !hasColumn(mapping, path, settings)) continue;
    const words = `columns.overrides.${path}.type was ${was ?? "not said"} when the column was made, and is now ${now ?? "not said"}`;
    return `${words}: put it back, or write a new table with inlet table resume --retranslate`;
  }
  return undefined;
}

/** Where the key's fields have columns of their own, there is none that what is said of the whole key could be of. */
function flatKeyMismatch(mapping: TableMapping, settings: TableSettings): string | undefined {
  const isFlat = mapping.bindings.some(({ parent }) => parent === keyParent);
  if (!isFlat || keyOverride(settings.overrides, settings) === undefined) return undefined;
  const path = `columns.overrides.${keyColumnName(settings)}`;
  return `${path} is of the whole key, and its fields have columns of their own: say it of them, ${keyPath(settings)}<field>, or remove it`;
}

function hasColumn(mapping: TableMapping, path: string, settings: TableSettings): boolean {
  return path === keyColumnName(settings)
    ? mapping.schema.fields.some(({ id }) => id === mapping.own.key)
    : bindingAt(mapping, path, settings) !== undefined;
}

/** The mapping under the overrides of the settings; the same object when it has them. */
export function withOverrides(mapping: TableMapping, settings: TableSettings): TableMapping {
  const { overrides } = settings;
  if (JSON.stringify(mapping.overrides ?? {}) === JSON.stringify(overrides ?? {})) return mapping;
  const excluded = Object.entries(overrides ?? {}).flatMap(([path, { isExcluded }]) =>
    isExcluded === true ? (bindingAt(mapping, path, settings) ?? []) : [],
  );
  // What goes nowhere is asked about again: it may be wanted now.
  const bindings = mapping.bindings
    .filter(({ id }) => id !== nowhere)
    .map((binding) => (excluded.includes(binding) ? { ...binding, id: nowhere } : binding));
  const { overrides: _before, ...rest } = mapping;
  const more = overrides === undefined ? {} : { overrides };
  return { ...rest, ...more, version: mapping.version + 1, bindings, sources: {} };
}

/** The column that the field at the path goes to. Protobuf's fields are bound by number: their sources are asked again. */
function bindingAt(mapping: TableMapping, path: string, settings: TableSettings): Binding | undefined {
  const prefix = keyPath(settings);
  const isKey = path.startsWith(prefix);
  const { key, value } = shapeOf(mapping);
  const top = isKey
    ? key === "nested"
      ? (mapping.own.key ?? keyParent)
      : keyParent
    : value === "nested"
      ? (mapping.own.value ?? 0)
      : 0;
  const find = (parent: number, rest: string): Binding | undefined => {
    const at = mapping.bindings.filter(
      (each) => each.parent === parent && each.variant === undefined && each.id !== nowhere,
    );
    const exact = at.find(({ name }) => name === rest);
    if (exact !== undefined) return exact;
    for (const each of at) {
      if (!rest.startsWith(`${each.name}.`)) continue;
      const below = find(holderOf(mapping, each.id), rest.slice(each.name.length + 1));
      if (below !== undefined) return below;
    }
    return undefined;
  };
  return find(top, isKey ? path.slice(prefix.length) : path);
}

/** What the fields inside a column are bound below: itself, or what a list or a map holds. */
function holderOf({ schema }: TableMapping, id: number): number {
  let holder = id;
  visitFields(schema, (each, type) => {
    if (each !== holder || typeof type === "string") return;
    if (type.type === "list") holder = type["element-id"];
    if (type.type === "map") holder = type["value-id"];
  });
  return holder;
}

/** Paths whose values go nowhere. */
export function excludedPaths(overrides: ColumnOverrides = {}): ReadonlySet<string> {
  return new Set(Object.keys(overrides).filter((path) => overrides[path]?.isExcluded === true));
}
