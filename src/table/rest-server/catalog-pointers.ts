/**
 * The embedded catalog's tables: a metadata file in the warehouse, and in the metadata log a pointer to it which moves by
 * compare-and-set. A crash between the two leaves a file that nobody names.
 */
import { CorruptData, OperationFailed } from "../../base/errors.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { Logger } from "../../base/telemetry.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Refusal } from "../../metadata/events.ts";
import { StoreFailed } from "../../object-store/object-store.ts";
import { MetadataFiles, type StoredTable } from "../commit/metadata-files.ts";
import { ownFiles } from "../commit/table-files.ts";
import { applyCommit } from "../iceberg/apply-updates.ts";
import { isTrue } from "../iceberg/metadata.ts";
import type { Requirement, Update } from "../iceberg/updates.ts";
import { placesOf } from "../table-state.ts";
import type { Warehouse } from "../warehouse.ts";

/** Parts of a namespace's name are joined by the unit separator, as the REST specification does in paths. */
export const namespaceSeparator = "\u001f";

/** Before the location in a pointer that is a view's: no URI of a table's metadata begins so. */
export const viewPrefix = "view:";

export interface TableKey {
  readonly namespace: string;
  readonly name: string;
}

export function isSame(one: TableKey, other: TableKey): boolean {
  return one.namespace === other.namespace && one.name === other.name;
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
  readonly #files: MetadataFiles;

  constructor(options: CatalogPointersOptions) {
    this.#options = options;
    const { warehouse, runtime, logger, limits } = options;
    const { cacheEntriesMax } = limits;
    this.#files = new MetadataFiles({ warehouse, random: runtime.random, logger, cacheEntriesMax });
  }

  /** Of a table. */
  pointer(table: TableKey): string | undefined {
    const pointer = this.#pointer(table);
    return pointer?.startsWith(viewPrefix) === true ? undefined : pointer;
  }

  /** Of a view: where its metadata file is. */
  view(view: TableKey): string | undefined {
    const pointer = this.#pointer(view);
    return pointer?.startsWith(viewPrefix) === true ? pointer.slice(viewPrefix.length) : undefined;
  }

  /** In order. */
  names(namespace: string, kind: "table" | "view"): readonly string[] {
    return [...this.#options.metadata.image.tablePointers(namespace)]
      .filter(([, pointer]) => pointer.startsWith(viewPrefix) === (kind === "view"))
      .map(([name]) => name)
      .sort();
  }

  #pointer({ namespace, name }: TableKey): string | undefined {
    return this.#options.metadata.image.tablePointer(namespace, name);
  }

  async load(table: TableKey): Promise<StoredTable | undefined> {
    const location = this.pointer(table);
    return location === undefined ? undefined : await this.read(location);
  }

  /** Whether a file could be there. */
  reaches(location: string): boolean {
    return this.#options.warehouse.reaches(location);
  }

  /** A metadata file, from the cache when it was read before. */
  async read(location: string): Promise<StoredTable> {
    return await this.#files.read(location);
  }

  /** Applies all changes, or none. A table that does not exist is created by a change that asserts it. */
  async commit(changes: readonly TableChange[]): Promise<PointerAnswer> {
    for (let attempt = 1; ; attempt += 1) {
      const plan = await this.#plan(changes);
      if (plan.kind !== "planned") return plan;
      const answer = await this.#propose(plan.steps);
      if (answer === "accepted") {
        for (const { base, next } of plan.steps) await this.#files.deleteDropped(base, next);
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
      if (!isTrue(metadata.properties, "gc.enabled", true)) return;
      await warehouse.remove(await ownFiles(warehouse, metadata, location));
      this.#files.forget(location);
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
      const { metadata: place } = placesOf(applied.metadata);
      if (!this.#options.warehouse.reaches(`${place}/a`)) return unreachable(place, "it is not where tables may be");
      const next = await this.#files.write(applied.metadata, base?.location).catch(refusedForGood);
      if (next instanceof StoreFailed) return unreachable(place, next.message);
      steps.push({ table: change.table, base, next, expected: base?.location ?? null });
    }
    return { kind: "planned", steps };
  }

  async #propose(steps: readonly Step[]): Promise<"accepted" | Refusal> {
    if (steps.every((step) => step.next.location === step.expected)) return "accepted";
    // A table that stays as it is takes part: what was demanded of it must still hold.
    return await this.move(steps.map((step) => ({ ...step, location: step.next.location })));
  }
}

function unreachable(place: string, why: string): PointerAnswer {
  const fix = "set write.metadata.path, or the location, to where it can write, or leave it out";
  return { kind: "invalid", detail: `this catalog cannot write to ${place} (${why}): ${fix}` };
}

/** What a store says to a place that somebody named, and would say again. */
export function refusedForGood(cause: unknown): StoreFailed {
  if (cause instanceof StoreFailed && !cause.retriable && cause.happened === "no") return cause;
  throw cause;
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
