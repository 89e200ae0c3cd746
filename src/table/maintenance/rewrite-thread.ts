/**
 * A rewriter in a thread of its own, so that neither the event loop nor a translation ever waits behind a rewrite. The thread
 * starts with a job and ends with it: maintenance is rare, and an idle thread would keep its memory.
 *
 *   this thread                        worker (rewrite-worker.ts)
 *   begin {plan, limits}          ──▶
 *   delete {input}* · file {input}* ──▶  bytes are transferred; one message at a time
 *                                 ◀──  answer
 *   taken {input}*                ──▶
 *                                 ◀──  rows
 *   finish                        ──▶
 *                                 ◀──  result
 */
import { Worker } from "node:worker_threads";
import { Closed, OperationFailed } from "../../base/errors.ts";
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
  | { readonly kind: "finish" };

export type FromRewriteWorker =
  | { readonly kind: "answer"; readonly answer: RewriteAnswer }
  | { readonly kind: "rows"; readonly answer: TakenAnswer }
  | { readonly kind: "result"; readonly result: RewriteResult }
  | { readonly kind: "failed"; readonly error: unknown };

export class ThreadRewriter implements Rewriter {
  readonly #limits: RewriteLimits;
  readonly #jobs = new Set<ThreadJob>();
  #isClosed = false;

  constructor(limits: RewriteLimits) {
    this.#limits = limits;
  }

  begin(plan: RewritePlan): RewriteJob {
    if (this.#isClosed) throw new Closed("rewriter");
    const job = new ThreadJob(plan, this.#limits, () => this.#jobs.delete(job));
    this.#jobs.add(job);
    return job;
  }

  /** Jobs that are not finished fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#jobs].map((job) => job[Symbol.asyncDispose]()));
  }
}

/** The file beside this one, in its source or its compiled form. */
const workerFile = import.meta.url.endsWith(".ts") ? "./rewrite-worker.ts" : "./rewrite-worker.js";

class ThreadJob implements RewriteJob {
  readonly #worker = new Worker(new URL(workerFile, import.meta.url));
  readonly #ended: () => void;
  #waiting: { readonly resolve: (reply: FromRewriteWorker) => void; readonly reject: (cause: unknown) => void }[] = [];
  #death: unknown;

  constructor(plan: RewritePlan, limits: RewriteLimits, ended: () => void) {
    this.#ended = ended;
    this.#worker.on("message", (reply: FromRewriteWorker) => this.#waiting.shift()?.resolve(reply));
    this.#worker.on("error", (cause) => this.#die(cause));
    this.#worker.on("exit", (code) => this.#die(new Error(`the rewrite worker ended with code ${code}`)));
    // Its reply is awaited by nobody: a failure here makes the next call fail.
    this.#waiting.push({ resolve: () => {}, reject: () => {} });
    this.#worker.postMessage({ kind: "begin", plan, limits } satisfies ToRewriteWorker);
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
    this.#ended();
    this.#die(new Closed("rewriter"));
    await this.#worker.terminate();
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
