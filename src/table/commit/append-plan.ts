/**
 * The snapshots of one commit, planned on one exact base: summaries, requirements and updates. Pure.
 *
 * Rounds that only append share one snapshot. Deletes apply to what lower sequence numbers wrote and never to their own
 * snapshot's rows, so a round with deletes begins a snapshot of its own; the commit brings all of them in at once.
 *
 *   rounds      [rows] [rows] [rows, deletes] [rows, deletes] [nothing]
 *   snapshots   |   seq n+1 |       seq n+2 |             seq n+3      | ◀── main
 */
import { assert } from "../../base/errors.ts";
import type { Seq } from "../../base/ids.ts";
import type { ManifestEntry } from "../iceberg/manifest.ts";
import { type ManifestFile, newManifestFile } from "../iceberg/manifest-list.ts";
import type { Snapshot, TableMetadata } from "../iceberg/metadata.ts";
import { assignRowIds, nextRowId, rowIdsOf } from "../iceberg/row-ids.ts";
import { visitFields } from "../iceberg/schema-ids.ts";
import type { PartitionSpec, Schema } from "../iceberg/types.ts";
import { mainAt, type Requirement, type Update, unchanged } from "../iceberg/updates.ts";
import { markName } from "../rounds.ts";
import { schemaMisfit } from "../schema/schema-fit.ts";
import type { RoundProof } from "../tools/proof.ts";
import { type ExpirySettings, expiredSnapshots } from "./expire.ts";
import { currentSchema } from "./table-creation.ts";

/** A manifest that a round uploaded, read back. */
export interface RoundFile {
  readonly path: string;
  readonly bytes: number;
  readonly schema: Schema;
  readonly specId: number;
  readonly content: "data" | "deletes";
  readonly entries: readonly ManifestEntry[];
  /** undefined: of deletes, or written before there were proofs. */
  readonly proof?: RoundProof | undefined;
}

/** All manifests that a round has for one table. */
export interface RoundPart {
  readonly seq: Seq;
  readonly files: readonly RoundFile[];
}

/** What one snapshot brings in, and where its manifest list goes. */
export interface SnapshotStep {
  readonly files: readonly RoundFile[];
  readonly snapshotId: bigint;
  readonly manifestList: string;
  /** Text of the mark that goes into the summary; the last one's also into the property. */
  readonly mark: string;
}

export interface AppendPlan {
  /** Of main after the commit. */
  readonly snapshotId: bigint;
  /** Oldest first, at least one. */
  readonly snapshots: readonly PlannedSnapshot[];
  readonly requirements: readonly Requirement[];
  readonly updates: readonly Update[];
}

export interface PlannedSnapshot {
  readonly snapshotId: bigint;
  readonly parentId: bigint | null;
  readonly sequenceNumber: number;
  readonly manifestList: string;
  readonly manifests: readonly ManifestFile[];
  /** In format version 3. */
  readonly firstRowId: number | undefined;
}

/** Snapshots that one commit removes at most: each is an update of its own, since old servers take one id at a time. */
const expiriesMax = 100;

/** Which rounds share a snapshot, in their order; at least one group, which may be empty. */
export function snapshotGroups(parts: readonly RoundPart[]): readonly (readonly RoundPart[])[] {
  const groups: RoundPart[][] = [[]];
  for (const part of parts) {
    const group = groups.at(-1) as RoundPart[];
    const hasDeletes = part.files.some((file) => file.content === "deletes");
    if (hasDeletes && group.some((before) => before.files.length > 0)) groups.push([part]);
    else group.push(part);
  }
  return groups;
}

export function planAppend(options: {
  readonly base: TableMetadata;
  readonly inherited: readonly ManifestFile[];
  readonly steps: readonly SnapshotStep[];
  readonly engineVersion: string;
  readonly nowMs: number;
  /** null: nothing is expired, the catalog's service does that. */
  readonly expire: ExpirySettings | null;
}): AppendPlan {
  const { base } = options;
  const current = base.snapshots.find((snapshot) => snapshot["snapshot-id"] === base["current-snapshot-id"]);
  const planned: { readonly snapshot: Snapshot; readonly manifests: readonly ManifestFile[] }[] = [];
  let firstRowId = nextRowId(base);
  for (const [index, step] of options.steps.entries()) {
    const before = planned.at(-1);
    const sequenceNumber = base["last-sequence-number"] + 1 + index;
    const added = step.files.map((file) => {
      const spec = base["partition-specs"].find((known) => known["spec-id"] === file.specId) as PartitionSpec;
      return newManifestFile({ ...file, spec, snapshotId: step.snapshotId, sequenceNumber });
    });
    const { manifests, next } = assignRowIds([...added, ...(before?.manifests ?? options.inherited)], firstRowId);
    const snapshot = {
      ...snapshotOf(step, before?.snapshot ?? current, { ...options, sequenceNumber }),
      ...rowIdsOf(firstRowId, next),
    };
    planned.push({ snapshot, manifests });
    firstRowId = next;
  }
  const last = options.steps.at(-1);
  assert(last !== undefined, "a commit has a snapshot");
  const expired =
    options.expire === null ? [] : expiredSnapshots(base, options.expire, options.nowMs).slice(0, expiriesMax);
  const { snapshotId } = last;
  return {
    snapshotId,
    snapshots: planned.map(({ snapshot, manifests }) => ({
      snapshotId: snapshot["snapshot-id"],
      parentId: snapshot["parent-snapshot-id"] ?? null,
      sequenceNumber: snapshot["sequence-number"],
      manifestList: snapshot["manifest-list"],
      manifests,
      firstRowId: snapshot["first-row-id"],
    })),
    requirements: [
      ...unchanged(base, current?.["snapshot-id"] ?? null),
      ...(expired.length === 0 ? [] : tagsUnmoved(base)),
    ],
    updates: [
      ...planned.map(({ snapshot }) => ({ action: "add-snapshot", snapshot }) as const),
      mainAt(base, snapshotId),
      { action: "set-properties", updates: { [markName]: last.mark } },
      ...expired.map((id) => ({ action: "remove-snapshots", "snapshot-ids": [id] }) as const),
    ],
  };
}

