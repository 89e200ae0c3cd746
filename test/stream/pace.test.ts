/** Proves: work for readers of the past takes its share of time and of bandwidth, and no more. */
import { expect, test } from "vitest";
import { sleep } from "../../src/base/async.ts";
import { Pace } from "../../src/stream/pace.ts";
import { SimClock } from "../sim/clock.ts";

/** A clock that work can use up. */
class BusyClock extends SimClock {
  usedMs = 0;
  override monotonic(): number {
    return super.monotonic() + this.usedMs;
  }
}

test.each([
  [100, 100],
  [50, 200],
  [10, 1000],
])("%i %% of the event loop makes 100 ms of work take about %i ms", async (percent, expectedMs) => {
  const clock = new BusyClock();
  const pace = new Pace({ clock, limits: { catchupLoopPercentMax: percent, catchupBytesPerSecondMax: 0 } });
  const work = async (): Promise<void> => {
    for (let i = 0; i < 100; i += 1) {
      await pace.run(() => {
        clock.usedMs += 1;
      });
    }
  };
  await clock.until(work());
  expect(clock.monotonic()).toBeGreaterThan(0.9 * expectedMs);
  expect(clock.monotonic()).toBeLessThan(1.1 * expectedMs);
});

test("idle time is not saved up, and a failure is its caller's", async () => {
  const clock = new BusyClock();
  const pace = new Pace({ clock, limits: { catchupLoopPercentMax: 50, catchupBytesPerSecondMax: 1000 } });
  await clock.until(sleep(clock, 10_000));
  const failing = pace.run(() => {
    throw new Error("rotten");
  });
  await expect(clock.until(failing)).rejects.toThrow("rotten");
  const startedMs = clock.monotonic();
  await clock.until(Promise.all([pace.bytes(500), pace.bytes(500), pace.bytes(500)]));
  expect(clock.monotonic() - startedMs).toBe(1000); // The first at once, the last when two are paid for.
});
