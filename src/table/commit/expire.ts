/**
 * Which snapshots a commit of ours takes out of the table's metadata. Pure. Every snapshot for 6 hours, then the newest of
 * each hour, until `keepMs`; never so many that the metadata grows without bound; never what a ref, or settling, needs.
 */
import type { Snapshot, TableMetadata } from "../iceberg/metadata.ts";
import { markName } from "../rounds.ts";

export interface ExpirySettings {
  readonly keepMs: number;
  /** Newest snapshots of main that stay whatever their age. */
  readonly keepMin: number;
}

const hourMs = 3_600_000;
const keepAllMs = 6 * hourMs;
/** With some 600 bytes each, the metadata file stays far below Glue's 20 MB. */
const snapshotsMax = 1000;

/** Ids to remove, oldest first. */
export function expiredSnapshots(metadata: TableMetadata, settings: ExpirySettings, nowMs: number): readonly bigint[] {
  const main = lineOf(metadata, metadata["current-snapshot-id"]);
  const pinned = pinnedIds(metadata, main);
  const kept = new Set(main.filter(hourly(settings, nowMs)).map(idOf));
  // With it goes what it took out, which older snapshots still read: it stays until they have gone.
  for (const snapshot of main) {
    if (takesFilesOut(snapshot) && ageOf(snapshot, nowMs) <= settings.keepMs) kept.add(idOf(snapshot));
  }
  for (const snapshot of main.slice(0, settings.keepMin)) kept.add(idOf(snapshot));
  const onMain = new Set(main.map(idOf));
  const stays = (snapshot: Snapshot): boolean =>
    pinned.has(idOf(snapshot)) ||
    (onMain.has(idOf(snapshot)) ? kept.has(idOf(snapshot)) : ageOf(snapshot, nowMs) <= settings.keepMs);
  // The line ends where a parent was expired before: what is behind it is told by our mark. Over the maximum are the oldest.
  const bounded = metadata.snapshots
    .filter((snapshot) => stays(snapshot) && (onMain.has(idOf(snapshot)) || isOurs(snapshot)))
    .sort((a, b) => (b["sequence-number"] ?? 0) - (a["sequence-number"] ?? 0)); // Version 1 has none.
  const over = new Set(bounded.slice(snapshotsMax).filter((snapshot) => !pinned.has(idOf(snapshot))));
  return metadata.snapshots.filter((snapshot) => !stays(snapshot) || over.has(snapshot)).map(idOf);
}

function isOurs({ summary }: Snapshot): boolean {
  return summary?.[markName] !== undefined;
}

/** Refs and their whole history (others' branches are not ours to shorten), and main down to our newest commit. */
function pinnedIds(metadata: TableMetadata, main: readonly Snapshot[]): ReadonlySet<bigint> {
  const pinned = new Set<bigint>();
  for (const [name, ref] of Object.entries(metadata.refs)) {
    pinned.add(ref["snapshot-id"]);
    if (name === "main" || ref.type === "tag") continue;
    const onMain = new Set(main.map(idOf));
    for (const snapshot of lineOf(metadata, ref["snapshot-id"])) {
      if (!onMain.has(idOf(snapshot))) pinned.add(idOf(snapshot));
    }
  }
  const ours = main.findIndex(isOurs);
  for (const snapshot of main.slice(0, ours + 1)) pinned.add(idOf(snapshot));
  return pinned;
}

/** Keeps the young, and of each older hour the newest. The line must come newest first. */
function hourly(settings: ExpirySettings, nowMs: number): (snapshot: Snapshot) => boolean {
  const hours = new Set<number>();
  return (snapshot) => {
    const age = ageOf(snapshot, nowMs);
    if (age <= Math.min(keepAllMs, settings.keepMs)) return true;
    if (age > settings.keepMs) return false;
    const hour = Math.floor(snapshot["timestamp-ms"] / hourMs);
    if (hours.has(hour)) return false;
    hours.add(hour);
    return true;
  };
}

/** The snapshot and its ancestors, newest first, as far as they are there. */
export function lineOf(metadata: TableMetadata, from: bigint): readonly Snapshot[] {
  const byId = new Map(metadata.snapshots.map((snapshot) => [idOf(snapshot), snapshot]));
  const line: Snapshot[] = [];
  for (let next = byId.get(from); next !== undefined; next = byId.get(next["parent-snapshot-id"] ?? -1n)) {
    line.push(next);
    byId.delete(idOf(next)); // A chain that bites its tail ends.
  }
  return line;
}

export function takesFilesOut(snapshot: Snapshot): boolean {
  return snapshot.summary?.["operation"] !== "append" && !onlyAddsDeletes(snapshot);
}

/** A round of an upsert table: adds rows and delete files, and takes no file out. Its summary says what it added (rule E4). */
function onlyAddsDeletes({ summary }: Snapshot): boolean {
  const addsDeletes = summary?.["added-equality-deletes"] !== undefined;
  return addsDeletes && summary[markName] !== undefined && removals.every((name) => summary[name] === undefined);
}

const removals = ["deleted-data-files", "removed-delete-files"];

function idOf(snapshot: Snapshot): bigint {
  return snapshot["snapshot-id"];
}

function ageOf(snapshot: Snapshot, nowMs: number): number {
  return nowMs - snapshot["timestamp-ms"];
}
