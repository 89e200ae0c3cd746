/**
 * Which files nothing names any more after snapshots were expired. A manifest lives on main's line from the snapshot that
 * added it to the one that dropped it, without a gap; so beside the expired snapshots' lists only those of their nearest
 * neighbours that remain are read:
 *
 *   oldest ── R ── [E ── E] ── R ── R ── [E] ── R ── main       R remain, E are expired; R beside a bracket are read
 *
 * A data file was taken out by a snapshot of its line; it goes when that snapshot is expired, which is not before all
 * older ones are (expire.ts). A data file that no snapshot ever took out is nobody's garbage.
 */
import { lineOf, takesFilesOut } from "./expire.ts";
import type { ManifestFile } from "./iceberg/manifest-list.ts";
import type { Snapshot, TableMetadata } from "./iceberg/metadata.ts";
import { markName, parseMark } from "./rounds.ts";
import { entriesOf, manifestsOf, statisticsOf } from "./table-files.ts";
import type { Warehouse } from "./warehouse.ts";

/** Of snapshots whose lists must be read to know what remains: more are left to a removal of orphans. */
const snapshotsReadMax = 2000;

/** An expiry that was committed. */
export interface Expiry {
  readonly before: TableMetadata;
  readonly expired: ReadonlySet<bigint>;
  /** Manifests of main's newest snapshot. */
  readonly current: readonly ManifestFile[];
  /** Manifests of rounds that wait. */
  readonly pending: ReadonlySet<string>;
}

/** Throws what reading throws: then all of it is left to a removal of orphans. */
export async function filesOfExpired(warehouse: Warehouse, expiry: Expiry): Promise<readonly string[]> {
  const { before, expired } = expiry;
  const removed = before.snapshots.filter((snapshot) => expired.has(snapshot["snapshot-id"]));
  const witnesses = witnessesOf(before, expired);
  if (witnesses.length + removed.length > snapshotsReadMax) return [];
  const named = new Set([...expiry.pending, ...expiry.current.map((manifest) => manifest.path)]);
  for (const snapshot of witnesses) for (const { path } of await manifestsOf(warehouse, snapshot)) named.add(path);
  const files = new Set(ownedBy(before, removed));
  const takenOut = new Set<string>();
  for (const snapshot of removed) {
    const manifests = await manifestsOf(warehouse, snapshot);
    for (const { path } of manifests) if (!named.has(path)) files.add(path);
    for (const path of await takenOutBy(warehouse, before, snapshot, manifests)) takenOut.add(path);
  }
  for (const path of await unreferenced(warehouse, expiry, takenOut)) files.add(path);
  return [...files];
}

/** Snapshots that remain, and whose lists tell which manifests of the expired ones are still named. */
export function witnessesOf(before: TableMetadata, expired: ReadonlySet<bigint>): readonly Snapshot[] {
  const isExpired = (snapshot: Snapshot | undefined): boolean =>
    snapshot !== undefined && expired.has(snapshot["snapshot-id"]);
  const line = lineOf(before, before["current-snapshot-id"]);
  // Tags and branches that left the line, and what was rolled back: whatever remains may name what they name.
  if (line.length < before.snapshots.length) return before.snapshots.filter((snapshot) => !isExpired(snapshot));
  return line.filter((snapshot, index) => {
    return !isExpired(snapshot) && (isExpired(line[index - 1]) || isExpired(line[index + 1]));
  });
}

/** Data and delete files that this snapshot took out of the table. */
async function takenOutBy(
  warehouse: Warehouse,
  metadata: TableMetadata,
  snapshot: Snapshot,
  manifests: readonly ManifestFile[],
): Promise<readonly string[]> {
  const onLine = lineOf(metadata, metadata["current-snapshot-id"]).includes(snapshot);
  if (!onLine || !takesFilesOut(snapshot)) return [];
  const id = snapshot["snapshot-id"];
  const paths: string[] = [];
  for (const manifest of manifests) {
    if (manifest.addedSnapshotId !== id || manifest.files.deleted === 0) continue;
    for (const entry of await entriesOf(warehouse, manifest, metadata)) {
      if (entry.status === "deleted" && (entry.snapshotId ?? id) === id) paths.push(entry.file.path);
    }
  }
  return paths;
}

/** Those that no remaining snapshot from before they were taken out, or from beside main's line, still reads. */
async function unreferenced(
  warehouse: Warehouse,
  { before, expired }: Expiry,
  takenOut: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const free = new Set(takenOut);
  if (free.size === 0) return free;
  const line = lineOf(before, before["current-snapshot-id"]);
  const newest = line.findIndex((snapshot) => expired.has(snapshot["snapshot-id"]));
  const after = new Set(line.slice(0, newest)); // Newer than all that was expired: without what those took out.
  const manifests = new Map<string, ManifestFile>();
  for (const snapshot of before.snapshots) {
    if (after.has(snapshot) || expired.has(snapshot["snapshot-id"])) continue;
    for (const manifest of await manifestsOf(warehouse, snapshot)) manifests.set(manifest.path, manifest);
  }
  for (const manifest of manifests.values()) {
    for (const entry of await entriesOf(warehouse, manifest, before)) {
      if (entry.status !== "deleted") free.delete(entry.file.path);
    }
  }
  return free;
}

/** What belongs to the snapshots themselves: their lists, statistics, and files of offsets. */
function ownedBy(metadata: TableMetadata, removed: readonly Snapshot[]): readonly string[] {
  const ids = new Set(removed.map((snapshot) => snapshot["snapshot-id"]));
  const current = offsetsFile(metadata.properties[markName]);
  const owned = removed.flatMap((snapshot) => [snapshot["manifest-list"], offsetsFile(snapshot.summary?.[markName])]);
  const statistics = statisticsOf(metadata).filter((file) => ids.has(file.snapshotId));
  return [...owned, ...statistics.map((file) => file.path)].flatMap((file) => (file === current ? [] : (file ?? [])));
}

function offsetsFile(mark: string | undefined): string | undefined {
  const offsets = mark === undefined ? undefined : parseMark(mark)?.offsets;
  return typeof offsets === "string" ? offsets : undefined;
}
