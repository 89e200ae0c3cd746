/**
 * A table's metadata files: read, written anew with each commit, forgotten when they drop out of the metadata log. Whoever
 * keeps the pointer to the current one (the metadata log, a catalog without a server of its own) moves it between the two.
 */
import { assert, OperationFailed } from "../../base/errors.ts";
import { uuidRandom } from "../../base/ids.ts";
import type { Random } from "../../base/runtime.ts";
import type { Logger } from "../../base/telemetry.ts";
import { ObjectMissing } from "../../object-store/object-store.ts";
import { isTrue, type TableMetadata } from "../iceberg/metadata.ts";
import { metadataFileName, metadataVersion, parseMetadata, renderMetadata } from "../iceberg/metadata-json.ts";
import { type Warehouse, withoutSlash } from "../warehouse.ts";

export interface StoredTable {
  readonly metadata: TableMetadata;
  readonly location: string;
}

export interface MetadataFilesOptions {
  readonly warehouse: Warehouse;
  readonly random: Random;
  readonly logger: Logger;
  /** Parsed metadata files that are kept; they never change. */
  readonly cacheEntriesMax: number;
}

/** A pointer, or a client, names a metadata file that is not there. */
export class MetadataFileMissing extends OperationFailed {
  override readonly name = "MetadataFileMissing";
  readonly location: string;
  constructor(location: string, cause: ObjectMissing) {
    super(`there is no metadata file ${location}`, { happened: "no", cause });
    this.location = location;
  }
}

export class MetadataFiles {
  readonly #options: MetadataFilesOptions;
  readonly #cache = new Map<string, TableMetadata>();

  constructor(options: MetadataFilesOptions) {
    this.#options = options;
  }

  /** From the cache when it was read before. */
  async read(location: string): Promise<StoredTable> {
    const metadata = this.#cache.get(location) ?? parseMetadata(await this.#text(location), location);
    this.#remember(location, metadata);
    return { metadata, location };
  }

  /** Rule F7. The file is there when this returns; nobody knows of it before the pointer moves. */
  async write(metadata: TableMetadata, baseLocation: string | undefined): Promise<StoredTable> {
    const directory = metadata.properties["write.metadata.path"] ?? `${metadata.location}/metadata`;
    const version = baseLocation === undefined ? 0 : (metadataVersion(baseLocation) ?? 0) + 1;
    const name = metadataFileName(version, uuidRandom(this.#options.random));
    const location = `${withoutSlash(directory)}/${name}`;
    const outcome = await this.#options.warehouse.create(location, Buffer.from(renderMetadata(metadata)));
    assert(outcome === "created", "a metadata file's name is taken only once");
    this.#remember(location, metadata);
    return { metadata, location };
  }

  /** Rule F5. The commit stands whether or not this succeeds. */
  async deleteDropped(base: StoredTable | undefined, next: StoredTable): Promise<void> {
    if (!isTrue(next.metadata.properties, "write.metadata.delete-after-commit.enabled", false)) return;
    const kept = new Set(next.metadata["metadata-log"].map((entry) => entry["metadata-file"]));
    const dropped = (base?.metadata["metadata-log"] ?? []).map((entry) => entry["metadata-file"]);
    const removed = dropped.filter((file) => !kept.has(file));
    await this.#options.warehouse.remove(removed).catch((error: unknown) => {
      this.#options.logger.warn("old table metadata could not be deleted", { files: removed.length, error });
    });
  }

  /** What was deleted must not be found in the cache. */
  forget(location: string): void {
    this.#cache.delete(location);
  }

  async #text(location: string): Promise<string> {
    try {
      return await this.#options.warehouse.readText(location);
    } catch (cause) {
      if (cause instanceof ObjectMissing) throw new MetadataFileMissing(location, cause);
      throw cause;
    }
  }

  #remember(location: string, metadata: TableMetadata): void {
    this.#cache.delete(location); // To the end: the first key is the one used longest ago.
    this.#cache.set(location, metadata);
    if (this.#cache.size <= this.#options.cacheEntriesMax) return;
    const [oldest] = this.#cache.keys();
    if (oldest !== undefined) this.#cache.delete(oldest);
  }
}
