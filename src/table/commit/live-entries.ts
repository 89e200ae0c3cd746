/**
 * What a table's current snapshot holds, file by file, each with its numbers written out and the manifest that lists it.
 * Manifests never change: what was read for one attempt of a commit serves the next.
 */
import { Gate } from "../../base/async.ts";
import { CorruptData } from "../../base/errors.ts";
import type { ManifestEntry } from "../iceberg/manifest.ts";
import { readManifest } from "../iceberg/manifest.ts";
import type { ManifestFile } from "../iceberg/manifest-list.ts";
import type { TableMetadata } from "../iceberg/metadata.ts";
import { valueKey } from "../iceberg/partition-type.ts";
import type { PartitionSpec } from "../iceberg/types.ts";
import type { Warehouse } from "../warehouse.ts";
import { joinedEntries, schemaOfSpec } from "./manifest-merge.ts";

/** Live: no longer inherited is its snapshot or its sequence numbers. */
export type LiveEntry = Omit<ManifestEntry, "snapshotId" | "sequenceNumber"> & {
  readonly snapshotId: bigint;
  readonly sequenceNumber: number;
};

export interface LiveManifest {
  readonly file: ManifestFile;
  readonly spec: PartitionSpec;
  readonly entries: readonly LiveEntry[];
}

/** A table's live files as one thing to plan on. */
export interface LiveFile {
  readonly entry: LiveEntry;
  readonly spec: PartitionSpec;
}

/** Each may be some MiB. */
const readsAtOnceMax = 8;

export class LiveManifests {
  readonly #warehouse: Warehouse;
  #known = new Map<string, LiveManifest>();

  constructor(warehouse: Warehouse) {
    this.#warehouse = warehouse;
  }

  /** Throws what reading throws; CorruptData for a manifest that cannot be written again, and for a file that is listed twice. */
  async of(metadata: TableMetadata, files: readonly ManifestFile[]): Promise<readonly LiveManifest[]> {
    const gate = new Gate(readsAtOnceMax);
    const read = await Promise.all(
      files.map(async (file) => {
        const known = this.#known.get(file.path);
        // A manifest from before the table had row ids is given them by a later manifest list.
        const isSame = known?.file.firstRowId === file.firstRowId;
        return known !== undefined && isSame ? known : await gate.run(() => this.#read(metadata, file));
      }),
    );
    this.#known = new Map(read.map((manifest) => [manifest.file.path, manifest])); // The rest has gone from the table.
    requireOnce(read);
    return read;
  }

  async #read(metadata: TableMetadata, file: ManifestFile): Promise<LiveManifest> {
    const specs = metadata["partition-specs"];
    const spec = specs.find((each) => each["spec-id"] === file.specId);
    const schema = spec && schemaOfSpec(metadata, spec);
    if (spec === undefined || schema === undefined) {
      const found = `one whose source column is gone`;
      throw new CorruptData({ source: file.path, position: 0, expected: `spec ${file.specId}`, found });
    }
    const manifest = await readManifest(await this.#warehouse.read(file.path), file.path, { schema, specs });
    const entries = joinedEntries([{ file, manifest }], { schema, spec }) as readonly LiveEntry[];
    return { file, spec, entries };
  }
}

/** Some writers add a file again that is there: its rows count twice then, and what takes its place would hold them once. */
function requireOnce(manifests: readonly LiveManifest[]): void {
  const seen = new Set<string>();
  for (const { file, entries } of manifests) {
    for (const entry of entries) {
      const key = fileKey(entry);
      if (seen.has(key)) {
        const found = `${key} once more`;
        throw new CorruptData({ source: file.path, position: 0, expected: "files that are listed once", found });
      }
      seen.add(key);
    }
  }
}

export function liveFiles(manifests: readonly LiveManifest[]): readonly LiveFile[] {
  return manifests.flatMap(({ spec, entries }) => entries.map((entry) => ({ entry, spec })));
}

/** What tells a file from all others: many deletion vectors share a path. */
export function fileKey({ file, vector }: Pick<LiveEntry, "file" | "vector">): string {
  return vector === null ? file.path : `${file.path}#${vector.offset}`;
}

/** Files of one partition of one spec, as text. */
export function partitionKey({ spec, entry }: LiveFile): string {
  return [spec["spec-id"], ...entry.file.partition.map(valueKey)].join("/");
}
