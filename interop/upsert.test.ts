/**
 * Proves: Spark, Trino and DuckDB read from upsert tables what a model of the produced changes holds: by Avro keys through the
 * registry, and by Debezium's envelopes in JSON and Avro as its connectors write them. PyIceberg says that it reads no
 * equality deletes, and reads nothing.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SchemaRegistry, SchemaType } from "@kafkajs/confluent-schema-registry";
import { Kafka, logLevel, type Producer } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { seededRandom } from "../test/support/seeded.ts";
import { type Cell, TableChecksum } from "./canonical.ts";
import { type S3Server, startSeaweed } from "./s3.ts";
import { command, engineBin, python, sparkJars, versions } from "./tools.ts";
import { restCatalogOnS3, startTrino } from "./trino.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-upsert-"));
const partitions = 3;
const flushes = 4;
const changesOfFlush = 600;
const seed = 20_261;
const random = seededRandom(seed);

let s3: S3Server;
let broker: InletBroker;
let producer: Producer;
let registry: SchemaRegistry;

interface Row {
  readonly id: number;
  readonly name: string;
  readonly price: number | null;
  readonly updated: number;
}

interface Message {
  readonly key: Buffer | string | null;
  readonly value: Buffer | string | null;
}

/** Writes what a change of a row looks like in its topic. */
interface Source {
  readonly topic: string;
  readonly columns: readonly string[];
  cells(row: Row): readonly Cell[];
  put(before: Row | undefined, after: Row): Promise<readonly Message[]>;
  remove(before: Row): Promise<readonly Message[]>;
}

const valueFields = [
  { name: "id", type: "int" },
  { name: "name", type: "string" },
  { name: "price", type: ["null", "double"], default: null },
  { name: "updated", type: { type: "long", "connect.version": 1, "connect.name": "io.debezium.time.MicroTimestamp" } },
];

/** As Debezium's PostgreSQL connector registers them with Confluent's converter. */
const envelopeSchema = {
  type: "record",
  name: "Envelope",
  namespace: "shop.public.avro_changes",
  fields: [
    {
      name: "before",
      type: [
        "null",
        { type: "record", name: "Value", fields: valueFields, "connect.name": "shop.public.avro_changes.Value" },
      ],
      default: null,
    },
    { name: "after", type: ["null", "Value"], default: null },
    {
      name: "source",
      type: {
        type: "record",
        name: "Source",
        namespace: "io.debezium.connector.postgresql",
        fields: [
          { name: "version", type: "string" },
          { name: "connector", type: "string" },
          { name: "name", type: "string" },
          { name: "ts_ms", type: "long" },
          { name: "snapshot", type: [{ type: "string", "connect.default": "false" }, "null"], default: "false" },
          { name: "lsn", type: ["null", "long"], default: null },
        ],
        "connect.name": "io.debezium.connector.postgresql.Source",
      },
    },
    { name: "op", type: "string" },
    { name: "ts_ms", type: ["null", "long"], default: null },
    {
      name: "transaction",
      type: ["null", { type: "record", name: "block", namespace: "event", fields: [{ name: "id", type: "string" }] }],
      default: null,
    },
  ],
  "connect.name": "shop.public.avro_changes.Envelope",
};

function connectRow(field: string): object {
  return {
    type: "struct",
    fields: [
      { type: "int32", optional: false, field: "id" },
      { type: "string", optional: false, field: "name" },
      { type: "double", optional: true, field: "price" },
      { type: "int64", optional: false, name: "io.debezium.time.MicroTimestamp", version: 1, field: "updated" },
    ],
    optional: true,
    name: "shop.public.json_changes.Value",
    field,
  };
}

const connectEnvelope = {
  type: "struct",
  fields: [
    connectRow("before"),
    connectRow("after"),
    {
      type: "struct",
      fields: [{ type: "string", optional: false, field: "connector" }],
      optional: false,
      field: "source",
    },
    { type: "string", optional: false, field: "op" },
    { type: "int64", optional: true, field: "ts_ms" },
  ],
  optional: false,
  name: "shop.public.json_changes.Envelope",
};
const connectKey = { type: "struct", fields: [{ type: "int32", optional: false, field: "id" }], optional: false };

const rowCells = ({ id, name, price, updated }: Row): readonly Cell[] => [BigInt(id), name, price, BigInt(updated)];
const plainColumns = ["id", "name", "price", "updated"];
const source = { version: "3.3.0.Final", connector: "postgresql", name: "shop", ts_ms: 1, snapshot: "false", lsn: 7 };

async function register(subject: string, schema: object): Promise<number> {
  return (await registry.register({ type: SchemaType.AVRO, schema: JSON.stringify(schema) }, { subject })).id;
}

