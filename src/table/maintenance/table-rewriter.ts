/**
 * Rewrites a table's files: reads its live entries, lets rewrite-plan.ts decide, carries groups out one after another, and
 * commits what they gave as REPLACE snapshots. Appends go first: before each step it waits until none is under way, and a
 * commit that meets another one is planned again on the new base, without the groups that are not true any more.
 *
 * Nothing is deleted here. What a dropped group or a lost commit has uploaded is named by nothing, and an orphan; what a commit
 * replaced goes with the expiry of the snapshots that still read it.
 */
import { type BackoffLimits, backoffDelayMs, sleep } from "../../base/async.ts";
import { CorruptData } from "../../base/errors.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { Catalog, LoadedTable, TableName } from "../catalog.ts";
import { LiveManifests, liveFiles } from "../commit/live-entries.ts";
import { type Ledger, settle } from "../commit/settle.ts";
import { currentSchema } from "../commit/table-creation.ts";
import { manifestsOf } from "../commit/table-files.ts";
import { writeManifest } from "../iceberg/manifest.ts";
import { type ManifestFile, newManifestFile, writeManifestList } from "../iceberg/manifest-list.ts";
import type { Snapshot, TableMetadata } from "../iceberg/metadata.ts";
import type { DataFile } from "../iceberg/types.ts";
import { placesOf } from "../table-state.ts";
import { uniqueUri, type Warehouse } from "../warehouse.ts";
import { idleDeletes } from "./delete-scope.ts";
import { isCurrent, type NewManifest, planReplace, type Replacement, replaceUpdates } from "./replace-plan.ts";
import type { RewriteResult } from "./rewrite-core.ts";
import { planRewrites, type RewriteGroup, type RewriteSettings } from "./rewrite-plan.ts";
import type { Rewriter } from "./rewriter.ts";

export interface TableRewriterDeps {
  readonly warehouse: Warehouse;
  readonly rewriter: Rewriter;
  readonly runtime: Runtime;
  readonly limits: TableRewriterLimits;
  /** Of Inlet, for the snapshot summary. */
  readonly engineVersion: string;
}

export interface TableRewriterLimits extends RewriteSettings {
  /** Of files read; what maintenance may take of the node. */
  readonly bytesPerSecondMax: number;
  /** Between attempts of one commit; past the last the groups are given up. */
  readonly commitRetry: BackoffLimits;
  /** A table with more live files is left alone: its entries would take too much memory. */
  readonly liveFilesMax: number;
  /** Replaced bytes from which on a commit is made, before the other groups are carried out. */
  readonly commitBytes: number;
}

/** A table, as its worker lets others touch it. */
export interface RewriteTarget {
  readonly catalog: Catalog;
  /**
   * Asked before each step: it settles when no append of this node to the table is under way. undefined: the table is not
   * ours to look after, or not now.
   */
  readonly turn: () => Promise<MaintenanceTurn | undefined>;
}

export interface MaintenanceTurn {
  readonly name: TableName;
  readonly ledger: Ledger;
  /** Manifests of rounds that wait to be committed. */
  readonly rounds: readonly string[];
  /** Files that are not the table's any more and that readers may still be at. */
  readonly inUse: readonly string[];
  /** Where this cluster's other tables have their files. */
  readonly others: readonly string[];
}

export interface RewriteReport {
  readonly filesIn: number;
  readonly filesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly rowsDropped: number;
  readonly deleteFilesDropped: number;
  /** Why something was not done; "" when all was. */
  readonly held: string;
}

/** A table as it is now, with everything that it lists. */
interface Base {
  readonly name: TableName;
  readonly table: LoadedTable;
  readonly snapshot: Snapshot;
  readonly manifests: Awaited<ReturnType<LiveManifests["of"]>>;
}

const nothing: RewriteReport = {
  filesIn: 0,
  filesOut: 0,
  bytesIn: 0,
  bytesOut: 0,
  rowsDropped: 0,
  deleteFilesDropped: 0,
  held: "",
};

export class TableRewriter {
  readonly #deps: TableRewriterDeps;
  readonly #live: LiveManifests;

