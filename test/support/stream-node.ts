/** A log over real streams, WAL, objects and metadata, all in memory: one node, which can be restarted. */
import type { NodeId, Uuid } from "../../src/base/ids.ts";
import type { Runtime } from "../../src/base/runtime.ts";
import { Slabs } from "../../src/base/slabs.ts";
import { type LocalLog, openLog } from "../../src/log/local-log.ts";
import type { Partition } from "../../src/log/log.ts";
import type { MetadataClient } from "../../src/metadata/client.ts";
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { type MetadataLimits, openMetadata } from "../../src/metadata/metadata-client.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { FileWal } from "../../src/stream/file-wal.ts";
import type { StreamStorage } from "../../src/stream/storage.ts";
import { openStreamStorage } from "../../src/stream/stream-storage.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { noMetrics } from "./no-metrics.ts";
import { topicConfig } from "./owned-partition.ts";
import { seededRuntime, silent } from "./seeded.ts";
import { smallStreams } from "./stream-limits.ts";

const minutes = 60_000;

export const metadataLimits: MetadataLimits = {
  pollMs: minutes,
  readEntriesMax: 100,
  batchProposalsMax: 100,
  batchBytesMax: 1_000_000,
  proposalsWaitingMax: 1000,
  checkpointEntries: 1000,
  retry: { delayMsMin: 1, delayMsMax: 10 },
};

/** What outlives a process: the metadata log, the bucket, the disk. And the process on top of it. */
export class StreamNode {
  /** Added to the wall clock. */
  aheadMs = 0;
  readonly runtime: Runtime = seededRuntime(5, () => this.aheadMs);
  readonly metadataLog = new MemoryLog();
  readonly objects = new MemoryObjectStore({ clock: this.runtime.clock });
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
      log: this.metadataLog,
      nodeId: 1 as NodeId,
      node: { host: "127.0.0.1", port: 1, rack: null },
      runtime,
      logger: silent,
      limits: metadataLimits,
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
      store: this.objects,
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
        cleanerIntervalMs: 300_000,
        cleanerMapBytesMax: 100_000,
        cleanerBufferBytesMax: 10_000,
        cleanerBytesPerSecondMax: 1e9,
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

  async topic(
    name: string,
    configs: Readonly<Record<string, string>> = {},
    topicId = "00000000-0000-4000-8000-0000000000aa" as Uuid,
  ): Promise<Uuid> {
    const texts = new Map(Object.entries(configs));
    await this.metadata.propose([{ kind: "create-topic", topicId, name, partitions: 1, configs: texts }]);
    await this.log.settled();
    return topicId;
  }

  partition(topicId: Uuid): Partition {
    const lookup = this.log.partition(topicId, 0);
    if (lookup.kind !== "here") throw new Error(lookup.kind);
    return lookup.partition;
  }
}
