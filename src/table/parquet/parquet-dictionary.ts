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
  readonly hash: (index: number) => number;
  readonly same: (a: number, b: number) => boolean;
  /** Bytes as PLAIN. */
  readonly size: (index: number) => number;
}

class Finder {
  readonly #leaf: Leaf;
  readonly #bytesMax: number;
  readonly #identity: Identity;
  /** Open addressing; a dictionary place + 1, or 0. Never more than half full. */
  #table = new Int32Array(1024);
  #firsts = new Uint32Array(512);
  #distinct = 0;

  constructor(leaf: Leaf, bytesMax: number, identity: Identity) {
    this.#leaf = leaf;
    this.#bytesMax = bytesMax;
    this.#identity = identity;
  }

  run(): Dictionary | undefined {
    const count = this.#leaf.count;
    const indexes = new Uint32Array(count);
    const { hash, same, size } = this.#identity;
    let dictionaryBytes = 0;
    let plainBytes = 0;
    let provesAt = probationValues;
    let steps = 0;
    for (let value = 0; value < count; value += 1) {
      const bytes = size(value);
      plainBytes += bytes;
      let slot = hash(value) & (this.#table.length - 1);
      let place = (this.#table[slot] as number) - 1;
      while (place >= 0 && !same(this.#firsts[place] as number, value)) {
        slot = (slot + 1) & (this.#table.length - 1);
        place = (this.#table[slot] as number) - 1;
        steps += 1;
      }
      if (steps > stepsPerValueMax * (value + probationValues)) return undefined;
      if (place < 0) {
        place = this.#distinct;
        dictionaryBytes += bytes;
        if (dictionaryBytes > this.#bytesMax) return undefined;
        this.#add(slot, value);
      }
      indexes[value] = place;
      if (value + 1 === provesAt) {
        if (!this.#saves(dictionaryBytes, value + 1, plainBytes)) return undefined;
        provesAt *= 2;
      }
    }
    if (!this.#saves(dictionaryBytes, count, plainBytes)) return undefined;
    return { firsts: this.#firsts.slice(0, this.#distinct), indexes, bytes: dictionaryBytes };
  }

  #saves(dictionaryBytes: number, values: number, plainBytes: number): boolean {
    return dictionaryBytes + (values * bitWidth(this.#distinct - 1)) / 8 < plainBytes;
  }

  #add(slot: number, value: number): void {
    this.#firsts[this.#distinct] = value;
    this.#distinct += 1;
    this.#table[slot] = this.#distinct;
    if (this.#distinct === this.#firsts.length) this.#grow();
  }

  #grow(): void {
    const firsts = new Uint32Array(this.#firsts.length * 2);
    firsts.set(this.#firsts);
    this.#firsts = firsts;
    const table = new Int32Array(this.#table.length * 2);
    for (let place = 0; place < this.#distinct; place += 1) {
      let slot = this.#identity.hash(firsts[place] as number) & (table.length - 1);
      while (table[slot] !== 0) slot = (slot + 1) & (table.length - 1);
      table[slot] = place + 1;
    }
    this.#table = table;
  }
}

function words32(leaf: Int32Leaf | FloatLeaf): Identity {
  const words = leaf.kind === "int32" ? leaf.values : new Int32Array(leaf.values.buffer);
  return {
    hash: (index) => mixed(words[index] as number),
    same: (a, b) => words[a] === words[b],
    size: () => 4,
  };
}

function words64(leaf: Int64Leaf | DoubleLeaf): Identity {
  const words = leaf.kind === "int64" ? leaf.words : new Int32Array(leaf.values.buffer);
  return {
    hash: (index) => mixed((words[index * 2] as number) ^ Math.imul(words[index * 2 + 1] as number, 0x9e3779b1)),
    same: (a, b) => words[a * 2] === words[b * 2] && words[a * 2 + 1] === words[b * 2 + 1],
    size: () => 8,
  };
}

function byteArrays(leaf: BytesLeaf): Identity {
  const { data, offsets } = leaf;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return {
    hash: (index) => hashBytes(data, view, offsets[index] as number, offsets[index + 1] as number),
    same(a, b) {
      const start = offsets[a] as number;
      const other = offsets[b] as number;
      const size = (offsets[a + 1] as number) - start;
      return size === (offsets[b + 1] as number) - other && sameBytes(data, view, start, other, size);
    },
    size: (index) => 4 + (offsets[index + 1] as number) - (offsets[index] as number),
  };
}

function fixedArrays(leaf: FixedLeaf): Identity {
  const { data, width } = leaf;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return {
    hash: (index) => hashBytes(data, view, index * width, (index + 1) * width),
    same: (a, b) => sameBytes(data, view, a * width, b * width, width),
    size: () => width,
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
