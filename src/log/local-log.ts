/**
 * The partitions of this node. Follows the metadata image: takes over the streams that are this node's to write, lets go of
 * what was deleted or moved, and keeps retention and producer expiry going.
 */
import { Gate, Lane, Loop, untilAborted } from "../base/async.ts";
import { CorruptData, OperationFailed } from "../base/errors.ts";
import type { StreamId, Uuid } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Slabs } from "../base/slabs.ts";
import type { Logger } from "../base/telemetry.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { MetadataEvent } from "../metadata/events.ts";
import { leaderEpochOf, type StreamInfo, type Topic } from "../metadata/image.ts";
import type { OpenedStream, StreamStorage } from "../stream/storage.ts";
import { BatchPreparer, type ClientTransactions, type PrepareLimits } from "./batch-preparer.ts";
import { Cleaner, type CleanerLimits } from "./cleaning/cleaner.ts";
import type { Log, Lookup } from "./log.ts";
import { OwnedPartition, type PartitionLimits } from "./partition.ts";
import { restore, sidecarBeforeRestore } from "./restore.ts";
import type { RetentionHold } from "./retention.ts";
import { encodeStreamLabel } from "./stream-label.ts";
import type { TopicConfig } from "./topic-config.ts";

export interface LogLimits extends PartitionLimits, PrepareLimits, CleanerLimits {
  readonly producersMax: number;
  readonly producerIdleMsMax: number;
  readonly maintenanceIntervalMs: number;
  /** Between attempts to open partitions that could not be opened: each takes them under a new epoch. */
  readonly reopenIntervalMs: number;
  /** Partitions that are opened, or trimmed, side by side. */
  readonly streamsOpenedMax: number;
}

export interface LogOptions {
  readonly metadata: MetadataClient;
  readonly storage: StreamStorage;
  readonly runtime: Runtime;
  /** The same that the storage releases to. */
  readonly slabs: Slabs;
  readonly logger: Logger;
  readonly limits: LogLimits;
  /** The effective config; asked again when the topic's or a broker's configs change. */
  readonly topicConfig: (topic: Topic) => TopicConfig;
  readonly transactions: ClientTransactions;
  /** What is not in the lake yet. Cleaning never passes it, retention does as it says; undefined for no bound. */
  readonly holdRetention?: (topicId: Uuid, partition: number) => RetentionHold | undefined;
  /** The node cannot go on: it was fenced, or the program is wrong. */
  readonly failed: (cause: unknown) => void;
}

export function openLog(options: LogOptions): LocalLog {
  return new LocalLog(options);
}

/** Streams that one entry of the metadata log opens at most. */
const streamsPerProposalMax = 1000;

/** A partition that is this node's: on its way, or open. `broken` could not be opened and is tried again. */
interface Slot {
  readonly stream: StreamId;
  readonly topicId: Uuid;
  readonly index: number;
  state: "opening" | "broken" | "open";
  partition: OwnedPartition | undefined;
  /** Handed out at each look-up: made once. */
  lookup: Lookup;
}

export class LocalLog implements Log {
  readonly #options: LogOptions;
  readonly #preparer: BatchPreparer;
  /** Index is the partition number; a hole is another node's. */
  readonly #slots = new Map<Uuid, (Slot | undefined)[]>();
  readonly #byStream = new Map<StreamId, Slot>();
  readonly #gate: Gate;
  /** Apart from the other: what is trimmed must be uploaded first, which may wait for the store. */
  readonly #trimming: Gate;
  readonly #proposals = new Lane();
  readonly #running = new Set<Promise<void>>();
  readonly #following: Disposable;
  readonly #maintenance: Loop;
  readonly #reopening: Loop;
  readonly #cleaner: Cleaner;
  #isClosed = false;

