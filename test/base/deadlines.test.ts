/** Proves: a deadline calls back once, when its time is up and not much later; what is disposed of never does; nothing ticks for nobody. */
import { expect, test } from "vitest";
import { Deadlines } from "../../src/base/deadlines.ts";
import { ManualClock } from "../support/manual-clock.ts";

test("each calls back within a tick of its time, in no other order, and once", () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  const called: [delayMs: number, atMs: number][] = [];
  const startMs = clock.monotonic();
  for (const delayMs of [1000, 0, 120, 30, 50, 51]) {
    deadlines.after(delayMs, () => called.push([delayMs, clock.monotonic() - startMs]));
  }
  for (let ms = 0; ms < 2000; ms += 1) clock.advance(1);
  expect(called.map(([delayMs]) => delayMs).sort((a, b) => a - b)).toEqual([0, 30, 50, 51, 120, 1000]);
  for (const [delayMs, atMs] of called) {
    expect(atMs).toBeGreaterThanOrEqual(delayMs);
    expect(atMs).toBeLessThanOrEqual(delayMs + 51);
  }
});

test("what is disposed of never calls back, and no timer is left", () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  let calls = 0;
  const kept = deadlines.after(500, () => {
    calls += 1;
  });
  deadlines
    .after(500, () => {
      calls += 100;
    })
    [Symbol.dispose]();
  clock.advance(400);
  kept[Symbol.dispose]();
  clock.advance(1000);
  expect(calls).toBe(0);
  expect(clock.pending).toBe(0);
});

test("a callback may set the next deadline", () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  let calls = 0;
  const again = (): void => {
    calls += 1;
    if (calls < 3) deadlines.after(100, again);
  };
  deadlines.after(100, again);
  for (let ms = 0; ms < 1000; ms += 10) clock.advance(10);
  expect(calls).toBe(3);
});
