/**
 * Rows of a table whose rows change, while a round is read: every record becomes a row, a deletion, or for an update that
 * moves its key both. All wait in columns until the round ends, when the last of each key is chosen:
 *
 *   read      a:1  b:1  a:2  -b  c:1          -b deletes
 *   data      a:2  c:1                        the last of each key, unless it deletes
 *   deletes   a    b    c                     every key that was touched: what earlier rounds wrote of it goes
 */
import type { RecordCursor } from "../../protocol/records.ts";
import { BadRecord } from "../decode/bad-record.ts";
import { valueKey } from "../iceberg/partition-type.ts";
import { type ColumnNode, Columns, type Mark, putAbsent, type StructNode } from "../parquet/columns.ts";
import { type ParquetOptions, ParquetWriter } from "../parquet/parquet.ts";
import { primitiveAt } from "../row-values.ts";
import { decodingSchema, deleteSchema, type RowKey } from "../schema/schema-map-keys.ts";
import { digestKeys } from "./key-digest.ts";
import { lastPerKey } from "./last-per-key.ts";
import type { Leaf } from "./leaf.ts";
import { keyNodes, putAllAbsent, structOf, valueNodes } from "./part-nodes.ts";
import type { RoundPlan, Touches, TranslatedFile } from "./translate.ts";
import { type ChangeReader, compileChanges } from "./translate-envelopes.ts";
import { compileMetadata, type MetadataPut, type RecordPlace } from "./translate-metadata.ts";
import type { Partitions } from "./translate-partitions.ts";
import { compileKey, type PartContext, type PartPut, type PutOutcome, type RecordOutcome } from "./translate-parts.ts";

const done: RecordOutcome = { kind: "row" };
const nothing: RecordOutcome = { kind: "nothing" };
const ok: PutOutcome = { kind: "ok" };

/** Without this many bytes counted a row beside its columns' own: what is remembered of it, and its key at the end. */
const rowBytes = 100;

export class Changes {
  readonly columns: Columns;
  readonly #rowKey: RowKey;
  readonly #plan: RoundPlan;
  readonly #tombstone: "delete" | "ignore";
  readonly #keyLeaves: readonly Leaf[];
  /** The value's key columns, when those identify rows; and its other columns. */
  readonly #valueKey: StructNode;
  readonly #valueRest: readonly ColumnNode[];
  readonly #keyColumns: readonly ColumnNode[];
  readonly #putMetadata: MetadataPut;
  readonly #putKey: PartPut;
  readonly #reader: ChangeReader;
  // One a row of `columns`.
  readonly #isDelete: boolean[] = [];
  readonly #partitions: number[] = [];
  readonly #offsets: number[] = [];
  readonly #timestamps: number[] = [];

  constructor(plan: RoundPlan, rowKey: RowKey, schemas: Pick<PartContext, "texts" | "framings">) {
    const { mapping, settings } = plan;
    this.#plan = plan;
    this.#rowKey = rowKey;
    this.#tombstone = settings.mode.tombstone;
    this.columns = new Columns(decodingSchema(mapping));
    const context: PartContext = { columns: this.columns, mapping, settings, ...schemas };
    this.#keyLeaves = rowKey.ids.flatMap((id) => this.columns.leaves.filter((leaf) => leaf.shape.id === id));
    const { record, all } = valueNodes(context);
    const ids = new Set(rowKey.ids);
    const others = record.fields.map((field) => field.node.id).filter((id) => !ids.has(id));
    this.#valueKey = structOf(record, ids);
    this.#valueRest = [structOf(record, new Set(others)), ...all.filter((node) => node !== record)];
    this.#keyColumns = keyNodes(context).all;
    this.#putMetadata = compileMetadata(this.columns, mapping.own);
    this.#putKey = compileKey(context);
    this.#reader = compileChanges(context, this.#valueKey);
  }

  get bytes(): number {
    return this.columns.bytes + this.#isDelete.length * rowBytes;
  }

