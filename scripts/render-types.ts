/** docs/types.md, from what the mapping answers for every source type. */
import { ownColumns, spelled, typeSources, typeTable } from "../src/table/schema/type-table.ts";

export function renderTypes(): string {
  const rows = typeTable();
  const tables = typeSources.map((source) => {
    const lines = rows
      .filter((row) => row.source === source)
      .map(({ type, column, column3 }) => {
        const more = column3 === column ? "" : `; \`${column3}\` in tables made in format 3`;
        return `| ${type} | ${shown(column)}${more} |`;
      });
    return `## ${source}\n\n${notes[source]}\n\n| type | column |\n| --- | --- |\n${lines.join("\n")}\n`;
  });
  const own = ownColumns().map(({ name, type, required }) => {
    return `| \`${name}\` | \`${spelled(type)}\` | ${required ? "required" : "optional"} |`;
  });
  return `${head}\n| column | type | |\n| --- | --- | --- |\n${own.join("\n")}\n\n${tables.join("\n")}`;
}

function shown(column: string): string {
  return column === "no column" ? column : `\`${column}\``;
}

const head = `# Types

<!-- Rendered by scripts/render.ts from src/table/schema/type-table.ts: edit that instead. -->

What a source's types become in a table, under mapping rules 7, and in tables made in format 3 under rules 8. The rules are frozen with each table: a later version of Inlet gives
later tables other rules, and leaves these as they are. Every column of a value is optional; [evolution.md](evolution.md) says how
columns change, and what becomes of values that their column cannot hold.

## Columns of every table

Their prefix is \`columns.metadata.prefix\`, and \`columns.metadata.include\` says which there are. A key that is text is a \`string\`,
one with a schema has its type. Topics that are \`raw\` or \`string\` have one more column, \`value\`; \`_extra\` is there for JSON.
`;

const notes = {
  Avro: "A field that no record fills, `null` or a record without fields, has no column until it gets a type. A union of several types is a\nstruct of them by type name, of which one is not null.\nWhere a column has no nanoseconds, they are floored to microseconds; some engines read none (`columns.overrides` can ask for\n`timestamptz` in format 3 too).\nKafka Connect's converter writes a precision of 64 for decimals of which it knows none: they have 38 digits. Tables made before, under rules up to 6, have\ntheir text.",
  Protobuf:
    "Fields are bound by number. What is not on the wire is the type's zero, or null where the field has presence\n([protobuf.md](protobuf.md)). Map keys are text.\nDecimals of Kafka Connect and Flink are columns of numbers where their field says a scale from 0 to 38 (`params` of `confluent.field_meta`), and structs\nelsewhere, in maps, and in tables made before, under rules up to 6.",
  "JSON Schema":
    "What the schema does not name goes to `_extra`. What has several types, or none, is JSON text.\n`oneOf` and `anyOf` beside a type or `properties` constrain these: what they add is not named. Tables made before, under rules up to 4, have JSON text\nfor the whole.\nKafka Connect's logical types are those that Confluent's converter declares (`title` and `connect.type`): decimals in base64 or as numbers, dates in\ndays, times in milliseconds. A decimal without a scale from 0 to 38 is JSON text. Tables made before, under rules 1 and 2, keep numbers for all of them,\nand their decimals in base64 are dead letters. Connect's bytes (`connect.type`) are in base64: tables made before, under rules up to 6, have that text.\nParts of `allOf` without a type constrain the others: tables made before, under rules up to 6, have JSON text of what is no object.",
  "JSON without a schema":
    "The first value that is met decides. A value of another type, an integer beyond 2^53 and what comes after 500 columns go to `_extra`,\nas an object from JSON Pointers to values.\nA record of Kafka Connect's JsonConverter beside its schema (`schema`, of type `struct`, and `payload`, in this order and nothing else) is the payload, in keys too. The schema says which\nnumbers are `long`, and which bytes are decimals; other bytes are their base64 text, and dates and times the numbers that they are. In tables made before,\nunder rules up to 6, `schema` and `payload` are columns.",
} as const;
