/**
 * A set of paths that may take another path for one of its own, about once in 2^53 / size, and never the other way round:
 * it keeps hashes. Of use where a path that is wrongly found costs nothing but space.
 */
import { createHash } from "node:crypto";
import { pathOf } from "../warehouse.ts";

export class PathSet {
  readonly #hashes = new Set<number>();
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** What was added since may be missing. */
  get isFull(): boolean {
    return this.#hashes.size >= this.#countMax;
  }

  add(path: string): void {
    if (!this.isFull) this.#hashes.add(hashOf(path));
  }

  has(path: string): boolean {
    return this.#hashes.has(hashOf(path));
  }
}

/** 53 bits, however the path's place is spelt. */
function hashOf(path: string): number {
  const digest = createHash("sha1").update(pathOf(path)).digest();
  return digest.readUInt32BE(0) * 0x20_0000 + (digest.readUInt32BE(4) & 0x1f_ffff);
}
