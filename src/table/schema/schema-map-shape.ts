/**
 * Where the fields of keys and values lie, frozen with the table:
 *
 *   flat     | id | name | _kafka_key_id |              columns of their own
 *   nested   | value {id, name} | _kafka_key {id} |     one column, a struct
 */
import type { IcebergType } from "../iceberg/types.ts";
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
  // Keys that are text or bytes have no fields that could lie anywhere.
  const hasFields = settings.key.decode === "schema-id" || settings.key.decode === "json";
  if (hasFields && is.key !== wanted.key) return changed("keys", "key.columns", is.key, wanted.key);
  const column = mapping.schema.fields.find((field) => field.id === mapping.own.key);
  const isCast = settings.overrides?.[keyColumnName(settings)]?.type !== undefined;
  if (column === undefined || isCast || isKeyOf(column.type, settings.key.decode)) return undefined;
  return `the column ${column.name} does not hold keys as key.decode: ${settings.key.decode} makes them: ${wayOut("key.decode")}`;
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
