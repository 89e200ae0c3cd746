/**
 * What a REST catalog said last of each table, with the tag that it gave to it (ETag). Whoever loads a table shows the tag, and a
 * catalog that knows tags answers 304 when nothing has changed: metadata of many snapshots is then neither sent nor parsed.
 */
import type { LoadedTable } from "../src/table/catalog.ts";

export interface KnownTable {
  readonly etag: string;
  readonly table: LoadedTable;
  /** Of the answer that told of it. */
  readonly bytes: number;
}

export class KnownTables {
  readonly #bytesMax: number;
  /** The least recently used first. */
  readonly #tables = new Map<string, KnownTable>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(name: string): KnownTable | undefined {
    const known = this.#tables.get(name);
    if (known === undefined) return undefined;
    this.#tables.delete(name);
    this.#tables.set(name, known);
    return known;
  }

  set(name: string, known: KnownTable): void {
    this.forget(name);
    this.#tables.set(name, known);
    this.#bytes += known.bytes;
    for (const oldest of this.#tables.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.forget(oldest);
    }
  }

  forget(name: string): void {
    this.#bytes -= this.#tables.get(name)?.bytes ?? 0;
    this.#tables.delete(name);
  }
}
