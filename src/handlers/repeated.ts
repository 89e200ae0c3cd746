/** What a request names more than once. In one pass: a request may name hundreds of thousands of things. */
export function repeated<Key>(keys: Iterable<Key>): ReadonlySet<Key> {
  const seen = new Set<Key>();
  const again = new Set<Key>();
  for (const key of keys) (seen.has(key) ? again : seen).add(key);
  return again;
}
