/** Proves: transactions keep their promises to real clients through kills, pauses and cut networks, for as long as a test may take. */
import { expect, test } from "vitest";
import { run } from "./run.ts";

test("no anomaly in a few seconds of trouble", { timeout: 180_000 }, async () => {
  const report = await run({ workload: "transactions", seconds: 8, seed: Date.now() % 1_000_000 });
  expect(report.violations, `seed ${report.seed}, kept in ${report.kept}`).toEqual([]);
  expect(report.acked, `seed ${report.seed}`).toBeGreaterThan(0);
});
