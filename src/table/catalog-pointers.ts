/**
 * The embedded catalog's tables: a metadata file in the warehouse, and in the metadata log a pointer to it which moves by
 * compare-and-set. A crash between the two leaves a file that nobody names.
 */
import { assert, CorruptData, OperationFailed } from "../base/errors.ts";
import { uuidRandom } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { Refusal } from "../metadata/events.ts";
import { ObjectMissing } from "../object-store/object-store.ts";
import { applyCommit } from "./iceberg/apply-updates.ts";
import type { TableMetadata } from "./iceberg/metadata.ts";
import { metadataFileName, metadataVersion, parseMetadata, renderMetadata } from "./iceberg/metadata-json.ts";
import type { Requirement, Update } from "./iceberg/updates.ts";
import { ownFiles } from "./table-files.ts";
import { type Warehouse, withoutSlash } from "./warehouse.ts";

/** Parts of a namespace's name are joined by the unit separator, as the REST specification does in paths. */
export const namespaceSeparator = "\u001f";

export interface TableKey {
  readonly namespace: string;
  readonly name: string;
}

export interface StoredTable {
  readonly metadata: TableMetadata;
  readonly location: string;
}

export interface TableChange {
  readonly table: TableKey;
  readonly requirements: readonly Requirement[];
  readonly updates: readonly Update[];
}

export type PointerAnswer =
  | { readonly kind: "committed"; readonly tables: readonly StoredTable[] }
  | { readonly kind: "missing"; readonly table: TableKey }
  | { readonly kind: "failed-requirement"; readonly detail: string }
  | { readonly kind: "invalid"; readonly detail: string }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** A pointer, or a client, names a metadata file that is not there. */
export class MetadataFileMissing extends OperationFailed {
  override readonly name = "MetadataFileMissing";
  readonly location: string;
  constructor(location: string, cause: ObjectMissing) {
    super(`there is no metadata file ${location}`, { happened: "no", cause });
    this.location = location;
  }
}

export interface CatalogPointersOptions {
  readonly metadata: MetadataClient;
  readonly warehouse: Warehouse;
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly limits: {
    /** Parsed metadata files that are kept; they never change. */
    readonly cacheEntriesMax: number;
    /** How often a commit that lost the race is tried on the new base while its requirements still hold. */
    readonly commitAttemptsMax: number;
  };
}

export class CatalogPointers {
  readonly #options: CatalogPointersOptions;
  readonly #cache = new Map<string, TableMetadata>();

  constructor(options: CatalogPointersOptions) {
    this.#options = options;
  }

  pointer(table: TableKey): string | undefined {
    return this.#options.metadata.image.tablePointer(table.namespace, table.name);
  }

  async load(table: TableKey): Promise<StoredTable | undefined> {
    const location = this.pointer(table);
    return location === undefined ? undefined : await this.read(location);
  }

  /** A metadata file, from the cache when it was read before. */
  async read(location: string): Promise<StoredTable> {
    const metadata = this.#cache.get(location) ?? parseMetadata(await this.#text(location), location);
    this.#remember(location, metadata);
    return { metadata, location };
  }

