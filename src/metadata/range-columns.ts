/**
 * The committed ranges of one stream, packed: a row of six numbers a range, in offset order.
 *
 *   | from | to | bytes | maxTimestamp | epoch | object |     object: its number in the image
 *
 * Rows are never changed once written. Dropping from the front moves `#head`; growing and replacing copy. So an earlier state is
 * got back by putting back three fields (undo of a refused group), and a view stays true while others append.
 */
import { endianness } from "node:os";
import { assert } from "../base/errors.ts";
import type { Offset } from "../base/ids.ts";

const width = 6;
assert(endianness() === "LE", "checkpoints hold the columns as they are in memory, little-endian");

export interface RangeRow {
  readonly from: Offset;
  readonly to: Offset;
  readonly bytes: number;
  readonly maxTimestamp: number;
  readonly epoch: number;
  readonly object: number;
}

export class RangeColumns {
  #rows = new Float64Array(0);
  /** Index of the first row that is kept. */
  #head = 0;
  /** Index after the last row. */
  #end = 0;

  get length(): number {
    return this.#end - this.#head;
  }

  /** The index is counted from the first row that is kept. */
  at(index: number): RangeRow {
    assert(index >= 0 && index < this.length, "no such range");
    const at = (this.#head + index) * width;
    const rows = this.#rows;
    return {
      from: rows[at] as Offset,
      to: rows[at + 1] as Offset,
      bytes: rows[at + 2] as number,
      maxTimestamp: rows[at + 3] as number,
      epoch: rows[at + 4] as number,
      object: rows[at + 5] as number,
    };
  }

  /** The first range that ends after the offset; `length` when none does. */
  firstEndingAfter(offset: Offset): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#to(middle) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The first range that begins at or after the offset; `length` when none does. */
  firstFrom(offset: Offset): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#from(middle) >= offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  push(row: RangeRow): void {
    assert(this.length === 0 || row.from >= this.#to(this.length - 1), "ranges in offset order");
    if ((this.#end + 1) * width > this.#rows.length) this.#grow();
    this.#write(this.#end, row);
    this.#end += 1;
  }

  /** Puts one range in the place of `count` ranges, of the same coverage. */
  replace(first: number, count: number, row: RangeRow): void {
    assert(count > 0 && first + count <= this.length, "cannot replace more than there is");
    assert(row.from === this.#from(first) && row.to === this.#to(first + count - 1), "the same offsets are covered");
    const { length } = this;
    const old = this.#rows.subarray(this.#head * width, this.#end * width);
    this.#rows = new Float64Array(roomFor(length - count + 1) * width);
    this.#rows.set(old.subarray(0, first * width));
    this.#rows.set(old.subarray((first + count) * width), (first + 1) * width);
    this.#head = 0;
    this.#end = length - count + 1;
    this.#write(first, row);
  }

  dropFirst(count: number): void {
    assert(count <= this.length, "cannot drop more than there is");
    this.#head += count;
  }

  /** Puts back, when called, what is here now. */
  remember(): () => void {
    const [rows, head, end] = [this.#rows, this.#head, this.#end];
    return () => {
      this.#rows = rows;
      this.#head = head;
      this.#end = end;
    };
  }

  /** The rows as bytes: a view that later changes do not touch. */
  encode(): Uint8Array {
    const rows = this.#rows.subarray(this.#head * width, this.#end * width);
    return new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
  }

  static readonly rowBytes = width * Float64Array.BYTES_PER_ELEMENT;

  static decode(bytes: Uint8Array): RangeColumns {
    const columns = new RangeColumns();
    columns.#rows = new Float64Array(new Uint8Array(bytes).buffer);
    columns.#end = bytes.length / RangeColumns.rowBytes;
    return columns;
  }

  #from(index: number): number {
    return this.#rows[(this.#head + index) * width] as number;
  }

  #to(index: number): number {
    return this.#rows[(this.#head + index) * width + 1] as number;
  }

  /** The index is counted from the first row there is. */
  #write(index: number, row: RangeRow): void {
    const at = index * width;
    this.#rows[at] = row.from;
    this.#rows[at + 1] = row.to;
    this.#rows[at + 2] = row.bytes;
    this.#rows[at + 3] = row.maxTimestamp;
    this.#rows[at + 4] = row.epoch;
    this.#rows[at + 5] = row.object;
  }

  #grow(): void {
    const rows = new Float64Array(roomFor(this.length) * width);
    rows.set(this.#rows.subarray(this.#head * width, this.#end * width));
    this.#end -= this.#head;
    this.#head = 0;
    this.#rows = rows;
  }
}

/** Rows to make room for when there are so many: a few more, since there are many streams. */
function roomFor(length: number): number {
  return length + 2 + (length >> 3);
}
