/**
 * Proves: PyIceberg, DuckDB, Spark and Trino read one table alike, to the last value, after everything that evolution does: nested fields added in
 * structs, lists and maps, types widened there too, a rename, a drop, a second column for a changed type, and another
 * partition spec and sort order, with files of before and after side by side.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMPATIBILITY, SchemaRegistry, SchemaType } from "@kafkajs/confluent-schema-registry";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { IcebergType, NestedField } from "../src/table/iceberg/types.ts";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { type Cell, TableChecksum } from "./canonical.ts";
import { type S3Server, startSeaweed } from "./s3.ts";
import { command, engineBin, python, sparkJars, versions } from "./tools.ts";
import { restCatalogOnS3, startTrino } from "./trino.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-evolution-"));
const perSchema = 200;
let s3: S3Server;
let broker: InletBroker;
let columns: readonly string[];
let expected: { readonly rows: number; readonly checksum: string };
let bin: string;

/** What a row must hold, by column; nested ones by field. What is not there is null. */
type Row = { readonly [column: string]: Cell | Row | readonly Row[] | ReadonlyMap<string, Row> };
const rows: Row[] = [];

const decimal = (precision: number) => ({ type: "bytes", logicalType: "decimal", precision, scale: 2 });
const field = (name: string, type: unknown, more: object = {}) => ({ name, type, ...more });
const struct = (name: string, ...fields: readonly object[]) => ({ type: "record", name, fields });
const optional = (name: string, type: unknown) => field(name, ["null", type], { default: null });

const before = struct(
  "Order",
  field("id", "int"),
  field("name", "string"),
  field("old", "string"),
  field("price", "float"),
  field("amount", decimal(9)),
  field("code", "int"),
  field("s", ["null", struct("S", field("a", "int"))]),
  field("l", { type: "array", items: struct("L", field("a", "int")) }),
  field("m", { type: "map", values: struct("M", field("a", "float")) }),
);

/** Widened, renamed, dropped, reordered, added to at every depth, and `code` of another type. */
const after = struct(
  "Order",
  field("customer", "string", { aliases: ["name"] }),
  field("id", "long"),
  field("price", "double"),
  field("amount", decimal(30)),
  field("code", "string"),
  optional("added", { type: "long", logicalType: "timestamp-micros" }),
  field("s", ["null", struct("S", field("a", "long"), optional("deep", struct("D", field("x", "string"))))]),
  field("l", { type: "array", items: struct("L", field("a", "long"), optional("b", "string")) }),
  field("m", { type: "map", values: struct("M", field("a", "double"), optional("b", "int")) }),
);

