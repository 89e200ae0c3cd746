/** Proves: a proof covers every offset that was translated, adds up, stays small, and comes back from its text. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Offset, Seq, Uuid } from "../../../src/base/ids.ts";
import { MemoryObjectStore } from "../../../src/object-store/memory.ts";
import type { Digests } from "../../../src/table/tools/digest.ts";
import {
  forgotten,
  parseRoundProof,
  parseTableProof,
  renderRoundProof,
  renderTableProof,
  type TableProof,
  withRound,
} from "../../../src/table/tools/proof.ts";
import { ProofStore } from "../../../src/table/tools/proof-store.ts";
import { seededRuntime } from "../../support/seeded.ts";

const digests = (value: number): Digests =>
  new Map([
    [2, [value, 0xffff_ffff]],
    [3, [0, value]],
  ]);
const range = (partition: number, from: number, to: number) => ({
  partition,
  from: from as Offset,
  to: to as Offset,
  skips: 0,
});

describe("a table's proof", () => {
  test("adds up all rounds, whatever ranges were joined on the way", () => {
    const round = fc.record({ partition: fc.nat(2), length: fc.integer({ min: 1, max: 9 }), value: fc.nat() });
    fc.assert(
      fc.property(fc.array(round, { maxLength: 300 }), (rounds) => {
        const ends = [0, 0, 0];
        const sums = [0, 0, 0];
        let table: TableProof = new Map();
        for (const { partition, length, value } of rounds) {
          const from = ends[partition] as number;
          const rows = Math.ceil(length / 2);
          table = withRound(
            table,
            [range(partition, from, from + length)],
            new Map([[partition, { rows, digests: digests(value) }]]),
          );
          ends[partition] = from + length;
          sums[partition] = ((sums[partition] as number) + value) >>> 0;
        }
        for (const [partition, ranges] of table) {
          expect(ranges.length).toBeLessThanOrEqual(64);
          let sum = 0;
          let at = 0;
          for (const { from, to, proof, others } of ranges) {
            expect(from).toBe(at);
            expect(others).toBe(to - from - (proof?.rows ?? 0));
            sum = (sum + (proof?.digests.get(3)?.[1] ?? 0)) >>> 0;
            at = to;
          }
          expect([at, sum]).toEqual([ends[partition], sums[partition]]);
        }
        expect(parseTableProof(renderTableProof(table), "test")).toEqual(table);
      }),
    );
  });

  test("rows of a range that is there already make it one with theirs", () => {
    const first = withRound(new Map(), [range(0, 0, 10)], new Map([[0, { rows: 8, digests: digests(1) }]]));
    const second = withRound(first, [range(0, 10, 20)], new Map([[0, { rows: 10, digests: digests(2) }]]));
    const replayed = withRound(second, [range(0, 3, 5)], new Map([[0, { rows: 2, digests: digests(4) }]]));
    expect(replayed.get(0)).toEqual([
      {
        from: 0,
        to: 10,
        others: 0,
        proof: {
          rows: 10,
          digests: new Map([
            [2, [5, 0xffff_fffe]],
            [3, [0, 5]],
          ]),
        },
      },
      { from: 10, to: 20, others: 0, proof: { rows: 10, digests: digests(2) } },
    ]);
  });

  test("what is not known stays apart from what is", () => {
    const table = withRound(forgotten(new Map([[0, 100]])), [range(0, 100, 110)], new Map());
    expect(table.get(0)).toEqual([
      { from: 0, to: 100, proof: null, others: 0 },
      { from: 100, to: 110, proof: { rows: 0, digests: new Map() }, others: 10 },
    ]);
    expect(
      withRound(table, [range(0, 110, 120)], undefined)
        .get(0)
        ?.at(-1)?.proof,
    ).toBeNull();
  });
});

test("a round's proof comes back from its text; what is none is refused", () => {
  const proof = new Map([[7, { rows: 3, digests: digests(0xdead_beef) }]]);
  expect(parseRoundProof(renderRoundProof(proof), "test")).toEqual(proof);
  for (const text of ["", "[]", '{"0":1}', '{"0":{"rows":1,"digests":{"1":"xyz"}}}', '{"version":2}'])
    for (const parse of [parseRoundProof, parseTableProof])
      expect(() => parse(text, "test")).toThrow(expect.objectContaining({ name: "CorruptData" }));
});

describe("the store of proofs", () => {
  const name = { table: "0a0b0c0d-0000-4000-8000-000000000001" as Uuid, of: "rows" } as const;
  const mark = (seq: number, epoch: number) => ({
    cluster: name.table,
    table: name.table,
    generation: 1,
    seq: seq as Seq,
    epoch: epoch as Seq,
    offsets: new Map([[0, 10 as Offset]]),
    wrote: [],
  });
  const rounds = [{ ranges: [range(0, 0, 10)], proof: new Map([[0, { rows: 10, digests: digests(1) }]]) }];
  const open = () => {
    const objects = new MemoryObjectStore(seededRuntime(1));
    return { objects, store: new ProofStore(objects) };
  };

  test("tells the proof of a mark, also to one who starts anew, and under the epoch of a later rewrite", async () => {
    const { objects, store } = open();
    await store.advance(name, { before: null, mark: mark(5, 4), rounds, isAccepted: false });
    for (const each of [store, new ProofStore(objects)]) {
      expect((await each.read(name, mark(5, 4)))?.get(0)?.[0]?.proof?.rows).toBe(10);
      expect((await each.read(name, mark(5, 9)))?.get(0)?.[0]?.proof?.rows).toBe(10);
      expect(await each.read(name, mark(6, 9))).toBeUndefined();
      expect(await each.read(name, mark(5, 3))).toBeUndefined();
    }
  });

  test("knows nothing of rows that were there before it, or that a person took over", async () => {
    const unknown = [{ from: 0, to: 10, proof: null, others: 0 }];
    for (const step of [
      { before: mark(3, 3), isAccepted: false },
      { before: null, isAccepted: true },
    ]) {
      const { store } = open();
      await store.advance(name, { ...step, mark: mark(5, 4), rounds });
      expect((await store.read(name, mark(5, 4)))?.get(0)).toEqual(unknown);
    }
  });

  test("forgets what no commit builds on", async () => {
    const { objects, store } = open();
    await store.advance(name, { before: null, mark: mark(5, 4), rounds, isAccepted: false });
    await store.advance(name, { before: mark(5, 4), mark: mark(8, 4), rounds: [], isAccepted: false });
    await store.forget(name, 8 as Seq);
    expect(await new ProofStore(objects).read(name, mark(5, 4))).toBeUndefined();
    expect((await new ProofStore(objects).read(name, mark(8, 4)))?.get(0)?.[0]?.proof?.rows).toBe(10);
  });

  test("lists a directory once while nobody else commits, and again when somebody has", async () => {
    const { objects, store } = open();
    let lists = 0;
    const list = objects.list.bind(objects);
    objects.list = (prefix) => {
      lists += 1;
      return list(prefix);
    };
    const commit = async (by: ProofStore, seq: number): Promise<void> => {
      const before = seq === 1 ? null : mark(seq - 1, 4);
      const at = { ranges: [range(0, seq * 10, seq * 10 + 10)], proof: rounds[0]?.proof };
      await by.advance(name, { before, mark: mark(seq, 4), rounds: [at], isAccepted: false });
      await by.forget(name, (seq - 1) as Seq);
    };
    for (let seq = 1; seq <= 20; seq += 1) await commit(store, seq);
    expect(lists).toBe(1);
    const other = new ProofStore(objects);
    await commit(other, 21);
    await commit(store, 22);
    expect(lists).toBe(3);
    const left: string[] = [];
    for await (const { key } of list("tables/")) left.push(key);
    expect(left).toHaveLength(2);
    const ranges = await new ProofStore(objects).read(name, mark(22, 4));
    expect(ranges?.get(0)?.reduce((sum, { proof }) => sum + (proof?.rows ?? 0), 0)).toBe(220);
  });
});
