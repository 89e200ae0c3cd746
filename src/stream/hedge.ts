/**
 * Sends an upload a second time when it takes longer than nearly all of its size did: one slow connection then costs a request
 * instead of the wait. Only for what may be sent twice: the same bytes under the same name, created if absent, or the same
 * part of the same multipart upload.
 *
 *   first   |──────────────────────────▶ · · · still on its way
 *   second                    |────────▶ done: both borrow the bytes until they settle
 */
import type { Clock } from "../base/runtime.ts";
import { MiB } from "../base/settings.ts";
import type { Counter } from "../base/telemetry.ts";

export interface HedgeLimits {
  /** 0: nothing is sent twice. */
  readonly uploadHedgesInFlightMax: number;
  /** An upload that took no longer than this share of its kind is not slow. */
  readonly uploadHedgePercentile: number;
  readonly uploadHedgeMsMin: number;
}

export class Hedge {
  readonly #clock: Clock;
  readonly #limits: HedgeLimits;
  readonly #hedged: Counter;
  /** Newest durations of each class of size, as rings. */
  readonly #samples: readonly Samples[] = classBytesMax.map(() => ({ durationsMs: [], at: 0 }));
  #inFlight = 0;

  constructor(options: {
    readonly clock: Clock;
    readonly limits: HedgeLimits;
    /** Label: winner ("first", "second"). */
    readonly hedged: Counter;
  }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#hedged = options.hedged;
  }

  /** Settles with the first copy that succeeds, or when the last one has failed. */
  async run(bytes: number, send: () => Promise<void>): Promise<void> {
    const startedMs = this.#clock.monotonic();
    const samples = this.#samplesOf(bytes);
    await this.#race(send, slowAfterMs(samples.durationsMs, this.#limits));
    samples.durationsMs[samples.at] = this.#clock.monotonic() - startedMs;
    samples.at = (samples.at + 1) % samplesMax;
  }

  #race(send: () => Promise<void>, secondAfterMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let pending = 0;
      let isHedged = false;
      let isDone = false;
      const launch = (winner: "first" | "second"): void => {
        pending += 1;
        send()
          .then(
            () => {
              if (isHedged && !isDone) this.#hedged.add(1, { winner });
              isDone = true;
              resolve();
            },
            (cause: unknown) => {
              if (pending === 1) reject(cause); // Without effect when the other copy has succeeded.
            },
          )
          .finally(() => {
            pending -= 1;
            timer?.[Symbol.dispose]();
            if (isHedged && pending === 0) this.#inFlight -= 1;
          });
      };
      const timer = Number.isFinite(secondAfterMs)
        ? this.#clock.after(secondAfterMs, () => {
            if (this.#inFlight >= this.#limits.uploadHedgesInFlightMax) return;
            this.#inFlight += 1;
            isHedged = true;
            launch("second");
          })
        : undefined;
      launch("first");
    });
  }

  #samplesOf(bytes: number): Samples {
    return this.#samples[classBytesMax.findIndex((bytesMax) => bytes <= bytesMax)] as Samples;
  }
}

interface Samples {
  readonly durationsMs: number[];
  /** Where the next one goes. */
  at: number;
}

/** Infinity: too little is known, or nothing is ever sent twice. */
function slowAfterMs(durationsMs: readonly number[], limits: HedgeLimits): number {
  if (durationsMs.length < samplesMin || limits.uploadHedgesInFlightMax === 0) return Number.POSITIVE_INFINITY;
  const sorted = durationsMs.toSorted((a, b) => a - b);
  const at = Math.ceil((limits.uploadHedgePercentile / 100) * sorted.length) - 1;
  return Math.max(limits.uploadHedgeMsMin, sorted[Math.max(0, at)] as number);
}

/** A class holds sizes up to four times apart: their durations are alike. */
const classBytesMax = [1 * MiB, 4 * MiB, 16 * MiB, 64 * MiB, Number.POSITIVE_INFINITY];
const samplesMin = 20;
const samplesMax = 128;
