/**
 * Table metadata (Iceberg spec, "Table Metadata Fields", format versions 2 and 3) as it stands in JSON. 64-bit numbers that may
 * exceed 2^53 (snapshot ids) are bigint: parse and render with json.ts only.
 */
import type { FormatVersion } from "../../../schemas/iceberg.ts";
import type { PartitionSpec, Schema, Transform } from "./types.ts";

export interface TableMetadata {
  readonly "format-version": 1 | 2 | 3;
  readonly "table-uuid": string;
  readonly location: string;
  readonly "last-sequence-number": number;
  readonly "last-updated-ms": number;
  readonly "last-column-id": number;
  readonly schemas: readonly Schema[];
  readonly "current-schema-id": number;
  readonly "partition-specs": readonly PartitionSpec[];
  readonly "default-spec-id": number;
  readonly "last-partition-id": number;
  readonly properties: Readonly<Record<string, string>>;
  /** -1 when the table has no snapshot (rule F2). */
  readonly "current-snapshot-id": bigint;
  readonly snapshots: readonly Snapshot[];
  readonly "snapshot-log": readonly { readonly "timestamp-ms": number; readonly "snapshot-id": bigint }[];
  readonly "metadata-log": readonly { readonly "timestamp-ms": number; readonly "metadata-file": string }[];
  readonly "sort-orders": readonly SortOrder[];
  readonly "default-sort-order-id": number;
  readonly refs: Readonly<Record<string, SnapshotRef>>;
  /** In format version 3: the least row id that no row has been given. */
  readonly "next-row-id"?: number;
  /** In format version 3: keys of encrypted files, each encrypted itself. */
  readonly "encryption-keys"?: readonly EncryptedKey[];
  /** What others wrote and we do not know: kept as it is (rule F9). */
  readonly [unknown: string]: unknown;
}

export interface Snapshot {
  readonly "snapshot-id": bigint;
  readonly "parent-snapshot-id"?: bigint;
  readonly "sequence-number": number;
  readonly "timestamp-ms": number;
  readonly "manifest-list": string;
  readonly summary: Readonly<Record<string, string>>;
  readonly "schema-id"?: number;
  /** In format version 3: where the ids of its new rows begin, and how many it has taken from the table's counter. */
  readonly "first-row-id"?: number;
  readonly "added-rows"?: number;
}

export interface SnapshotRef {
  readonly "snapshot-id": bigint;
  readonly type: "branch" | "tag";
  readonly "min-snapshots-to-keep"?: number;
  readonly "max-snapshot-age-ms"?: number;
  readonly "max-ref-age-ms"?: number;
}

export interface EncryptedKey {
  readonly "key-id": string;
  /** In base64. */
  readonly "encrypted-key-metadata": string;
  readonly "encrypted-by-id"?: string;
  readonly properties?: Readonly<Record<string, string>>;
}

export interface SortOrder {
  readonly "order-id": number;
  readonly fields: readonly {
    readonly transform: Transform;
    readonly "source-id": number;
    readonly direction: "asc" | "desc";
    readonly "null-order": "nulls-first" | "nulls-last";
  }[];
}

/** As Java reads them: `true` in any case of letters is true, whatever else is said is false. */
export function isTrue(properties: Readonly<Record<string, string>>, name: string, byDefault: boolean): boolean {
  return properties[name] === undefined ? byDefault : properties[name].toLowerCase() === "true";
}

/** The version to write the table's manifests in. Tables of version 1 are not written to. */
export function manifestVersion(table: TableMetadata): FormatVersion {
  return table["format-version"] === 3 ? 3 : 2;
}
