/**
 * Proves, with a real process whose disk fails: a WAL that cannot be written stops the node with an error and loses nothing
 * that was acked; a disk that is full is waited out, with produce refused, fetch served, and no restart.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Kafka, logLevel } from "kafkajs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { joined } from "../../src/base/bytes.ts";
import { BatchView } from "../../src/protocol/record-batch.ts";
import { RecordCursor } from "../../src/protocol/records.ts";
import { type InletBroker, startInlet } from "../support/inlet-process.ts";
import { RawClient } from "../support/raw-client.ts";

const topic = "orders";
let directory: string;
let faults: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-disk-"));
  faults = join(directory, "faults");
});
afterEach(() => rmSync(directory, { recursive: true }));

async function start(): Promise<InletBroker> {
  const preload = pathToFileURL(join(import.meta.dirname, "failing-disk.ts")).href;
  return await startInlet({
    directory,
    name: "failing-disk",
    env: { NODE_OPTIONS: `--import=${preload}`, INLET_TEST_FAULTS: faults },
    config: {
      wal: { segment: { bytes: "16MiB" }, bytes: { max: "64MiB" } },
      stream: { log: { cache: { bytes: { max: "16MiB" } } }, upload: { interval: { ms: { max: 500 } } } },
      log: { lane: { wait: { ms: { max: 500 } } } },
    },
  });
}

function client(broker: InletBroker): Kafka {
  return new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 0 } });
}

/** Sends the values one by one and tells each outcome. */
async function send(broker: InletBroker, values: readonly string[], timeout = 5000): Promise<("acked" | "refused")[]> {
  const producer = client(broker).producer({ allowAutoTopicCreation: true, retry: { retries: 0 } });
  await producer.connect();
  const outcomes: ("acked" | "refused")[] = [];
  for (const value of values) {
    const sent = producer.send({ topic, acks: -1, timeout, messages: [{ partition: 0, value }] });
    outcomes.push(
      await sent.then(
        () => "acked" as const,
        () => "refused" as const,
      ),
    );
  }
  await producer.disconnect();
  return outcomes;
}

/** The first eight characters of every record, which name it. Without a group: groups write to the WAL too. */
async function readAll(broker: InletBroker): Promise<string[]> {
  await using raw = await RawClient.open({ host: "127.0.0.1", port: Number(broker.bootstrap.split(":")[1]) });
  const found: string[] = [];
  for (;;) {
    const at = { partition: 0, currentLeaderEpoch: -1, fetchOffset: found.length, partitionMaxBytes: 4_000_000 };
    const topics = [{ topic, partitions: [{ ...at, logStartOffset: -1 }] }];
    const limits = { replicaId: -1, maxWaitMs: 0, minBytes: 0, maxBytes: 4_000_000, isolationLevel: 0 };
    const session = { sessionId: 0, sessionEpoch: -1, forgottenTopicsData: [], rackId: "" };
    const answer = await raw.call("fetch", 11, { ...limits, ...session, topics });
    const [partition] = answer.responses[0]?.partitions ?? [];
    expect(partition?.errorCode).toBe(0);
    const batches = partition?.records ?? [];
    if (batches.length === 0) return found;
    const bytes = joined(batches);
    for (let from = 0; from < bytes.length; ) {
      const length = 12 + new DataView(bytes.buffer, bytes.byteOffset + from + 8).getInt32(0); // It follows the offset.
      const batch = new BatchView(bytes.subarray(from, from + length));
      from += length;
      const cursor = new RecordCursor(batch.records, batch.recordCount);
      while (cursor.next()) found.push(Buffer.from(cursor.value?.subarray(0, 8) ?? []).toString());
    }
  }
}

const name = (at: number): string => `rec-${String(at).padStart(4, "0")}`;

describe.runIf(process.platform === "linux")("a disk that fails", () => {
  test("EIO of the WAL: nothing is acked any more, the process ends with an error, all that was acked is there once", async () => {
    await using broker = await start();
    await client(broker)
      .admin()
      .createTopics({ topics: [{ topic, numPartitions: 1 }] });
    const before = Array.from({ length: 20 }, (_, i) => name(i));
    expect(new Set(await send(broker, before))).toEqual(new Set(["acked"]));
    const exit = once(broker.running.child, "exit");
    writeFileSync(faults, "EIO /wal/\n");
    expect(await send(broker, [name(20)])).toEqual(["refused"]);
    expect((await exit)[0]).not.toBe(0);
    expect(broker.running.output()).toContain("the WAL failed and is sealed");
    writeFileSync(faults, "");
    await using again = await start();
    const found = await readAll(again);
    expect(found.slice(0, 20)).toEqual(before);
    expect(found.slice(20).every((one) => one === name(20)) && found.length <= 21).toBe(true); // It may be there after all.
    expect(await send(again, [name(21)])).toEqual(["acked"]);
  }, 60_000);

  test("ENOSPC for new WAL files and objects: refused with fetch going on, then healed without a restart", async () => {
    await using broker = await start();
    await client(broker)
      .admin()
      .createTopics({ topics: [{ topic, numPartitions: 1 }] });
    const values = Array.from({ length: 90 }, (_, i) => name(i).padEnd(1_000_000, "."));
    writeFileSync(faults, "ENOSPC .wal.new\nENOSPC /objects/\n");
    const acked: string[] = [];
    let refused = 0;
    for (const value of values) {
      const [outcome] = await send(broker, [value], 1500);
      if (outcome === "acked") acked.push(value.slice(0, 8));
      else refused += 1;
      if (refused === 3) break;
    }
    expect(refused).toBe(3);
    expect(acked.length).toBeGreaterThan(10); // What the WAL has room for already.
    const served = await readAll(broker);
    expect(served.slice(0, acked.length)).toEqual(acked);
    writeFileSync(faults, "");
    const late: ("acked" | "refused")[] = [];
    while (late.at(-1) !== "acked" && late.length < 30) late.push(...(await send(broker, [name(500)], 1500)));
    expect(late.at(-1)).toBe("acked");
    expect(broker.running.child.exitCode).toBeNull();
    const found = await readAll(broker);
    expect(found.slice(0, acked.length)).toEqual(acked);
    expect(new Set(found.filter((one) => one < name(500))).size).toBe(found.filter((one) => one < name(500)).length);
  }, 120_000);
});
