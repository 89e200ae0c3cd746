/**
 * kill -9 (or SIGTERM) at random moments under idempotent load, again and again, then one full read: no record that was acked is lost
 * or doubled, each producer's order holds, committed group offsets never go back, and the topic's table, which is committed
 * all the while, holds each record of the log once. Real processes, a stock client.
 *
 *   node test/crash/kill-cycles.ts [--cycles 50] [--seed N] [--wal file|object|replicated|all]
 *
 * A cycle is mostly a wait for a process to start, so all kinds run side by side in little more than the time of one.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { Kafka, logLevel, type Producer } from "kafkajs";
import { open as openRestCatalog } from "../../catalogs/rest.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { systemDisk } from "../../src/base/system-disk.ts";
import { openLocalObjectStore } from "../../src/object-store/local.ts";
import { currentFiles } from "../../src/table/tools/current-files.ts";
import { Warehouse } from "../../src/table/warehouse.ts";
import { type InletBroker, startInlet } from "../support/inlet-process.ts";
import { freePort } from "../support/processes.ts";
import { RawClient } from "../support/raw-client.ts";
import { seededRandom, silent } from "../support/seeded.ts";

export const topic = "crash";
export const partitions = 3;
const producers = 2;
const group = "crash-group";

const walKinds = ["file", "object", "replicated"] as const;
export type WalKind = (typeof walKinds)[number];

export interface CrashReport {
  readonly seed: number;
  readonly cycles: number;
  readonly acked: number;
  readonly read: number;
  readonly rows: number;
  readonly commits: number;
  /** Longest time from a signal to the end of the process. */
  readonly stopMsMax: number;
  /** Empty when the promise held. */
  readonly violations: readonly string[];
}

export async function runKillCycles(options: {
  readonly cycles: number;
  readonly seed: number;
  /** SIGKILL unless told otherwise. After SIGTERM the process must end with 0. */
  readonly signal?: "SIGKILL" | "SIGTERM";
  /** "file" unless told otherwise. */
  readonly wal?: WalKind;
  readonly log?: (line: string) => void;
}): Promise<CrashReport> {
  const random = seededRandom(options.seed);
  const signal = options.signal ?? "SIGKILL";
  const directory = mkdtempSync(join(tmpdir(), "inlet-crash-"));
  // The same port every time, so that clients find the broker again; small generations, so that kills hit uploads too.
  const kafkaPort = await freePort();
  const config = {
    lake: { catalogs: { main: { type: "embedded" } } },
    topics: {
      [topic]: { table: { catalog: "main", name: "lake.crash" }, value: { decode: "string" }, commit: { every: "1s" } },
    },
    stream: { upload: { interval: { ms: { max: 500 } } } },
    // Slots are small in this load: below this bound some are committed as they are, and some are uploaded again.
    wal: { kind: options.wal ?? "file", reference: { bytes: { min: "4KiB" } } },
  };
  const start = (): Promise<InletBroker> =>
    startInlet({ directory, kafkaPort, config, name: `crash-${config.wal.kind}` });
  let broker = await start();
  const kafka = new Kafka({
    brokers: [broker.bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { retries: 1000, initialRetryTime: 50, maxRetryTime: 250 },
    connectionTimeout: 1000,
  });
  try {
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions }] });
    await admin.disconnect();
    const stop = new AbortController();
    const loads = (await connectProducers(kafka)).map((producer, index) => load(producer, index, stop.signal));
    const committing = commitLoop(kafkaPort, stop.signal);
    const ends: Ended[] = [];
    for (let cycle = 1; cycle <= options.cycles; cycle += 1) {
      await pause(150 + Math.floor(random.unit() * 900));
      ends.push(await ended(broker, signal));
      await broker[Symbol.asyncDispose]();
      broker = await start();
      options.log?.(`cycle ${cycle} of ${options.cycles}`);
    }
    await pause(500);
    stop.abort();
    const acked = await Promise.all(loads);
    const commits = await committing;
    const read = await readAll(kafka, options.seed);
    const flushed = await fetch(`${broker.http}/v1/tables/${topic}/flush`, { method: "POST" });
    if (!flushed.ok) throw new Error(`the table cannot be committed: ${await flushed.text()}`);
    const rows = await tableRows(broker.catalog, join(directory, "data/warehouse"));
    const violations = [
      ...check(acked, read),
      ...(await checkCommits(kafka, commits)),
      ...checkTable(read, rows),
      ...ends.flatMap(({ code }) => (code === 0 || signal === "SIGKILL" ? [] : [`${signal} ended it with ${code}`])),
    ];
    return {
      seed: options.seed,
      cycles: options.cycles,
      acked: acked.reduce((sum, one) => sum + one.length, 0),
      read: read.reduce((sum, one) => sum + one.length, 0),
      rows: rows.length,
      commits: commits.length,
      stopMsMax: Math.max(...ends.map(({ ms }) => ms)),
      violations,
    };
  } finally {
    await broker[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  }
}

