/**
 * Proves: whatever is killed, torn or lost on the way, a broker keeps every promise that its clients can see, the same seed
 * gives the same world, and planted bugs are found. `npm run sim` does the same with many more seeds.
 */
import { describe, expect, test } from "vitest";
import { runWorld } from "./broker-world.ts";
import { plants } from "./plants.ts";

const seeds = Array.from({ length: 10 }, (_, index) => index + 1);

describe("the whole broker", () => {
  test.each(seeds)("keeps its promises in world %i", { timeout: 60_000 }, async (seed) => {
    const report = await runWorld(seed);
    expect(report.violations, report.trace.slice(-25).join("\n")).toEqual([]);
    expect(report.acked).toBeGreaterThan(20);
    expect(report.polled).toBeGreaterThan(20);
    expect(report.tableRows).toBeGreaterThan(20);
  });

  test("is the same in the same world", { timeout: 60_000 }, async () => {
    for (const seed of [1, 2, 3]) {
      expect((await runWorld(seed)).traceHash, `seed ${seed}`).toBe((await runWorld(seed)).traceHash);
    }
    expect((await runWorld(1)).traceHash).not.toBe((await runWorld(2)).traceHash);
  });

  test.each(Object.entries(plants))(
    "is seen through when it has the bug %s",
    { timeout: 120_000 },
    async (_, plant) => {
      for (let seed = 1; seed <= 40; seed += 1) if ((await runWorld(seed, plant)).violations.length > 0) return;
      expect.unreachable("not found in 40 worlds");
    },
  );
});
