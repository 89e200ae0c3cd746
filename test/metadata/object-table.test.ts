/** Proves: the table of objects is a map in the order of commits, also after changes were taken back and rows given out again. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { NodeId, Seq } from "../../src/base/ids.ts";
import type { ObjectEntry } from "../../src/metadata/image.ts";
import { ObjectTable } from "../../src/metadata/object-table.ts";

/** Short ones come twice; long ones have lengths of one, two and three bytes, and chunks of their own. */
const key = fc.oneof(
  fc.constantFrom("a", "b", "objects/é", "objects/€", "\u{1f30a}"),
  fc.nat(40).map((n) => `objects/${n}`),
  fc.nat(9).map((n) => `${n}`.repeat(200)),
  fc.constantFrom("x".repeat(20_000), "y".repeat(300_000)),
);
const entry = fc.record<ObjectEntry>({
  key,
  bytes: fc.maxSafeNat(),
  kind: fc.constantFrom("stream-set", "stream"),
  node: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }) as fc.Arbitrary<NodeId>,
  committedAt: fc.maxSafeNat() as fc.Arbitrary<Seq>,
});
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("add" as const), entry }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("delete", "delete-taken-back"), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("live" as const), at: fc.nat(), live: fc.nat() }) },
);

test("the table says what a map would", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const table = new ObjectTable();
      const model = new Map<string, ObjectEntry & { live: number }>();
      for (const each of steps) {
        if ("entry" in each) {
          if (model.has(each.entry.key)) continue;
          table.add(each.entry);
          model.set(each.entry.key, { ...each.entry, live: 0 });
          continue;
        }
        const chosen = [...model.keys()][each.at % Math.max(1, model.size)];
        if (chosen === undefined) continue;
        const row = table.find(chosen);
        if ("live" in each) {
          table.setLive(row, each.live);
          Object.assign(model.get(chosen) ?? {}, { live: each.live });
          continue;
        }
        table.remove(row);
        expect(table.find(chosen)).toBe(0);
        if (each.kind === "delete-taken-back") table.putBack(row);
        else {
          table.free(row);
          model.delete(chosen);
        }
      }
      expect(table.size).toBe(model.size);
      expect(table.end - 1, "rows that are free are given out first").toBeLessThanOrEqual(steps.length);
      const found = [...table.rows()].map((row) => ({ ...table.entry(row), live: table.live(row) }));
      expect(found).toEqual([...model.values()]);
      for (const each of model.keys()) expect(table.key(table.find(each))).toBe(each);
      expect(table.find("never there")).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test("changes that are taken back in reverse leave the order as it was", () => {
  const keys = Array.from({ length: 20 }, (_, n) => `objects/${n}`);
  fc.assert(
    fc.property(fc.shuffledSubarray(keys), (removed) => {
      const table = tableOf(keys);
      const rows = removed.map((each) => table.find(each));
      for (const row of rows) table.remove(row);
      for (const row of rows.toReversed()) table.putBack(row);
      expect([...table.rows()].map((row) => table.key(row))).toEqual(keys);
      for (const each of keys) expect(table.key(table.find(each))).toBe(each);
    }),
  );
});

test("a table that was emptied takes as many objects in the same memory", () => {
  const keys = Array.from({ length: 10_000 }, (_, n) => `objects/${String(n).padStart(20, "0")}`);
  const table = tableOf(keys);
  const { end } = table;
  for (const each of keys) {
    const row = table.find(each);
    table.remove(row);
    table.free(row);
  }
  expect(table.size).toBe(0);
  for (const each of keys) table.add(named(each.replace("objects", "another")));
  expect(table.end).toBe(end);
  expect([...table.rows()].map((row) => table.key(row)).toSorted()[1]).toBe(`another/${"1".padStart(20, "0")}`);
});

function tableOf(keys: readonly string[]): ObjectTable {
  const table = new ObjectTable();
  for (const each of keys) table.add(named(each));
  return table;
}

function named(name: string): ObjectEntry {
  return { key: name, bytes: 1, kind: "stream", node: 1 as NodeId, committedAt: 1 as Seq };
}
