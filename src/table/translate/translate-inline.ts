/** A translator in the caller's own thread: for simulations and tests, where everything happens in one order. */
import { type Subjects, subjectsOf } from "../settings.ts";
import type { AddOutcome, RangeInput, Round, RoundPlan, RoundResult, Touches, Translator } from "./translate.ts";
import { answer, type Schemas } from "./translate-answer.ts";
import { RoundCore, type RoundLimits } from "./translate-round.ts";

export class InlineTranslator implements Translator {
  readonly #limits: RoundLimits;
  readonly #schemas: Schemas;

  constructor(options: Schemas & { readonly limits: RoundLimits }) {
    this.#limits = options.limits;
    this.#schemas = options;
  }

  beginRound(plan: RoundPlan): Round {
    return new InlineRound(new RoundCore(plan, this.#limits), this.#schemas, subjectsOf(plan.settings));
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

class InlineRound implements Round {
  readonly #core: RoundCore;
  readonly #schemas: Schemas;
  readonly #subjects: Subjects;

  constructor(core: RoundCore, schemas: Schemas, subjects: Subjects) {
    this.#core = core;
    this.#schemas = schemas;
    this.#subjects = subjects;
  }

  add(range: RangeInput): Promise<AddOutcome> {
    return answer(this.#schemas, this.#subjects, async (brought) => {
      this.#core.learn(brought);
      return this.#core.add(range);
    });
  }

  async touches(): Promise<Touches> {
    return this.#core.touches();
  }

  async finish(leaveOut?: Uint8Array): Promise<RoundResult> {
    return this.#core.finish(leaveOut);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
