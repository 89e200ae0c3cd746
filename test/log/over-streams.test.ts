/** Proves: partitions over real streams, WAL, objects and metadata keep what they acknowledged, and what they know, across restarts. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NodeId, Offset, Uuid } from "../../src/base/ids.ts";
import { Slabs } from "../../src/base/slabs.ts";
import { type LocalLog, openLog } from "../../src/log/local-log.ts";
import type { Partition } from "../../src/log/log.ts";
import type { MetadataClient } from "../../src/metadata/client.ts";
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { openMetadata } from "../../src/metadata/metadata-client.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { BatchView } from "../../src/protocol/record-batch.ts";
import { buildBatch, buildMarker, type NewBatch } from "../../src/protocol/records.ts";
import { FileWal } from "../../src/stream/file-wal.ts";
import type { StreamStorage } from "../../src/stream/storage.ts";
import { openStreamStorage } from "../../src/stream/stream-storage.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { noMetrics } from "../support/no-metrics.ts";
import { records, topicConfig } from "../support/owned-partition.ts";
import { seededRuntime, silent } from "../support/seeded.ts";
import { smallStreams } from "../support/stream-limits.ts";

const minutes = 60_000;

/** What outlives a process: the metadata log, the bucket, the disk. And the process on top of it. */
class Node {
  readonly runtime = seededRuntime(5);
  readonly #metadataLog = new MemoryLog();
  readonly #objects = new MemoryObjectStore({ clock: this.runtime.clock });
  #disk = new MemoryDisk();
  readonly failures: unknown[] = [];
  readonly slabs = new Slabs();
  metadata!: MetadataClient;
  storage!: StreamStorage;
  log!: LocalLog;

  async start(): Promise<void> {
    const { runtime } = this;
    const failed = (cause: unknown): void => void this.failures.push(cause);
    this.metadata = await openMetadata({
      log: this.#metadataLog,
      nodeId: 1 as NodeId,
      node: { host: "127.0.0.1", port: 1, rack: null },
      runtime,
      logger: silent,
      limits: {
        pollMs: minutes,
        readEntriesMax: 100,
        batchProposalsMax: 100,
        batchBytesMax: 1_000_000,
        proposalsWaitingMax: 1000,
        checkpointEntries: 1000,
        retry: { delayMsMin: 1, delayMsMax: 10 },
      },
      failed,
    });
    const wal = new FileWal({
      disk: this.#disk,
      directory: "wal",
      nodeEpoch: this.metadata.nodeEpoch,
      runtime,
      limits: {
        walBytesMax: 10_000_000,
        walSegmentBytes: 2_000_000,
        walGroupBytesMax: 500_000,
        walGroupsInFlightMax: 3,
        walLingerMs: 0,
        walIdleMs: minutes,
      },
      logger: silent,
    });
    this.storage = await openStreamStorage({
      wal,
      store: this.#objects,
      metadata: this.metadata,
      runtime,
      limits: {
        ...smallStreams,
        uploadIntervalMsMax: minutes,
        garbageIntervalMs: minutes,
        garbageGraceMs: minutes,
        orphanAgeMsMin: minutes,
      },
      logger: silent,
      metrics: noMetrics,
      fatal: failed,
      released: (bytes) => this.slabs.release(bytes),
    });
    this.log = openLog({
      metadata: this.metadata,
      storage: this.storage,
      runtime,
      slabs: this.slabs,
      logger: silent,
      limits: {
        laneBatchesMax: 100,
        laneWaitMsMax: 5000,
        inflatedBytesMax: 10_000_000,
        producersMax: 100,
        producerIdleMsMax: 60 * minutes,
        maintenanceIntervalMs: minutes,
        reopenIntervalMs: minutes,
        streamsOpenedMax: 8,
      },
      topicConfig: (topic) => topicConfig(Object.fromEntries(topic.configs)),
      transactions: "accepted",
      failed,
    });
    await this.log.settled();
  }

