/**
 * How many bytes lie between two offsets near the end of a partition, without reading them: what a waiting fetch asks at
 * each append. Remembers the ends of the newest batches in a ring; below them the answer is "plenty".
 *
 *   batch ends      120     133            150      171
 *   bytes so far   9000   10100          14200    15300       between(133, 171) = 15300 - 10100
 */
export class Backlog {
  readonly #offsets: Float64Array;
  readonly #totals: Float64Array;
  /** Batches ever added; the newest is at (count - 1) modulo the ring's length. */
  #count = 1;
  #total = 0;

  /** `start` is where the log ends when counting begins. */
  constructor(start: number, batchesMax: number) {
    this.#offsets = new Float64Array(batchesMax);
    this.#totals = new Float64Array(batchesMax);
    this.#offsets[0] = start;
  }

  add(endOffset: number, bytes: number): void {
    const at = this.#count % this.#offsets.length;
    this.#total += bytes;
    this.#offsets[at] = endOffset;
    this.#totals[at] = this.#total;
    this.#count += 1;
  }

  /** Bytes of the batches that end in (from, to]; Infinity when that reaches below what is remembered. */
  between(from: number, to: number): number {
    if (from >= to) return 0;
    const below = this.#totalAt(from);
    return below === undefined ? Number.POSITIVE_INFINITY : (this.#totalAt(to) ?? this.#total) - below;
  }

  /** Bytes of all batches that end at or below the offset; undefined when forgotten. */
  #totalAt(offset: number): number | undefined {
    const length = this.#offsets.length;
    let low = Math.max(0, this.#count - length);
    let high = this.#count; // The answer is the last batch in [low, high) that ends at or below the offset.
    if ((this.#offsets[low % length] as number) > offset) return undefined;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#offsets[middle % length] as number) <= offset) low = middle;
      else high = middle;
    }
    return this.#totals[low % length];
  }
}
