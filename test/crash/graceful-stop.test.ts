/** Proves: SIGTERM under load ends the broker with 0 within seconds, and what was acked is there once after the next start. */
import { expect, test } from "vitest";
import { runKillCycles } from "./kill-cycles.ts";

test("a stop loses and doubles nothing", { timeout: 120_000 }, async () => {
  const seed = Date.now() % 1_000_000;
  const report = await runKillCycles({ cycles: 4, seed, signal: "SIGTERM" });
  expect(report.violations, `seed ${seed}`).toEqual([]);
  expect(report.acked, `seed ${seed}`).toBeGreaterThan(0);
  expect(report.stopMsMax, `seed ${seed}`).toBeLessThan(5000); // Orchestrators kill after 10 s.
});
