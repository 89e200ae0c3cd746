/**
 * Work in two steps, strictly in order of arrival (ARCHITECTURE.md, one produce request):
 *
 *   prepare   may wait; those of several batches run side by side        ──────▶
 *   assign    synchronous, in order of arrival                              │ │ │   so that lane order is offset order
 *
 * While the storage backs off entries wait, each until its deadline at most: then it leaves with "expired", unassigned.
 *
 * A batch whose preparation is done waits for those before it. When nothing is waiting and the preparation did not have to
 * wait either, the caller assigns in the same turn and the lane is not touched at all.
 */
import type { Clock } from "../base/runtime.ts";

export class PartitionLane<Prepared> {
  #entries: Entry<Prepared>[] = [];
  readonly #clock: Clock;
  readonly #entriesMax: number;
  readonly #ready: () => true | Promise<void>;
  #paused = false;
  /** Runs while the lane is paused and somebody waits. */
  #expiry: Disposable | undefined;
  #expiresMs = Number.POSITIVE_INFINITY;

  /** `ready` is asked before each assign: true to go on, else a promise after which it is asked again. */
  constructor(options: {
    readonly clock: Clock;
    readonly entriesMax: number;
    readonly ready: () => true | Promise<void>;
  }) {
    this.#clock = options.clock;
    this.#entriesMax = options.entriesMax;
    this.#ready = options.ready;
  }

  get isIdle(): boolean {
    return this.#entries.length === 0;
  }

  get isFull(): boolean {
    return this.#entries.length >= this.#entriesMax;
  }

  /**
   * Calls `assign` when everything that arrived before was assigned, has failed or has left. Rejects with what either step
   * threw. "expired": the storage backed off for so long that the entry has left without being assigned.
   */
  run<Result>(
    prepared: Prepared | Promise<Prepared>,
    waitMsMax: number,
    assign: (prepared: Prepared) => Promise<Result>,
  ): Promise<Result | "expired"> {
    return new Promise((resolve, reject) => {
      const entry: Entry<Prepared> = {
        prepared: undefined,
        deadlineMs: this.#clock.monotonic() + waitMsMax,
        expire: () => resolve("expired"),
        assign: (value) => {
          try {
            resolve(assign(value));
          } catch (cause) {
            reject(cause);
          }
        },
      };
      this.#entries.push(entry);
      if (this.#paused && entry.deadlineMs < this.#expiresMs) this.#armExpiry();
      const settle = (value: { readonly value: Prepared } | "failed"): void => {
        entry.prepared = value;
        this.#drain();
      };
      if (!(prepared instanceof Promise)) {
        settle({ value: prepared });
        return;
      }
      prepared.then(
        (value) => settle({ value }),
        (cause: unknown) => {
          reject(cause);
          settle("failed");
        },
      );
    });
  }

  #drain(): void {
    while (!this.#paused) {
      const head = this.#entries[0];
      if (head?.prepared === undefined) return;
      if (head.prepared !== "failed") {
        const ready = this.#ready();
        if (ready !== true) {
          this.#pause(ready);
          return;
        }
      }
      this.#entries.shift();
      if (head.prepared !== "failed") head.assign(head.prepared.value);
    }
  }

  #pause(until: Promise<void>): void {
    this.#paused = true;
    this.#armExpiry();
    const resume = (): void => {
      this.#paused = false;
      this.#disarmExpiry();
      this.#drain();
    };
    until.then(resume, resume); // A rejection means that the storage is closing: the assign step finds that out itself.
  }

  #armExpiry(): void {
    this.#disarmExpiry();
    for (const { deadlineMs } of this.#entries) this.#expiresMs = Math.min(this.#expiresMs, deadlineMs);
    if (this.#entries.length === 0) return;
    this.#expiry = this.#clock.after(Math.max(1, this.#expiresMs - this.#clock.monotonic()), () => this.#expire());
  }

  #disarmExpiry(): void {
    this.#expiry?.[Symbol.dispose]();
    this.#expiry = undefined;
    this.#expiresMs = Number.POSITIVE_INFINITY;
  }

  #expire(): void {
    const nowMs = this.#clock.monotonic();
    const expired = this.#entries.filter(({ deadlineMs }) => deadlineMs <= nowMs);
    this.#entries = this.#entries.filter(({ deadlineMs }) => deadlineMs > nowMs);
    for (const { expire } of expired) expire();
    this.#armExpiry();
  }
}

interface Entry<Prepared> {
  prepared: { readonly value: Prepared } | "failed" | undefined;
  /** Monotonic. */
  readonly deadlineMs: number;
  readonly expire: () => void;
  readonly assign: (prepared: Prepared) => void;
}
