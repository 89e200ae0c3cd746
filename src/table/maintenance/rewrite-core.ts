/**
 * One rewrite, synchronously, in whatever thread it runs: the files of one partition in, fewer files with the same rows out,
 * without the rows that delete files have taken. Rows keep their order: file by file as they are added.
 */
import { assert, CorruptData } from "../../base/errors.ts";
import { encodeVector } from "../iceberg/deletion-vector.ts";
import type { PrimitiveValue, Schema } from "../iceberg/types.ts";
import { Columns } from "../parquet/columns.ts";
import { ParquetReader, UnfitFile } from "../parquet/parquet-reader.ts";
import type { TranslatedFile } from "../translate/translate.ts";
import { PartitionFiles, type PartitionLimits } from "../translate/translate-partitions.ts";
import { DeleteFilter, type DeleteInput } from "./delete-filter.ts";
import { fillLineage } from "./row-lineage.ts";

export interface RewritePlan {
  /** Of the files that are written: the table's current one, with columns of lineage where it has row ids. */
  readonly schema: Schema;
  readonly partition: readonly (PrimitiveValue | null)[];
  readonly targetFileBytes: number;
}

export interface RewriteInput {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly sequence: number;
  /** Of the file's rows; null: they have no ids. */
  readonly firstRowId: number | null;
  /** As its manifest says; a file with others is not the one that was planned with. */
  readonly rows: number;
  /** As deletes name it. */
  readonly partition: string;
}

/** "unreadable": damaged, or not to be brought into the table's schema without loss. The rewrite is to be given up. */
export type RewriteAnswer = { readonly kind: "added" } | { readonly kind: "unreadable"; readonly reason: string };

export type TakenAnswer =
  | { readonly kind: "taken"; readonly cardinality: number; readonly vector: Uint8Array }
  | Extract<RewriteAnswer, { readonly kind: "unreadable" }>;

export interface RewriteResult {
  readonly files: readonly TranslatedFile[];
  readonly rowsRead: number;
  /** Rows that delete files had taken. */
  readonly rowsDropped: number;
}

export type RewriteLimits = Omit<PartitionLimits, "targetFileBytes">;

export class RewriteCore {
  readonly #deletes: DeleteFilter;
  readonly #files: PartitionFiles;
  /** Only when there are deletes: without them rows are decoded to where they are encoded from. */
  #scratch: { readonly rows: Columns; readonly dropped: Columns } | undefined;
  readonly #schema: Schema;
  #rowsRead = 0;
  #rowsDropped = 0;

  constructor(plan: RewritePlan, limits: RewriteLimits) {
    const { schema, partition, targetFileBytes } = plan;
    this.#schema = schema;
    this.#deletes = new DeleteFilter(schema);
    this.#files = new PartitionFiles(schema, partition, { ...limits, targetFileBytes });
  }

  /** All deletes come before the first file. */
  addDelete(input: DeleteInput): RewriteAnswer {
    assert(this.#rowsRead === 0, "deletes come first");
    return answered(() => this.#deletes.add(input));
  }

  add(input: RewriteInput): RewriteAnswer {
    return answered(() => {
      const reader = opened(input);
      for (let group = 0, firstRow = 0; group < reader.rowGroups; group += 1) {
        firstRow += this.#addGroup(reader, group, input, firstRow);
        this.#files.flushIfFull();
      }
    });
  }

  /** Which rows of the file deletes have taken, as a deletion vector. No file is written. */
  taken(input: RewriteInput): TakenAnswer {
    const rows: number[] = [];
    const answer = answered(() => {
      const reader = opened(input);
      const columns = new Columns(this.#deletes.keySchema);
      for (let group = 0, firstRow = 0; group < reader.rowGroups; group += 1) {
        const count = reader.readInto(columns, group);
        const keeps = this.#deletes.keeps(columns, { ...input, firstRow });
        if (keeps !== undefined)
          for (let row = 0; row < count; row += 1) if (keeps[row] === 0) rows.push(firstRow + row);
        firstRow += count;
        columns.clear();
      }
    });
    return answer.kind === "unreadable"
      ? answer
      : { kind: "taken", cardinality: rows.length, vector: encodeVector(Float64Array.from(rows)) };
  }

  finish(): RewriteResult {
    const files = this.#files.finish();
    const written = files.reduce((sum, { file }) => sum + file.recordCount, 0);
    assert(written === this.#rowsRead - this.#rowsDropped, "every row that was not deleted is written");
    return { files, rowsRead: this.#rowsRead, rowsDropped: this.#rowsDropped };
  }

  #addGroup(reader: ParquetReader, group: number, input: RewriteInput, firstRow: number): number {
    const { columns } = this.#files;
    const before = columns.rows;
    if (this.#deletes.isEmpty) {
      reader.readInto(columns, group);
      fillLineage(columns, before, { ...input, firstRow });
      this.#rowsRead += columns.rows - before;
      return columns.rows - before;
    }
    this.#scratch ??= { rows: new Columns(this.#schema), dropped: new Columns(this.#schema) };
    const { rows, dropped } = this.#scratch;
    const count = reader.readInto(rows, group);
    fillLineage(rows, 0, { ...input, firstRow });
    const keeps = this.#deletes.keeps(rows, { ...input, firstRow });
    const choice = new Uint32Array(count);
    if (keeps !== undefined) for (let row = 0; row < count; row += 1) choice[row] = 1 - (keeps[row] as number);
    rows.scatter([columns, dropped], choice);
    this.#rowsRead += count;
    this.#rowsDropped += dropped.rows;
    dropped.clear();
    return count;
  }
}

function opened({ bytes, path, rows }: RewriteInput): ParquetReader {
  const reader = new ParquetReader(bytes, path);
  if (reader.rows !== rows) {
    throw new CorruptData({ source: path, position: 0, expected: `${rows} rows`, found: `${reader.rows}` });
  }
  return reader;
}

function answered(run: () => void): RewriteAnswer {
  try {
    run();
    return { kind: "added" };
  } catch (cause) {
    if (!(cause instanceof CorruptData) && !(cause instanceof UnfitFile)) throw cause;
    return { kind: "unreadable", reason: cause.message };
  }
}
