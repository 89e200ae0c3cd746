/**
 * Digests of rows that do not depend on their order or on the files they lie in: a table that others have rewritten has the
 * same ones. Pure.
 *
 *   digest of a column over some rows = Σ over their values of hash(partition, offset, field id, place in lists, value)
 *
 * Two sums mod 2^32, side by side: 64 bits against accidents, not against an adversary. Sums of neighbouring ranges add up.
 * What evolution does to a column leaves its digest alone: an absent value adds nothing (a column added later is absent in
 * older rows), a renamed or moved field keeps its id, a widened number has the same value.
 */

import { assert } from "../../base/errors.ts";
import type { PlaceColumns } from "../commit/live-files.ts";
import { decimalShape } from "../iceberg/primitive.ts";
import type { ColumnNode, Columns } from "../parquet/columns.ts";
import type { BytesLeaf, FixedLeaf, Int32Leaf, Int64Leaf, Leaf } from "../translate/leaf.ts";

export type Digest = readonly [number, number];

/** By field id of the leaf. That of the offset's column is of the places alone: which rows there are. */
export type Digests = ReadonlyMap<number, Digest>;

export const noDigests: Digests = new Map();

export function addDigests(one: Digests, other: Digests): Digests {
  if (one.size === 0) return other;
  const sum = new Map(one);
  for (const [id, [a, b]] of other) {
    const [c, d] = sum.get(id) ?? [0, 0];
    sum.set(id, [(a + c) >>> 0, (b + d) >>> 0]);
  }
  return sum;
}

/** Rows from `rowFrom` on, each leaf's slots from `slotsFrom` on. */
export interface RowsFrom {
  readonly rows: number;
  readonly slots: readonly number[];
}

export function digestRows(columns: Columns, from: RowsFrom, place: PlaceColumns): Digests {
  const rows = columns.rows - from.rows;
  if (rows === 0) return noDigests;
  const bins = new BinnedDigests(1);
  bins.add(columns, from, place, new Uint32Array(rows));
  return bins.of(0);
}

/** Digests of several sets of rows at once. */
export class BinnedDigests {
  readonly #count: number;
  /** By field id: two words for each bin. */
  readonly #sums = new Map<number, Uint32Array>();

  constructor(count: number) {
    this.#count = count;
  }

  /** `binOf[i]`: where the row `from.rows + i` belongs. The columns must hold partition and offset, never absent. */
  add(columns: Columns, from: RowsFrom, place: PlaceColumns, binOf: Uint32Array): void {
    const seeds = placeSeeds(columns, from.rows, place);
    const absences = absencesOf(columns.root);
    columns.leaves.forEach((leaf, index) => {
      const { id } = leaf.shape;
      if (id === place.partition) return;
      const sums = this.#sumsOf(id);
      if (id === place.offset) addPlaces(seeds, binOf, sums);
      else addLeaf(leaf, from.slots[index] as number, absences.get(leaf) as Int32Array, { seeds, binOf, sums });
    });
  }

  of(bin: number): Digests {
    return new Map(
      [...this.#sums].map(([id, sums]) => [id, [sums[bin * 2] as number, sums[bin * 2 + 1] as number] as const]),
    );
  }

  #sumsOf(id: number): Uint32Array {
    const known = this.#sums.get(id) ?? new Uint32Array(this.#count * 2);
    this.#sums.set(id, known);
    return known;
  }
}

/** Two words for each row: the sum of its digests over all columns. */
export function rowDigests(columns: Columns, place: PlaceColumns): Uint32Array {
  const seeds = placeSeeds(columns, 0, place);
  const binOf = Uint32Array.from({ length: columns.rows }, (_, row) => row);
  const sums = seeds.slice();
  const absences = absencesOf(columns.root);
  for (const leaf of columns.leaves) {
    if (leaf.shape.id === place.partition || leaf.shape.id === place.offset) continue;
    addLeaf(leaf, 0, absences.get(leaf) as Int32Array, { seeds, binOf, sums });
  }
  return sums;
}

