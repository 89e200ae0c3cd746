/** Work that takes minutes, one of a name at a time: started once, watched by whoever asks, its last result kept. */
import { sleep } from "../../base/async.ts";
import type { Clock } from "../../base/runtime.ts";

export type RunState<Progress, Result> =
  | { readonly state: "running"; readonly progress: Progress | null }
  | { readonly state: "done"; readonly result: Result }
  | { readonly state: "failed"; readonly error: string };

export class LongRuns<Progress, Result> implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #states = new Map<string, RunState<Progress, Result>>();
  readonly #running = new Map<string, Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Joins the run of this name that is under way, if there is one. */
  start(name: string, work: (signal: AbortSignal, say: (progress: Progress) => void) => Promise<Result>): void {
    if (this.#running.has(name)) return;
    this.#states.set(name, { state: "running", progress: null });
    const say = (progress: Progress): void => void this.#states.set(name, { state: "running", progress });
    const run = work(this.#stop.signal, say)
      .then(
        (result) => void this.#states.set(name, { state: "done", result }),
        (cause: unknown) => void this.#states.set(name, { state: "failed", error: wordsOf(cause) }),
      )
      .finally(() => this.#running.delete(name));
    this.#running.set(name, run);
  }

  isRunning(name: string): boolean {
    return this.#running.has(name);
  }

  /** As it is when the run ends, or after `waitMs`; undefined when nothing of this name was started. */
  async state(name: string, waitMs: number, signal: AbortSignal): Promise<RunState<Progress, Result> | undefined> {
    const run = this.#running.get(name);
    if (run !== undefined) {
      const enough = new AbortController();
      const waiting = sleep(this.#clock, waitMs, AbortSignal.any([signal, enough.signal])).catch(() => undefined);
      await Promise.race([run, waiting]);
      enough.abort();
    }
    return this.#states.get(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running.values());
  }
}

function wordsOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