  constructor(options: LogOptions) {
    this.#options = options;
    const { clock } = options.runtime;
    this.#preparer = new BatchPreparer({ clock, limits: options.limits, transactions: options.transactions });
    this.#gate = new Gate(options.limits.streamsOpenedMax);
    this.#trimming = new Gate(options.limits.streamsOpenedMax);
    this.#following = options.metadata.onChange((events) => this.#follow(events));
    this.#maintenance = new Loop({
      clock,
      intervalMs: options.limits.maintenanceIntervalMs,
      turn: (signal) => untilAborted(this.maintain(), signal), // What still waits then fails with the storage.
      failed: (cause) => options.failed(cause),
    });
    this.#reopening = new Loop({
      clock,
      intervalMs: options.limits.reopenIntervalMs,
      turn: async () => this.reopen(),
      failed: (cause) => options.failed(cause),
    });
    this.#cleaner = new Cleaner({
      clock,
      logger: options.logger,
      limits: options.limits,
      partitions: () => this.partitions(),
      hold: ({ topicId, index }) => options.holdRetention?.(topicId, index)?.upTo,
      failed: (cause) => options.failed(cause),
    });
    this.#adopt(options.metadata.image.topics());
  }

  partition(topicId: Uuid, index: number): Lookup {
    const slot = this.#slots.get(topicId)?.[index];
    if (slot !== undefined) return slot.lookup;
    const image = this.#options.metadata.image;
    const stream = image.topic(topicId)?.partitions[index];
    const info = stream === undefined ? undefined : image.stream(stream);
    if (info === undefined) return unknown;
    return this.#isOurs(info) ? opening : { kind: "elsewhere", node: info.node, leaderEpoch: leaderEpochOf(info) };
  }

  *partitions(): Iterable<OwnedPartition> {
    for (const { partition } of this.#byStream.values()) if (partition !== undefined) yield partition;
  }

  /** Resolves when every partition that is this node's now is open, or could not be opened. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Tries again to open what could not be opened. */
  reopen(): void {
    this.#open([...this.#byStream.values()].filter((slot) => slot.state === "broken"));
  }

  /** Cleans every compacted partition that is due. */
  async clean(): Promise<void> {
    await this.#cleaner.turn();
  }

  /** One turn of retention and expiry over all partitions. */
  async maintain(): Promise<void> {
    const slots = [...this.#byStream.values()];
    await Promise.all(slots.map((slot) => this.#trimming.run(() => this.#maintainOne(slot))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#following[Symbol.dispose]();
    await this.#maintenance[Symbol.asyncDispose]();
    await this.#cleaner[Symbol.asyncDispose]();
    await this.#reopening[Symbol.asyncDispose]();
    await this.settled();
    await this.#proposals.close();
    for (const slot of this.#byStream.values()) slot.partition?.close();
  }

  #follow(events: readonly MetadataEvent[]): void {
    const { image } = this.#options.metadata;
    if (events.length === 0) this.#followAll(); // The image came from a checkpoint: anything may have changed.
    for (const event of events) {
      if (event.kind === "create-topic" || event.kind === "create-partitions") {
        const topic = image.topic(event.topicId);
        if (topic !== undefined) this.#adopt([topic]);
      } else if (event.kind === "delete-topic") this.#drop(event.topicId);
      else if (event.kind === "set-topic-configs") this.#configure(event.topicId);
      else if (event.kind === "set-broker-configs") for (const topicId of this.#slots.keys()) this.#configure(topicId);
      else if (event.kind === "open-streams") for (const stream of event.streams) this.#checkOwner(stream);
    }
  }

  #followAll(): void {
    const { image } = this.#options.metadata;
    for (const topicId of this.#slots.keys()) {
      if (image.topic(topicId) === undefined) this.#drop(topicId);
      else this.#configure(topicId);
    }
    for (const stream of this.#byStream.keys()) this.#checkOwner(stream);
    this.#adopt(image.topics());
  }

  #drop(topicId: Uuid): void {
    for (const slot of this.#slots.get(topicId) ?? []) if (slot !== undefined) this.#letGo(slot);
    this.#slots.delete(topicId);
  }

  /** Which node writes a stream is the image's to say. One that nobody has written yet is taken by whoever sees it. */
  #isOurs(info: StreamInfo): boolean {
    return info.node === undefined || info.node === this.#options.metadata.nodeId;
  }

  #adopt(topics: Iterable<Topic>): void {
    const { image } = this.#options.metadata;
    const found: Slot[] = [];
    for (const topic of topics) {
      for (const [index, stream] of topic.partitions.entries()) {
        const info = image.stream(stream);
        if (info === undefined || !this.#isOurs(info) || this.#byStream.has(stream)) continue;
        found.push(this.#newSlot(stream, topic.id, index));
      }
    }
    this.#open(found);
  }

  #newSlot(stream: StreamId, topicId: Uuid, index: number): Slot {
    const slot: Slot = { stream, topicId, index, state: "opening", partition: undefined, lookup: opening };
    this.#byStream.set(stream, slot);
    const slots = this.#slots.get(topicId) ?? [];
    slots[index] = slot;
    this.#slots.set(topicId, slots);
    return slot;
  }

  #open(slots: readonly Slot[]): void {
    for (let at = 0; at < slots.length; at += streamsPerProposalMax) {
      const group = slots.slice(at, at + streamsPerProposalMax);
      for (const slot of group) slot.state = "opening";
      this.#run(() => this.#proposals.run(() => this.#takeOver(group)));
    }
  }

  /** Owns a piece of work until it is done. What it throws stops the node. */
  #run(work: () => Promise<void>): void {
    const running = work()
      .catch((cause: unknown) => this.#options.failed(cause))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Makes this node the writer of the streams, under a new epoch each, then opens them. */
  async #takeOver(slots: readonly Slot[]): Promise<void> {
    const wanted = slots.filter((slot) => this.#isWanted(slot));
    if (wanted.length === 0) return;
    const streams = wanted.map((slot) => slot.stream);
    const proposal = await this.#options.metadata.propose([{ kind: "open-streams", streams }]);
    if (proposal.kind === "accepted") {
      for (const slot of wanted) this.#run(() => this.#gate.run(() => this.#openOne(slot)));
      return;
    }
    // A group is refused as a whole, perhaps for one topic that was deleted meanwhile.
    if (wanted.length > 1) {
      for (const slot of wanted) await this.#takeOver([slot]);
      return;
    }
    for (const slot of wanted) this.#giveUp(slot, proposal.refusal);
  }

  async #openOne(slot: Slot): Promise<void> {
    const { metadata, storage, limits, runtime, logger, slabs, topicConfig } = this.#options;
    const topic = metadata.image.topic(slot.topicId);
    if (topic === undefined || !this.#isWanted(slot)) return;
    let opened: OpenedStream | undefined;
    try {
      const label = encodeStreamLabel({ topicId: topic.id, partition: slot.index, topic: topic.name });
      const sidecar = (): Uint8Array => slot.partition?.sidecar() ?? sidecarBeforeRestore(opened);
      opened = await storage.open(slot.stream, { label, sidecar });
      const { producersMax } = limits;
      const restored = await restore(opened, { producersMax, nowMs: runtime.clock.now() });
      // Asked again after the awaits: the topic may be gone, its configs may have changed.
      const current = metadata.image.topic(slot.topicId);
      const info = metadata.image.stream(slot.stream);
      if (current === undefined || info === undefined || !this.#isWanted(slot)) {
        await storage.close(slot.stream);
        return;
      }
      slot.partition = new OwnedPartition({
        topicId: current.id,
        topic: current.name,
        index: slot.index,
        leaderEpoch: leaderEpochOf(info),
        config: topicConfig(current),
        stream: opened,
        trim: (to) => storage.trim(slot.stream, to),
        ...restored,
        preparer: this.#preparer,
        slabs,
        clock: runtime.clock,
        limits,
      });
      slot.lookup = { kind: "here", partition: slot.partition };
      slot.state = "open";
      logger.debug("partition opened", { topic: current.name, partition: slot.index, epoch: info.epoch });
    } catch (cause) {
      if (!(cause instanceof OperationFailed || cause instanceof CorruptData)) throw cause;
      if (opened !== undefined) storage.leave(slot.stream);
      this.#giveUp(slot, cause); // One partition cannot be read: the others go on.
    }
  }

  #giveUp(slot: Slot, cause: unknown): void {
    if (!this.#isWanted(slot)) return;
    slot.state = "broken";
    const { topicId, index: partition } = slot;
    this.#options.logger.error("partition could not be opened, will be tried again", { topicId, partition, cause });
  }

  #isWanted(slot: Slot): boolean {
    return !this.#isClosed && this.#byStream.get(slot.stream) === slot;
  }

  /** Another node took the stream, or a later incarnation of this one: nothing may be acknowledged here any more. */
  #checkOwner(stream: StreamId): void {
    const slot = this.#byStream.get(stream);
    const info = this.#options.metadata.image.stream(stream);
    if (slot === undefined || info === undefined || this.#isOurs(info)) return;
    this.#letGo(slot);
    const slots = this.#slots.get(slot.topicId);
    if (slots !== undefined) slots[slot.index] = undefined;
  }

  #letGo(slot: Slot): void {
    this.#byStream.delete(slot.stream);
    if (slot.partition === undefined) return; // Still being opened: who opens it sees that it is not wanted.
    slot.partition.close();
    this.#run(() => this.#options.storage.close(slot.stream));
  }

  #configure(topicId: Uuid): void {
    const topic = this.#options.metadata.image.topic(topicId);
    if (topic === undefined) return;
    const config = this.#options.topicConfig(topic);
    for (const slot of this.#slots.get(topicId) ?? []) slot?.partition?.configure(config);
  }

  async #maintainOne(slot: Slot): Promise<void> {
    const { runtime, holdRetention, logger } = this.#options;
    const partition = slot.partition;
    if (partition === undefined || !this.#isWanted(slot)) return;
    const now = runtime.clock.now();
    partition.expireProducers(now - this.#producerIdleMsMax());
    try {
      const { held, lost } = partition.retained;
      const bytes = await partition.retain(now, holdRetention?.(slot.topicId, slot.index));
      const where = { topic: partition.topic, partition: partition.index };
      if (bytes > 0) logger.info("retention", { ...where, bytes });
      const lostNow = partition.retained.lost - lost;
      if (lostNow > 0) logger.error("retention took records that no table holds", { ...where, lost: lostNow });
      const [wasHeld, isHeld] = [held, partition.retained.held].map((each) => (each?.bytes ?? 0) > 0);
      if (isHeld && !wasHeld) logger.warn("retention waits for the table", { ...where, ...partition.retained.held });
      if (wasHeld && !isHeld) logger.info("retention does not wait for the table any more", where);
    } catch (cause) {
      if (!(cause instanceof OperationFailed)) throw cause;
      // Nothing is lost by keeping records for longer: the next turn tries again.
      logger.warn("retention failed", { topic: partition.topic, partition: partition.index, cause });
    }
  }

  /** As this broker, or all of them, were told while they run; or else as set. */
  #producerIdleMsMax(): number {
    const { metadata, limits } = this.#options;
    const name = "producer.id.expiration.ms";
    const told = [metadata.nodeId, null].map((nodeId) => metadata.image.brokerConfigs(nodeId).get(name));
    return Number(told.find((text) => text !== undefined) ?? limits.producerIdleMsMax);
  }
}

const opening: Lookup = { kind: "opening" };
const unknown: Lookup = { kind: "unknown" };
