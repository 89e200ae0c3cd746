/**
 * Deadlines that are seldom reached, such as those of requests: one timer looks after all of them, where Node makes and
 * throws away a timer for each, and its list of timers with each that is the only one.
 */
import type { Clock } from "./runtime.ts";

export class Deadlines {
  readonly #clock: Clock;
  readonly #all = new Set<Deadline>();
  #isTicking = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls back when the time is up, or up to `tickMs` later, unless disposed of before. */
  after(delayMs: number, callback: () => void): Disposable {
    if (delayMs <= tickMs) return this.#clock.after(delayMs, callback);
    const deadline = new Deadline(this.#all, this.#clock.monotonic() + delayMs, callback);
    this.#all.add(deadline);
    if (!this.#isTicking) this.#tickLater();
    return deadline;
  }

  #tickLater(): void {
    this.#isTicking = true;
    this.#clock.after(tickMs, () => {
      this.#isTicking = false;
      const nowMs = this.#clock.monotonic();
      for (const deadline of this.#all) {
        if (deadline.dueMs > nowMs) continue;
        deadline[Symbol.dispose]();
        deadline.callback();
      }
      if (this.#all.size > 0 && !this.#isTicking) this.#tickLater();
    });
  }
}

class Deadline implements Disposable {
  readonly dueMs: number;
  readonly callback: () => void;
  readonly #all: Set<Deadline>;

  constructor(all: Set<Deadline>, dueMs: number, callback: () => void) {
    this.#all = all;
    this.dueMs = dueMs;
    this.callback = callback;
  }

  [Symbol.dispose](): void {
    this.#all.delete(this);
  }
}

const tickMs = 50;
