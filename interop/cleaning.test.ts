/** Proves: of the same batches Apache Kafka's cleaner and ours leave the same, batch for batch and record for record. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { joined } from "../src/base/bytes.ts";
import { uuidZero } from "../src/base/ids.ts";
import { inflate } from "../src/protocol/compression.ts";
import { BatchView, compressions, splitBatches } from "../src/protocol/record-batch.ts";
import { buildBatch, type NewBatch, type NewRecord, RecordCursor } from "../src/protocol/records.ts";
import { SimRandom } from "../test/sim/random.ts";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { RawClient } from "../test/support/raw-client.ts";
import { type KafkaBroker, startKafka } from "./kafka.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-cleaning-"));
let kafka: KafkaBroker;
let inlet: InletBroker;

beforeAll(async () => {
  kafka = await startKafka({
    directory: join(directory, "kafka"),
    overrides: { "log.cleaner.backoff.ms": "100", "log.initial.task.delay.ms": "100" },
    heap: "512m",
  });
  inlet = await startInlet({
    directory: join(directory, "inlet"),
    config: {
      cleaner: { interval: { ms: 100 } },
      stream: { upload: { interval: { ms: { max: 400 } } } },
    },
  });
});

afterAll(async () => {
  await inlet?.[Symbol.asyncDispose]();
  await kafka?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const segmentMs = 5_000;

/** The same is done to both. */
class Pair implements AsyncDisposable {
  readonly #clients: readonly [kafka: RawClient, inlet: RawClient];
  readonly #topic: string;
  /** Grows by more than a segment each time one shall end: Kafka cleans all but the last. */
  timestamp: number;
  #sentinels = 0;

  private constructor(clients: readonly [RawClient, RawClient], topic: string, timestamp: number) {
    this.#clients = clients;
    this.#topic = topic;
    this.timestamp = timestamp;
  }

  static async open(topic: string, configs: Readonly<Record<string, string>>): Promise<Pair> {
    const open = async ({ bootstrap }: { readonly bootstrap: string }): Promise<RawClient> => {
      const [host, port] = bootstrap.split(":");
      return await RawClient.open({ host: host as string, port: Number(port) });
    };
    const pair = new Pair([await open(kafka), await open(inlet)], topic, Date.now() - 1_000_000);
    const all = {
      "cleanup.policy": "compact",
      "min.cleanable.dirty.ratio": "0",
      "segment.ms": String(segmentMs),
      ...configs,
    };
    await pair.#each(async (client) => {
      const answer = await client.call("createTopics", 6, {
        topics: [
          {
            name: topic,
            numPartitions: 1,
            replicationFactor: 1,
            assignments: [],
            configs: Object.entries(all).map(([name, value]) => ({ name, value })),
          },
        ],
        timeoutMs: 10_000,
        validateOnly: false,
      });
      expect(answer.topics[0]).toMatchObject({ errorCode: 0 });
    });
    return pair;
  }

  async produce(batch: NewBatch): Promise<void> {
    const bytes = buildBatch(batch);
    const topicData = [{ name: this.#topic, topicId: uuidZero, partitionData: [{ index: 0, records: bytes }] }];
    const request = { transactionalId: null, acks: -1, timeoutMs: 10_000, topicData };
    await this.#each(async (client) => {
      // A new topic has no leader for a moment.
      for (;;) {
        const answer = await client.call("produce", 12, request);
        const code = answer.responses[0]?.partitionResponses[0]?.errorCode;
        if (code === 0) return;
        expect([3, 5, 6]).toContain(code);
      }
    });
  }

  /** Ends the segment, and with it what Kafka leaves alone, by a record that stays. */
  async endSegment(): Promise<void> {
    this.timestamp += 2 * segmentMs;
    this.#sentinels += 1;
    await this.produce({ records: [record(`sentinel-${this.#sentinels}`, "x", this.timestamp)] });
  }

  kafka(): Promise<readonly BatchView[]> {
    return this.#read(this.#clients[0]);
  }

  inlet(): Promise<readonly BatchView[]> {
    return this.#read(this.#clients[1]);
  }

  async #read(client: RawClient): Promise<readonly BatchView[]> {
    const batches: BatchView[] = [];
    for (let from = 0; ; ) {
      const answer = await client.call("fetch", 12, fetchRequest(this.#topic, from));
      const partition = answer.responses[0]?.partitions[0];
      expect(partition?.errorCode).toBe(0);
      const records = partition?.records ?? [];
      const bytes = records instanceof Uint8Array ? records : joined(records);
      const found = splitBatches(bytes).map((batch) => new BatchView(Uint8Array.from(batch)));
      batches.push(...found.filter(({ nextOffset }) => nextOffset > from));
      const last = batches.at(-1);
      if (last !== undefined) from = last.nextOffset;
      if (from >= Number(partition?.highWatermark)) return batches;
      expect(found.length).toBeGreaterThan(0);
    }
  }

  async #each(work: (client: RawClient) => Promise<void>): Promise<void> {
    for (const client of this.#clients) await work(client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client[Symbol.asyncDispose]();
  }
}

