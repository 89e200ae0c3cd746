/** Collects a file's column metrics for its manifest entry, keyed by field id (rules B1-B7). */
import type { DataFile } from "../iceberg/types.ts";
import type { Chunk } from "./parquet-chunk.ts";
import { boundsOf, type Extremes, mergeExtremes, noExtremes } from "./parquet-statistics.ts";

interface ColumnMetrics {
  readonly chunk: Chunk;
  bytes: number;
  slots: number;
  values: number;
  extremes: Extremes;
}

export class FileMetrics {
  readonly #columnsMax: number;
  readonly #columns = new Map<number, ColumnMetrics>();

  constructor(columnsMax: number) {
    this.#columnsMax = columnsMax;
  }

  add(chunks: readonly Chunk[]): void {
    for (const chunk of chunks) {
      const column = this.#columns.get(chunk.leaf.id) ?? { chunk, bytes: 0, slots: 0, values: 0, extremes: noExtremes };
      column.bytes += chunk.bytes;
      column.slots += chunk.slots;
      column.values += chunk.values;
      column.extremes = mergeExtremes(column.extremes, chunk.extremes);
      this.#columns.set(chunk.leaf.id, column);
    }
  }

  finish(): Pick<
    DataFile,
    "columnSizes" | "valueCounts" | "nullValueCounts" | "nanValueCounts" | "lowerBounds" | "upperBounds"
  > {
    const columnSizes = new Map<number, number>();
    const valueCounts = new Map<number, number>();
    const nullValueCounts = new Map<number, number>();
    const nanValueCounts = new Map<number, number>();
    const lowerBounds = new Map<number, Uint8Array>();
    const upperBounds = new Map<number, Uint8Array>();
    for (const [id, column] of [...this.#columns].slice(0, this.#columnsMax)) {
      columnSizes.set(id, column.bytes);
      const { type, maxRep } = column.chunk.leaf;
      if (maxRep > 0) continue; // Rule B7: inside lists and maps the reference implementation keeps no metrics either.
      valueCounts.set(id, column.slots);
      nullValueCounts.set(id, column.slots - column.values);
      if (type === "float" || type === "double") nanValueCounts.set(id, column.extremes.nans);
      const bounds = boundsOf(type, column.extremes);
      if (bounds === undefined) continue;
      lowerBounds.set(id, bounds.lower);
      if (bounds.upper !== undefined) upperBounds.set(id, bounds.upper);
    }
    return { columnSizes, valueCounts, nullValueCounts, nanValueCounts, lowerBounds, upperBounds };
  }
}
