/**
 * What a producer waits for an ack with each kind of WAL, beside what the disk or the store takes for one durable write of what
 * the WAL writes at once. By turns of a second, so that the machine is the same for both.
 *
 *   npm run bench -- wal
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KiB } from "../src/base/settings.ts";
import { buildBatch } from "../src/protocol/records.ts";
import { startInlet } from "../test/support/inlet-process.ts";
import { RawClient } from "../test/support/raw-client.ts";

const topic = "wal";
const batchBytes = 16 * KiB;
/** 3.2 MB/s, each ack waited for by a connection of its own. */
const batchesPerSecond = 200;
const connections = 100;
const turns = 8;
const slotIntervalMs = 250;

export async function benchWalKinds(): Promise<void> {
  console.log(
    "acks: 16 KiB batches, 200 a second; beside them one durable write at a time of as much as the WAL writes at once",
  );
  console.log("WAL         interval   ack p50 ms   ack p99 ms   one write        p50 ms   p99 ms");
  for (const kind of ["file", "object", "replicated"]) await measure(kind);
}

async function measure(kind: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "inlet-wal-"));
  try {
    await using broker = await startInlet({ directory, config: { wal: { kind } }, name: "bench-wal" });
    const port = Number(broker.bootstrap.split(":")[1]);
    const clients = await Promise.all(
      Array.from({ length: connections }, () => RawClient.open({ host: "127.0.0.1", port })),
    );
    await createTopic(clients[0] as RawClient);
    const acks: number[] = [];
    const writes: number[] = [];
    // What is at once on its way: in the file a group of a few batches, in the store what comes in an interval.
    const writeBytes = kind === "file" ? 4 * batchBytes : (batchBytes * batchesPerSecond * slotIntervalMs) / 1000;
    const probe = join(directory, "probe");
    mkdirSync(probe);
    await load(clients, []); // Compiles what runs, and fills the first segments.
    for (let turn = 0; turn < turns; turn += 1) {
      await load(clients, acks);
      const endMs = performance.now() + 1000;
      for (let i = 0; performance.now() < endMs; i += 1)
        writes.push(
          kind === "file" ? await syncedWrite(probe, i, writeBytes) : await put(probe, i + turn * 1e6, writeBytes),
        );
    }
    const what = kind === "file" ? "write, fdatasync" : "PUT, a directory";
    const columns = [kind.padEnd(11), (kind === "file" ? "none" : `${slotIntervalMs} ms`).padStart(8)];
    for (const share of [0.5, 0.99]) columns.push(at(acks, share).padStart(12));
    columns.push(`  ${what}`);
    for (const share of [0.5, 0.99]) columns.push(at(writes, share).padStart(8));
    console.log(columns.join(" "));
    for (const client of clients) await client[Symbol.asyncDispose]();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function createTopic(client: RawClient): Promise<void> {
  const wanted = { name: topic, numPartitions: 16, replicationFactor: 1, assignments: [], configs: [] };
  await client.call("createTopics", 4, { topics: [wanted], timeoutMs: 5000, validateOnly: false });
}

/** A second's worth of batches, each sent when it is due. */
async function load(clients: readonly RawClient[], delays: number[]): Promise<void> {
  const startMs = performance.now();
  let due = 0;
  const sending = async (client: RawClient): Promise<void> => {
    while (due < batchesPerSecond) {
      const number = due;
      due += 1;
      await until(startMs + (number * 1000) / batchesPerSecond);
      const sentMs = performance.now();
      const data = { name: topic, partitionData: [{ index: number % 16, records: Uint8Array.from(batch) }] };
      const answer = await client.call("produce", 8, {
        transactionalId: null,
        acks: -1,
        timeoutMs: 30_000,
        topicData: [data],
      });
      const code = answer.responses[0]?.partitionResponses[0]?.errorCode;
      if (code !== 0) throw new Error(`produce answered ${code}`);
      delays.push(performance.now() - sentMs);
    }
  };
  await Promise.all(clients.map(sending));
}

async function until(dueMs: number): Promise<void> {
  const leftMs = dueMs - performance.now();
  if (leftMs > 0) await new Promise((resume) => setTimeout(resume, leftMs));
}

/** Over what is there already, as the WAL writes into segments that it made before. */
async function syncedWrite(directory: string, number: number, bytes: number): Promise<number> {
  await using file = await open(join(directory, "segment"), number === 0 ? "w" : "r+");
  const body = Buffer.alloc(bytes, 7);
  if (number === 0) await file.write(Buffer.alloc(64 * bytes), 0, 64 * bytes, 0);
  await file.sync();
  const startMs = performance.now();
  await file.write(body, 0, bytes, (number % 64) * bytes);
  await file.datasync();
  return performance.now() - startMs;
}

/** What the store in a directory does for an object: a new file, synced, and its name with it. */
async function put(directory: string, number: number, bytes: number): Promise<number> {
  const startMs = performance.now();
  await using file = await open(join(directory, String(number)), "wx");
  await file.write(Buffer.alloc(bytes, 7));
  await file.datasync();
  await using parent = await open(directory, "r");
  await parent.sync();
  return performance.now() - startMs;
}

function at(values: readonly number[], share: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(1);
}

const batch = buildBatch({ records: [{ timestamp: 0, key: null, value: Buffer.alloc(batchBytes, 1) }] });
