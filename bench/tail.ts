/**
 * What a reader of the past costs the reader at the end: a producer at a steady rate, a consumer that waits at the end, and the
 * time from send to receipt. In every other second another process reads the topic from its beginning as fast as it is given it, at
 * the lowest priority, so that what is seen is what it costs the broker, not how the system shares a processor between clients.
 * Seconds with and without it alternate, so that what else the machine does is in both. The last line is
 * `tail p99 change=X%`, with the share of the processor that went to the past.
 *
 *   npm run bench -- tail [pairs]
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildBatch } from "../src/protocol/records.ts";
import { startInlet } from "../test/support/inlet-process.ts";
import { RawClient } from "../test/support/raw-client.ts";
import { usage } from "./process-usage.ts";

const topic = "tail";
const pastBytes = 256 * 1024 * 1024;
const batchBytes = 64 * 1024;
const batchesPerSecond = 160; // 10 MB/s.
const turnMs = 1000;
/** Seconds that count for nobody: what runs once is compiled, caches are filled. */
const warmUpTurns = 6;

interface Turn {
  readonly isBeside: boolean;
  readonly delays: number[];
  readonly pastBytes: number;
  readonly cpuSeconds: number;
}

export async function benchTail(pairs: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "inlet-tail-"));
  const config = {
    stream: {
      upload: { interval: { ms: { max: 1000 } }, bytes: { max: "16MiB" } },
      log: { cache: { bytes: { max: "48MiB" } } },
    },
  };
  await using broker = await startInlet({ directory, config, name: "bench-tail" });
  const port = Number(broker.bootstrap.split(":")[1]);
  await using admin = await RawClient.open({ host: "127.0.0.1", port });
  const wanted = { name: topic, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
  await admin.call("createTopics", 4, { topics: [wanted], timeoutMs: 5000, validateOnly: false });
  await using producer = await RawClient.open({ host: "127.0.0.1", port });
  for (let sent = 0; sent < pastBytes; sent += batchBytes) await produce(producer);
  await using consumer = await RawClient.open({ host: "127.0.0.1", port });
  const reader = fork(fileURLToPath(import.meta.url), [String(port)]);
  await once(reader, "message");
  const turns = await run({ producer, consumer, reader, pid: broker.running.child.pid as number, pairs });
  reader.kill();
  for (const isBeside of [false, true]) print(isBeside, turns);
  const [alone, beside] = [false, true].map((isBeside) => quantile(delaysOf(turns, isBeside), 0.99)) as [
    number,
    number,
  ];
  console.log(`tail p99 change=${((beside / alone - 1) * 100).toFixed(0)}%`);
  rmSync(directory, { recursive: true });
}

interface Run {
  readonly producer: RawClient;
  readonly consumer: RawClient;
  readonly reader: ChildProcess;
  /** The broker's. */
  readonly pid: number;
  readonly pairs: number;
}

async function run({ producer, consumer, reader, pid, pairs }: Run): Promise<readonly Turn[]> {
  const turns: Turn[] = [];
  /** By offset, from the first of the run on. */
  const sent: { readonly atMs: number; readonly delays: number[] }[] = [];
  const first = (await produce(producer)) + 1;
  let isDone = false;
  const receiving = (async () => {
    for (let next = first; !isDone || next < first + sent.length; ) {
      const records = (await fetchFrom(consumer, next)) / batchLength;
      const nowMs = performance.now();
      for (let i = 0; i < records; i += 1) {
        const { atMs, delays } = sent[next - first + i] as (typeof sent)[number];
        delays.push(nowMs - atMs);
      }
      next += records;
    }
  })();
  for (let t = 0; t < warmUpTurns + 2 * pairs; t += 1) {
    const isBeside = t % 2 === 1;
    const delays: number[] = [];
    const cpuBefore = usage(pid).cpuSeconds;
    if (isBeside) reader.send("go");
    const startedMs = performance.now();
    for (let i = 0; i < (batchesPerSecond * turnMs) / 1000; i += 1) {
      await until(startedMs + (i * 1000) / batchesPerSecond);
      sent.push({ atMs: performance.now(), delays });
      await produce(producer);
    }
    let past = 0;
    if (isBeside) {
      reader.send("rest");
      [past] = (await once(reader, "message")) as [number];
    }
    turns.push({ isBeside, delays, pastBytes: past, cpuSeconds: usage(pid).cpuSeconds - cpuBefore });
  }
  isDone = true;
  await receiving;
  return turns.slice(warmUpTurns);
}

