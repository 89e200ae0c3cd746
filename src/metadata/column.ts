/**
 * A column of a table: one number a row, in chunks of typed arrays. Growing copies nothing, and the garbage collector has few large
 * things to look at instead of a million small ones.
 */
type Numbers = Float64Array | Int32Array | Uint32Array | Uint8Array;

const chunkShift = 12;
const chunkRows = 2 ** chunkShift;

export class Column {
  readonly #chunks: Numbers[] = [];
  readonly #make: (rows: number) => Numbers;

  constructor(type: new (rows: number) => Numbers) {
    this.#make = (rows) => new type(rows);
  }

  /** 0 in a row that was never set. */
  get(row: number): number {
    return this.#chunks[row >>> chunkShift]?.[row & (chunkRows - 1)] ?? 0;
  }

  set(row: number, value: number): void {
    while (this.#chunks.length <= row >>> chunkShift) this.#chunks.push(this.#make(chunkRows));
    (this.#chunks[row >>> chunkShift] as Numbers)[row & (chunkRows - 1)] = value;
  }
}

/** Which rows of a table are taken. There is no row 0: in columns that lead from row to row, it says that there is none. */
export class RowNumbers {
  /** Leads from one free row to the next. The rows that are taken are the table's own to set. */
  readonly #next: Column;
  #firstFree = 0;
  /** After the last row that was ever taken. */
  #end = 1;

  constructor(next: Column) {
    this.#next = next;
  }

  get end(): number {
    return this.#end;
  }

  take(): number {
    if (this.#firstFree === 0) {
      this.#end += 1;
      return this.#end - 1;
    }
    const row = this.#firstFree;
    this.#firstFree = this.#next.get(row);
    return row;
  }

  free(row: number): void {
    this.#next.set(row, this.#firstFree);
    this.#firstFree = row;
  }
}
