/**
 * A map in many small maps. A Map that grows copies all its entries into a table twice as large, in one step: with a million of them
 * that holds the event loop for hundreds of milliseconds. Here a step is as long as a shard.
 */
export interface MutableMap<Key, Value> {
  has(key: Key): boolean;
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): unknown;
  delete(key: Key): boolean;
}

export class ShardedMap<Key, Value> implements MutableMap<Key, Value> {
  readonly #shardOf: (key: Key) => number;
  /** None is empty. */
  readonly #shards = new Map<number, Map<Key, Value>>();
  #size = 0;

  constructor(shardOf: (key: Key) => number) {
    this.#shardOf = shardOf;
  }

  get size(): number {
    return this.#size;
  }

  has(key: Key): boolean {
    return this.#shards.get(this.#shardOf(key))?.has(key) === true;
  }

  get(key: Key): Value | undefined {
    return this.#shards.get(this.#shardOf(key))?.get(key);
  }

  set(key: Key, value: Value): void {
    const number = this.#shardOf(key);
    let shard = this.#shards.get(number);
    if (shard === undefined) {
      shard = new Map();
      this.#shards.set(number, shard);
    }
    this.#size -= shard.size;
    shard.set(key, value);
    this.#size += shard.size;
  }

  delete(key: Key): boolean {
    const number = this.#shardOf(key);
    const shard = this.#shards.get(number);
    if (shard?.delete(key) !== true) return false;
    this.#size -= 1;
    if (shard.size === 0) this.#shards.delete(number);
    return true;
  }

  *keys(): Generator<Key> {
    for (const shard of this.#shards.values()) yield* shard.keys();
  }

  *values(): Generator<Value> {
    for (const shard of this.#shards.values()) yield* shard.values();
  }

  *[Symbol.iterator](): Generator<readonly [Key, Value]> {
    for (const shard of this.#shards.values()) yield* shard;
  }
}

const shardEntries = 1024;

/** For numbers that are given out in order: filled so, it is iterated in order. */
export function shardOfNumber(key: number): number {
  return Math.floor(key / shardEntries);
}
