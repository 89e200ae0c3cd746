/** Proves: packed ranges are read as they were written, and a list of them is an array whose changes can be taken back. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Offset } from "../../src/base/ids.ts";
import {
  copyRange,
  packedRangeBytesMax,
  RangePacker,
  RangeReader,
  type RangeRow,
} from "../../src/metadata/packed-range.ts";
import { RangeCells } from "../../src/metadata/range-cells.ts";
import { RangeList } from "../../src/metadata/range-list.ts";
import { Undo } from "../../src/metadata/undo.ts";

const small = fc.nat(300);
const any: fc.Arbitrary<number> = fc.oneof(small, fc.maxSafeNat());
const facts = fc.record({
  gap: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(1000)),
  length: fc.oneof({ weight: 4, arbitrary: fc.nat(1000) }, fc.constant(0)),
  bytes: any,
  maxTimestamp: fc.oneof(fc.constant(-1), any),
  epoch: fc.oneof(fc.constant(1), fc.nat(2 ** 31 - 1)),
  object: fc.oneof(small, fc.nat(2 ** 32 - 1)),
});
type Facts = typeof facts extends fc.Arbitrary<infer T> ? T : never;

function rowAfter(end: number, { gap, length, ...rest }: Facts): RangeRow {
  return { from: (end + gap) as Offset, to: (end + gap + length) as Offset, ...rest };
}

function rowsFrom(start: number, all: readonly Facts[]): RangeRow[] {
  const rows: RangeRow[] = [];
  for (const each of all) rows.push(rowAfter(rows.at(-1)?.to ?? start, each));
  return rows;
}

describe("packed ranges", () => {
  test("are read as they were written, at the ends of what a number may be too", () => {
    const extreme = fc.record<RangeRow>({
      from: any as fc.Arbitrary<Offset>,
      to: any as fc.Arbitrary<Offset>,
      bytes: fc.maxSafeNat(),
      maxTimestamp: fc.oneof(fc.constantFrom(-1, 0, Number.MAX_SAFE_INTEGER), fc.maxSafeNat()),
      epoch: fc.nat(2 ** 31 - 1),
      object: fc.maxSafeNat(),
    });
    fc.assert(
      fc.property(fc.array(extreme), (all) => {
        const rows = all.filter(({ from, to }) => from <= to);
        const packed = new Uint8Array(rows.length * packedRangeBytesMax);
        const packer = new RangePacker();
        packer.begin(0 as Offset);
        const at = rows.reduce((end, row) => packer.pack(packed, end, row, row.object), 0);
        const reader = new RangeReader();
        reader.begin(packed.subarray(0, at), 0, 0 as Offset);
        const found = rows.map(() => {
          reader.read();
          return copyRange(reader);
        });
        expect(found).toEqual(rows);
        expect(reader.at).toBe(at);
      }),
    );
  });

  test("of the usual kind take a dozen bytes", () => {
    const before = { from: 0, to: 1_000_000, bytes: 1, maxTimestamp: 1.7e12, epoch: 3, object: 500_000 } as RangeRow;
    const row = { from: 1e6, to: 1_001_000, bytes: 65_536, maxTimestamp: 1.7e12 + 6e4, epoch: 3, object: 525_000 };
    const packer = new RangePacker();
    packer.follow(before, before.object);
    expect(packer.pack(new Uint8Array(packedRangeBytesMax), 0, row as RangeRow, row.object)).toBeLessThanOrEqual(14);
  });
});

describe("a list of ranges", () => {
  const change = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("push" as const), all: fc.array(facts, { maxLength: 30 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("drop" as const), count: fc.nat(60) }) },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant("replace" as const), first: fc.nat(), count: fc.nat(40), by: facts }),
    },
  );
  type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;
  const group = fc.record({ list: fc.nat(2), changes: fc.array(change, { maxLength: 6 }), isAccepted: fc.boolean() });

  function apply(list: RangeList, model: readonly RangeRow[], each: Change, undo: Undo): readonly RangeRow[] {
    switch (each.kind) {
      case "push": {
        const rows = rowsFrom(model.at(-1)?.to ?? 0, each.all);
        for (const row of rows) list.push(row, undo);
        return [...model, ...rows];
      }
      case "drop": {
        const count = Math.min(each.count, model.length);
        list.dropFirst(count, undo);
        return model.slice(count);
      }
      case "replace": {
        if (model.length === 0) return model;
        const first = each.first % model.length;
        const count = Math.min(1 + each.count, model.length - first);
        const { from } = model[first] as RangeRow;
        const { to } = model[first + count - 1] as RangeRow;
        const row = { ...rowAfter(0, each.by), from, to };
        list.replace(first, count, row, undo);
        return model.toSpliced(first, count, row);
      }
    }
  }

  function expectSame(list: RangeList, model: readonly RangeRow[]): void {
    expect(list.rows()).toEqual(model);
    expect(list.length).toBe(model.length);
    const middle = Math.floor(model.length / 2);
    expect(list.rows(middle, 3)).toEqual(model.slice(middle, middle + 3));
    for (const { from, to } of [...model.slice(0, 3), ...model.slice(middle, middle + 3), ...model.slice(-3)]) {
      for (const offset of [from - 1, from, to] as Offset[]) {
        const after = list.cursor();
        const isAfter = (row: RangeRow): boolean => row.to > offset;
        expect(after.seekEndAfter(offset) ? copyRange(after.row) : undefined).toEqual(model.find(isAfter));
        const index = model.findIndex(isAfter);
        expect(list.countEndingBy(offset)).toBe(index === -1 ? model.length : index);
        const at = list.cursor();
        const expected = model.findIndex((row) => row.from >= offset);
        expect(at.seekFrom(offset) ? at.index : -1).toBe(expected);
        if (expected >= 0) expect(at.next() ? copyRange(at.row) : undefined).toEqual(model[expected + 1]);
      }
    }
  }

  test("does what an array does; what was not accepted never was; lists do not disturb one another", () => {
    fc.assert(
      fc.property(fc.array(group, { maxLength: 30 }), (groups) => {
        const cells = new RangeCells();
        const lists = [0, 1, 2].map(() => new RangeList(cells));
        const models: (readonly RangeRow[])[] = [[], [], []];
        for (const { list: at, changes, isAccepted } of groups) {
          const [list, before] = [lists[at] as RangeList, models[at] as readonly RangeRow[]];
          const undo = new Undo();
          let model = before;
          for (const each of changes) model = apply(list, model, each, undo);
          expectSame(list, model);
          if (isAccepted) {
            undo.accept();
            models[at] = model;
          } else undo.rollBack();
          for (const [index, each] of lists.entries()) expectSame(each, models[index] as readonly RangeRow[]);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("gives its cells to others when it is dropped, and none of them twice", () => {
    const cells = new RangeCells();
    const all = rowsFrom(
      0,
      Array.from({ length: 5000 }, () => ({ gap: 0, length: 5, ...plain })),
    );
    const first = new RangeList(cells);
    for (const row of all) first.append(row);
    const undo = new Undo();
    first.dropFirst(all.length, undo);
    undo.accept();
    const taken = cells.take(0 as Offset);
    cells.free(taken);
    const [second, third] = [new RangeList(cells), new RangeList(cells)];
    for (const row of all.slice(0, 2500)) {
      second.append(row);
      third.append({ ...row, bytes: 2 });
    }
    expect(second.rows()).toEqual(all.slice(0, 2500));
    expect(third.rows().every(({ bytes }) => bytes === 2)).toBe(true);
    expect(cells.take(0 as Offset), "no more cells than before, but for the rests of two lists").toBeLessThan(1000);
  });
});

const plain = { bytes: 1, maxTimestamp: 1, epoch: 1, object: 1 };
