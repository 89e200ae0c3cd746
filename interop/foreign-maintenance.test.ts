/**
 * Proves: while the broker commits to a table, joins its manifests and expires its snapshots, Spark may rewrite its data
 * files and manifests and expire its snapshots too; afterwards every (partition, offset) is there once, for every engine, and
 * `inlet table verify` finds nothing wrong.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel, type Producer } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { TableChecksum } from "./canonical.ts";
import { command, engineBin, python, sparkJars, versions } from "./tools.ts";

const partitions = 3;
const maintenanceRounds = 8;
const directory = mkdtempSync(join(tmpdir(), "inlet-maintenance-"));
const columns = ["_kafka_partition", "_kafka_offset"];
let broker: InletBroker;
let spark: string;
let request: Readonly<Record<string, unknown>>;

beforeAll(async () => {
  spark = await python("spark", [`pyspark==${versions.pyspark}`, "pyarrow==22.0.0", "pandas==2.3.3"]);
  const libs = await sparkJars();
  broker = await startInlet({
    directory,
    name: "inlet-maintenance",
    config: {
      lake: { catalogs: { main: { type: "embedded" } } },
      table: { manifest: { merge: { count: { min: 5 } } }, expired: { grace: { ms: 2000 } } },
      topics: {
        orders: {
          table: { catalog: "main", name: "lake.orders" },
          value: { decode: "json" },
          commit: { every: "1s" },
          maintain: { expire: "60s", keep: 2 },
        },
      },
    },
  });
  request = {
    uri: broker.catalog,
    warehouse: "main",
    s3: null,
    namespace: "lake",
    tables: [{ name: "orders", columns }],
    jars: readdirSync(libs).map((name) => join(libs, name)),
    rounds: maintenanceRounds,
  };
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

interface Outcome {
  readonly done: number;
  readonly failed: number;
  readonly errors: readonly string[];
  readonly result: Readonly<Record<string, number>>;
}

test("Spark looks after a table that the broker goes on writing", async () => {
  const producer = await openProducer();
  let produced = await sendBatch(producer, 0);
  await flush();
  let isMaintained = false;
  const maintaining = answerOf<Record<string, Outcome>>(spark, ["maintenance.py"]).finally(() => {
    isMaintained = true;
  });
  while (!isMaintained) produced = await sendBatch(producer, produced);
  const maintained = await maintaining;
  await producer.disconnect();
  await flush();
  process.stdout.write(`${produced} records produced; Spark: ${JSON.stringify(maintained)}\n`);
  for (const [call, { done, errors }] of Object.entries(maintained))
    expect(done, `${call}: ${errors[0]}`).toBeGreaterThan(0);
  expect(maintained["rewrite_data_files"]?.result["rewritten_data_files_count"]).toBeGreaterThan(10);

  const expected = new TableChecksum();
  for (let index = 0; index < produced; index += 1) {
    expected.add([BigInt(index % partitions), BigInt(Math.floor(index / partitions))]);
  }
  const engines = await engineBin();
  for (const [engine, bin] of [
    ["pyiceberg", engines],
    ["duckdb", engines],
    ["spark", spark],
  ] as const) {
    const answer = await answerOf<{ readonly orders: object }>(bin, ["engine.py", engine]);
    expect(answer.orders, engine).toMatchObject(expected.result());
  }
  expect(await verification()).toMatchObject({ state: "done", result: { verdict: "equal", rows: produced } });
});

/** What `inlet table verify` says. */
async function verification(): Promise<unknown> {
  const url = `${broker.http}/v1/tables/orders/verify`;
  await fetch(url, { method: "POST" });
  for (;;) {
    const state = (await (await fetch(url)).json()) as { readonly state: string };
    if (state.state !== "running") return state;
  }
}

async function openProducer(): Promise<Producer> {
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: "orders", numPartitions: partitions }] });
  await admin.disconnect();
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  return producer;
}

/** To the partitions in turn, so that each place is known from the count. */
async function sendBatch(producer: Producer, from: number): Promise<number> {
  const messages = Array.from({ length: 30 }, (_, index) => ({
    value: JSON.stringify({ id: from + index }),
    partition: (from + index) % partitions,
  }));
  await producer.send({ topic: "orders", acks: -1, messages });
  return from + messages.length;
}

async function flush(): Promise<void> {
  const flushed = await fetch(`${broker.http}/v1/tables/orders/flush`, { method: "POST" });
  expect(flushed.status, await flushed.text()).toBe(200);
}

async function answerOf<T>(bin: string, [script, ...args]: readonly [string, ...string[]]): Promise<T> {
  const output = await command(join(bin, "python"), [join(import.meta.dirname, script), ...args], {
    input: JSON.stringify(request),
    env: { JAVA_TOOL_OPTIONS: "" },
  });
  const line = output.split("\n").find((one) => one.startsWith("ANSWER "));
  if (line === undefined) throw new Error(`${script} gave no answer: ${output.slice(-2000)}`);
  return JSON.parse(line.slice("ANSWER ".length)) as T;
}
