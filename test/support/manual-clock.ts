/** A clock that moves when the test says so. */
import type { Clock } from "../../src/base/runtime.ts";

export class ManualClock implements Clock {
  #nowMs: number;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Disposable {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return { [Symbol.dispose]: () => this.#forget(timer) };
  }

  /** Timers that have not called back. */
  get pending(): number {
    return this.#timers.length;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const timer of this.#timers.filter((each) => each.atMs <= this.#nowMs)) {
      this.#forget(timer);
      timer.callback();
    }
  }

  #forget(timer: { readonly atMs: number }): void {
    this.#timers = this.#timers.filter((each) => each !== timer);
  }
}
