/** What a table consists of in the warehouse: read from its metadata down, as far as the files are there. */
import { CorruptData } from "../../base/errors.ts";
import { ObjectMissing } from "../../object-store/object-store.ts";
import { type ManifestEntry, readManifest } from "../iceberg/manifest.ts";
import { type ManifestFile, readManifestList } from "../iceberg/manifest-list.ts";
import type { Snapshot, TableMetadata } from "../iceberg/metadata.ts";
import { isBelow, type Warehouse } from "../warehouse.ts";
import { currentSchema } from "./table-creation.ts";

/** The manifests of a snapshot; [] of none. Throws what reading throws. */
export async function manifestsOf(
  warehouse: Warehouse,
  snapshot: Snapshot | undefined,
): Promise<readonly ManifestFile[]> {
  const list = snapshot?.["manifest-list"];
  return list === undefined ? [] : await readManifestList(await warehouse.read(list), list);
}

export async function entriesOf(
  warehouse: Warehouse,
  manifest: Pick<ManifestFile, "path">,
  metadata: TableMetadata,
): Promise<readonly ManifestEntry[]> {
  const table = { schema: currentSchema(metadata), specs: metadata["partition-specs"] };
  return (await readManifest(await warehouse.read(manifest.path), manifest.path, table)).entries;
}

/** Files of statistics, of both kinds. */
export function statisticsOf(
  metadata: TableMetadata,
): readonly { readonly snapshotId: bigint; readonly path: string }[] {
  return ["statistics", "partition-statistics"].flatMap((name) =>
    ((metadata[name] ?? []) as readonly Readonly<Record<string, unknown>>[]).flatMap((file) => {
      const path = file["statistics-path"];
      return typeof path === "string" ? [{ snapshotId: file["snapshot-id"] as bigint, path }] : [];
    }),
  );
}

/**
 * Every file that the table names, its own metadata file and statistics included, without what lies outside its location:
 * a registered or imported table may name files that are not its own. What is missing or cannot be read names nothing.
 */
export async function ownFiles(
  warehouse: Warehouse,
  metadata: TableMetadata,
  metadataFile: string,
): Promise<readonly string[]> {
  const files = new Set([metadataFile, ...metadata["metadata-log"].map((entry) => entry["metadata-file"])]);
  const manifests = new Map<string, ManifestFile>();
  for (const snapshot of metadata.snapshots) {
    files.add(snapshot["manifest-list"]);
    const named = await orNone(manifestsOf(warehouse, snapshot));
    for (const manifest of named) manifests.set(manifest.path, manifest);
  }
  for (const manifest of manifests.values()) {
    files.add(manifest.path);
    for (const { file } of await orNone(entriesOf(warehouse, manifest, metadata))) files.add(file.path);
  }
  for (const { path } of statisticsOf(metadata)) files.add(path);
  return [...files].filter((file) => isBelow(file, metadata.location));
}

async function orNone<T>(reading: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await reading;
  } catch (cause) {
    if (cause instanceof ObjectMissing || cause instanceof CorruptData) return [];
    throw cause;
  }
}
