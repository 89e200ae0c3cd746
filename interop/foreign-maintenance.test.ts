/**
 * Proves: while the broker appends to tables and upserts into them, rewrites their files, joins their manifests and expires
 * their snapshots, Spark may do all of that to the same tables at the same time, and remove orphans too: afterwards `inlet
 * table verify` finds the append table equal to its log, the upsert table holds the last value of every key, and both go on.
 * Took eight minutes on two cores that had ten other things to do.
 */
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Kafka, logLevel, type Producer } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { checkout } from "../test/support/processes.ts";
import { seededRandom } from "../test/support/seeded.ts";
import { TableChecksum } from "./canonical.ts";
import { command, engineBin, python, sparkJars, versions } from "./tools.ts";

const partitions = 3;
const seconds = 60;
const keys = 200;
/** Ten times what it takes, for machines that do other things as well. */
const testMsMax = 1_500_000;
const seed = 20_262;
const random = seededRandom(seed);
const directory = mkdtempSync(join(tmpdir(), "inlet-maintenance-"));
const tables = [
  { name: "orders", columns: ["_kafka_partition", "_kafka_offset"] },
  { name: "accounts", columns: ["id", "balance"] },
];
let broker: InletBroker;
let spark: string;
let request: Readonly<Record<string, unknown>>;

const topic = { commit: { every: "1s" }, maintain: { expire: "60s", keep: 2 }, value: { decode: "json" } };

