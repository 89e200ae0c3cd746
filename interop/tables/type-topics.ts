/** Every type of docs/types.md from every source, at the ends of what the type can say and where it is absent. */
import {
  type TypeRow,
  type TypeSource,
  typeSchema,
  typeSources,
  typeTable,
} from "../../src/table/schema/type-table.ts";
import type { Row } from "./topics.ts";
import { optional } from "./type-encoders.ts";
import { typeValues, type Value } from "./type-values.ts";
import type { TypedTopic } from "./typed-topic.ts";

/** As many as the type with most values has. */
export const recordsWithValues = 8;

/** Times of day have tables of their own: Spark reads no table that has one. */
export const typeTopics: readonly TypedTopic[] = typeSources.flatMap((source) => {
  const rows = typeTable().filter((row) => row.source === source);
  const name = source.toLowerCase().replaceAll(" ", "_");
  const isTime = (row: TypeRow): boolean => row.column === "time";
  const times = rows.filter(isTime);
  const others = topicOf(
    `types_${name}`,
    source,
    rows.filter((row) => !isTime(row)),
  );
  return times.length === 0 ? [others] : [others, topicOf(`times_${name}`, source, times)];
});

/** Records whose fields have each value once at least; then, under a schema that allows it, one without any. */
function topicOf(name: string, source: TypeSource, types: readonly TypeRow[]): TypedTopic {
  const fields = new Set(types.map(({ field }) => field));
  const schema = typeSchema(source, (field) => fields.has(field));
  const records = Array.from({ length: recordsWithValues }, (_, at) => {
    const values = types.flatMap((type) => {
      const all = typeValues[source][type.type] ?? [];
      const value = all[at % all.length];
      return value === undefined ? [] : [[type, value] as const];
    });
    const inputs = Object.fromEntries(values.map(([{ field }, [input]]) => [field, input]));
    return { inputs, cells: cellsOf(source, values) };
  });
  const absent = { inputs: absentInputs(source, types), cells: absentCells(source, types) };
  // In JSON every field may be missing.
  const mayBeAbsent = schema === undefined || source === "JSON Schema" ? schema : optional(source, schema);
  const steps = [
    { schema, records },
    { schema: mayBeAbsent, records: [absent] },
  ];
  return { name, source, steps, types };
}

function cellsOf(source: TypeSource, values: readonly (readonly [TypeRow, Value])[]): Row {
  const cells = values.flatMap(([{ field, column }, [, cell]]) =>
    column === "no column" ? [] : [[field, cell] as const],
  );
  // What has no type yet and is not null is left over.
  const left = values.filter(([{ column }, [input]]) => column === "no column" && input !== "null");
  const extra = left.map(([{ field }, [input]]) => `"/${field}":${String(input)}`).join(",");
  const isJson = source.startsWith("JSON");
  return { ...Object.fromEntries(cells), ...(isJson ? { _extra: extra === "" ? null : `{${extra}}` } : {}) };
}

/** Avro's encoder wants every field named; JSON and Protobuf leave them out. */
function absentInputs(source: TypeSource, types: readonly TypeRow[]): Readonly<Record<string, null>> {
  return source === "Avro" ? Object.fromEntries(types.map(({ field }) => [field, null])) : {};
}

/** Null, but for Protobuf's lists and maps, which have no absence. */
function absentCells(source: TypeSource, types: readonly TypeRow[]): Row {
  const empty = types.filter(({ column }) => source === "Protobuf" && /^(list|map)</.test(column));
  return Object.fromEntries(empty.map(({ field }) => [field, []]));
}