  async stop(): Promise<void> {
    await this.log[Symbol.asyncDispose]();
    await this.storage[Symbol.asyncDispose]();
    await this.metadata[Symbol.asyncDispose]();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async topic(name: string, partitions = 1): Promise<Uuid> {
    const topicId = "00000000-0000-4000-8000-0000000000aa" as Uuid;
    await this.metadata.propose([{ kind: "create-topic", topicId, name, partitions, configs: new Map() }]);
    await this.log.settled();
    return topicId;
  }
}

let node: Node;
let topicId: Uuid;

beforeEach(async () => {
  node = new Node();
  await node.start();
  topicId = await node.topic("orders");
});

afterEach(async () => {
  await node.stop();
  expect(node.failures).toEqual([]);
});

function partition(): Partition {
  const lookup = node.log.partition(topicId, 0);
  if (lookup.kind !== "here") throw new Error(lookup.kind);
  return lookup.partition;
}

function batch(baseSequence: number, fields: Partial<NewBatch> = {}): Uint8Array {
  const now = node.runtime.clock.now();
  return buildBatch({ records: records(10, now), producerId: 5, producerEpoch: 0, baseSequence, ...fields });
}

async function produce(bytes: Uint8Array): Promise<number | string> {
  const outcome = await partition().append(bytes, { origin: "client", apiVersion: 13 });
  return outcome.kind === "appended" ? outcome.baseOffset : outcome.reason;
}

async function offsets(from: number): Promise<readonly number[] | string> {
  const isolation = "read-committed" as const;
  const read = await partition().read({ from: from as Offset, bytesMax: 1e6, atLeastOne: true, isolation });
  return read.kind === "batches" ? read.batches.map((bytes) => new BatchView(bytes).baseOffset) : read.kind;
}

describe.each(["from the WAL", "from objects", "from both"])("after a restart, %s", (source) => {
  async function interrupt(isLast: boolean): Promise<void> {
    if (source === "from objects" || (source === "from both" && !isLast)) await node.storage.flush();
    if (isLast) await node.restart();
  }

  test("records, offsets and repeats are as before", async () => {
    expect([await produce(batch(0)), await produce(batch(10))]).toEqual([0, 10]);
    await interrupt(false);
    expect(await produce(batch(20))).toBe(20);
    await interrupt(true);
    expect([await produce(batch(20)), await produce(batch(0)), await produce(batch(40))]).toEqual([
      20,
      0,
      "out-of-order-sequence",
    ]);
    expect(await produce(batch(30))).toBe(30);
    expect(await offsets(15)).toEqual([10, 20, 30]);
    expect(partition()).toMatchObject({ leaderEpoch: 2, highWatermark: 40, logStart: 0 });
    expect(partition().endOfEpoch(1)).toEqual({ epoch: 1, endOffset: 30 });
  });

  test("open and aborted transactions are as before", async () => {
    const isTransactional = true;
    await produce(batch(0, { isTransactional }));
    await interrupt(false);
    const marker = buildMarker({
      outcome: "abort",
      producerId: 5,
      producerEpoch: 0,
      coordinatorEpoch: 0,
      timestamp: 1,
    });
    await partition().append(marker, { origin: "coordinator", apiVersion: 0 });
    await produce(batch(10, { isTransactional }));
    await interrupt(true);
    expect(partition()).toMatchObject({ lastStable: 11, highWatermark: 21 });
    expect(await offsets(0)).toEqual([0, 10]);
    const read = { from: 0 as Offset, bytesMax: 1e6, atLeastOne: true, isolation: "read-committed" } as const;
    expect(await partition().read(read)).toMatchObject({ aborted: [{ producerId: 5, firstOffset: 0 }] });
  });

  test("the log start stays where it was moved, also into a batch", async () => {
    await produce(batch(0));
    await produce(batch(10));
    await interrupt(false);
    await partition().deleteRecords(13 as Offset);
    await interrupt(true);
    expect(partition().logStart).toBe(13);
    expect(await offsets(13)).toEqual([10]);
    expect(await offsets(12)).toBe("out-of-range");
  });

  test("producers outlive their records (KIP-360)", async () => {
    await produce(batch(0));
    await produce(batch(10));
    await interrupt(false);
    expect(await partition().deleteRecords("high-watermark")).toEqual({ kind: "moved", logStart: 20 });
    await interrupt(true);
    expect(await produce(batch(10))).toBe(10);
    expect(await produce(batch(50))).toBe("out-of-order-sequence");
    expect(await produce(batch(20))).toBe(20);
  });
});

test("a deleted topic is gone after a restart too", async () => {
  await produce(batch(0));
  await node.metadata.propose([{ kind: "delete-topic", topicId }]);
  expect(node.log.partition(topicId, 0)).toEqual({ kind: "unknown" });
  await node.restart();
  expect([...node.log.partitions()]).toEqual([]);
});
