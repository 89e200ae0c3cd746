/**
 * Commits what maintenance made as REPLACE snapshots. A commit that meets another one is planned again on the new base, without
 * the replacements that are not true any more.
 */
import { backoffDelayMs, sleep } from "../../base/async.ts";
import { CorruptData } from "../../base/errors.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { LoadedTable, TableName } from "../catalog.ts";
import { LiveManifests } from "../commit/live-entries.ts";
import { settle } from "../commit/settle.ts";
import { currentSchema } from "../commit/table-creation.ts";
import { manifestsOf } from "../commit/table-files.ts";
import { writeManifest } from "../iceberg/manifest.ts";
import { type ManifestFile, newManifestFile, writeManifestList } from "../iceberg/manifest-list.ts";
import { manifestVersion, type Snapshot, type TableMetadata } from "../iceberg/metadata.ts";
import { assignRowIds, nextRowId, rowIdsOf } from "../iceberg/row-ids.ts";
import { placesOf } from "../table-state.ts";
import { uniqueUri } from "../warehouse.ts";
import { currency, type NewManifest, planReplace, type Replacement, replaceUpdates } from "./replace-plan.ts";
import { lineageConflict } from "./row-lineage.ts";
import type { RewriteReport, RewriteTarget, TableRewriterDeps } from "./table-rewriter.ts";

/** A table as it is now, with everything that it lists. */
export interface Base {
  readonly name: TableName;
  readonly table: LoadedTable;
  readonly snapshot: Snapshot;
  readonly manifests: Awaited<ReturnType<LiveManifests["of"]>>;
}

/** A replacement whose files are uploaded. */
export interface Done {
  readonly replacement: Replacement;
  readonly rowsDropped: number;
}

export const nothing: RewriteReport = {
  filesIn: 0,
  filesOut: 0,
  bytesIn: 0,
  bytesOut: 0,
  rowsDropped: 0,
  deleteFilesDropped: 0,
  vectorsWritten: 0,
  held: "",
};

export class ReplaceCommitter {
  readonly #deps: TableRewriterDeps;
  readonly #live: LiveManifests;

  constructor(deps: TableRewriterDeps) {
    this.#deps = deps;
    this.#live = new LiveManifests(deps.warehouse);
  }