export interface Ended {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly ms: number;
}

export async function ended({ running: { child } }: InletBroker, signal: "SIGKILL" | "SIGTERM"): Promise<Ended> {
  const startedMs = performance.now();
  const exit = once(child, "exit");
  child.kill(signal);
  const [code] = (await exit) as [number | null];
  return { code, ms: performance.now() - startedMs };
}

/** They must be connected before a broker is killed: kafkajs gives up when a connection breaks while it asks for a producer id. */
export async function connectProducers(kafka: Kafka): Promise<readonly Producer[]> {
  const retry = { retries: 1000, initialRetryTime: 50, maxRetryTime: 250 };
  const connecting = Array.from({ length: producers }, async () => {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, retry });
    await producer.connect();
    return producer;
  });
  return await Promise.all(connecting);
}

/** Sends numbered values until told to stop; returns those that were acked. A send that fails for good ends the run. */
export async function load(
  producer: Producer,
  index: number,
  signal: AbortSignal,
  wasAcked: () => void = () => undefined,
): Promise<readonly string[]> {
  const acked: string[] = [];
  for (let next = 0; !signal.aborted; ) {
    const messages = Array.from({ length: 20 }, (_, at) => ({
      partition: (next + at) % partitions,
      value: `${index}-${next + at}`,
    }));
    await producer.send({ topic, acks: -1, messages });
    acked.push(...messages.map((message) => message.value));
    next += messages.length;
    wasAcked();
  }
  await producer.disconnect();
  return acked;
}

/** Commits growing offsets for partition 0 until told to stop; returns those that were acked. */
async function commitLoop(port: number, signal: AbortSignal): Promise<readonly number[]> {
  const acked: number[] = [];
  for (let offset = 1; !signal.aborted; ) {
    try {
      await using client = await RawClient.open({ host: "127.0.0.1", port });
      await client.call("findCoordinator", 1, { key: group, keyType: 0 }); // The first that asks makes the internal topic.
      while (!signal.aborted) {
        const committedOffset = offset;
        const partitions = [{ partitionIndex: 0, committedOffset, committedMetadata: "" }];
        const answer = await client.call("offsetCommit", 7, {
          groupId: group,
          memberId: "",
          topics: [{ name: topic, partitions }],
        });
        if (answer.topics[0]?.partitions[0]?.errorCode === 0) acked.push(committedOffset);
        offset += 1;
        await pause(5);
      }
    } catch {
      await pause(50); // The broker was killed: whether the last commit took effect is not known, so it is not counted.
    }
  }
  return acked;
}

