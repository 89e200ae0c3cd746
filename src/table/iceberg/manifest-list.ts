/** Manifest lists: one Avro file a snapshot, naming its manifests with counts and partition summaries (rules D1-D7, I2). */
import { type FormatVersion, manifestFileSchema } from "../../../schemas/iceberg.ts";
import { CorruptData } from "../../base/errors.ts";
import { readAvroFile, writeAvroFile } from "./avro-file.ts";
import type { AvroObject, AvroValue } from "./avro-value.ts";
import { serializeValue } from "./bounds.ts";
import type { ManifestEntry } from "./manifest.ts";
import { type PartitionColumn, partitionColumns } from "./partition-type.ts";
import type { PartitionSpec, PrimitiveValue, Schema } from "./types.ts";

export interface ManifestFile {
  readonly path: string;
  readonly bytes: number;
  readonly specId: number;
  readonly content: "data" | "deletes";
  readonly sequenceNumber: number;
  /** Least data sequence number of its live files. */
  readonly minSequenceNumber: number;
  readonly addedSnapshotId: bigint;
  readonly files: Counts;
  readonly rows: Counts;
  /** One summary a field of the spec; null when the writer gave none. */
  readonly partitions: readonly PartitionSummary[] | null;
  readonly keyMetadata: Uint8Array | null;
  /** Of data in format version 3: where the ids of its rows begin that have none of their own. null: not given yet. */
  readonly firstRowId: number | null;
}

export interface Counts {
  readonly added: number;
  readonly existing: number;
  readonly deleted: number;
}

export interface PartitionSummary {
  readonly containsNull: boolean;
  readonly containsNan: boolean | null;
  readonly lowerBound: Uint8Array | null;
  readonly upperBound: Uint8Array | null;
}

/** What a manifest list says of a manifest that this snapshot adds. */
export function newManifestFile(options: {
  readonly path: string;
  readonly bytes: number;
  readonly spec: PartitionSpec;
  readonly schema: Schema;
  readonly entries: readonly ManifestEntry[];
  readonly snapshotId: bigint;
  readonly sequenceNumber: number;
}): ManifestFile {
  const { entries, sequenceNumber } = options;
  const live = entries.filter((entry) => entry.status !== "deleted");
  const sequences = live.map((entry) => entry.sequenceNumber ?? sequenceNumber);
  return {
    path: options.path,
    bytes: options.bytes,
    specId: options.spec["spec-id"],
    content: entries.every((entry) => entry.content === "data") ? "data" : "deletes",
    sequenceNumber,
    minSequenceNumber: sequences.reduce((least, sequence) => Math.min(least, sequence), sequenceNumber),
    addedSnapshotId: options.snapshotId,
    files: countsOf(entries, () => 1),
    rows: countsOf(entries, (entry) => entry.file.recordCount),
    partitions: summarize(partitionColumns(options.spec, options.schema), entries),
    keyMetadata: null,
    firstRowId: null,
  };
}

export function writeManifestList(options: {
  readonly snapshotId: bigint;
  readonly parentSnapshotId: bigint | null;
  readonly sequenceNumber: number;
  readonly manifests: readonly ManifestFile[];
  /** In format version 3, the snapshot's. */
  readonly firstRowId?: number | undefined;
}): Uint8Array {
  const { firstRowId } = options;
  const version: FormatVersion = firstRowId === undefined ? 2 : 3;
  const metadata = new Map([
    ["snapshot-id", String(options.snapshotId)],
    ["parent-snapshot-id", String(options.parentSnapshotId)],
    ["sequence-number", String(options.sequenceNumber)],
    ...(firstRowId === undefined ? [] : [["first-row-id", String(firstRowId)] as const]),
    ["format-version", String(version)],
  ]);
  return writeAvroFile(manifestFileSchema(version), options.manifests.map(toAvro), metadata);
}

export async function readManifestList(bytes: Uint8Array, source: string): Promise<readonly ManifestFile[]> {
  const file = await readAvroFile(bytes, source);
  return file.values.map((value) => fromAvro(value as AvroObject, source));
}

