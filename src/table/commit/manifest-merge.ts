/**
 * Which manifests a commit joins, and what the joined one lists. Pure. Rounds add a manifest each: without joining, a
 * table's manifest list would grow by one a round for ever, and every reader would open all of them.
 *
 *   newest ─────────────────────────────────────▶ oldest
 *   [this commit's] [small … small] [full] [full]           bins are filled from the oldest end, as the reference does:
 *    stay as they are  ▲ one bin      ▲ stay closed          full ones stay, and only the newest bin is ever written again
 */
import { CorruptData } from "../../base/errors.ts";
import type { Manifest, ManifestEntry } from "../iceberg/manifest.ts";
import type { ManifestFile } from "../iceberg/manifest-list.ts";
import { isTrue, type TableMetadata } from "../iceberg/metadata.ts";
import { partitionColumns, widenedTuple } from "../iceberg/partition-type.ts";
import { withRowIds } from "../iceberg/row-ids.ts";
import { visitFields } from "../iceberg/schema-ids.ts";
import type { PartitionSpec, Schema } from "../iceberg/types.ts";

export interface MergeSettings {
  readonly isEnabled: boolean;
  /** Manifests of one spec and content from which on the newest of them are joined. */
  readonly countMin: number;
  /** Joined manifests stay below this, as far as the lengths of their parts tell. */
  readonly bytesTarget: number;
}

/** What the table's owner says wins over what the broker is set to. */
export function mergeSettings(properties: Readonly<Record<string, string>>, defaults: MergeSettings): MergeSettings {
  return {
    isEnabled: isTrue(properties, "commit.manifest-merge.enabled", defaults.isEnabled),
    countMin: positive(properties["commit.manifest.min-count-to-merge"]) ?? defaults.countMin,
    bytesTarget: positive(properties["commit.manifest.target-size-bytes"]) ?? defaults.bytesTarget,
  };
}

/**
 * Groups of inherited manifests to be joined, each of one spec and of one content (rule C8), two or more. `added` manifests of the commit stay
 * apart, so that what it adds is its own, but count towards the newest bin.
 */
export function planMerges(
  inherited: readonly ManifestFile[],
  added: readonly Added[],
  settings: MergeSettings,
): readonly (readonly ManifestFile[])[] {
  if (!settings.isEnabled) return [];
  // An encrypted manifest is not ours to write again.
  const joinable = inherited.filter((manifest) => manifest.keyMetadata === null);
  const kinds = [...new Set(joinable.map(kindOf))];
  return kinds.flatMap((kind) => {
    const newestFirst = joinable
      .filter((manifest) => kindOf(manifest) === kind)
      .sort((a, b) => b.sequenceNumber - a.sequenceNumber);
    const [newest = [], ...older] = packedFromOldest(newestFirst, settings.bytesTarget);
    const waiting = newest.length + added.filter((manifest) => kindOf(manifest) === kind).length;
    return [...(waiting >= settings.countMin ? [newest] : []), ...older].filter((bin) => bin.length > 1);
  });
}

/** Of a manifest that the commit adds. */
type Added = Pick<ManifestFile, "specId" | "content">;

function kindOf({ specId, content }: Added): string {
  return `${content} ${specId}`;
}

/** Bins, the one with the newest manifests first. */
function packedFromOldest(newestFirst: readonly ManifestFile[], bytesTarget: number): readonly ManifestFile[][] {
  const bins: ManifestFile[][] = [];
  let bytes = 0;
  for (const manifest of [...newestFirst].reverse()) {
    const [bin] = bins;
    if (bin === undefined || bytes + manifest.bytes > bytesTarget) {
      bins.unshift([manifest]);
      bytes = manifest.bytes;
    } else {
      bin.unshift(manifest);
      bytes += manifest.bytes;
    }
  }
  return bins;
}

/**
 * The entries of a joined manifest: what is live, with its own snapshot and sequence numbers written out (rules C7, D4),
 * metrics as they stand (B8). Partition values come in the types of `schema`, to which a column may have been widened.
 */
export function joinedEntries(
  parts: readonly { readonly file: ManifestFile; readonly manifest: Manifest }[],
  table: { readonly schema: Schema; readonly spec: PartitionSpec },
): readonly ManifestEntry[] {
  const columns = partitionColumns(table.spec, table.schema);
  return parts.flatMap(({ file: { path, addedSnapshotId, sequenceNumber, firstRowId }, manifest }) =>
    withRowIds({ firstRowId }, manifest.entries)
      .filter((entry) => entry.status !== "deleted")
      .map((entry): ManifestEntry => {
        const { file } = entry;
        const partition = widenedTuple(columns, file.partition, path);
        // Manifests of version 1 know no sequence numbers, and all theirs are 0.
        const inherited = entry.status === "added" || sequenceNumber === 0 ? sequenceNumber : null;
        const sequence = entry.sequenceNumber ?? inherited;
        if (sequence === null) {
          throw new CorruptData({
            source: path,
            position: 0,
            expected: `a sequence number of ${file.path}`,
            found: "none",
          });
        }
        return {
          ...entry,
          status: "existing",
          snapshotId: entry.snapshotId ?? addedSnapshotId,
          sequenceNumber: sequence,
          fileSequenceNumber: entry.fileSequenceNumber ?? inherited,
          file: { ...file, partition },
        };
      }),
  );
}

/**
 * The newest schema that says of which types the spec's partition values are: people drop columns that earlier specs are made
 * of. undefined when the table has forgotten it; what it holds under the spec stays as it is.
 */
export function schemaOfSpec(
  metadata: Pick<TableMetadata, "schemas" | "current-schema-id">,
  spec: PartitionSpec,
): Schema | undefined {
  const current = (schema: Schema): number => Number(schema["schema-id"] === metadata["current-schema-id"]);
  const newestFirst = metadata.schemas.toSorted((a, b) => current(b) - current(a) || b["schema-id"] - a["schema-id"]);
  return newestFirst.find((schema) => hasSources(schema, spec));
}

function hasSources(schema: Schema, spec: PartitionSpec): boolean {
  const present = new Set<number>();
  visitFields(schema, (id) => present.add(id));
  return spec.fields.every((field) => field.transform === "void" || present.has(field["source-id"]));
}

function positive(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}