/** All values of each partition in offset order. */
export async function readAll(kafka: Kafka, seed: number): Promise<readonly (readonly string[])[]> {
  const admin = kafka.admin();
  await admin.connect();
  const ends = new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, Number(high)]));
  await admin.disconnect();
  const values: string[][] = Array.from({ length: partitions }, () => []);
  const next = new Map([...ends.keys()].map((partition) => [partition, 0]));
  const consumer = kafka.consumer({ groupId: `read-${seed}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise<void>((resolve, reject) => {
    const finished = (): boolean => [...ends].every(([partition, end]) => (next.get(partition) ?? 0) >= end);
    if (finished()) resolve();
    consumer
      .run({
        eachMessage: async ({ partition, message }) => {
          values[partition]?.push(message.value?.toString() ?? "");
          next.set(partition, Number(message.offset) + 1);
          if (finished()) resolve();
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  return values;
}

async function checkCommits(kafka: Kafka, acked: readonly number[]): Promise<readonly string[]> {
  const admin = kafka.admin();
  await admin.connect();
  const [fetched] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
  await admin.disconnect();
  const last = acked.at(-1) ?? -1;
  const kept = Number(fetched?.partitions.find((one) => one.partition === 0)?.offset ?? -1);
  return kept >= last && acked.length > 0 ? [] : [`group offset is ${kept}, acked was ${last}`];
}

interface TableRow {
  readonly partition: number;
  readonly offset: number;
  readonly value: string;
}

/** All rows of the table's current snapshot, as DuckDB reads its files. */
async function tableRows(catalogUrl: string, warehouseDirectory: string): Promise<readonly TableRow[]> {
  const runtime = systemRuntime();
  const root = pathToFileURL(warehouseDirectory).href;
  const store = await openLocalObjectStore({ directory: warehouseDirectory, disk: systemDisk, runtime });
  await using warehouse = new Warehouse({ mounts: new Map([[root, store]]) });
  const settings = {
    name: "main",
    uri: catalogUrl,
    warehouse: "main",
    auth: { kind: "none" } as const,
    accessDelegation: null,
  };
  const limits = { requestMsMax: 10_000, responseBytesMax: 2 ** 26 };
  await using catalog = openRestCatalog({ ...settings, properties: new Map() }, { runtime, logger: silent, limits });
  const files = await currentFiles(catalog, { namespace: ["lake"], name: "crash" }, warehouse);
  const duckdb = await (await DuckDBInstance.create()).connect();
  const list = files.map((file) => `'${fileURLToPath(file)}'`).join(", ");
  const sql = `SELECT _kafka_partition AS partition, _kafka_offset::DOUBLE AS offset, value FROM read_parquet([${list}])`;
  return (await duckdb.runAndReadAll(sql)).getRowObjectsJS() as unknown as readonly TableRow[];
}

/** The log's values by partition and offset against the table's rows. Exported for its own test. */
export function checkTable(read: readonly (readonly string[])[], rows: readonly TableRow[]): readonly string[] {
  const violations: string[] = [];
  const seen = new Set<string>();
  for (const { partition, offset, value } of rows) {
    const at = `${partition}@${offset}`;
    if (seen.has(at)) violations.push(`the table has ${at} twice`);
    if (read[partition]?.[offset] !== value)
      violations.push(`the table has ${value} at ${at}, the log ${read[partition]?.[offset]}`);
    seen.add(at);
  }
  for (const [partition, values] of read.entries()) {
    for (const offset of values.keys())
      if (!seen.has(`${partition}@${offset}`)) violations.push(`the table lacks ${partition}@${offset}`);
  }
  return violations;
}

/** What the values read say against the values acked. Exported for its own test. */
export function check(acked: readonly (readonly string[])[], read: readonly (readonly string[])[]): readonly string[] {
  const violations: string[] = [];
  const seen = new Set<string>();
  for (const [partition, values] of read.entries()) {
    const last = new Map<string, number>();
    for (const value of values) {
      const [producer, number] = value.split("-") as [string, string];
      if (seen.has(value)) violations.push(`${value} is there twice`);
      if ((last.get(producer) ?? -1) >= Number(number))
        violations.push(`${value} is out of order in partition ${partition}`);
      seen.add(value);
      last.set(producer, Number(number));
    }
  }
  for (const value of acked.flat()) if (!seen.has(value)) violations.push(`${value} was acked and is lost`);
  return violations;
}

function pause(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      cycles: { type: "string", default: "50" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      wal: { type: "string", default: "file" },
    },
  });
  console.log(`seed ${values.seed}`);
  const cycles = Number(values.cycles);
  const kinds = walKinds.filter((kind) => values.wal === kind || values.wal === "all");
  if (kinds.length === 0) throw new Error(`kinds of WAL: ${walKinds.join(", ")}, all`);
  const isGood = kinds.map(async (wal) => {
    const log = (line: string): void => console.log(`${wal}: ${line}`);
    const report = await runKillCycles({ cycles, seed: Number(values.seed), wal, log });
    log(JSON.stringify(report));
    return report.violations.length === 0 && report.acked > 0;
  });
  process.exitCode = (await Promise.all(isGood)).every(Boolean) ? 0 : 1;
}