function fetchRequest(topic: string, fetchOffset: number) {
  return {
    clusterId: null,
    replicaId: -1,
    replicaState: { replicaId: -1, replicaEpoch: -1 },
    rackId: "",
    maxWaitMs: 100,
    minBytes: 1,
    maxBytes: 10_000_000,
    isolationLevel: 1,
    sessionId: 0,
    sessionEpoch: -1,
    forgottenTopicsData: [],
    topics: [
      {
        topic,
        topicId: uuidZero,
        partitions: [
          {
            partition: 0,
            currentLeaderEpoch: -1,
            fetchOffset,
            lastFetchedEpoch: -1,
            logStartOffset: -1,
            partitionMaxBytes: 1_000_000,
            replicaDirectoryId: uuidZero,
            highWatermark: Number.MAX_SAFE_INTEGER,
          },
        ],
      },
    ],
  };
}

function record(key: string, value: string | null, timestamp: number): NewRecord {
  return { key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timestamp };
}

function recordsOf(batch: BatchView): readonly string[] {
  const cursor = new RecordCursor(
    inflate(batch.compression ?? "none", batch.records, { bytesMax: 10_000_000 }),
    batch.recordCount,
  );
  const records: string[] = [];
  while (cursor.next()) {
    const text = (bytes: Uint8Array | null): string => (bytes === null ? "null" : Buffer.from(bytes).toString());
    const timestamp = batch.baseTimestamp + cursor.timestampDelta;
    records.push(`${batch.baseOffset + cursor.offsetDelta} ${timestamp} ${text(cursor.key)}=${text(cursor.value)}`);
  }
  return records;
}

/**
 * All that must be equal: not the leader epoch, nor whether there is a horizon and when it is. That depends on when the cleaners
 * came by: a tombstone that was replaced later leaves one behind.
 */
function portrait(batch: BatchView): unknown {
  const { baseOffset, lastOffset, maxTimestamp, producerId, producerEpoch, baseSequence, compression } = batch;
  const whole = { baseOffset, lastOffset, maxTimestamp, producerId, producerEpoch, baseSequence, compression };
  return { ...whole, records: recordsOf(batch) };
}

const pollMs = 200;
const waitMsMax = 60_000;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + waitMsMax;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`waited ${waitMsMax} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** One record a key, and a horizon wherever there is a tombstone: nothing is left to do. */
function isClean(batches: readonly BatchView[]): boolean {
  const keys = batches.flatMap(recordsOf).map((text) => text.split(" ")[2]?.split("=")[0]);
  const isMarked = batches.every((batch) => batch.deleteHorizonMs !== undefined || !hasTombstones([batch]));
  return isMarked && new Set(keys).size === keys.length;
}

function hasTombstones(batches: readonly BatchView[]): boolean {
  return batches.flatMap(recordsOf).some((text) => text.endsWith("=null"));
}

/** Random updates and tombstones, of producers with and without an id, in every compression. */
async function fill(pair: Pair, seed: number): Promise<void> {
  const random = new SimRandom(seed);
  const sequences = new Map<number, number>();
  for (let segment = 0; segment < 4; segment += 1) {
    for (let count = 0; count < 25; count += 1) {
      const producerId = random.pick([-1, 4001, 4002, 4003]);
      const records = Array.from({ length: 1 + random.below(6) }, () => {
        const value = random.chance(0.3) ? null : `${"v".repeat(random.below(50))}${random.below(1000)}`;
        return record(`key-${random.below(40)}`, value, pair.timestamp + random.below(1000));
      });
      const baseSequence = producerId < 0 ? -1 : (sequences.get(producerId) ?? 0);
      sequences.set(producerId, baseSequence + records.length);
      const producer = { producerId, producerEpoch: producerId < 0 ? -1 : 0, baseSequence };
      await pair.produce({ records, compression: random.pick([...compressions]), ...producer });
    }
    await pair.endSegment();
  }
}

test.each([1, 2, 3])("random updates and tombstones, seed %i", { timeout: 200_000 }, async (seed) => {
  await using pair = await Pair.open(`random-${seed}`, { "delete.retention.ms": "86400000" });
  await fill(pair, seed);
  await until("Kafka to clean", async () => isClean(await pair.kafka()));
  await until("Inlet to clean", async () => isClean(await pair.inlet()));
  const [ours, theirs] = [(await pair.inlet()).map(portrait), (await pair.kafka()).map(portrait)];
  expect(ours).toEqual(theirs);
  expect(theirs.length).toBeGreaterThan(10);
});

test("tombstones go after the delete horizon", { timeout: 200_000 }, async () => {
  await using pair = await Pair.open("tombstones", { "delete.retention.ms": "1000" });
  await fill(pair, 9);
  await until("Kafka to drop tombstones", async () => {
    await pair.endSegment(); // Kafka cleans again only when something is dirty.
    return !hasTombstones(await pair.kafka());
  });
  await until("Inlet to drop tombstones", async () => !hasTombstones(await pair.inlet()));
  const records = (batches: readonly BatchView[]) => batches.flatMap(recordsOf);
  expect(records(await pair.inlet())).toEqual(records(await pair.kafka()));
});