  cutTo(mark: Mark): void {
    this.columns.cutTo(mark);
    for (const each of [this.#isDelete, this.#partitions, this.#offsets, this.#timestamps]) each.length = mark.rows;
  }

  /** Throws BadRecord. Whatever does not end in rows leaves at most a row half written. */
  put(record: RecordCursor, place: RecordPlace): RecordOutcome {
    if (record.value === null) return this.#putTombstone(record, place);
    const opened = this.#reader.open(record.value);
    if (typeof opened === "object") return { kind: "wants", key: ok, value: opened };
    if (opened === "nothing") return nothing;
    const byValue = this.#rowKey.part === "value";
    const hasRows = this.#rowKey.ids.length > 0; // Before the key's columns are known no row was written.
    if (opened === "delete") {
      if (!byValue) return this.#putDelete(record, place);
      if (!hasRows) return nothing;
      if (!this.#reader.hasBefore) throw new BadRecord("no-key", "a delete does not say what its row was before");
      return this.#putDeleteBefore(place);
    }
    if (!byValue || !hasRows || !this.#reader.hasBefore) return this.#putRow(record, place);
    const mark = this.columns.mark();
    try {
      // The row under its old key goes first: when the key is still the same, this same record's row comes after it.
      const removed = this.#putDeleteBefore(place);
      const outcome = removed.kind === "row" ? this.#putRow(record, place) : removed;
      if (outcome.kind === "wants") this.cutTo(mark);
      return outcome;
    } catch (cause) {
      this.cutTo(mark);
      throw cause;
    }
  }

  #putRow(record: RecordCursor, place: RecordPlace): RecordOutcome {
    this.#putMetadata.place(place);
    if (this.#putMetadata.wantsHeaders) this.#putMetadata.headers(record.headerCount === 0 ? [] : record.headers());
    const key = this.#putKey(record.key);
    const value = this.#reader.putRow();
    if (key.kind !== "ok" || value.kind !== "ok") return { kind: "wants", key, value };
    this.#requireKey();
    this.#endRow(place, this.#reader.isDelete());
    return done;
  }

  #putTombstone(record: RecordCursor, place: RecordPlace): RecordOutcome {
    if (this.#tombstone === "ignore") return nothing;
    if (this.#rowKey.part === "key") return this.#putDelete(record, place);
    if (this.#rowKey.ids.length === 0) return nothing; // No row has been written yet that it could mean.
    if (record.key === null) throw new BadRecord("no-key", "a tombstone without a key");
    this.#beginDelete(place);
    const key = this.#reader.putTombstoneKey(record.key);
    if (key.kind !== "ok") return { kind: "wants", key, value: ok };
    return this.#endDelete(place);
  }

  /** Of the row that the Kafka key means. */
  #putDelete(record: RecordCursor, place: RecordPlace): RecordOutcome {
    this.#putMetadata.place(place);
    if (this.#putMetadata.wantsHeaders) this.#putMetadata.headers([]);
    const key = this.#putKey(record.key);
    if (key.kind !== "ok") return { kind: "wants", key, value: ok };
    putAbsent(this.#valueKey, 0);
    putAllAbsent(this.#valueRest);
    return this.#endDelete(place);
  }

  /** Of the row as the envelope says that it was. */
  #putDeleteBefore(place: RecordPlace): RecordOutcome {
    this.#beginDelete(place);
    this.#reader.putBeforeKey();
    return this.#endDelete(place);
  }

  /** Everything but the value's key columns. */
  #beginDelete(place: RecordPlace): void {
    this.#putMetadata.place(place);
    if (this.#putMetadata.wantsHeaders) this.#putMetadata.headers([]);
    putAllAbsent(this.#keyColumns);
    putAllAbsent(this.#valueRest);
  }

  #endDelete(place: RecordPlace): RecordOutcome {
    this.#requireKey();
    this.#endRow(place, true);
    return done;
  }

  #requireKey(): void {
    const { ids, columns } = this.#rowKey;
    if (ids.length === 0) throw new BadRecord("no-key", `no value has the key ${columns.join(", ")} yet`);
    const absent = this.#keyLeaves.find((leaf) => leaf.defs[this.columns.rows] !== leaf.maxDef);
    if (absent !== undefined) throw new BadRecord("no-key", `${absent.shape.path.join(".")} is null`);
  }

  #endRow(place: RecordPlace, isDelete: boolean): void {
    this.columns.endRow();
    this.#isDelete.push(isDelete);
    this.#partitions.push(place.partition);
    this.#offsets.push(place.offset);
    this.#timestamps.push(place.timestamp);
  }

  /** Ends the round: rows go to their partitions, keys into the delete file. */
  finish(
    partitions: Partitions,
    options: ParquetOptions,
    leaveOut?: Uint8Array,
  ): { readonly deleteFile: TranslatedFile | undefined; readonly crossingKeys: number } {
    if (this.columns.rows === 0) return { deleteFile: undefined, crossingKeys: 0 };
    const last = lastPerKey({
      keys: this.#keys(),
      partitions: this.#partitions,
      timestamps: this.#timestamps,
      leaveOut,
    });
    const deleteFile = last.rows.length === 0 ? undefined : this.#writeDeletes(last.rows, options);
    const taken = new Uint8Array(this.columns.rows);
    for (const row of last.rows) if (this.#isDelete[row] === false) taken[row] = 1;
    partitions.distribute((row) => taken[row] === 1);
    return { deleteFile, crossingKeys: last.crossingKeys };
  }

  touches(): Touches {
    return {
      keys: digestKeys(this.#keys()),
      partitions: Int32Array.from(this.#partitions),
      offsets: Float64Array.from(this.#offsets),
      timestamps: Float64Array.from(this.#timestamps),
    };
  }

  /** A key is in every row, so the value of row i is value i. */
  #keys(): readonly string[] {
    return this.#isDelete.map((_, row) =>
      this.#keyLeaves.map((leaf) => valueKey(primitiveAt(leaf, row))).join("\u0000"),
    );
  }

  #writeDeletes(last: readonly number[], options: ParquetOptions): TranslatedFile {
    const keys = new Columns(deleteSchema(this.#plan.mapping, this.#rowKey));
    for (const row of last) {
      this.#keyLeaves.forEach((leaf, at) => (keys.leaves[at] as Leaf).copy(leaf as never, row, 0)); // Of one type each.
      keys.endRow();
    }
    const writer = new ParquetWriter(keys.schema, options);
    writer.rowGroup(keys);
    const { bytes, description } = writer.finish();
    return { partition: [], bytes, file: { ...description, partition: [] } };
  }
}
