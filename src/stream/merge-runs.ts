/** Which neighbours are merged (the rule is in merge-plan.ts). Pure. */

export interface Sized {
  readonly bytes: number;
  /** -1 when unknown. */
  readonly maxTimestamp: number;
}

export interface RunLimits {
  readonly mergeSourcesMin: number;
  readonly mergeSourcesMax: number;
  readonly mergeObjectBytesMax: number;
  readonly mergeSpanMsMax: number;
}

/** Runs [first, end) of neighbours to be merged, the newest, at the end, first. */
export function* chooseRuns(items: readonly Sized[], limits: RunLimits): Generator<{ first: number; end: number }> {
  for (let end = items.length; end >= limits.mergeSourcesMin; ) {
    const first = runStart(items, end, limits);
    const isLongEnough = end - first >= limits.mergeSourcesMin;
    if (isLongEnough) yield { first, end };
    end = isLongEnough ? first : end - 1;
  }
}

/** As far back as limits allow, and then forward again until no source is too large for what it would become. */
function runStart(items: readonly Sized[], end: number, limits: RunLimits): number {
  const newest = items[end - 1] as Sized;
  let first = end;
  let bytes = 0;
  while (first > 0 && end - first < limits.mergeSourcesMax) {
    const older = items[first - 1] as Sized;
    const isDated = older.maxTimestamp >= 0 && newest.maxTimestamp >= 0;
    const isApart = isDated && Math.abs(newest.maxTimestamp - older.maxTimestamp) > limits.mergeSpanMsMax;
    if (bytes + older.bytes > limits.mergeObjectBytesMax || isApart) break;
    bytes += older.bytes;
    first -= 1;
  }
  const growth = Math.max(2, limits.mergeSourcesMin / 2);
  for (;;) {
    const total = bytes;
    let tooLarge = end - 1;
    while (tooLarge >= first && (items[tooLarge] as Sized).bytes * growth <= total) tooLarge -= 1;
    if (tooLarge < first) return first;
    while (first <= tooLarge) {
      // A run is made of neighbours: what stands before it is left out too.
      bytes -= (items[first] as Sized).bytes;
      first += 1;
    }
  }
}

export function bytesOf(ranges: readonly { readonly bytes: number }[]): number {
  return ranges.reduce((sum, { bytes }) => sum + bytes, 0);
}