  constructor(deps: TableRewriterDeps) {
    this.#deps = deps;
    this.#live = new LiveManifests(deps.warehouse);
  }

  /** One pass over the table. Throws OperationFailed when catalog or store fail: nothing is half done then. */
  async run(target: RewriteTarget, signal: AbortSignal): Promise<RewriteReport> {
    const { limits, runtime } = this.#deps;
    const base = await this.#load(target);
    if (typeof base === "string") return { ...nothing, held: base };
    const { metadata } = base.table;
    const made = new Map(metadata.snapshots.map((each) => [each["snapshot-id"], each["timestamp-ms"]]));
    const now = runtime.clock.now();
    // A snapshot that is gone has been expired: it was old.
    const ageMs = (id: bigint): number => now - (made.get(id) ?? 0);
    const groups = planRewrites(liveFiles(base.manifests), limits, ageMs);
    let report = nothing;
    let done: { readonly replacement: Replacement; readonly rowsDropped: number }[] = [];
    let bytes = 0;
    for (const [index, group] of groups.entries()) {
      const result = await this.#carryOut(group, target, metadata, signal);
      if (typeof result === "string") {
        report = { ...report, held: result };
      } else {
        const files = await this.#upload(result, metadata);
        const sequence = base.snapshot["sequence-number"];
        done.push({ replacement: { group, files, sequence }, rowsDropped: result.rowsDropped });
        bytes += bytesOf(group);
      }
      if (done.length === 0 || (bytes < limits.commitBytes && index < groups.length - 1)) continue;
      report = sum(report, await this.#commit(done, target, signal));
      done = [];
      bytes = 0;
    }
    const isIdle = groups.length === 0 && idleDeletes(liveFiles(base.manifests)).length > 0;
    return isIdle ? await this.#commit([], target, signal) : report;
  }

  /** The base, or why the table is left alone. */
  async #load(target: RewriteTarget): Promise<Base | string> {
    const turn = await target.turn();
    if (turn === undefined) return "the table is not this node's to look after now";
    const table = await target.catalog.load(turn.name);
    if (table === undefined) return "the table is not in its catalog";
    const { metadata } = table;
    if (metadata["format-version"] !== 2) return `format version ${metadata["format-version"]}`;
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

  /** What the group's files became, or why they stay. */
  async #carryOut(
    group: RewriteGroup,
    target: RewriteTarget,
    metadata: TableMetadata,
    signal: AbortSignal,
  ): Promise<RewriteResult | string> {
    const { rewriter, limits } = this.#deps;
    const { partition } = (group.inputs[0] as RewriteGroup["inputs"][number]).entry.file;
    const plan = { schema: currentSchema(metadata), partition, targetFileBytes: limits.targetBytes };
    await using job = rewriter.begin(plan);
    for (const { entry } of [...group.deletes, ...group.inputs]) {
      const { content, sequenceNumber: sequence, file } = entry;
      const { path, recordCount: rows } = file;
      if (file.format !== "PARQUET") return `${path} is ${file.format}`;
      const bytes = await this.#read(path, target, signal);
      const equalityIds = entry.equalityIds ?? [];
      const answer =
        content === "data"
          ? await job.add({ path, bytes, sequence, rows })
          : await job.addDelete({ kind: content, path, bytes, sequence, equalityIds });
      if (answer.kind === "unreadable") return answer.reason;
    }
    return await job.finish();
  }

  /** At the pace of the budget, and behind appends. */
  async #read(path: string, target: RewriteTarget, signal: AbortSignal): Promise<Uint8Array> {
    await target.turn(); // Appends first.
    const bytes = await this.#deps.warehouse.read(path);
    await sleep(this.#deps.runtime.clock, (bytes.length * 1000) / this.#deps.limits.bytesPerSecondMax, signal);
    return bytes;
  }

