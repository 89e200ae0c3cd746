/** Lists in a table's metadata that stand beside its snapshots: statistics of one snapshot each, and keys of encrypted files. */
import type { EncryptedKey, TableMetadata } from "./metadata.ts";

/** Metadata while a commit is applied to it. The lists are replaced, never changed. */
export type MetadataDraft = { -readonly [Name in keyof TableMetadata]: TableMetadata[Name] };

type StatisticsList = "statistics" | "partition-statistics";

/** A snapshot has one file of each kind. */
export function setStatistics(metadata: MetadataDraft, list: StatisticsList, snapshotId: bigint, file: unknown): void {
  metadata[list] = [...statisticsWithout(metadata, list, new Set([snapshotId])), file];
}

export function removeStatistics(metadata: MetadataDraft, list: StatisticsList, removed: ReadonlySet<bigint>): void {
  if (metadata[list] !== undefined) metadata[list] = statisticsWithout(metadata, list, removed);
}

function statisticsWithout(metadata: TableMetadata, list: StatisticsList, removed: ReadonlySet<bigint>) {
  const files = (metadata[list] ?? []) as readonly { readonly "snapshot-id": bigint | number }[];
  return files.filter((file) => !removed.has(BigInt(file["snapshot-id"])));
}

export function addEncryptionKey(metadata: MetadataDraft, key: EncryptedKey): void {
  const known = metadata["encryption-keys"] ?? [];
  if (!known.some((each) => each["key-id"] === key["key-id"])) metadata["encryption-keys"] = [...known, key];
}

export function removeEncryptionKey(metadata: MetadataDraft, id: string): void {
  const left = metadata["encryption-keys"]?.filter((key) => key["key-id"] !== id);
  if (left !== undefined) metadata["encryption-keys"] = left;
}