/**
 * Catalogs drop a ref whose snapshot goes: one that was moved to it since must not be. Branches are not demanded, since they
 * move with every write of others, and to new snapshots.
 */
function tagsUnmoved({ refs }: TableMetadata): readonly Requirement[] {
  return Object.entries(refs).flatMap(([ref, { type, "snapshot-id": id }]) =>
    type === "tag" ? [{ type: "assert-ref-snapshot-id", ref, "snapshot-id": id } as const] : [],
  );
}

function snapshotOf(
  step: SnapshotStep,
  parent: Snapshot | undefined,
  options: {
    readonly base: TableMetadata;
    readonly sequenceNumber: number;
    readonly engineVersion: string;
    readonly nowMs: number;
  },
): Snapshot {
  const { base } = options;
  return {
    "snapshot-id": step.snapshotId,
    ...(parent === undefined ? {} : { "parent-snapshot-id": parent["snapshot-id"] }),
    "sequence-number": options.sequenceNumber,
    "timestamp-ms": Math.max(options.nowMs, base["last-updated-ms"]), // Rule E2: never before the parent's.
    "manifest-list": step.manifestList,
    summary: {
      operation: operationOf(step.files),
      ...countsOf(step.files, parent),
      "engine-name": "inlet",
      "engine-version": options.engineVersion,
      [markName]: step.mark,
    },
    "schema-id": base["current-schema-id"],
  };
}

/** Rule E3: readers of increments trust "append" to take nothing away. */
function operationOf(files: readonly RoundFile[]): "append" | "delete" | "overwrite" {
  if (files.every((file) => file.content === "data")) return "append";
  return files.some((file) => file.content === "data") ? "overwrite" : "delete";
}

/** Why a round's files cannot be appended to this base; undefined when they can. */
export function misfit(base: TableMetadata, round: RoundFile): string | undefined {
  const spec = base["partition-specs"].find((known) => known["spec-id"] === round.specId);
  if (spec === undefined) return `partition spec ${round.specId} is gone`;
  const current = currentSchema(base);
  const misfit = schemaMisfit(round.schema, current);
  if (misfit !== undefined) return misfit;
  const ids = new Set<number>();
  visitFields(current, (id) => ids.add(id));
  const keys = round.entries.flatMap((entry) => entry.equalityIds ?? []);
  const dropped = keys.find((id) => !ids.has(id)); // Deletes would have nothing to compare with.
  return dropped === undefined ? undefined : `key column ${dropped} was dropped`;
}

/** Rule E4. Totals go on from the parent's, and are left out when it has none. */
function countsOf(files: readonly RoundFile[], parent: Snapshot | undefined): Readonly<Record<string, string>> {
  const entries = files.flatMap((file) => file.entries);
  const rows = entries.filter((entry) => entry.content === "data");
  const deletes = entries.filter((entry) => entry.content === "equality-deletes");
  const recordsOf = (some: readonly ManifestEntry[]) => some.reduce((sum, entry) => sum + entry.file.recordCount, 0);
  const added = {
    "data-files": rows.length,
    records: recordsOf(rows),
    "files-size": entries.reduce((sum, entry) => sum + entry.file.bytes, 0),
    "delete-files": deletes.length,
    "equality-deletes": recordsOf(deletes),
  };
  const partitions = new Set(entries.map((entry) => entry.file.partition.map(String).join("\u0000")));
  const counts: Record<string, string> = { "changed-partition-count": String(partitions.size) };
  for (const [name, count] of Object.entries(added)) if (count > 0) counts[`added-${name}`] = String(count);
  if (deletes.length > 0) counts["added-equality-delete-files"] = String(deletes.length);
  for (const [name, count] of Object.entries({ ...added, "position-deletes": 0 })) {
    const before = parent === undefined ? "0" : parent.summary?.[`total-${name}`];
    if (before !== undefined && /^\d+$/.test(before)) counts[`total-${name}`] = String(Number(before) + count);
  }
  return counts;
}
