/** A process over a lake that dies now and then while it is in trouble, at some effect of its. A seed decides. */
import { OperationFailed } from "../../src/base/errors.ts";
import type { Random } from "../../src/base/runtime.ts";
import type { Compactor, CompactorLimits } from "../../src/table/compactor.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import type { Lake } from "./lake.ts";

/** The process ends here: nothing after it runs, and nobody catches it. */
export class Crash extends Error {
  constructor() {
    super("the process died here");
  }
}

export function wasCrash(cause: unknown): boolean {
  return cause instanceof Error && (cause instanceof Crash || wasCrash(cause.cause));
}

export class Crashes {
  count = 0;
  #isOn = false;
  #isDead = false;
  readonly #random: Random;
  readonly #chance: number;

  /** `chance`: of each effect in trouble to be the last. */
  constructor(random: Random, chance: number) {
    this.#random = random;
    this.#chance = chance;
  }

  /** Not in trouble yet. */
  open(lake: Lake, settings: TableSettings, limits: Partial<CompactorLimits>): Compactor {
    this.#isOn = false;
    this.#isDead = false;
    const effect = (): void => this.#maybe();
    const answer = async (_method: string, _path: string, response: Response): Promise<Response> => {
      effect();
      return response;
    };
    lake.hooks = { request: async () => effect(), answer, write: effect };
    const { compactor, metadata } = lake.open([settings], limits);
    metadata.onPropose = effect;
    return compactor;
  }

  /** Does the work, in trouble at this chance. False: it did not come to its end, as may be, and the process is to start again. */
  async during(chance: number, work: () => Promise<unknown>): Promise<boolean> {
    this.#isOn = this.#random.unit() < chance;
    try {
      await work();
      this.#isOn = false;
      return !this.#isDead;
    } catch (cause) {
      if (!wasCrash(cause) && !(cause instanceof OperationFailed)) throw cause;
      return false; // It stays in trouble until it is opened again.
    }
  }

  /** What is tried again after the end has no effect either. */
  #maybe(): void {
    if (this.#isDead) throw new Crash();
    if (!this.#isOn || this.#random.unit() >= this.#chance) return;
    this.#isDead = true;
    this.count += 1;
    throw new Crash();
  }
}