/** An Avro decimal of scale 2. */
function unscaled(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

function cents(value: number): Cell {
  return { decimal: (value / 100).toFixed(2).replace(/\.?0+$/, "") };
}

function recordBefore(n: number): { readonly value: object; readonly row: Row } {
  const items = Array.from({ length: n % 3 }, (_, at) => ({ a: n + at }));
  const value = {
    id: n,
    name: `name ${n}`,
    old: `old ${n}`,
    price: n / 4,
    amount: unscaled(n * 10 + 1),
    code: n,
    s: n % 5 === 0 ? null : { a: n },
    l: items,
    m: { [`k${n}`]: { a: n / 2 } },
  };
  const row: Row = {
    id: BigInt(n),
    customer: `name ${n}`,
    old: `old ${n}`,
    price: n / 4,
    amount: cents(n * 10 + 1),
    ...(n % 5 === 0 ? {} : { s: { a: BigInt(n) } }),
    code: BigInt(n),
    l: items.map(({ a }) => ({ a: BigInt(a) })),
    m: new Map([[`k${n}`, { a: n / 2 }]]),
  };
  return { value, row };
}

function recordAfter(n: number): { readonly value: object; readonly row: Row } {
  const id = 2 ** 40 + n;
  const deep = n % 2 === 0 ? null : { x: `deep ${n}` };
  const items = Array.from({ length: n % 4 }, (_, at) => ({ a: id + at, b: at === 0 ? null : `item ${at}` }));
  const value = {
    customer: `name ${n}`,
    id,
    price: n / 3,
    amount: unscaled(n * 1000 + 7),
    code: `code ${n}`,
    added: n % 7 === 0 ? null : n * 1000,
    s: n % 5 === 0 ? null : { a: id, deep },
    l: items,
    m: { [`k${n}`]: { a: n / 3, b: n % 2 === 0 ? n : null } },
  };
  const row: Row = {
    id: BigInt(id),
    customer: `name ${n}`,
    price: n / 3,
    amount: cents(n * 1000 + 7),
    code__2: `code ${n}`,
    ...(n % 7 === 0 ? {} : { added: { micros: BigInt(n * 1000) } }),
    ...(n % 5 === 0 ? {} : { s: { a: BigInt(id), ...(deep === null ? {} : { deep }) } }),
    l: items.map(({ a, b }) => ({ a: BigInt(a), b })),
    m: new Map([[`k${n}`, { a: n / 3, b: n % 2 === 0 ? BigInt(n) : null }]]),
  };
  return { value, row };
}

beforeAll(async () => {
  s3 = await startSeaweed({ directory: join(directory, "s3") });
  await s3.createBucket("lake");
  broker = await start({ partition_by: [] });
  await produce([[before, recordBefore]]);
  // Old and new producers alternate.
  await produce([
    [after, recordAfter],
    [before, recordBefore],
  ]);
  await broker[Symbol.asyncDispose]();
  broker = await start({ partition_by: ["bucket(4, id)", "truncate(6, name)"], sort_by: ["id desc"] });
  await produce([
    [before, recordBefore],
    [after, recordAfter],
  ]);
  const schema = await schemaOf();
  columns = schema.map(({ name }) => name).filter((name) => !name.startsWith("_kafka"));
  const sum = new TableChecksum();
  for (const row of rows)
    sum.add(columns.map((name) => cellOf(schema.find((each) => each.name === name) as NestedField, row)));
  expected = sum.result();
  bin = await engineBin();
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  await s3?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function start(layout: object): Promise<InletBroker> {
  return await startInlet({
    directory,
    config: {
      object: { store: { url: s3.url("lake/cluster") } },
      lake: { catalogs: { main: { type: "embedded" } } },
      topics: {
        orders: {
          table: { catalog: "main", name: "lake.orders" },
          value: { decode: "schema-id", on_type_change: "new-column" },
          layout,
        },
      },
    },
  });
}

async function produce(
  sources: readonly (readonly [object, (n: number) => { readonly value: object; readonly row: Row }])[],
): Promise<void> {
  const registry = new SchemaRegistry({ host: broker.registry });
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const messages: { readonly value: Buffer }[] = [];
  const ids = new Map<object, number>();
  for (const [schema] of sources) {
    const { id } = await registry.register(
      { type: SchemaType.AVRO, schema: JSON.stringify(schema) },
      { subject: "orders-value", compatibility: COMPATIBILITY.NONE },
    );
    ids.set(schema, id);
  }
  for (let n = 0; n < perSchema; n += 1) {
    for (const [schema, make] of sources) {
      const { value, row } = make(rows.length);
      messages.push({ value: await registry.encode(ids.get(schema) as number, value) });
      rows.push(row);
    }
  }
  await producer.send({ topic: "orders", acks: -1, messages });
  await producer.disconnect();
  const flushed = await fetch(`${broker.http}/v1/tables/orders/flush`, { method: "POST" });
  expect(flushed.status, await flushed.text()).toBe(200);
}

async function metadataOf(): Promise<Readonly<Record<string, unknown>>> {
  const config = (await (await fetch(`${broker.catalog}/v1/config?warehouse=main`)).json()) as {
    overrides?: { prefix?: string };
  };
  const prefix = config.overrides?.prefix === undefined ? "" : `/${config.overrides.prefix}`;
  const loaded = await fetch(`${broker.catalog}/v1${prefix}/namespaces/lake/tables/orders`);
  return ((await loaded.json()) as { readonly metadata: Readonly<Record<string, unknown>> }).metadata;
}

async function schemaOf(): Promise<readonly NestedField[]> {
  const metadata = await metadataOf();
  const schemas = metadata["schemas"] as readonly { "schema-id": number; fields: readonly NestedField[] }[];
  return schemas.find((one) => one["schema-id"] === metadata["current-schema-id"])?.fields ?? [];
}

/** The row's value of a field, in the order of the table's own nested fields. */
function cellOf({ name, type }: Pick<NestedField, "name" | "type">, row: Row): Cell {
  return cell(type, row[name]);
}

function cell(type: IcebergType, value: Row[string] | undefined): Cell {
  if (value === undefined || value === null) return null;
  if (typeof type === "string") return value as Cell;
  if (type.type === "struct") return { struct: type.fields.map((each) => cellOf(each, value as Row)) };
  if (type.type === "list") return (value as readonly Row[]).map((item) => cell(type.element, item));
  return [...(value as ReadonlyMap<string, Row>)].map(([key, item]) => ({ struct: [key, cell(type.value, item)] }));
}

async function ask(engine: string, enginePython: string, extra: object = {}): Promise<void> {
  const request = {
    uri: broker.catalog,
    warehouse: "main",
    s3: { endpoint: s3.endpoint, access_key: s3.accessKey, secret_key: s3.secretKey, region: "us-east-1" },
    namespace: "lake",
    tables: [{ name: "orders", columns, maps: ["m"] }],
    ...extra,
  };
  const output = await command(join(enginePython, "python"), [join(import.meta.dirname, "engine.py"), engine], {
    input: JSON.stringify(request),
    env: { JAVA_TOOL_OPTIONS: "", AWS_REGION: "us-east-1" },
  });
  const line = output.split("\n").find((one) => one.startsWith("ANSWER "));
  if (line === undefined) throw new Error(`${engine} gave no answer: ${output.slice(-2000)}`);
  const { orders } = JSON.parse(line.slice("ANSWER ".length)) as { readonly orders: typeof expected };
  expect({ rows: orders.rows, checksum: orders.checksum }).toEqual(expected);
}

test("the table is what evolution makes of it", async () => {
  expect(expected.rows).toBe(5 * perSchema);
  expect(columns.toSorted()).toEqual(
    ["added", "amount", "code", "code__2", "customer", "id", "l", "m", "old", "price", "s"].toSorted(),
  );
  const metadata = await metadataOf();
  expect(metadata["partition-specs"]).toHaveLength(2);
  expect(metadata["sort-orders"]).toHaveLength(2);
});

test("PyIceberg", async () => {
  await ask("pyiceberg", bin);
});

test("DuckDB", async () => {
  await ask("duckdb", bin);
});

test("Spark", async () => {
  const spark = await python("spark", [`pyspark==${versions.pyspark}`, "pyarrow==22.0.0", "pandas==2.3.3"]);
  const libs = await sparkJars();
  await ask("spark", spark, { jars: readdirSync(libs).map((name) => join(libs, name)) });
});

test("Trino", async () => {
  await using trino = await startTrino({
    directory: join(directory, "trino"),
    catalogs: {
      lake: restCatalogOnS3(broker.catalog, s3),
    },
  });
  await ask("trino", bin, { trino: trino.address });
});
