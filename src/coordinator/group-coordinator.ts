/** Which shard a group lives in, and the duties that return on a timer. */
import { Loop } from "../base/async.ts";
import type { Uuid } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Log } from "../log/log.ts";
import { StateLog, type StateLogLimits } from "../log/state-log.ts";
import type { Marker } from "../protocol/records.ts";
import type { GroupLimits } from "./classic-group-state.ts";
import { GroupShard } from "./group-shard.ts";
import { type CoordinatorTopic, type NotSeated, type Seated, Seats } from "./seats.ts";
import type { ShareServices } from "./share/share-groups.ts";

export interface GroupCoordinatorOptions {
  readonly log: Log;
  /** __consumer_offsets, undefined before it exists. */
  readonly topic: () => CoordinatorTopic | undefined;
  /** Undefined when there is no topic of that name. */
  readonly topicId: (name: string) => Uuid | undefined;
  readonly runtime: Runtime;
  readonly limits: GroupLimits & {
    readonly sessionTimeoutMsMin: number;
    readonly sessionTimeoutMsMax: number;
    readonly offsetMetadataBytesMax: number;
    readonly offsetsRetentionMs: number;
    readonly offsetsCheckIntervalMs: number;
    /** A request waits this long for the shard to be read before it is told to come again. */
    readonly loadWaitMs: number;
  };
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
  #checkedAt: number;

  constructor(options: GroupCoordinatorOptions) {
    const { log, runtime, topic, limits, stateLog, failed } = options;
    this.#options = options;
    this.limits = limits;
    this.#checkedAt = runtime.clock.monotonic();
    this.#seats = new Seats({
      log,
      clock: runtime.clock,
      topic,
      loadWaitMs: limits.loadWaitMs,
      open: (partition, gaveUp) => {
        const records = new StateLog({ partition, clock: runtime.clock, limits: stateLog });
        return new GroupShard({ log: records, runtime, limits, gaveUp, shareServices: options.shareServices });
      },
      loaded: (shard) => shard.forgetDeletedTopics(options.topicId),
      failed,
    });
    this.#loop = new Loop({
      clock: runtime.clock,
      intervalMs: reconcileIntervalMs,
      turn: () => this.#turn(),
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

  /** The marker of a transaction for a partition of the topic; false when it could not be written here and now. */
  async endTransaction(index: number, marker: Marker): Promise<boolean> {
    const shard = await this.#seats.shardAt(index);
    return shard instanceof GroupShard && (await shard.endTransaction(marker)) === "NONE";
  }

  /** Topics were deleted: their offsets are forgotten. A shard that is still being read does so when it is. */
  async forgetDeletedTopics(): Promise<void> {
    const { topicId } = this.#options;
    await Promise.all(this.loadedShards().shards.map((shard) => shard.forgetDeletedTopics(topicId)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
    await this.#seats[Symbol.asyncDispose]();
  }

  async #turn(): Promise<void> {
    this.#seats.reconcile();
    const { clock } = this.#options.runtime;
    if (clock.monotonic() - this.#checkedAt < this.limits.offsetsCheckIntervalMs) return;
    this.#checkedAt = clock.monotonic();
    for (const shard of this.loadedShards().shards) await shard.expire(this.limits.offsetsRetentionMs);
  }
}
