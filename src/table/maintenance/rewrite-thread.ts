/**
 * A rewriter in a thread of its own, so that neither the event loop nor a translation ever waits behind a rewrite. A thread
 * that has done its job waits a while for the next one, since starting one costs a tenth of a second of processor time, which is
 * more than most rewrites; then it ends, and its memory with it.
 *
 *   this thread                        worker (rewrite-worker.ts)
 *   begin {plan, limits}          ──▶
 *   delete {input}* · file {input}* ──▶  bytes are transferred; one message at a time
 *                                 ◀──  answer
 *   taken {input}*                ──▶
 *                                 ◀──  rows
 *   finish                        ──▶
 *                                 ◀──  result
 *   end                           ──▶
 */
import { Worker } from "node:worker_threads";
import { Closed, OperationFailed } from "../../base/errors.ts";
import type { Clock } from "../../base/runtime.ts";
import type { DeleteInput } from "./delete-filter.ts";
import type {
  RewriteAnswer,
  RewriteInput,
  RewriteLimits,
  RewritePlan,
  RewriteResult,
  TakenAnswer,
} from "./rewrite-core.ts";
import type { RewriteJob, Rewriter } from "./rewriter.ts";

export type ToRewriteWorker =
  | { readonly kind: "begin"; readonly plan: RewritePlan; readonly limits: RewriteLimits }
  | { readonly kind: "delete"; readonly input: DeleteInput }
  | { readonly kind: "file"; readonly input: RewriteInput }
  | { readonly kind: "taken"; readonly input: RewriteInput }
  | { readonly kind: "finish" }
  | { readonly kind: "end" };

export type FromRewriteWorker =
  | { readonly kind: "answer"; readonly answer: RewriteAnswer }
  | { readonly kind: "rows"; readonly answer: TakenAnswer }
  | { readonly kind: "result"; readonly result: RewriteResult }
  | { readonly kind: "failed"; readonly error: unknown };

/** How long a thread waits for its next job. */
const threadIdleMs = 30_000;

export class ThreadRewriter implements Rewriter {
  readonly #limits: RewriteLimits;
  readonly #clock: Clock;
  readonly #jobs = new Set<ThreadJob>();
  /** The thread that waits for a job, one at most. */
  #idle: { readonly worker: Worker; readonly forget: () => void; readonly timer: Disposable } | undefined;
  #isClosed = false;

  constructor(limits: RewriteLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  begin(plan: RewritePlan): RewriteJob {
    if (this.#isClosed) throw new Closed("rewriter");
    const worker = this.#takeIdle() ?? new Worker(new URL(workerFile, import.meta.url));
    const job = new ThreadJob(worker, { plan, limits: this.#limits }, (isUsable) => {
      this.#jobs.delete(job);
      return isUsable && this.#keep(worker);
    });
    this.#jobs.add(job);
    return job;
  }

  /** Jobs that are not finished fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#takeIdle()?.terminate();
    await Promise.all([...this.#jobs].map((job) => job[Symbol.asyncDispose]()));
  }

  #takeIdle(): Worker | undefined {
    const idle = this.#idle;
    this.#idle = undefined;
    idle?.timer[Symbol.dispose]();
    idle?.worker.off("error", idle.forget).off("exit", idle.forget);
    return idle?.worker;
  }

  /** Whether the thread stays. */
  #keep(worker: Worker): boolean {
    if (this.#isClosed || this.#idle !== undefined) return false;
    const timer = this.#clock.after(threadIdleMs, () => {
      this.#idle = undefined;
      void worker.terminate();
    });
    const forget = (): void => {
      if (this.#idle?.worker === worker) this.#takeIdle();
    };
    this.#idle = { worker, forget, timer };
    worker.on("error", forget).on("exit", forget); // A thread that died idle is not given to anybody.
    return true;
  }
}

/** The file beside this one, in its source or its compiled form. */
const workerFile = import.meta.url.endsWith(".ts") ? "./rewrite-worker.ts" : "./rewrite-worker.js";

class ThreadJob implements RewriteJob {
  readonly #worker: Worker;
  /** Told whether the thread could do another job; says whether it stays. */
  readonly #ended: (isUsable: boolean) => boolean;
  readonly #onMessage = (reply: FromRewriteWorker): void => this.#waiting.shift()?.resolve(reply);
  readonly #onError = (cause: unknown): void => this.#die(cause);
  readonly #onExit = (code: number): void => this.#die(new Error(`the rewrite worker ended with code ${code}`));
  #waiting: { readonly resolve: (reply: FromRewriteWorker) => void; readonly reject: (cause: unknown) => void }[] = [];
  #death: unknown;

