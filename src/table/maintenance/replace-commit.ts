/**
 * Commits REPLACE snapshots: loads a table, lets somebody plan on exactly what is there, writes the manifests, and asserts the
 * parent. A commit that meets another one is planned again on the new base, and holds this node's appends back: one that is
 * quicker would come first every time. An unknown outcome is settled by looking for the snapshots that were tried: nothing is
 * deleted after it.
 */
import { type BackoffLimits, backoffDelayMs, Gate, sleep } from "../../base/async.ts";
import { CorruptData } from "../../base/errors.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { Catalog, LoadedTable, TableName } from "../catalog.ts";
import { LiveManifests } from "../commit/live-entries.ts";
import { schemaOfSpec } from "../commit/manifest-merge.ts";
import { type Ledger, settle } from "../commit/settle.ts";
import { manifestsOf } from "../commit/table-files.ts";
import { writeManifest } from "../iceberg/manifest.ts";
import { type ManifestFile, newManifestFile, writeManifestList } from "../iceberg/manifest-list.ts";
import { manifestVersion, type Snapshot, type TableMetadata } from "../iceberg/metadata.ts";
import { partitionColumns, widenedTuple } from "../iceberg/partition-type.ts";
import { assignRowIds, nextRowId, rowIdsOf } from "../iceberg/row-ids.ts";
import { placesOf } from "../table-state.ts";
import { uniqueUri, type Warehouse } from "../warehouse.ts";
import { type NewManifest, type ReplacePlan, replaceUpdates } from "./replace-plan.ts";

export interface ReplaceCommitterDeps {
  readonly warehouse: Warehouse;
  readonly runtime: Runtime;
  readonly limits: {
    /** Between attempts of one commit; past the last it is given up. */
    readonly commitRetry: BackoffLimits;
    /** A table with more live files is left alone: its entries would take too much memory. */
    readonly liveFilesMax: number;
  };
  /** Of Inlet, for the snapshot summary. */
  readonly engineVersion: string;
}

/** A table, as its worker lets others touch it. */
export interface RewriteTarget {
  readonly catalog: Catalog;
  /**
   * Runs the work when no append of this node to the table is under way, and holds the next one back while it runs. Without a
   * turn the table is not ours to look after, or not now.
   */
  readonly betweenAppends: <T>(work: (turn: MaintenanceTurn | undefined) => Promise<T>) => Promise<T>;
}

