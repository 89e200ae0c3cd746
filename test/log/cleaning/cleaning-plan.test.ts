/** Proves: a partition is cleaned when it is dirty enough, overdue or has ripe tombstones, and never further than it may. */
import { expect, test } from "vitest";
import type { Offset } from "../../../src/base/ids.ts";
import { type CleaningBounds, type CleaningProgress, planCleaning } from "../../../src/log/cleaning/cleaning-plan.ts";
import type { RangeSummary } from "../../../src/stream/storage.ts";
import { topicConfig } from "../../support/owned-partition.ts";

const at = (value: number): Offset => value as Offset;
const range = (from: number, to: number, maxTimestamp: number): RangeSummary => {
  return { from: at(from), to: at(to), bytes: 100, maxTimestamp };
};
const stored = [range(0, 10, 1000), range(10, 20, 2000), range(20, 30, 3000), range(30, 40, 4000)];

function plan(
  over: Partial<CleaningBounds> & Partial<CleaningProgress> = {},
  configs: Readonly<Record<string, string>> = {},
) {
  const { cleanedTo = at(0), horizonMs = 0, ...bounds } = over;
  return planCleaning(stored, { cleanedTo, horizonMs }, topicConfig({ "cleanup.policy": "compact", ...configs }), {
    start: at(0),
    lastStable: at(45),
    hold: undefined,
    nowMs: 5000,
    ...bounds,
  });
}

test("everything is dirty at first, up to what objects hold", () => {
  expect(plan()).toEqual({ dirtyFrom: 0, upTo: 40, dirtyRatio: 1 });
  expect(plan({}, { "cleanup.policy": "delete" })).toBeUndefined();
  expect(plan({ start: at(15) })).toMatchObject({ dirtyFrom: 15, upTo: 40 });
});

test("the dirty ratio must be above the topic's", () => {
  expect(plan({ cleanedTo: at(10) })).toMatchObject({ dirtyFrom: 10, upTo: 40, dirtyRatio: 0.75 });
  expect(plan({ cleanedTo: at(20) })).toBeUndefined(); // Half of it, not more.
  expect(plan({ cleanedTo: at(20) }, { "min.cleanable.dirty.ratio": "0.4" })).toMatchObject({ dirtyFrom: 20 });
  expect(plan({ cleanedTo: at(40) }, { "min.cleanable.dirty.ratio": "0" })).toBeUndefined();
});

test("open transactions, the lake and the least lag bound it", () => {
  expect(plan({ lastStable: at(25) })).toMatchObject({ upTo: 25 });
  expect(plan({ hold: at(12) })).toMatchObject({ upTo: 12 });
  expect(plan({ hold: at(0) })).toBeUndefined();
  expect(plan({ cleanedTo: at(30), hold: at(20) }, { "min.cleanable.dirty.ratio": "0" })).toBeUndefined();
  expect(plan({}, { "min.compaction.lag.ms": "2500" })).toMatchObject({ upTo: 20 });
  expect(plan({}, { "min.compaction.lag.ms": "4500" })).toBeUndefined();
});

test("what is overdue is cleaned, however little it is", () => {
  const lag = { "max.compaction.lag.ms": "1500" };
  expect(plan({ cleanedTo: at(30) }, lag)).toBeUndefined();
  expect(plan({ cleanedTo: at(30), nowMs: 5501 }, lag)).toMatchObject({ dirtyFrom: 30, upTo: 40 });
});

test("ripe tombstones are a reason of their own", () => {
  expect(plan({ cleanedTo: at(40), horizonMs: 5001 })).toBeUndefined();
  expect(plan({ cleanedTo: at(40), horizonMs: 5000 })).toEqual({ dirtyFrom: 40, upTo: 40, dirtyRatio: 0 });
  expect(plan({ cleanedTo: at(40), horizonMs: 5000, hold: at(10) })).toBeUndefined();
});
