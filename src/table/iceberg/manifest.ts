/**
 * Manifests: Avro files that list data or delete files of one partition spec, each with its metrics (rules C1-C12).
 * Written as the reference writes versions 2 and 3; read by field id, so that those of other writers are understood too.
 */
import { type FormatVersion, manifestEntrySchema } from "../../../schemas/iceberg.ts";
import { CorruptData } from "../../base/errors.ts";
import { readAvroFile, writeAvroFile } from "./avro-file.ts";
import type { AvroObject, AvroValue } from "./avro-value.ts";
import { parseJsonObject, renderJson } from "./json.ts";
import { toSchema } from "./metadata-json.ts";
import { fromAvro, type PartitionColumn, partitionAvroFields, partitionColumns, toAvro } from "./partition-type.ts";
import type { DataFile, PartitionSpec, Schema } from "./types.ts";

export interface ManifestEntry {
  readonly status: "existing" | "added" | "deleted";
  /** null: that of the snapshot which added the manifest (rule C7). */
  readonly snapshotId: bigint | null;
  /** null: that of the manifest. */
  readonly sequenceNumber: number | null;
  readonly fileSequenceNumber: number | null;
  readonly content: "data" | "position-deletes" | "equality-deletes";
  /** `format` is as stored, upper-cased: files of others may be ORC or AVRO. */
  readonly file: Omit<DataFile, "format"> & { readonly format: string };
  readonly equalityIds: readonly number[] | null;
  readonly sortOrderId: number | null;
  /** Id of its first row; null in a manifest that says it for all its files, and before the table had row ids (rule I3). */
  readonly firstRowId: number | null;
  /** The one data file that the deletes are of; null: any, or not a file of deletes. */
  readonly referencedDataFile: string | null;
  /** Where in the file a deletion vector stands; null: the whole file is its content. */
  readonly vector: VectorPlace | null;
}

export interface VectorPlace {
  readonly offset: number;
  readonly bytes: number;
}

export interface Manifest {
  /** What the writer wrote with; absent in files of writers that leave it out. */
  readonly schema: Schema | undefined;
  readonly specId: number;
  readonly content: "data" | "deletes";
  readonly entries: readonly ManifestEntry[];
}

export interface StoredManifest extends Manifest {
  /** Of the file, Iceberg's own included. */
  readonly properties: ReadonlyMap<string, string>;
}

/**
 * An entry for a file that the snapshot to come adds: it inherits that snapshot's id and sequence number. `equalityIds` of a
 * file of deletes: the columns by which it tells rows.
 */
export function addedFile(file: ManifestEntry["file"], equalityIds: readonly number[] | null = null): ManifestEntry {
  const inherited = { snapshotId: null, sequenceNumber: null, fileSequenceNumber: null };
  const content = equalityIds === null ? "data" : "equality-deletes";
  return {
    status: "added",
    ...inherited,
    content,
    file,
    equalityIds,
    sortOrderId: null,
    firstRowId: null,
    referencedDataFile: null,
    vector: null,
  };
}

const statuses = ["existing", "added", "deleted"] as const;
const contents = ["data", "position-deletes", "equality-deletes"] as const;

export function writeManifest(options: {
  readonly schema: Schema;
  readonly spec: PartitionSpec;
  readonly content: "data" | "deletes";
  readonly entries: readonly ManifestEntry[];
  /** Of the table; 2 when left out. */
  readonly version?: FormatVersion;
  /** What the file says beside what Iceberg wants of it; readers leave it alone. */
  readonly properties?: ReadonlyMap<string, string>;
}): Uint8Array {
  const { schema, spec, version = 2 } = options;
  const columns = partitionColumns(spec, schema);
  const metadata = new Map([
    ["schema", renderJson(schema)],
    ["schema-id", String(schema["schema-id"])],
    ["partition-spec", renderJson(spec.fields)],
    ["partition-spec-id", String(spec["spec-id"])],
    ["format-version", String(version)],
    ["content", options.content],
    ...(options.properties ?? []),
  ]);
  const values = options.entries.map((entry) => entryToAvro(entry, columns));
  return writeAvroFile(manifestEntrySchema(partitionAvroFields(columns), version), values, metadata);
}

/** `schema` is for manifests that do not carry their own. */
export async function readManifest(
  bytes: Uint8Array,
  source: string,
  table: { readonly schema: Schema; readonly specs: readonly PartitionSpec[] },
): Promise<StoredManifest> {
  const file = await readAvroFile(bytes, source);
  const specId = Number(file.metadata.get("partition-spec-id") ?? 0);
  const spec = table.specs.find((known) => known["spec-id"] === specId);
  if (spec === undefined) {
    throw new CorruptData({ source, position: 0, expected: "a known partition spec", found: String(specId) });
  }
  const text = file.metadata.get("schema");
  const schema = text === undefined ? undefined : toSchema(parseJsonObject(text, source), source);
  const columns = partitionColumns(spec, schema ?? table.schema);
  const entries = file.values.map((value) => new EntryReader(value as AvroObject, source).entry(columns));
  const content = file.metadata.get("content") === "deletes" ? "deletes" : "data";
  return { schema, specId, content, entries, properties: file.metadata };
}

