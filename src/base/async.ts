/** Small tools for bounded concurrency. None of them reads a clock of its own. */
import { assert, Closed } from "./errors.ts";
import type { Clock, Random } from "./runtime.ts";

/** Resolves after the delay, or rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const abort = (): void => {
      timer[Symbol.dispose]();
      reject(signal?.reason as Error);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** The promise's outcome, or the abort's reason if that comes first. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => undefined); // Whoever aborted has said why.
    return Promise.reject(signal.reason as Error);
  }
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Whether the work is over in time; it goes on all the same. Rejects as the work does, if that is in time. */
export async function isOverWithin(clock: Clock, delayMs: number, work: Promise<unknown>): Promise<boolean> {
  const patience = new AbortController();
  const late = sleep(clock, delayMs, patience.signal).then(
    () => false,
    () => true, // Aborted: the work was first.
  );
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    patience.abort();
  }
}

export interface BackoffLimits {
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  readonly attemptsMax: number;
}

/** Delay before attempt `attempt` (1 is the first repeat): doubles up to the maximum, with full jitter. */
export function backoffDelayMs(limits: BackoffLimits, attempt: number, random: Random): number {
  const ceiling = Math.min(limits.delayMsMax, limits.delayMsMin * 2 ** Math.min(attempt - 1, 30));
  return limits.delayMsMin + random.unit() * Math.max(0, ceiling - limits.delayMsMin);
}

/** Runs long work in steps, and lets others have the event loop when a slice of time is used up. */
export class Slices {
  readonly #clock: Clock;
  readonly #sliceMsMax: number;
  readonly #signal: AbortSignal | undefined;
  #startedMs: number;

  constructor(options: { readonly clock: Clock; readonly sliceMsMax: number; readonly signal?: AbortSignal }) {
    this.#clock = options.clock;
    this.#sliceMsMax = options.sliceMsMax;
    this.#signal = options.signal;
    this.#startedMs = options.clock.monotonic();
  }

  /** Each `yield` of the work is a place where it may be interrupted. Rejects with the signal's reason when it aborts. */
  async run<T>(work: Generator<void, T, void>): Promise<T> {
    for (let step = work.next(); ; step = work.next()) {
      if (step.done === true) return step.value;
      await this.pause();
    }
  }

  /** Waits for a turn of others if the slice is used up. */
  async pause(): Promise<void> {
    if (this.#clock.monotonic() - this.#startedMs < this.#sliceMsMax) return;
    await sleep(this.#clock, 0, this.#signal);
    this.#startedMs = this.#clock.monotonic();
  }
}

/** Lets at most `width` holders in at once; the others wait in order of arrival. */
export class Gate {
  readonly #width: number;
  #held = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(width: number) {
    assert(width > 0, "a gate of no width never opens");
    this.#width = width;
  }

  async enter(): Promise<Disposable> {
    if (this.#held < this.#width) this.#held += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve)); // The leaver hands its place over.
    let left = false;
    return {
      [Symbol.dispose]: () => {
        if (left) return;
        left = true;
        const next = this.#waiting.shift();
        if (next === undefined) this.#held -= 1;
        else next();
      },
    };
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    using _place = await this.enter();
    return await work();
  }
}

/** Runs one piece of work at a time for a key; callers that come meanwhile share its outcome. */
export class SingleFlight<Key, Value> {
  readonly #flights = new Map<Key, Promise<Value>>();

  run(key: Key, work: () => Promise<Value>): Promise<Value> {
    const running = this.#flights.get(key);
    if (running !== undefined) return running;
    const flight = work().finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }
}

/** Work that runs strictly one after another, in the order in which it was queued. A failure does not stop the lane. */
export class Lane {
  #tail: Promise<unknown> = Promise.resolve();
  #closed = false;

  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new Closed("lane"));
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined); // The failure belongs to the caller of run, which got `result`.
    return result;
  }

  /** Refuses new work and resolves when what was queued has settled. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#tail;
  }
}

/** A loop with an owner, an end and a witness: repeats `turn` every `intervalMs`, or sooner when woken, until disposed. */
export class Loop implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #wake: (() => void) | undefined;
  #woken = false;

  /** `failed` receives what a turn throws; the loop then goes on, so `failed` decides whether the process may. */
  constructor(options: {
    readonly clock: Clock;
    readonly intervalMs: number;
    readonly turn: (signal: AbortSignal) => Promise<void>;
    readonly failed: (cause: unknown) => void;
  }) {
    this.#done = this.#run(options);
  }

  /** Makes the next turn start now, or right after the running one. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Closed("loop"));
    this.#wake?.();
    await this.#done;
  }

  async #run(options: ConstructorParameters<typeof Loop>[0]): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#pause(options.clock, options.intervalMs);
      if (this.#stop.signal.aborted) return;
      try {
        await options.turn(this.#stop.signal);
      } catch (cause) {
        if (!this.#stop.signal.aborted) options.failed(cause);
      }
    }
  }

  #pause(clock: Clock, intervalMs: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        timer[Symbol.dispose]();
        this.#wake = undefined;
        this.#woken = false;
        resolve();
      };
      const timer = clock.after(this.#woken ? 0 : intervalMs, finish);
      this.#wake = finish;
    });
  }
}
