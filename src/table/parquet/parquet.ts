/**
 * Writes one Parquet file and says everything that an Iceberg manifest needs to know of it.
 *
 *   "PAR1" | row group*, each: column chunk* (parquet-chunk.ts) | footer (Thrift) | footer length, 4 LE | "PAR1"
 *
 * Every column carries its Iceberg field id, also inside structs, lists and maps (rule A1); pages are V1 and values PLAIN or
 * behind a dictionary, which every engine reads. Compressed pages stay in memory until `finish` joins them.
 */
import { assert } from "../../base/errors.ts";
import type { DataFile, Schema } from "../iceberg/types.ts";
import type { Leaf } from "../translate/leaf.ts";
import type { Columns } from "./columns.ts";
import { type Chunk, encodeChunk, type PageLimits } from "./parquet-chunk.ts";
import { PageBuffer } from "./parquet-encoding.ts";
import { type FooterRowGroup, writeFooter } from "./parquet-footer.ts";
import { FileMetrics } from "./parquet-metrics.ts";

export interface ParquetOptions extends PageLimits {
  /** Leaf columns that get counts and bounds, the first ones of the schema (rule B1). */
  readonly metricsColumnsMax: number;
}

/** What is known of a file before it has a place. */
export type FileDescription = Omit<DataFile, "path" | "partition">;

const magic = new TextEncoder().encode("PAR1");

export class ParquetWriter {
  readonly #schema: Schema;
  readonly #options: ParquetOptions;
  readonly #parts: Uint8Array[] = [magic];
  #position = magic.length;
  readonly #rowGroups: FooterRowGroup[] = [];
  readonly #metrics: FileMetrics;
  #rows = 0;
  /** One for all writers of a worker would do; one a writer keeps them apart. */
  readonly #buffer = new PageBuffer();

  constructor(schema: Schema, options: ParquetOptions) {
    this.#schema = schema;
    this.#options = options;
    this.#metrics = new FileMetrics(options.metricsColumnsMax);
  }

  /** Bytes so far, without the footer. */
  get bytes(): number {
    return this.#position;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Writes all rows as one row group. The caller bounds its size, and may clear the columns afterwards. */
  rowGroup(columns: Columns): void {
    assert(columns.rows > 0, "a row group has rows");
    assert(columns.schema === this.#schema, "all row groups have the file's schema");
    const start = this.#position;
    const chunks: { readonly chunk: Chunk; readonly position: number }[] = [];
    for (const leaf of columns.leaves) {
      assert(rowsOf(leaf) === columns.rows, "every column has all rows");
      const chunk = encodeChunk(leaf, this.#options, this.#buffer);
      chunks.push({ chunk: { ...chunk, parts: [] }, position: this.#position });
      this.#parts.push(...chunk.parts);
      this.#position += chunk.bytes;
    }
    this.#metrics.add(chunks.map(({ chunk }) => chunk));
    this.#rowGroups.push({ rows: columns.rows, position: start, chunks });
    this.#rows += columns.rows;
  }

  /** The whole file. A file without rows is never made (rule A11). */
  finish(): { readonly bytes: Uint8Array; readonly description: FileDescription } {
    assert(this.#rows > 0, "a file has rows");
    const footer = writeFooter(this.#schema, this.#rowGroups, this.#rows);
    const tail = new Uint8Array(8);
    new DataView(tail.buffer).setUint32(0, footer.length, true);
    tail.set(magic, 4);
    const bytes = joined([...this.#parts, footer, tail]);
    return {
      bytes,
      description: {
        format: "PARQUET",
        recordCount: this.#rows,
        bytes: bytes.length,
        ...this.#metrics.finish(),
        splitOffsets: this.#rowGroups.map((group) => group.position),
      },
    };
  }
}

/** A slot each, or a list of them. */
function rowsOf({ levels }: Leaf): number {
  if (levels.maxRep === 0) return levels.slots;
  let rows = 0;
  for (let slot = 0; slot < levels.slots; slot += 1) if (levels.reps[slot] === 0) rows += 1;
  return rows;
}

/** In memory of its own, so that it can be transferred to another thread. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
