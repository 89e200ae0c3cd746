/** Proves: whole ranges go, oldest first, by age or by size, and never past the bound that others set. */
import { describe, expect, test } from "vitest";
import type { Offset } from "../../src/base/ids.ts";
import { planRetention, retainedFrom } from "../../src/log/retention.ts";
import type { RangeSummary } from "../../src/stream/storage.ts";

const ranges: readonly RangeSummary[] = [
  range(0, 100, 1000, 10_000),
  range(100, 200, 1000, 20_000),
  range(200, 300, 1000, 15_000), // Older records behind newer ones: they wait for their elders.
  range(300, 400, 1000, 90_000),
];

function range(from: number, to: number, bytes: number, maxTimestamp: number): RangeSummary {
  return { from: from as Offset, to: to as Offset, bytes, maxTimestamp };
}

const forever = { retentionMs: -1, retentionBytes: -1 };
const at = (nowMs: number, upTo = 400) => ({ start: 0 as Offset, upTo: upTo as Offset, nowMs });

describe("retention", () => {
  test.each([
    ["keeps all without limits", forever, at(1e12), 0],
    ["by age", { ...forever, retentionMs: 5000 }, at(25_001), 300],
    ["by age, all of it", { ...forever, retentionMs: 5000 }, at(1e12), 400],
    ["by age, exactly old enough to stay", { ...forever, retentionMs: 5000 }, at(15_000), 0],
    ["by age stops at the first young range", { ...forever, retentionMs: 5000 }, at(22_000), 100],
    ["by size", { ...forever, retentionBytes: 2500 }, at(0), 100],
    ["by size, exactly full", { ...forever, retentionBytes: 4000 }, at(0), 0],
    ["by size, nothing wanted", { ...forever, retentionBytes: 0 }, at(0), 400],
    ["not past what is not translated yet", { ...forever, retentionMs: 5000 }, at(1e12, 250), 200],
  ] as const)("%s", (_name, policy, now, keepFrom) => {
    expect(retainedFrom(ranges, policy, now)).toBe(keepFrom);
  });

  test("a range that cleaning has emptied keeps nothing back", () => {
    const cleaned = [range(0, 50, 0, -1), ...ranges.slice(1)];
    expect(retainedFrom(cleaned, { ...forever, retentionMs: 5000 }, at(25_001))).toBe(300);
    expect(retainedFrom(cleaned, forever, at(1e12))).toBe(0);
  });

  test("a range without timestamps is not old", () => {
    expect(retainedFrom([range(0, 5, 10, -1)], { ...forever, retentionMs: 1 }, at(1e12))).toBe(0);
  });
});

describe("what waits for the lake", () => {
  const byAge = { ...forever, retentionMs: 5000 };
  const now = { start: 0 as Offset, highWatermark: 400 as Offset, nowMs: 25_001 };
  const from = (upTo: number, waits: boolean) => ({ upTo: upTo as Offset, waits });

  test("nothing, where nobody copies the records", () => {
    expect(planRetention(ranges, byAge, now, undefined)).toEqual({ keepFrom: 300, held: undefined, lost: 0 });
  });

  test("is told in bytes, and in the time that its oldest record is due", () => {
    expect(planRetention(ranges, byAge, now, from(150, true))).toEqual({
      keepFrom: 100,
      held: { bytes: 2000, overdueMs: 5001 },
      lost: 0,
    });
    expect(planRetention(ranges, byAge, now, from(300, true)).held).toEqual({ bytes: 0, overdueMs: 0 });
    const bySize = { ...forever, retentionBytes: 2000 };
    expect(planRetention(ranges, bySize, now, from(0, true)).held).toEqual({ bytes: 2000, overdueMs: 0 });
  });

  test("goes all the same where the topic says so, and what is lost is counted once", () => {
    const plan = planRetention(ranges, byAge, now, from(150, false));
    expect(plan).toEqual({ keepFrom: 300, held: { bytes: 0, overdueMs: 0 }, lost: 150 });
    const later = { ...now, start: 300 as Offset, nowMs: 1e12 };
    expect(planRetention(ranges.slice(3), byAge, later, from(150, false)).lost).toBe(100);
    expect(planRetention(ranges, byAge, now, from(400, false)).lost).toBe(0);
  });
});
