/** One append snapshot, planned on one exact base: summary, requirements and updates. Pure. */
import { assert } from "../base/errors.ts";
import type { Seq } from "../base/ids.ts";
import { type ExpirySettings, expiredSnapshots } from "./expire.ts";
import type { ManifestEntry } from "./iceberg/manifest.ts";
import { type ManifestFile, newManifestFile } from "./iceberg/manifest-list.ts";
import type { Snapshot, TableMetadata } from "./iceberg/metadata.ts";
import { decimalShape } from "./iceberg/primitive.ts";
import { visitFields } from "./iceberg/schema-ids.ts";
import type { IcebergType, PartitionSpec, PrimitiveType, Schema } from "./iceberg/types.ts";
import type { Requirement, Update } from "./iceberg/updates.ts";
import type { RoundProof } from "./proof.ts";
import { markName } from "./rounds.ts";

/** A manifest that a round uploaded, read back. */
export interface RoundFile {
  readonly seq: Seq;
  /** undefined: written before there were proofs. */
  readonly proof: RoundProof | undefined;
  readonly path: string;
  readonly bytes: number;
  readonly schema: Schema;
  readonly specId: number;
  readonly entries: readonly ManifestEntry[];
}

export interface AppendPlan {
  readonly snapshotId: bigint;
  readonly parentId: bigint | null;
  readonly sequenceNumber: number;
  readonly manifests: readonly ManifestFile[];
  readonly requirements: readonly Requirement[];
  readonly updates: readonly Update[];
}

/** Snapshots that one commit removes at most: each is an update of its own, since old servers take one id at a time. */
const expiriesMax = 100;

export function planAppend(options: {
  readonly base: TableMetadata;
  readonly inherited: readonly ManifestFile[];
  readonly rounds: readonly RoundFile[];
  readonly snapshotId: bigint;
  readonly manifestList: string;
  /** Text of the mark that goes into the summary and the property. */
  readonly mark: string;
  readonly engineVersion: string;
  readonly nowMs: number;
  readonly expire: ExpirySettings;
}): AppendPlan {
  const { base, snapshotId } = options;
  const parent = base.snapshots.find((snapshot) => snapshot["snapshot-id"] === base["current-snapshot-id"]);
  const sequenceNumber = base["last-sequence-number"] + 1;
  const added = options.rounds.map((round) => {
    const spec = base["partition-specs"].find((known) => known["spec-id"] === round.specId) as PartitionSpec;
    return newManifestFile({ ...round, spec, snapshotId, sequenceNumber });
  });
  const snapshot: Snapshot = {
    "snapshot-id": snapshotId,
    ...(parent === undefined ? {} : { "parent-snapshot-id": parent["snapshot-id"] }),
    "sequence-number": sequenceNumber,
    "timestamp-ms": Math.max(options.nowMs, base["last-updated-ms"]), // Rule E2: never before the parent's.
    "manifest-list": options.manifestList,
    summary: {
      operation: "append",
      ...countsOf(options.rounds, parent),
      "engine-name": "inlet",
      "engine-version": options.engineVersion,
      [markName]: options.mark,
    },
    "schema-id": base["current-schema-id"],
  };
  const expired = expiredSnapshots(base, options.expire, options.nowMs).slice(0, expiriesMax);
  const parentId = parent?.["snapshot-id"] ?? null;
  return {
    snapshotId,
    parentId,
    sequenceNumber,
    manifests: [...added, ...options.inherited],
    requirements: [
      { type: "assert-table-uuid", uuid: base["table-uuid"] },
      { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": parentId },
    ],
    updates: [
      { action: "add-snapshot", snapshot },
      { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": snapshotId },
      { action: "set-properties", updates: { [markName]: options.mark } },
      ...expired.map((id) => ({ action: "remove-snapshots", "snapshot-ids": [id] }) as const),
    ],
  };
}

/** Why a round's files cannot be appended to this base; undefined when they can. */
export function misfit(base: TableMetadata, round: RoundFile): string | undefined {
  const spec = base["partition-specs"].find((known) => known["spec-id"] === round.specId);
  if (spec === undefined) return `partition spec ${round.specId} is gone`;
  const current = base.schemas.find((schema) => schema["schema-id"] === base["current-schema-id"]);
  assert(current !== undefined, "metadata was checked to have its current schema");
  const types = new Map<number, IcebergType>();
  visitFields(current, (id, type) => types.set(id, type));
  let reason: string | undefined;
  visitFields(round.schema, (id, type) => {
    const now = types.get(id); // A dropped column is only not read any more.
    if (now !== undefined && !reads(type, now)) reason ??= `field ${id} was ${nameOf(type)} and is ${nameOf(now)}`;
  });
  return reason;
}

/** Whether a reader of type `now` understands what was written as `written` (rule G2). */
function reads(written: IcebergType, now: IcebergType): boolean {
  if (typeof written !== "string" || typeof now !== "string") return nameOf(written) === nameOf(now);
  const [a, b] = [written.replaceAll(" ", ""), now.replaceAll(" ", "")];
  if (a === b || (a === "int" && b === "long") || (a === "float" && b === "double")) return true;
  const [narrow, wide] = [decimalShape(written), decimalShape(now)];
  return (
    narrow !== undefined && wide !== undefined && narrow.scale === wide.scale && narrow.precision <= wide.precision
  );
}

function nameOf(type: IcebergType): string {
  return typeof type === "string" ? (type satisfies PrimitiveType) : type.type;
}

/** Rule E4. Totals go on from the parent's, and are left out when it has none. */
function countsOf(rounds: readonly RoundFile[], parent: Snapshot | undefined): Readonly<Record<string, string>> {
  const entries = rounds.flatMap((round) => round.entries);
  const added = {
    "data-files": entries.length,
    records: entries.reduce((sum, entry) => sum + entry.file.recordCount, 0),
    "files-size": entries.reduce((sum, entry) => sum + entry.file.bytes, 0),
  };
  const partitions = new Set(entries.map((entry) => entry.file.partition.map(String).join("\u0000")));
  const counts: Record<string, string> = { "changed-partition-count": String(partitions.size) };
  for (const [name, count] of Object.entries(added)) if (count > 0) counts[`added-${name}`] = String(count);
  const grows = { ...added, "delete-files": 0, "position-deletes": 0, "equality-deletes": 0 };
  for (const [name, count] of Object.entries(grows)) {
    const before = parent === undefined ? "0" : parent.summary[`total-${name}`];
    if (before !== undefined && /^\d+$/.test(before)) counts[`total-${name}`] = String(Number(before) + count);
  }
  return counts;
}
