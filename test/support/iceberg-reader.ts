/**
 * A table's rows as its specification says that readers see them: data files without what equality deletes of greater
 * sequence numbers take away, in their partition or, under a spec without fields, in all of them.
 */

import { currentSchema } from "../../src/table/commit/table-creation.ts";
import { type ManifestEntry, readManifest } from "../../src/table/iceberg/manifest.ts";
import { readManifestList } from "../../src/table/iceberg/manifest-list.ts";
import type { TableMetadata } from "../../src/table/iceberg/metadata.ts";
import type { Warehouse } from "../../src/table/warehouse.ts";
import { readByHyparquet } from "../table/parquet-readers.ts";

export type TableRow = Readonly<Record<string, unknown>>;

interface LiveFile {
  readonly entry: ManifestEntry;
  readonly sequence: number;
  readonly specId: number;
  readonly rows: readonly TableRow[];
}

export async function readRows(warehouse: Warehouse, metadata: TableMetadata): Promise<readonly TableRow[]> {
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
  return files
    .filter((file) => file.entry.content === "data")
    .flatMap((file) => {
      const reaching = deletes.filter(
        (each) =>
          each.sequence > file.sequence &&
          (unpartitioned.has(each.specId) ||
            (each.specId === file.specId && tupleOf(each.entry) === tupleOf(file.entry))),
      );
      return file.rows.filter((row) => !reaching.some((each) => each.keys.has(keyOf(row, each.columns))));
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
    for (const entry of entries) {
      if (entry.status === "deleted") continue;
      if ((entry.content === "data") !== (content === "data")) throw new Error(`${manifest.path} mixes contents`);
      const sequence = entry.sequenceNumber ?? manifest.sequenceNumber;
      files.push({ entry, sequence, specId, rows: await readByHyparquet(await warehouse.read(entry.file.path)) });
    }
  }
  return files;
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
