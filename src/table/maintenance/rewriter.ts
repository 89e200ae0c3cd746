/** Who carries out rewrites: a thread of its own (rewrite-thread.ts), or the caller's (here), for simulations and tests. */
import type { DeleteInput } from "./delete-filter.ts";
import {
  type RewriteAnswer,
  RewriteCore,
  type RewriteInput,
  type RewriteLimits,
  type RewritePlan,
  type RewriteResult,
  type TakenAnswer,
} from "./rewrite-core.ts";

export interface Rewriter extends AsyncDisposable {
  begin(plan: RewritePlan): RewriteJob;
}

/** Deletes are added first, then files; finish or dispose ends the job. After "unreadable" it can only be disposed of. */
export interface RewriteJob extends AsyncDisposable {
  /** The bytes are given away: nobody else may use them. */
  addDelete(input: DeleteInput): Promise<RewriteAnswer>;
  add(input: RewriteInput): Promise<RewriteAnswer>;
  /** Which rows of the file the deletes have taken. A job that asks this writes nothing. */
  taken(input: RewriteInput): Promise<TakenAnswer>;
  finish(): Promise<RewriteResult>;
}

export class InlineRewriter implements Rewriter {
  readonly #limits: RewriteLimits;

  constructor(limits: RewriteLimits) {
    this.#limits = limits;
  }

  begin(plan: RewritePlan): RewriteJob {
    const core = new RewriteCore(plan, this.#limits);
    return {
      addDelete: async (input) => core.addDelete(input),
      add: async (input) => core.add(input),
      taken: async (input) => core.taken(input),
      finish: async () => core.finish(),
      async [Symbol.asyncDispose]() {},
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
