/**
 * Proves: tables of format version 3 are read by Spark and DuckDB: one that is appended to, whose rows keep their ids when the
 * broker writes its files again, and one whose rows change, with its deletes in the broker's deletion vectors; Trino reads the
 * first. Takes some three minutes.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { seededRandom } from "../test/support/seeded.ts";
import { type Cell, TableChecksum } from "./canonical.ts";
import { type S3Server, startSeaweed } from "./s3.ts";
import { command, engineBin, python, sparkJars, versions } from "./tools.ts";
import { restCatalogOnS3, startTrino } from "./trino.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-v3-"));
const seed = 4711;
const random = seededRandom(seed);
const flushes = 6;
const changesOfFlush = 200;

interface Answer {
  readonly rows: number;
  readonly checksum: string;
}

let s3: S3Server;
let broker: InletBroker;
/** By id: name and value. */
const customers = new Map<string, readonly [string, number]>();
let events = 0;

const topic = (name: string, more: object) => ({
  table: { name: `lake.${name}`, format_version: 3 },
  value: { decode: "json" },
  key: { decode: "string" },
  ...more,
});

/** `intervalMs`: of maintenance. */
async function start(intervalMs: number): Promise<InletBroker> {
  const maintenance = { interval: { ms: intervalMs }, files: { min: 3 }, delete: { files: { min: 2 } } };
  return await startInlet({
    directory,
    config: {
      object: { store: { url: s3.url("lake/cluster") } },
      table: { maintenance },
      lake: { catalogs: { main: { type: "embedded" } } },
      topics: {
        events: topic("events", {}),
        customers: topic("customers", {
          mode: { write: "upsert", key: ["id"] },
          layout: { partition_by: ["truncate(1, id)"] },
        }),
      },
    },
  });
}

async function produce(turns: number): Promise<void> {
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  for (let turn = 0; turn < turns; turn += 1) {
    const changes = Array.from({ length: changesOfFlush }, () => changeOfCustomer());
    await producer.send({ topic: "customers", acks: -1, messages: changes });
    const rows = Array.from({ length: changesOfFlush }, (_, index) => ({ value: `{"id":"e${events + index}"}` }));
    await producer.send({ topic: "events", acks: -1, messages: rows });
    events += changesOfFlush;
    for (const name of ["customers", "events"]) {
      const flushed = await fetch(`${broker.http}/v1/tables/${name}/flush`, { method: "POST" });
      expect(flushed.status, await flushed.text()).toBe(200);
    }
  }
  await producer.disconnect();
}

function changeOfCustomer(): { readonly key: string; readonly value: string | null } {
  const id = `${"abc"[Math.floor(random.unit() * 3)] as string}${Math.floor(random.unit() * 300)}`;
  if (random.unit() < 0.2) {
    customers.delete(id);
    return { key: id, value: null };
  }
  const row = [`name-${Math.floor(random.unit() * 1000)}`, Math.floor(random.unit() * 1000) / 4] as const;
  customers.set(id, row);
  return { key: id, value: JSON.stringify({ id, name: row[0], v: row[1] }) };
}

async function metadataOf(table: string): Promise<{
  readonly "format-version": number;
  readonly snapshots: readonly { readonly summary: Readonly<Record<string, string>> }[];
}> {
  const config = (await (await fetch(`${broker.catalog}/v1/config?warehouse=main`)).json()) as {
    readonly overrides?: { readonly prefix?: string };
    readonly defaults?: { readonly prefix?: string };
  };
  const prefix = config.overrides?.prefix ?? config.defaults?.prefix;
  const base = `${broker.catalog}/v1${prefix === undefined ? "" : `/${prefix}`}`;
  const answer = await fetch(`${base}/namespaces/lake/tables/${table}`);
  return ((await answer.json()) as { metadata: Awaited<ReturnType<typeof metadataOf>> }).metadata;
}

/** How often the broker's own replacements have said this of themselves. */
async function said(table: string, word: string): Promise<number> {
  const { snapshots } = await metadataOf(table);
  return snapshots.filter(({ summary }) => summary["engine-name"] === "inlet" && summary[word] !== undefined).length;
}

