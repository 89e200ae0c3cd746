/** How often a thing is told that a request names again and again. */
export const tellingsMax = 10;

/**
 * The entries, of those that name one thing the first few. Kafka tells a thing as often as it is named, and a description may
 * be a thousand times as long as the name.
 */
export function fewOfEach<Entry>(entries: Iterable<Entry>, keyOf: (entry: Entry) => unknown): readonly Entry[] {
  const told = new Map<unknown, number>();
  const few: Entry[] = [];
  for (const entry of entries) {
    const key = keyOf(entry);
    const times = (told.get(key) ?? 0) + 1;
    told.set(key, times);
    if (times <= tellingsMax) few.push(entry);
  }
  return few;
}

/** What a request names more than once. In one pass: a request may name hundreds of thousands of things. */
export function repeated<Key>(keys: Iterable<Key>): ReadonlySet<Key> {
  const seen = new Set<Key>();
  const again = new Set<Key>();
  for (const key of keys) (seen.has(key) ? again : seen).add(key);
  return again;
}