async function until(dueMs: number): Promise<void> {
  const leftMs = dueMs - performance.now();
  if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
}

function print(isBeside: boolean, turns: readonly Turn[]): void {
  const mine = turns.filter((turn) => turn.isBeside === isBeside);
  const delays = delaysOf(turns, isBeside);
  const seconds = (mine.length * turnMs) / 1000;
  const sum = (of: (turn: Turn) => number): number => mine.reduce((total, turn) => total + of(turn), 0);
  const figures = [0.5, 0.99, 0.999].map(
    (share, i) => `${["p50", "p99", "p99.9"][i]} ${quantile(delays, share).toFixed(1)} ms`,
  );
  const past = (sum((turn) => turn.pastBytes) / seconds / 1e6).toFixed(0);
  const cpu = ((sum((turn) => turn.cpuSeconds) / seconds) * 100).toFixed(0);
  console.log(
    `${isBeside ? "beside" : "alone "}  ${delays.length} delivered, ${figures.join(", ")}; the past ${past} MB/s; the broker's processor ${cpu} %`,
  );
}

function delaysOf(turns: readonly Turn[], isBeside: boolean): readonly number[] {
  return turns.filter((turn) => turn.isBeside === isBeside).flatMap((turn) => turn.delays);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

const batch = buildBatch({ records: [{ timestamp: 0, key: null, value: Buffer.alloc(batchBytes, 1) }] });
const batchLength = batch.length;

async function produce(client: RawClient): Promise<number> {
  const topicData = [{ name: topic, partitionData: [{ index: 0, records: Uint8Array.from(batch) }] }];
  const answer = await client.call("produce", 8, { transactionalId: null, acks: -1, timeoutMs: 30_000, topicData });
  const partition = answer.responses[0]?.partitionResponses[0];
  if (partition?.errorCode !== 0) throw new Error(`produce answered ${partition?.errorCode}`);
  return partition.baseOffset;
}

/** Bytes of the records from the offset on. */
async function fetchFrom(client: RawClient, fetchOffset: number, maxBytes = 4_000_000): Promise<number> {
  const at = { partition: 0, currentLeaderEpoch: -1, fetchOffset, logStartOffset: -1, partitionMaxBytes: maxBytes };
  const answer = await client.call("fetch", 11, {
    replicaId: -1,
    maxWaitMs: 500,
    minBytes: 1,
    maxBytes,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [{ topic, partitions: [at] }],
    forgottenTopicsData: [],
    rackId: "",
  });
  const records = answer.responses[0]?.partitions[0]?.records ?? [];
  return records.reduce((sum, view) => sum + view.length, 0);
}

/** The process that reads the past, from the beginning to what was there first, again and again, while it is told to. */
async function readPast(port: number): Promise<void> {
  setPriority(constants.priority.PRIORITY_LOW);
  await using client = await RawClient.open({ host: "127.0.0.1", port });
  const end = pastBytes / batchBytes;
  let next = 0;
  let isReading = false;
  let total = 0;
  const read = async (): Promise<void> => {
    while (isReading) {
      const bytes = await fetchFrom(client, next, 1_000_000);
      total += bytes;
      next = next + bytes / batchLength >= end ? 0 : next + bytes / batchLength;
    }
    process.send?.(total);
    total = 0;
  };
  process.on("message", (told) => {
    isReading = told === "go";
    if (isReading) read().catch(() => process.exit(1));
  });
  process.send?.("ready");
  await once(process, "disconnect");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await readPast(Number(process.argv[2]));