async function customers(): Promise<Source> {
  const keyFields = [
    { name: "region", type: "string" },
    { name: "id", type: "int" },
  ];
  const keyId = await register("customers-key", { type: "record", name: "CustomerKey", fields: keyFields });
  const valueId = await register("customers-value", { type: "record", name: "Customer", fields: valueFields });
  const regionOf = (id: number): string => ["eu", "us", "asia"][id % 3] as string;
  const keyOf = (id: number) => registry.encode(keyId, { region: regionOf(id), id });
  return {
    topic: "customers",
    columns: ["_kafka_key_region", "_kafka_key_id", ...plainColumns],
    cells: (row) => [regionOf(row.id), BigInt(row.id), ...rowCells(row)],
    put: async (_before, after) => [{ key: await keyOf(after.id), value: await registry.encode(valueId, after) }],
    remove: async (before) => [{ key: await keyOf(before.id), value: null }],
  };
}

function jsonChanges(): Source {
  const message = (id: number, op: string, before: Row | null, after: Row | null): Message => ({
    key: JSON.stringify({ schema: connectKey, payload: { id } }),
    value: JSON.stringify({ schema: connectEnvelope, payload: { before, after, source, op, ts_ms: 1 } }),
  });
  return {
    topic: "json_changes",
    columns: plainColumns,
    cells: rowCells,
    put: async (before, after) => [
      message((before ?? after).id, before === undefined ? "c" : "u", before ?? null, after),
    ],
    remove: async (before) => [
      message(before.id, "d", before, null),
      { key: JSON.stringify({ schema: connectKey, payload: { id: before.id } }), value: null },
    ],
  };
}

async function avroChanges(): Promise<Source> {
  const keyId = await register("avro_changes-key", {
    type: "record",
    name: "Key",
    namespace: "shop.public.avro_changes",
    fields: [{ name: "id", type: "int" }],
    "connect.name": "shop.public.avro_changes.Key",
  });
  const valueId = await register("avro_changes-value", envelopeSchema);
  const message = async (id: number, op: string, before: Row | null, after: Row | null): Promise<Message> => ({
    key: await registry.encode(keyId, { id }),
    value: await registry.encode(valueId, { before, after, source, op, ts_ms: 1, transaction: null }),
  });
  return {
    topic: "avro_changes",
    columns: plainColumns,
    cells: rowCells,
    put: async (before, after) => [
      await message((before ?? after).id, before === undefined ? "c" : "u", before ?? null, after),
    ],
    remove: async (before) => [
      await message(before.id, "d", before, null),
      { key: await registry.encode(keyId, { id: before.id }), value: null },
    ],
  };
}

const models = new Map<string, { readonly source: Source; readonly rows: Map<number, Row>; moves: number }>();

function int(below: number): number {
  return Math.floor(random.unit() * below);
}

/** A key's changes stay in its partition, so ids of a partition move only among themselves. */
async function change(source: Source, rows: Map<number, Row>, count: number): Promise<number> {
  const messages: (Message & { readonly partition: number })[] = [];
  let moves = 0;
  for (let index = 0; index < count; index += 1) {
    const partition = int(partitions);
    const idOf = (): number => partition + partitions * int(80);
    const id = idOf();
    const before = rows.get(id);
    const canMove = source.topic !== "customers" && before !== undefined;
    const choice = random.unit();
    if (choice < 0.2 && before !== undefined) {
      rows.delete(id);
      messages.push(...(await source.remove(before)).map((each) => ({ ...each, partition })));
      continue;
    }
    const to = choice < 0.35 && canMove ? idOf() : id;
    const price = random.unit() < 0.2 ? null : int(10_000) / 4;
    const after: Row = {
      id: to,
      name: `${"abc"[int(3)] as string}-${index}`,
      price,
      updated: 1_700_000_000_000_000 + index,
    };
    if (to !== id) {
      moves += 1;
      rows.delete(id);
    }
    rows.set(to, after);
    messages.push(...(await source.put(before, after)).map((each) => ({ ...each, partition })));
  }
  await producer.send({ topic: source.topic, acks: -1, messages: messages.map((each) => ({ ...each })) });
  return moves;
}

async function flush(topic: string): Promise<void> {
  const flushed = await fetch(`${broker.http}/v1/tables/${topic}/flush`, { method: "POST" });
  expect(flushed.status, await flushed.text()).toBe(200);
}