beforeAll(async () => {
  spark = await python("spark", [`pyspark==${versions.pyspark}`, "pyarrow==22.0.0", "pandas==2.3.3"]);
  const libs = await sparkJars();
  broker = await startInlet({
    directory,
    name: "inlet-maintenance",
    config: {
      lake: { catalogs: { main: { type: "embedded" } } },
      table: {
        manifest: { merge: { count: { min: 20 } } },
        expired: { grace: { ms: 2000 } },
        maintenance: { interval: { ms: 15_000 }, files: { min: 3 }, delete: { files: { min: 2 } } },
      },
      topics: {
        orders: { ...topic, table: { catalog: "main", name: "lake.orders" } },
        accounts: {
          ...topic,
          table: { catalog: "main", name: "lake.accounts" },
          key: { decode: "string" },
          mode: { write: "upsert", key: ["id"] },
        },
      },
    },
  });
  const jars = readdirSync(libs).map((name) => join(libs, name));
  request = { uri: broker.catalog, warehouse: "main", s3: null, namespace: "lake", tables, jars };
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
type Outcomes = Readonly<Record<string, Outcome>>;

/** What was produced, and what the tables must therefore hold. */
class Produced {
  readonly #producer: Producer;
  readonly #balances = new Map<string, number>();
  #orders = 0;

  constructor(producer: Producer) {
    this.#producer = producer;
  }

  get orders(): number {
    return this.#orders;
  }

  /** Orders go to the partitions in turn, so that each place is known from the count; a fifth of the accounts' changes delete. */
  async batch(): Promise<void> {
    const orders = Array.from({ length: 30 }, (_, index) => ({
      value: JSON.stringify({ id: this.#orders + index }),
      partition: (this.#orders + index) % partitions,
    }));
    await this.#producer.send({ topic: "orders", acks: -1, messages: orders });
    this.#orders += orders.length;
    const changes = Array.from({ length: 20 }, () => {
      const id = `account-${Math.floor(random.unit() * keys)}`;
      const balance = random.unit() < 0.2 ? null : Math.floor(random.unit() * 1_000_000);
      return { id, balance };
    });
    const messages = changes.map(({ id, balance }) => ({
      key: id,
      value: balance === null ? null : JSON.stringify({ id, balance }),
    }));
    await this.#producer.send({ topic: "accounts", acks: -1, messages });
    for (const { id, balance } of changes) {
      if (balance === null) this.#balances.delete(id);
      else this.#balances.set(id, balance);
    }
  }

  expected(): Readonly<Record<string, object>> {
    const orders = new TableChecksum();
    for (let index = 0; index < this.#orders; index += 1) {
      orders.add([BigInt(index % partitions), BigInt(Math.floor(index / partitions))]);
    }
    const accounts = new TableChecksum();
    for (const [id, balance] of this.#balances) accounts.add([id, balance]);
    return { orders: orders.result(), accounts: accounts.result() };
  }
}

test(
  `Spark looks after tables for ${seconds} seconds while the broker writes them and looks after them too`,
  async () => {
    const producer = await openProducer();
    const produced = new Produced(producer);
    await produced.batch();
    await flush();
    const lost = plantOrphans();
    let isMaintained = false;
    const maintaining = answerOf<Outcomes>(spark, ["maintenance.py"], { seconds }).finally(() => {
      isMaintained = true;
    });
    while (!isMaintained) await produced.batch();
    const maintained = await maintaining;
    for (let after = 0; after < 10; after += 1) await produced.batch();
    await flush();
    const own = await ownMaintenance();
    process.stdout.write(`${produced.orders} orders; Spark: ${JSON.stringify(maintained)}\nInlet: ${own.join(" ")}\n`);
    for (const [call, { done, errors }] of Object.entries(maintained))
      expect(done, `${call}: ${errors[0]}`).toBeGreaterThanOrEqual(tables.length);
    expect(maintained["rewrite_data_files"]?.result["rewritten_data_files_count"]).toBeGreaterThan(10);
    expect(own.length, "the broker has rewritten files as well").toBeGreaterThan(0);
    const left = new Set(allFiles());
    expect(lost.filter((path) => left.has(path))).toEqual([]);
    await everybodyReads(produced);
    expect(await inlet("table", "verify", "orders")).toContain("equal: every row");

    // At rest every file is old, and who takes one for an orphan that is none breaks the table.
    for (const path of allFiles()) utimesSync(path, 1, 1);
    const planted = plantOrphans();
    const swept = await answerOf<Outcomes>(spark, ["maintenance.py"], {
      rounds: 1,
      calls: { remove_orphan_files: null },
    });
    expect(swept["remove_orphan_files"]).toMatchObject({ done: tables.length, failed: 0 });
    expect(swept["remove_orphan_files"]?.result["orphan_file_location"]).toBeGreaterThanOrEqual(planted.length);
    const [again] = plantOrphans();
    for (const { name } of tables) {
      const said = await inlet("table", "orphans", name, "--delete", "--older-than", "1d");
      process.stdout.write(`${name}: ${said}`);
    }
    expect(allFiles()).not.toContain(again);
    await produced.batch();
    await flush();
    await producer.disconnect();
    await everybodyReads(produced);
    expect(await inlet("table", "verify", "orders")).toContain("equal: every row");
  },
  testMsMax,
);

async function everybodyReads(produced: Produced): Promise<void> {
  const expected = produced.expected();
  const engines = await engineBin();
  for (const [engine, bin, names] of [
    ["pyiceberg", engines, ["orders"]], // It reads no equality deletes.
    ["duckdb", engines, ["orders", "accounts"]],
    ["spark", spark, ["orders", "accounts"]],
  ] as const) {
    const asked = { tables: tables.filter(({ name }) => (names as readonly string[]).includes(name)) };
    const answer = await answerOf<Record<string, object>>(bin, ["engine.py", engine], asked);
    for (const name of names)
      expect(answer[name], `${engine} ${name}, seed ${seed}`).toMatchObject(expected[name] as object);
  }
}

/** One below each directory of each table, older than anybody's patience. */
function plantOrphans(): readonly string[] {
  const files = allFiles().filter((path) => /\/(orders|accounts)-[^/]*\//.test(path));
  const directories = new Set(files.map((path) => dirname(path)));
  return [...directories].map((each) => {
    const path = join(each, "lost.parquet");
    writeFileSync(path, "lost");
    utimesSync(path, 1, 1);
    return path;
  });
}

/** Of both tables. */
function allFiles(): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(?:parquet|avro|metadata\.json)$/.test(name))
    .map((name) => join(directory, name));
}

/** Series of files that the broker itself took out of tables. */
async function ownMaintenance(): Promise<readonly string[]> {
  const text = await (await fetch(`${broker.http}/metrics`)).text();
  return text.split("\n").filter((line) => /^inlet_table_maintenance_files_total\{.*\} [1-9]/.test(line));
}

function inlet(...args: readonly string[]): Promise<string> {
  return command(join(checkout, "bin/inlet"), ["--admin", broker.http, ...args]);
}

async function openProducer(): Promise<Producer> {
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: tables.map(({ name }) => ({ topic: name, numPartitions: partitions })) });
  await admin.disconnect();
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  return producer;
}

async function flush(): Promise<void> {
  for (const { name } of tables) {
    const flushed = await fetch(`${broker.http}/v1/tables/${name}/flush`, { method: "POST" });
    expect(flushed.status, await flushed.text()).toBe(200);
  }
}

async function answerOf<T>(
  bin: string,
  [script, ...args]: readonly [string, ...string[]],
  more: Readonly<Record<string, unknown>> = {},
): Promise<T> {
  const output = await command(join(bin, "python"), [join(import.meta.dirname, script), ...args], {
    input: JSON.stringify({ ...request, ...more }),
    env: { JAVA_TOOL_OPTIONS: "" },
  });
  const line = output.split("\n").find((one) => one.startsWith("ANSWER "));
  if (line === undefined) throw new Error(`${script} gave no answer: ${output.slice(-2000)}`);
  return JSON.parse(line.slice("ANSWER ".length)) as T;
}
