/** All randomness of a simulated world, from one seed. */
import { createHash } from "node:crypto";
import type { Random } from "../../src/base/runtime.ts";

export class SimRandom implements Random {
  readonly seed: string;
  /** sfc32 (Doty-Humphrey, PractRand): small, fast, and plenty for choosing faults. */
  readonly #state: Uint32Array;

  constructor(seed: number | string) {
    this.seed = String(seed);
    const digest = createHash("sha256").update(this.seed).digest();
    this.#state = Uint32Array.of(digest.readUInt32LE(0), digest.readUInt32LE(4), digest.readUInt32LE(8), 1);
    for (let i = 0; i < 12; i++) this.#next();
  }

  /** A generator of its own for one component, so that a draw more in one place does not shift all the others. */
  fork(name: string): SimRandom {
    return new SimRandom(`${this.seed}/${name}`);
  }

  unit(): number {
    return this.#next() / 2 ** 32;
  }

  fill(bytes: Uint8Array): Uint8Array {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.#next() >>> 24;
    return bytes;
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.unit() * below);
  }

  /** A number in [min, max). */
  between(min: number, max: number): number {
    return min + this.unit() * (max - min);
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(from: readonly T[]): T {
    if (from.length === 0) throw new RangeError("nothing to pick from");
    return from[this.below(from.length)] as T;
  }

  #next(): number {
    const s = this.#state;
    const [a, b, c, counter] = [s[0] as number, s[1] as number, s[2] as number, s[3] as number];
    const out = (a + b + counter) >>> 0;
    s[3] = counter + 1;
    s[0] = b ^ (b >>> 9);
    s[1] = c + (c << 3);
    s[2] = ((c << 21) | (c >>> 11)) + out;
    return out;
  }
}
