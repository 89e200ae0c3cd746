/**
 * Records of a topic to Parquet files of its table, in rounds (ARCHITECTURE.md, one table commit, step 1). A round has one mapping and one
 * partition spec; it reads record batches, and ends in one file a table partition and a file of dead letters.
 *
 * Same records, same mapping version, same spec: same rows (rule M11). Every record of [from, to) becomes exactly one of:
 *
 *   a row            · a dead letter (policy "dlq")  · dropped (policy "skip")  · skipped: control, aborted, compacted away
 *
 * Stated outcomes for values that some types cannot hold (rule M12):
 *
 *   JSON integer beyond 2^53     inferred: null in its column, exact text in _extra · integer column: exact up to 64 bits,
 *                                beyond them a dead letter · number column: the nearest double · decimal: exact
 *   JSON number beyond doubles   inferred: null in its column, exact text in _extra · else a dead letter
 *   any value of a cast column   exact, or a dead letter
 *   JSON value of another type   inferred: null, kept in _extra · with a JSON Schema: a dead letter
 *   JSON that nests too deep     beyond 1000 levels: a dead letter
 *   Avro long                    exact · NaN, Infinity: kept, outside of bounds
 *   Protobuf enum of no name     its number as text · Timestamp, Date, TimeOfDay that no calendar or clock has: a dead letter
 *   decimal beyond its precision a dead letter · a decimal type beyond 38 digits: text
 *   timestamp in nanoseconds     exact in columns of them, else floored to microseconds · in milliseconds beyond 64 bits of microseconds: a dead letter
 *   Kafka's own timestamp        -1: null · outside of the years 1 to 9999: null, and counted
 *   text that is not UTF-8       a dead letter
 */

import type { SortOrder } from "../iceberg/metadata.ts";
import type { PartitionSpec, PrimitiveValue } from "../iceberg/types.ts";
import type { FileDescription } from "../parquet/parquet.ts";
import type { MappingSource, SchemaId, SchemaText, TableMapping } from "../schema/schema-map.ts";
import type { TableSettings } from "../settings.ts";
import type { Digests } from "../tools/digest.ts";

export interface Translator extends AsyncDisposable {
  beginRound(plan: RoundPlan): Round;
}

export interface RoundPlan {
  readonly mapping: TableMapping;
  readonly spec: PartitionSpec;
  /** Of the rows in each file; undefined, or without fields: as they came. */
  readonly sortOrder?: SortOrder | undefined;
  readonly settings: TableSettings;
  /** A file is ended by the row group that makes it larger. */
  readonly targetFileBytes: number;
}

/** Ranges are added one after another; finish or dispose ends the round. */
export interface Round extends AsyncDisposable {
  /** All or nothing: unless the answer is "added", the round is as it was before. The batches are borrowed until it settles. */
  add(range: RangeInput): Promise<AddOutcome>;
  /** What the round's records do to keys, so far. Only of tables with a key. */
  touches(): Promise<Touches>;
  /** `leaveOut`: 1 for each touch, in the order of `touches`, that is not to be. */
  finish(leaveOut?: Uint8Array): Promise<RoundResult>;
}

/** One entry a row that was put or deleted, in the order of records; a record that moves a row to another key has two. */
export interface Touches {
  /** As key-digest.ts makes them, one after another. */
  readonly keys: Uint8Array;
  readonly partitions: Int32Array;
  readonly offsets: Float64Array;
  /** Milliseconds. */
  readonly timestamps: Float64Array;
}

export interface RangeInput {
  readonly partition: number;
  /** Whole record batches (magic 2), compressed or not, that cover [from, to); records outside are left out. */
  readonly batches: readonly Uint8Array[];
  /** As PartitionRead gives them: transactions that were aborted, by first offset. */
  readonly aborted: readonly { readonly producerId: number; readonly firstOffset: number }[];
  readonly from: number;
  readonly to: number;
}

export type AddOutcome =
  | ({
      readonly kind: "added";
      /** The round holds as much as it may: nothing more is to be added. */
      readonly isFull?: boolean;
    } & RangeCounts)
  /** The mapping must grow first: evolve it with each source, end this round, and begin another. */
  | { readonly kind: "needs-schema"; readonly sources: readonly MappingSource[] }
  /** Policy "suspend": the first bad record. */
  | { readonly kind: "bad-record"; readonly offset: number; readonly reason: string; readonly detail: string };

export interface RangeCounts {
  readonly rows: number;
  readonly deadLetters: number;
  /** Offsets of the range that became neither: control and aborted records, what cleaning took, dropped bad records. */
  readonly skips: number;
  /** Of these skips, bad records that policy "skip" dropped. */
  readonly dropped: number;
  /** Rows whose Kafka timestamp no calendar holds. */
  readonly timestampsOutOfRange: number;
  /** Of what was added: proves later that a table still holds it. */
  readonly digests: { readonly rows: Digests; readonly deadLetters: Digests };
}

export interface RoundResult {
  /** In the order in which partitions were first met; a partition has several when they grew beyond the target. */
  readonly files: readonly TranslatedFile[];
  /** Undefined when there is no dead letter. */
  readonly deadLetterFile: TranslatedFile | undefined;
  /** The keys of all rows that the round touched, under no partition; undefined in tables that are only appended to. */
  readonly deleteFile: TranslatedFile | undefined;
  /** Keys that the round met in several topic partitions, where no offset says which came last. */
  readonly crossingKeys: number;
  readonly rows: number;
  readonly deadLetters: number;
}

export interface TranslatedFile {
  /** One value a field of the spec, in its order. */
  readonly partition: readonly (PrimitiveValue | null)[];
  readonly bytes: Uint8Array;
  readonly file: FileDescription & { readonly partition: readonly (PrimitiveValue | null)[] };
}

/** The id of a subject's latest version; undefined when it has none. A rejection fails the add, which may be repeated. */
export type LatestId = (subject: string) => Promise<SchemaId | undefined>;

/** Brings a schema's text; the topic's subject says of which context the id is. undefined when the registry has no such id. A rejection fails the add, which may be repeated. */
export type SchemaById = (schemaId: SchemaId, subject: string) => Promise<SchemaText | undefined>;
