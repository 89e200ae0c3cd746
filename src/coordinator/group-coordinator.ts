/** Which shard a group lives in, whether it is here and loaded, and the duties that return on a timer. */
import { Loop, sleep } from "../base/async.ts";
import type { Uuid } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Log, Partition } from "../log/log.ts";
import { StateLog, type StateLogLimits } from "../log/state-log.ts";
import type { GroupLimits } from "./classic-group-state.ts";
import { GroupShard } from "./group-shard.ts";

/** The internal topic, as far as a coordinator has to know it. */
export interface CoordinatorTopic {
  readonly topicId: Uuid;
  readonly partitions: number;
}

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
  /** Receives what went wrong in the background. The coordinator goes on: it loads again. */
  readonly failed: (cause: unknown) => void;
}

export type ShardLookup = GroupShard | "NOT_COORDINATOR" | "COORDINATOR_LOAD_IN_PROGRESS" | "COORDINATOR_NOT_AVAILABLE";

interface Seat {
  readonly partition: Partition;
  readonly shard: GroupShard;
  isLoaded: boolean;
  readonly loading: Promise<void>;
}

const reconcileIntervalMs = 1000;

export class GroupCoordinator implements AsyncDisposable {
  readonly limits: GroupCoordinatorOptions["limits"];
  readonly #options: GroupCoordinatorOptions;
  readonly #seats = new Map<number, Seat>();
  readonly #loop: Loop;
  #checkedAt: number;
  #isOpen = true;

  constructor(options: GroupCoordinatorOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.#checkedAt = options.runtime.clock.monotonic();
    this.#loop = new Loop({
      clock: options.runtime.clock,
      intervalMs: reconcileIntervalMs,
      turn: () => this.#turn(),
      failed: options.failed,
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
    const topic = this.#options.topic();
    return topic === undefined ? undefined : coordinatorPartition(groupId, topic.partitions);
  }

  /** The group's shard when it is here. Use it in the same turn; after an await ask again. */
  async shard(groupId: string): Promise<ShardLookup> {
    const index = this.partitionOf(groupId);
    if (index === undefined) return "NOT_COORDINATOR";
    const seat = this.#seat(index);
    if (typeof seat === "string") return seat;
    if (!seat.isLoaded) await this.#waitFor(seat.loading);
    if (this.#seats.get(index) !== seat) return "NOT_COORDINATOR";
    return seat.isLoaded ? seat.shard : "COORDINATOR_LOAD_IN_PROGRESS";
  }

  /** Every shard of this node; `isComplete` is false when one is still being read after a while. */
  async allShards(): Promise<{ readonly shards: readonly GroupShard[]; readonly isComplete: boolean }> {
    this.#reconcile();
    const loading = Array.from(this.#seats.values()).filter(({ isLoaded }) => !isLoaded);
    if (loading.length > 0) await this.#waitFor(Promise.all(loading.map((seat) => seat.loading)));
    return this.loadedShards();
  }

  /** The shards that can be asked now; `isComplete` is false while one is still being read. */
  loadedShards(): { readonly shards: readonly GroupShard[]; readonly isComplete: boolean } {
    const seats = [...this.#seats.values()];
    return {
      shards: seats.filter(({ isLoaded }) => isLoaded).map(({ shard }) => shard),
      isComplete: seats.every(({ isLoaded }) => isLoaded),
    };
  }

  /** Topics were deleted: their offsets are forgotten. A shard that is still being read does so when it is. */
  async forgetDeletedTopics(): Promise<void> {
    const { topicId } = this.#options;
    await Promise.all(this.loadedShards().shards.map((shard) => shard.forgetDeletedTopics(topicId)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOpen = false;
    await this.#loop[Symbol.asyncDispose]();
    const seats = [...this.#seats.values()];
    this.#seats.clear();
    for (const { shard } of seats) shard.close("NOT_COORDINATOR");
    await Promise.allSettled(seats.map(({ loading }) => loading));
  }

  async #turn(): Promise<void> {
    this.#reconcile();
    const { clock } = this.#options.runtime;
    if (clock.monotonic() - this.#checkedAt < this.limits.offsetsCheckIntervalMs) return;
    this.#checkedAt = clock.monotonic();
    for (const shard of this.loadedShards().shards) await shard.expire(this.limits.offsetsRetentionMs);
  }

  /** Takes the seats of partitions that came here and leaves those of partitions that went. */
  #reconcile(): void {
    const topic = this.#options.topic();
    for (let index = 0; index < (topic?.partitions ?? 0); index += 1) this.#seat(index);
    for (const index of this.#seats.keys()) if (index >= (topic?.partitions ?? 0)) this.#leave(index);
  }

  #seat(index: number): Seat | Exclude<ShardLookup, GroupShard> {
    if (!this.#isOpen) return "NOT_COORDINATOR";
    const topic = this.#options.topic();
    const lookup = topic === undefined ? undefined : this.#options.log.partition(topic.topicId, index);
    const seat = this.#seats.get(index);
    if (lookup?.kind === "here") {
      if (seat?.partition === lookup.partition) return seat;
      this.#leave(index); // The same partition, opened again under a later epoch, may hold what another node wrote.
      return this.#take(index, lookup.partition);
    }
    this.#leave(index);
    return lookup?.kind === "opening" ? "COORDINATOR_LOAD_IN_PROGRESS" : "NOT_COORDINATOR";
  }

  #take(index: number, partition: Partition): Seat {
    const leaveOn = (cause: unknown): void => {
      if (this.#seats.get(index) === seat) this.#leave(index);
      this.#options.failed(cause);
    };
    const shard = new GroupShard({
      log: new StateLog({ partition, clock: this.#options.runtime.clock, limits: this.#options.stateLog }),
      runtime: this.#options.runtime,
      limits: this.limits,
      gaveUp: leaveOn,
    });
    const seat: Seat = {
      partition,
      shard,
      isLoaded: false,
      loading: shard.load().then(() => {
        seat.isLoaded = true;
        return shard.forgetDeletedTopics(this.#options.topicId);
      }, leaveOn),
    };
    this.#seats.set(index, seat);
    return seat;
  }

  #leave(index: number): void {
    this.#seats.get(index)?.shard.close("NOT_COORDINATOR");
    this.#seats.delete(index);
  }

  async #waitFor(loading: Promise<unknown>): Promise<void> {
    const patience = new AbortController();
    const { clock } = this.#options.runtime;
    const enough = sleep(clock, this.limits.loadWaitMs, patience.signal).catch(() => undefined); // Aborted: it was loaded.
    await Promise.race([loading, enough]);
    patience.abort();
  }
}

/** Kafka's own placement, so that tools which look into __consumer_offsets find a group where they expect it. */
export function coordinatorPartition(key: string, partitions: number): number {
  const hash = javaHash(key);
  return (hash === -(2 ** 31) ? 0 : Math.abs(hash)) % partitions;
}

/** java.lang.String.hashCode, over UTF-16 code units. */
export function javaHash(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index += 1) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0;
  return hash;
}
