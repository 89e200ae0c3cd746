/** Rows of one round by table partition: each has columns that fill up and files that they are written to. */

import type { SortOrder } from "../iceberg/metadata.ts";
import { valueKey } from "../iceberg/partition-type.ts";
import type { PartitionSpec, PrimitiveValue, Schema } from "../iceberg/types.ts";
import { Columns, dropped } from "../parquet/columns.ts";
import { type ParquetOptions, ParquetWriter } from "../parquet/parquet.ts";
import { type RowValues, rowValues } from "../row-values.ts";
import { sortedRows } from "./sort-rows.ts";
import type { TranslatedFile } from "./translate.ts";

export interface PartitionLimits {
  readonly parquet: ParquetOptions;
  readonly rowGroupBytesMax: number;
  readonly openBytesMax: number;
  readonly targetFileBytes: number;
  /** Undefined, or without fields: rows stand as they came. */
  readonly sortOrder?: SortOrder | undefined;
}

type PartitionTuple = readonly (PrimitiveValue | null)[];

/** Files of one partition: at most one is open. */
export class PartitionFiles {
  readonly columns: Columns;
  readonly #tuple: PartitionTuple;
  readonly #limits: PartitionLimits;
  readonly #order: SortOrder | undefined;
  #writer: ParquetWriter | undefined;
  readonly #files: TranslatedFile[] = [];

  constructor(schema: Schema, tuple: PartitionTuple, limits: PartitionLimits, columns = new Columns(schema)) {
    this.columns = columns;
    this.#tuple = tuple;
    this.#limits = limits;
    this.#order = limits.sortOrder?.fields.length === 0 ? undefined : limits.sortOrder; // A table that is not sorted has order 0.
  }

  /**
   * Writes the rows as a row group, and ends the file when it has grown to its target. A sorted file has one row group: what
   * comes later would stand out of order behind it (rule G14).
   */
  flush(): void {
    if (this.columns.rows === 0) return;
    const { parquet, targetFileBytes } = this.#limits;
    this.#writer ??= new ParquetWriter(this.columns.schema, parquet);
    this.#writer.rowGroup(this.#order === undefined ? this.columns : sortedRows(this.columns, this.#order));
    this.columns.clear();
    if (this.#order !== undefined || this.#writer.bytes >= targetFileBytes) this.#end();
  }

  flushIfFull(): void {
    if (this.columns.bytes >= this.#limits.rowGroupBytesMax) this.flush();
  }

  finish(): readonly TranslatedFile[] {
    this.flush();
    this.#end();
    return this.#files;
  }

  #end(): void {
    if (this.#writer === undefined) return;
    const { bytes, description } = this.#writer.finish();
    this.#writer = undefined;
    this.#files.push({ partition: this.#tuple, bytes, file: { ...description, partition: this.#tuple } });
  }
}

/** Decoders write into `columns`; `distribute` moves whole ranges to where they belong. */
export class Partitions {
  /** Of the only partition when the table has one, and a place to decode into otherwise. */
  readonly columns: Columns;
  readonly #schema: Schema;
  readonly #limits: PartitionLimits;
  readonly #fields: readonly RowValues[];
  /** The only partition's columns are the ones that are decoded into. */
  readonly #isShared: boolean;
  readonly #byKey = new Map<string, number>();
  readonly #partitions: PartitionFiles[] = [];

  /** `decoded`: rows are decoded there, and each `distribute` chooses among them. */
  constructor(schema: Schema, spec: PartitionSpec, limits: PartitionLimits, decoded?: Columns) {
    this.#schema = schema;
    this.#limits = limits;
    this.columns = decoded ?? new Columns(schema);
    this.#fields = spec.fields.map((field) => rowValues(this.columns, field["source-id"], field.transform));
    this.#isShared = spec.fields.length === 0 && decoded === undefined;
    if (this.#isShared) this.#partitions.push(new PartitionFiles(schema, [], limits, this.columns));
  }

  /** Takes the rows that were decoded, and writes row groups while too much is held. */
  distribute(isTaken: (row: number) => boolean = () => true): void {
    if (!this.#isShared && this.columns.rows > 0) this.#scatter(isTaken);
    for (const partition of this.#partitions) partition.flushIfFull();
    this.#flushLargest();
  }

  finish(): readonly TranslatedFile[] {
    return this.#partitions.flatMap((partition) => partition.finish());
  }

  #scatter(isTaken: (row: number) => boolean): void {
    const rows = this.columns.rows;
    const tuples = this.#fields.map((field) => field.valuesOf(rows));
    const choice = new Uint32Array(rows);
    for (let row = 0; row < rows; row += 1) {
      if (!isTaken(row)) {
        choice[row] = dropped;
        continue;
      }
      choice[row] = this.#partitionOf(tuples.map((values) => values[row] as PrimitiveValue | null));
    }
    this.columns.scatter(
      this.#partitions.map((partition) => partition.columns),
      choice,
    );
  }

  #partitionOf(tuple: PartitionTuple): number {
    const key = tuple.map(valueKey).join("\u0000");
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const index = this.#partitions.push(new PartitionFiles(this.#schema, tuple, this.#limits)) - 1;
    this.#byKey.set(key, index);
    return index;
  }

  #flushLargest(): void {
    let open = this.#partitions.reduce((sum, partition) => sum + partition.columns.bytes, 0);
    if (open <= this.#limits.openBytesMax) return;
    const bySize = [...this.#partitions].sort((a, b) => b.columns.bytes - a.columns.bytes);
    for (const partition of bySize) {
      if (open <= this.#limits.openBytesMax / 2) return;
      open -= partition.columns.bytes;
      partition.flush();
    }
  }
}
