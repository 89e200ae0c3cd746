/**
 * A catalog that only knows which metadata file of a table is the current one: it writes the next file itself and then swings
 * the pointer by compare-and-set. What differs between such catalogs is the PointerStore.
 *
 *   find pointer ─▶ read metadata ─▶ apply updates ─▶ write 0000N-<uuid>.metadata.json ─▶ move pointer ─▶ drop old files
 *                                                                                        └─ unknown: nothing is deleted
 */
import { OperationFailed } from "../src/base/errors.ts";
import { uuidRandom } from "../src/base/ids.ts";
import type { Runtime } from "../src/base/runtime.ts";
import type { Logger } from "../src/base/telemetry.ts";
import type { Catalog, CommitOutcome, LoadedTable, TableName, UnknownOutcome } from "../src/table/catalog.ts";
import { MetadataFiles, type StoredTable } from "../src/table/commit/metadata-files.ts";
import { applyCommit } from "../src/table/iceberg/apply-updates.ts";
import type { TableMetadata } from "../src/table/iceberg/metadata.ts";
import type { Requirement, Update } from "../src/table/iceberg/updates.ts";
import { newTablePlace, type Warehouse } from "../src/table/warehouse.ts";

/** Where pointers are kept. `P` is what one needs of a pointer to move it: a location, a version. */
export interface PointerStore<P extends Pointer> extends AsyncDisposable {
  /** undefined: there is no such table. Throws when something else has its name. */
  find(table: TableName): Promise<P | undefined>;
  /** And those above it. Nothing happens when it is there. */
  makeNamespace(namespace: readonly string[]): Promise<void>;
  /** A new table; "lost" when there is one of that name. */
  insert(table: TableName, next: StoredTable): Promise<Moved>;
  /** "lost" unless the pointer is still `from`. One request, never repeated (rule J4). */
  move(table: TableName, from: P, next: StoredTable): Promise<Moved>;
}

export interface Pointer {
  readonly location: string;
}

export type Moved =
  | { readonly kind: "moved" }
  /** The store says that the pointer is not what was expected. */
  | { readonly kind: "lost"; readonly detail: string }
  | UnknownOutcome;

export interface PointerCatalogDeps {
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly warehouse: Warehouse;
  /** URI below which new tables get their places unless they say their own. */
  readonly warehouseRoot: string;
}

/** Parsed metadata files that are kept: enough for the tables of one broker between two commits. */
const cacheEntriesMax = 32;

export class PointerCatalog<P extends Pointer> implements Catalog {
  readonly name: string;
  readonly #store: PointerStore<P>;
  readonly #deps: PointerCatalogDeps;
  readonly #files: MetadataFiles;
  readonly #logger: Logger;

  constructor(name: string, store: PointerStore<P>, deps: PointerCatalogDeps) {
    this.name = name;
    this.#store = store;
    this.#deps = deps;
    this.#logger = deps.logger.child({ catalog: name });
    const { warehouse, runtime } = deps;
    this.#files = new MetadataFiles({ warehouse, random: runtime.random, logger: this.#logger, cacheEntriesMax });
  }

  async load(table: TableName): Promise<LoadedTable | undefined> {
    const pointer = await this.#store.find(table);
    return pointer === undefined ? undefined : loaded(await this.#files.read(pointer.location));
  }

  async create(table: TableName, updates: readonly Update[]): ReturnType<Catalog["create"]> {
    // Asked first, which throws for names that the store does not keep.
    if ((await this.#store.find(table)) !== undefined) return { kind: "exists" };
    await this.#store.makeNamespace(table.namespace);
    const uuid = uuidRandom(this.#deps.runtime.random);
    const isPlaced = updates.some((update) => update.action === "set-location");
    const location = newTablePlace(this.#deps.warehouseRoot, table, uuid);
    const metadata = this.#apply(
      undefined,
      [{ type: "assert-create" }],
      [
        { action: "assign-uuid", uuid },
        ...updates.filter((update) => update.action !== "assign-uuid"),
        ...(isPlaced ? [] : [{ action: "set-location", location } as const]),
      ],
    );
    if (typeof metadata === "string") return { kind: "exists" }; // Requirements of nothing hold: this cannot be.
    const next = await this.#files.write(metadata, undefined);
    const moved = await this.#store.insert(table, next);
    switch (moved.kind) {
      case "moved":
        return { kind: "created", table: loaded(next) };
      case "unknown":
        return moved;
      case "lost":
        return (await this.#isIn(table, next)) ? { kind: "created", table: loaded(next) } : { kind: "exists" };
    }
  }

  async commit(
    table: TableName,
    requirements: readonly Requirement[],
    updates: readonly Update[],
  ): Promise<CommitOutcome> {
    const pointer = await this.#store.find(table);
    if (pointer === undefined) return { kind: "conflict", detail: `there is no table ${tableText(table)}` };
    const base = await this.#files.read(pointer.location);
    const metadata = this.#apply(base, requirements, updates);
    if (typeof metadata === "string") return { kind: "conflict", detail: metadata };
    if (metadata === base.metadata) return { kind: "committed", table: loaded(base) };
    const next = await this.#files.write(metadata, base.location);
    const moved = await this.#store.move(table, pointer, next);
    switch (moved.kind) {
      case "moved":
        await this.#files.deleteDropped(base, next);
        return { kind: "committed", table: loaded(next) };
      case "unknown":
        return moved;
      case "lost":
        return (await this.#isIn(table, next))
          ? { kind: "committed", table: loaded(next) }
          : { kind: "conflict", detail: moved.detail };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }

  /** The new metadata, or the requirement that failed. Throws when the updates fit no base. */
  #apply(
    base: StoredTable | undefined,
    requirements: readonly Requirement[],
    updates: readonly Update[],
  ): TableMetadata | string {
    const context = { nowMs: this.#deps.runtime.clock.now(), baseLocation: base?.location ?? null };
    const applied = applyCommit(base?.metadata, requirements, updates, context);
    switch (applied.kind) {
      case "applied":
        return applied.metadata;
      case "failed-requirement":
        return applied.detail;
      case "invalid":
        throw new OperationFailed(`catalog ${this.name}: ${applied.detail}`, { happened: "no" });
    }
  }

  /**
   * Whether a move that was answered with "lost" happened all the same: something on the way sent it twice, and the answer is
   * the second one's. The file is left where it is even when it did not: an orphan is cheaper than a table without metadata.
   */
  async #isIn(table: TableName, next: StoredTable): Promise<boolean> {
    const now = await this.load(table);
    if (now === undefined) return false;
    if (now.metadataLocation === next.location) return true;
    return now.metadata["metadata-log"].some((entry) => entry["metadata-file"] === next.location);
  }
}

/** The catalog says no, or something that we do not understand; nothing happened. */
export function refusal(catalog: string, what: string, cause?: unknown): OperationFailed {
  return new OperationFailed(`catalog ${catalog}: ${what}`, { happened: "no", cause });
}

export function tableText(table: TableName): string {
  return [...table.namespace, table.name].join(".");
}

function loaded({ metadata, location }: StoredTable): LoadedTable {
  return { metadata, metadataLocation: location, config: new Map() };
}
