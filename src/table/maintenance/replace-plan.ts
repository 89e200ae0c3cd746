/**
 * One REPLACE snapshot, planned on one exact base: the same rows in other files, or the same deletes as vectors. Pure. Its
 * manifests are those of the base. Each that lists a replaced file is written again with that entry as deleted; of those that
 * list nothing else the entries come together. What takes their place is in manifests of its own. Our mark goes on unchanged, in
 * the summary and in the property, so that settling sees C = P.
 *
 * New files carry the sequence number of the snapshot that was read (rule H7): every delete up to it has been applied to their
 * rows, and every later one still finds them.
 */
import { assert } from "../../base/errors.ts";
import { fileKey, type LiveEntry, type LiveFile, type LiveManifest, liveFiles } from "../commit/live-entries.ts";
import { addedFile, type ManifestEntry, type VectorPlace } from "../iceberg/manifest.ts";
import type { ManifestFile } from "../iceberg/manifest-list.ts";
import type { Snapshot, TableMetadata } from "../iceberg/metadata.ts";
import type { rowIdsOf } from "../iceberg/row-ids.ts";
import type { DataFile, PartitionSpec } from "../iceberg/types.ts";
import { mainAt, type Requirement, type Update, unchanged } from "../iceberg/updates.ts";
import { markName } from "../rounds.ts";
import { DeleteScope, idleDeletes } from "./delete-scope.ts";

export type Replacement = Rewritten | Marked;

/** Files that others take the place of. None: deletes had taken all of their rows. */
export interface Rewritten {
  readonly kind: "rewritten";
  readonly inputs: readonly LiveFile[];
  readonly files: readonly DataFile[];
  /** Of the snapshot that was read. */
  readonly sequence: number;
}

/** A file that stays, with a vector that says which of its rows deletes have taken. */
export interface Marked {
  readonly kind: "marked";
  readonly inputs: readonly [LiveFile];
  /** Delete files that say nothing of it any more: an earlier vector too, when there is a new one. */
  readonly resolved: readonly LiveFile[];
  /** undefined: the one that it has holds all of them, or none was taken. */
  readonly vector: NewVector | undefined;
  readonly sequence: number;
}

export interface NewVector {
  /** The Puffin file, as if it held this vector alone. */
  readonly file: ManifestEntry["file"];
  readonly place: VectorPlace;
}

export interface ReplacePlan {
  /** As they are. */
  readonly kept: readonly ManifestFile[];
  /** To be written, with their entries. */
  readonly written: readonly NewManifest[];
  readonly removed: readonly LiveEntry[];
  readonly added: readonly ManifestEntry[];
  /** What the snapshot's summary says beside counts of files and rows. */
  readonly summary?: Readonly<Record<string, string>>;
}

export interface NewManifest {
  readonly spec: PartitionSpec;
  readonly content: "data" | "deletes";
  readonly entries: readonly ManifestEntry[];
}

/**
 * Whether a replacement still says what the base does: all that it is of is there, and nobody has since deleted rows of
 * it by their positions, which new files and new vectors do not have. Later equality deletes find the rows where they are now.
 */
export function currency(manifests: readonly LiveManifest[]): (replacement: Replacement) => boolean {
  const files = liveFiles(manifests);
  const live = new Set(files.map(({ entry }) => entry.file.path));
  const scope = new DeleteScope(files.filter(({ entry }) => entry.content === "position-deletes"));
  return ({ inputs, sequence }) =>
    inputs.every(
      (input) =>
        live.has(input.entry.file.path) && scope.of(input).every(({ entry }) => entry.sequenceNumber <= sequence),
    );
}

/** Delete files that apply to nothing afterwards go too. */
export function planReplace(
  manifests: readonly LiveManifest[],
  replacements: readonly Replacement[],
  snapshotId: bigint,
): ReplacePlan {
  const rewritten = replacements.filter(({ kind }) => kind === "rewritten");
  const replaced = new Set(rewritten.flatMap(({ inputs }) => inputs.map(({ entry }) => entry.file.path)));
  const added = replacements.flatMap((each) => (each.kind === "rewritten" ? addedFiles(each) : []));
  const resolved = new Map(replacements.flatMap((each) => (each.kind === "marked" ? [resolvedBy(each)] : [])));
  const staying = liveFiles(manifests).filter(({ entry }) => !replaced.has(entry.file.path));
  const idle = idleDeletes(staying, added, resolved);
  const gone = new Set([...replaced, ...idle.map(({ entry }) => fileKey(entry))]);
  const kept: ManifestFile[] = [];
  const written: NewManifest[] = [];
  const emptied = { data: [] as NewEntry[], deletes: [] as NewEntry[] };
  const removed: LiveEntry[] = [];
  for (const manifest of manifests) {
    const taken = manifest.entries.filter((entry) => gone.has(fileKey(entry)));
    removed.push(...taken);
    if (taken.length === 0) {
      // One that lists only what earlier snapshots took out has nothing to say any more.
      if (manifest.entries.length > 0) kept.push(manifest.file);
      continue;
    }
    const entries = manifest.entries.map(
      (entry): ManifestEntry =>
        gone.has(fileKey(entry)) ? { ...entry, status: "deleted", snapshotId } : { ...entry, status: "existing" },
    );
    const { spec, file } = manifest;
    if (taken.length < entries.length) written.push({ spec, content: file.content, entries });
    else emptied[file.content].push(...entries.map((entry) => ({ spec, entry })));
  }
  assert(
    removed.length === gone.size,
    `each of ${gone.size} files is listed once, and ${removed.length} entries were found`,
  );
  const data = added.map(({ spec, entry }) => ({ spec, entry: inheriting(entry) }));
  const vectors = replacements.flatMap((each) => (each.kind === "marked" ? addedVectors(each) : []));
  return {
    kept,
    written: [
      ...newManifests("data", data),
      ...newManifests("deletes", vectors),
      ...newManifests("data", emptied.data),
      ...newManifests("deletes", emptied.deletes),
      ...written,
    ],
    removed,
    added: [...data, ...vectors].map(({ entry }) => entry),
  };
}

