/** Values of the readers and of the written rows in one form, so that they can be compared: see Plain. */
import {
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  DuckDBUUIDValue,
} from "@duckdb/node-api";
import { decimalShape } from "../../src/table/iceberg/primitive.ts";
import type { IcebergType, NestedField } from "../../src/table/iceberg/types.ts";
import type { Value } from "./rows.ts";

/** null, boolean, number, bigint and string; bytes as "0x.."; lists as arrays, structs and maps as objects. */
export type Plain = unknown;

const hexOf = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString("hex")}`;

export function plainRows(
  fields: readonly NestedField[],
  rows: readonly { readonly [name: string]: Value }[],
): readonly Plain[] {
  return rows.map((row) => plainFields(fields, row));
}

function plainFields(fields: readonly NestedField[], row: { readonly [name: string]: Value }): Plain {
  return Object.fromEntries(fields.map((field) => [field.name, plainValue(field.type, row[field.name] as Value)]));
}

function plainValue(type: IcebergType, value: Value): Plain {
  if (value === null) return null;
  if (typeof type === "string") {
    if (type === "float") return Math.fround(value as number);
    return value instanceof Uint8Array ? hexOf(value) : value;
  }
  switch (type.type) {
    case "struct":
      return plainFields(type.fields, value as { readonly [name: string]: Value });
    case "list":
      return (value as readonly Value[]).map((item) => plainValue(type.element, item));
    case "map":
      return (value as readonly [string, Value][]).map(([key, item]) => [key, plainValue(type.value, item)]);
  }
}

/** Of hyparquet's rows, read with `rawParsers`. */
export function plainHyparquet(type: IcebergType, value: unknown): Plain {
  if (value === null || value === undefined) return null;
  if (typeof type === "string") return value instanceof Uint8Array ? hexOf(value) : value;
  switch (type.type) {
    case "struct":
      return Object.fromEntries(
        type.fields.map((field) => [
          field.name,
          plainHyparquet(field.type, (value as Record<string, unknown>)[field.name]),
        ]),
      );
    case "list":
      return (value as unknown[]).map((item) => plainHyparquet(type.element, item));
    case "map":
      return Object.entries(value).map(([key, item]) => [key, plainHyparquet(type.value, item)]);
  }
}

/** Of DuckDB's rows, which tell every value exactly. */
export function plainDuckDb(value: unknown): Plain {
  if (value instanceof DuckDBListValue) return value.items.map(plainDuckDb);
  if (value instanceof DuckDBStructValue) {
    return Object.fromEntries(Object.entries(value.entries).map(([name, item]) => [name, plainDuckDb(item)]));
  }
  if (value instanceof DuckDBMapValue) return value.entries.map((entry) => [entry.key, plainDuckDb(entry.value)]);
  if (value instanceof DuckDBBlobValue) return hexOf(value.bytes);
  if (value instanceof DuckDBUUIDValue) return `0x${value.toString().replaceAll("-", "")}`;
  if (value instanceof DuckDBDecimalValue) return value.value;
  if (value instanceof DuckDBDateValue) return value.days;
  const isTime =
    value instanceof DuckDBTimeValue ||
    value instanceof DuckDBTimestampValue ||
    value instanceof DuckDBTimestampTZValue;
  return isTime ? value.micros : value;
}

export function hasDecimal(type: IcebergType): boolean {
  if (typeof type === "string") return decimalShape(type) !== undefined;
  switch (type.type) {
    case "struct":
      return type.fields.some((field) => hasDecimal(field.type));
    case "list":
      return hasDecimal(type.element);
    case "map":
      return hasDecimal(type.value);
  }
}
