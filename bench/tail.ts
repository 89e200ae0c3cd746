/**
 * What a reader of the past costs the reader at the end: a producer at a steady rate, a consumer that waits at the end, and the
 * time from send to receipt, by turns with nobody else and with another process that reads the topic from its beginning as fast as it
 * can. The last line is `tail p99 change=X%`: the median over all pairs.
 *
 *   npm run bench -- tail [pairs]
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildBatch } from "../src/protocol/records.ts";
import { startInlet } from "../test/support/inlet-process.ts";
import { RawClient } from "../test/support/raw-client.ts";

const topic = "tail";
const pastBytes = 256 * 1024 * 1024;
const batchBytes = 64 * 1024;
const batchesPerSecond = 160; // 10 MB/s.
const secondsPerTurn = 8;

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
  const batch = buildBatch({ records: [{ timestamp: Date.now(), key: null, value: Buffer.alloc(batchBytes, 1) }] });
  for (let sent = 0; sent < pastBytes; sent += batchBytes) await produce(producer, batch);
  await using consumer = await RawClient.open({ host: "127.0.0.1", port });
  console.log("turn       delivered   p50 ms   p99 ms   max ms   past MB/s");
  const changes: number[] = [];
  await turn("warm-up", { producer, consumer, port, batch, isReadingPast: false });
  for (let pair = 0; pair < pairs; pair += 1) {
    const alone = await turn("alone", { producer, consumer, port, batch, isReadingPast: false });
    const beside = await turn("beside", { producer, consumer, port, batch, isReadingPast: true });
    changes.push((beside / alone - 1) * 100);
  }
  changes.sort((a, b) => a - b);
  console.log(`tail p99 change=${(changes[Math.floor(changes.length / 2)] ?? Number.NaN).toFixed(0)}%`);
  rmSync(directory, { recursive: true });
}

interface Turn {
  readonly producer: RawClient;
  readonly consumer: RawClient;
  readonly port: number;
  readonly batch: Uint8Array;
  readonly isReadingPast: boolean;
}

/** The p99 of one turn. */
async function turn(name: string, options: Turn): Promise<number> {
  const reader = options.isReadingPast ? fork(fileURLToPath(import.meta.url), [String(options.port)]) : undefined;
  if (reader !== undefined) await once(reader, "message");
  const sentMs: number[] = [];
  const first = await produce(options.producer, options.batch);
  const count = batchesPerSecond * secondsPerTurn;
  const sending = (async () => {
    const startedMs = performance.now();
    for (let i = 0; i < count; i += 1) {
      const dueMs = startedMs + (i * 1000) / batchesPerSecond;
      if (dueMs > performance.now())
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
      sentMs.push(performance.now());
      await produce(options.producer, options.batch);
    }
  })();
  const delays: number[] = [];
  for (let next = first + 1; next <= first + count; ) {
    const bytes = await fetchFrom(options.consumer, next);
    const nowMs = performance.now();
    const records = Math.floor(bytes / options.batch.length);
    for (let i = 0; i < records; i += 1) delays.push(nowMs - (sentMs[next - first - 1 + i] as number));
    next += records;
  }
  await sending;
  let pastRate = 0;
  if (reader !== undefined) {
    reader.send("stop");
    [pastRate] = (await once(reader, "message")) as [number];
    reader.disconnect();
  }
  delays.sort((a, b) => a - b);
  const at = (share: number): number =>
    delays[Math.min(delays.length - 1, Math.floor(share * delays.length))] as number;
  const figures = [at(0.5), at(0.99), at(1)].map((ms) => ms.toFixed(1).padStart(9));
  console.log(
    `${name.padEnd(10)} ${String(delays.length).padStart(9)}${figures.join("")}   ${(pastRate / 1e6).toFixed(0).padStart(9)}`,
  );
  return at(0.99);
}

async function produce(client: RawClient, records: Uint8Array): Promise<number> {
  const topicData = [{ name: topic, partitionData: [{ index: 0, records: Uint8Array.from(records) }] }];
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

/** The process that reads the past: from the beginning to what was there first, again and again, until told to stop. */
async function readPast(port: number): Promise<void> {
  await using client = await RawClient.open({ host: "127.0.0.1", port });
  let isStopped = false;
  process.once("message", () => {
    isStopped = true;
  });
  process.send?.("ready");
  const startedMs = performance.now();
  let total = 0;
  const recordBytes = buildBatch({
    records: [{ timestamp: Date.now(), key: null, value: Buffer.alloc(batchBytes) }],
  }).length;
  const end = pastBytes / batchBytes;
  for (let next = 0; !isStopped; ) {
    const bytes = await fetchFrom(client, next, 1_000_000);
    total += bytes;
    next = next + bytes / recordBytes >= end ? 0 : next + Math.floor(bytes / recordBytes);
  }
  process.send?.(total / ((performance.now() - startedMs) / 1000));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await readPast(Number(process.argv[2]));
