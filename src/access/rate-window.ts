/**
 * How fast something goes, as Kafka measures it: sums of samples of equal length, the newest of which is still filling.
 *
 *   | sum | sum | sum | sum |▒▒▒    rate = all of them / max(time since the oldest, all but one sample's length)
 *
 * Counting a young meter over almost the whole window lets a burst through, and averages to the limit after it.
 */
export interface WindowShape {
  readonly samples: number;
  readonly sampleMs: number;
}

interface Sample {
  readonly sinceMs: number;
  sum: number;
}

export class RateWindow {
  readonly #shape: WindowShape;
  #samples: Sample[] = [];

  constructor(shape: WindowShape) {
    this.#shape = shape;
  }

  /** A negative value takes back what was recorded. */
  record(value: number, nowMs: number): void {
    const { samples, sampleMs } = this.#shape;
    this.#forget(nowMs);
    const last = this.#samples.at(-1);
    if (last !== undefined && nowMs - last.sinceMs < sampleMs) {
      last.sum += value;
      return;
    }
    this.#samples.push({ sinceMs: nowMs, sum: value });
    if (this.#samples.length > samples) this.#samples.shift();
  }

  /** How long nothing may come, so that the rate falls to the limit (a second); 0 when it is not above it. */
  throttleMs(limit: number, nowMs: number): number {
    this.#forget(nowMs);
    const total = this.#samples.reduce((sum, sample) => sum + sample.sum, 0);
    const windowMs = this.#windowMs(nowMs);
    const rate = (total / windowMs) * 1000;
    if (rate <= limit) return 0;
    // A limit of nothing would be a pause without an end: the client asks again after a window.
    const { samples, sampleMs } = this.#shape;
    return limit <= 0 ? samples * sampleMs : Math.round(((rate - limit) / limit) * windowMs);
  }

  #windowMs(nowMs: number): number {
    const { samples, sampleMs } = this.#shape;
    const elapsedMs = nowMs - (this.#samples[0]?.sinceMs ?? nowMs);
    const missing = Math.max(0, samples - 1 - Math.floor(elapsedMs / sampleMs));
    return Math.max(sampleMs, elapsedMs + missing * sampleMs);
  }

  #forget(nowMs: number): void {
    const { samples, sampleMs } = this.#shape;
    this.#samples = this.#samples.filter(({ sinceMs }) => nowMs - sinceMs < samples * sampleMs);
  }
}

/** KIP-599: what may be used at once is a whole window's worth; what was used beyond it is owed. */
export class OwedTokens {
  readonly #shape: WindowShape;
  #tokens: number | undefined;
  #filledMs = 0;

  constructor(shape: WindowShape) {
    this.#shape = shape;
  }

  use(tokens: number, limit: number, nowMs: number): void {
    this.#tokens = this.#fill(limit, nowMs) - tokens;
  }

  /** Until nothing is owed any more; 0 when something is left, however little. */
  throttleMs(limit: number, nowMs: number): number {
    const tokens = this.#fill(limit, nowMs);
    if (tokens >= 0) return 0;
    const { samples, sampleMs } = this.#shape;
    return limit <= 0 ? samples * sampleMs : Math.ceil((-tokens / limit) * 1000);
  }

  #fill(limit: number, nowMs: number): number {
    const burst = (limit * this.#shape.samples * this.#shape.sampleMs) / 1000;
    const before = this.#tokens ?? burst;
    const filled = Math.min(burst, before + ((nowMs - this.#filledMs) / 1000) * limit);
    this.#tokens = filled;
    this.#filledMs = nowMs;
    return filled;
  }
}
