/**
 * Proves: PyIceberg, DuckDB, Spark and Trino read the flights and earthquakes tables through the embedded REST catalog, from
 * a real S3 server, with the count and the checksum over all columns of what was produced (canonical.py says how).
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { SchemaRegistry, SchemaType } from "@kafkajs/confluent-schema-registry";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { IcebergType, NestedField } from "../src/table/iceberg/types.ts";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { checkout } from "../test/support/processes.ts";
import { type Cell, TableChecksum } from "./canonical.ts";
import { type S3Server, startSeaweed } from "./s3.ts";
import { command, engineBin, python, sparkJars, versions } from "./tools.ts";
import { restCatalogOnS3, startTrino } from "./trino.ts";

const flightCount = 200_000;
const partitions = 6;
const directory = mkdtempSync(join(tmpdir(), "inlet-engines-"));
const flightsFile = join(checkout, "node_modules/vega-datasets/data/flights-3m.parquet");
const earthquakesFile = join(checkout, "node_modules/vega-datasets/data/earthquakes.json");
/** 3 January 2001, UTC: one of the days that the first 200,000 flights fall on. */
const prunedDay = {
  where: "date >= TIMESTAMP '2001-01-03 00:00:00 UTC' AND date < TIMESTAMP '2001-01-04 00:00:00 UTC'",
  from: 978_480_000_000,
  to: 978_566_400_000,
};

/** Every produced row, by column name. */
const flightRows: Readonly<Record<string, Cell>>[] = [];
let s3: S3Server;
let broker: InletBroker;
const expected: Record<string, { rows: number; checksum: string }> = {};
let prunedCount = 0;
let columns: Record<string, readonly string[]>;

beforeAll(async () => {
  s3 = await startSeaweed({ directory: join(directory, "s3") });
  await s3.createBucket("lake");
  const url = s3.url("lake/cluster");
  broker = await startInlet({
    directory,
    config: {
      object: { store: { url } },
      lake: { catalogs: { main: { type: "embedded" } } },
      topics: {
        flights: {
          table: { catalog: "main", name: "lake.flights" },
          value: { decode: "schema-id" },
          key: { decode: "string" },
          layout: { partition_by: ["day(date)"] },
        },
        earthquakes: {
          table: { catalog: "main", name: "lake.earthquakes" },
          value: { decode: "json" },
          key: { decode: "string" },
        },
      },
    },
  });
  await produceFlights();
  await produceEarthquakes();
  for (const topic of ["flights", "earthquakes"]) {
    const flushed = await fetch(`${broker.http}/v1/tables/${topic}/flush`, { method: "POST" });
    expect(flushed.status, await flushed.text()).toBe(200);
  }
  columns = { flights: await columnsOf("flights"), earthquakes: await columnsOf("earthquakes") };
  expected["flights"] = checksumOf(flightRows, columns["flights"] as readonly string[]);
  expected["earthquakes"] = checksumOf(
    earthquakeRows(await schemaOf("earthquakes")),
    columns["earthquakes"] as readonly string[],
  );
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  await s3?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function schemaOf(table: string): Promise<readonly NestedField[]> {
  const config = (await (await fetch(`${broker.catalog}/v1/config?warehouse=main`)).json()) as {
    overrides?: { prefix?: string };
  };
  const prefix = config.overrides?.prefix === undefined ? "" : `/${config.overrides.prefix}`;
  const loaded = (await (await fetch(`${broker.catalog}/v1${prefix}/namespaces/lake/tables/${table}`)).json()) as {
    metadata: {
      schemas: readonly { "schema-id": number; fields: readonly NestedField[] }[];
      "current-schema-id": number;
    };
  };
  const schema = loaded.metadata.schemas.find((one) => one["schema-id"] === loaded.metadata["current-schema-id"]);
  if (schema === undefined) throw new Error(`${table} has no current schema`);
  return schema.fields;
}

async function columnsOf(table: string): Promise<readonly string[]> {
  return (await schemaOf(table)).map((field) => field.name);
}

/** Explicit partition, timestamp, key and headers, so that every column of every row is known beforehand. */
async function produceFlights(): Promise<void> {
  const registry = new SchemaRegistry({ host: broker.registry });
  const schema = readFileSync(join(checkout, "examples/flights/flight.avsc"), "utf8");
  const { id } = await registry.register({ type: SchemaType.AVRO, schema }, { subject: "flights-value" });
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: "flights", numPartitions: partitions }] });
  await admin.disconnect();
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const database = await (await DuckDBInstance.create()).connect();
  const rows = await database.stream(
    `SELECT epoch_ms(date) AS date, delay::INT AS delay, distance::INT AS distance, origin, destination FROM read_parquet('${flightsFile}') LIMIT ${flightCount}`,
  );
  let index = 0;
  let messages: {
    key: string;
    value: Buffer;
    partition: number;
    timestamp: string;
    headers: Record<string, string>;
  }[] = [];
  for await (const chunk of rows.yieldRowObjectJs()) {
    for (const row of chunk) {
      const date = row["date"] as bigint;
      const [delay, distance, origin, destination] = [
        row["delay"] as number,
        row["distance"] as number,
        row["origin"] as string,
        row["destination"] as string,
      ];
      const [partition, offset] = [index % partitions, Math.floor(index / partitions)];
      const timestamp = 1_700_000_000_000 + index;
      messages.push({
        key: origin,
        value: await registry.encode(id, { date: Number(date), delay, distance, origin, destination }),
        partition,
        timestamp: String(timestamp),
        headers: { n: String(index) },
      });
      flightRows.push({
        date: { micros: date * 1000n },
        delay: BigInt(delay),
        distance: BigInt(distance),
        origin,
        destination,
        _kafka_partition: BigInt(partition),
        _kafka_offset: BigInt(offset),
        _kafka_timestamp: { micros: BigInt(timestamp) * 1000n },
        _kafka_timestamp_type: "CreateTime",
        _kafka_key: origin,
        _kafka_headers: [{ struct: ["n", Buffer.from(String(index))] }],
      });
      if (Number(date) >= prunedDay.from && Number(date) < prunedDay.to) prunedCount += 1;
      index += 1;
      if (messages.length === 6000) {
        await producer.send({ topic: "flights", acks: -1, messages });
        messages = [];
      }
    }
  }
  if (messages.length > 0) await producer.send({ topic: "flights", acks: -1, messages });
  await producer.disconnect();
}

