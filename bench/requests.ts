/**
 * Requests to the object store per GiB written, by kind, and what they cost, of a whole broker that takes 50 MiB/s. What it
 * counts is its own metrics; the store is a directory, so that no network is in the way. A count does not depend on how
 * fast the machine is, as long as it keeps up (the rate that was reached is printed).
 *
 *   npm run bench -- requests [seconds] [--set wal.kind=object]...
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import type { Offset } from "../src/base/ids.ts";
import { MiB } from "../src/base/settings.ts";
import { type RequestName, requestClass } from "../src/object-store/prices.ts";
import { encodeBatch } from "../src/protocol/record-batch.ts";
import { startInlet } from "../test/support/inlet-process.ts";
import { RawClient } from "../test/support/raw-client.ts";

const topic = "requests";
const partitions = 64;
const bytesPerSecond = 50 * MiB;
const batchBytes = 256 * 1024;
/** As many batches wait for their answer at most: two seconds' worth. */
const connections = 400;

/** What others publish: see docs/object-stores.md for where. */
const published = [
  ["AutoMQ, S3 WAL, 1 GiB/s, from its published monthly bill", 305],
  ["AutoMQ, EBS WAL, 500 MB/s, from its published cost explanation", 302],
] as const;

export async function benchRequests(seconds: number, settings: readonly string[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "inlet-requests-"));
  try {
    await using inlet = await startInlet({ directory, config: configOf(settings), name: "inlet-requests" });
    await createTopic(inlet.bootstrap);
    const before = await scrape(inlet.http);
    const bytes = await produce(inlet.bootstrap, seconds);
    await uploaded(inlet.http);
    const after = await scrape(inlet.http);
    print({ before, after, gib: bytes / 2 ** 30, seconds, settings });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** "wal.kind=object" is wal: { kind: object }; only one level below a section is wanted here, the rest stays dotted. */
function configOf(settings: readonly string[]): Record<string, unknown> {
  const config: Record<string, unknown> = {};
  for (const setting of settings) {
    const [key, value] = setting.split(/=(.*)/s) as [string, string];
    const names = key.split(".");
    let at = config;
    for (const name of names.slice(0, -1)) at = (at[name] ??= {}) as Record<string, unknown>;
    at[names.at(-1) as string] = value;
  }
  return config;
}

async function createTopic(bootstrap: string): Promise<void> {
  const admin = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR }).admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true });
  await admin.disconnect();
}

/**
 * Returns the bytes that were acked. A batch is sent when it is due, whether those before it were answered or not, as long as
 * not too many wait: with a WAL in the object store an answer takes as long as a slot.
 */
async function produce(bootstrap: string, seconds: number): Promise<number> {
  const [host, port] = bootstrap.split(":") as [string, string];
  const records = batch();
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  let due = 0;
  let acked = 0;
  const produceOn = async (): Promise<void> => {
    await using client = await RawClient.open({ host, port: Number(port) });
    while (performance.now() < endMs) {
      const number = due;
      due += 1;
      await until(Math.min(endMs, startMs + ((number * records.length) / bytesPerSecond) * 1000));
      await send(client, number % partitions, records);
      acked += records.length;
    }
  };
  await Promise.all(Array.from({ length: connections }, produceOn));
  return acked;
}

async function until(dueMs: number): Promise<void> {
  const leftMs = dueMs - performance.now();
  if (leftMs > 0) await new Promise((resume) => setTimeout(resume, leftMs));
}

async function send(client: RawClient, index: number, records: Uint8Array): Promise<void> {
  const data = { name: topic, partitionData: [{ index, records }] };
  for (;;) {
    const answer = await client.call("produce", 9, { acks: -1, timeoutMs: 30_000, topicData: [data] });
    const code = answer.responses[0]?.partitionResponses[0]?.errorCode;
    if (code === 0) return;
    await until(performance.now() + 100); // Held back, or not open yet: as a client would.
  }
}

/** One record that fills the batch: what is counted here does not look inside. */
function batch(): Uint8Array {
  const value = new Uint8Array(batchBytes);
  for (let at = 0; at < value.length; at += 1) value[at] = (at * 2_654_435_761) >>> 24;
  const body = Buffer.concat([Buffer.of(0, 0, 0, 1), varint(value.length), value, Buffer.of(0)]);
  return encodeBatch({
    baseOffset: 0 as Offset,
    leaderEpoch: -1,
    compression: "none",
    timestampType: "create",
    isTransactional: false,
    isControl: false,
    hasDeleteHorizon: false,
    lastOffsetDelta: 0,
    baseTimestamp: Date.now(),
    maxTimestamp: Date.now(),
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordCount: 1,
    records: Buffer.concat([varint(body.length), body]),
  });
}

/** Zigzag, as Kafka writes lengths. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value * 2;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

async function uploaded(http: string): Promise<void> {
  for (;;) {
    const left = [...(await scrape(http))].find(([name]) => name === "inlet_uncommitted_bytes")?.[1] ?? 0;
    if (left === 0) return;
    await new Promise((resume) => setTimeout(resume, 500));
  }
}

/** Values by name and labels, as they are written. */
async function scrape(http: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${http}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

function print(run: {
  readonly before: ReadonlyMap<string, number>;
  readonly after: ReadonlyMap<string, number>;
  readonly gib: number;
  readonly seconds: number;
  readonly settings: readonly string[];
}): void {
  const grown = (name: string): number => (run.after.get(name) ?? 0) - (run.before.get(name) ?? 0);
  const rate = ((run.gib * 1024) / run.seconds).toFixed(1);
  console.log(
    `${run.gib.toFixed(2)} GiB at ${rate} MiB/s into ${partitions} partitions; ${run.settings.join(" ") || "defaults"}`,
  );
  console.log("request                class    per GiB");
  let writes = 0;
  for (const [operation, priced] of Object.entries(requestClass) as [RequestName, string][]) {
    const count = [...run.after.keys()]
      .filter((name) => name.startsWith("inlet_store_requests_total{") && name.includes(`operation="${operation}"`))
      .reduce((sum, name) => sum + grown(name), 0);
    if (priced === "write") writes += count;
    if (count > 0)
      console.log(`${operation.padEnd(22)} ${priced.padEnd(8)} ${(count / run.gib).toFixed(1).padStart(7)}`);
  }
  const dollars = ["write", "read", "delete", "in", "out"].reduce(
    (sum, each) => sum + grown(`inlet_store_dollars_total{class="${each}"}`),
    0,
  );
  const putDollars = 5e-6; // AWS's price of a PUT: what makes a sum of all kinds comparable.
  console.log(`all that is priced as PUT       ${(writes / run.gib).toFixed(1).padStart(7)}`);
  console.log(`money, in PUTs                  ${(dollars / putDollars / run.gib).toFixed(1).padStart(7)}`);
  console.log(`money, in dollars a TiB         ${((dollars / run.gib) * 1024).toFixed(4).padStart(7)}`);
  for (const [who, puts] of published) console.log(`  ${who}: ${puts} PUT-equivalents`);
}
