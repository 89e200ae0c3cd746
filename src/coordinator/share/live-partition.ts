/**
 * One share-partition at work: reads the log for members, keeps the time of their locks, and writes what it must remember.
 *
 * What is decided holds in memory at once; whoever is owed an answer gets it when the decision is durable. Should that fail, the
 * share-partition closes and is opened again from what was written: records are given out again, none is lost.
 */
import { Gate } from "../../base/async.ts";
import type { Offset } from "../../base/ids.ts";
import type { Clock } from "../../base/runtime.ts";
import type { Partition } from "../../log/log.ts";
import { BatchView } from "../../protocol/record-batch.ts";
import { Timers } from "../timers.ts";
import { type Acknowledgement, acknowledge } from "./acknowledge.ts";
import { type AcquiredRange, acquire } from "./acquire.ts";
import {
  advanceStart,
  type Change,
  completeCount,
  expireLocks,
  type InFlight,
  lengthOf,
  nextExpiry,
  nextToAcquire,
  releaseMember,
  restoreInFlight,
} from "./in-flight.ts";
import { readBatches } from "./read-batches.ts";
import { resetQuery, type ShareGroupConfig } from "./share-config.ts";
import type { SharePartitionKey, ShareState } from "./state-records.ts";
import type { ShareStateShard, StateError } from "./state-shard.ts";

export interface TakeRequest {
  readonly memberId: string;
  readonly recordsMax: number;
  readonly batchSize: number;
  readonly isRecordLimited: boolean;
  readonly bytesMax: number;
  readonly atLeastOne: boolean;
}

export interface Taken {
  readonly batches: readonly Uint8Array[];
  readonly bytes: number;
  readonly records: number;
  readonly ranges: readonly AcquiredRange[];
}

export type AcknowledgeAnswer = StateError | "not-given-out" | "not-held" | "closed";

const nothing: Taken = { batches: [], bytes: 0, records: 0, ranges: [] };

export class LiveSharePartition {
  readonly key: SharePartitionKey;
  readonly partition: Partition;
  readonly #shard: ShareStateShard;
  readonly #clock: Clock;
  readonly #config: () => ShareGroupConfig;
  readonly #gaveUp: () => void;
  readonly #timers: Timers;
  /** One reader at a time: two would read the same records, and one of them in vain. */
  readonly #reading = new Gate(1);
  readonly #listeners = new Set<() => void>();
  /** Of the state that all this rests on: one that is made anew meanwhile is not written over. */
  readonly #from: { readonly stateEpoch: number; readonly making: number };
  #inFlight: InFlight;
  #startWritten: number;
  #written: Promise<StateError> = Promise.resolve("NONE");
  #isOpen = true;

  private constructor(
    options: LiveOptions,
    state: Pick<ShareState, "startOffset" | "batches">,
    { start, ...from }: { readonly start: number; readonly stateEpoch: number; readonly making: number },
  ) {
    this.key = options.key;
    this.partition = options.partition;
    this.#shard = options.shard;
    this.#clock = options.clock;
    this.#config = options.config;
    this.#gaveUp = options.gaveUp;
    this.#from = from;
    this.#startWritten = state.startOffset;
    this.#inFlight = restoreInFlight(start, state.batches);
    this.#timers = new Timers(options.clock, () => this.#expire());
  }

  /** A state that says nowhere begins where the group's policy says, once and for all: a restart must not skip what came meanwhile. */
  static async open(options: LiveOptions): Promise<LiveSharePartition | Exclude<StateError, "NONE">> {
    const state = options.shard.get(options.key) ?? { stateEpoch: 0, startOffset: -1, batches: [] };
    const { stateEpoch } = state;
    const making = options.shard.making(options.key);
    const reset = resetQuery(options.config().reset, options.clock.now());
    const start = state.startOffset >= 0 ? state.startOffset : await startOf(options.partition, reset);
    const live = new LiveSharePartition(options, state, { start, stateEpoch, making });
    live.#inFlight = advanceStart(live.#inFlight, options.partition.logStart);
    const claimed = await live.#write([], true);
    return claimed === "NONE" ? live : claimed;
  }

  get startOffset(): number {
    return this.#inFlight.start;
  }

