/**
 * Which dead letters of a table have become rows by now: offsets of each topic partition. Each replayed round brings a new
 * object, named by the state of the table (table-state.ts) in the very entry of the metadata log that adds the round, so
 * that the two are true together or not at all.
 *
 *   tables/<table>/replayed/<uuid>      {"version":1,"partitions":{"0":[[12,13],[40,44]]},"last":{"0":[[12,13]]}}
 *
 * Ranges are [from, to), in order. "last" is what the newest round brought: should its files be lost before they are
 * committed, a person may take it back.
 */
import { CorruptData } from "../../base/errors.ts";
import { type Uuid, uuidRandom } from "../../base/ids.ts";
import type { Random } from "../../base/runtime.ts";
import type { ObjectStore } from "../../object-store/object-store.ts";
import { isJsonObject, type Json, type JsonObject, parseJsonObject, renderJson } from "../iceberg/json.ts";

export interface Place {
  readonly partition: number;
  readonly offset: number;
}

type Range = readonly [from: number, to: number];

/** By partition: disjoint ranges in order, none beside the next. */
export class OffsetSet {
  readonly #ranges: ReadonlyMap<number, readonly Range[]>;

  constructor(ranges: ReadonlyMap<number, readonly Range[]> = new Map()) {
    this.#ranges = ranges;
  }

  get ranges(): number {
    return [...this.#ranges.values()].reduce((sum, ranges) => sum + ranges.length, 0);
  }

  has({ partition, offset }: Place): boolean {
    const ranges = this.#ranges.get(partition) ?? [];
    const range = ranges[firstBehind(ranges, offset)];
    return range !== undefined && range[0] <= offset;
  }

  /** What the range has of it, in order. */
  *within({ partition, from, to }: { readonly partition: number; readonly from: number; readonly to: number }) {
    const ranges = this.#ranges.get(partition) ?? [];
    for (let at = firstBehind(ranges, from); at < ranges.length; at += 1) {
      const [first, end] = ranges[at] as Range;
      if (first >= to) return;
      yield { from: Math.max(first, from), to: Math.min(end, to) };
    }
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

  /** `last`: of these, what came last. */
  render(last: OffsetSet): string {
    const json = (set: OffsetSet): Json => Object.fromEntries(set.#ranges) as Json;
    return renderJson({ version: 1, partitions: json(this), last: json(last) });
  }

  /** "last" is undefined in sets of earlier versions. */
  static parse(text: string, source: string): { readonly all: OffsetSet; readonly last: OffsetSet | undefined } {
    const { version, partitions, last } = parseJsonObject(text, source);
    const found = renderJson(version ?? null);
    if (version !== 1 || !isJsonObject(partitions) || (last !== undefined && !isJsonObject(last)))
      throw new CorruptData({ source, position: 0, expected: "offsets of version 1", found });
    const setOf = (ofPartitions: JsonObject): OffsetSet =>
      new OffsetSet(
        new Map(
          Object.entries(ofPartitions).map(([partition, ranges]) => [Number(partition), rangesOf(ranges, source)]),
        ),
      );
    return { all: setOf(partitions), last: last === undefined ? undefined : setOf(last) };
  }
}

/** The first range that ends behind the offset. */
function firstBehind(ranges: readonly Range[], offset: number): number {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle] as Range)[1] > offset) high = middle;
    else low = middle + 1;
  }
  return low;
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
    return key === undefined ? new OffsetSet() : (await this.#parsed(key)).all;
  }

  /** The set without what came last, which then is in no row; undefined: nobody knows any more what that was. */
  async before(key: string): Promise<OffsetSet | undefined> {
    const { all, last } = await this.#parsed(key);
    return last === undefined ? undefined : all.without(last);
  }

  /** Its key. */
  async write(table: Uuid, set: OffsetSet, last: readonly Place[]): Promise<string> {
    const key = `${directoryOf(table)}${uuidRandom(this.#random)}`;
    await this.#store.put(key, Buffer.from(set.render(new OffsetSet().with(last))));
    return key;
  }

  async #parsed(key: string): Promise<ReturnType<typeof OffsetSet.parse>> {
    return OffsetSet.parse(Buffer.from(await this.#store.get(key)).toString("utf8"), key);
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
