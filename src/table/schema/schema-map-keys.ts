/**
 * What identifies a row of a table whose rows change: columns of the value that a person names, or the columns of the Kafka
 * key. They are found when the first schema comes, are required from then on, and never change (rules G12, H8): deletes of
 * every age compare them.
 */
import type { NestedField, PrimitiveType, Schema } from "../iceberg/types.ts";
import { keyColumnName, type TableSettings, type WriteMode } from "../settings.ts";
import type { RecordPart, TableMapping } from "./schema-map.ts";
import { shapeOf } from "./schema-map-shape.ts";
import { type Binding, nothing, type SourceField, type SourceType } from "./schema-map-types.ts";

export interface RowKey {
  readonly part: RecordPart;
  /** Names that a person gave; none when the Kafka key identifies. */
  readonly columns: readonly string[];
  /** Field ids, in that order; none before the first schema. */
  readonly ids: readonly number[];
  /** Columns of the field that says what becomes of its row: each message of a Protobuf topic has its own. */
  readonly opIds?: readonly number[];
}

/** Parent of the key's fields among bindings: they lie flat in the row, beside the value's, which have parent 0. */
export const keyParent = -1;

/** undefined in a table that is only appended to. */
export function newRowKey({ write, key }: WriteMode): RowKey | undefined {
  if (write === "append") return undefined;
  return { part: key.length === 0 ? "key" : "value", columns: key, ids: [] };
}

/** Why the settings cannot go on with a table whose rows were identified otherwise. */
export function rowKeyMismatch(mapping: TableMapping, mode: WriteMode): string | undefined {
  const [is, wanted] = [mapping.rowKey, newRowKey(mode)];
  if (shown(is) !== shown(wanted)) {
    return `rows of the table are identified by ${shown(is)}, and the settings now say ${shown(wanted)}: that needs a new table`;
  }
  const present = new Set(mapping.schema.fields.map((field) => field.id));
  const lost = is?.ids.find((id) => !present.has(id));
  return lost === undefined ? undefined : `somebody dropped key column ${lost}: its rows cannot be told apart any more`;
}

function shown(key: RowKey | undefined): string {
  if (key === undefined) return "nothing (append)";
  return key.part === "key" ? "the Kafka key" : key.columns.join(", ");
}

/** The row that an envelope carries; undefined when it is no envelope. */
export function envelopeRow(type: SourceType): SourceType | undefined {
  const op = envelopeField(type, "op");
  if (op?.kind !== "primitive" || op.type !== "string") return undefined;
  const row = envelopeField(type, "after");
  return row?.kind === "struct" ? row : undefined;
}

export function envelopeField(type: SourceType, name: "op" | "before" | "after"): SourceType | undefined {
  return type.kind === "struct" ? type.fields.find((field) => field.name === name)?.type : undefined;
}

/** Why rows of this source could not be told apart. */
export function keyRefusal(
  mapping: TableMapping,
  part: RecordPart,
  type: SourceType,
  mode: WriteMode,
): string | undefined {
  if (mapping.rowKey?.part !== part) return undefined;
  if (part === "value") return valueKeyRefusal(type, mode);
  if (type.kind === "nothing") return "the key has no columns";
  const names = type.kind === "struct" ? type.fields.map((field) => field.key ?? field.name) : [];
  const known = mapping.bindings.filter(isKeyField).map(({ name }) => name);
  if (mapping.rowKey.ids.length > 0 && !isSameSet(names, known))
    return `the key has ${listed(names)}, rows are identified by ${listed(known)}`;
  return keyTypeRefusal(type);
}

/** Why Kafka keys of the type could not tell rows apart. */
export function keyTypeRefusal(type: SourceType): string | undefined {
  return type.kind === "struct" ? firstRefusal(type.fields) : columnRefusal("the key", type);
}

/** A field of a new type may go to a new column, unless it tells rows apart. */
export function movedKeyRefusal({ rowKey, bindings }: TableMapping, moved: readonly Binding[]): string | undefined {
  const isKey = ({ parent, name }: Binding): boolean => {
    const first = parent === 0 ? boundAtTop(bindings, name) : undefined;
    return parent === keyParent || (first !== undefined && rowKey?.ids.includes(first) === true);
  };
  const found = rowKey === undefined ? undefined : moved.find(isKey);
  return found === undefined ? undefined : `key column ${found.name} cannot change its type`;
}

function valueKeyRefusal(type: SourceType, mode: WriteMode): string | undefined {
  const fields = type.kind === "struct" ? type.fields : [];
  const missing = mode.key.find((name) => !fields.some((field) => field.name === name));
  if (missing !== undefined) return `the value has no key column ${missing}`;
  return firstRefusal(fields.filter((field) => mode.key.includes(field.name)));
}

function firstRefusal(fields: readonly SourceField[]): string | undefined {
  return fields.map(({ name, type }) => columnRefusal(name, type)).find((reason) => reason !== undefined);
}

