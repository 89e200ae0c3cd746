/** A topic whose records, one after another, come under several schemas, and the rows that they are. */
import type { Producer } from "kafkajs";
import type { SchemaText } from "../../src/table/schema/schema-map.ts";
import type { TypeRow, TypeSource } from "../../src/table/schema/type-table.ts";
import type { InletBroker } from "../../test/support/inlet-process.ts";
import { commit, frameOf, namespace, type Row, recordCells } from "./topics.ts";
import { encoderOf } from "./type-encoders.ts";

export interface TypedRecord {
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Columns of the value; those that are left out are null. */
  readonly cells: Row;
}

export interface TypedTopic {
  /** Of the topic and its table. */
  readonly name: string;
  readonly source: TypeSource;
  /** A commit each. */
  readonly steps: readonly { readonly schema: SchemaText | undefined; readonly records: readonly TypedRecord[] }[];
  /** Of docs/types.md, where the topic is about them. */
  readonly types: readonly TypeRow[];
}

export function typedSettings({ name, source }: TypedTopic): object {
  return {
    table: { catalog: "embedded", name: `${namespace}.${name}` },
    value: { decode: source === "JSON without a schema" ? "json" : "schema-id" },
    key: { decode: "string" },
  };
}

const timestampMs = 1_700_000_000_000;

/** Produces and commits every step; answers the rows. */
export async function produceTyped(
  broker: InletBroker,
  producer: Producer,
  { name, source, steps }: TypedTopic,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const { schema, records } of steps) {
    const registered = schema === undefined ? {} : { schema: { schemaType: schema.type, schema: schema.text } };
    const frame = await frameOf(broker, name, registered);
    const encode = encoderOf(source, schema);
    const messages = records.map(({ inputs }, at) => ({
      key: "k",
      value: Buffer.concat([frame, encode(inputs)]),
      partition: 0,
      timestamp: String(timestampMs),
      headers: { n: String(rows.length + at) },
    }));
    await producer.send({ topic: name, acks: -1, messages });
    for (const { cells } of records) {
      rows.push({ ...recordCells({ partition: 0, offset: rows.length, timestampMs, key: "k" }), ...cells });
    }
    await commit(broker, name);
  }
  const names = new Set(rows.flatMap((row) => Object.keys(row)));
  const absent = Object.fromEntries([...names].map((column) => [column, null]));
  return rows.map((row) => ({ ...absent, ...row }));
}