beforeAll(async () => {
  s3 = await startSeaweed({ directory: join(directory, "s3") });
  await s3.createBucket("lake");
  const changes = { write: "cdc", envelope: "debezium", key: ["id"] };
  broker = await startInlet({
    directory,
    config: {
      object: { store: { url: s3.url("lake/cluster") } },
      lake: { catalogs: { main: { type: "embedded" } } },
      topics: {
        customers: {
          table: { name: "lake.customers" },
          key: { decode: "schema-id" },
          mode: { write: "upsert" },
          layout: { partition_by: ["truncate(1, name)"] },
        },
        json_changes: {
          table: { name: "lake.json_changes" },
          value: { decode: "json" },
          mode: { ...changes, tombstone: "ignore" },
          layout: { partition_by: ["truncate(1, name)"] },
        },
        avro_changes: { table: { name: "lake.avro_changes" }, key: { decode: "schema-id" }, mode: changes },
      },
    },
  });
  registry = new SchemaRegistry({ host: broker.registry });
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR });
  producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  const admin = kafka.admin();
  await admin.connect();
  await producer.connect();
  for (const source of [await customers(), jsonChanges(), await avroChanges()]) {
    await admin.createTopics({ topics: [{ topic: source.topic, numPartitions: partitions }] });
    const model = { source, rows: new Map<number, Row>(), moves: 0 };
    models.set(source.topic, model);
    for (let turn = 0; turn < flushes; turn += 1) {
      model.moves += await change(source, model.rows, changesOfFlush);
      await flush(source.topic);
    }
  }
  await admin.disconnect();
});

afterAll(async () => {
  await producer?.disconnect();
  await broker?.[Symbol.asyncDispose]();
  await s3?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

interface Answer {
  readonly rows: number;
  readonly checksum: string;
}

async function ask<T = Readonly<Record<string, Answer>>>(
  engine: string,
  bin: string,
  extra: Readonly<Record<string, unknown>> = {},
): Promise<T> {
  const request = {
    uri: broker.catalog,
    warehouse: "main",
    s3: { endpoint: s3.endpoint, access_key: s3.accessKey, secret_key: s3.secretKey, region: "us-east-1" },
    namespace: "lake",
    tables: [...models.values()].map(({ source: { topic, columns } }) => ({ name: topic, columns })),
    ...extra,
  };
  const script = engine === "maintenance" ? ["maintenance.py"] : ["engine.py", engine];
  const output = await command(
    join(bin, "python"),
    [join(import.meta.dirname, script[0] as string), ...script.slice(1)],
    {
      input: JSON.stringify(request),
      env: { JAVA_TOOL_OPTIONS: "", AWS_REGION: "us-east-1" },
    },
  );
  const line = output.split("\n").find((one) => one.startsWith("ANSWER "));
  if (line === undefined) throw new Error(`${engine} gave no answer: ${output.slice(-2000)}`);
  return JSON.parse(line.slice("ANSWER ".length)) as T;
}

function check(answer: Readonly<Record<string, Answer>>): void {
  for (const [topic, { source, rows }] of models) {
    const sum = new TableChecksum();
    for (const row of rows.values()) sum.add(source.cells(row));
    const { rows: count, checksum } = answer[topic] as Answer;
    expect({ topic, rows: count, checksum }, `seed ${seed}`).toEqual({ topic, ...sum.result() });
  }
}

describe("engines read one row a key", () => {
  let bin: string;
  beforeAll(async () => {
    bin = await engineBin();
  });

  test("the changes were of all kinds", () => {
    for (const { rows } of models.values()) expect(rows.size).toBeGreaterThan(100);
    expect(models.get("json_changes")?.moves).toBeGreaterThan(50);
    expect(models.get("avro_changes")?.moves).toBeGreaterThan(50);
  });

  test("PyIceberg reads no equality deletes, and says so", async () => {
    await expect(ask("pyiceberg", bin)).rejects.toThrow(/does not yet support equality deletes/);
  });

  test("DuckDB", async () => {
    check(await ask("duckdb", bin));
  });

  test("Spark", async () => {
    const spark = await python("spark", [`pyspark==${versions.pyspark}`, "pyarrow==22.0.0", "pandas==2.3.3"]);
    const libs = await sparkJars();
    check(await ask("spark", spark, { jars: readdirSync(libs).map((name) => join(libs, name)) }));
  });

  test("Trino", async () => {
    await using trino = await startTrino({
      directory: join(directory, "trino"),
      catalogs: {
        lake: restCatalogOnS3(broker.catalog, s3),
      },
    });
    check(await ask("trino", bin, { trino: trino.address }));
  });

  test("Spark may rewrite files with their deletes, and the broker goes on", async () => {
    const spark = await python("spark", [`pyspark==${versions.pyspark}`, "pyarrow==22.0.0", "pandas==2.3.3"]);
    const libs = await sparkJars();
    const jars = readdirSync(libs).map((name) => join(libs, name));
    const calls = { rewrite_data_files: "'delete-file-threshold', '1', 'rewrite-all', 'true'" };
    const outcome = await ask<Record<string, { readonly failed: number; readonly result: Record<string, number> }>>(
      "maintenance",
      spark,
      { jars, calls, rounds: 1 },
    );
    expect(outcome["rewrite_data_files"]).toMatchObject({ failed: 0 });
    expect(outcome["rewrite_data_files"]?.result["rewritten_data_files_count"]).toBeGreaterThan(10);
    check(await ask("duckdb", bin));
    for (const model of models.values()) {
      await change(model.source, model.rows, changesOfFlush);
      await flush(model.source.topic);
    }
    check(await ask("duckdb", bin));
    check(await ask("spark", spark, { jars }));
  });
});
