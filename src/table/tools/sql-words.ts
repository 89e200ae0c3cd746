/** Names, texts and types as DuckDB spells them. */
import { unreachable } from "../../base/errors.ts";
import { decimalShape } from "../iceberg/primitive.ts";
import type { IcebergType } from "../iceberg/types.ts";

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** As a literal. */
export function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

export function sqlType(type: IcebergType): string {
  if (typeof type !== "string") {
    switch (type.type) {
      case "struct":
        return `STRUCT(${type.fields.map((field) => `${quoted(field.name)} ${sqlType(field.type)}`).join(", ")})`;
      case "list":
        return `${sqlType(type.element)}[]`;
      case "map":
        return `MAP(${sqlType(type.key)}, ${sqlType(type.value)})`;
      default:
        return unreachable(type);
    }
  }
  const decimal = decimalShape(type);
  if (decimal !== undefined) return `DECIMAL(${decimal.precision},${decimal.scale})`;
  return type.startsWith("fixed") ? "BLOB" : (primitives[type] ?? type);
}

const primitives: Readonly<Record<string, string>> = {
  boolean: "BOOLEAN",
  int: "INTEGER",
  long: "BIGINT",
  float: "FLOAT",
  double: "DOUBLE",
  date: "DATE",
  time: "TIME",
  timestamp: "TIMESTAMP",
  timestamptz: "TIMESTAMP WITH TIME ZONE",
  timestamp_ns: "TIMESTAMP_NS",
  timestamptz_ns: "TIMESTAMP WITH TIME ZONE", // DuckDB has none of nanoseconds.
  string: "VARCHAR",
  uuid: "UUID",
  binary: "BLOB",
};
