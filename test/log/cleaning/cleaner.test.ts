/** Proves: a cleaner that is disposed of does not wait for what its partition waits for. */
import { expect, test } from "vitest";
import { Cleaner } from "../../../src/log/cleaning/cleaner.ts";
import type { CleaningPlan } from "../../../src/log/cleaning/cleaning-plan.ts";
import type { OwnedPartition } from "../../../src/log/partition.ts";
import { endOf } from "../../support/end-of.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { silent } from "../../support/seeded.ts";

const forEver = new Promise<never>(() => undefined);

const waits: readonly [string, Pick<OwnedPartition, "admitted" | "clean">][] = [
  [
    "while producers are held back",
    {
      admitted: () => forEver,
      clean: async ({ admit }) => {
        await admit(1);
        throw new Error("it was admitted");
      },
    },
  ],
  [
    "while what it replaces is written to a store that is away",
    { admitted: async () => undefined, clean: () => forEver },
  ],
];

test.each(waits)("%s", async (_, waiting) => {
  const clock = new ManualClock();
  const failures: unknown[] = [];
  let plans = 0;
  const partition = {
    topic: "accounts",
    index: 0,
    cleaningPlan: () => {
      plans += 1;
      return { dirtyRatio: 1 } as CleaningPlan;
    },
    ...waiting,
  } as unknown as OwnedPartition;
  const cleaner = new Cleaner({
    clock,
    logger: silent,
    limits: {
      cleanerIntervalMs: 1000,
      cleanerMapBytesMax: 1000,
      cleanerBufferBytesMax: 1000,
      cleanerBytesPerSecondMax: 1000,
      inflatedBytesMax: 1000,
    },
    partitions: () => [partition],
    hold: () => undefined,
    failed: (cause) => failures.push(cause),
  });
  clock.advance(1000);
  await new Promise((resolve) => setImmediate(resolve));
  expect(plans).toBe(2);
  expect(await endOf(cleaner[Symbol.asyncDispose]())).toBe("ended");
  expect(failures).toEqual([]);
});
