// Proves: every assignment is complete and disjoint, as even as it says, and moves no more than it must.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Uuid } from "../../src/base/ids.ts";
import {
  type AssignedMember,
  type Assignor,
  assignors,
  type Partitions,
  range,
  uniform,
} from "../../src/coordinator/consumer-assignors.ts";

const id = (index: number): Uuid => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}` as Uuid;

interface Given {
  readonly partitions: ReadonlyMap<Uuid, number>;
  readonly members: readonly AssignedMember[];
}

function member(name: string, topics: readonly Uuid[], previous: Partitions = new Map()): AssignedMember {
  return { id: name, instanceId: null, topics, previous };
}

const counts = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 5 });

/** Members with any subscriptions and anything, also nonsense, that they had before. */
const groups = counts.chain((sizes): fc.Arbitrary<Given> => {
  const partitions = new Map(sizes.map((size, index) => [id(index), size]));
  const topics = fc.subarray([...partitions.keys()]);
  const previous = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.uniqueArray(fc.integer({ min: 0, max: 14 }), { maxLength: 6 })))
    .map((lists): Partitions => new Map(lists.map(([index, numbers]) => [id(index), numbers.sort((a, b) => a - b)])));
  return fc
    .array(fc.tuple(topics, previous), { maxLength: 8 })
    .map((members) => ({ partitions, members: members.map(([own, had], at) => member(`m${at}`, own, had)) }));
});

/** Who has each partition; fails when two have it. */
function owners(assigned: ReadonlyMap<string, Partitions>): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [name, partitions] of assigned) {
    for (const [topic, numbers] of partitions) {
      for (const number of numbers) {
        expect(found.has(`${topic} ${number}`)).toBe(false);
        found.set(`${topic} ${number}`, name);
      }
    }
  }
  return found;
}

const load = (partitions: Partitions | undefined): number =>
  [...(partitions?.values() ?? [])].reduce((sum, numbers) => sum + numbers.length, 0);

describe.each([...assignors])("%s", (_, assign: Assignor) => {
  test("takes little time for thousands of topics that hundreds read", { timeout: 60_000 }, () => {
    const topics = Array.from({ length: 8_000 }, (_, index) => id(index));
    const members = Array.from({ length: 200 }, (_, index) => member(`m${index}`, topics));
    const { user } = process.cpuUsage();
    assign({ partitions: new Map(topics.map((topic) => [topic, 1])), members });
    expect(process.cpuUsage().user - user).toBeLessThan(4_000_000);
  });

  test("gives each partition that somebody reads to one of its readers, and no other", () => {
    fc.assert(
      fc.property(groups, ({ partitions, members }) => {
        const assigned = assign({ partitions, members });
        expect([...assigned.keys()].sort()).toEqual(members.map((one) => one.id).sort());
        const found = owners(assigned);
        const read = [...partitions].filter(([topic]) => members.some(({ topics }) => topics.includes(topic)));
        expect(found.size).toBe(read.reduce((sum, [, count]) => sum + count, 0));
        for (const [at, name] of found) {
          const topic = at.split(" ")[0] as Uuid;
          expect(members.find((one) => one.id === name)?.topics).toContain(topic);
          expect(Number(at.split(" ")[1])).toBeLessThan(partitions.get(topic) ?? 0);
        }
      }),
    );
  });

  test("says the same when asked again with its own answer", () => {
    fc.assert(
      fc.property(groups, ({ partitions, members }) => {
        const once = assign({ partitions, members });
        const again = members.map((one) => ({ ...one, previous: once.get(one.id) ?? new Map() }));
        const twice = assign({ partitions, members: again });
        expect(Object.fromEntries(owners(twice))).toEqual(Object.fromEntries(owners(once)));
      }),
    );
  });
});

describe("uniform", () => {
  test("of members alike: loads differ by one at most, and only what evenness takes is moved", () => {
    fc.assert(
      fc.property(counts, fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }), (sizes, before, after) => {
        const partitions = new Map(sizes.map((size, index) => [id(index), size]));
        const topics = [...partitions.keys()];
        const names = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `m${index}`);
        const first = uniform({ partitions, members: names(before).map((name) => member(name, topics)) });
        const members = names(after).map((name) => member(name, topics, first.get(name)));
        const second = uniform({ partitions, members });
        const loads = members.map(({ id: name }) => load(second.get(name)));
        expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
        const [was, is] = [owners(first), owners(second)];
        const moved = [...is].filter(([at, name]) => was.get(at) !== name).length;
        // What the newcomers get, or what those who left had.
        const must = members.reduce(
          (sum, { id: name }) => sum + Math.max(0, load(second.get(name)) - load(first.get(name))),
          0,
        );
        expect(moved).toBe(must);
      }),
    );
  });

  test("of members that differ: no single move makes it more even", () => {
    fc.assert(
      fc.property(groups, ({ partitions, members }) => {
        const assigned = uniform({ partitions, members });
        for (const [at, name] of owners(assigned)) {
          const readers = members.filter(({ topics }) => topics.includes(at.split(" ")[0] as Uuid));
          const least = Math.min(...readers.map((reader) => load(assigned.get(reader.id))));
          expect(load(assigned.get(name))).toBeLessThanOrEqual(least + 1);
        }
      }),
    );
  });
});

describe("range", () => {
  test("gives neighbours to one member, the same places of each topic to the same one", () => {
    const members = ["b", "a", "c"].map((name) => member(name, [id(0), id(1)]));
    const assigned = range({ partitions: new Map([id(0), id(1)].map((topic) => [topic, 7])), members });
    for (const topic of [id(0), id(1)]) {
      expect(assigned.get("a")?.get(topic)).toEqual([0, 1, 2]);
      expect(assigned.get("b")?.get(topic)).toEqual([3, 4]);
      expect(assigned.get("c")?.get(topic)).toEqual([5, 6]);
    }
  });

  test("orders static members by their instance and puts them first", () => {
    const members = [
      { ...member("1", [id(0)]), instanceId: "z" },
      member("0", [id(0)]),
      { ...member("2", [id(0)]), instanceId: "y" },
    ];
    const assigned = range({ partitions: new Map([[id(0), 3]]), members });
    expect([...assigned].map(([name, partitions]) => [name, partitions.get(id(0))])).toEqual([
      ["1", [1]],
      ["0", [2]],
      ["2", [0]],
    ]);
  });
});
