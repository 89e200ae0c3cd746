/** A process that dies before or after one of its effects: a test that dies at each of them in turn has tried every step. */
import type { Compactor, CompactorLimits } from "../../src/table/compactor.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import type { FakePartition } from "./fake-log.ts";
import type { Lake } from "./lake.ts";

class Death extends Error {}

export class Steps {
  readonly #lake: Lake;
  readonly #partitions: readonly FakePartition[];
  #left = Number.POSITIVE_INFINITY;

  /** Appends to the partitions are effects too. */
  constructor(lake: Lake, partitions: readonly FakePartition[] = []) {
    this.#lake = lake;
    this.#partitions = partitions;
  }

  /** False: the work came to its end before that many steps. */
  async dieAt(
    step: number,
    settings: TableSettings,
    limits: Partial<CompactorLimits>,
    work: (compactor: Compactor) => Promise<unknown>,
  ): Promise<boolean> {
    const lake = this.#lake;
    const { hooks } = lake;
    const count = (): void => {
      this.#left -= 1;
      if (this.#left <= 0) throw new Death("the process died here"); // And stays dead: nothing after it happens.
    };
    lake.hooks = {
      request: async () => count(),
      answer: async (_method, _path, response) => {
        count();
        return response;
      },
      write: count,
    };
    const { compactor, metadata } = lake.open([settings], limits);
    metadata.onPropose = count;
    const appends = this.#partitions.map((partition) => {
      const append = partition.append.bind(partition);
      partition.append = async (batch) => {
        count();
        const outcome = await append(batch);
        count();
        return outcome;
      };
      return { partition, append };
    });
    this.#left = step;
    let isDead = false;
    try {
      await work(compactor);
    } catch (cause) {
      isDead = this.#left <= 0;
      if (!isDead) throw cause;
    }
    isDead ||= this.#left <= 0;
    await compactor[Symbol.asyncDispose]();
    for (const { partition, append } of appends) partition.append = append;
    lake.hooks = hooks;
    return isDead;
  }
}
