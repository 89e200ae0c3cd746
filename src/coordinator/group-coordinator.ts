/** Which shard a group lives in, and the duties that return on a timer. */
import { Loop, untilAborted } from "../base/async.ts";
import type { Uuid } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Log, MarkerRefusal, TransactionEnd } from "../log/log.ts";
import { StateLog, type StateLogLimits } from "../log/state-log.ts";
import type { GroupLimits } from "./classic-group-state.ts";
import type { ConsumerLimitsOf, Topics } from "./consumer-group-state.ts";
import { GroupShard } from "./group-shard.ts";
import { type CoordinatorTopic, type NotSeated, type Seated, Seats } from "./seats.ts";
import type { ShareServices } from "./share/share-groups.ts";
import type { StreamsLimitsOf } from "./streams/streams-group-state.ts";
import { TopicPatterns } from "./topic-patterns.ts";

export interface GroupCoordinatorOptions {
  readonly log: Log;
  /** __consumer_offsets, undefined before it exists. */
  readonly topic: () => CoordinatorTopic | undefined;
  readonly topics: Omit<Topics, "version">;
  readonly runtime: Runtime;
  readonly limits: GroupLimits & {
    readonly shardGroupsMax: number;
    readonly sessionTimeoutMsMin: number;
    readonly sessionTimeoutMsMax: number;
    readonly offsetMetadataBytesMax: number;
    readonly offsetsRetentionMs: number;
    readonly offsetsCheckIntervalMs: number;
    /** A request waits this long for the shard to be read before it is told to come again. */
    readonly loadWaitMs: number;
  };
  readonly consumerLimits: ConsumerLimitsOf;
  readonly streamsLimits: StreamsLimitsOf;
  readonly stateLog: StateLogLimits;
  /** Undefined: no share groups. */
  readonly shareServices?: ShareServices;
  /** Receives what went wrong in the background. The coordinator goes on: it loads again. */
  readonly failed: (cause: unknown) => void;
}

export type ShardLookup = GroupShard | NotSeated;

const reconcileIntervalMs = 1000;

export class GroupCoordinator implements AsyncDisposable {
  readonly limits: GroupCoordinatorOptions["limits"];
  readonly #options: GroupCoordinatorOptions;
  readonly #seats: Seats<GroupShard>;
  readonly #loop: Loop;
  #topicsVersion = 1;
  #checkedAt: number;

  constructor(options: GroupCoordinatorOptions) {
    const { log, runtime, topic, limits, stateLog, failed } = options;
    this.#options = options;
    this.limits = limits;
    this.#checkedAt = runtime.clock.monotonic();
    const topics = this.#countedTopics();
    const consumer = { limitsOf: options.consumerLimits, topics };
    const streams = { limitsOf: options.streamsLimits, topics };
    const patterns = new TopicPatterns({ topics, clock: runtime.clock });
    this.#seats = new Seats({
      log,
      clock: runtime.clock,
      topic,
      loadWaitMs: limits.loadWaitMs,
      open: (partition, gaveUp) => {
        const records = new StateLog({ partition, clock: runtime.clock, limits: stateLog });
        const { shareServices } = options;
        return new GroupShard({ log: records, runtime, limits, consumer, streams, patterns, gaveUp, shareServices });
      },
      loaded: (shard) => shard.forgetDeletedTopics(this.#topicId),
      failed,
    });
    this.#loop = new Loop({
      clock: runtime.clock,
      intervalMs: reconcileIntervalMs,
      turn: (signal) => this.#turn(signal),
      failed,
    });
  }

  get runtime(): Runtime {
    return this.#options.runtime;
  }

  /** Looks at ownership now instead of at the next turn. */
  refresh(): void {
    this.#loop.wake();
  }

  get consumerLimits(): ConsumerLimitsOf {
    return this.#options.consumerLimits;
  }

  get streamsLimits(): StreamsLimitsOf {
    return this.#options.streamsLimits;
  }

  /** Undefined before the topic exists. */
  partitionOf(groupId: string): number | undefined {
    return this.#seats.partitionOf(groupId);
  }

  /** The group's shard when it is here. Use it in the same turn; after an await ask again. */
  shard(groupId: string): Promise<ShardLookup> {
    return this.#seats.shard(groupId);
  }

  /** Every shard of this node; `isComplete` is false when one is still being read after a while. */
  allShards(): Promise<Seated<GroupShard>> {
    return this.#seats.all();
  }

  /** The shards that can be asked now; `isComplete` is false while one is still being read. */
  loadedShards(): Seated<GroupShard> {
    return this.#seats.loaded();
  }

  /** Topics were made, deleted or got partitions: groups look at them at their next heartbeats. */
  topicsChanged(): void {
    this.#topicsVersion += 1;
  }

  /** The marker of a transaction for a partition of the topic; "busy" when it could not be written here and now. */
  async endTransaction(index: number, marker: TransactionEnd): Promise<"written" | "busy" | MarkerRefusal> {
    const shard = await this.#seats.shardAt(index);
    const ended = shard instanceof GroupShard ? await shard.endTransaction(marker) : shard;
    if (ended === "NONE") return "written";
    return ended === "coordinator-fenced" || ended === "stale-producer-epoch" ? ended : "busy";
  }

  /** Topics were deleted: their offsets are forgotten. A shard that is still being read does so when it is. */
  async forgetDeletedTopics(): Promise<void> {
    await Promise.all(this.loadedShards().shards.map((shard) => shard.forgetDeletedTopics(this.#topicId)));
  }

  readonly #topicId = (name: string): Uuid | undefined => this.#options.topics.byName(name)?.id;

  #countedTopics(): Topics {
    const { topics } = this.#options;
    const version = (): number => this.#topicsVersion;
    return {
      byName: (name) => topics.byName(name),
      nameOf: (id) => topics.nameOf(id),
      names: () => topics.names(),
      get version() {
        return version();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
    await this.#seats[Symbol.asyncDispose]();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    this.#seats.reconcile();
    const { clock } = this.#options.runtime;
    if (clock.monotonic() - this.#checkedAt < this.limits.offsetsCheckIntervalMs) return;
    this.#checkedAt = clock.monotonic();
    // What still waits then fails with the storage.
    for (const shard of this.loadedShards().shards)
      await untilAborted(shard.expire(this.limits.offsetsRetentionMs), signal);
  }
}
