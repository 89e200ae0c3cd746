/** What a person says about a topic's table, read from YAML by src/config.ts. */
import type { FormatVersion } from "../../schemas/iceberg.ts";
import type { Transform } from "./iceberg/types.ts";
import type { ColumnOverrides } from "./schema/column-overrides.ts";
import type { FieldLayout } from "./schema/schema-map-shape.ts";

export interface TableSettings {
  readonly topic: string;
  /** Key of `lake.catalogs`. */
  readonly catalog: string;
  readonly namespace: readonly string[];
  readonly table: string;
  readonly create: boolean;
  /** Where a new table begins: with everything that the topic holds (so when absent), or with what comes from then on. */
  readonly begin?: "earliest" | "latest";
  /** Root of the table's files; null lets the catalog choose. */
  readonly location: string | null;
  /** The least that the table has: it is made in it or upgraded to it, never taken back. */
  readonly formatVersion: FormatVersion;
  readonly value: {
    readonly decode: DecodeMode;
    readonly subject: string | null;
    /** A field's new type that its column cannot take: a column beside it, or dead letters of the whole schema. */
    readonly onTypeChange: "dead-letter" | "new-column";
    /** Of "schema-id": records have no prefix, and are of the latest version of the subject. Absent: they have one. */
    readonly latest?: LatestSchema;
    /** Of records: their fields are columns (so when absent), or the fields of one column. */
    readonly layout?: FieldLayout;
  };
  readonly key: {
    readonly decode: DecodeMode;
    /** Absent: `<topic>-key`. */
    readonly subject?: string;
    readonly latest?: LatestSchema;
    /** Absent: nested, unless the Kafka key identifies rows. */
    readonly columns?: FieldLayout;
  };
  readonly headers: "list" | "none";
  /** Prefix of the metadata columns, "_kafka" by default: _kafka_partition, _kafka_offset, _kafka_timestamp, ... */
  readonly metadataPrefix: string;
  readonly metadataColumns: readonly MetadataColumn[];
  /** By the path of the value's field, or of the key's behind the name of its column. Absent: none. */
  readonly overrides?: ColumnOverrides;
  readonly partitionBy: readonly { readonly column: string; readonly transform: Transform }[];
  readonly mode: WriteMode;
  /** Each data file's rows are sorted by these. */
  readonly sortBy: readonly SortBy[];
  readonly commit: { readonly everyMs: number; readonly bytesMax: number };
  readonly errors: {
    /** "suspend" stops the table at the first bad record, "skip" counts and drops it, "dlq" keeps it in the dead-letter table. */
    readonly policy: "suspend" | "skip" | "dlq";
    readonly deadLetterTable: string;
    /** They go into this topic too; absent: into the table only. */
    readonly deadLetterTopic?: string;
  };
  readonly expire: { readonly keepMs: number; readonly keepMin: number };
  /**
   * Of the topic: "wait" leaves records in the log until they are in the table, "alarm" counts those that go before, "off" does
   * not look.
   */
  readonly retention: "wait" | "alarm" | "off";
  readonly maintain: {
    /** Small files and deletes are rewritten in the background; else somebody else does it, or nobody. */
    readonly rewrites: boolean;
    /** Its manifests too, where appends do not keep them few. */
    readonly manifests: boolean;
    /** Files that nothing names are removed at this age; 0: never. */
    readonly orphansMs: number;
  };
}

export interface LatestSchema {
  /** Full name of a Protobuf message; null is the first of the schema. */
  readonly message: string | null;
}

/** What a record does to the table's rows. */
export interface WriteMode {
  /** "append": adds a row. "upsert": replaces the row of its key. "cdc": does what its envelope says. */
  readonly write: "append" | "upsert" | "cdc";
  /** Columns of the value that identify a row; none: the Kafka key does. Without meaning in append. */
  readonly key: readonly string[];
  /** "debezium": op, before and after. "op-field": a field of the value says what becomes of its row. */
  readonly envelope: "none" | "debezium" | "op-field";
  /** Name of that field. */
  readonly opField: string;
  /** Of a record without a value. */
  readonly tombstone: "delete" | "ignore";
}

export interface SortBy {
  readonly column: string;
  readonly direction: "asc" | "desc";
  readonly nulls: "first" | "last";
}

/** "schema-id": Confluent's prefix names an Avro, JSON or Protobuf schema; "json": schemaless, columns are inferred. */
export type DecodeMode = "schema-id" | "json" | "raw" | "string";

export type MetadataColumn = "partition" | "offset" | "timestamp" | "timestamp_type" | "key" | "headers";

/** Of a key that is one value, or whose fields nest: unless people give it another name. */
export function keyColumnName({ metadataPrefix }: Pick<TableSettings, "metadataPrefix">): string {
  return `${metadataPrefix}_key`;
}

/** The subject of a topic's keys or values. */
export function subjectOf(settings: TableSettings, part: "key" | "value"): string {
  return settings[part].subject ?? `${settings.topic}-${part}`;
}

export type Subjects = Readonly<Record<"key" | "value", string>>;

export function subjectsOf(settings: TableSettings): Subjects {
  return { key: subjectOf(settings, "key"), value: subjectOf(settings, "value") };
}
