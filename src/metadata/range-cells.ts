/**
 * Memory for the ranges of all streams, in cells of one size that are chained by stream (range-list.ts). A cell is read from its first
 * row on; rows are added at its end, and never changed, until the whole cell is freed.
 *
 *   cell   from: where its first row begins | next cell | rows | bytes used | rows, packed (packed-range.ts) | unused |
 */
import { assert } from "../base/errors.ts";
import type { Offset } from "../base/ids.ts";
import { Column, RowNumbers } from "./column.ts";
import { packedRangeBytesMax, RangePacker, RangeReader, type RangeRow } from "./packed-range.ts";

/** Of packed rows: about eight or nine. With more, a stream of few ranges wastes more; with fewer, one of many has more to skip. */
const cellBytes = 112;
const chunkCells = 1024;
assert(cellBytes >= packedRangeBytesMax, "a cell has room for a range");
assert(cellBytes < 256, "a byte tells how much is used");

export class RangeCells {
  readonly #next = new Column(Uint32Array);
  readonly #numbers = new RowNumbers(this.#next);
  readonly #from = new Column(Float64Array);
  readonly #rows = new Column(Uint8Array);
  readonly #used = new Column(Uint8Array);
  readonly #chunks: Uint8Array[] = [];
  /** Stands behind so many rows of this cell; often the next range is appended there too. */
  readonly #packer = new RangePacker();
  #packerCell = 0;
  #packerRows = 0;
  readonly #packed = new Uint8Array(packedRangeBytesMax);
  readonly #reader = new RangeReader();

  /** A cell without rows, for ranges from this offset on. */
  take(from: Offset): number {
    const cell = this.#numbers.take();
    if (this.#chunks.length <= Math.floor(cell / chunkCells)) this.#chunks.push(new Uint8Array(chunkCells * cellBytes));
    this.#next.set(cell, 0);
    this.#from.set(cell, from);
    this.cutBack(cell, 0, 0);
    return cell;
  }

  free(cell: number): void {
    this.#numbers.free(cell);
  }

  from(cell: number): Offset {
    return this.#from.get(cell) as Offset;
  }

  rows(cell: number): number {
    return this.#rows.get(cell);
  }

  used(cell: number): number {
    return this.#used.get(cell);
  }

  /** 0 when it is the last that there was, which may lie behind the last that there is. */
  next(cell: number): number {
    return this.#next.get(cell);
  }

  link(cell: number, next: number): void {
    this.#next.set(cell, next);
  }

  /** Where its last row ends. */
  end(cell: number): Offset {
    this.#moveBehind(cell);
    return this.#packer.to;
  }

  /** Whether there was room. */
  append(cell: number, row: RangeRow): boolean {
    this.#moveBehind(cell);
    const length = this.#packer.pack(this.#packed, 0, row, row.object);
    this.#packerRows += 1;
    const used = this.#used.get(cell);
    if (used + length > cellBytes) {
      this.#packerCell = 0;
      return false;
    }
    const chunk = this.#chunkOf(cell);
    const at = startOf(cell) + used;
    for (let i = 0; i < length; i += 1) chunk[at + i] = this.#packed[i] as number;
    this.cutBack(cell, this.#packerRows, used + length);
    return true;
  }

  /** Takes back what was appended since there were so many. */
  cutBack(cell: number, rows: number, used: number): void {
    this.#rows.set(cell, rows);
    this.#used.set(cell, used);
  }

  /** Sets the reader before the first row of the cell. */
  begin(cell: number, reader: RangeReader): void {
    reader.begin(this.#chunkOf(cell), startOf(cell), this.from(cell));
  }

  #moveBehind(cell: number): void {
    const rows = this.#rows.get(cell);
    // Rows are added to a cell here alone, so it still stands where it stood after the last that was.
    if (this.#packerCell === cell && this.#packerRows === rows) return;
    this.#packerCell = cell;
    this.#packerRows = rows;
    this.#packer.begin(this.from(cell));
    if (rows === 0) return;
    this.begin(cell, this.#reader);
    for (let i = 0; i < rows; i += 1) this.#reader.read();
    this.#packer.follow(this.#reader, this.#reader.object);
  }

  #chunkOf(cell: number): Uint8Array {
    return this.#chunks[Math.floor(cell / chunkCells)] as Uint8Array;
  }
}

function startOf(cell: number): number {
  return (cell % chunkCells) * cellBytes;
}
