/**
 * A translator over worker threads. Batches are copied once into memory that is transferred to a worker, files are transferred
 * back; a worker sends and receives one message at a time for each round.
 *
 *   this thread                      worker (translate-worker.ts)
 *   begin {round, plan, limits} ──▶
 *   add {round, call, range}    ──▶  keeps the range
 *                               ◀──  answer {call, outcome}      needs-texts, needs-latest: the range stays there
 *   texts {round, call, brought} ─▶  adds the kept range again
 *   touches {round, call}       ──▶
 *                               ◀──  answer {call, touches}
 *   finish {round, call}        ──▶
 *                               ◀──  answer {call, result}
 *   end {round}                 ──▶
 */
import { Worker } from "node:worker_threads";
import { sleep } from "../../base/async.ts";
import { copyInto } from "../../base/bytes.ts";
import { Closed, OperationFailed } from "../../base/errors.ts";
import type { Clock } from "../../base/runtime.ts";
import { type Subjects, subjectsOf } from "../settings.ts";
import type { AddOutcome, RangeInput, Round, RoundPlan, RoundResult, Touches, Translator } from "./translate.ts";
import { answer, type Brought, type Schemas } from "./translate-answer.ts";
import type { CoreOutcome, RoundLimits } from "./translate-round.ts";

export type ToWorker =
  | { readonly kind: "begin"; readonly round: number; readonly plan: RoundPlan; readonly limits: RoundLimits }
  | { readonly kind: "add"; readonly round: number; readonly call: number; readonly range: RangeInput }
  | {
      readonly kind: "texts";
      readonly round: number;
      readonly call: number;
      readonly brought: Brought;
    }
  | { readonly kind: "touches"; readonly round: number; readonly call: number }
  | {
      readonly kind: "finish";
      readonly round: number;
      readonly call: number;
      readonly leaveOut: Uint8Array | undefined;
    }
  | { readonly kind: "end"; readonly round: number };

export type FromWorker =
  | { readonly kind: "outcome"; readonly call: number; readonly outcome: CoreOutcome }
  | { readonly kind: "touches"; readonly call: number; readonly touches: Touches }
  | { readonly kind: "result"; readonly call: number; readonly result: RoundResult }
  /** The call failed; the worker goes on. */
  | { readonly kind: "failed"; readonly call: number; readonly error: unknown };

export interface PoolOptions extends Schemas {
  readonly clock: Clock;
  readonly workers: number;
  readonly limits: RoundLimits;
}

export class PoolTranslator implements Translator {
  readonly #options: PoolOptions;
  readonly #threads: Thread[] = [];
  #rounds = 0;
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Threads start when they are first needed; a round stays on the one with the fewest rounds. */
  beginRound(plan: RoundPlan): Round {
    if (this.#isClosed) throw new Closed("translator");
    this.#rounds += 1;
    const thread = this.#thread();
    thread.send({ kind: "begin", round: this.#rounds, plan, limits: this.#options.limits }, []);
    return new PoolRound(thread, this.#rounds, { ...this.#options, subjects: subjectsOf(plan.settings) });
  }

  /** Rounds that are not finished fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#threads.map((thread) => thread.stop(new Closed("translator"))));
  }

  #thread(): Thread {
    const alive = this.#threads.filter((thread) => !thread.isDead);
    this.#threads.splice(0, this.#threads.length, ...alive);
    const idlest = alive.reduce<Thread | undefined>(
      (best, thread) => (best === undefined || thread.rounds < best.rounds ? thread : best),
      undefined,
    );
    if (idlest !== undefined && (idlest.rounds === 0 || alive.length >= this.#options.workers)) return idlest;
    const thread = new Thread();
    this.#threads.push(thread);
    return thread;
  }
}

interface Waiting {
  readonly resolve: (answer: FromWorker) => void;
  readonly reject: (cause: unknown) => void;
}

/** One worker and the calls that wait for it. When it dies, they all fail, and the pool starts another for new rounds. */
class Thread {
  rounds = 0;
  isDead = false;
  #calls = 0;
  readonly #waiting = new Map<number, Waiting>();
  readonly #worker = new Worker(new URL(workerFile, import.meta.url));

  constructor() {
    this.#worker.on("message", (message: FromWorker) => this.#settle(message));
    this.#worker.on("error", (cause) => this.#die(cause));
    this.#worker.on("exit", (code) => this.#die(new Error(`the translation worker ended with code ${code}`)));
    this.#worker.unref(); // A process that has nothing else to do may end.
  }

  send(message: ToWorker, transfer: readonly ArrayBuffer[]): void {
    this.#worker.postMessage(message, [...transfer]);
  }

  call(make: (call: number) => ToWorker, transfer: readonly ArrayBuffer[] = []): Promise<FromWorker> {
    if (this.isDead) return Promise.reject(failure(new Error("the translation worker has ended")));
    this.#calls += 1;
    const call = this.#calls;
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject });
      this.send(make(call), transfer);
    });
  }

  async stop(cause: unknown): Promise<void> {
    this.#die(cause);
    await this.#worker.terminate();
  }

  #settle(message: FromWorker): void {
    const waiting = this.#waiting.get(message.call);
    this.#waiting.delete(message.call);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (message.kind === "failed") waiting?.reject(failure(message.error));
    else waiting?.resolve(message);
  }

