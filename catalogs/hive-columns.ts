/**
 * Columns as Hive writes them, for catalogs that show them (Glue, the Hive Metastore). Engines read the table's own metadata:
 * what has no type there (time, uuid) is shown as what it is read as.
 */
import type { TableMetadata } from "../src/table/iceberg/metadata.ts";
import type { IcebergType, NestedField } from "../src/table/iceberg/types.ts";

/** Glue knows one timestamp, Hive since version 3 a second one. */
export type Dialect = "glue" | "hive";

export interface HiveColumn {
  readonly field: NestedField;
  readonly type: string;
  /** Whether it is in the current schema, or only in an earlier one. */
  readonly isCurrent: boolean;
}

/** Those of the current schema in its order, then names that only earlier ones had. */
export function hiveColumns(metadata: TableMetadata, dialect: Dialect): readonly HiveColumn[] {
  const currentId = metadata["current-schema-id"];
  const isCurrent = (schema: { readonly "schema-id": number }): boolean => schema["schema-id"] === currentId;
  const schemas = metadata.schemas.toSorted((a, b) => Number(isCurrent(b)) - Number(isCurrent(a)));
  const columns = new Map<string, HiveColumn>();
  for (const schema of schemas) {
    for (const field of schema.fields) {
      const name = field.name.toLowerCase(); // Hive's columns have no letter case.
      if (columns.has(name)) continue;
      columns.set(name, { field, type: hiveType(field.type, dialect), isCurrent: isCurrent(schema) });
    }
  }
  return [...columns.values()];
}

export function hiveType(type: IcebergType, dialect: Dialect): string {
  if (typeof type !== "string") {
    switch (type.type) {
      case "struct":
        return `struct<${type.fields.map((field) => `${field.name}:${hiveType(field.type, dialect)}`).join(",")}>`;
      case "list":
        return `array<${hiveType(type.element, dialect)}>`;
      case "map":
        return `map<${hiveType(type.key, dialect)},${hiveType(type.value, dialect)}>`;
    }
  }
  if (type === "timestamptz" || type === "timestamptz_ns")
    return dialect === "hive" ? "timestamp with local time zone" : "timestamp";
  if (type.startsWith("decimal")) return type.replaceAll(" ", "");
  if (type.startsWith("fixed")) return "binary";
  return primitives[type] ?? type;
}

/** Those that Hive calls otherwise. */
const primitives: Readonly<Record<string, string>> = {
  long: "bigint",
  time: "string",
  uuid: "string",
  timestamp_ns: "timestamp",
};
