/** One partition over a stream in memory, and batches to append to it. */
import type { Offset, StreamId, Uuid } from "../../src/base/ids.ts";
import { Slabs } from "../../src/base/slabs.ts";
import { BatchPreparer } from "../../src/log/batch-preparer.ts";
import type { AppendOptions, AppendOutcome } from "../../src/log/log.ts";
import { OwnedPartition } from "../../src/log/partition.ts";
import { restore } from "../../src/log/restore.ts";
import { effectiveTopicConfig, type TopicConfig } from "../../src/log/topic-config.ts";
import { buildBatch, type NewBatch, type NewRecord } from "../../src/protocol/records.ts";
import { ManualClock } from "./manual-clock.ts";
import { type MemoryStream, MemoryStreams } from "./memory-streams.ts";

export const topicId = "11111111-2222-4333-8444-555555555555" as Uuid;
const streamId = 1 as StreamId;
const inflatedBytesMax = 64 * 1024 * 1024;

export function topicConfig(texts: Readonly<Record<string, string>> = {}): TopicConfig {
  const none = new Map<string, string>();
  return effectiveTopicConfig({
    topic: new Map(Object.entries(texts)),
    broker: none,
    brokerDefault: none,
    brokerStatic: none,
  });
}

export class PartitionWorld {
  readonly streams = new MemoryStreams();
  readonly clock = new ManualClock();
  readonly #config: TopicConfig;
  readonly #laneBatchesMax: number;
  #epoch = 0;
  partition!: OwnedPartition;

  constructor(options: { readonly config?: Readonly<Record<string, string>>; readonly laneBatchesMax?: number } = {}) {
    this.#config = topicConfig(options.config);
    this.#laneBatchesMax = options.laneBatchesMax ?? 100;
  }

  static async open(options: ConstructorParameters<typeof PartitionWorld>[0] = {}): Promise<PartitionWorld> {
    const world = new PartitionWorld(options);
    await world.reopen();
    return world;
  }

  get stream(): MemoryStream {
    return this.streams.stream(streamId);
  }

  /** As a restarted node, or the next owner, opens it. */
  async reopen(): Promise<void> {
    this.#epoch += 1;
    const { streams, clock } = this;
    const stream = await streams.open(streamId, {
      label: new Uint8Array(),
      sidecar: () => this.partition.sidecar(),
    });
    const limits = { laneBatchesMax: this.#laneBatchesMax, laneWaitMsMax: 5000, inflatedBytesMax };
    this.partition = new OwnedPartition({
      topicId,
      topic: "orders",
      index: 0,
      leaderEpoch: this.#epoch,
      config: this.#config,
      stream,
      trim: (to) => streams.trim(streamId, to),
      ...(await restore(stream, { producersMax: 1000, nowMs: clock.now() })),
      preparer: new BatchPreparer({ clock, limits, transactions: "accepted" }),
      slabs: new Slabs(),
      clock,
      limits,
    });
  }

  append(batch: Uint8Array, options: Partial<AppendOptions> = {}): Promise<AppendOutcome> {
    return this.partition.append(batch, { origin: "client", apiVersion: 13, ...options });
  }

  /** A batch of `count` records, stamped now. */
  batch(count = 1, fields: Partial<NewBatch> = {}): Uint8Array {
    return buildBatch({ records: records(count, this.clock.now()), ...fields });
  }
}

export function records(count: number, timestamp: number, size = 10): readonly NewRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    timestamp: timestamp + index,
    key: Buffer.from(`key-${index}`),
    value: Buffer.alloc(size, index),
  }));
}

export function at(value: number): Offset {
  return value as Offset;
}