function countsOf(entries: readonly ManifestEntry[], weight: (entry: ManifestEntry) => number): Counts {
  const counts = { added: 0, existing: 0, deleted: 0 };
  for (const entry of entries) counts[entry.status] += weight(entry);
  return counts;
}

function summarize(
  columns: readonly PartitionColumn[],
  entries: readonly ManifestEntry[],
): readonly PartitionSummary[] {
  return columns.map((column, index) => {
    const values = entries.map((entry) => entry.file.partition[index] ?? null);
    const numbers = values.filter((value) => value !== null && !Number.isNaN(value)) as readonly PrimitiveValue[];
    const sorted = [...numbers].sort((a, b) => compareValues(a, b));
    const bound = (value: PrimitiveValue | undefined) =>
      value === undefined ? null : serializeValue(column.type, value);
    return {
      containsNull: values.includes(null),
      containsNan: column.type === "float" || column.type === "double" ? values.some(Number.isNaN) : false,
      lowerBound: bound(sorted[0]),
      upperBound: bound(sorted.at(-1)),
    };
  });
}

/** Strings by code point, as their UTF-8 sorts, and not by UTF-16 unit; -0 below 0 (rule B5). */
function compareValues(a: PrimitiveValue, b: PrimitiveValue): number {
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if (a === 0 && b === 0) return Number(Object.is(b, -0)) - Number(Object.is(a, -0));
  return a < b ? -1 : a > b ? 1 : 0;
}

function toAvro(manifest: ManifestFile): AvroObject {
  return {
    manifest_path: manifest.path,
    manifest_length: manifest.bytes,
    partition_spec_id: manifest.specId,
    content: manifest.content === "data" ? 0 : 1,
    sequence_number: manifest.sequenceNumber,
    min_sequence_number: manifest.minSequenceNumber,
    added_snapshot_id: manifest.addedSnapshotId,
    added_files_count: manifest.files.added,
    existing_files_count: manifest.files.existing,
    deleted_files_count: manifest.files.deleted,
    added_rows_count: manifest.rows.added,
    existing_rows_count: manifest.rows.existing,
    deleted_rows_count: manifest.rows.deleted,
    partitions:
      manifest.partitions?.map((summary) => ({
        contains_null: summary.containsNull,
        contains_nan: summary.containsNan,
        lower_bound: summary.lowerBound,
        upper_bound: summary.upperBound,
      })) ?? null,
    key_metadata: manifest.keyMetadata,
    first_row_id: manifest.firstRowId,
  };
}

/** By field id: older writers call the counts added_data_files_count and the like (rule D2). */
function fromAvro(value: AvroObject, source: string): ManifestFile {
  const number = (id: number, missing?: number): number => {
    const found = value[String(id)] ?? missing;
    if (typeof found === "number") return found;
    throw new CorruptData({ source, position: 0, expected: `a number as field ${id}`, found: typeof found });
  };
  const path = value["500"];
  if (typeof path !== "string") throw new CorruptData({ source, position: 0, expected: "a path", found: typeof path });
  const summaries = (value["507"] ?? null) as readonly AvroObject[] | null;
  return {
    path,
    bytes: number(501),
    specId: number(502, 0),
    content: number(517, 0) === 0 ? "data" : "deletes",
    sequenceNumber: number(515, 0),
    minSequenceNumber: number(516, 0),
    addedSnapshotId: BigInt((value["503"] ?? -1) as number | bigint),
    files: { added: number(504, 0), existing: number(505, 0), deleted: number(506, 0) },
    rows: { added: number(512, 0), existing: number(513, 0), deleted: number(514, 0) },
    partitions: summaries?.map(summaryFromAvro) ?? null,
    keyMetadata: copied(value["519"]),
    firstRowId: (value["520"] ?? null) === null ? null : number(520),
  };
}

function summaryFromAvro(value: AvroObject): PartitionSummary {
  return {
    containsNull: value["509"] === true,
    containsNan: (value["518"] ?? null) as boolean | null,
    lowerBound: copied(value["510"]),
    upperBound: copied(value["511"]),
  };
}

function copied(value: AvroValue | undefined): Uint8Array | null {
  return value instanceof Uint8Array ? Uint8Array.from(value) : null;
}
