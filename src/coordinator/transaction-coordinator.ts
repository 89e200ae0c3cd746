/** Which shard a transactional id lives in, and the duties that return on a timer. */
import { isOverWithin, Loop, untilAborted } from "../base/async.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Log } from "../log/log.ts";
import { StateLog, type StateLogLimits } from "../log/state-log.ts";
import { type CoordinatorTopic, type NotSeated, type Seated, Seats } from "./seats.ts";
import type { WriteMarker } from "./transaction-markers.ts";
import { TransactionShard } from "./transaction-shard.ts";

export interface TransactionCoordinatorOptions {
  readonly log: Log;
  /** __transaction_state, undefined before it exists. */
  readonly topic: () => CoordinatorTopic | undefined;
  readonly runtime: Runtime;
  readonly writeMarker: WriteMarker;
  /** A new producer id; undefined when none can be had now. */
  readonly producerId: () => Promise<number | undefined>;
  readonly limits: {
    readonly timeoutMsMax: number;
    readonly abortCheckIntervalMs: number;
    /** The next transaction waits this long for the end of the last. */
    readonly endWaitMs: number;
    /** Of one shard. */
    readonly idsMax: number;
    readonly idRetentionMs: number;
    readonly idCheckIntervalMs: number;
    /** A request waits this long for the shard to be read before it is told to come again. */
    readonly loadWaitMs: number;
  };
  readonly stateLog: StateLogLimits;
  /** Receives what went wrong in the background. The coordinator goes on: it loads again. */
  readonly failed: (cause: unknown) => void;
}

const reconcileIntervalMs = 1000;

export class TransactionCoordinator implements AsyncDisposable {
  readonly limits: TransactionCoordinatorOptions["limits"];
  readonly runtime: Runtime;
  readonly #seats: Seats<TransactionShard>;
  readonly #loop: Loop;
  #abortsCheckedAt: number;
  #idsCheckedAt: number;

  constructor(options: TransactionCoordinatorOptions) {
    const { log, runtime, topic, limits, stateLog, writeMarker, producerId, failed } = options;
    this.limits = limits;
    this.runtime = runtime;
    this.#abortsCheckedAt = runtime.clock.monotonic();
    this.#idsCheckedAt = runtime.clock.monotonic();
    this.#seats = new Seats({
      log,
      clock: runtime.clock,
      topic,
      loadWaitMs: limits.loadWaitMs,
      open: (partition, gaveUp) => {
        const records = new StateLog({ partition, clock: runtime.clock, limits: stateLog });
        const coordinatorEpoch = partition.leaderEpoch;
        return new TransactionShard({
          log: records,
          coordinatorEpoch,
          runtime,
          limits,
          writeMarker,
          producerId,
          gaveUp,
        });
      },
      failed,
    });
    this.#loop = new Loop({
      clock: runtime.clock,
      intervalMs: reconcileIntervalMs,
      turn: (signal) => this.#turn(signal),
      failed,
    });
  }

  /** The id's shard when it is here. Use it in the same turn; after an await ask again. */
  shard(transactionalId: string): Promise<TransactionShard | NotSeated> {
    return this.#seats.shard(transactionalId);
  }

  /** Every shard of this node; `isComplete` is false when one is still being read after a while. */
  allShards(): Promise<Seated<TransactionShard>> {
    return this.#seats.all();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
    const { shards } = this.#seats.loaded();
    await this.#seats[Symbol.asyncDispose]();
    const stopped = Promise.all(shards.map((shard) => shard.stopped()));
    await isOverWithin(this.runtime.clock, this.limits.endWaitMs, stopped);
  }

  async #turn(signal: AbortSignal): Promise<void> {
    this.#seats.reconcile();
    const now = this.runtime.clock.monotonic();
    const { abortCheckIntervalMs, idCheckIntervalMs, idRetentionMs } = this.limits;
    if (now - this.#abortsCheckedAt >= abortCheckIntervalMs) {
      this.#abortsCheckedAt = now;
      await this.#forEach((shard) => shard.abortTimedOut(), signal);
    }
    if (now - this.#idsCheckedAt >= idCheckIntervalMs) {
      this.#idsCheckedAt = now;
      await this.#forEach((shard) => shard.expire(idRetentionMs), signal);
    }
  }

  /** What still waits when the signal aborts fails with the storage. */
  async #forEach(work: (shard: TransactionShard) => Promise<void>, signal: AbortSignal): Promise<void> {
    for (const shard of this.#seats.loaded().shards) await untilAborted(work(shard), signal);
  }
}
