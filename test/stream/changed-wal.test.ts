/** Proves: a node that goes on with one half of a replicated WAL, as the other's disk is gone, loses nothing and can upload. */
import { expect, test } from "vitest";
import type { NodeId, Offset, Owned, StreamId, Uuid } from "../../src/base/ids.ts";
import type { MetadataClient } from "../../src/metadata/client.ts";
import { MemoryLog } from "../../src/metadata/memory-log.ts";
import { openMetadata } from "../../src/metadata/metadata-client.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { FileWal } from "../../src/stream/file-wal.ts";
import { ObjectWal } from "../../src/stream/object-wal.ts";
import { ReplicatedWal } from "../../src/stream/replicated-wal.ts";
import type { OpenedStream, StreamStorage } from "../../src/stream/storage.ts";
import { openStreamStorage } from "../../src/stream/stream-storage.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { noMetrics } from "../support/no-metrics.ts";
import { seededRuntime, silent } from "../support/seeded.ts";
import { smallStreams } from "../support/stream-limits.ts";

const topicId = "00000000-0000-4000-8000-000000000001" as Uuid;
const stream = 1 as StreamId;
const minutes = 60_000;
const batchBytes = 1000;

const limits = {
  ...smallStreams,
  uploadBytesMax: 6 * batchBytes,
  uploadIntervalMsMax: minutes,
  garbageIntervalMs: minutes,
  mergeIntervalMs: minutes,
  walReferenceBytesMin: batchBytes,
  walBytesMax: 1_000_000,
  walSlotBytesMax: 4 * batchBytes,
  walSlotIntervalMs: 5,
  walSlotBurst: 0,
  walSlotsInFlightMax: 3,
  walCloseMsMax: 1_000,
  walSegmentBytes: 64 * 1024,
  walGroupBytesMax: 16 * 1024,
  walGroupsInFlightMax: 2,
  walLingerMs: 0,
  walIdleMs: minutes,
};

class World {
  readonly runtime = seededRuntime(3);
  readonly log = new MemoryLog();
  readonly store = new MemoryObjectStore({ clock: this.runtime.clock });
  readonly disk = new MemoryDisk();
  readonly fatal: unknown[] = [];
  metadata!: MetadataClient;
  storage!: StreamStorage;
  opened!: OpenedStream;

  async start(kind: "replicated" | "object"): Promise<void> {
    const { runtime, store } = this;
    const logger = silent;
    this.metadata = await openMetadata({
      log: this.log,
      nodeId: 1 as NodeId,
      node: { host: "h", port: 1, rack: null },
      runtime,
      logger,
      limits: {
        pollMs: minutes,
        readEntriesMax: 100,
        batchProposalsMax: 10,
        batchBytesMax: 100_000,
        proposalsWaitingMax: 100,
        checkpointEntries: 1000,
        retry: { delayMsMin: 1, delayMsMax: 10 },
      },
      failed: (cause) => this.fatal.push(cause),
    });
    const { metadata, disk } = this;
    if (metadata.image.stream(stream) === undefined)
      await metadata.propose([{ kind: "create-topic", topicId, name: "t", partitions: 1, configs: new Map() }]);
    const slots = new ObjectWal({ store, metadata, runtime, limits, logger });
    const file = { disk, directory: "wal", nodeEpoch: metadata.nodeEpoch, runtime, limits, logger };
    const halves = [new FileWal(file), slots] as const;
    const replicated = { halves, onLoss: "continue", logger, isAlone: noMetrics.walIsAlone } as const;
    const wal = kind === "object" ? slots : new ReplicatedWal(replicated);
    const fatal = (cause: unknown): void => void this.fatal.push(cause);
    this.storage = await openStreamStorage({
      wal,
      store,
      metadata,
      runtime,
      limits,
      logger,
      metrics: noMetrics,
      fatal,
    });
    await metadata.propose([{ kind: "open-streams", streams: [stream] }]);
    this.opened = await this.storage.open(stream, { label: new Uint8Array(), sidecar: () => new Uint8Array() });
  }

  append(value: number): Promise<void> {
    const bytes = new Uint8Array(batchBytes).fill(value) as Owned;
    return this.opened.append({ from: value as Offset, to: (value + 1) as Offset, bytes, maxTimestamp: value });
  }

  async stop(): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await this.metadata[Symbol.asyncDispose]();
  }
}

test("an upload may have ended within a slot that is then committed", async () => {
  const world = new World();
  await world.start("replicated");
  const values = Array.from({ length: 12 }, (_, i) => i);
  const acks: Promise<void>[] = [];
  for (const value of values) {
    acks.push(world.append(value));
    await Promise.resolve(); // A generation is cut between two appends.
  }
  await Promise.all(acks);
  await expect.poll(() => world.metadata.image.stream(stream)?.end).toBeGreaterThan(0);
  const end = world.metadata.image.stream(stream)?.end as number;
  await world.stop();
  await world.start("object");
  expect(end).toBeLessThan(values.length);
  expect(world.opened.end).toBe(values.length);
  await world.storage.flush();
  expect(world.metadata.image.stream(stream)?.end).toBe(values.length);
  const { batches } = await world.opened.read({ from: 0 as Offset, to: world.opened.end, bytesMax: 1e9 });
  expect(batches.map(({ from }) => from)).toEqual(values);
  await world.stop();
  expect(world.fatal).toEqual([]);
});
