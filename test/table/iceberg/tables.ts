/** Table metadata for tests. */
import type { Snapshot, TableMetadata } from "../../../src/table/iceberg/metadata.ts";

export const emptyTable: TableMetadata = {
  "format-version": 2,
  "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1",
  location: "s3://lake/t",
  "last-sequence-number": 0,
  "last-updated-ms": 1000,
  "last-column-id": 2,
  schemas: [
    {
      type: "struct",
      "schema-id": 0,
      fields: [
        { id: 1, name: "id", required: true, type: "long" },
        { id: 2, name: "name", required: false, type: "string" },
      ],
    },
  ],
  "current-schema-id": 0,
  "partition-specs": [{ "spec-id": 0, fields: [] }],
  "default-spec-id": 0,
  "last-partition-id": 999,
  properties: {},
  "current-snapshot-id": -1n,
  snapshots: [],
  "snapshot-log": [],
  "metadata-log": [],
  "sort-orders": [{ "order-id": 0, fields: [] }],
  "default-sort-order-id": 0,
  refs: {},
};

export function snapshot(
  id: bigint,
  parent: bigint | null,
  sequence: number,
  more: { readonly timestampMs?: number; readonly summary?: Readonly<Record<string, string>> } = {},
): Snapshot {
  return {
    "snapshot-id": id,
    ...(parent === null ? {} : { "parent-snapshot-id": parent }),
    "sequence-number": sequence,
    "timestamp-ms": more.timestampMs ?? 1000 + sequence,
    "manifest-list": `s3://lake/t/metadata/snap-${id}.avro`,
    summary: { operation: "append", ...more.summary },
    "schema-id": 0,
  };
}

/** The last one is current. */
export function withSnapshots(table: TableMetadata, snapshots: readonly Snapshot[]): TableMetadata {
  const last = snapshots.at(-1);
  if (last === undefined) return table;
  return {
    ...table,
    snapshots,
    "current-snapshot-id": last["snapshot-id"],
    "last-sequence-number": last["sequence-number"],
    "last-updated-ms": last["timestamp-ms"],
    refs: { main: { "snapshot-id": last["snapshot-id"], type: "branch" } },
    "snapshot-log": snapshots.map((each) => ({
      "timestamp-ms": each["timestamp-ms"],
      "snapshot-id": each["snapshot-id"],
    })),
  };
}
