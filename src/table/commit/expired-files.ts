/**
 * Which files nothing names any more after snapshots were expired. Every remaining snapshot is a witness: an expiry cuts
 * histories into pieces, so that who descended from whom is not to be relied on.
 *
 * A data file goes when the snapshot that took it out is expired, which is not before all older ones of main are
 * (expire.ts). A data file that no snapshot ever took out is nobody's garbage.
 */

import type { ManifestEntry } from "../iceberg/manifest.ts";
import type { ManifestFile } from "../iceberg/manifest-list.ts";
import type { Snapshot, TableMetadata } from "../iceberg/metadata.ts";
import { markName, parseMark } from "../rounds.ts";
import { pathOf, type Warehouse } from "../warehouse.ts";
import { takesFilesOut } from "./expire.ts";
import { entriesOf, manifestsOf, statisticsOf } from "./table-files.ts";

/** An expiry that was committed. */
export interface Expiry {
  readonly before: TableMetadata;
  readonly expired: ReadonlySet<bigint>;
  /** Manifests of main's newest snapshot. */
  readonly current: readonly ManifestFile[];
  /** Manifests of rounds that wait. */
  readonly pending: ReadonlySet<string>;
}

/** The paths in manifest lists. A list never changes, and most snapshots are asked about at every expiry: they are kept. */
export class ListedPaths {
  readonly #warehouse: Warehouse;
  readonly #listsMax: number;
  readonly #lists = new Map<string, readonly string[]>();
  /** Neighbouring lists name the same manifests: one string for each. */
  #interned = new Map<string, string>();

  constructor(warehouse: Warehouse, options: { readonly listsMax: number }) {
    this.#warehouse = warehouse;
    this.#listsMax = options.listsMax;
  }

  async of(snapshot: Snapshot): Promise<readonly string[]> {
    const list = snapshot["manifest-list"];
    const known =
      this.#lists.get(list) ?? (await manifestsOf(this.#warehouse, snapshot)).map(({ path }) => this.#one(path));
    this.#lists.delete(list); // To the end: the first key is the one asked for longest ago.
    this.#lists.set(list, known);
    const [oldest] = this.#lists.keys();
    if (this.#lists.size > this.#listsMax && oldest !== undefined) this.#lists.delete(oldest);
    return known;
  }

  #one(path: string): string {
    const known = this.#interned.get(path);
    if (known !== undefined) return known;
    if (this.#interned.size > 100 * this.#listsMax) this.#interned = new Map();
    this.#interned.set(path, path);
    return path;
  }
}

/** Throws what reading throws: then all of it is left to a removal of orphans. */
export async function filesOfExpired(
  warehouse: Warehouse,
  listed: ListedPaths,
  expiry: Expiry,
): Promise<readonly string[]> {
  const { before, expired } = expiry;
  const removed = before.snapshots.filter((snapshot) => expired.has(snapshot["snapshot-id"]));
  const remaining = before.snapshots.filter((snapshot) => !expired.has(snapshot["snapshot-id"]));
  const named = new Set([...expiry.pending, ...expiry.current.map((manifest) => manifest.path)]);
  for (const snapshot of remaining) for (const path of await listed.of(snapshot)) named.add(path);
  const files = new Set(ownedBy(before, removed));
  const takenOut: ManifestEntry[] = [];
  let mayBeBack = false;
  for (const snapshot of removed) {
    for (const path of await listed.of(snapshot)) if (!named.has(path)) files.add(path);
    if (!takesFilesOut(snapshot)) continue;
    const entries = await takenOutBy(warehouse, before, snapshot);
    takenOut.push(...entries);
    mayBeBack ||= entries.length > 0 && isDeletion(snapshot);
  }
  for (const path of await unread(warehouse, before, remaining, { takenOut, mayBeBack })) files.add(path);
  return [...files];
}

/** Somebody else's. What was deleted may have been added again (`add_files`), as no rewrite would do. */
function isDeletion({ summary }: Snapshot): boolean {
  return summary?.["operation"] !== "replace" && summary?.[markName] === undefined;
}

/** Entries of the data and delete files that this snapshot took out of the table. */
async function takenOutBy(
  warehouse: Warehouse,
  metadata: TableMetadata,
  snapshot: Snapshot,
): Promise<readonly ManifestEntry[]> {
  const id = snapshot["snapshot-id"];
  const found: ManifestEntry[] = [];
  for (const manifest of await manifestsOf(warehouse, snapshot)) {
    if (manifest.addedSnapshotId !== id || manifest.files.deleted === 0) continue;
    const entries = await entriesOf(warehouse, manifest, metadata);
    found.push(...entries.filter((entry) => entry.status === "deleted" && (entry.snapshotId ?? id) === id));
  }
  return found;
}

/**
 * The paths that no remaining snapshot reads. Only manifests that may list one are opened: what main has added since has
 * greater sequence numbers, and what is older has mostly gone. A file that came back has one of those.
 */
async function unread(
  warehouse: Warehouse,
  metadata: TableMetadata,
  remaining: readonly Snapshot[],
  { takenOut, mayBeBack }: { readonly takenOut: readonly ManifestEntry[]; readonly mayBeBack: boolean },
): Promise<Iterable<string>> {
  // However who brings a file back may spell it.
  const paths = new Map(takenOut.map(({ file }) => [pathOf(file.path), file.path]));
  if (paths.size === 0) return [];
  const numbers = takenOut.map((entry) => entry.sequenceNumber ?? Number.POSITIVE_INFINITY);
  const newest = mayBeBack ? Number.POSITIVE_INFINITY : numbers.reduce((most, each) => Math.max(most, each), 0);
  const manifests = new Map<string, ManifestFile>();
  for (const snapshot of remaining) {
    for (const manifest of await manifestsOf(warehouse, snapshot)) {
      if (manifest.minSequenceNumber <= newest) manifests.set(manifest.path, manifest);
    }
  }
  for (const manifest of manifests.values()) {
    for (const entry of await entriesOf(warehouse, manifest, metadata)) {
      if (entry.status !== "deleted") paths.delete(pathOf(entry.file.path));
    }
  }
  return paths.values();
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
