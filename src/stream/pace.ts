/**
 * Holds work for readers of the past to a share of the event loop, and to a bandwidth, so that it stays out of the way of who
 * writes and reads at the end. Work begins when all before it has been paid for; a little may always go ahead:
 *
 *   work   |==|      |==|      |==|       each run costs its time divided by the share
 *   others    |------|  |------|
 */
import { Lane, sleep } from "../base/async.ts";
import type { Clock } from "../base/runtime.ts";

export interface PaceLimits {
  /** Of the event loop, in percent; 100 is no limit. */
  readonly catchupLoopPercentMax: number;
  /** Of the store; 0 is no limit. */
  readonly catchupBytesPerSecondMax: number;
}

export class Pace {
  readonly #clock: Clock;
  readonly #limits: PaceLimits;
  readonly #working = new Lane();
  /** When everything so far is paid for, monotonic. */
  #loopPaidMs = Number.NEGATIVE_INFINITY;
  #bytesPaidMs = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly clock: Clock; readonly limits: PaceLimits }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
  }

  /** One piece of work at a time, none of which should take longer than a few milliseconds. */
  run<T>(work: () => T): Promise<T> {
    return this.#working.run(async () => {
      const waitMs = this.#loopPaidMs - loopAheadMs - this.#clock.monotonic();
      if (waitMs > 0) await sleep(this.#clock, waitMs);
      const startedMs = this.#clock.monotonic();
      try {
        return work();
      } finally {
        const costMs = (this.#clock.monotonic() - startedMs) / (this.#limits.catchupLoopPercentMax / 100);
        this.#loopPaidMs = Math.max(this.#loopPaidMs, startedMs) + costMs;
      }
    });
  }

  /** Resolves when that many bytes may be asked for. */
  async bytes(count: number): Promise<void> {
    const rate = this.#limits.catchupBytesPerSecondMax;
    if (rate === 0) return;
    const nowMs = this.#clock.monotonic();
    const beginMs = Math.max(this.#bytesPaidMs, nowMs);
    this.#bytesPaidMs = beginMs + (count / rate) * 1000;
    if (beginMs > nowMs) await sleep(this.#clock, beginMs - nowMs);
  }
}

/** Below the resolution of timers a pause would be longer than what it pays for. */
const loopAheadMs = 2;
