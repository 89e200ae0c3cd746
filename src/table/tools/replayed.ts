/**
 * Which dead letters of a table have become rows by now: offsets of each topic partition. Each replayed round brings a new
 * object, named by the state of the table (table-state.ts) in the very entry of the metadata log that adds the round, so
 * that the two are true together or not at all.
 *
 *   tables/<table>/replayed/<uuid>      {"version":1,"partitions":{"0":[[12,13],[40,44]]}}     ranges [from, to), in order
 */
import { CorruptData } from "../../base/errors.ts";
import { type Uuid, uuidRandom } from "../../base/ids.ts";
import type { Random } from "../../base/runtime.ts";
import type { ObjectStore } from "../../object-store/object-store.ts";
import { isJsonObject, type Json, parseJsonObject, renderJson } from "../iceberg/json.ts";

export interface Place {
  readonly partition: number;
  readonly offset: number;
}

/** By partition: disjoint ranges in order, none beside the next. */
export class OffsetSet {
  readonly #ranges: ReadonlyMap<number, readonly (readonly [from: number, to: number])[]>;

  constructor(ranges: ReadonlyMap<number, readonly (readonly [from: number, to: number])[]> = new Map()) {
    this.#ranges = ranges;
  }

  get ranges(): number {
    return [...this.#ranges.values()].reduce((sum, ranges) => sum + ranges.length, 0);
  }

  has({ partition, offset }: Place): boolean {
    const ranges = this.#ranges.get(partition) ?? [];
    let [low, high] = [0, ranges.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const [from, to] = ranges[middle] as readonly [number, number];
      if (offset < from) high = middle - 1;
      else if (offset >= to) low = middle + 1;
      else return true;
    }
    return false;
  }

  /** What the range has of it, in order. */
  within({ partition, from, to }: { readonly partition: number; readonly from: number; readonly to: number }) {
    return (this.#ranges.get(partition) ?? [])
      .filter(([first, end]) => first < to && end > from)
      .map(([first, end]) => ({ from: Math.max(first, from), to: Math.min(end, to) }));
  }

  without(other: OffsetSet): OffsetSet {
    const left = new Map<number, (readonly [number, number])[]>();
    for (const [partition, ranges] of this.#ranges) {
      const kept: (readonly [number, number])[] = [];
      for (const [from, to] of ranges) {
        let begin = from;
        for (const taken of other.within({ partition, from, to })) {
          if (begin < taken.from) kept.push([begin, taken.from]);
          begin = taken.to;
        }
        if (begin < to) kept.push([begin, to]);
      }
      left.set(partition, kept);
    }
    return new OffsetSet(left);
  }

  with(places: readonly Place[]): OffsetSet {
    const grown = new Map(this.#ranges);
    for (const [partition, own] of Map.groupBy(places, (place) => place.partition)) {
      const added = own.map(({ offset }) => [offset, offset + 1] as const);
      grown.set(partition, joined([...(grown.get(partition) ?? []), ...added]));
    }
    return new OffsetSet(grown);
  }

  render(): string {
    return renderJson({ version: 1, partitions: Object.fromEntries(this.#ranges) as unknown as Json });
  }

  static parse(text: string, source: string): OffsetSet {
    const { version, partitions } = parseJsonObject(text, source);
    const found = renderJson(version ?? null);
    if (version !== 1 || !isJsonObject(partitions))
      throw new CorruptData({ source, position: 0, expected: "offsets of version 1", found });
    return new OffsetSet(
      new Map(Object.entries(partitions).map(([partition, ranges]) => [Number(partition), rangesOf(ranges, source)])),
    );
  }
}

function joined(ranges: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
  const result: [number, number][] = [];
  for (const [from, to] of [...ranges].sort(([a], [b]) => a - b)) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

function rangesOf(json: Json, source: string): readonly (readonly [number, number])[] {
  const ranges = Array.isArray(json) ? (json as readonly Json[]) : [];
  let end = -1;
  for (const range of ranges) {
    const [from, to] = Array.isArray(range) ? (range as readonly Json[]) : [];
    if (typeof from !== "number" || typeof to !== "number" || from <= end || to <= from)
      throw new CorruptData({ source, position: 0, expected: `a range behind ${end}`, found: renderJson(range) });
    end = to;
  }
  return ranges as unknown as readonly (readonly [number, number])[];
}

export class ReplayedStore {
  readonly #store: ObjectStore;
  readonly #random: Random;

  constructor(store: ObjectStore, random: Random) {
    this.#store = store;
    this.#random = random;
  }

  /** Of undefined: nothing was replayed yet. Throws ObjectMissing when it is lost: then nobody knows what was. */
  async read(key: string | undefined): Promise<OffsetSet> {
    if (key === undefined) return new OffsetSet();
    return OffsetSet.parse(Buffer.from(await this.#store.get(key)).toString("utf8"), key);
  }

  /** Its key. */
  async write(table: Uuid, set: OffsetSet): Promise<string> {
    const key = `${directoryOf(table)}${uuidRandom(this.#random)}`;
    await this.#store.put(key, Buffer.from(set.render()));
    return key;
  }

  /** All but the one that the table's state names, after it does. */
  async forgetOthers(table: Uuid, kept: string): Promise<void> {
    const others: string[] = [];
    for await (const { key } of this.#store.list(directoryOf(table))) if (key !== kept) others.push(key);
    if (others.length > 0) await this.#store.delete(others);
  }
}

function directoryOf(table: Uuid): string {
  return `tables/${table}/replayed/`;
}
