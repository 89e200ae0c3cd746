/** One look at the log and at the files of a table with a key, in passes: each takes a share of the keys' hashes. */
import { CorruptData, OperationFailed } from "../../base/errors.ts";
import type { Uuid } from "../../base/ids.ts";
import type { Log } from "../../log/log.ts";
import type { TableName } from "../catalog.ts";
import type { PlaceColumns } from "../commit/live-files.ts";
import { currentSchema } from "../commit/table-creation.ts";
import type { TableMetadata } from "../iceberg/metadata.ts";
import type { Columns } from "../parquet/columns.ts";
import { UnfitFile } from "../parquet/parquet-reader.ts";
import type { ParquetRows } from "../parquet/parquet-rows.ts";
import type { CommitMark } from "../rounds.ts";
import type { TableMapping } from "../schema/schema-map.ts";
import type { RowKey } from "../schema/schema-map-keys.ts";
import type { TableSettings } from "../settings.ts";
import type { KeyedFiles } from "./keyed-files.ts";
import { KeyedPass } from "./keyed-pass.ts";
import { type FoldRange, KeyedReport } from "./keyed-report.ts";
import type { OffsetSet } from "./replayed.ts";
import type { VerifyDeps } from "./verify.ts";
import type { Findings } from "./verify-snapshot.ts";

export interface KeyedSubject {
  readonly name: TableName;
  readonly settings: TableSettings;
  readonly topicId: Uuid;
  readonly metadata: TableMetadata;
  readonly mapping: TableMapping;
  readonly rowKey: RowKey;
  readonly place: PlaceColumns;
  readonly mark: CommitMark | undefined;
  readonly begin: ReadonlyMap<number, number>;
  readonly findings: Findings;
}

export interface KeyedCounts {
  /** That the log says have a row. */
  readonly keys: number;
  /** With records in more than one partition of the topic: the table may hold the last of any of them. */
  readonly crossingKeys: number;
  /** Rows in the files that deletes have taken. */
  readonly rowsDeleted: number;
  /** Rows whose record the log has no more: that no later one of their key is there is all that was proven. */
  readonly rowsNotProvable: number;
  readonly passes: number;
}

/** Of the first word of hashes. */
const hashEnd = 2 ** 32;
/** Beyond it verification would read the log more often than anybody waits for. */
const passesMax = 64;

export interface Whole extends KeyedSubject {
  readonly files: KeyedFiles;
  readonly letters: OffsetSet;
  readonly rows: ParquetRows;
}

export class KeyedRun {
  rows = 0;
  readonly report: KeyedReport;
  readonly #subject: Whole;
  readonly #deps: VerifyDeps;
  readonly #signal: AbortSignal;
  readonly #ranges: ReadonlyMap<number, FoldRange>;
  readonly #counts = { keys: 0, crossingKeys: 0, rowsDeleted: 0, rowsNotProvable: 0, passes: 0 };
  #filesRead = 0;

  constructor(subject: Whole, deps: VerifyDeps, signal: AbortSignal) {
    this.#subject = subject;
    this.#deps = deps;
    this.#signal = signal;
    const ranges = foldRanges(subject, deps.keyed.log);
    this.#ranges = new Map(ranges.map((range) => [range.partition, range]));
    this.report = new KeyedReport(ranges);
  }

  get counts(): KeyedCounts {
    return this.#counts;
  }

  async passes(): Promise<"done" | "log-moved"> {
    const { data, keyDeletes } = this.#subject.files;
    const { keysMax } = this.#deps.keyed;
    const rows = [...data, ...keyDeletes].reduce((sum, { entry }) => sum + entry.file.recordCount, 0);
    let width = Math.ceil(hashEnd / Math.max(1, Math.ceil(rows / keysMax)));
    for (let from = 0; from < hashEnd; ) {
      if (width < hashEnd / passesMax) {
        const reason = `the table and its log hold more keys than verification takes: ${keysMax} in each of ${passesMax} passes`;
        throw new OperationFailed(reason, { happened: "no" });
      }
      const share = { from, to: Math.min(hashEnd, from + width) };
      const pass = new KeyedPass({ ...this.#subject, share, ranges: this.#ranges }, this.#deps, this.#signal);
      const outcome = await pass.learn();
      if (outcome === "log-moved") return outcome;
      if (outcome === "full") {
        width = Math.ceil(width / 2);
        continue;
      }
      await this.#readFiles(pass, share.from === 0);
      this.#end(pass);
      from = share.to;
    }
    return "done";
  }

  async #readFiles(pass: KeyedPass, isFirst: boolean): Promise<void> {
    const { files, metadata, rows, findings } = this.#subject;
    const schema = currentSchema(metadata);
    for (const data of files.data) {
      const { file } = data.entry;
      this.#signal.throwIfAborted();
      let read = 0;
      try {
        const filter = await files.filterOf(data);
        await using copy = await this.#deps.scratch.copy(this.#deps.warehouse, file);
        for await (const columns of rows.read(copy.path, schema, file.path)) {
          const keeps = filter.keeps(columns, { path: file.path, sequence: data.entry.sequenceNumber, firstRow: read });
          this.#check(pass, columns, { keeps, sequence: data.entry.sequenceNumber });
          read += columns.rows;
        }
        if (isFirst && read !== file.recordCount) {
          const detail = `it holds ${read} rows, its manifest says ${file.recordCount}`;
          findings.add({ kind: "miscounted", where: file.path, detail, sample: [] });
        }
      } catch (cause) {
        if (!(cause instanceof OperationFailed) && !(cause instanceof CorruptData) && !(cause instanceof UnfitFile))
          throw cause;
        if (isFirst) findings.add({ kind: "file-unreadable", where: file.path, detail: cause.message, sample: [] });
      }
      this.#filesRead += 1;
      this.#deps.progress?.({
        files: this.#filesRead,
        filesTotal: Math.max(this.#filesRead, files.data.length),
        rows: this.rows,
      });
    }
  }

  #check(
    pass: KeyedPass,
    columns: Columns,
    of: { readonly keeps: Uint8Array | undefined; readonly sequence: number },
  ): void {
    for (const { verdict, partition, offset } of pass.check(columns, of)) {
      if (verdict === "deleted") {
        this.#counts.rowsDeleted += 1;
        continue;
      }
      this.rows += 1;
      this.report.found(partition, offset);
      if (verdict === "proven") continue;
      if (verdict !== "not-provable") this.report.trouble(verdict, partition, offset);
      else this.#counts.rowsNotProvable += 1;
    }
  }

  #end({ keys }: KeyedPass): void {
    this.#counts.passes += 1;
    this.#counts.crossingKeys += keys.crossingKeys;
    for (const { record, isThere } of keys.expected()) {
      this.#counts.keys += 1;
      this.report.expect(record.partition, record.offset);
      if (!isThere) this.report.trouble("lost", record.partition, record.offset);
    }
  }
}

/** Of each partition that the table has something of. */
function foldRanges({ mark, topicId, begin }: Whole, log: Log): readonly FoldRange[] {
  if (mark === undefined || typeof mark.offsets === "string") return [];
  return [...mark.offsets]
    .map(([partition, to]) => {
      const lookup = log.partition(topicId, partition);
      if (lookup.kind !== "here")
        throw new OperationFailed(`partition ${partition} is not here: ask the broker that has it`, { happened: "no" });
      const began = Math.min(begin.get(partition) ?? 0, to);
      const from = Math.min(Math.max(began, lookup.partition.logStart), to);
      return { partition, begin: began, from, to };
    })
    .sort((a, b) => a.partition - b.partition);
}
