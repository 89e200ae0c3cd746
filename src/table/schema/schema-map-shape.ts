/**
 * Where the fields of keys and values lie, frozen with the table:
 *
 *   flat     | id | name | _kafka_key_id |              columns of their own
 *   nested   | value {id, name} | _kafka_key {id} |     one column, a struct
 */
import type { IcebergType, NestedField } from "../iceberg/types.ts";
import { keyColumnName, type TableSettings } from "../settings.ts";
import type { TableMapping } from "./schema-map.ts";

export type FieldLayout = "flat" | "nested";

export interface TableShape {
  readonly key: FieldLayout;
  readonly value: FieldLayout;
}

/** Keys lie nested, unless they identify rows: only columns at the top do. */
export function wantedShape({ key, value, mode }: TableSettings): TableShape {
  const keyIdentifies = mode.write !== "append" && mode.key.length === 0;
  return { key: key.columns ?? (keyIdentifies ? "flat" : "nested"), value: value.layout ?? "flat" };
}

/** What the mapping says nothing of is as it was before there was a choice. */
export function shapeOf({ shape, rowKey }: Pick<TableMapping, "shape" | "rowKey">): TableShape {
  return shape ?? { key: rowKey?.part === "key" ? "flat" : "nested", value: "flat" };
}

/** Why the settings cannot go on with the table as it was made. */
export function shapeMismatch(mapping: TableMapping, settings: TableSettings): string | undefined {
  const [is, wanted] = [shapeOf(mapping), wantedShape(settings)];
  if (is.value !== wanted.value) return changed("values", "value.layout", is.value, wanted.value);
  const { decode } = settings.value;
  if (!holdsValues(mapping, decode))
    return `the table has no columns for values as value.decode: ${decode} makes them: ${wayOut("value.decode")}`;
  // Keys that are text or bytes have no fields that could lie anywhere.
  const hasFields = settings.key.decode === "schema-id" || settings.key.decode === "json";
  if (hasFields && is.key !== wanted.key) return changed("keys", "key.columns", is.key, wanted.key);
  // The fields of keys that lie flat are bound below a parent of their own.
  if (!hasFields && mapping.own.key === undefined && mapping.bindings.some(({ parent }) => parent < 0))
    return `the table has no column for keys as key.decode: ${settings.key.decode} makes them: ${wayOut("key.decode")}`;
  const column = ownColumn(mapping, mapping.own.key);
  const isCast = settings.overrides?.[keyColumnName(settings)]?.type !== undefined;
  if (column === undefined || isCast || isKeyOf(column.type, settings.key.decode)) return undefined;
  return `the column ${column.name} does not hold keys as key.decode: ${settings.key.decode} makes them: ${wayOut("key.decode")}`;
}

/** Of values that a table was not made for something would be lost. A column that somebody dropped is one that there was. */
function holdsValues(mapping: TableMapping, decode: TableSettings["value"]["decode"]): boolean {
  const { value, extra } = mapping.own;
  const type = ownColumn(mapping, value)?.type;
  switch (decode) {
    case "raw":
      return value !== undefined && (type === undefined || type === "binary");
    case "string":
      return value !== undefined && (type === undefined || type === "string" || type === "binary");
    case "json": {
      const isRecord = type === undefined || typeof type === "object";
      return extra !== undefined && (shapeOf(mapping).value === "flat" || isRecord);
    }
    case "schema-id":
      return true; // Columns come with each schema, or it is refused.
  }
}

function ownColumn({ schema }: TableMapping, id: number | undefined): NestedField | undefined {
  return schema.fields.find((field) => field.id === id);
}

function isKeyOf(type: IcebergType, decode: TableSettings["key"]["decode"]): boolean {
  switch (decode) {
    case "raw":
      return type === "binary";
    case "string":
      return type === "string" || type === "binary";
    case "json":
      return type !== "binary";
    case "schema-id":
      return true; // Its schema says, and is refused if it does not fit.
  }
}

function changed(what: string, setting: string, is: FieldLayout, wanted: FieldLayout): string {
  return `${what} of the table lie ${is}, and ${setting} is now ${wanted}: ${wayOut(setting)}`;
}

function wayOut(setting: string): string {
  return `put ${setting} back, or write a new table with inlet table resume --retranslate`;
}
