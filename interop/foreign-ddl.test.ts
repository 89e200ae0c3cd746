/**
 * Proves: what people do to a table with Spark's own statements is followed, or pauses it with a way out that leads on: columns
 * renamed, added, dropped, moved; another partition spec and order; tags and branches; rollback, CREATE OR REPLACE, DROP.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { type Rows, type SparkStatements, startSpark } from "./spark-statements.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-ddl-"));
let broker: InletBroker;
let spark: SparkStatements;
let produced = 0;

beforeAll(async () => {
  broker = await startInlet({
    directory,
    name: "inlet-ddl",
    config: {
      lake: { catalogs: { main: { type: "embedded" } } },
      topics: { orders: { table: { catalog: "main", name: "lake.orders" }, value: { decode: "json" } } },
    },
  });
  spark = await startSpark({ uri: broker.catalog, warehouse: "main" });
});

afterAll(async () => {
  await spark?.[Symbol.asyncDispose]();
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function sql(...statements: readonly string[]): Promise<readonly Rows[]> {
  return await spark.run(...statements);
}

async function admin(
  method: string,
  path: string,
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await fetch(`${broker.http}/v1/tables/orders${path}`, { method });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function produce(more: object = {}): Promise<void> {
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR });
  const producer = kafka.producer();
  await producer.connect();
  const value = JSON.stringify({ id: produced, name: `name ${produced}`, qty: produced, ...more });
  await producer.send({ topic: "orders", acks: -1, messages: [{ value }] });
  await producer.disconnect();
  produced += 1;
}

async function commit(more: object = {}): Promise<void> {
  await produce(more);
  const { status, body } = await admin("POST", "/flush");
  expect(status, JSON.stringify(body)).toBe(200);
}

/** The next commit does not go through, the state says why, and the way out leads on. */
async function stops(reason: RegExp, how: "accept" | "retranslate"): Promise<void> {
  await produce();
  expect(await admin("POST", "/flush")).toMatchObject({ status: 409, body: { error: expect.stringMatching(reason) } });
  expect(await admin("GET", "")).toMatchObject({
    status: 200,
    body: { state: "diverged", reason: expect.stringMatching(reason) },
  });
  expect(await admin("POST", `/resume?how=${how}`)).toMatchObject({ status: 200 });
  const { status, body } = await admin("POST", "/flush");
  expect(status, JSON.stringify(body)).toBe(200);
}

const offsets = "SELECT _kafka_offset FROM lake.lake.orders ORDER BY 1";

test("columns, spec, order, tags and branches are followed", { timeout: 300_000 }, async () => {
  await commit();
  await commit();
  await sql(
    "ALTER TABLE lake.lake.orders RENAME COLUMN name TO customer",
    "ALTER TABLE lake.lake.orders ADD COLUMN total double",
    "ALTER TABLE lake.lake.orders DROP COLUMN qty",
    "ALTER TABLE lake.lake.orders ALTER COLUMN customer FIRST",
    "ALTER TABLE lake.lake.orders ADD PARTITION FIELD truncate(4, customer)",
    "ALTER TABLE lake.lake.orders WRITE ORDERED BY id DESC",
    "ALTER TABLE lake.lake.orders CREATE TAG first_days",
    "ALTER TABLE lake.lake.orders CREATE BRANCH audit",
  );
  await commit(); // This one sees what was done.
  await commit({ total: 1.5, more: true });
  const [rows, columns, specs, refs, left] = await sql(
    "SELECT id, customer, total, more FROM lake.lake.orders ORDER BY id",
    "DESCRIBE lake.lake.orders",
    "SELECT DISTINCT spec_id, sort_order_id FROM lake.lake.orders.files ORDER BY 1",
    "SELECT name FROM lake.lake.orders.refs ORDER BY 1",
    "SELECT _extra FROM lake.lake.orders WHERE id = 3",
  );
  expect(rows).toEqual([
    [0, "name 0", null, null],
    [1, "name 1", null, null],
    [2, "name 2", null, null],
    [3, "name 3", 1.5, true],
  ]);
  expect(columns?.[0]?.[0]).toBe("customer");
  expect(columns?.map(([name]) => name)).not.toContain("qty");
  expect(specs).toEqual([
    [0, 0],
    [1, 1],
  ]);
  expect(refs).toEqual([["audit"], ["first_days"], ["main"]]);
  expect(left).toEqual([['{"/qty":3}']]);
});

test("a rollback pauses; accept goes on after it", { timeout: 300_000 }, async () => {
  const [snapshots] = await sql(
    "SELECT CAST(snapshot_id AS string) FROM lake.lake.orders.snapshots ORDER BY committed_at",
  );
  const third = String(snapshots?.[2]?.[0]);
  await sql(`CALL lake.system.rollback_to_snapshot('lake.lake.orders', ${third})`);
  await stops(/rolled back/, "accept");
  expect((await sql(offsets))[0]).toEqual([[0], [1], [2], [4]]);
});

test("CREATE OR REPLACE pauses; accept goes on with what it left", { timeout: 300_000 }, async () => {
  await sql("CREATE OR REPLACE TABLE lake.lake.orders USING iceberg AS SELECT * FROM lake.lake.orders WHERE id < 2");
  await stops(/main holds no commit of ours/, "accept");
  await commit();
  expect((await sql(offsets))[0]).toEqual([[0], [1], [5], [6]]);
});

test("DROP pauses; retranslate writes what the topic holds into a new table", { timeout: 300_000 }, async () => {
  await sql("DROP TABLE lake.lake.orders");
  await stops(/not in its catalog any more/, "retranslate");
  const [rows] = await sql("SELECT _kafka_offset, id FROM lake.lake.orders__g2 ORDER BY 1");
  expect(rows).toEqual(Array.from({ length: produced }, (_, at) => [at, at]));
});
