/** The only place that reads time or randomness. Everything else takes a Clock and a Random as arguments, so that a
 *  simulation can own both. */
import { randomFillSync } from "node:crypto";
import { Disposal } from "./disposal.ts";

export interface Clock {
  /** Wall-clock time, milliseconds since the epoch. May step back: never used for fencing or ordering. */
  now(): number;
  /** Milliseconds from an arbitrary start, never decreasing, with fractions. */
  monotonic(): number;
  /** Calls back once after the delay, unless disposed of before. A delay of 0 yields to I/O that is ready. */
  after(delayMs: number, callback: () => void): Disposable;
}

export interface Random {
  /** Fills the array with random bytes and returns it. */
  fill(bytes: Uint8Array): Uint8Array;
  /** A number in [0, 1). */
  unit(): number;
}

export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
}

export function systemRuntime(): Runtime {
  return { clock: systemClock, random: systemRandom };
}

const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const timer = delayMs <= 0 ? undefined : setTimeout(callback, delayMs);
    const immediate = timer === undefined ? setImmediate(callback) : undefined;
    return new Disposal(() => {
      clearTimeout(timer);
      clearImmediate(immediate);
    });
  },
};

const systemRandom: Random = {
  fill: (bytes) => randomFillSync(bytes),
  unit: () => Math.random(),
};