  /** The base, or why the table is left alone. */
  async load(target: RewriteTarget): Promise<Base | string> {
    const turn = await target.turn();
    if (turn === undefined) return "the table is not this node's to look after now";
    const table = await target.catalog.load(turn.name);
    if (table === undefined) return "the table is not in its catalog";
    const { metadata } = table;
    if (metadata["format-version"] === 1) return "format version 1";
    const conflict = metadata["format-version"] === 3 ? lineageConflict(currentSchema(metadata)) : undefined;
    if (conflict !== undefined) return `the column ${conflict} has the name of one that keeps row ids`;
    if (metadata.properties["encryption.key-id"] !== undefined) return "the table is encrypted";
    const snapshot = metadata.snapshots.find((each) => each["snapshot-id"] === metadata["current-snapshot-id"]);
    if (snapshot === undefined) return "";
    // Only a table that is what our log says; otherwise its committer, or a person, comes first.
    const settled = settle(metadata, turn.ledger);
    if (settled.kind !== "settled") return `the table is ${settled.kind === "confirm" ? "cut" : settled.kind}`;
    const manifests = await manifestsOf(this.#deps.warehouse, snapshot);
    const files = manifests.reduce((count, { files: { added, existing } }) => count + added + existing, 0);
    if (files > this.#deps.limits.liveFilesMax) return `${files} live files are too many`;
    if (manifests.some((manifest) => manifest.keyMetadata !== null)) return "a manifest is encrypted";
    try {
      return { name: turn.name, table, snapshot, manifests: await this.#live.of(metadata, manifests) };
    } catch (cause) {
      if (!(cause instanceof CorruptData)) throw cause;
      return cause.message;
    }
  }

  async commit(done: readonly Done[], target: RewriteTarget, signal: AbortSignal): Promise<RewriteReport> {
    const { limits, runtime } = this.#deps;
    /** Snapshots of attempts whose outcome is not known: one of them may be in the table. */
    const tried = new Map<bigint, RewriteReport>();
    for (let attempt = 1; attempt <= limits.commitRetry.attemptsMax; attempt += 1) {
      if (attempt > 1) {
        await sleep(runtime.clock, backoffDelayMs(limits.commitRetry, attempt - 1, runtime.random), signal);
      }
      const base = await this.load(target);
      if (typeof base === "string") return { ...nothing, held: base };
      const landed = base.table.metadata.snapshots.find((each) => tried.has(each["snapshot-id"]));
      if (landed !== undefined) return tried.get(landed["snapshot-id"]) as RewriteReport;
      const isCurrent = currency(base.manifests);
      const current = done.filter(({ replacement }) => isCurrent(replacement));
      if (done.length > 0 && current.length === 0)
        return { ...nothing, held: "others have changed the files meanwhile" };
      const outcome = await this.#attempt(current, base, target, tried);
      if (outcome !== "again") return outcome;
    }
    return { ...nothing, held: "every attempt of the commit met another one" };
  }

  async #attempt(
    done: readonly Done[],
    base: Base,
    target: RewriteTarget,
    tried: Map<bigint, RewriteReport>,
  ): Promise<RewriteReport | "again"> {
    const { warehouse, runtime, engineVersion } = this.#deps;
    const { metadata } = base.table;
    const snapshotId = newSnapshotId(metadata, runtime);
    const replacements = done.map(({ replacement }) => replacement);
    const plan = planReplace(base.manifests, replacements, snapshotId);
    if (plan.removed.length === 0 && plan.added.length === 0) return nothing;
    const sequenceNumber = metadata["last-sequence-number"] + 1;
    const written = [];
    for (const manifest of plan.written) {
      written.push(await this.#writeManifest(manifest, metadata, { snapshotId, sequenceNumber }));
    }
    const manifestList = uniqueUri(placesOf(metadata).metadata, `snap-${snapshotId}`, ".avro", runtime.random);
    const parentSnapshotId = base.snapshot["snapshot-id"];
    const firstRowId = nextRowId(metadata);
    const { manifests, next } = assignRowIds([...written, ...plan.kept], firstRowId);
    await warehouse.create(
      manifestList,
      writeManifestList({ snapshotId, parentSnapshotId, sequenceNumber, manifests, firstRowId }),
    );
    const { requirements, updates } = replaceUpdates({
      base: metadata,
      parent: base.snapshot,
      plan,
      snapshotId,
      manifestList,
      rowIds: rowIdsOf(firstRowId, next),
      engineVersion,
      nowMs: runtime.clock.now(),
    });
    const outcome = await target.catalog.commit(base.name, requirements, updates);
    const report = reportOf(plan, done);
    if (outcome.kind === "committed") return report;
    if (outcome.kind === "unknown") tried.set(snapshotId, report);
    return "again";
  }

  async #writeManifest(
    { spec, content, entries }: NewManifest,
    metadata: TableMetadata,
    commit: { readonly snapshotId: bigint; readonly sequenceNumber: number },
  ): Promise<ManifestFile> {
    const { warehouse, runtime } = this.#deps;
    const schema = currentSchema(metadata);
    const path = uniqueUri(placesOf(metadata).metadata, "inlet-replaced", ".avro", runtime.random);
    const bytes = writeManifest({ schema, spec, content, entries, version: manifestVersion(metadata) });
    await warehouse.create(path, bytes);
    return newManifestFile({ path, bytes: bytes.length, spec, schema, entries, ...commit });
  }
}

/** Rule E1: positive, random, and not taken. */
function newSnapshotId(base: TableMetadata, { random }: Runtime): bigint {
  const bytes = new Uint8Array(8);
  for (;;) {
    random.fill(bytes);
    const id = new DataView(bytes.buffer).getBigInt64(0) & 0x7fff_ffff_ffff_ffffn;
    if (id !== 0n && !base.snapshots.some((snapshot) => snapshot["snapshot-id"] === id)) return id;
  }
}

function reportOf({ added, removed }: ReturnType<typeof planReplace>, done: readonly Done[]): RewriteReport {
  const [dataIn, dataOut] = [removed, added].map((entries) => entries.filter(({ content }) => content === "data"));
  const bytes = (entries: typeof added = []): number => entries.reduce((sum, { file }) => sum + file.bytes, 0);
  return {
    filesIn: dataIn?.length ?? 0,
    filesOut: dataOut?.length ?? 0,
    bytesIn: bytes(dataIn),
    bytesOut: bytes(dataOut),
    rowsDropped: done.reduce((rows, each) => rows + each.rowsDropped, 0),
    deleteFilesDropped: removed.length - (dataIn?.length ?? 0),
    vectorsWritten: added.length - (dataOut?.length ?? 0),
    held: "",
  };
}
