/** The states of share-partitions that are kept on this node: which shard of __share_group_state a state lives in, and its upkeep. */
import { Loop, untilAborted } from "../../base/async.ts";
import { type Uuid, uuidToBytes } from "../../base/ids.ts";
import type { Clock } from "../../base/runtime.ts";
import type { Log } from "../../log/log.ts";
import { StateLog, type StateLogLimits } from "../../log/state-log.ts";
import { type CoordinatorTopic, type NotSeated, Seats } from "../seats.ts";
import type { SharePartitionKey } from "./state-records.ts";
import { type ShareStateLimits, ShareStateShard } from "./state-shard.ts";

export interface ShareStatesOptions {
  readonly log: Log;
  readonly clock: Clock;
  /** __share_group_state, undefined before it exists. */
  readonly topic: () => CoordinatorTopic | undefined;
  /** Whether there is a topic of this id. */
  readonly isTopic: (topicId: Uuid) => boolean;
  readonly limits: ShareStateLimits & { readonly loadWaitMs: number; readonly pruneIntervalMs: number };
  readonly stateLog: StateLogLimits;
  readonly failed: (cause: unknown) => void;
}

const reconcileIntervalMs = 1000;

export class ShareStates implements AsyncDisposable {
  readonly #seats: Seats<ShareStateShard>;
  readonly #options: ShareStatesOptions;
  readonly #loop: Loop;
  #prunedAt: number;

  constructor(options: ShareStatesOptions) {
    const { clock, log, topic, limits, failed } = options;
    this.#options = options;
    this.#prunedAt = clock.monotonic();
    this.#seats = new Seats({
      log,
      clock,
      topic,
      failed,
      loadWaitMs: limits.loadWaitMs,
      open: (partition, gaveUp) =>
        new ShareStateShard({
          log: new StateLog({ partition, clock, limits: options.stateLog }),
          clock,
          limits,
          gaveUp,
          trim: (before) => partition.deleteRecords(before),
        }),
    });
    this.#loop = new Loop({ clock, intervalMs: reconcileIntervalMs, turn: (signal) => this.#turn(signal), failed });
  }

  /** The shard that keeps the share-partition's state, when it is here. Use it in the same turn. */
  async shard(key: SharePartitionKey): Promise<ShareStateShard | NotSeated> {
    return await this.#seats.shard(coordinatorKey(key));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
    await this.#seats[Symbol.asyncDispose]();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    this.#seats.reconcile();
    const { clock, limits, isTopic } = this.#options;
    if (clock.monotonic() - this.#prunedAt < limits.pruneIntervalMs) return;
    this.#prunedAt = clock.monotonic();
    for (const shard of this.#seats.loaded().shards) {
      // What still waits then fails with the storage.
      await untilAborted(shard.forget(isTopic), signal);
      await untilAborted(shard.prune(), signal);
    }
  }
}

/** As Kafka writes it: the id in base64 without padding. */
function coordinatorKey({ groupId, topicId, partition }: SharePartitionKey): string {
  return `${groupId}:${Buffer.from(uuidToBytes(topicId)).toString("base64url")}:${partition}`;
}
