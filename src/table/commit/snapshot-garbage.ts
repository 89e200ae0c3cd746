/**
 * Deletes what expired snapshots have left behind, a grace later. What is known lives in memory only: after a crash it is
 * an orphan, which costs space and nothing else.
 */
import { CorruptData, OperationFailed } from "../../base/errors.ts";
import type { Clock } from "../../base/runtime.ts";
import type { Logger } from "../../base/telemetry.ts";
import { isTrue } from "../iceberg/metadata.ts";
import type { Warehouse } from "../warehouse.ts";
import { type Expiry, filesOfExpired, ListedPaths } from "./expired-files.ts";

export interface SnapshotGarbageOptions {
  readonly warehouse: Warehouse;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: {
    /** Readers that began on a snapshot before it was expired have this long to end. */
    readonly expiredGraceMs: number;
    /** Files that wait for their deletion; more become orphans. */
    readonly expiredFilesMax: number;
    /** Manifest lists whose paths are kept in memory, so that an expiry need not read those of every snapshot. */
    readonly expiredListsMax: number;
  };
}

export class SnapshotGarbage {
  readonly #options: SnapshotGarbageOptions;
  readonly #waiting: { readonly dueMs: number; readonly files: readonly string[] }[] = [];
  readonly #listed: ListedPaths;
  #count = 0;

  constructor(options: SnapshotGarbageOptions) {
    this.#options = options;
    this.#listed = new ListedPaths(options.warehouse, { listsMax: options.limits.expiredListsMax });
  }

  /** Never throws for a store that fails: the commit that expired the snapshots stands. */
  async collect(expiry: Expiry): Promise<void> {
    const { warehouse, clock, limits, logger } = this.#options;
    const files = await this.#unlessFailed("what expired snapshots named is not known", () =>
      isTrue(expiry.before.properties, "gc.enabled", true)
        ? filesOfExpired(warehouse, this.#listed, expiry)
        : Promise.resolve([]),
    );
    if (files === undefined || files.length === 0) return;
    if (this.#count + files.length > limits.expiredFilesMax) {
      logger.warn("files of expired snapshots are left as orphans", { files: files.length });
      return;
    }
    this.#waiting.push({ dueMs: clock.monotonic() + limits.expiredGraceMs, files });
    this.#count += files.length;
  }

  /** What nothing names any more, and readers may still be at. */
  *waiting(): Iterable<string> {
    for (const { files } of this.#waiting) yield* files;
  }

  /** Deletes what is due. */
  async sweep(): Promise<void> {
    const { warehouse, clock } = this.#options;
    for (
      let [oldest] = this.#waiting;
      oldest !== undefined && oldest.dueMs <= clock.monotonic();
      [oldest] = this.#waiting
    ) {
      const { files } = oldest;
      this.#waiting.shift();
      this.#count -= files.length;
      await this.#unlessFailed("files of expired snapshots could not be deleted", () => warehouse.remove(files));
    }
  }

  async #unlessFailed<T>(message: string, run: () => Promise<T>): Promise<T | undefined> {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof OperationFailed) && !(error instanceof CorruptData)) throw error;
      this.#options.logger.warn(message, { error });
      return undefined;
    }
  }
}