  #die(cause: unknown): void {
    this.isDead = true;
    for (const waiting of this.#waiting.values()) waiting.reject(failure(cause));
    this.#waiting.clear();
  }
}

/** The file beside this one, in its source or its compiled form. */
const workerFile = import.meta.url.endsWith(".ts") ? "./translate-worker.ts" : "./translate-worker.js";

/** Nothing that a round does is seen by others before its files are uploaded. */
function failure(cause: unknown): OperationFailed {
  if (cause instanceof OperationFailed) return cause;
  return new OperationFailed("a translation round failed", { happened: "no", cause });
}

class PoolRound implements Round {
  readonly #thread: Thread;
  readonly #round: number;
  readonly #options: PoolOptions & { readonly subjects: Subjects };
  #isEnded = false;

  constructor(thread: Thread, round: number, options: PoolOptions & { readonly subjects: Subjects }) {
    this.#thread = thread;
    this.#round = round;
    this.#options = options;
    thread.rounds += 1;
  }

  async add(range: RangeInput): Promise<AddOutcome> {
    const round = this.#round;
    const { batches, buffers } = await copied(range.batches, this.#options.clock);
    let isSent = false;
    return await answer(this.#options, this.#options.subjects, async (brought): Promise<CoreOutcome> => {
      const reply = isSent
        ? await this.#thread.call((call) => ({ kind: "texts", round, call, brought }))
        : await this.#thread.call((call) => ({ kind: "add", round, call, range: { ...range, batches } }), buffers);
      isSent = true;
      if (reply.kind !== "outcome") throw failure(new Error(`an add was answered with ${reply.kind}`));
      return reply.outcome;
    });
  }

  async touches(): Promise<Touches> {
    const reply = await this.#thread.call((call) => ({ kind: "touches", round: this.#round, call }));
    if (reply.kind !== "touches") throw failure(new Error(`a question for touches was answered with ${reply.kind}`));
    return reply.touches;
  }

  async finish(leaveOut?: Uint8Array): Promise<RoundResult> {
    const reply = await this.#thread.call((call) => ({ kind: "finish", round: this.#round, call, leaveOut }));
    if (reply.kind !== "result") throw failure(new Error(`a finish was answered with ${reply.kind}`));
    return reply.result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#thread.rounds -= 1;
    if (!this.#thread.isDead) this.#thread.send({ kind: "end", round: this.#round }, []);
  }
}

/** Copied before others get a turn: about half a millisecond, memory's first touch included. */
const copyBytesMax = 512 * 1024;

/** Copies of the batches, in memory of their own: the caller's may lie in slabs, which must never be transferred. */
async function copied(
  batches: readonly Uint8Array[],
  clock: Clock,
): Promise<{ readonly batches: readonly Uint8Array<ArrayBuffer>[]; readonly buffers: readonly ArrayBuffer[] }> {
  let left = copyBytesMax;
  const copies: Uint8Array<ArrayBuffer>[] = [];
  for (const batch of batches) {
    const copy = new Uint8Array(batch.length);
    for (let at = 0; at < batch.length; ) {
      if (left === 0) {
        await sleep(clock, 0);
        left = copyBytesMax;
      }
      const piece = batch.subarray(at, at + left);
      copyInto(copy, at, piece);
      at += piece.length;
      left -= piece.length;
    }
    copies.push(copy);
  }
  return { batches: copies, buffers: copies.map((copy) => copy.buffer) };
}
