/**
 * A commit's rows, recognised by bounds: what a commit wrote is told in its mark, and looked for in the live files when
 * somebody's expiry has cut the table's history.
 */
import { deserializeValue } from "../iceberg/bounds.ts";
import { type ManifestEntry, readManifest } from "../iceberg/manifest.ts";
import type { ManifestFile } from "../iceberg/manifest-list.ts";
import type { TableMetadata } from "../iceberg/metadata.ts";
import type { Schema } from "../iceberg/types.ts";
import type { CommitMark, Trace } from "../rounds.ts";
import type { Warehouse } from "../warehouse.ts";

/** Field ids of the columns that hold a record's offset and partition. */
export interface PlaceColumns {
  readonly offset: number;
  readonly partition: number;
}

interface Table {
  readonly manifests: readonly ManifestFile[];
  readonly metadata: TableMetadata;
  readonly columns: PlaceColumns;
  readonly warehouse: Warehouse;
}

/** A mark stays small: of many files, those that reach furthest. */
const tracesMax = 8;

/** One trace for each range of partitions that files hold, the furthest offset of it. */
export function tracesOf(entries: readonly ManifestEntry[], columns: PlaceColumns): readonly Trace[] {
  const furthest = new Map<string, Trace>();
  for (const { file } of entries) {
    const offsets = boundsOf(file, columns.offset, "long");
    const partitions = boundsOf(file, columns.partition, "int");
    if (offsets === undefined || partitions === undefined) continue;
    const { lower: from, upper: to } = partitions;
    const known = furthest.get(`${from} ${to}`);
    if (known === undefined || known.offset < offsets.upper)
      furthest.set(`${from} ${to}`, { from, to, offset: offsets.upper });
  }
  return [...furthest.values()].sort((a, b) => b.offset - a.offset).slice(0, tracesMax);
}

/**
 * Whether every trace that the mark's commit left is covered by a live file. A rewrite by others keeps rows, so its files
 * cover them too; files without bounds on these columns confirm nothing.
 */
export async function isConfirmed(mark: CommitMark, table: Table): Promise<boolean> {
  let missing = mark.wrote;
  if (missing.length === 0) return true; // No commit of ours had rows: there are none to be missing.
  for await (const { file } of liveEntries(table)) {
    const offsets = boundsOf(file, table.columns.offset, "long");
    const partitions = boundsOf(file, table.columns.partition, "int");
    if (offsets === undefined || partitions === undefined) continue;
    missing = missing.filter((trace) => {
      const holdsOffset = offsets.lower <= trace.offset && trace.offset <= offsets.upper;
      const holdsPartition = partitions.lower <= trace.to && trace.from <= partitions.upper;
      return !(holdsOffset && holdsPartition);
    });
    if (missing.length === 0) return true;
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
