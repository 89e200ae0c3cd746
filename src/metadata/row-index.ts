/**
 * Rows of a table by a hash. It grows by one bucket at a time (linear hashing), where a Map copies all its entries into a table twice
 * as large in one step.
 *
 *   buckets   | 0 | 1 | ... | split | ... | half - 1 | half | ... |  next to be made
 *                             ▲                                     ▲
 *                             └── what lies in this bucket is shared with the new one
 */
import { assert } from "../base/errors.ts";
import { Column } from "./column.ts";

export class RowIndex {
  /** By bucket: its first row; 0 when it is empty. */
  readonly #first = new Column(Uint32Array);
  /** By row: the next row of its bucket. */
  readonly #next = new Column(Uint32Array);
  /** By row. */
  readonly #hash = new Column(Uint32Array);
  #size = 0;
  #buckets = 1;
  /** The largest power of two that is at most the number of buckets. */
  #half = 1;

  get size(): number {
    return this.#size;
  }

  /** Makes room for so many rows at once, in an index that is empty: nothing has to be split while they come. */
  reserve(rows: number): void {
    assert(this.#size === 0, "only an empty index makes room");
    this.#buckets = Math.max(1, rows);
    this.#half = 2 ** Math.floor(Math.log2(this.#buckets));
  }

  /** The first row of this hash, 0 when there is none. Others may have the same. */
  first(hash: number): number {
    return this.#from(this.#first.get(this.#bucketOf(hash)), hash);
  }

  /** The next row of the same hash. */
  after(row: number): number {
    return this.#from(this.#next.get(row), this.#hash.get(row));
  }

  add(row: number, hash: number): void {
    this.#hash.set(row, hash);
    this.#push(this.#bucketOf(hash), row);
    this.#size += 1;
    if (this.#size > this.#buckets) this.#split();
  }

  remove(row: number): void {
    const bucket = this.#bucketOf(this.#hash.get(row));
    let before = 0;
    let at = this.#first.get(bucket);
    while (at !== row) {
      assert(at !== 0, "the row is in the index");
      before = at;
      at = this.#next.get(at);
    }
    if (before === 0) this.#first.set(bucket, this.#next.get(row));
    else this.#next.set(before, this.#next.get(row));
    this.#size -= 1;
  }

  /** Puts back a row that was removed, under the hash that it had. */
  restore(row: number): void {
    this.add(row, this.#hash.get(row));
  }

  #from(row: number, hash: number): number {
    let at = row;
    while (at !== 0 && this.#hash.get(at) !== hash) at = this.#next.get(at);
    return at;
  }

  #bucketOf(hash: number): number {
    const bucket = hash & (2 * this.#half - 1);
    return bucket < this.#buckets ? bucket : bucket - this.#half;
  }

  #push(bucket: number, row: number): void {
    this.#next.set(row, this.#first.get(bucket));
    this.#first.set(bucket, row);
  }

  #split(): void {
    const bucket = this.#buckets - this.#half;
    let row = this.#first.get(bucket);
    this.#first.set(bucket, 0);
    this.#buckets += 1;
    if (this.#buckets === 2 * this.#half) this.#half *= 2;
    while (row !== 0) {
      const next = this.#next.get(row);
      this.#push(this.#bucketOf(this.#hash.get(row)), row);
      row = next;
    }
  }
}
