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
import type { ColumnNode, Columns } from "../parquet/columns.ts";
import type { Int32Leaf, Int64Leaf, Leaf } from "../translate/leaf.ts";
import { feedValues, feedWord, feedWords, finished } from "./value-hashes.ts";

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
    const seeds = placeHashes(columns, from.rows, place);
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
  const seeds = placeHashes(columns, 0, place);
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
  const { rows } = columns;
  const hashes = begun(rows, 0x2545f491, 0x6c078965);
  const pairs = new Uint32Array(rows);
  for (const id of ids) {
    const leaf = columns.leaves.find(({ shape }) => shape.id === id);
    assert(leaf !== undefined, `the columns hold field ${id}`);
    let count = 0;
    for (let row = 0; row < rows; row += 1) {
      const isPresent = leaf.defs[row] === leaf.maxDef;
      feedWord(hashes, row, isPresent ? 1 : 0);
      if (!isPresent) continue;
      pairs[count] = row;
      count += 1;
    }
    feedValues(hashes, leaf, { from: 0, count, pairs });
  }
  return allFinished(hashes);
}

/** `count` pairs of hashes. */
function begun(count: number, seedA: number, seedB: number): Int32Array<ArrayBuffer> {
  const hashes = new Int32Array(count * 2);
  for (let at = 0; at < hashes.length; at += 2) {
    hashes[at] = seedA;
    hashes[at + 1] = seedB;
  }
  return hashes;
}

/** In the same memory. */
function allFinished(hashes: Int32Array<ArrayBuffer>): Uint32Array {
  for (let at = 0; at < hashes.length; at += 1) hashes[at] = finished(hashes[at] as number);
  return new Uint32Array(hashes.buffer);
}

/** Two words for each row. */
function placeHashes(columns: Columns, rowFrom: number, place: PlaceColumns): Uint32Array {
  const partition = columns.leaves.find(({ shape }) => shape.id === place.partition) as Int32Leaf;
  const offset = columns.leaves.find(({ shape }) => shape.id === place.offset) as Int64Leaf;
  const hashes = begun(columns.rows - rowFrom, 0x9747b28c, 0x3c6ef372);
  for (let row = rowFrom, pair = 0; row < columns.rows; row += 1, pair += 1) {
    feedWord(hashes, pair, partition.values[row] as number);
    feedWords(hashes, pair, offset.words[row * 2] as number, offset.words[row * 2 + 1] as number);
  }
  return allFinished(hashes);
}

function addPlaces(seeds: Uint32Array, binOf: Uint32Array, sums: Uint32Array): void {
  for (let row = 0; row < binOf.length; row += 1) {
    const bin = (binOf[row] as number) * 2;
    (sums[bin] as number) += seeds[row * 2] as number;
    (sums[bin + 1] as number) += seeds[row * 2 + 1] as number;
  }
}

interface Target {
  /** Two words for each row. */
  readonly seeds: Uint32Array;
  readonly binOf: Uint32Array;
  readonly sums: Uint32Array;
}

/** Slots that are looked at together: their hashes stay in the processor's cache. */
const blockSlots = 8192;

/** Of a block: slots that say something. */
class Cells {
  count = 0;
  values = 0;
  readonly hashes: Int32Array;
  readonly rows: Uint32Array;
  /** Of the values, which cell each is. */
  readonly valueCells: Uint32Array;

  constructor(slots: number) {
    this.hashes = new Int32Array(slots * 2);
    this.rows = new Uint32Array(slots);
    this.valueCells = new Uint32Array(slots);
  }
}

/** Before `slot`: whose row it is, and the how manieth of the row. */
interface Walk {
  slot: number;
  row: number;
  ordinal: number;
}

function addLeaf(leaf: Leaf, slotFrom: number, absences: Int32Array, target: Target): void {
  const { defs, slots, maxDef } = leaf;
  let from = leaf.count;
  for (let slot = slotFrom; slot < slots; slot += 1) if (defs[slot] === maxDef) from -= 1;
  const cells = new Cells(Math.min(blockSlots, slots - slotFrom));
  const walk: Walk = { slot: slotFrom, row: -1, ordinal: 0 };
  while (walk.slot < slots) {
    beginCells(cells, leaf, walk, absences, target.seeds);
    feedValues(cells.hashes, leaf, { from, count: cells.values, pairs: cells.valueCells });
    from += cells.values;
    addCells(cells, target);
  }
}

/** Seeds each cell with its row and its place in lists; what is absent ends there, values are still to be fed. */
function beginCells(cells: Cells, leaf: Leaf, walk: Walk, absences: Int32Array, seeds: Uint32Array): void {
  const { hashes, rows, valueCells } = cells;
  const { defs, reps, slots, maxDef, maxRep } = leaf;
  const { id } = leaf.shape;
  const end = Math.min(slots, walk.slot + blockSlots);
  let { row, ordinal } = walk;
  let count = 0;
  let values = 0;
  for (let slot = walk.slot; slot < end; slot += 1) {
    const rep = maxRep > 0 ? (reps[slot] as number) : 0;
    if (rep === 0) {
      row += 1;
      ordinal = 0;
    } else ordinal += 1;
    const def = defs[slot] as number;
    const absence = def === maxDef ? 0 : (absences[def] as number);
    if (def !== maxDef && absence === 0) continue;
    rows[count] = row;
    hashes[count * 2] = (seeds[row * 2] as number) ^ id;
    hashes[count * 2 + 1] = seeds[row * 2 + 1] as number;
    if (maxRep > 0) feedWords(hashes, count, ordinal, rep);
    if (def === maxDef) {
      valueCells[values] = count;
      values += 1;
    } else feedWord(hashes, count, absence);
    count += 1;
  }
  Object.assign(walk, { slot: end, row, ordinal });
  Object.assign(cells, { count, values });
}

function addCells({ count, rows, hashes }: Cells, { binOf, sums }: Target): void {
  for (let cell = 0; cell < count; cell += 1) {
    const bin = (binOf[rows[cell] as number] as number) * 2;
    (sums[bin] as number) += finished(hashes[cell * 2] as number);
    (sums[bin + 1] as number) += finished(hashes[cell * 2 + 1] as number);
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
