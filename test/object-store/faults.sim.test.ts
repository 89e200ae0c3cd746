/** Proves: over a simulated store, each of the 25 kinds of trouble leaves every operation honest, and repeats heal it. */
import { expect, test } from "vitest";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { RetryingObjectStore } from "../../src/object-store/retrying.ts";
import { SimClock } from "../sim/clock.ts";
import { FaultyStore } from "../sim/object-store.ts";
import { SimRandom } from "../sim/random.ts";
import { allFaultKinds, faultCells } from "../support/store-faults.ts";
import { type FaultWorld, faultGrid } from "./fault-grid.ts";

async function simulated(): Promise<FaultWorld> {
  const clock = new SimClock();
  const random = new SimRandom(1);
  const truth = new MemoryObjectStore({ clock });
  const faulty = new FaultyStore(truth, { clock, random });
  const repeating = (attemptsMax: number): ObjectStore =>
    new RetryingObjectStore(faulty, {
      runtime: { clock, random: random.fork(String(attemptsMax)) },
      limits: { attemptsMax, delayMsMin: 10, delayMsMax: 1000 },
    });
  return {
    truth,
    once: repeating(1),
    repeating: repeating(10),
    strike: (kind, operation) => faulty.strike(kind, operation),
    get struck() {
      return [...faulty.struck.values()].reduce((sum, count) => sum + count, 0);
    },
    run: (work) => clock.until(work),
    settle: () => clock.run(),
    async [Symbol.asyncDispose]() {},
  };
}

test("there are 25 kinds, and more than 200 cells", () => {
  expect(allFaultKinds).toHaveLength(25);
  expect(faultCells.length).toBeGreaterThan(200);
});

faultGrid("simulated", simulated);
