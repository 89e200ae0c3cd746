/** Proves: while records are appended readers of the past get a stated bandwidth, in turn and never for too long a wait. */
import { expect, test } from "vitest";
import { sleep } from "../../src/base/async.ts";
import { MiB } from "../../src/base/settings.ts";
import { CatchupShare } from "../../src/stream/catchup-share.ts";
import { SimClock } from "../sim/clock.ts";

/** A second after which `perSecond` bytes a second have been appended, and go on being. */
async function busy(perSecond: number, catchupBusyBytesPerSecondMax = 64 * MiB) {
  const clock = new SimClock();
  const appended = (): number => (clock.monotonic() / 1000) * perSecond;
  const share = new CatchupShare({ clock, limits: { catchupBusyBytesPerSecondMax }, appended });
  await clock.until(sleep(clock, 1000));
  return { clock, share };
}

/** Bytes a second that this many readers are given together. */
async function given({ clock, share }: Awaited<ReturnType<typeof busy>>, readers: number, wanted = 8 * MiB) {
  const startedMs = clock.monotonic();
  let bytes = 0;
  const read = async (): Promise<void> => {
    while (clock.monotonic() - startedMs < 10_000) {
      const turn = await share.turn(wanted);
      turn.took(turn.bytesMax);
      bytes += turn.bytesMax;
    }
  };
  await clock.until(Promise.all(Array.from({ length: readers }, read)));
  return bytes / ((clock.monotonic() - startedMs) / 1000);
}

test("all readers together get what the setting says, however many there are", async () => {
  for (const readers of [1, 20]) {
    const rate = await given(await busy(10 * MiB), readers);
    expect(rate).toBeGreaterThan(60 * MiB);
    expect(rate).toBeLessThan(68 * MiB);
  }
});

test("they get twice what is appended where that is more, so that they come nearer to the end", async () => {
  const rate = await given(await busy(100 * MiB), 3);
  expect(rate).toBeGreaterThan(190 * MiB);
  expect(rate).toBeLessThan(210 * MiB);
});

test.each([
  ["nothing is appended", 0, 64 * MiB],
  ["only positions are committed", 8000, 64 * MiB],
  ["there is no limit", 10 * MiB, 0],
])("while %s a read gets all it asks for, at once", async (_, perSecond, limit) => {
  const { clock, share } = await busy(perSecond, limit);
  const startedMs = clock.monotonic();
  expect(share.isHeld).toBe(false);
  for (let i = 0; i < 100; i += 1) expect((await share.turn(50 * MiB)).bytesMax).toBe(50 * MiB);
  expect(clock.monotonic()).toBe(startedMs);
});

test("what was appended long before the first read holds nobody", async () => {
  const clock = new SimClock();
  let bytes = 0;
  const limits = { catchupBusyBytesPerSecondMax: 64 * MiB };
  const share = new CatchupShare({ clock, limits, appended: () => bytes });
  bytes = 100 * MiB;
  await clock.until(sleep(clock, 10_000));
  expect((await share.turn(50 * MiB)).bytesMax).toBe(50 * MiB);
});

test("what was not taken is given to the next", async () => {
  const { clock, share } = await busy(10 * MiB);
  const startedMs = clock.monotonic();
  for (let i = 0; i < 100; i += 1) (await clock.until(share.turn(1 * MiB))).took(0);
  expect(clock.monotonic() - startedMs).toBeLessThan(10);
});

test("nobody waits for more than five seconds", async () => {
  const { clock, share } = await busy(10 * MiB, 1 * MiB);
  const startedMs = clock.monotonic();
  await clock.until(Promise.all(Array.from({ length: 1000 }, () => share.turn(1 * MiB))));
  expect(clock.monotonic() - startedMs).toBeLessThanOrEqual(5000);
});
