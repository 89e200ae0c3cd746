/**
 * The committed ranges of one stream, in offset order, in a chain of cells (range-cells.ts).
 *
 *   head cell | dropped, dropped, row, row | ──▶ | row, row, row | ──▶ tail cell | row |
 *                                 ▲ #skip rows are dropped
 *
 * A change can be taken back until its group of events is accepted; only then the cells that it left are free for others.
 */
import { assert } from "../base/errors.ts";
import type { Offset } from "../base/ids.ts";
import { copyRange, RangeReader, type RangeRow } from "./packed-range.ts";
import type { RangeCells } from "./range-cells.ts";
import type { Undo } from "./undo.ts";

export class RangeList {
  readonly #cells: RangeCells;
  #head = 0;
  /** The last cell. What follows it in the chain is not ours. */
  #tail = 0;
  #skip = 0;
  #length = 0;

  constructor(cells: RangeCells) {
    this.#cells = cells;
  }

  get length(): number {
    return this.#length;
  }

  cursor(): RangeCursor {
    return new RangeCursor(this.#cells, this.#head, this.#tail, this.#skip, this.#length);
  }

  /** So many rows from this one on, counted from the first that is kept, or as many as there are. */
  rows(first = 0, countMax = this.#length): RangeRow[] {
    const cursor = this.cursor();
    const rows: RangeRow[] = [];
    for (let has = cursor.seek(first); has && rows.length < countMax; has = cursor.next())
      rows.push(copyRange(cursor.row));
    return rows;
  }

  /** How many ranges, from the first on, end at or before the offset. */
  countEndingBy(offset: Offset): number {
    const cursor = this.cursor();
    return cursor.seekEndAfter(offset) ? cursor.index : this.#length;
  }

  push(row: RangeRow, undo: Undo): void {
    assert(row.from >= this.#end(), "ranges in offset order");
    const cells = this.#cells;
    const tail = this.#tail;
    const rows = cells.rows(tail);
    const used = cells.used(tail);
    this.append(row);
    undo.step(() => {
      this.#length -= 1;
      if (this.#tail === tail) cells.cutBack(tail, rows, used);
      else {
        cells.free(this.#tail);
        this.#tail = tail;
        if (this.#length === 0) this.#setOnly(0);
      }
    });
  }

  /** For what cannot be taken back, like a checkpoint that is read: ranges as they come. */
  append(row: RangeRow): void {
    const cells = this.#cells;
    if (this.#length === 0 || !cells.append(this.#tail, row)) {
      const cell = cells.take(row.from);
      if (this.#length === 0) this.#setOnly(cell);
      else cells.link(this.#tail, cell);
      this.#tail = cell;
      cells.append(cell, row);
    }
    this.#length += 1;
  }

  dropFirst(count: number, undo: Undo): void {
    assert(count <= this.#length, "cannot drop more than there is");
    const takeBack = this.#remembered();
    const left: number[] = [];
    let skip = this.#skip + count;
    while (this.#head !== this.#tail && skip >= this.#cells.rows(this.#head)) {
      skip -= this.#cells.rows(this.#head);
      left.push(this.#head);
      this.#head = this.#cells.next(this.#head);
    }
    this.#skip = skip;
    this.#length -= count;
    if (this.#length === 0 && this.#tail !== 0) {
      left.push(this.#tail);
      this.#setOnly(0);
    }
    undo.step(takeBack);
    this.#freeWhenAccepted(left, undo);
  }

  /** Puts one range in the place of `count` ranges, of the same coverage. Copies only the cells that these are in. */
  replace(first: number, count: number, row: RangeRow, undo: Undo): void {
    assert(count > 0 && first + count <= this.#length, "cannot replace more than there is");
    const cells = this.#cells;
    const takeBack = this.#remembered();
    let before = 0;
    let cell = this.#head;
    let at = first + this.#skip;
    for (; at >= cells.rows(cell); cell = cells.next(cell)) {
      at -= cells.rows(cell);
      before = cell;
    }
    const { left, rows, next } = this.#gather(cell, at + count);
    const firstKept = before === 0 ? this.#skip : 0;
    const replaced = rows.splice(at, count, row);
    assert(row.from === replaced[0]?.from && row.to === replaced.at(-1)?.to, "the same offsets are covered");
    const fresh = new RangeList(cells);
    for (const kept of rows.slice(firstKept)) fresh.append(kept);
    this.#length += 1 - count;
    if (next === 0) this.#tail = fresh.#tail;
    else cells.link(fresh.#tail, next);
    if (before === 0) {
      this.#head = fresh.#head;
      this.#skip = 0;
    } else cells.link(before, fresh.#head);
    undo.step(() => {
      if (before !== 0) cells.link(before, cell);
      for (const each of fresh.#chain()) cells.free(each);
      takeBack();
    });
    this.#freeWhenAccepted(left, undo);
  }

  /** The rows of so many cells as hold this many rows, dropped ones too, and the cell behind them; 0 when there is none. */
  #gather(first: number, count: number): { left: number[]; rows: RangeRow[]; next: number } {
    const cells = this.#cells;
    const left: number[] = [];
    const rows: RangeRow[] = [];
    const reader = new RangeReader();
    for (let cell = first; ; cell = cells.next(cell)) {
      left.push(cell);
      cells.begin(cell, reader);
      for (let i = cells.rows(cell); i > 0; i -= 1) {
        reader.read();
        rows.push(copyRange(reader));
      }
      if (rows.length >= count) return { left, rows, next: cell === this.#tail ? 0 : cells.next(cell) };
    }
  }

  *#chain(): Generator<number> {
    for (let cell = this.#head; ; ) {
      const next = this.#cells.next(cell);
      const isLast = cell === this.#tail;
      yield cell;
      if (isLast) return;
      cell = next;
    }
  }

  #setOnly(cell: number): void {
    this.#head = cell;
    this.#tail = cell;
    this.#skip = 0;
  }

  #end(): Offset {
    if (this.#length === 0) return 0 as Offset;
    return this.#cells.end(this.#tail);
  }

  /** Puts back, when called, what is here now. */
  #remembered(): () => void {
    const [head, tail, skip, length] = [this.#head, this.#tail, this.#skip, this.#length];
    return () => {
      this.#head = head;
      this.#tail = tail;
      this.#skip = skip;
      this.#length = length;
    };
  }

  #freeWhenAccepted(left: readonly number[], undo: Undo): void {
    if (left.length > 0)
      undo.whenAccepted(() => {
        for (const cell of left) this.#cells.free(cell);
      });
  }
}

/** Goes through the rows of a stream. Not to be used after the stream has changed. */
export class RangeCursor {
  /** Holds the row that the cursor stands on. */
  readonly row = new RangeReader();
  /** Of that row, counted from the first that is kept. */
  index = -1;
  readonly #cells: RangeCells;
  readonly #tail: number;
  readonly #length: number;
  #cell: number;
  /** That the reader has not read in this cell. */
  #rowsLeft = 0;

  constructor(cells: RangeCells, head: number, tail: number, skip: number, length: number) {
    this.#cells = cells;
    this.#cell = head;
    this.#tail = tail;
    this.#length = length;
    if (length === 0) return;
    this.#enter(head);
    for (let i = 0; i < skip; i += 1) this.row.read();
    this.#rowsLeft -= skip;
  }

  /** Whether there is a next row; it stands on it then. */
  next(): boolean {
    if (this.index + 1 >= this.#length) return false;
    if (this.#rowsLeft === 0) this.#enter(this.#cells.next(this.#cell));
    this.row.read();
    this.#rowsLeft -= 1;
    this.index += 1;
    return true;
  }

  /** Goes on to the row of this index, which is further on. */
  seek(index: number): boolean {
    if (index >= this.#length) return false;
    while (this.index + this.#rowsLeft < index) this.#skipCell();
    while (this.index < index) this.next();
    return true;
  }

  /** Goes on to the first row that ends after the offset. */
  seekEndAfter(offset: Offset): boolean {
    this.#skipCellsTo(offset, true);
    while (this.next()) if (this.row.to > offset) return true;
    return false;
  }

  /** Goes on to the first row that begins at or after the offset. */
  seekFrom(offset: Offset): boolean {
    this.#skipCellsTo(offset, false);
    while (this.next()) if (this.row.from >= offset) return true;
    return false;
  }

  /** Past the cells whose successor begins before the offset, or at it. */
  #skipCellsTo(offset: Offset, orAt: boolean): void {
    while (this.#cell !== this.#tail) {
      const from = this.#cells.from(this.#cells.next(this.#cell));
      if (orAt ? from > offset : from >= offset) return;
      this.#skipCell();
    }
  }

  #skipCell(): void {
    this.index += this.#rowsLeft;
    this.#enter(this.#cells.next(this.#cell));
  }

  #enter(cell: number): void {
    this.#cell = cell;
    this.#rowsLeft = this.#cells.rows(cell);
    this.#cells.begin(cell, this.row);
  }
}