interface Feature extends Readonly<Record<string, unknown>> {
  readonly id: string;
  readonly properties: { readonly time: number; readonly magType: string };
}

function features(): readonly Feature[] {
  return (JSON.parse(readFileSync(earthquakesFile, "utf8")) as { readonly features: readonly Feature[] }).features;
}

async function produceEarthquakes(): Promise<void> {
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: "earthquakes", numPartitions: 2 }] });
  await admin.disconnect();
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const messages = features().map((feature, index) => ({
    key: feature.id,
    value: JSON.stringify(feature),
    partition: index % 2,
    timestamp: String(feature.properties.time),
  }));
  await producer.send({ topic: "earthquakes", acks: -1, messages });
  await producer.disconnect();
}

/** The rows that the features must have become, by the table's own (inferred) schema: numbers are doubles, what is absent is null. */
function earthquakeRows(schema: readonly NestedField[]): readonly Readonly<Record<string, Cell>>[] {
  return features().map((feature, index) => ({
    ...Object.fromEntries(schema.map((field) => [field.name, cellOf(field.type, feature[field.name])])),
    _kafka_partition: BigInt(index % 2),
    _kafka_offset: BigInt(Math.floor(index / 2)),
    _kafka_timestamp: { micros: BigInt(feature.properties.time) * 1000n },
    _kafka_timestamp_type: "CreateTime",
    _kafka_key: feature.id,
    _kafka_headers: [],
  }));
}

function cellOf(type: IcebergType, value: unknown): Cell {
  if (value === undefined || value === null) return null;
  if (typeof type === "string") return value as Cell;
  if (type.type === "list") return (value as readonly unknown[]).map((item) => cellOf(type.element, item));
  if (type.type === "map") throw new Error("inference makes no maps");
  return { struct: type.fields.map((field) => cellOf(field.type, (value as Record<string, unknown>)[field.name])) };
}

function checksumOf(
  rows: readonly Readonly<Record<string, Cell>>[],
  order: readonly string[],
): { rows: number; checksum: string } {
  const sum = new TableChecksum();
  for (const row of rows) sum.add(order.map((column) => row[column] ?? null));
  return sum.result();
}

interface Answer {
  readonly rows: number;
  readonly checksum: string;
  readonly filtered?: number;
  readonly filesAll?: number;
  readonly filesRead?: number;
  /** Rows of the example's own query. */
  readonly example?: readonly (readonly unknown[])[];
  readonly metadata: Readonly<Record<string, number>>;
}

async function ask(
  engine: string,
  bin: string,
  extra: Readonly<Record<string, unknown>> = {},
): Promise<Readonly<Record<string, Answer>>> {
  const request = {
    uri: broker.catalog,
    warehouse: "main",
    s3: { endpoint: s3.endpoint, access_key: s3.accessKey, secret_key: s3.secretKey, region: "us-east-1" },
    namespace: "lake",
    tables: [
      {
        name: "flights",
        columns: columns["flights"],
        pruned: { where: engine === "pyiceberg" ? pyicebergWhere : prunedDay.where },
        example: exampleSql("flights", engine),
      },
      { name: "earthquakes", columns: columns["earthquakes"], example: exampleSql("earthquakes", engine) },
    ],
    ...extra,
  };
  const output = await command(join(bin, "python"), [join(import.meta.dirname, "engine.py"), engine], {
    input: JSON.stringify(request),
    env: { JAVA_TOOL_OPTIONS: "", AWS_REGION: "us-east-1" },
  });
  const line = output.split("\n").find((one) => one.startsWith("ANSWER "));
  if (line === undefined) throw new Error(`${engine} gave no answer: ${output.slice(-2000)}`);
  return JSON.parse(line.slice("ANSWER ".length)) as Readonly<Record<string, Answer>>;
}

