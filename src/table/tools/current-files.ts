/** The data files of a table's current snapshot, for readers without a catalog of their own. */
import { OperationFailed } from "../../base/errors.ts";
import type { Catalog, TableName } from "../catalog.ts";
import { entriesOf, manifestsOf } from "../commit/table-files.ts";
import type { Warehouse } from "../warehouse.ts";

/**
 * URIs in the order of the manifests; [] for a table without a snapshot. Throws OperationFailed when there is no such table,
 * and when rows of its files are deleted: the files alone would show them.
 */
export async function currentFiles(
  catalog: Catalog,
  name: TableName,
  warehouse: Warehouse,
): Promise<readonly string[]> {
  const table = await catalog.load(name);
  if (table === undefined) throw new OperationFailed(`there is no table ${name.name}`, { happened: "no" });
  const { metadata } = table;
  const snapshot = metadata.snapshots.find((each) => each["snapshot-id"] === metadata["current-snapshot-id"]);
  if (snapshot === undefined) return [];
  const files: string[] = [];
  for (const manifest of await manifestsOf(warehouse, snapshot)) {
    if (manifest.content === "deletes" && manifest.files.added + manifest.files.existing > 0) {
      throw new OperationFailed(`table ${name.name} has deletes: read it through its catalog`, { happened: "no" });
    }
    if (manifest.content !== "data") continue;
    for (const entry of await entriesOf(warehouse, manifest, metadata))
      if (entry.status !== "deleted") files.push(entry.file.path);
  }
  return files;
}
