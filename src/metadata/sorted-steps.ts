/** Sorting in small steps, so that an event loop is never held for long by many entries. */

/** Entries that are sorted in one step: some tenths of a millisecond. */
const stepEntries = 1000;

type Entry<Key, Value> = readonly [Key, Value];

/** A map, as far as it is read here. */
export interface Entries<Key, Value> extends Iterable<Entry<Key, Value>> {
  readonly size: number;
  keys(): Iterable<Key>;
}

/** Yields between the steps; returns the entries by key: null first, numbers by size, strings by code unit. */
export function* sortedSteps<Key extends number | string | null, Value>(
  map: Entries<Key, Value>,
): Generator<undefined, Iterable<Entry<Key, Value>>> {
  if (yield* isInOrder(map)) return map; // As maps are that were filled in the order of their keys: then nothing is copied.
  let runs: Entry<Key, Value>[][] = [];
  let run: Entry<Key, Value>[] = [];
  for (const entry of map) {
    run.push(entry);
    if (run.length < stepEntries) continue;
    runs.push(run.sort(byKey));
    run = [];
    yield;
  }
  runs.push(run.sort(byKey));
  while (runs.length > 1) {
    const merged: Entry<Key, Value>[][] = [];
    for (let i = 0; i < runs.length; i += 2) merged.push(yield* mergedSteps(runs[i] ?? [], runs[i + 1] ?? []));
    runs = merged;
  }
  return runs[0] ?? [];
}

function* isInOrder<Key extends number | string | null>(map: Entries<Key, unknown>): Generator<undefined, boolean> {
  let before: Key | undefined;
  let sinceStep = 0;
  for (const key of map.keys()) {
    if (before !== undefined && compare(before, key) > 0) return false;
    before = key;
    sinceStep += 1;
    if (sinceStep < stepEntries) continue;
    sinceStep = 0;
    yield;
  }
  return true;
}

function* mergedSteps<Key extends number | string | null, Value>(
  a: readonly Entry<Key, Value>[],
  b: readonly Entry<Key, Value>[],
): Generator<undefined, Entry<Key, Value>[]> {
  const merged: Entry<Key, Value>[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [left, right] = [a[i], b[j]];
    const isLeft = right === undefined || (left !== undefined && byKey(left, right) < 0);
    merged.push((isLeft ? left : right) as Entry<Key, Value>);
    if (isLeft) i += 1;
    else j += 1;
    if (merged.length % stepEntries === 0) yield;
  }
  return merged;
}

function byKey<Key extends number | string | null>([a]: Entry<Key, unknown>, [b]: Entry<Key, unknown>): number {
  return compare(a, b);
}

function compare<Key extends number | string | null>(a: Key, b: Key): number {
  if (a === b) return 0;
  return a === null || (b !== null && a < b) ? -1 : 1;
}
