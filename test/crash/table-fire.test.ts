/** Proves: tables hold what was acked, once, through kills, lying catalogs and other writers; and the checker finds what it should. */
import { describe, expect, test } from "vitest";
import { seededRandom } from "../support/seeded.ts";
import { checkIds, checkState, checkTransactions } from "./fire-check.ts";
import { planCycle } from "./fire-plan.ts";
import { runTableFire } from "./table-fire.ts";

describe("the checker", () => {
  test("finds a record that is lost, doubled, or was never written", () => {
    expect(checkIds("t", new Set([1, 2]), [2, 1])).toEqual([]);
    expect(checkIds("t", new Set([1, 2]), [1])).toEqual(["t has lost 2"]);
    expect(checkIds("t", new Set([1]), [1, 1])).toEqual(["t has 1 twice"]);
    expect(checkIds("t", new Set([1]), [1, 3])).toEqual(["t has 3, which nobody wrote"]);
  });

  test("finds a transaction of which a part is there, or that ended otherwise", () => {
    const one = (outcome: "committed" | "aborted" | "unknown") => [{ ids: [1, 2], outcome }];
    expect(checkTransactions("t", one("committed"), [1, 2])).toEqual([]);
    expect(checkTransactions("t", one("aborted"), [])).toEqual([]);
    for (const rows of [[], [1, 2]]) expect(checkTransactions("t", one("unknown"), rows)).toEqual([]);
    expect(checkTransactions("t", one("committed"), [])).toHaveLength(1);
    expect(checkTransactions("t", one("aborted"), [1, 2])).toHaveLength(1);
    for (const outcome of ["committed", "aborted", "unknown"] as const)
      expect(checkTransactions("t", one(outcome), [2])).toHaveLength(1);
    expect(checkTransactions("t", one("committed"), [1, 2, 2])).toEqual(["t has 2 twice"]);
    expect(checkTransactions("t", one("committed"), [1, 2, 3])).toEqual(["t has 3, which nobody wrote"]);
  });

  test("finds a key with no row, with two, or with an old one", () => {
    const model = new Map([["a", { region: "eu", v: 1 }]]);
    const row = (key: string, v: number) => ({ key, region: "eu", v });
    expect(checkState("t", model, [row("a", 1)])).toEqual([]);
    expect(checkState("t", model, [])).toEqual(["t has lost a"]);
    expect(checkState("t", model, [row("a", 1), row("a", 1)])).toEqual(["t has a twice"]);
    expect(checkState("t", model, [row("a", 0)])).toEqual(["t has eu 0 for a, written last was eu 1"]);
    expect(checkState("t", model, [row("a", 1), row("b", 1)])).toEqual(["t has b, which was deleted or never written"]);
  });
});

test("a seed decides the trouble", () => {
  const plans = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 20 }, () => planCycle(random));
  };
  expect(plans(5)).toEqual(plans(5));
  expect(plans(5)).not.toEqual(plans(6));
});

test("nothing is lost or doubled in a few cycles", { timeout: 180_000 }, async () => {
  const report = await runTableFire({ cycles: 4, seed: Date.now() % 1_000_000 });
  expect(report.violations, `seed ${report.seed}`).toEqual([]);
  expect(report.acked, `seed ${report.seed}`).toBeGreaterThan(0);
});
