/** The data files of a table's current snapshot, for readers without a catalog of their own. */
import { OperationFailed } from "../base/errors.ts";
import type { Catalog, TableName } from "./catalog.ts";
import { readManifest } from "./iceberg/manifest.ts";
import { readManifestList } from "./iceberg/manifest-list.ts";
import type { Schema } from "./iceberg/types.ts";
import type { Warehouse } from "./warehouse.ts";

/** URIs in the order of the manifests; [] for a table without a snapshot. Throws OperationFailed when there is no such table. */
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
  const list = snapshot["manifest-list"];
  const manifests = await readManifestList(await warehouse.read(list), list);
  const schema = metadata.schemas.find((each) => each["schema-id"] === metadata["current-schema-id"]) as Schema;
  const files: string[] = [];
  for (const manifest of manifests) {
    if (manifest.content !== "data") continue;
    const { entries } = await readManifest(await warehouse.read(manifest.path), manifest.path, {
      schema,
      specs: metadata["partition-specs"],
    });
    for (const entry of entries) if (entry.status !== "deleted") files.push(entry.file.path);
  }
  return files;
}
