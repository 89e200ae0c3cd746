/** Looks for a commit's rows in the live files of a table whose history was cut by somebody's expiry. */
import { deserializeValue } from "./iceberg/bounds.ts";
import { type ManifestEntry, readManifest } from "./iceberg/manifest.ts";
import type { ManifestFile } from "./iceberg/manifest-list.ts";
import type { TableMetadata } from "./iceberg/metadata.ts";
import type { Schema } from "./iceberg/types.ts";
import type { CommitMark } from "./rounds.ts";
import type { Warehouse } from "./warehouse.ts";

interface Table {
  readonly manifests: readonly ManifestFile[];
  readonly metadata: TableMetadata;
  /** Field ids of the columns that hold a record's offset and partition. */
  readonly columns: { readonly offset: number; readonly partition: number };
  readonly warehouse: Warehouse;
}

/**
 * Whether for every partition that the mark's commit wrote to there is a live file which holds that partition and reaches
 * the offsets that the commit began with. Files without bounds on these columns confirm nothing.
 */
export async function isConfirmed(mark: CommitMark, table: Table): Promise<boolean> {
  const missing = new Map(mark.began);
  if (missing.size === 0) return false; // A commit without rows left nothing to look for.
  for await (const { file } of liveEntries(table)) {
    const offsets = boundsOf(file, table.columns.offset, "long");
    const partitions = boundsOf(file, table.columns.partition, "int");
    if (offsets === undefined || partitions === undefined) continue;
    for (const [partition, from] of missing) {
      if (partitions.lower <= partition && partition <= partitions.upper && offsets.upper >= from) {
        missing.delete(partition);
      }
    }
    if (missing.size === 0) return true;
  }
  return false;
}

async function* liveEntries({ manifests, metadata, warehouse }: Table): AsyncIterable<ManifestEntry> {
  const schema = metadata.schemas.find((each) => each["schema-id"] === metadata["current-schema-id"]) as Schema;
  const newestFirst = [...manifests].sort((a, b) => b.sequenceNumber - a.sequenceNumber);
  for (const manifest of newestFirst) {
    if (manifest.content !== "data") continue;
    const bytes = await warehouse.read(manifest.path);
    const read = await readManifest(bytes, manifest.path, { schema, specs: metadata["partition-specs"] });
    yield* read.entries.filter((entry) => entry.status !== "deleted" && entry.content === "data");
  }
}

function boundsOf(file: ManifestEntry["file"], column: number, type: "int" | "long") {
  const [lower, upper] = [file.lowerBounds.get(column), file.upperBounds.get(column)];
  if (lower === undefined || upper === undefined) return undefined;
  // Offsets are below 2^53: checked where they enter the broker.
  return { lower: Number(deserializeValue(type, lower)), upper: Number(deserializeValue(type, upper)) };
}