function entryToAvro(entry: ManifestEntry, columns: readonly PartitionColumn[]): AvroObject {
  const { file } = entry;
  const fields = partitionAvroFields(columns);
  const partition = columns.map((column, index) => [
    fields[index]?.name,
    toAvro(column.type, file.partition[index] ?? null),
  ]);
  return {
    status: statuses.indexOf(entry.status),
    snapshot_id: entry.snapshotId,
    sequence_number: entry.sequenceNumber,
    file_sequence_number: entry.fileSequenceNumber,
    data_file: {
      content: contents.indexOf(entry.content),
      file_path: file.path,
      file_format: file.format,
      partition: Object.fromEntries(partition) as AvroObject,
      record_count: file.recordCount,
      file_size_in_bytes: file.bytes,
      column_sizes: pairs(file.columnSizes),
      value_counts: pairs(file.valueCounts),
      null_value_counts: pairs(file.nullValueCounts),
      nan_value_counts: pairs(file.nanValueCounts),
      lower_bounds: pairs(file.lowerBounds),
      upper_bounds: pairs(file.upperBounds),
      key_metadata: null,
      split_offsets: file.splitOffsets.length === 0 ? null : file.splitOffsets,
      equality_ids: entry.equalityIds,
      sort_order_id: entry.sortOrderId,
      first_row_id: entry.firstRowId,
      referenced_data_file: entry.referencedDataFile,
      content_offset: entry.vector?.offset ?? null,
      content_size_in_bytes: entry.vector?.bytes ?? null,
    },
  };
}

/** In key order, so that equal metrics are equal bytes. */
function pairs(map: ReadonlyMap<number, number | Uint8Array>): AvroValue {
  const sorted = [...map].sort(([a], [b]) => a - b);
  return sorted.map(([key, value]) => ({ key, value }));
}

/** Takes one decoded manifest_entry apart, by field id. */
class EntryReader {
  readonly #entry: AvroObject;
  readonly #file: AvroObject;
  readonly #source: string;

  constructor(entry: AvroObject, source: string) {
    this.#entry = entry;
    this.#source = source;
    const file = entry["2"];
    if (typeof file !== "object" || file === null) throw this.#corrupt("data_file", file);
    this.#file = file as AvroObject;
  }

  entry(columns: readonly PartitionColumn[]): ManifestEntry {
    const [entry, file] = [this.#entry, this.#file];
    const status = statuses[this.#number(entry, 0)];
    const content = contents[this.#optionalNumber(file, 134) ?? 0]; // Version 1 has no content: all is data.
    if (status === undefined || content === undefined) throw this.#corrupt("a status and a content", entry["0"]);
    const snapshotId = entry["1"] ?? null;
    return {
      status,
      snapshotId: snapshotId === null ? null : BigInt(snapshotId as number | bigint),
      sequenceNumber: this.#optionalNumber(entry, 3),
      fileSequenceNumber: this.#optionalNumber(entry, 4),
      content,
      file: this.#dataFile(columns),
      equalityIds: (file["135"] ?? null) as readonly number[] | null,
      sortOrderId: this.#optionalNumber(file, 140),
      firstRowId: this.#optionalNumber(file, 142),
      referencedDataFile: (file["143"] ?? null) === null ? null : this.#string(file, 143),
      vector: this.#vector(),
    };
  }

  #vector(): VectorPlace | null {
    const offset = this.#optionalNumber(this.#file, 144);
    return offset === null ? null : { offset, bytes: this.#number(this.#file, 145) };
  }

  #dataFile(columns: readonly PartitionColumn[]): ManifestEntry["file"] {
    const file = this.#file;
    const partition = (file["102"] ?? {}) as AvroObject;
    return {
      path: this.#string(file, 100),
      format: this.#string(file, 101).toUpperCase(), // Rule C10.
      partition: columns.map((column) => fromAvro(column.type, partition[String(column.id)], this.#source)),
      recordCount: this.#number(file, 103),
      bytes: this.#number(file, 104),
      columnSizes: this.#counts(108, 117, 118),
      valueCounts: this.#counts(109, 119, 120),
      nullValueCounts: this.#counts(110, 121, 122),
      nanValueCounts: this.#counts(137, 138, 139),
      lowerBounds: this.#bounds(125, 126, 127),
      upperBounds: this.#bounds(128, 129, 130),
      splitOffsets: ((file["132"] ?? []) as readonly (number | bigint)[]).map(Number),
    };
  }

  #counts(id: number, keyId: number, valueId: number): ReadonlyMap<number, number> {
    return new Map(this.#pairs(id).map((pair) => [this.#number(pair, keyId), this.#number(pair, valueId)]));
  }

  #bounds(id: number, keyId: number, valueId: number): ReadonlyMap<number, Uint8Array> {
    return new Map(
      this.#pairs(id).map((pair) => {
        const bound = pair[String(valueId)];
        if (!(bound instanceof Uint8Array)) throw this.#corrupt(`bytes as field ${valueId}`, bound);
        return [this.#number(pair, keyId), Uint8Array.from(bound)]; // A copy: the view would pin the whole block.
      }),
    );
  }

  #pairs(id: number): readonly AvroObject[] {
    const list = this.#file[String(id)] ?? [];
    if (!Array.isArray(list)) throw this.#corrupt(`a map as field ${id}`, list);
    return list as readonly AvroObject[];
  }

  #number(record: AvroObject, id: number): number {
    const value = record[String(id)];
    if (typeof value === "number") return value;
    throw this.#corrupt(`a number as field ${id}`, value);
  }

  #optionalNumber(record: AvroObject, id: number): number | null {
    return (record[String(id)] ?? null) === null ? null : this.#number(record, id);
  }

  #string(record: AvroObject, id: number): string {
    const value = record[String(id)];
    if (typeof value === "string") return value;
    throw this.#corrupt(`a string as field ${id}`, value);
  }

  #corrupt(expected: string, found: AvroValue | undefined): CorruptData {
    return new CorruptData({ source: this.#source, position: 0, expected, found: typeof found });
  }
}
