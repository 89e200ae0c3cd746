/** The Iceberg REST catalog's commit vocabulary: requirements that guard a commit and updates that make it up. */
import type { EncryptedKey, Snapshot, SnapshotRef, SortOrder, TableMetadata } from "./metadata.ts";
import type { PartitionSpec, Schema } from "./types.ts";

export type Requirement =
  | { readonly type: "assert-create" }
  | { readonly type: "assert-table-uuid"; readonly uuid: string }
  | { readonly type: "assert-ref-snapshot-id"; readonly ref: string; readonly "snapshot-id": bigint | null }
  | { readonly type: "assert-last-assigned-field-id"; readonly "last-assigned-field-id": number }
  | { readonly type: "assert-current-schema-id"; readonly "current-schema-id": number }
  | { readonly type: "assert-last-assigned-partition-id"; readonly "last-assigned-partition-id": number }
  | { readonly type: "assert-default-spec-id"; readonly "default-spec-id": number }
  | { readonly type: "assert-default-sort-order-id"; readonly "default-sort-order-id": number };

export type Update =
  | { readonly action: "assign-uuid"; readonly uuid: string }
  | { readonly action: "upgrade-format-version"; readonly "format-version": number }
  | { readonly action: "add-schema"; readonly schema: Schema; readonly "last-column-id"?: number }
  | { readonly action: "set-current-schema"; readonly "schema-id": number }
  | { readonly action: "add-spec"; readonly spec: PartitionSpec }
  | { readonly action: "set-default-spec"; readonly "spec-id": number }
  | { readonly action: "add-sort-order"; readonly "sort-order": SortOrder }
  | { readonly action: "set-default-sort-order"; readonly "sort-order-id": number }
  | { readonly action: "add-snapshot"; readonly snapshot: Snapshot }
  | ({ readonly action: "set-snapshot-ref"; readonly "ref-name": string } & SnapshotRef)
  | { readonly action: "remove-snapshots"; readonly "snapshot-ids": readonly bigint[] }
  | { readonly action: "remove-snapshot-ref"; readonly "ref-name": string }
  | { readonly action: "set-location"; readonly location: string }
  | { readonly action: "set-properties"; readonly updates: Readonly<Record<string, string>> }
  | { readonly action: "remove-properties"; readonly removals: readonly string[] }
  | { readonly action: "set-statistics"; readonly "snapshot-id": bigint; readonly statistics: unknown }
  | { readonly action: "remove-statistics"; readonly "snapshot-id": bigint }
  | { readonly action: "set-partition-statistics"; readonly "partition-statistics": unknown }
  | { readonly action: "remove-partition-statistics"; readonly "snapshot-id": bigint }
  | { readonly action: "remove-partition-specs"; readonly "spec-ids": readonly number[] }
  | { readonly action: "remove-schemas"; readonly "schema-ids": readonly number[] }
  | { readonly action: "add-encryption-key"; readonly "encryption-key": EncryptedKey }
  | { readonly action: "remove-encryption-key"; readonly "key-id": string };

/**
 * That main, the columns and the partitions are those that a snapshot was planned on. Of a spec that is not the default one nothing
 * can be demanded: somebody may still take it away.
 */
export function unchanged(base: TableMetadata, parentId: bigint | null): readonly Requirement[] {
  return [
    { type: "assert-table-uuid", uuid: base["table-uuid"] },
    { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": parentId },
    { type: "assert-current-schema-id", "current-schema-id": base["current-schema-id"] },
    { type: "assert-default-spec-id", "default-spec-id": base["default-spec-id"] },
  ];
}

/** The update replaces the ref: what others have set for how long main's history is kept goes on. */
export function mainAt({ refs }: Pick<TableMetadata, "refs">, snapshotId: bigint): Update {
  return {
    ...refs["main"],
    action: "set-snapshot-ref",
    "ref-name": "main",
    type: "branch",
    "snapshot-id": snapshotId,
  };
}
