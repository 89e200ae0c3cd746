/** The rows that a table holds now, counted and digested by the ranges that its proof speaks of. */

import type { PlaceColumns } from "../commit/live-files.ts";
import type { Columns } from "../parquet/columns.ts";
import type { Int32Leaf, Int64Leaf } from "../translate/leaf.ts";
import { BinnedDigests, type Digests } from "./digest.ts";
import type { TableProof } from "./proof.ts";

export interface FoundRange {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /** A row that is there twice counts twice here. */
  readonly rows: number;
  /** Distinct offsets; undefined when there are too many offsets to remember each. */
  readonly offsets: number | undefined;
  readonly digests: Digests;
  /** The first offsets that were met again. */
  readonly doubled: readonly number[];
}

export interface FoundRow {
  readonly partition: number;
  readonly offset: number;
}

/** Examples that a report gives of one kind of trouble. */
export const samplesMax = 10;

/** Memory for remembering which offsets were met: 2^30 of them. Beyond it digests still tell that something is wrong. */
const seenBytesMax = 128 * 1024 * 1024;

export class RowsFound {
  readonly #place: PlaceColumns;
  readonly #ranges: readonly { readonly partition: number; readonly from: number; readonly to: number }[];
  /** By partition: where its ranges begin among all of them; ranges of a partition are in order. */
  readonly #first = new Map<number, { readonly at: number; readonly count: number }>();
  readonly #rows: Float64Array;
  readonly #digests: BinnedDigests;
  /** A bit for each offset of each range; undefined when they would be too many. */
  readonly #seen: readonly Uint8Array[] | undefined;
  readonly #offsets: Float64Array;
  readonly #doubled: number[][];
  /** Rows outside every range. */
  readonly outside: FoundRow[] = [];
  outsideRows = 0;
  rows = 0;

  constructor(proof: TableProof, place: PlaceColumns) {
    this.#place = place;
    const ranges: { partition: number; from: number; to: number }[] = [];
    for (const [partition, known] of proof) {
      this.#first.set(partition, { at: ranges.length, count: known.length });
      for (const { from, to } of known) ranges.push({ partition, from, to });
    }
    this.#ranges = ranges;
    this.#rows = new Float64Array(ranges.length);
    this.#offsets = new Float64Array(ranges.length);
    this.#doubled = ranges.map(() => []);
    this.#digests = new BinnedDigests(ranges.length + 1); // The last is of rows outside.
    const bytes = ranges.reduce((sum, { from, to }) => sum + Math.ceil((to - from) / 8), 0);
    this.#seen =
      bytes > seenBytesMax ? undefined : ranges.map(({ from, to }) => new Uint8Array(Math.ceil((to - from) / 8)));
  }

  /** All rows of the columns. */
  add(columns: Columns): void {
    const partitions = columns.leaves.find(({ shape }) => shape.id === this.#place.partition) as Int32Leaf;
    const offsets = columns.leaves.find(({ shape }) => shape.id === this.#place.offset) as Int64Leaf;
    const bins = new Uint32Array(columns.rows);
    for (let row = 0; row < columns.rows; row += 1) {
      const [partition, offset] = [partitions.values[row] as number, Number(offsets.at(row))];
      bins[row] = this.#note(partition, offset);
    }
    this.rows += columns.rows;
    this.#digests.add(columns, { rows: 0, slots: columns.leaves.map(() => 0) }, this.#place, bins);
  }

  found(): readonly FoundRange[] {
    return this.#ranges.map((range, at) => ({
      ...range,
      rows: this.#rows[at] as number,
      offsets: this.#seen === undefined ? undefined : (this.#offsets[at] as number),
      digests: this.#digests.of(at),
      doubled: this.#doubled[at] as readonly number[],
    }));
  }

  /** Offsets of the range that no row has, the first of them; undefined when they are not known. */
  absent({ partition, from }: Pick<FoundRange, "partition" | "from">, most: number): readonly number[] | undefined {
    const at = this.#ranges.findIndex((range) => range.partition === partition && range.from === from);
    const [range, seen] = [this.#ranges[at], this.#seen?.[at]];
    if (range === undefined || seen === undefined) return undefined;
    const absent: number[] = [];
    for (let bit = 0; bit < range.to - range.from && absent.length < most; bit += 1) {
      if (((seen[Math.floor(bit / 8)] as number) & (1 << (bit % 8))) === 0) absent.push(range.from + bit);
    }
    return absent;
  }

  /** The row's bin. */
  #note(partition: number, offset: number): number {
    const bin = this.#binOf(partition, offset);
    if (bin === undefined) {
      this.outsideRows += 1;
      if (this.outside.length < samplesMax) this.outside.push({ partition, offset });
      return this.#ranges.length;
    }
    (this.#rows[bin] as number) += 1;
    const seen = this.#seen?.[bin];
    if (seen === undefined) return bin;
    const bit = offset - (this.#ranges[bin]?.from as number);
    const [byte, mask] = [Math.floor(bit / 8), 1 << (bit % 8)];
    if (((seen[byte] as number) & mask) === 0) {
      seen[byte] = (seen[byte] as number) | mask;
      (this.#offsets[bin] as number) += 1;
    } else {
      const doubled = this.#doubled[bin] as number[];
      if (doubled.length < samplesMax) doubled.push(offset);
    }
    return bin;
  }

  #binOf(partition: number, offset: number): number | undefined {
    const own = this.#first.get(partition);
    if (own === undefined) return undefined;
    let [low, high] = [own.at, own.at + own.count - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const { from, to } = this.#ranges[middle] as FoundRange;
      if (offset < from) high = middle - 1;
      else if (offset >= to) low = middle + 1;
      else return middle;
    }
    return undefined;
  }
}