  /** Calls back whenever there may be more to take than before. */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Records for the member, as many as there are within the limits. Rejects with OperationFailed when the log cannot be read. */
  async take(request: TakeRequest): Promise<Taken | "closed"> {
    using _reader = await this.#reading.enter();
    while (this.#isOpen) {
      this.#advanceToLogStart();
      const { deliveryCountLimit, lockDurationMs, locksMax, isolation } = this.#config();
      const from = nextToAcquire(this.#inFlight);
      const isWindowFull = from >= this.#inFlight.end && this.#inFlight.end - this.#inFlight.start >= locksMax;
      if (isWindowFull || request.recordsMax <= 0) return nothing;
      const { bytesMax, atLeastOne } = request;
      const read = await this.partition.read({ from: from as Offset, bytesMax, atLeastOne, isolation });
      if (read.kind === "closed" || !this.#isOpen) return "closed";
      if (read.kind === "out-of-range") {
        if (this.partition.logStart <= from) return nothing; // Beyond the end: what was given out there went with an older log.
        continue;
      }
      if (read.batches.length === 0) return nothing;
      // From here on without waiting: what is taken is taken from the state as it is now.
      const result = acquire(this.#inFlight, {
        ...request,
        from,
        deliveryCountLimit,
        locksMax,
        untilMs: this.#clock.monotonic() + lockDurationMs,
        batches: readBatches(read, isolation),
      });
      const isProgress = result.state !== this.#inFlight && nextToAcquire(result.state) !== from;
      void this.#accept(result); // Nobody is owed an answer for what is archived on the way.
      if (result.ranges.length > 0) return takenOf(read.batches, result.ranges);
      if (!isProgress) return nothing;
    }
    return "closed";
  }

  /** All of it holds when this says NONE, and durably; otherwise none of it. */
  async acknowledge(memberId: string, batches: readonly Acknowledgement[]): Promise<AcknowledgeAnswer> {
    if (!this.#isOpen) return "closed";
    this.#advanceToLogStart();
    const { deliveryCountLimit, lockDurationMs, isRenewAllowed } = this.#config();
    const nowMs = this.#clock.monotonic();
    const renewedUntilMs = isRenewAllowed ? nowMs + lockDurationMs : undefined;
    const result = acknowledge(this.#inFlight, { memberId, batches, nowMs, renewedUntilMs, deliveryCountLimit });
    if (result.kind !== "done") return result.kind;
    return await this.#accept(result);
  }

  async release(memberId: string): Promise<StateError | "closed"> {
    if (!this.#isOpen) return "closed";
    return await this.#accept(releaseMember(this.#inFlight, memberId, this.#config().deliveryCountLimit));
  }

  close(): void {
    this.#isOpen = false;
    this.#timers[Symbol.dispose]();
    this.#notify();
  }

  #accept(change: Change): Promise<StateError> {
    this.#inFlight = change.state;
    const expiry = nextExpiry(this.#inFlight);
    if (expiry === undefined) this.#timers.cancel(lockTimer);
    else this.#timers.set(lockTimer, Math.max(0, expiry - this.#clock.monotonic()));
    if (change.changed.some(({ state }) => state === "available") || change.state.start !== this.#startWritten) {
      this.#notify();
    }
    return this.#write(change.changed, false);
  }

  #expire(): void {
    void this.#accept(expireLocks(this.#inFlight, this.#clock.monotonic(), this.#config().deliveryCountLimit));
  }

  #advanceToLogStart(): void {
    this.#inFlight = advanceStart(this.#inFlight, this.partition.logStart);
  }

  /** Resolves when this and all that was decided before is durable. Never rejects. */
  #write(changed: Change["changed"], isClaim: boolean): Promise<StateError> {
    const { start } = this.#inFlight;
    if (changed.length === 0 && start === this.#startWritten && !isClaim) return this.#written;
    this.#startWritten = start;
    this.#written = this.#append(changed, start);
    return this.#written;
  }

  async #append(changed: Change["changed"], startOffset: number): Promise<StateError> {
    const error = await this.#shard.write(this.key, this.#from, {
      leaderEpoch: this.partition.leaderEpoch,
      startOffset,
      deliveryCompleteCount: completeCount(this.#inFlight),
      batches: changed.map(({ first, last, state, deliveryCount }) => ({ first, last, state, deliveryCount })),
    });
    if (error !== "NONE" && this.#isOpen) {
      this.close();
      this.#gaveUp();
    }
    return error;
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

export interface LiveOptions {
  readonly key: SharePartitionKey;
  readonly partition: Partition;
  readonly shard: ShareStateShard;
  readonly clock: Clock;
  readonly config: () => ShareGroupConfig;
  /** It has closed itself; open it again when it is next asked for. */
  readonly gaveUp: () => void;
}

const lockTimer = "locks";

async function startOf(partition: Partition, query: ReturnType<typeof resetQuery>): Promise<number> {
  const { offset } = await partition.offsetFor(query, "read-uncommitted");
  return offset >= 0 ? offset : partition.highWatermark; // Nothing is as young as that.
}

/** The batches that hold something of what was acquired. */
function takenOf(read: readonly Uint8Array[], ranges: readonly AcquiredRange[]): Taken {
  const first = (ranges[0] as AcquiredRange).first;
  const last = (ranges.at(-1) as AcquiredRange).last;
  const batches = read.filter((bytes) => {
    const view = new BatchView(bytes);
    return view.lastOffset >= first && view.baseOffset <= last;
  });
  return {
    batches,
    bytes: batches.reduce((sum, batch) => sum + batch.length, 0),
    records: ranges.reduce((sum, range) => sum + lengthOf(range), 0),
    ranges,
  };
}