  async #upload(result: RewriteResult, metadata: TableMetadata): Promise<readonly DataFile[]> {
    const { warehouse, runtime } = this.#deps;
    const files: DataFile[] = [];
    for (const { bytes, file, partition } of result.files) {
      const path = uniqueUri(placesOf(metadata).data, "inlet-rewritten", ".parquet", runtime.random);
      await warehouse.create(path, bytes);
      files.push({ ...file, partition, path });
    }
    return files;
  }

  async #commit(
    done: readonly { readonly replacement: Replacement; readonly rowsDropped: number }[],
    target: RewriteTarget,
    signal: AbortSignal,
  ): Promise<RewriteReport> {
    const { limits, runtime } = this.#deps;
    /** Snapshots of attempts whose outcome is not known: one of them may be in the table. */
    const tried = new Map<bigint, RewriteReport>();
    for (let attempt = 1; attempt <= limits.commitRetry.attemptsMax; attempt += 1) {
      if (attempt > 1) {
        await sleep(runtime.clock, backoffDelayMs(limits.commitRetry, attempt - 1, runtime.random), signal);
      }
      const base = await this.#load(target);
      if (typeof base === "string") return { ...nothing, held: base };
      const landed = base.table.metadata.snapshots.find((each) => tried.has(each["snapshot-id"]));
      if (landed !== undefined) return tried.get(landed["snapshot-id"]) as RewriteReport;
      const current = done.filter(({ replacement }) => isCurrent(replacement, base.manifests));
      if (done.length > 0 && current.length === 0)
        return { ...nothing, held: "others have changed the files meanwhile" };
      const outcome = await this.#attempt(current, base, target, tried);
      if (outcome !== "again") return outcome;
    }
    return { ...nothing, held: "every attempt of the commit met another one" };
  }

  async #attempt(
    done: readonly { readonly replacement: Replacement; readonly rowsDropped: number }[],
    base: Base,
    target: RewriteTarget,
    tried: Map<bigint, RewriteReport>,
  ): Promise<RewriteReport | "again"> {
    const { warehouse, runtime, engineVersion } = this.#deps;
    const { metadata } = base.table;
    const snapshotId = newSnapshotId(metadata, runtime);
    const replacements = done.map(({ replacement }) => replacement);
    const plan = planReplace(base.manifests, replacements, snapshotId);
    if (plan.removed.length === 0) return nothing;
    const sequenceNumber = metadata["last-sequence-number"] + 1;
    const written = [];
    for (const manifest of plan.written) {
      written.push(await this.#writeManifest(manifest, metadata, { snapshotId, sequenceNumber }));
    }
    const manifestList = uniqueUri(placesOf(metadata).metadata, `snap-${snapshotId}`, ".avro", runtime.random);
    const parentSnapshotId = base.snapshot["snapshot-id"];
    const manifests = [...written, ...plan.kept];
    await warehouse.create(
      manifestList,
      writeManifestList({ snapshotId, parentSnapshotId, sequenceNumber, manifests }),
    );
    const { requirements, updates } = replaceUpdates({
      base: metadata,
      parent: base.snapshot,
      plan,
      snapshotId,
      manifestList,
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
    const bytes = writeManifest({ schema, spec, content, entries });
    await warehouse.create(path, bytes);
    return newManifestFile({ path, bytes: bytes.length, spec, schema, entries, ...commit });
  }
}

function bytesOf({ inputs }: RewriteGroup): number {
  return inputs.reduce((bytes, { entry }) => bytes + entry.file.bytes, 0);
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

function reportOf(
  { added, removed }: ReturnType<typeof planReplace>,
  done: readonly { readonly rowsDropped: number }[],
): RewriteReport {
  const data = removed.filter(({ content }) => content === "data");
  return {
    filesIn: data.length,
    filesOut: added.length,
    bytesIn: data.reduce((bytes, { file }) => bytes + file.bytes, 0),
    bytesOut: added.reduce((bytes, { file }) => bytes + file.bytes, 0),
    rowsDropped: done.reduce((rows, each) => rows + each.rowsDropped, 0),
    deleteFilesDropped: removed.length - data.length,
    held: "",
  };
}

function sum(a: RewriteReport, b: RewriteReport): RewriteReport {
  return {
    filesIn: a.filesIn + b.filesIn,
    filesOut: a.filesOut + b.filesOut,
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
    rowsDropped: a.rowsDropped + b.rowsDropped,
    deleteFilesDropped: a.deleteFilesDropped + b.deleteFilesDropped,
    held: b.held === "" ? a.held : b.held,
  };
}
