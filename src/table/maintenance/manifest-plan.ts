/**
 * Which manifests are worth writing again, and what the new ones list. Pure. Appends join manifests as they come, so that each
 * lists what was written at about one time; a reader of one partition then opens all of them:
 *
 *   joined by appends    [a b c d] [a b c d] [a b c d] [a b c d]
 *   written again        [a a a a] [b b b b] [c c c c] [d d d d]      a manifest is passed over by its summary of partitions
 *
 * Where partitions follow time the first already look like the second, and are left alone. Small ones are the appends' to
 * join, with the next commits; where no commits come any more, or do not join them, they are joined here.
 */
import { type LiveManifest, partitionKey } from "../commit/live-entries.ts";
import type { ManifestEntry } from "../iceberg/manifest.ts";
import type { NewManifest, ReplacePlan } from "./replace-plan.ts";

export interface ManifestSettings {
  /** Size of a full manifest. */
  readonly bytesTarget: number;
  /** Full manifests of one spec with too many partitions in each, from which on they are written again. */
  readonly looseMin: number;
  /** Small manifests of one spec that appends would have joined. */
  readonly smallMax: number;
  /** A table that nobody has written to for this long. */
  readonly quietMs: number;
}

export type ManifestPlan = ReplacePlan & { readonly report: ManifestReport };

export interface ManifestReport {
  readonly manifestsIn: number;
  readonly manifestsOut: number;
}

/** undefined: they are well as they are. `ageMs`: how long ago a snapshot was made. */
export function planManifests(
  manifests: readonly LiveManifest[],
  settings: ManifestSettings,
  ageMs: (snapshotId: bigint) => number,
): ManifestPlan | undefined {
  const isQuiet = manifests.every(({ file }) => ageMs(file.addedSnapshotId) >= settings.quietMs);
  const live = manifests.filter(({ entries }) => entries.length > 0);
  const kinds = [...new Set(live.map(kindOf))];
  const replaced = new Set<LiveManifest>();
  const written: NewManifest[] = [];
  for (const kind of kinds) {
    const same = live.filter((manifest) => kindOf(manifest) === kind);
    for (const group of [looseOnes(same, settings), smallOnes(same, settings, isQuiet)]) {
      const instead = clustered(group, settings.bytesTarget);
      if (!isWorthIt(group, instead)) continue;
      for (const manifest of group) replaced.add(manifest);
      written.push(...instead);
    }
  }
  if (replaced.size === 0) return undefined;
  const kept = live.filter((manifest) => !replaced.has(manifest)).map(({ file }) => file);
  const report = { manifestsIn: replaced.size, manifestsOut: written.length };
  const summary = {
    "manifests-created": String(written.length),
    "manifests-replaced": String(replaced.size),
    "manifests-kept": String(kept.length),
    "entries-processed": String(written.reduce((sum, { entries }) => sum + entries.length, 0)),
  };
  return { kept, written, removed: [], added: [], summary, report };
}

/** Of one spec and of one content: they cannot be in one manifest otherwise (rule C8). */
function kindOf({ file }: LiveManifest): string {
  return `${file.content} ${file.specId}`;
}

function isFull({ file }: LiveManifest, bytesTarget: number): boolean {
  return file.bytes >= bytesTarget / 2;
}

/** Full manifests that list many more partitions than their share of the files. */
function looseOnes(same: readonly LiveManifest[], settings: ManifestSettings): readonly LiveManifest[] {
  const partitions = new Set(same.flatMap((manifest) => [...partitionsOf(manifest.spec, manifest.entries)])).size;
  const entries = same.reduce((sum, manifest) => sum + manifest.entries.length, 0);
  const loose = same.filter((manifest) => {
    const due = 1 + (2 * partitions * manifest.entries.length) / entries;
    return isFull(manifest, settings.bytesTarget) && partitionsOf(manifest.spec, manifest.entries).size > due;
  });
  return loose.length >= settings.looseMin ? loose : [];
}

function smallOnes(
  same: readonly LiveManifest[],
  settings: ManifestSettings,
  isQuiet: boolean,
): readonly LiveManifest[] {
  const small = same.filter((manifest) => !isFull(manifest, settings.bytesTarget));
  return small.length > 1 && (isQuiet || small.length > settings.smallMax) ? small : [];
}

/** The same entries, those of a partition side by side. */
function clustered(group: readonly LiveManifest[], bytesTarget: number): readonly NewManifest[] {
  const [first] = group;
  if (first === undefined) return [];
  const { spec } = first;
  const bytes = group.reduce((sum, { file }) => sum + file.bytes, 0);
  const listed = group.reduce((sum, { file }) => sum + file.files.added + file.files.existing + file.files.deleted, 0);
  const entries = group
    .flatMap((manifest) => manifest.entries)
    .map((entry) => ({ entry, key: partitionKey({ entry, spec }) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.entry.sequenceNumber - b.entry.sequenceNumber))
    .map(({ entry }): ManifestEntry => ({ ...entry, status: "existing" }));
  const parts = Math.max(1, Math.ceil(((bytes / listed) * entries.length) / bytesTarget));
  const size = Math.ceil(entries.length / parts);
  const { content } = first.file;
  return Array.from({ length: Math.ceil(entries.length / size) }, (_, at) => {
    return { spec, content, entries: entries.slice(at * size, (at + 1) * size) };
  });
}

/** Manifests that somebody opens who reads one partition: fewer by a half at least, over all partitions. */
function isWorthIt(group: readonly LiveManifest[], instead: readonly NewManifest[]): boolean {
  if (group.length === 0) return false;
  const opened = (manifests: readonly Pick<LiveManifest, "spec" | "entries">[]): number =>
    manifests.reduce((sum, { spec, entries }) => sum + partitionsOf(spec, entries).size, 0);
  return opened(instead as readonly Pick<LiveManifest, "spec" | "entries">[]) * 2 <= opened(group);
}

function partitionsOf(spec: LiveManifest["spec"], entries: LiveManifest["entries"]): ReadonlySet<string> {
  return new Set(entries.map((entry) => partitionKey({ entry, spec })));
}
