import type { Clock } from "../../src/base/runtime.ts";

/** A millisecond goes by each time that it is looked at; counts the turns that others get. */
export class BusyClock implements Clock {
  turns = 0;
  #nowMs = 0;

  now(): number {
    return 0;
  }

  monotonic(): number {
    this.#nowMs += 1;
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Disposable {
    this.turns += 1;
    const timer = delayMs <= 0 ? undefined : setTimeout(callback, delayMs);
    const immediate = timer === undefined ? setImmediate(callback) : undefined;
    return {
      [Symbol.dispose]: () => {
        clearTimeout(timer);
        clearImmediate(immediate);
      },
    };
  }
}
