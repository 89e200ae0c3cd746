/**
 * Joins manifests for the attempts of one commit. What an attempt has joined serves the next one too, for its entries say
 * their numbers themselves; a joined manifest that no commit came to name is an orphan.
 */
import { CorruptData } from "../../base/errors.ts";
import type { Random } from "../../base/runtime.ts";
import type { Logger } from "../../base/telemetry.ts";
import { ObjectMissing } from "../../object-store/object-store.ts";
import { readManifest, writeManifest } from "../iceberg/manifest.ts";
import { type ManifestFile, newManifestFile } from "../iceberg/manifest-list.ts";
import { manifestVersion, type TableMetadata } from "../iceberg/metadata.ts";
import { placesOf } from "../table-state.ts";
import { uniqueUri, type Warehouse } from "../warehouse.ts";
import { joinedEntries, type MergeSettings, mergeSettings, planMerges, schemaOfSpec } from "./manifest-merge.ts";

export interface ManifestMergerDeps {
  readonly warehouse: Warehouse;
  readonly random: Random;
  readonly logger: Logger;
  readonly defaults: MergeSettings;
}

/** The commit that the joined manifests go into. */
interface Commit {
  readonly snapshotId: bigint;
  readonly sequenceNumber: number;
}

export class ManifestMerger {
  readonly #deps: ManifestMergerDeps;
  readonly #joined = new Map<string, ManifestFile>();

  constructor(deps: ManifestMergerDeps) {
    this.#deps = deps;
  }

  /** The manifests that the commit's list names beside the added ones. */
  async merge(
    base: TableMetadata,
    inherited: readonly ManifestFile[],
    added: readonly Pick<ManifestFile, "specId" | "content">[],
    commit: Commit,
  ): Promise<readonly ManifestFile[]> {
    const bins = planMerges(inherited, added, mergeSettings(base.properties, this.#deps.defaults));
    let manifests = inherited;
    for (const bin of bins) {
      const joined = await this.#join(base, bin, commit);
      if (joined === undefined) continue;
      const gone = new Set(bin);
      manifests = [joined, ...manifests.filter((manifest) => !gone.has(manifest))];
    }
    return manifests;
  }

  /** undefined: they must stay as they are, and appending goes on without. */
  async #join(base: TableMetadata, bin: readonly ManifestFile[], commit: Commit): Promise<ManifestFile | undefined> {
    // Between attempts somebody may have given rows their ids.
    const key = bin.map(({ path, firstRowId }) => `${path} ${firstRowId}`).join("\n");
    const known = this.#joined.get(key);
    if (known !== undefined)
      return { ...known, addedSnapshotId: commit.snapshotId, sequenceNumber: commit.sequenceNumber };
    const spec = base["partition-specs"].find((each) => each["spec-id"] === bin[0]?.specId);
    const schema = spec && schemaOfSpec(base, spec);
    if (spec === undefined || schema === undefined) return undefined;
    const { warehouse, random, logger } = this.#deps;
    try {
      const parts = [];
      for (const file of bin) {
        const table = { schema, specs: base["partition-specs"] };
        parts.push({ file, manifest: await readManifest(await warehouse.read(file.path), file.path, table) });
      }
      const entries = joinedEntries(parts, { schema, spec });
      if (entries.length === 0) return undefined;
      const version = manifestVersion(base);
      const bytes = writeManifest({ schema, spec, content: bin[0]?.content ?? "data", entries, version });
      const path = uniqueUri(placesOf(base).metadata, "inlet-merged", ".avro", random);
      await warehouse.create(path, bytes);
      const joined = newManifestFile({ path, bytes: bytes.length, spec, schema, entries, ...commit });
      this.#joined.set(key, joined);
      return joined;
    } catch (error) {
      if (!(error instanceof ObjectMissing) && !(error instanceof CorruptData)) throw error;
      logger.warn("manifests could not be joined", { manifests: bin.length, error });
      return undefined;
    }
  }
}
