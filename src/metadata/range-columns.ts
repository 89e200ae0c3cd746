/**
 * The committed ranges of one stream, packed: a row of six numbers a range, in offset order.
 *
 *   | from | to | bytes | maxTimestamp | epoch | object |     object: its number in the image
 *
 * Rows are never changed once written. Dropping from the front moves `#head`, and growing copies, so an earlier state is
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
    const [from, to, bytes, maxTimestamp, epoch, object] = this.#rows.subarray(at, at + width) as unknown as number[];
    return {
      from: from as Offset,
      to: to as Offset,
      bytes: bytes as number,
      maxTimestamp: maxTimestamp as number,
      epoch: epoch as number,
      object: object as number,
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

  push(row: RangeRow): void {
    assert(this.length === 0 || row.from >= this.#to(this.length - 1), "ranges in offset order");
    if ((this.#end + 1) * width > this.#rows.length) this.#grow();
    this.#rows.set([row.from, row.to, row.bytes, row.maxTimestamp, row.epoch, row.object], this.#end * width);
    this.#end += 1;
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

  #to(index: number): number {
    return this.#rows[(this.#head + index) * width + 1] as number;
  }

  #grow(): void {
    const rows = new Float64Array(Math.max(4, 2 * this.length) * width);
    rows.set(this.#rows.subarray(this.#head * width, this.#end * width));
    this.#end -= this.#head;
    this.#head = 0;
    this.#rows = rows;
  }
}