interface NewEntry {
  readonly spec: PartitionSpec;
  readonly entry: ManifestEntry;
}

/** One a spec (rule C8). */
function newManifests(content: "data" | "deletes", added: readonly NewEntry[]): readonly NewManifest[] {
  const specs = new Map(added.map(({ spec }) => [spec["spec-id"], spec]));
  return [...specs].map(([specId, spec]) => {
    const entries = added.filter((file) => file.spec["spec-id"] === specId).map(({ entry }) => entry);
    return { spec, content, entries };
  });
}

function addedFiles({ inputs, files, sequence }: Rewritten): readonly LiveFile[] {
  const { spec } = inputs[0] as LiveFile;
  return files.map((file) => ({ spec, entry: { ...addedFile(file), snapshotId: 0n, sequenceNumber: sequence } }));
}

/** Under the data file's own spec and partition, without which readers fail (rule H5). */
function addedVectors({ inputs: [input], vector }: Marked): readonly NewEntry[] {
  if (vector === undefined) return [];
  const { file, place } = vector;
  const { path: referencedDataFile, partition } = input.entry.file;
  const entry: ManifestEntry = {
    ...addedFile({ ...file, partition }),
    content: "position-deletes",
    referencedDataFile,
    vector: place,
  };
  return [{ spec: input.spec, entry }];
}

function resolvedBy({ inputs: [input], resolved }: Marked): readonly [string, ReadonlySet<string>] {
  return [input.entry.file.path, new Set(resolved.map(({ entry }) => fileKey(entry)))];
}

/** The snapshot's id and the file's own sequence number come with the snapshot; the data sequence number is said (H7). */
function inheriting(entry: LiveEntry): ManifestEntry {
  return { ...entry, snapshotId: null, fileSequenceNumber: null };
}

export function replaceUpdates(options: {
  readonly base: TableMetadata;
  readonly parent: Snapshot;
  readonly plan: ReplacePlan;
  readonly snapshotId: bigint;
  readonly manifestList: string;
  readonly rowIds: ReturnType<typeof rowIdsOf>;
  readonly engineVersion: string;
  readonly nowMs: number;
}): { readonly requirements: readonly Requirement[]; readonly updates: readonly Update[] } {
  const { base, parent, plan, snapshotId } = options;
  const mark = base.properties[markName];
  const snapshot: Snapshot = {
    "snapshot-id": snapshotId,
    "parent-snapshot-id": parent["snapshot-id"],
    "sequence-number": base["last-sequence-number"] + 1,
    "timestamp-ms": Math.max(options.nowMs, base["last-updated-ms"]), // Rule E2: never before the parent's.
    "manifest-list": options.manifestList,
    summary: {
      operation: "replace",
      ...countsOf(plan, parent),
      ...plan.summary,
      "engine-name": "inlet",
      "engine-version": options.engineVersion,
      ...(mark === undefined ? {} : { [markName]: mark }),
    },
    "schema-id": base["current-schema-id"],
    ...options.rowIds,
  };
  return {
    requirements: unchanged(base, parent["snapshot-id"]),
    updates: [{ action: "add-snapshot", snapshot }, mainAt(base, snapshotId)],
  };
}

/** Rule E4. */
function countsOf({ added, removed }: ReplacePlan, parent: Snapshot): Readonly<Record<string, string>> {
  const [plus, minus] = [talliesOf(added), talliesOf(removed)];
  const counts: Record<string, string> = {};
  const partitions = new Set([...added, ...removed].map(({ file }) => file.partition.map(String).join("\u0000")));
  counts["changed-partition-count"] = String(partitions.size);
  const names = { "data-files": "deleted", records: "deleted" } as const;
  for (const [name, tally] of Object.entries(plus)) if (tally > 0) counts[`added-${name}`] = String(tally);
  for (const [name, tally] of Object.entries(minus)) {
    const verb = name in names ? "deleted" : "removed";
    if (tally > 0) counts[`${verb}-${name}`] = String(tally);
  }
  for (const name of Object.keys(plus) as (keyof typeof plus)[]) {
    const before = parent.summary?.[`total-${name}`];
    if (before === undefined || !/^\d+$/.test(before)) continue; // What the parent did not count is not counted here.
    counts[`total-${name}`] = String(Math.max(0, Number(before) + plus[name] - minus[name]));
  }
  return counts;
}

function talliesOf(entries: readonly ManifestEntry[]) {
  const of = (content: ManifestEntry["content"]): readonly ManifestEntry[] =>
    entries.filter((entry) => entry.content === content);
  const rows = (some: readonly ManifestEntry[]): number => some.reduce((sum, { file }) => sum + file.recordCount, 0);
  return {
    "data-files": of("data").length,
    "delete-files": entries.length - of("data").length,
    records: rows(of("data")),
    "files-size": entries.reduce((sum, { file, vector }) => sum + (vector?.bytes ?? file.bytes), 0),
    dvs: entries.filter(({ vector }) => vector !== null).length,
    "position-deletes": rows(of("position-deletes")),
    "equality-deletes": rows(of("equality-deletes")),
  };
}
