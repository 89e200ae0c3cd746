/**
 * Proves: from the bucket alone a cluster comes back with every record it had, and without what was deleted or trimmed; also
 * what the copy of its metadata had not seen yet, and, as far as objects tell, without any copy.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Admin, Kafka, logLevel } from "kafkajs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Broker, openBroker } from "../src/broker.ts";
import type { Rebuilt } from "../src/cli/rebuild-command.ts";
import { LogNotEmpty } from "../src/metadata/cas-log.ts";
import { rebuild } from "../src/rebuild.ts";
import { configOf, inProcess } from "./support/config.ts";

const partitions = 3;
let directory: string;
/** Each reads from the beginning: a rebuilt cluster remembers what a group has read. */
let readers = 0;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "inlet-rebuild-"));
});
afterEach(async () => await rm(directory, { recursive: true }));

type Settings = Readonly<Record<string, string>>;

const config = (more: Settings = {}) =>
  configOf("", { ...inProcess(directory), "group-initial-rebalance-delay-ms": "0", ...more });
const kafkaOf = (broker: Broker): Kafka => new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING });

async function withBroker<T>(work: (kafka: Kafka, broker: Broker) => Promise<T>, more: Settings = {}): Promise<T> {
  await using broker = await openBroker(config(more));
  await vi.waitFor(async () => expect((await fetch(`${broker.addresses.http}/health/ready`)).status).toBe(200)); // Partitions are open.
  return await work(kafkaOf(broker), broker);
}

async function withAdmin<T>(kafka: Kafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

async function createTopics(kafka: Kafka, ...topics: readonly string[]): Promise<void> {
  await withAdmin(kafka, (admin) =>
    admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: partitions })) }),
  );
}

async function produce(kafka: Kafka, topic: string, from: number, to: number): Promise<void> {
  const producer = kafka.producer();
  await producer.connect();
  for (let n = from; n < to; n += 50) {
    const messages = Array.from({ length: Math.min(50, to - n) }, (_, i) => ({
      partition: (n + i) % partitions,
      key: `k${(n + i) % 10}`,
      value: `${topic} ${n + i}`,
    }));
    await producer.send({ topic, acks: -1, messages });
  }
  await producer.disconnect();
}

