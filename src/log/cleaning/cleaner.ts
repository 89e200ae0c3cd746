/**
 * Cleans the compacted partitions of this node in the background: one at a time, the dirtiest first, no faster than it may read
 * and not while producers are held back. What fails is tried again at the next turn: nothing is lost by cleaning later.
 */
import { Lane, Loop, Slices, sleep, untilAborted } from "../../base/async.ts";
import { Closed, CorruptData, OperationFailed } from "../../base/errors.ts";
import type { Offset } from "../../base/ids.ts";
import type { Clock } from "../../base/runtime.ts";
import type { Logger } from "../../base/telemetry.ts";
import type { OwnedPartition } from "../partition.ts";
import type { PassOptions, PassOutcome } from "./cleaning-pass.ts";
import { keysIn } from "./offset-map.ts";

export interface CleanerLimits {
  readonly cleanerIntervalMs: number;
  /** Of the map of keys. What does not fit waits for another pass. */
  readonly cleanerMapBytesMax: number;
  /** Cleaned ranges that wait to be written as one object; a range above it is read twice instead. */
  readonly cleanerBufferBytesMax: number;
  readonly cleanerBytesPerSecondMax: number;
  readonly inflatedBytesMax: number;
}

export interface CleanerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: CleanerLimits;
  readonly partitions: () => Iterable<OwnedPartition>;
  /** Cleaning must not pass this offset (what is not in the lake yet); undefined for no bound. */
  readonly hold: (partition: OwnedPartition) => Offset | undefined;
  readonly failed: (cause: unknown) => void;
}

/** Our own code never holds the event loop for longer than twice this. */
const sliceMsMax = 5;

export class Cleaner implements AsyncDisposable {
  readonly #options: CleanerOptions;
  readonly #loop: Loop;
  /** One turn at a time. */
  readonly #lane = new Lane();
  readonly #stop = new AbortController();
  /** Partitions of which something cannot be read: they stay as they are until the next start. */
  readonly #damaged = new WeakSet<OwnedPartition>();
  /** Monotonic time from which on the next bytes may be read. */
  #readFromMs = 0;

  constructor(options: CleanerOptions) {
    this.#options = options;
    this.#loop = new Loop({
      clock: options.clock,
      intervalMs: options.limits.cleanerIntervalMs,
      turn: () => this.turn(),
      failed: options.failed,
    });
  }

  /** Cleans all that is due. What still waits for the store or the metadata log when the cleaner stops fails with them. */
  turn(): Promise<void> {
    return this.#lane.run(() => untilAborted(this.#turn(), this.#stop.signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Closed("cleaner"));
    await this.#loop[Symbol.asyncDispose]();
    await this.#lane.close();
  }

  async #turn(): Promise<void> {
    const { clock } = this.#options;
    const slices = new Slices({ clock, sliceMsMax, signal: this.#stop.signal });
    const due: { readonly partition: OwnedPartition; readonly dirtyRatio: number }[] = [];
    for (const partition of this.#options.partitions()) {
      const plan = this.#plan(partition);
      if (plan !== undefined) due.push({ partition, dirtyRatio: plan.dirtyRatio });
      await slices.pause();
    }
    due.sort((a, b) => b.dirtyRatio - a.dirtyRatio);
    for (const { partition } of due) {
      this.#stop.signal.throwIfAborted();
      await this.#clean(partition, slices);
    }
  }

  #plan(partition: OwnedPartition): PassOptions["plan"] | undefined {
    if (this.#damaged.has(partition)) return undefined;
    return partition.cleaningPlan(this.#options.clock.now(), this.#options.hold(partition));
  }

  /** Pass after pass while there is more than the map holds. */
  async #clean(partition: OwnedPartition, slices: Slices): Promise<void> {
    const { clock, logger, limits } = this.#options;
    const { topic, index } = partition;
    try {
      for (let plan = this.#plan(partition); plan !== undefined; plan = this.#plan(partition)) {
        const outcome = await partition.clean({
          plan,
          nowMs: clock.now(),
          slices,
          limits: {
            keysMax: keysIn(limits.cleanerMapBytesMax),
            bufferBytesMax: limits.cleanerBufferBytesMax,
            inflatedBytesMax: limits.inflatedBytesMax,
          },
          admit: (bytes) => this.#admit(partition, bytes),
        });
        logger.info("cleaned", { topic, partition: index, ...summary(outcome) });
        const isFurther = outcome.progress.cleanedTo > plan.dirtyFrom;
        if (outcome.kind === "stale" || !isFurther) return;
      }
    } catch (cause) {
      if (cause instanceof Closed || this.#stop.signal.aborted) return; // Given up meanwhile, or the node stops.
      if (!(cause instanceof OperationFailed || cause instanceof CorruptData)) throw cause;
      if (cause instanceof CorruptData) this.#damaged.add(partition);
      logger.warn("cleaning failed", { topic, partition: index, cause });
    }
  }

  async #admit(partition: OwnedPartition, bytes: number): Promise<void> {
    const { clock, limits } = this.#options;
    const { signal } = this.#stop;
    await untilAborted(partition.admitted(), signal);
    const nowMs = clock.monotonic();
    const readFromMs = Math.max(this.#readFromMs, nowMs);
    this.#readFromMs = readFromMs + (bytes / limits.cleanerBytesPerSecondMax) * 1000;
    if (readFromMs > nowMs) await sleep(clock, readFromMs - nowMs, signal);
  }
}

function summary({ kind, progress, bytesBefore, bytesAfter }: PassOutcome): Readonly<Record<string, unknown>> {
  return { outcome: kind, cleanedTo: progress.cleanedTo, bytesBefore, bytesAfter };
}