/** Two words for each row: a hash of its values in these columns, which lie outside of lists. Widening leaves it alone. */
export function keyHashes(columns: Columns, ids: readonly number[]): Uint32Array {
  const cursors = ids.map((id) => {
    const leaf = columns.leaves.find(({ shape }) => shape.id === id);
    assert(leaf !== undefined, `the columns hold field ${id}`);
    return { leaf, hashValue: valueHasher(leaf), value: 0 };
  });
  const hashes = new Uint32Array(columns.rows * 2);
  for (let row = 0; row < columns.rows; row += 1) {
    start(0x2545f491, 0x6c078965);
    for (const cursor of cursors) {
      const isPresent = cursor.leaf.defs[row] === cursor.leaf.maxDef;
      word(isPresent ? 1 : 0);
      if (!isPresent) continue;
      cursor.hashValue(cursor.value);
      cursor.value += 1;
    }
    finish();
    hashes[row * 2] = a;
    hashes[row * 2 + 1] = b;
  }
  return hashes;
}

/** Two words for each row. */
function placeSeeds(columns: Columns, rowFrom: number, place: PlaceColumns): Uint32Array {
  const partition = columns.leaves.find(({ shape }) => shape.id === place.partition) as Int32Leaf;
  const offset = columns.leaves.find(({ shape }) => shape.id === place.offset) as Int64Leaf;
  const seeds = new Uint32Array((columns.rows - rowFrom) * 2);
  for (let row = rowFrom, at = 0; row < columns.rows; row += 1, at += 2) {
    start(0x9747b28c, 0x3c6ef372);
    word(partition.values[row] as number);
    word(offset.words[row * 2] as number);
    word(offset.words[row * 2 + 1] as number);
    finish();
    seeds[at] = a;
    seeds[at + 1] = b;
  }
  return seeds;
}

function addPlaces(seeds: Uint32Array, binOf: Uint32Array, sums: Uint32Array): void {
  for (let row = 0; row < binOf.length; row += 1) {
    const bin = (binOf[row] as number) * 2;
    (sums[bin] as number) += seeds[row * 2] as number;
    (sums[bin + 1] as number) += seeds[row * 2 + 1] as number;
  }
}

interface Target {
  readonly seeds: Uint32Array;
  readonly binOf: Uint32Array;
  readonly sums: Uint32Array;
}

function addLeaf(leaf: Leaf, slotFrom: number, absences: Int32Array, { seeds, binOf, sums }: Target): void {
  const { defs, reps, slots, maxDef, maxRep } = leaf;
  const hashValue = valueHasher(leaf);
  let value = leaf.count;
  for (let slot = slotFrom; slot < slots; slot += 1) if (defs[slot] === maxDef) value -= 1;
  let row = -1;
  let ordinal = 0;
  for (let slot = slotFrom; slot < slots; slot += 1) {
    const rep = maxRep > 0 ? (reps[slot] as number) : 0;
    if (rep === 0) {
      row += 1;
      ordinal = 0;
    } else ordinal += 1;
    const def = defs[slot] as number;
    const absence = absences[def] as number;
    if (def !== maxDef && absence === 0) continue;
    start((seeds[row * 2] as number) ^ leaf.shape.id, seeds[row * 2 + 1] as number);
    if (maxRep > 0) {
      word(ordinal);
      word(rep);
    }
    if (def === maxDef) {
      hashValue(value);
      value += 1;
    } else word(absence);
    finish();
    const bin = (binOf[row] as number) * 2;
    (sums[bin] as number) += a;
    (sums[bin + 1] as number) += b;
  }
}

/**
 * By leaf and def: what the absence of a value says, 0 for nothing. An empty list and an absent item are told by the leaf
 * with the smallest id below them, which is there from the beginning; an absent field of a struct may be one of a column
 * that came later, so it says nothing.
 */
function absencesOf(root: ColumnNode): ReadonlyMap<Leaf, Int32Array> {
  const found = new Map<Leaf, Int32Array>();
  for (const leaf of root.leaves) found.set(leaf, new Int32Array(leaf.maxDef + 1));
  const say = (node: ColumnNode, def: number, what: number): void => {
    const first = node.leaves.reduce((least, leaf) => (leaf.shape.id < least.shape.id ? leaf : least));
    (found.get(first) as Int32Array)[def] = node.id * 2 + what + 1;
  };
  const visit = (node: ColumnNode, isItem: boolean): void => {
    if (isItem && !node.required) say(node, node.def - 1, 0);
    if (node.kind === "struct") for (const field of node.fields) visit(field.node, false);
    if (node.kind === "list" || node.kind === "map") say(node, node.def, 1);
    if (node.kind === "list") visit(node.element, true);
    if (node.kind === "map") for (const item of [node.key, node.value]) visit(item, true);
  };
  visit(root, false);
  return found;
}

