/** Proves: kill -9 loses and doubles nothing that was acked; and the checker finds what it should. */
import { expect, test } from "vitest";
import { check, runKillCycles } from "./kill-cycles.ts";

test("the checker finds a loss, a double and a wrong order", () => {
  expect(check([["0-1", "0-2"]], [["0-1", "0-2"]])).toEqual([]);
  expect(check([["0-1", "0-2"]], [["0-1"]])).toEqual(["0-2 was acked and is lost"]);
  expect(check([["0-1"]], [["0-1"], ["0-1"]])).toEqual(["0-1 is there twice"]);
  expect(check([], [["0-2", "0-1"]])).toEqual(["0-1 is out of order in partition 0"]);
});

test("an acked record survives kill -9 exactly once, in order, and so do group offsets", {
  timeout: 120_000,
}, async () => {
  const report = await runKillCycles({ cycles: 4, seed: Date.now() % 1_000_000 });
  expect(report.violations, `seed ${report.seed}`).toEqual([]);
  expect(report.acked, `seed ${report.seed}`).toBeGreaterThan(0);
});
