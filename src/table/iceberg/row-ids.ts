/**
 * Ids of rows, of which format version 3 gives every row one (spec, "Row Lineage"; rules I1-I3). Pure. A row has the id that
 * its file holds for it; else its place after the first of its file, its manifest, its snapshot:
 *
 *   table      next-row-id 100 ─────────────────────────────────────────────▶ 107
 *   snapshot   first-row-id 100, added-rows 7
 *   manifests  [first 100: 3 added] [first 103: 4 existing, new to ids] [first 40: as it was] [deletes: none]
 *   files       100      102         103
 *   rows        100 101  102         103 104 ...
 *
 * A snapshot that loses its race is planned again, and takes its ids anew from the base that it then has.
 */
import type { ManifestEntry } from "./manifest.ts";
import type { ManifestFile } from "./manifest-list.ts";
import type { Snapshot, TableMetadata } from "./metadata.ts";

/** Manifests of data without ids get theirs; where ids go on after them. `next` undefined: the table gives none. */
export function assignRowIds(
  manifests: readonly ManifestFile[],
  next: number | undefined,
): { readonly manifests: readonly ManifestFile[]; readonly next: number | undefined } {
  if (next === undefined) return { manifests, next };
  let free = next;
  const assigned = manifests.map((manifest) => {
    if (manifest.content !== "data" || manifest.firstRowId !== null) return manifest;
    const firstRowId = free;
    // Those of existing files too: they have none yet where the table was upgraded.
    free += manifest.rows.added + manifest.rows.existing;
    return { ...manifest, firstRowId };
  });
  return { manifests: assigned, next: free };
}

/** Where the ids of the next snapshot begin; undefined: the table has no row ids. */
export function nextRowId(base: TableMetadata): number | undefined {
  return base["format-version"] === 3 ? (base["next-row-id"] ?? 0) : undefined;
}

/** What a snapshot says of the ids that it took. */
export function rowIdsOf(
  first: number | undefined,
  next: number | undefined,
): Pick<Snapshot, "first-row-id" | "added-rows"> {
  return first === undefined ? {} : { "first-row-id": first, "added-rows": (next ?? first) - first };
}

/** Entries with the first row ids that they inherit from their manifest. */
export function withRowIds(
  manifest: Pick<ManifestFile, "firstRowId">,
  entries: readonly ManifestEntry[],
): readonly ManifestEntry[] {
  if (manifest.firstRowId === null) return entries;
  let free = manifest.firstRowId;
  return entries.map((entry) => {
    if (entry.status === "deleted" || entry.content !== "data" || entry.firstRowId !== null) return entry;
    const firstRowId = free;
    free += entry.file.recordCount;
    return { ...entry, firstRowId };
  });
}
