/** What a planned table is in words: its DDL, and what engines will say to it. Pure. */
import { decimalShape } from "../iceberg/primitive.ts";
import type { IcebergType, NestedField, PartitionSpec, Schema, Transform } from "../iceberg/types.ts";

/** As Spark would make it. Types that Spark has no word for stand beside theirs in a comment. */
export function sparkDdl(namespace: readonly string[], name: string, schema: Schema, spec: PartitionSpec): string {
  const columns = schema.fields.map((field, at) => {
    const comma = at === schema.fields.length - 1 ? "" : ",";
    const note = typeof field.type === "string" && isForeignToSpark(field.type) ? ` -- ${field.type}` : "";
    return `  ${ticked(field.name)} ${sparkType(field.type)}${field.required ? " NOT NULL" : ""}${comma}${note}`;
  });
  const parts = spec.fields.map((field) => sparkTransform(field.transform, pathOf(schema.fields, field["source-id"])));
  return [
    `CREATE TABLE ${["lake", ...namespace, name].map(ticked).join(".")} (`,
    ...columns,
    `) USING iceberg${parts.length === 0 ? "" : `\nPARTITIONED BY (${parts.join(", ")})`}`,
  ].join("\n");
}

function sparkType(type: IcebergType): string {
  if (typeof type === "string") {
    const decimal = decimalShape(type);
    if (decimal !== undefined) return `DECIMAL(${decimal.precision}, ${decimal.scale})`;
    return type.startsWith("fixed") ? "BINARY" : (sparkPrimitives[type] ?? type.toUpperCase());
  }
  if (type.type === "list") return `ARRAY<${sparkType(type.element)}>`;
  if (type.type === "map") return `MAP<${sparkType(type.key)}, ${sparkType(type.value)}>`;
  return `STRUCT<${type.fields.map((field) => `${ticked(field.name)}: ${sparkType(field.type)}`).join(", ")}>`;
}

const sparkPrimitives: Readonly<Record<string, string>> = {
  long: "BIGINT",
  timestamp: "TIMESTAMP_NTZ",
  timestamptz: "TIMESTAMP",
  timestamp_ns: "TIMESTAMP_NTZ",
  timestamptz_ns: "TIMESTAMP",
  uuid: "STRING",
  time: "BIGINT",
};

function isForeignToSpark(type: string): boolean {
  return type === "uuid" || type === "time" || type.endsWith("_ns") || type.startsWith("fixed");
}

function sparkTransform(transform: Transform, path: readonly string[]): string {
  const column = path.map(ticked).join(".");
  const sized = /^(bucket|truncate)\[(\d+)\]$/.exec(transform);
  if (sized !== null) return `${sized[1] as string}(${sized[2] as string}, ${column})`;
  return transform === "identity" ? column : `${transform}s(${column})`;
}

export function planWarnings(
  table: { readonly namespace: readonly string[]; readonly name: string },
  schema: Schema,
  spec: PartitionSpec,
): readonly string[] {
  const warnings: string[] = [];
  const fields = everyField(schema.fields, []);
  const names = [...table.namespace, table.name, ...fields.map(({ path }) => path.at(-1) as string)];
  const say = (found: readonly string[], what: string): void => {
    const unique = [...new Set(found)];
    const more = unique.length > 5 ? ` and ${unique.length - 5} more` : "";
    if (unique.length > 0) warnings.push(`${unique.slice(0, 5).join(", ")}${more}: ${what}`);
  };
  say(
    names.filter((name) => /[A-Z]/.test(name)),
    "Glue, Athena, Hive and Trino know lower-case names only",
  );
  say(
    names.filter((name) => /[^A-Za-z0-9_]/.test(name) || /^\d/.test(name)),
    "BigQuery and Athena take letters, digits and underscores, not beginning with a digit",
  );
  say(
    names.filter((name) => name.length > 128),
    "names over 128 characters do not fit into Hive's metastore",
  );
  const ofType = (wanted: (type: string) => boolean): readonly string[] =>
    fields.flatMap(({ path, type }) => (typeof type === "string" && wanted(type) ? [path.join(".")] : []));
  say(
    ofType((type) => type === "time"),
    "Spark has no type for a time of day",
  );
  say(
    ofType((type) => type === "uuid" || type.startsWith("fixed")),
    "Athena, Databricks and Snowflake do not take uuid and fixed; Spark shows text and binary",
  );
  const nested = spec.fields
    .map((field) => pathOf(schema.fields, field["source-id"]))
    .filter(({ length }) => length > 1);
  say(
    nested.map((path) => path.join(".")),
    "partitions by a nested field are not for Trino and Athena",
  );
  return warnings;
}

interface Found {
  readonly path: readonly string[];
  readonly id: number;
  readonly type: IcebergType;
}

function everyField(fields: readonly NestedField[], above: readonly string[]): readonly Found[] {
  return fields.flatMap(({ name, id, type }) => {
    const path = [...above, name];
    return [{ path, id, type }, ...insideOf(type, path)];
  });
}

function insideOf(type: IcebergType, path: readonly string[]): readonly Found[] {
  if (typeof type === "string") return [];
  if (type.type === "struct") return everyField(type.fields, path);
  return type.type === "list" ? insideOf(type.element, path) : insideOf(type.value, path);
}

function pathOf(fields: readonly NestedField[], id: number): readonly string[] {
  return everyField(fields, []).find((field) => field.id === id)?.path ?? [];
}

function ticked(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : `\`${name.replaceAll("`", "``")}\``;
}
