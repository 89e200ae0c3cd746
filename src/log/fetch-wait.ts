/**
 * Fetches that wait for bytes (KIP-74's long poll). Each advance of a partition recounts that partition alone, so a fetch
 * of a thousand partitions costs one count an append. The number of waiting fetches is bounded: beyond it a fetch
 * answers at once with what there is, which is always legal.
 */
import type { Offset } from "../base/ids.ts";
import type { Clock } from "../base/runtime.ts";
import type { Isolation, Partition } from "./log.ts";

export interface FetchWaitLimits {
  readonly fetchesWaitingMax: number;
}

export interface WaitRequest {
  readonly positions: readonly { readonly partition: Partition; readonly from: Offset }[];
  readonly isolation: Isolation;
  readonly bytesMin: number;
  readonly waitMsMax: number;
  /** Ends the wait when the connection goes. */
  readonly signal: AbortSignal;
}

/** Why a wait ended. All lead to an answer, save "aborted". */
export type WaitEnd = "bytes" | "time" | "crowded" | "aborted";

export class FetchWait {
  readonly #clock: Clock;
  readonly #limits: FetchWaitLimits;
  #waiting = 0;

  constructor(options: { readonly clock: Clock; readonly limits: FetchWaitLimits }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Resolves when the positions have `bytesMin` bytes to give, or when time is up. */
  async wait(request: WaitRequest): Promise<WaitEnd> {
    if (request.signal.aborted) return "aborted";
    if (request.waitMsMax <= 0) return "time";
    if (this.#waiting >= this.#limits.fetchesWaitingMax) return "crowded";
    this.#waiting += 1;
    try {
      return await new Waiter(this.#clock, request).end;
    } finally {
      this.#waiting -= 1;
    }
  }
}

class Waiter {
  readonly end: Promise<WaitEnd>;
  readonly #request: WaitRequest;
  /** Bytes that each position could give when it was last counted. */
  readonly #available: Float64Array;
  #total = 0;
  readonly #listeners: Disposable[] = [];

  constructor(clock: Clock, request: WaitRequest) {
    this.#request = request;
    this.#available = new Float64Array(request.positions.length);
    const { promise, resolve } = Promise.withResolvers<WaitEnd>();
    this.end = promise.finally(() => this.#stop());
    const abort = (): void => resolve("aborted");
    request.signal.addEventListener("abort", abort, { once: true });
    this.#listeners.push({
      [Symbol.dispose]: () => request.signal.removeEventListener("abort", abort),
    });
    this.#listeners.push(clock.after(request.waitMsMax, () => resolve("time")));
    for (let index = 0; index < request.positions.length; index += 1) {
      const verdict = this.#count(index);
      if (verdict !== undefined) {
        resolve(verdict);
        return;
      }
      this.#listen(index, resolve);
    }
  }

  /** Listens before it counts again, so that no advance between the two is missed. */
  #listen(index: number, resolve: (end: WaitEnd) => void): void {
    const { partition } = this.#request.positions[index] as WaitRequest["positions"][number];
    this.#listeners[index + 2] = partition.onAdvance(() => {
      this.#listen(index, resolve);
      const verdict = this.#count(index);
      if (verdict !== undefined) resolve(verdict);
    });
  }

  #count(index: number): WaitEnd | undefined {
    const { partition, from } = this.#request.positions[index] as WaitRequest["positions"][number];
    const bytes = partition.bytesAvailable(from, this.#request.isolation);
    this.#total += bytes - (this.#available[index] as number);
    this.#available[index] = bytes;
    return this.#total >= this.#request.bytesMin ? "bytes" : undefined;
  }

  #stop(): void {
    for (const listener of this.#listeners) listener[Symbol.dispose]();
  }
}
