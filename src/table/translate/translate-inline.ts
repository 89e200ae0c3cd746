/** A translator in the caller's own thread: for simulations and tests, where everything happens in one order. */
import type { AddOutcome, RangeInput, Round, RoundPlan, RoundResult, SchemaById, Translator } from "./translate.ts";
import { answer } from "./translate-answer.ts";
import { RoundCore, type RoundLimits } from "./translate-round.ts";

export class InlineTranslator implements Translator {
  readonly #limits: RoundLimits;
  readonly #schemaById: SchemaById;

  constructor(options: { readonly limits: RoundLimits; readonly schemaById: SchemaById }) {
    this.#limits = options.limits;
    this.#schemaById = options.schemaById;
  }

  beginRound(plan: RoundPlan): Round {
    return new InlineRound(new RoundCore(plan, this.#limits), this.#schemaById);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

class InlineRound implements Round {
  readonly #core: RoundCore;
  readonly #schemaById: SchemaById;

  constructor(core: RoundCore, schemaById: SchemaById) {
    this.#core = core;
    this.#schemaById = schemaById;
  }

  add(range: RangeInput): Promise<AddOutcome> {
    return answer(this.#schemaById, async (texts) => {
      this.#core.learn(texts);
      return this.#core.add(range);
    });
  }

  async finish(): Promise<RoundResult> {
    return this.#core.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
