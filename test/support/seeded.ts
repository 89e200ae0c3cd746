/** A Random that a seed decides, and a logger that says nothing. */
import type { Random, Runtime } from "../../src/base/runtime.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import type { Logger } from "../../src/base/telemetry.ts";

/** mulberry32, public domain. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    unit: next,
    fill(bytes) {
      for (let i = 0; i < bytes.length; i += 1) bytes[i] = Math.floor(next() * 256);
      return bytes;
    },
  };
}

/** A whole number below it. */
export function int(random: Random, below: number): number {
  return Math.floor(random.unit() * below);
}

/** Real timers: tests wait for events, never for a time. The wall clock may be set ahead. */
export function seededRuntime(seed: number, aheadMs: () => number = () => 0): Runtime {
  const { clock } = systemRuntime();
  return { clock: { ...clock, now: () => clock.now() + aheadMs() }, random: seededRandom(seed) };
}

export const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent,
};
