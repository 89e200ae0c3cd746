/** Finds the distinct values of a column, and gives up as soon as a dictionary would not make it smaller. */
import type { BytesLeaf, DoubleLeaf, FixedLeaf, FloatLeaf, Int32Leaf, Int64Leaf, Leaf } from "../translate/leaf.ts";
import { bitWidth } from "./parquet-encoding.ts";

export interface Dictionary {
  /** Index among the leaf's values of each distinct value, in the order in which they first come. */
  readonly firsts: Uint32Array;
  /** For each value of the leaf, its place among `firsts`. */
  readonly indexes: Uint32Array;
  /** Of the dictionary page, uncompressed. */
  readonly bytes: number;
}

/** After this many values, and then whenever their number has doubled, a dictionary must prove that it saves space. */
const probationValues = 4096;

/** undefined when PLAIN is not longer, or the dictionary would exceed `bytesMax`. */
export function findDictionary(leaf: Leaf, bytesMax: number): Dictionary | undefined {
  if (leaf.count < 2) return undefined;
  switch (leaf.kind) {
    case "boolean":
      return undefined; // One bit a value already.
    case "int32":
    case "float":
      return new Finder(leaf, bytesMax, words32(leaf)).run();
    case "int64":
    case "double":
      return new Finder(leaf, bytesMax, words64(leaf)).run();
    case "bytes":
      return new Finder(leaf, bytesMax, byteArrays(leaf)).run();
    case "fixed":
      return new Finder(leaf, bytesMax, fixedArrays(leaf)).run();
  }
}

/**
 * Steps through the table that a value may cost on average. Values that were chosen to collide cost more, and then the
 * column is written plain.
 */
const stepsPerValueMax = 8;

/** How values of one kind are compared. Values are named by their index; floats are told apart by their bits. */
interface Identity {
  /** Of values [from, to), into the first places of `hashes`: one loop, since a call a value costs more than the hash. */
  readonly hashAll: (from: number, to: number, hashes: Int32Array) => void;
  readonly same: (a: number, b: number) => boolean;
  /** Bytes of values [from, to) as PLAIN. */
  readonly size: (from: number, to: number) => number;
}

class Finder {
  readonly #count: number;
  readonly #bytesMax: number;
  readonly #identity: Identity;
  /** Open addressing: a hash, and a dictionary place + 1 or 0. Never more than half full. */
  #table = new Int32Array(2 * 1024);
  #firsts = new Uint32Array(512);
  #distinct = 0;
  #dictionaryBytes = 0;
  #steps = 0;

  constructor(leaf: Leaf, bytesMax: number, identity: Identity) {
    this.#count = leaf.count;
    this.#bytesMax = bytesMax;
    this.#identity = identity;
  }