function columnRefusal(name: string, type: SourceType): string | undefined {
  if (type.kind !== "primitive") return `key column ${name} is a ${type.kind}: only single values identify rows`;
  // Values that are equal and print alike may differ in bits, or the other way round: rule H8 forbids them.
  return type.type === "float" || type.type === "double" ? `key column ${name} is a ${type.type}` : undefined;
}

function listed(fields: readonly string[]): string {
  return fields.length === 0 ? "no fields" : `the fields ${fields.join(", ")}`;
}

function isKeyField({ parent, variant }: Binding): boolean {
  return parent === keyParent && variant === undefined;
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}

/** Whole numbers identify rows; a double, which schemaless JSON would come to, cannot. */
export function withWholeKeys(type: SourceType, mode: WriteMode): SourceType {
  if (mode.write === "append" || type.kind !== "struct") return type;
  const whole = (field: SourceField): SourceField =>
    mode.key.includes(field.name) && field.type.kind === "primitive" && field.type.type === "double"
      ? { ...field, type: { kind: "primitive", type: "long" } }
      : field;
  return { ...type, fields: type.fields.map(whole) };
}

/** Marks the key's columns once all of them are there: no row was written before. `value`: the type that has just come. */
export function withRowKey(mapping: TableMapping, value: SourceType = nothing): TableMapping {
  const { rowKey } = mapping;
  if (rowKey === undefined || rowKey.ids.length > 0) return mapping;
  const ids = rowKey.part === "key" ? kafkaKeyIds(mapping) : valueKeyIds(mapping, rowKey.columns, value);
  const fields = ids.map((id) => mapping.schema.fields.find((field) => field.id === id));
  const isWhole = ids.length > 0 && fields.every((field) => field !== undefined && isIdentifying(field));
  return isWhole
    ? {
        ...mapping,
        schema: identified(mapping.schema, ids as readonly number[]),
        rowKey: { ...rowKey, ids: ids as readonly number[] },
      }
    : mapping;
}

function kafkaKeyIds({ own, bindings }: TableMapping): readonly (number | undefined)[] {
  const flat = bindings.filter(isKeyField).map(({ id }) => id);
  return flat.length > 0 || own.key === undefined ? flat : [own.key];
}

function valueKeyIds(
  { bindings }: TableMapping,
  columns: readonly string[],
  value: SourceType,
): readonly (number | undefined)[] {
  return columns.map((name) => boundAtTop(bindings, keyOfField(value, name)));
}

/** What the field of that name is bound by. */
function keyOfField(type: SourceType, name: string): string {
  const field = type.kind === "struct" ? type.fields.find((each) => each.name === name) : undefined;
  return field?.key ?? name;
}

function boundAtTop(bindings: readonly Binding[], key: string): number | undefined {
  return boundAt(bindings, 0, key);
}

function boundAt(bindings: readonly Binding[], at: number | undefined, key: string): number | undefined {
  return bindings.findLast(({ parent, name, variant }) => parent === at && name === key && variant === undefined)?.id;
}

/** Remembers which column the op field of the value's type is. */
export function withOpField(mapping: TableMapping, value: SourceType, mode: WriteMode): TableMapping {
  const { rowKey, bindings } = mapping;
  const parent = shapeOf(mapping).value === "nested" ? mapping.own.value : 0;
  const id = mode.envelope === "op-field" ? boundAt(bindings, parent, keyOfField(value, mode.opField)) : undefined;
  if (rowKey === undefined || id === undefined || rowKey.opIds?.includes(id) === true) return mapping;
  return { ...mapping, rowKey: { ...rowKey, opIds: [...(rowKey.opIds ?? []), id] } };
}

function isIdentifying({ type }: NestedField): boolean {
  return typeof type === "string" && !(["float", "double"] as readonly PrimitiveType[]).includes(type);
}

function identified(schema: Schema, ids: readonly number[]): Schema {
  const fields = schema.fields.map((field) => (ids.includes(field.id) ? { ...field, required: true } : field));
  return { ...schema, fields, "identifier-field-ids": ids };
}

/** The columns that records are decoded into: a key that is absent is found out before its row is written. */
export function decodingSchema({ schema, rowKey }: TableMapping): Schema {
  const ids = rowKey?.ids ?? [];
  return {
    ...schema,
    fields: schema.fields.map((field) => (ids.includes(field.id) ? { ...field, required: false } : field)),
  };
}

/** The key's columns alone: what a delete file holds. */
export function deleteSchema({ schema }: TableMapping, rowKey: RowKey): Schema {
  const fields = rowKey.ids.map((id) => schema.fields.find((field) => field.id === id) as NestedField);
  return { type: "struct", "schema-id": schema["schema-id"], fields };
}

/** Column names of the key's fields: the value may have fields of the same names, with other values. */
export function keyFields(type: SourceType, settings: TableSettings): readonly SourceField[] {
  if (type.kind !== "struct") return [];
  return type.fields.map((field) => ({
    ...field,
    aliases: [], // Their columns are called otherwise.
    key: field.key ?? field.name,
    name: field.isNamed === true ? field.name : `${keyColumnName(settings)}_${field.name}`,
  }));
}