  async #text(location: string): Promise<string> {
    try {
      return await this.#options.warehouse.readText(location);
    } catch (cause) {
      if (cause instanceof ObjectMissing) throw new MetadataFileMissing(location, cause);
      throw cause;
    }
  }

  /** Applies all changes, or none. A table that does not exist is created by a change that asserts it. */
  async commit(changes: readonly TableChange[]): Promise<PointerAnswer> {
    for (let attempt = 1; ; attempt += 1) {
      const plan = await this.#plan(changes);
      if (plan.kind !== "planned") return plan;
      const answer = await this.#propose(plan.steps);
      if (answer === "accepted") {
        await this.#forgetOldMetadata(plan.steps);
        return { kind: "committed", tables: plan.steps.map((step) => step.next) };
      }
      const lostRace = plan.steps.some((step) => (this.pointer(step.table) ?? null) !== step.expected);
      if (!lostRace) return { kind: "refused", refusal: answer };
      if (attempt >= this.#options.limits.commitAttemptsMax) {
        return { kind: "failed-requirement", detail: `lost ${attempt} races to other commits` };
      }
    }
  }

  /** Names and forgets without touching a file: rename, register, drop. */
  async move(
    pointers: readonly {
      readonly table: TableKey;
      readonly expected: string | null;
      readonly location: string | null;
    }[],
  ): Promise<"accepted" | Refusal> {
    const moved = pointers.map(({ table, expected, location }) => {
      return { namespace: table.namespace, table: table.name, expected, location };
    });
    const answer = await this.#options.metadata.propose([{ kind: "move-table-pointers", pointers: moved }]);
    return answer.kind === "accepted" ? "accepted" : answer.refusal;
  }

  /**
   * Deletes the files of a table that was dropped, those under its own location only. The drop stands whether or not this
   * succeeds; what is left over is in nobody's way.
   */
  async purge(location: string): Promise<void> {
    const { warehouse, logger } = this.#options;
    try {
      const { metadata } = await this.read(location);
      if (metadata.properties["gc.enabled"] === "false") return;
      await warehouse.remove(await ownFiles(warehouse, metadata, location));
      this.#cache.delete(location);
    } catch (error) {
      if (!(error instanceof OperationFailed) && !(error instanceof CorruptData)) throw error;
      logger.warn("a dropped table's files could not all be deleted", { location, error });
    }
  }

  async #plan(changes: readonly TableChange[]): Promise<PointerAnswer | Planned> {
    const steps: Step[] = [];
    for (const change of changes) {
      const base = await this.load(change.table);
      const creates = change.requirements.some((requirement) => requirement.type === "assert-create");
      if (base === undefined && !creates) return { kind: "missing", table: change.table };
      const context = { nowMs: this.#options.runtime.clock.now(), baseLocation: base?.location ?? null };
      const applied = applyCommit(base?.metadata, change.requirements, change.updates, context);
      if (applied.kind !== "applied") return applied;
      if (base !== undefined && applied.metadata === base.metadata) {
        steps.push({ table: change.table, base, next: base, expected: base.location });
        continue;
      }
      const place = applied.metadata.location;
      if (place !== base?.metadata.location && !this.#options.warehouse.reaches(`${place}/metadata`)) {
        return { kind: "invalid", detail: `this catalog has no access to ${place}` };
      }
      const location = await this.#write(applied.metadata, base?.location);
      const next = { metadata: applied.metadata, location };
      steps.push({ table: change.table, base, next, expected: base?.location ?? null });
    }
    return { kind: "planned", steps };
  }

  async #write(metadata: TableMetadata, baseLocation: string | undefined): Promise<string> {
    const directory = metadata.properties["write.metadata.path"] ?? `${metadata.location}/metadata`;
    const version = baseLocation === undefined ? 0 : (metadataVersion(baseLocation) ?? 0) + 1;
    const name = metadataFileName(version, uuidRandom(this.#options.runtime.random));
    const location = `${withoutSlash(directory)}/${name}`;
    const outcome = await this.#options.warehouse.create(location, Buffer.from(renderMetadata(metadata)));
    assert(outcome === "created", "a metadata file's name is taken only once");
    this.#remember(location, metadata);
    return location;
  }

  async #propose(steps: readonly Step[]): Promise<"accepted" | Refusal> {
    const moving = steps.filter((step) => step.next.location !== step.expected);
    if (moving.length === 0) return "accepted";
    return await this.move(moving.map((step) => ({ ...step, location: step.next.location })));
  }

  /** Rule F5. The commit stands whether or not this succeeds. */
  async #forgetOldMetadata(steps: readonly Step[]): Promise<void> {
    for (const { base, next } of steps) {
      if (next.metadata.properties["write.metadata.delete-after-commit.enabled"] !== "true") continue;
      const kept = new Set(next.metadata["metadata-log"].map((entry) => entry["metadata-file"]));
      const dropped = (base?.metadata["metadata-log"] ?? []).map((entry) => entry["metadata-file"]);
      const removed = dropped.filter((file) => !kept.has(file));
      await this.#options.warehouse.remove(removed).catch((error: unknown) => {
        this.#options.logger.warn("old table metadata could not be deleted", { files: removed.length, error });
      });
    }
  }

  #remember(location: string, metadata: TableMetadata): void {
    this.#cache.delete(location); // To the end: the first key is the one used longest ago.
    this.#cache.set(location, metadata);
    if (this.#cache.size <= this.#options.limits.cacheEntriesMax) return;
    const [oldest] = this.#cache.keys();
    if (oldest !== undefined) this.#cache.delete(oldest);
  }
}

interface Step {
  readonly table: TableKey;
  readonly base: StoredTable | undefined;
  readonly next: StoredTable;
  readonly expected: string | null;
}

interface Planned {
  readonly kind: "planned";
  readonly steps: readonly Step[];
}
