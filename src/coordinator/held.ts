/** What members of a group hold: numbered parts of something, as partitions of a topic or tasks of a subtopology. */

export type Numbers<Key> = ReadonlyMap<Key, readonly number[]>;

/** Each part with the member's epoch in which it was assigned: commits of an older one are a zombie's. */
export type Held<Key> = ReadonlyMap<Key, ReadonlyMap<number, number>>;

/** A member that does not say what it owns still owns it. */
export function holdsAny<Key>(owned: Numbers<Key> | null, parts: Held<Key>): boolean {
  if (owned === null) return true;
  for (const [key, numbers] of owned) {
    const wanted = parts.get(key);
    if (wanted !== undefined && numbers.some((number) => wanted.has(number))) return true;
  }
  return false;
}

/** Whether a member that answers to its previous epoch has lost no more than an answer. */
export function ownsOnly<Key>(owned: Numbers<Key> | null, assigned: Held<Key>): boolean {
  if (owned === null) return false;
  for (const [key, numbers] of owned) {
    const has = assigned.get(key);
    if (has === undefined || !numbers.every((number) => has.has(number))) return false;
  }
  return true;
}

export function filtered<Key>(from: Held<Key>, isWanted: (key: Key, number: number) => boolean): Held<Key> {
  const result = new Map<Key, ReadonlyMap<number, number>>();
  for (const [key, numbers] of from) {
    const some = new Map([...numbers].filter(([number]) => isWanted(key, number)));
    if (some.size > 0) result.set(key, some);
  }
  return result;
}

/** The same parts, whatever their epochs. */
export function hasSame<Key>(a: Held<Key>, b: Held<Key>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, numbers] of a) {
    const others = b.get(key);
    if (others?.size !== numbers.size) return false;
    for (const number of numbers.keys()) if (!others.has(number)) return false;
  }
  return true;
}
