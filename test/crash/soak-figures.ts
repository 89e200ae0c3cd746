/** Figures of a long run: how fast memory grows, and how long requests take. Values in, values out. */

export interface MemorySample {
  readonly atMs: number;
  readonly residentBytes: number;
}

export interface Slope {
  readonly mibPerHour: number;
  /** One standard error of it: a slope of less is no slope. */
  readonly error: number;
  readonly minutes: number;
}

const msPerHour = 3_600_000;
const mib = 1024 * 1024;

/** The line with the least squares through the samples; undefined for less than a line needs. */
export function slopeOf(samples: readonly MemorySample[]): Slope | undefined {
  if (samples.length < 3) return undefined;
  const first = (samples[0] as MemorySample).atMs;
  const points = samples.map(({ atMs, residentBytes }) => [(atMs - first) / msPerHour, residentBytes / mib] as const);
  const mean = (at: 0 | 1): number => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const xx = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  if (xx === 0) return undefined;
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / xx;
  const rest = points.reduce((sum, [x, y]) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0);
  const error = Math.sqrt(rest / (points.length - 2) / xx);
  return { mibPerHour: slope, error, minutes: (points.at(-1) as readonly [number, number])[0] * 60 };
}

/** Times in buckets a twentieth apart: an hour of them in a few hundred numbers. */
export class Times {
  readonly #counts: number[] = [];
  #count = 0;
  msMax = 0;

  add(ms: number): void {
    const at = Math.max(0, Math.ceil(Math.log(Math.max(ms, msMin) / msMin) / Math.log(step)));
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#count += 1;
    this.msMax = Math.max(this.msMax, ms);
  }

  get count(): number {
    return this.#count;
  }

  /** Not less than the quantile, and not more than a twentieth above it. */
  quantile(share: number): number {
    let left = Math.ceil(share * this.#count);
    for (const [at, count] of this.#counts.entries()) {
      left -= count ?? 0;
      if (left <= 0) return Math.min(this.msMax, msMin * step ** at);
    }
    return this.msMax;
  }
}

const msMin = 0.1;
const step = 1.05;