  constructor(
    worker: Worker,
    job: { readonly plan: RewritePlan; readonly limits: RewriteLimits },
    ended: (isUsable: boolean) => boolean,
  ) {
    this.#worker = worker;
    this.#ended = ended;
    this.#worker.on("message", this.#onMessage).on("error", this.#onError).on("exit", this.#onExit);
    // Its reply is awaited by nobody: a failure here makes the next call fail.
    this.#waiting.push({ resolve: () => {}, reject: () => {} });
    this.#worker.postMessage({ kind: "begin", ...job } satisfies ToRewriteWorker);
  }

  async addDelete(input: DeleteInput): Promise<RewriteAnswer> {
    return answerOf(await this.#call({ kind: "delete", input: { ...input, bytes: ownBytes(input.bytes) } }));
  }

  async add(input: RewriteInput): Promise<RewriteAnswer> {
    return answerOf(await this.#call({ kind: "file", input: { ...input, bytes: ownBytes(input.bytes) } }));
  }

  async taken(input: RewriteInput): Promise<TakenAnswer> {
    const reply = await this.#call({ kind: "taken", input: { ...input, bytes: ownBytes(input.bytes) } });
    if (reply.kind === "rows") return reply.answer;
    throw failure(reply.kind === "failed" ? reply.error : new Error("a question was answered with something else"));
  }

  async finish(): Promise<RewriteResult> {
    const reply = await this.#call({ kind: "finish" });
    if (reply.kind === "result") return reply.result;
    throw failure(reply.kind === "failed" ? reply.error : new Error("a finish was answered with something else"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const isUsable = this.#death === undefined && this.#waiting.length === 0;
    this.#die(new Closed("rewriter"));
    if (isUsable) this.#worker.postMessage({ kind: "end" } satisfies ToRewriteWorker);
    if (!this.#ended(isUsable)) {
      await this.#worker.terminate();
      return;
    }
    // These only: a worker hears nothing any more when all are taken away.
    this.#worker.off("message", this.#onMessage).off("error", this.#onError).off("exit", this.#onExit);
  }

  #call(message: ToRewriteWorker): Promise<FromRewriteWorker> {
    if (this.#death !== undefined) return Promise.reject(failure(this.#death));
    const transfer = "input" in message ? [message.input.bytes.buffer as ArrayBuffer] : [];
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(message, transfer);
    });
  }

  #die(cause: unknown): void {
    this.#death ??= cause;
    for (const { reject } of this.#waiting) reject(failure(cause));
    this.#waiting = [];
  }
}

/** A view of something larger is copied: a transfer takes the whole buffer away from whoever shares it. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);
}

function answerOf(reply: FromRewriteWorker): RewriteAnswer {
  if (reply.kind === "answer") return reply.answer;
  throw failure(reply.kind === "failed" ? reply.error : new Error("an add was answered with a result"));
}

/** Nothing that a rewrite does is seen by others before it is committed. */
function failure(cause: unknown): OperationFailed {
  if (cause instanceof OperationFailed) return cause;
  return new OperationFailed("a rewrite failed", { happened: "no", cause });
}
