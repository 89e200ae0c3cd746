/**
 * A table's rows as its specification says that readers see them: data files without what their deletion vectors hold, and
 * without what equality deletes of greater sequence numbers take away, in their partition or, under a spec without fields,
 * in all of them. In format version 3 each row has its lineage: its own columns, or what it inherits from its file.
 */

import { currentSchema } from "../../src/table/commit/table-creation.ts";
import { decodeVector } from "../../src/table/iceberg/deletion-vector.ts";
import { type ManifestEntry, readManifest } from "../../src/table/iceberg/manifest.ts";
import { readManifestList } from "../../src/table/iceberg/manifest-list.ts";
import type { TableMetadata } from "../../src/table/iceberg/metadata.ts";
import { withRowIds } from "../../src/table/iceberg/row-ids.ts";
import type { Warehouse } from "../../src/table/warehouse.ts";
import { readByHyparquet } from "../table/parquet-readers.ts";

export type TableRow = Readonly<Record<string, unknown>>;

interface LiveFile {
  readonly entry: ManifestEntry;
  readonly sequence: number;
  readonly specId: number;
  /** Of the row that every row inherits; null: the table gives none. */
  readonly firstRowId: number | null;
  /** Of a vector: no rows. */
  readonly rows: readonly TableRow[];
}

export interface Lineage {
  readonly rowId: number | null;
  readonly updated: number | null;
}

export interface ReadRow {
  readonly row: TableRow;
  readonly lineage: Lineage;
}

export async function readRows(warehouse: Warehouse, metadata: TableMetadata): Promise<readonly TableRow[]> {
  return (await readRowsWithLineage(warehouse, metadata)).map(({ row }) => row);
}

export async function readRowsWithLineage(warehouse: Warehouse, metadata: TableMetadata): Promise<readonly ReadRow[]> {
  const vectors = new Map<string, ReadonlySet<number>>();
  const files = await liveFiles(warehouse, metadata);
  const unpartitioned = new Set(
    metadata["partition-specs"].filter((spec) => spec.fields.length === 0).map((spec) => spec["spec-id"]),
  );
  const names = new Map(currentSchema(metadata).fields.map((field) => [field.id, field.name]));
  const deletes = files
    .filter((file) => file.entry.content === "equality-deletes")
    .map((file) => {
      const columns = (file.entry.equalityIds ?? []).map((id) => names.get(id) ?? `field ${id}`);
      return { ...file, columns, keys: new Set(file.rows.map((row) => keyOf(row, columns))) };
    });
  for (const { entry } of files.filter((file) => file.entry.vector !== null)) {
    const { referencedDataFile: path, vector, file } = entry;
    const data = files.find((each) => each.entry.file.path === path);
    if (path === null || vector === null || data === undefined) throw new Error(`${file.path} is of no data file`);
    if (vectors.has(path)) throw new Error(`${path} has two vectors`);
    if (tupleOf(entry) !== tupleOf(data.entry)) throw new Error(`${path} has a vector of another partition`);
    const { offset, bytes } = vector;
    const blob = await warehouse.readRange(file.path, { start: offset, end: offset + bytes });
    const rows = decodeVector(blob, file.path, data.rows.length);
    if (rows.length !== file.recordCount) throw new Error(`${file.path} has ${rows.length} rows`);
    vectors.set(path, new Set(rows));
  }
  return files
    .filter((file) => file.entry.content === "data")
    .flatMap((file) => {
      const reaching = deletes.filter(
        (each) =>
          each.sequence > file.sequence &&
          (unpartitioned.has(each.specId) ||
            (each.specId === file.specId && tupleOf(each.entry) === tupleOf(file.entry))),
      );
      const vector = vectors.get(file.entry.file.path);
      return file.rows
        .map((row, index) => ({ row, index, lineage: lineageOf(row, index, file) }))
        .filter(({ index }) => vector?.has(index) !== true)
        .filter(({ row }) => !reaching.some((each) => each.keys.has(keyOf(row, each.columns))));
    });
}

async function liveFiles(warehouse: Warehouse, metadata: TableMetadata): Promise<readonly LiveFile[]> {
  const current = metadata["current-snapshot-id"];
  const snapshot = metadata.snapshots.find((each) => each["snapshot-id"] === current);
  if (snapshot === undefined) return [];
  const table = { schema: currentSchema(metadata), specs: metadata["partition-specs"] };
  const files: LiveFile[] = [];
  for (const manifest of await readManifestList(await warehouse.read(snapshot["manifest-list"]), "list")) {
    const { entries, specId, content } = await readManifest(await warehouse.read(manifest.path), manifest.path, table);
    if (content !== manifest.content) throw new Error(`${manifest.path} is listed as ${manifest.content}`);
    for (const entry of withRowIds(manifest, entries)) {
      if (entry.status === "deleted") continue;
      if ((entry.content === "data") !== (content === "data")) throw new Error(`${manifest.path} mixes contents`);
      const sequence = entry.sequenceNumber ?? manifest.sequenceNumber;
      const rows = entry.vector === null ? await readByHyparquet(await warehouse.read(entry.file.path)) : [];
      files.push({ entry, sequence, specId, firstRowId: entry.firstRowId, rows });
    }
  }
  return files;
}

function lineageOf(row: TableRow, index: number, { firstRowId, sequence }: LiveFile): Lineage {
  if (firstRowId === null) return { rowId: null, updated: null };
  const [id, updated] = [row["_row_id"], row["_last_updated_sequence_number"]];
  return { rowId: Number(id ?? firstRowId + index), updated: Number(updated ?? sequence) };
}

function keyOf(row: TableRow, columns: readonly string[]): string {
  return JSON.stringify(columns.map((column) => shown(row[column])));
}

function tupleOf(entry: ManifestEntry): string {
  return JSON.stringify(entry.file.partition.map(shown));
}

function shown(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : String(value);
}