async function ask<T = Readonly<Record<string, Answer>>>(engine: string, bin: string, more: object = {}): Promise<T> {
  const tables = [
    { name: "customers", columns: ["id", "name", "v"] },
    { name: "events", columns: ["id", "_kafka_offset"] },
  ];
  const request = {
    uri: broker.catalog,
    warehouse: "main",
    s3: { endpoint: s3.endpoint, access_key: s3.accessKey, secret_key: s3.secretKey, region: "us-east-1" },
    namespace: "lake",
    tables,
    ...more,
  };
  const output = await command(join(bin, "python"), [join(import.meta.dirname, "engine.py"), engine], {
    input: JSON.stringify(request),
    env: { JAVA_TOOL_OPTIONS: "", AWS_REGION: "us-east-1" },
  });
  const line = output.split("\n").find((one) => one.startsWith("ANSWER "));
  if (line === undefined) throw new Error(`${engine} gave no answer: ${output.slice(-2000)}`);
  return JSON.parse(line.slice("ANSWER ".length)) as T;
}

async function askSpark(tables: object = {}): Promise<Readonly<Record<string, Answer>>> {
  const spark = await python("spark", [`pyspark==${versions.pyspark}`, "pyarrow==22.0.0", "pandas==2.3.3"]);
  const libs = await sparkJars();
  return await ask("spark", spark, { jars: readdirSync(libs).map((name) => join(libs, name)), ...tables });
}

function sumOf(rows: readonly (readonly Cell[])[]): Answer {
  const sum = new TableChecksum();
  for (const cells of rows) sum.add(cells);
  return sum.result();
}

const customerRows = (): Answer => sumOf([...customers].map(([id, [name, v]]) => [id, name, v]));
const offsets = (): readonly bigint[] => Array.from({ length: events }, (_, offset) => BigInt(offset));

function check(answer: Readonly<Record<string, Answer>>): void {
  expect(answer["customers"], `seed ${seed}`).toMatchObject(customerRows());
  expect(answer["events"], `seed ${seed}`).toMatchObject(sumOf(offsets().map((at) => [`e${at}`, at])));
}

beforeAll(async () => {
  s3 = await startSeaweed({ directory: join(directory, "s3") });
  await s3.createBucket("lake");
  // Nothing is maintained at first: each row's id is then its offset, since the topic has one partition.
  broker = await start(86_400_000);
  const admin = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR }).admin();
  await admin.connect();
  const topics = ["events", "customers"].map((name) => ({ topic: name, numPartitions: 1 }));
  await admin.createTopics({ topics });
  await admin.disconnect();
  await produce(flushes);
  await broker[Symbol.asyncDispose]();
  broker = await start(1000);
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  await s3?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test("both are of version 3, and the broker has written vectors and rewritten files", async () => {
  for (const table of ["events", "customers"]) expect((await metadataOf(table))["format-version"]).toBe(3);
  for (const name of ["events", "customers"])
    await expect.poll(() => said(name, "deleted-data-files"), { timeout: 120_000 }).toBeGreaterThan(0);
  // Of files that are left alone: there are fewer than are rewritten, and the keys of one more commit reach them.
  await produce(1);
  await expect.poll(() => said("customers", "added-dvs"), { timeout: 120_000 }).toBeGreaterThan(0);
});

test("DuckDB", async () => {
  check(await ask("duckdb", await engineBin()));
});

test("Spark, which sees that rewritten rows have kept their ids", async () => {
  const first = flushes * changesOfFlush;
  const tables = [
    { name: "customers", columns: ["id", "name", "v"] },
    { name: "events", columns: ["id", "_kafka_offset", "_row_id"], where: `_kafka_offset < ${first}` },
  ];
  const answer = await askSpark({ tables });
  expect(answer["customers"]).toMatchObject(customerRows());
  const ids = offsets()
    .slice(0, first)
    .map((at) => [`e${at}`, at, at] as const);
  expect(answer["events"]).toMatchObject(sumOf(ids));
});

test("Trino reads rows that are appended, and refuses vectors in its own words", async () => {
  await using trino = await startTrino({
    directory: join(directory, "trino"),
    catalogs: { lake: restCatalogOnS3(broker.catalog, s3) },
  });
  const tables = [{ name: "events", columns: ["id", "_kafka_offset"] }];
  const answer = await ask("trino", await engineBin(), { trino: trino.address, tables });
  expect(answer["events"]).toMatchObject(sumOf(offsets().map((at) => [`e${at}`, at])));
  // A newer Trino, which can, is noticed here.
  await expect(trino.query("SELECT count(*) FROM lake.lake.customers")).rejects.toThrow(
    "Unexpected PUFFIN file format",
  );
});
