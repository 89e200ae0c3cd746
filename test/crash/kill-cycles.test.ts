/** Proves: kill -9 loses and doubles nothing that was acked; and the checker finds what it should. */
import { expect, test } from "vitest";
import { check, checkTable, runKillCycles } from "./kill-cycles.ts";

test("the checker finds a loss, a double and a wrong order", () => {
  expect(check([["0-1", "0-2"]], [["0-1", "0-2"]])).toEqual([]);
  expect(check([["0-1", "0-2"]], [["0-1"]])).toEqual(["0-2 was acked and is lost"]);
  expect(check([["0-1"]], [["0-1"], ["0-1"]])).toEqual(["0-1 is there twice"]);
  expect(check([], [["0-2", "0-1"]])).toEqual(["0-1 is out of order in partition 0"]);
});

test("the table's checker finds a row that is missing, doubled or wrong", () => {
  const row = (offset: number, value: string) => ({ partition: 0, offset, value });
  expect(checkTable([["0-1", "0-2"]], [row(0, "0-1"), row(1, "0-2")])).toEqual([]);
  expect(checkTable([["0-1", "0-2"]], [row(0, "0-1")])).toEqual(["the table lacks 0@1"]);
  expect(checkTable([["0-1"]], [row(0, "0-1"), row(0, "0-1")])).toEqual(["the table has 0@0 twice"]);
  expect(checkTable([["0-1"]], [row(0, "0-9")])).toEqual(["the table has 0-9 at 0@0, the log 0-1"]);
});

test.each(["file", "object"] as const)(
  "an acked record survives kill -9 exactly once, in order, and so do group offsets, with a WAL of kind %s",
  { timeout: 120_000 },
  async (wal) => {
    const report = await runKillCycles({ cycles: 4, seed: Date.now() % 1_000_000, wal });
    expect(report.violations, `seed ${report.seed}`).toEqual([]);
    expect(report.acked, `seed ${report.seed}`).toBeGreaterThan(0);
  },
);