/** The example's own query for the engine, where it has one. */
function exampleSql(table: string, engine: string): string | null {
  const file = join(checkout, "examples", table, "sql", `${engine}.sql`);
  return engine === "spark" || engine === "trino" ? readFileSync(file, "utf8").trim().replace(/;$/, "") : null;
}

const pyicebergWhere = "date >= '2001-01-03T00:00:00+00:00' AND date < '2001-01-04T00:00:00+00:00'";

/** The first row of each example's query names the most frequent origin, or kind of magnitude. */
function checkExamples(answer: Readonly<Record<string, Answer>>): void {
  const most = (values: readonly string[]): readonly [string, number] => {
    const counts = [...Map.groupBy(values, (value) => value)].map(([value, all]) => [value, all.length] as const);
    return counts.toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))[0] as readonly [string, number];
  };
  const origins = most(flightRows.map((row) => row["origin"] as string));
  const kinds = most(features().map(({ properties }) => properties.magType));
  expect(answer["flights"]?.example?.[0]?.slice(0, 2)).toEqual(origins);
  expect(answer["earthquakes"]?.example?.[0]?.slice(0, 2)).toEqual(kinds);
}

function check(answer: Readonly<Record<string, Answer>>, kinds: readonly string[]): void {
  for (const table of ["flights", "earthquakes"]) {
    const { rows, checksum, metadata } = answer[table] as Answer;
    expect({ table, rows, checksum }).toEqual({ table, ...expected[table] });
    for (const kind of kinds) expect(metadata[kind], `${table}.${kind}`).toBeGreaterThan(0);
  }
  expect(answer["flights"]?.filtered).toBe(prunedCount);
  expect(prunedCount).toBeGreaterThan(1000);
}

describe("engines", () => {
  let bin: string;
  beforeAll(async () => {
    bin = await engineBin();
  });

  test("the input is what it should be", () => {
    expect(expected["flights"]?.rows).toBe(flightCount);
    expect(expected["earthquakes"]?.rows).toBe(features().length);
  });

  test("PyIceberg", async () => {
    const answer = await ask("pyiceberg", bin);
    check(answer, ["snapshots", "files", "manifests", "partitions", "history"]);
    // Partition pruning: one day needs fewer files than the whole table.
    expect(answer["flights"]?.filesRead).toBeLessThan(answer["flights"]?.filesAll as number);
  });

  test("DuckDB", async () => {
    check(await ask("duckdb", bin), ["snapshots", "files"]);
  });

  test("Spark", async () => {
    const spark = await python("spark", [`pyspark==${versions.pyspark}`, "pyarrow==22.0.0", "pandas==2.3.3"]);
    const libs = await sparkJars();
    const answer = await ask("spark", spark, { jars: readdirSync(libs).map((name) => join(libs, name)) });
    check(answer, [
      "snapshots",
      "files",
      "manifests",
      "partitions",
      "history",
      "entries",
      "refs",
      "metadata_log_entries",
    ]);
    checkExamples(answer);
  });

  test("Trino", async () => {
    await using trino = await startTrino({
      directory: join(directory, "trino"),
      catalogs: {
        lake: restCatalogOnS3(broker.catalog, s3),
      },
    });
    const answer = await ask("trino", bin, { trino: trino.address });
    check(answer, ["snapshots", "files", "manifests", "partitions", "history", "refs", "properties"]);
    checkExamples(answer);
    const plan = await trino.query(`EXPLAIN ANALYZE SELECT count(*) FROM lake.lake.flights WHERE ${prunedDay.where}`);
    expect(String(plan[0]?.[0])).toMatch(/constraint on \[date\]|ScanFilter|TableScan/);
    // The catalog keeps the engine's views, in all their versions.
    await trino.query("CREATE VIEW lake.lake.some_flights AS SELECT * FROM lake.lake.flights LIMIT 3");
    expect(await trino.query("SELECT count(*) FROM lake.lake.some_flights")).toEqual([[3]]);
    await trino.query("CREATE OR REPLACE VIEW lake.lake.some_flights AS SELECT * FROM lake.lake.flights LIMIT 2");
    expect(await trino.query("SELECT count(*) FROM lake.lake.some_flights")).toEqual([[2]]);
    expect(await (await fetch(`${broker.catalog}/v1/namespaces/lake/views/some_flights`)).json()).toMatchObject({
      metadata: { versions: [{ "version-id": 1 }, { "version-id": 2 }], "current-version-id": 2 },
    });
    await trino.query("DROP VIEW lake.lake.some_flights");
  });
});
