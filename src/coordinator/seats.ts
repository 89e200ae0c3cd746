/**
 * The partitions of an internal topic that are here, each with a shard: what a coordinator knows of it, loaded by replay.
 *
 *   opened here ──▶ take ──▶ shard.load ──▶ loaded ──▶ leave ──▶ shard.close     moved away, opened again, or given up
 */
import { isOverWithin, sleep } from "../base/async.ts";
import type { Uuid } from "../base/ids.ts";
import type { Clock } from "../base/runtime.ts";
import type { Log, Partition } from "../log/log.ts";

/** An internal topic, as far as a coordinator has to know it. */
export interface CoordinatorTopic {
  readonly topicId: Uuid;
  readonly partitions: number;
}

/** The state of one partition. */
export interface Shard {
  /** Reads the partition from its start. Ends early when the shard is closed meanwhile. */
  load(): Promise<void>;
  /** The partition is no longer here: whoever waits is told, and nothing is written any more. */
  close(error: "NOT_COORDINATOR"): void;
}

export interface SeatsOptions<S extends Shard> {
  readonly log: Log;
  readonly clock: Clock;
  /** Undefined before the topic exists. */
  readonly topic: () => CoordinatorTopic | undefined;
  /** A request waits this long for the partition to be opened, and for the shard to be read, before it is told to come again. */
  readonly loadWaitMs: number;
  /** Makes the shard of a partition. `gaveUp`: it has closed itself; a new one is loaded when it is next asked for. */
  readonly open: (partition: Partition, gaveUp: (cause: unknown) => void) => S;
  /** Once a shard can be asked. */
  readonly loaded?: (shard: S) => Promise<void>;
  /** Receives what went wrong in the background. */
  readonly failed: (cause: unknown) => void;
}

export type NotSeated = "NOT_COORDINATOR" | "COORDINATOR_LOAD_IN_PROGRESS" | "COORDINATOR_NOT_AVAILABLE";

export interface Seated<S> {
  readonly shards: readonly S[];
  /** False while a shard of this node is still being read. */
  readonly isComplete: boolean;
}

/** How often it is looked whether a partition is open by now. */
const openPollMs = 20;

interface Seat<S> {
  readonly partition: Partition;
  readonly shard: S;
  isLoaded: boolean;
  readonly loading: Promise<void>;
}

export class Seats<S extends Shard> implements AsyncDisposable {
  readonly #options: SeatsOptions<S>;
  readonly #seats = new Map<number, Seat<S>>();
  #isOpen = true;

  constructor(options: SeatsOptions<S>) {
    this.#options = options;
  }

  /** Undefined before the topic exists. */
  partitionOf(key: string): number | undefined {
    const topic = this.#options.topic();
    return topic === undefined ? undefined : coordinatorPartition(key, topic.partitions);
  }

  /** The key's shard when it is here. Use it in the same turn; after an await ask again. */
  async shard(key: string): Promise<S | NotSeated> {
    const index = this.partitionOf(key);
    return index === undefined ? "NOT_COORDINATOR" : await this.shardAt(index);
  }

  async shardAt(index: number): Promise<S | NotSeated> {
    const seat = await this.#opened(index);
    if (typeof seat === "string") return seat;
    if (!seat.isLoaded) await this.#waitFor(seat.loading);
    if (this.#seats.get(index) !== seat) return "NOT_COORDINATOR";
    return seat.isLoaded ? seat.shard : "COORDINATOR_LOAD_IN_PROGRESS";
  }

  /** Every shard of this node; one that is still being read is waited for, within bounds. */
  async all(): Promise<Seated<S>> {
    this.reconcile();
    const loading = Array.from(this.#seats.values()).filter(({ isLoaded }) => !isLoaded);
    if (loading.length > 0) await this.#waitFor(Promise.all(loading.map((seat) => seat.loading)));
    return this.loaded();
  }

  /** The shards that can be asked now. */
  loaded(): Seated<S> {
    const seats = [...this.#seats.values()];
    return {
      shards: seats.filter(({ isLoaded }) => isLoaded).map(({ shard }) => shard),
      isComplete: seats.every(({ isLoaded }) => isLoaded),
    };
  }

  /** Takes the seats of partitions that came here and leaves those of partitions that went. */
  reconcile(): void {
    const topic = this.#options.topic();
    for (let index = 0; index < (topic?.partitions ?? 0); index += 1) this.#seat(index);
    for (const index of this.#seats.keys()) if (index >= (topic?.partitions ?? 0)) this.#leave(index);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOpen = false;
    const seats = [...this.#seats.values()];
    this.#seats.clear();
    for (const { shard } of seats) shard.close("NOT_COORDINATOR");
    await Promise.allSettled(seats.map(({ loading }) => loading));
  }

  /** A partition has a leader before it is open: who asks for a topic that was made just now is not sent away at once. */
  async #opened(index: number): Promise<Seat<S> | NotSeated> {
    const { clock, loadWaitMs } = this.#options;
    const deadline = clock.monotonic() + loadWaitMs;
    for (;;) {
      const seat = this.#seat(index);
      if (seat !== "COORDINATOR_LOAD_IN_PROGRESS" || clock.monotonic() >= deadline) return seat;
      await sleep(clock, openPollMs);
    }
  }

  #seat(index: number): Seat<S> | NotSeated {
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

  #take(index: number, partition: Partition): Seat<S> {
    const leaveOn = (cause: unknown): void => {
      if (this.#seats.get(index) === seat) this.#leave(index);
      this.#options.failed(cause);
    };
    const shard = this.#options.open(partition, leaveOn);
    const seat: Seat<S> = {
      partition,
      shard,
      isLoaded: false,
      loading: shard.load().then(() => {
        seat.isLoaded = true;
        return this.#options.loaded?.(shard);
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
    const { clock, loadWaitMs } = this.#options;
    await isOverWithin(clock, loadWaitMs, loading);
  }
}

/** Kafka's own placement, so that tools which look into an internal topic find a key where they expect it. */
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
