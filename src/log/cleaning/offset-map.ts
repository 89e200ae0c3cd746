/**
 * The newest offset of each key, in a fixed amount of memory: 24 bytes a slot, open addressing, never more than three
 * quarters full. Keys are told apart by 128 bits of their SHA-256, so that nobody can make two keys that are taken for one.
 *
 *   hashes   | word 0 | word 1 | word 2 | word 3 |   a slot each, uint32
 *   ends     | offset + 1, 0 where the slot is free |
 */
import { hash } from "node:crypto";
import { assert } from "../../base/errors.ts";
import type { Offset } from "../../base/ids.ts";

const words = 4;
const slotBytes = words * Uint32Array.BYTES_PER_ELEMENT + Float64Array.BYTES_PER_ELEMENT;
const loadMax = 0.75;

/** Keys that a map of so many bytes takes. */
export function keysIn(bytes: number): number {
  return Math.floor((bytes / slotBytes) * loadMax);
}

export class OffsetMap {
  readonly #keysMax: number;
  readonly #slots: number;
  readonly #hashes: Uint32Array;
  readonly #ends: Float64Array;
  /** Hash of the key that was asked for last. */
  readonly #asked = new Uint32Array(words);
  #size = 0;

  constructor(keysMax: number) {
    assert(keysMax > 0, "a map of no keys holds nothing");
    this.#keysMax = keysMax;
    this.#slots = Math.ceil(keysMax / loadMax) + 1;
    this.#hashes = new Uint32Array(this.#slots * words);
    this.#ends = new Float64Array(this.#slots);
  }

  get size(): number {
    return this.#size;
  }

  /** -1 when the key is not here. */
  get(key: Uint8Array): number {
    return (this.#ends[this.#find(key)] as number) - 1;
  }

  /** Offsets of a key come in ascending order. false when the key is new and there is no room for it. */
  put(key: Uint8Array, offset: Offset): boolean {
    const slot = this.#find(key);
    if (this.#ends[slot] === 0) {
      if (this.#size === this.#keysMax) return false;
      this.#hashes.set(this.#asked, slot * words);
      this.#size += 1;
    }
    this.#ends[slot] = offset + 1;
    return true;
  }

  /** The key's slot, or the free one where it belongs. */
  #find(key: Uint8Array): number {
    const digest = hash("sha256", key, "binary"); // A string is four times as fast here as a Buffer.
    for (let word = 0; word < words; word += 1) {
      const at = 4 * word;
      this.#asked[word] =
        digest.charCodeAt(at) |
        (digest.charCodeAt(at + 1) << 8) |
        (digest.charCodeAt(at + 2) << 16) |
        (digest.charCodeAt(at + 3) << 24);
    }
    let slot = (this.#asked[0] as number) % this.#slots;
    while (this.#ends[slot] !== 0 && !this.#isAt(slot)) slot = slot + 1 === this.#slots ? 0 : slot + 1;
    return slot;
  }

  #isAt(slot: number): boolean {
    for (let word = 0; word < words; word += 1) {
      if (this.#hashes[slot * words + word] !== this.#asked[word]) return false;
    }
    return true;
  }
}
