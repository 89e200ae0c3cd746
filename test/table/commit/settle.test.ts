/** Proves: every case of C, P and L has its one answer, as settle.ts says; and marks survive being written. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Offset, Seq, Uuid } from "../../../src/base/ids.ts";
import { accepted, type Ledger, type Settled, settle } from "../../../src/table/commit/settle.ts";
import type { TableMetadata } from "../../../src/table/iceberg/metadata.ts";
import { type CommitMark, markName, parseMark, renderMark } from "../../../src/table/rounds.ts";
import { emptyTable, snapshot, withSnapshots } from "../iceberg/tables.ts";

const cluster = "5f3a3c1e-0000-4000-8000-00000000c1c1" as Uuid;
const table = "5f3a3c1e-0000-4000-8000-0000000000aa" as Uuid;

function mark(seq: number, more: Partial<CommitMark> = {}): CommitMark {
  return {
    cluster,
    table,
    generation: 1,
    epoch: 5 as Seq,
    seq: seq as Seq,
    offsets: new Map([[0, 9 as Offset]]),
    wrote: [],
    ...more,
  };
}

function ledger(committedSeq: number, more: Partial<Ledger> = {}): Ledger {
  return {
    cluster,
    table,
    generation: 1,
    committedSeq: committedSeq as Seq,
    epoch: 5 as Seq,
    tableUuid: emptyTable["table-uuid"],
    ...more,
  };
}

/** The newest mark on main is `c` (0: none), the property says `p`; a foreign snapshot stands on top. */
function tableWith(
  c: number,
  p: number,
  chain: "whole" | "cut" | "elsewhere" = "whole",
  text = (seq: number) => renderMark(mark(seq)),
): TableMetadata {
  const marked = snapshot(1n, null, 1, c === 0 ? {} : { summary: { [markName]: text(c) } });
  const foreign = snapshot(2n, chain === "elsewhere" ? null : 1n, 2);
  const metadata = withSnapshots(emptyTable, chain === "whole" ? [marked, foreign] : [foreign]);
  return p === 0 ? metadata : { ...metadata, properties: { [markName]: text(p) } };
}

describe("C in the ancestry, P in the property, L in the log", () => {
  const at = (seq: number): Settled => ({ kind: "settled", seq: seq as Seq, mark: seq === 0 ? null : mark(seq) });
  const cases: readonly (readonly [
    c: number | "cut" | "elsewhere",
    p: number,
    l: number,
    expected: Settled | RegExp,
  ])[] = [
    [0, 0, 0, at(0)], // A new table, or one with rows of others.
    [7, 7, 0, at(7)], // The first commit, its last step lost.
    [7, 7, 4, at(7)],
    [7, 7, 7, at(7)],
    [7, 7, 9, /went back to commit 7; 9 was committed/],
    [4, 7, 4, /rolled back: it holds commit 4, the table had 7/],
    [4, 7, 7, /rolled back/],
    [4, 7, 9, /rolled back/],
    [0, 7, 7, /holds no commit of ours/],
    [0, 7, 0, /rolled back/],
    [7, 4, 4, /property inlet.committed was changed: it says 4/],
    [7, 0, 0, /was changed: it says 0/],
    [7, 4, 9, /was changed/],
    [0, 0, 4, /went back to commit 0; 4 was committed/], // A parentless main, or a table that was made anew.
    ["cut", 0, 0, { kind: "settled", seq: 0 as Seq, mark: null }], // Somebody else's table with somebody else's expiry.
    ["cut", 7, 0, { kind: "confirm", mark: mark(7) }],
    ["cut", 7, 4, { kind: "confirm", mark: mark(7) }],
    ["cut", 7, 7, { kind: "confirm", mark: mark(7) }],
    ["cut", 4, 7, /knows commit 4, our log 7/],
    ["cut", 0, 7, /knows commit 0, our log 7/],
    ["elsewhere", 7, 7, { kind: "confirm", mark: mark(7) }], // Nessie, or replaced and expired: the files tell which.
    ["elsewhere", 0, 7, /knows commit 0, our log 7/],
  ];
  test.each(cases.map(([c, p, l, expected]) => [`C=${c} P=${p} L=${l}`, c, p, l, expected] as const))(
    "%s",
    (_name, c, p, l, expected) => {
      const answer = settle(typeof c === "string" ? tableWith(0, p, c) : tableWith(c, p), ledger(l));
      if (expected instanceof RegExp)
        expect(answer).toEqual({ kind: "diverged", reason: expect.stringMatching(expected) });
      else expect(answer).toEqual(expected);
    },
  );
});

describe("who wrote", () => {
  test("a greater committer epoch supersedes us; a smaller one is history", () => {
    expect(settle(tableWith(7, 7), ledger(7, { epoch: 4 as Seq }))).toEqual({ kind: "superseded", by: 5 });
    expect(settle(tableWith(7, 7), ledger(7, { epoch: 6 as Seq })).kind).toBe("settled");
  });

  test.each([
    ["cluster", { cluster: "5f3a3c1e-0000-4000-8000-00000000ffff" as Uuid }],
    ["another of our tables", { table: "5f3a3c1e-0000-4000-8000-00000000ffff" as Uuid }],
    ["generation 2", { generation: 2 }],
  ])("a mark of %s is a rival's", (words, other) => {
    const foreign = tableWith(7, 7, "whole", (seq) => renderMark(mark(seq, other)));
    expect(settle(foreign, ledger(7))).toEqual({ kind: "diverged", reason: expect.stringContaining(words) });
  });

  test("a new uuid is another table", () => {
    expect(settle(tableWith(7, 7), ledger(7, { tableUuid: "other" }))).toMatchObject({ kind: "diverged" });
    expect(settle(tableWith(7, 7), ledger(7, { tableUuid: null })).kind).toBe("settled");
  });

  test("a mark that cannot be read, here or there, is not guessed at", () => {
    const unread = tableWith(7, 7, "whole", () => "{}");
    expect(settle(unread, ledger(7))).toMatchObject({
      kind: "diverged",
      reason: expect.stringContaining("cannot be read"),
    });
    const property = { ...tableWith(7, 7), properties: { [markName]: "no json" } };
    expect(settle(property, ledger(7))).toMatchObject({
      kind: "diverged",
      reason: expect.stringContaining("property"),
    });
  });
});

test("accepting takes the greatest seq that any mark of ours or the log knows", () => {
  expect(accepted(tableWith(4, 7), ledger(5))).toEqual({ kind: "settled", seq: 7, mark: null });
  expect(accepted(tableWith(4, 4), ledger(9))).toEqual({ kind: "settled", seq: 9, mark: null });
});

test("marks come back as they were written, and anything else is unreadable", () => {
  const offsets = fc
    .dictionary(fc.nat(5000).map(String), fc.nat())
    .map((map) => new Map(Object.entries(map).map(([k, v]) => [Number(k), v as Offset])));
  const traces = fc.array(fc.record({ from: fc.nat(), to: fc.nat(), offset: fc.nat() }));
  fc.assert(
    fc.property(fc.oneof(offsets, fc.webUrl()), traces, fc.maxSafeNat(), (vector, wrote, seq) => {
      const written = mark(seq, { offsets: vector, wrote });
      expect(parseMark(renderMark(written))).toEqual(written);
    }),
  );
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => parseMark(text) === undefined));
});