/** Feeds one value in a form that widening does not change: integers as 64 bits, floats as doubles. */
function valueHasher(leaf: Leaf): (index: number) => void {
  switch (leaf.kind) {
    case "boolean":
      return (index) => word(leaf.values[index] as number);
    case "int32":
      return (index) => {
        const value = leaf.values[index] as number;
        word(value);
        word(value >> 31);
      };
    case "int64":
      return (index) => {
        word(leaf.words[index * 2] as number);
        word(leaf.words[index * 2 + 1] as number);
      };
    case "float":
    case "double":
      return (index) => double(leaf.values[index] as number);
    case "bytes":
      return bytesHasher(leaf);
    case "fixed":
      return decimalShape(leaf.shape.type) === undefined
        ? (index) => bytes(leaf.data, index * leaf.width, (index + 1) * leaf.width)
        : decimalHasher(leaf);
  }
}

function bytesHasher(leaf: BytesLeaf): (index: number) => void {
  return (index) => bytes(leaf.data, leaf.offsets[index] as number, leaf.offsets[index + 1] as number);
}

/** Big-endian: without the leading bytes that only repeat the sign, and as 64 bits where they hold it. */
function decimalHasher(leaf: FixedLeaf): (index: number) => void {
  return (index) => {
    const { data, width } = leaf;
    const end = (index + 1) * width;
    let from = end - width;
    const sign = (data[from] as number) & 0x80 ? 0xff : 0;
    while (from < end - 1 && data[from] === sign && ((data[from + 1] as number) ^ sign) < 0x80) from += 1;
    if (end - from > 8) {
      bytes(data, from, end);
      return;
    }
    let high = sign === 0 ? 0 : -1;
    let low = high;
    for (let at = from; at < end; at += 1) {
      high = (high << 8) | (low >>> 24);
      low = (low << 8) | (data[at] as number);
    }
    word(low);
    word(high);
  };
}

const doubles = new Float64Array(1);
const doubleWords = new Int32Array(doubles.buffer);

/** All NaN are one; the two zeros are two. */
function double(value: number): void {
  doubles[0] = Number.isNaN(value) ? Number.NaN : value;
  word(doubleWords[0] as number);
  word(doubleWords[1] as number);
}

/** The hash that is being made. Local to the module, since a result of two words would be an object a value. */
let a = 0;
let b = 0;

function start(seedA: number, seedB: number): void {
  a = seedA | 0;
  b = seedB | 0;
}

/** MurmurHash3's step, with its constants and those of its 128-bit form. */
function word(value: number): void {
  let k = Math.imul(value, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  a ^= Math.imul(k, 0x1b873593);
  a = (Math.imul((a << 13) | (a >>> 19), 5) + 0xe6546b64) | 0;
  let m = Math.imul(value, 0x239b961b);
  m = (m << 16) | (m >>> 16);
  b ^= Math.imul(m, 0xab0e9789);
  b = (Math.imul((b << 17) | (b >>> 15), 5) + 0x561ccd1b) | 0;
}

function bytes(data: Uint8Array, from: number, to: number): void {
  word(to - from);
  let at = from;
  for (; at + 4 <= to; at += 4) {
    word(
      (data[at] as number) |
        ((data[at + 1] as number) << 8) |
        ((data[at + 2] as number) << 16) |
        ((data[at + 3] as number) << 24),
    );
  }
  let rest = 0;
  for (let shift = 0; at < to; at += 1, shift += 8) rest |= (data[at] as number) << shift;
  word(rest);
}

function finish(): void {
  a = mixed(a);
  b = mixed(b);
}

/** Signed, as V8 keeps such a number in place; an unsigned one above 2^31 would be an object a hash. */
function mixed(hash: number): number {
  let mixing = hash ^ (hash >>> 16);
  mixing = Math.imul(mixing, 0x85ebca6b);
  mixing ^= mixing >>> 13;
  mixing = Math.imul(mixing, 0xc2b2ae35);
  return mixing ^ (mixing >>> 16);
}