/** Every record of the topic: "partition/offset key value", sorted. */
async function recordsOf(kafka: Kafka, topic: string): Promise<readonly string[]> {
  const offsets = await withAdmin(kafka, (admin) => admin.fetchTopicOffsets(topic));
  let missing = offsets.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0);
  if (missing === 0) return [];
  const found: string[] = [];
  const consumer = kafka.consumer({ groupId: `reader ${readers++}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: async ({ partition, message }) => {
          found.push(`${partition}/${message.offset} ${message.key?.toString()} ${message.value?.toString()}`);
          missing -= 1;
          if (missing === 0) resolve();
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  return found.toSorted();
}

/** Trimming what only the WAL holds uploads all that it holds. */
async function uploadAll(kafka: Kafka): Promise<void> {
  await createTopics(kafka, "_trimmed-to-upload");
  await produce(kafka, "_trimmed-to-upload", 0, 3);
  const partitions = [{ partition: 0, offset: "1" }];
  await withAdmin(kafka, async (admin) => {
    await admin.fetchTopicOffsets("_trimmed-to-upload"); // kafkajs deletes records only of topics that it has met.
    await admin.deleteTopicRecords({ topic: "_trimmed-to-upload", partitions });
  });
}

const topicsOf = (kafka: Kafka): Promise<readonly string[]> =>
  withAdmin(kafka, async (admin) => (await admin.listTopics()).filter((name) => !name.startsWith("_")).toSorted());

/** A life with two topics that stay, one of them trimmed, and one that goes. Returns what its consumers saw at the end. */
async function firstLife(more: Settings = {}) {
  return await withBroker(async (kafka, broker) => {
    await createTopics(kafka, "kept", "trimmed", "gone");
    for (const topic of ["kept", "trimmed", "gone"]) await produce(kafka, topic, 0, 400);
    await withAdmin(kafka, async (admin) => {
      await admin.deleteTopics({ topics: ["gone"] });
      await admin.deleteTopicRecords({
        topic: "trimmed",
        partitions: [
          { partition: 0, offset: "100" },
          { partition: 1, offset: "7" },
        ],
      });
    });
    return {
      kept: await recordsOf(kafka, "kept"),
      trimmed: await recordsOf(kafka, "trimmed"),
      offsets: { kept: broker.offsetsOf("kept"), trimmed: broker.offsetsOf("trimmed") },
    };
  }, more);
}

async function requireAsBefore(before: Awaited<ReturnType<typeof firstLife>>, more: Settings = {}): Promise<void> {
  await withBroker(async (kafka, broker) => {
    expect(await topicsOf(kafka)).toEqual(["kept", "trimmed"]);
    expect(await recordsOf(kafka, "kept")).toEqual(before.kept);
    expect(await recordsOf(kafka, "trimmed")).toEqual(before.trimmed);
    expect({ kept: broker.offsetsOf("kept"), trimmed: broker.offsetsOf("trimmed") }).toEqual(before.offsets);
    await produce(kafka, "kept", 400, 430); // And it is a cluster like any other.
    expect(await recordsOf(kafka, "kept")).toHaveLength(before.kept.length + 30);
  }, more);
}

const lose = (...parts: readonly string[]): Promise<void> => rm(join(directory, ...parts), { recursive: true });

describe("inlet rebuild", () => {
  test("brings back every record when the metadata log and the WAL are lost; what was deleted stays gone", async () => {
    const before = await firstLife();
    expect(before.kept).toHaveLength(400);
    expect(before.trimmed).toHaveLength(400 - 107);
    await lose("metadata");
    await lose("wal");
    const rebuilt = await rebuild(config(), undefined);
    expect(rebuilt.losses).toEqual([]);
    expect(rebuilt.recoveredTo).toBeGreaterThan(5);
    expect(rebuilt.objectsAdopted).toBe(0);
    await requireAsBefore(before);
  });

  test("a second time, after the rebuilt cluster has lived on", async () => {
    await firstLife();
    for (const _ of [1, 2]) {
      await lose("metadata");
      const { losses } = await rebuild(config(), undefined);
      expect(losses).toEqual([]);
      await withBroker((kafka) => produce(kafka, "kept", 0, 60));
    }
    expect(await keptNow()).toHaveLength(400 + 120);
  });

  test("takes in objects that are newer than the copy, and topics that only they know", async () => {
    const before = await firstLife();
    const quiet = { "metadata-mirror-enabled": "false" };
    const after = await withBroker(async (kafka) => {
      await createTopics(kafka, "newer");
      await produce(kafka, "newer", 0, 90);
      await produce(kafka, "kept", 400, 600);
      await uploadAll(kafka);
      return { kept: await recordsOf(kafka, "kept"), newer: await recordsOf(kafka, "newer") };
    }, quiet);
    expect(after.kept.length).toBe(before.kept.length + 200);
    await lose("metadata");
    await lose("wal");
    const rebuilt = await rebuild(config(), undefined);
    expect(rebuilt.objectsAdopted).toBeGreaterThan(0);
    expect(rebuilt.topicsMade).toContain("newer");
    await withBroker(async (kafka) => {
      expect(await topicsOf(kafka)).toEqual(["kept", "newer", "trimmed"]);
      expect(await recordsOf(kafka, "kept")).toEqual(after.kept);
      expect(await recordsOf(kafka, "newer")).toEqual(after.newer);
      expect(await recordsOf(kafka, "trimmed")).toEqual(before.trimmed);
    });
  });

  test("makes a cluster of objects alone, and says what that costs", async () => {
    const before = await firstLife();
    await lose("metadata");
    await lose("objects", "meta");
    const rebuilt = await rebuild(config(), undefined);
    expect(rebuilt.recoveredTo).toBe(0);
    expect(rebuilt.losses.join("\n")).toContain("no copy of the metadata");
    await withBroker(async (kafka) => {
      expect(await recordsOf(kafka, "kept")).toEqual(before.kept);
    });
  });

  test("reads a log that is in the bucket itself, and may put the new one elsewhere", async () => {
    const inBucket = { "metadata-url": "bucket" };
    const before = await firstLife(inBucket);
    expect(await readdir(join(directory, "objects", "meta"))).toContain("log");
    await expect(rebuild(config(inBucket), undefined)).rejects.toThrow(LogNotEmpty);
    const { losses } = await rebuild(config(), undefined);
    expect(losses).toEqual([]);
    await requireAsBefore(before);
  });

  test("makes a log in the bucket that a node can go on with", async () => {
    const before = await firstLife();
    await lose("metadata");
    const inBucket = { "metadata-url": "bucket" };
    const rebuilt: Rebuilt = await rebuild(config(inBucket), undefined);
    expect(rebuilt.losses).toEqual([]);
    await requireAsBefore(before, inBucket);
  });

  test("brings back what only the slots of a WAL in the bucket hold", async () => {
    const inBucket = { "wal-kind": "object" };
    const before = await firstLife(inBucket);
    const kept = await withBroker(async (kafka) => {
      await produce(kafka, "kept", 400, 520);
      return await recordsOf(kafka, "kept");
    }, inBucket);
    expect(kept).toHaveLength(520);
    await rm(join(directory, "metadata"), { recursive: true });
    const { losses } = await rebuild(config(inBucket), undefined);
    expect(losses).toEqual([]);
    await withBroker(async (kafka) => {
      expect(await recordsOf(kafka, "kept")).toEqual(kept);
      expect(await recordsOf(kafka, "trimmed")).toEqual(before.trimmed);
    }, inBucket);
    expect(await keptNow(inBucket)).toEqual(kept);
  });

  test("refuses to touch a log that is there, and a bucket that holds nothing", async () => {
    await firstLife();
    await expect(rebuild(config(), undefined)).rejects.toThrow(LogNotEmpty);
    await lose("metadata");
    await expect(rebuild(config(), `file://${join(directory, "nothing")}`)).rejects.toThrow("neither");
  });
});

function keptNow(more: Settings = {}): Promise<readonly string[]> {
  return withBroker((kafka) => recordsOf(kafka, "kept"), more);
}
