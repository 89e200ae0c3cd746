/**
 * Removes files that lie where a table's files lie and that nothing names: what crashed translations, lost commits and dropped
 * rewrites have left. In this order, so that a round that is committed meanwhile is found in one of the two:
 *
 *   1  what pending rounds name     2  what the table names, all of it     3  the listing; a page of orphans is deleted at a time
 *
 * A file is an orphan when neither 1 nor 2 has it, it is older than any commit or query may take, and it looks like a table's
 * file. Where anything that names files cannot be read, nothing is removed: it might name them all.
 */
import type { Clock } from "../../base/runtime.ts";
import { ObjectMissing } from "../../object-store/object-store.ts";
import { entriesOf, manifestsOf, statisticsOf } from "../commit/table-files.ts";
import { isTrue, type TableMetadata } from "../iceberg/metadata.ts";
import { markName, parseMark } from "../rounds.ts";
import { placesOf } from "../table-state.ts";
import { isBelow, type Warehouse, withoutSlash } from "../warehouse.ts";
import { PathSet } from "./path-set.ts";
import { nextTurn, type RewriteTarget } from "./replace-commit.ts";

export interface OrphanDeps {
  readonly warehouse: Warehouse;
  readonly clock: Clock;
  readonly limits: {
    /** Files that a table names, at most; beyond them its orphans are left to an engine. */
    readonly namedFilesMax: number;
    /** Files of one delete. */
    readonly orphansPageMax: number;
  };
}

export interface OrphanReport {
  readonly listed: number;
  /** Deleted, or to be deleted when nothing was. */
  readonly orphans: number;
  readonly bytes: number;
  /** The first of them, for people. */
  readonly examples: readonly string[];
  /** Why nothing was looked for; "" when it was. */
  readonly held: string;
}

const nothing: OrphanReport = { listed: 0, orphans: 0, bytes: 0, examples: [], held: "" };
const examplesMax = 20;

/** What Iceberg's writers make, ours included. Anything else that lies there is somebody's. */
const tableFile = /\.(?:parquet|orc|avro|puffin|stats|metadata\.json)$|\/inlet-offsets-[0-9a-f-]+\.json$/;

/** Throws OperationFailed and CorruptData; what was deleted before it was rightly deleted. */
export async function removeOrphans(
  target: RewriteTarget,
  deps: OrphanDeps,
  options: { readonly olderThanMs: number; readonly isDryRun: boolean; readonly signal: AbortSignal },
): Promise<OrphanReport> {
  const { warehouse, clock, limits } = deps;
  const turn = await nextTurn(target);
  if (turn === undefined) return { ...nothing, held: "the table is not this node's to look after now" };
  const table = await target.catalog.load(turn.name);
  if (table === undefined) return { ...nothing, held: "the table is not in its catalog" };
  const { metadata, metadataLocation } = table;
  if (turn.ledger.tableUuid !== metadata["table-uuid"]) return { ...nothing, held: "the table was replaced" };
  if (!isTrue(metadata.properties, "gc.enabled", true)) return { ...nothing, held: "the table's gc.enabled is false" };
  const places = placesOf(metadata);
  const directories = [...new Set([places.data, places.metadata])];
  const shared = directories.find((directory) => turn.others.some((other) => overlap(directory, other)));
  if (shared !== undefined) return { ...nothing, held: `another table writes into ${shared} too` };
  const strange = directories.find((directory) => !isBelow(directory, metadata.location));
  if (strange !== undefined) return { ...nothing, held: `${strange} is outside the table's location` };
  const named = new PathSet(limits.namedFilesMax);
  for (const path of [...turn.inUse, metadataLocation]) named.add(path);
  await nameRounds(named, turn.rounds, metadata, warehouse);
  await nameTable(named, metadata, warehouse);
  if (named.isFull) return { ...nothing, held: `it names more than ${limits.namedFilesMax} files` };
  const before = clock.now() - options.olderThanMs;
  let report = nothing;
  let page: string[] = [];
  const removePage = async (): Promise<void> => {
    options.signal.throwIfAborted();
    if (!options.isDryRun) await warehouse.remove(page);
    page = [];
  };
  for (const directory of directories) {
    for await (const { uri, size, modifiedMs } of warehouse.list(directory)) {
      report = { ...report, listed: report.listed + 1 };
      // 0: a store that does not say how old a file is.
      if (modifiedMs === 0 || modifiedMs >= before || !tableFile.test(uri) || named.has(uri)) continue;
      const examples = report.examples.length < examplesMax ? [...report.examples, uri] : report.examples;
      report = { ...report, orphans: report.orphans + 1, bytes: report.bytes + size, examples };
      page.push(uri);
      if (page.length >= limits.orphansPageMax) await removePage();
    }
  }
  if (page.length > 0) await removePage();
  return report;
}

function overlap(a: string, b: string): boolean {
  return withoutSlash(a) === withoutSlash(b) || isBelow(a, b) || isBelow(b, a);
}

/** A round whose manifest is lost names nothing: it will be translated again. */
async function nameRounds(
  named: PathSet,
  rounds: readonly string[],
  metadata: TableMetadata,
  warehouse: Warehouse,
): Promise<void> {
  for (const path of rounds) {
    named.add(path);
    try {
      for (const { file } of await entriesOf(warehouse, { path }, metadata)) named.add(file.path);
    } catch (cause) {
      if (!(cause instanceof ObjectMissing)) throw cause;
    }
  }
}

/** Everything that any snapshot of the table, its metadata or its history names. */
async function nameTable(named: PathSet, metadata: TableMetadata, warehouse: Warehouse): Promise<void> {
  for (const entry of metadata["metadata-log"]) named.add(entry["metadata-file"]);
  for (const { path } of statisticsOf(metadata)) named.add(path);
  nameOffsets(named, metadata.properties[markName]);
  const read = new PathSet(Number.POSITIVE_INFINITY);
  for (const snapshot of metadata.snapshots) {
    named.add(snapshot["manifest-list"]);
    nameOffsets(named, snapshot.summary?.[markName]);
    for (const manifest of await manifestsOf(warehouse, snapshot)) {
      named.add(manifest.path);
      if (read.has(manifest.path)) continue;
      read.add(manifest.path);
      for (const { file } of await entriesOf(warehouse, manifest, metadata)) named.add(file.path);
    }
  }
}

function nameOffsets(named: PathSet, mark: string | undefined): void {
  const offsets = mark === undefined ? undefined : parseMark(mark)?.offsets;
  if (typeof offsets === "string") named.add(offsets);
}