  run(): Dictionary | undefined {
    const count = this.#count;
    const indexes = new Uint32Array(count);
    let provesAt = probationValues;
    for (let from = 0; from < count; from += probationValues) {
      const to = Math.min(count, from + probationValues);
      if (!this.#addBlock(from, to, indexes)) return undefined;
      if (to === provesAt) {
        if (!this.#saves(to)) return undefined;
        provesAt *= 2;
      }
    }
    if (!this.#saves(count)) return undefined;
    return { firsts: this.#firsts.slice(0, this.#distinct), indexes, bytes: this.#dictionaryBytes };
  }

  /** False when the values are not worth a dictionary. */
  #addBlock(from: number, to: number, indexes: Uint32Array): boolean {
    const { hashAll, same } = this.#identity;
    hashAll(from, to, blockHashes);
    let steps = this.#steps;
    for (let value = from; value < to; value += 1) {
      const table = this.#table;
      const mask = table.length - 1;
      const hash = blockHashes[value - from] as number;
      let slot = (hash * 2) & mask;
      let place = (table[slot + 1] as number) - 1;
      while (place >= 0 && !(table[slot] === hash && same(this.#firsts[place] as number, value))) {
        slot = (slot + 2) & mask;
        place = (table[slot + 1] as number) - 1;
        steps += 1;
      }
      if (steps > stepsPerValueMax * (value + probationValues)) return false;
      if (place < 0) {
        place = this.#distinct;
        if (!this.#add(slot, hash, value)) return false;
      }
      indexes[value] = place;
    }
    this.#steps = steps;
    return true;
  }

  #saves(values: number): boolean {
    const packedBytes = (values * bitWidth(this.#distinct - 1)) / 8;
    return this.#dictionaryBytes + packedBytes < this.#identity.size(0, values);
  }

  /** False when the dictionary has no room for it. */
  #add(slot: number, hash: number, value: number): boolean {
    this.#dictionaryBytes += this.#identity.size(value, value + 1);
    if (this.#dictionaryBytes > this.#bytesMax) return false;
    this.#firsts[this.#distinct] = value;
    this.#distinct += 1;
    this.#table[slot] = hash;
    this.#table[slot + 1] = this.#distinct;
    if (this.#distinct === this.#firsts.length) this.#grow();
    return true;
  }

  #grow(): void {
    const firsts = new Uint32Array(this.#firsts.length * 2);
    firsts.set(this.#firsts);
    this.#firsts = firsts;
    const old = this.#table;
    const table = new Int32Array(old.length * 2);
    for (let from = 0; from < old.length; from += 2) {
      if (old[from + 1] === 0) continue;
      let slot = ((old[from] as number) * 2) & (table.length - 1);
      while (table[slot + 1] !== 0) slot = (slot + 2) & (table.length - 1);
      table[slot] = old[from] as number;
      table[slot + 1] = old[from + 1] as number;
    }
    this.#table = table;
  }
}

const blockHashes = new Int32Array(probationValues);

function words32(leaf: Int32Leaf | FloatLeaf): Identity {
  const words = leaf.kind === "int32" ? leaf.values : leaf.bits;
  return {
    hashAll(from, to, hashes) {
      for (let at = from; at < to; at += 1) hashes[at - from] = mixed(words[at] as number);
    },
    same: (a, b) => words[a] === words[b],
    size: (from, to) => (to - from) * 4,
  };
}

function words64(leaf: Int64Leaf | DoubleLeaf): Identity {
  const words = leaf.kind === "int64" ? leaf.words : leaf.bits;
  return {
    hashAll(from, to, hashes) {
      for (let at = from; at < to; at += 1) {
        hashes[at - from] = mixed((words[at * 2] as number) ^ Math.imul(words[at * 2 + 1] as number, 0x9e3779b1));
      }
    },
    same: (a, b) => words[a * 2] === words[b * 2] && words[a * 2 + 1] === words[b * 2 + 1],
    size: (from, to) => (to - from) * 8,
  };
}

function byteArrays(leaf: BytesLeaf): Identity {
  const { data, offsets } = leaf;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return {
    hashAll(from, to, hashes) {
      let start = offsets[from] as number;
      for (let at = from; at < to; at += 1) {
        const end = offsets[at + 1] as number;
        hashes[at - from] = hashBytes(data, view, start, end);
        start = end;
      }
    },
    same(a, b) {
      const start = offsets[a] as number;
      const other = offsets[b] as number;
      const size = (offsets[a + 1] as number) - start;
      return size === (offsets[b + 1] as number) - other && sameBytes(data, view, start, other, size);
    },
    size: (from, to) => 4 * (to - from) + (offsets[to] as number) - (offsets[from] as number),
  };
}

function fixedArrays(leaf: FixedLeaf): Identity {
  const { data, width } = leaf;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return {
    hashAll(from, to, hashes) {
      for (let at = from; at < to; at += 1) {
        hashes[at - from] = hashBytes(data, view, at * width, (at + 1) * width);
      }
    },
    same: (a, b) => sameBytes(data, view, a * width, b * width, width),
    size: (from, to) => (to - from) * width,
  };
}

function mixed(word: number): number {
  const hash = Math.imul(word ^ (word >>> 16), 0x7feb352d);
  return hash ^ (hash >>> 15);
}

function hashBytes(data: Uint8Array, view: DataView, start: number, end: number): number {
  let hash = end - start;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(hash ^ view.getInt32(at, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; at < end; at += 1) hash = Math.imul(hash ^ (data[at] as number), 0x01000193);
  return mixed(hash);
}

function sameBytes(data: Uint8Array, view: DataView, a: number, b: number, size: number): boolean {
  let at = 0;
  for (; at + 4 <= size; at += 4) if (view.getInt32(a + at, true) !== view.getInt32(b + at, true)) return false;
  for (; at < size; at += 1) if (data[a + at] !== data[b + at]) return false;
  return true;
}