/** When no append is under way; the next one may begin at once. */
export function nextTurn({ betweenAppends }: RewriteTarget): Promise<MaintenanceTurn | undefined> {
  return betweenAppends(async (turn) => turn);
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

/** A table as it is now, with everything that it lists. */
export interface Base {
  readonly name: TableName;
  readonly table: LoadedTable;
  readonly snapshot: Snapshot;
  readonly manifests: Awaited<ReturnType<LiveManifests["of"]>>;
}

/** What is to be committed, with what is said when it was; or why it is not; undefined: there is nothing to commit. */
export type Planned<Report> = { readonly plan: ReplacePlan; readonly report: Report } | string | undefined;

/** `held`: why nothing was committed; "" when there was nothing to commit. */
export type ReplaceOutcome<Report> =
  | { readonly kind: "committed"; readonly report: Report }
  | { readonly kind: "not"; readonly held: string };

export class ReplaceCommitter {
  readonly #deps: ReplaceCommitterDeps;
  readonly #live: LiveManifests;

  constructor(deps: ReplaceCommitterDeps) {
    this.#deps = deps;
    this.#live = new LiveManifests(deps.warehouse);
  }

  /** The base, or why the table is left alone; "": it holds nothing. Waits until no append is under way. */
  async load(target: RewriteTarget): Promise<Base | string> {
    return await this.#load(target.catalog, await nextTurn(target));
  }

  async #load(catalog: Catalog, turn: MaintenanceTurn | undefined): Promise<Base | string> {
    if (turn === undefined) return "the table is not this node's to look after now";
    const table = await catalog.load(turn.name);
    if (table === undefined) return "the table is not in its catalog";
    const { metadata } = table;
    if (metadata["format-version"] === 1) return "format version 1";
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

  /** Throws OperationFailed when catalog or store fail: nothing is half done then. */
  async commit<Report>(
    target: RewriteTarget,
    plan: (base: Base, snapshotId: bigint) => Planned<Report>,
    signal: AbortSignal,
  ): Promise<ReplaceOutcome<Report>> {
    const { limits, runtime } = this.#deps;
    /** Snapshots of attempts whose outcome is not known: one of them may be in the table. */
    const tried = new Map<bigint, Report>();
    for (let attempt = 1; attempt <= limits.commitRetry.attemptsMax; attempt += 1) {
      if (attempt > 1) {
        await sleep(runtime.clock, backoffDelayMs(limits.commitRetry, attempt - 1, runtime.random), signal);
      }
      const step = (turn: MaintenanceTurn | undefined) => this.#attempt(target.catalog, turn, plan, tried);
      const outcome = attempt === 1 ? await step(await nextTurn(target)) : await target.betweenAppends(step);
      if (outcome !== "again") return outcome;
    }
    return { kind: "not", held: "every attempt of the commit met another one" };
  }

  async #attempt<Report>(
    catalog: Catalog,
    turn: MaintenanceTurn | undefined,
    plan: (base: Base, snapshotId: bigint) => Planned<Report>,
    tried: Map<bigint, Report>,
  ): Promise<ReplaceOutcome<Report> | "again"> {
    const base = await this.#load(catalog, turn);
    if (typeof base === "string") return { kind: "not", held: base };
    const landed = base.table.metadata.snapshots.find((each) => tried.has(each["snapshot-id"]));
    if (landed !== undefined) return { kind: "committed", report: tried.get(landed["snapshot-id"]) as Report };
    const snapshotId = newSnapshotId(base.table.metadata, this.#deps.runtime);
    const planned = plan(base, snapshotId);
    if (planned === undefined || typeof planned === "string") return { kind: "not", held: planned ?? "" };
    const outcome = await this.#carryOut(catalog, base, planned.plan, snapshotId);
    if (outcome === "committed") return { kind: "committed", report: planned.report };
    if (outcome === "unknown") tried.set(snapshotId, planned.report);
    return "again";
  }

  async #carryOut(catalog: Catalog, base: Base, plan: ReplacePlan, snapshotId: bigint) {
    const { warehouse, runtime, engineVersion } = this.#deps;
    const { metadata } = base.table;
    const sequenceNumber = metadata["last-sequence-number"] + 1;
    const gate = new Gate(writesAtOnceMax);
    const written = await Promise.all(
      plan.written.map((manifest) =>
        gate.run(() => this.#writeManifest(manifest, metadata, { snapshotId, sequenceNumber })),
      ),
    );
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
    return (await catalog.commit(base.name, requirements, updates)).kind;
  }

  /** What was read and planned may be of a time before the table's schema. */
  async #writeManifest(
    { spec, content, entries: planned }: NewManifest,
    metadata: TableMetadata,
    commit: { readonly snapshotId: bigint; readonly sequenceNumber: number },
  ): Promise<ManifestFile> {
    const { warehouse, runtime } = this.#deps;
    const schema = schemaOfSpec(metadata, spec);
    if (schema === undefined) {
      const found = "one whose source column is gone";
      throw new CorruptData({ source: metadata.location, position: 0, expected: `spec ${spec["spec-id"]}`, found });
    }
    const columns = partitionColumns(spec, schema);
    const path = uniqueUri(placesOf(metadata).metadata, "inlet-replaced", ".avro", runtime.random);
    const entries = planned.map((entry) => {
      const partition = widenedTuple(columns, entry.file.partition, entry.file.path);
      return { ...entry, file: { ...entry.file, partition } };
    });
    const bytes = writeManifest({ schema, spec, content, entries, version: manifestVersion(metadata) });
    await warehouse.create(path, bytes);
    return newManifestFile({ path, bytes: bytes.length, spec, schema, entries, ...commit });
  }
}

/** Manifests of one commit, of which there is one for each that listed a replaced file beside others. */
const writesAtOnceMax = 16;

/** Rule E1: positive, random, and not taken. */
function newSnapshotId(base: TableMetadata, { random }: Runtime): bigint {
  const bytes = new Uint8Array(8);
  for (;;) {
    random.fill(bytes);
    const id = new DataView(bytes.buffer).getBigInt64(0) & 0x7fff_ffff_ffff_ffffn;
    if (id !== 0n && !base.snapshots.some((snapshot) => snapshot["snapshot-id"] === id)) return id;
  }
}
