/** Proves: whatever preparation takes, batches are assigned in the order in which they arrived. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { PartitionLane } from "../../src/log/lane.ts";
import { ManualClock } from "../support/manual-clock.ts";

const always = (): true => true;

test("assignment follows arrival, in whatever order preparations finish", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
      async (scheduler, waits) => {
        const lane = new PartitionLane<number>({ clock: new ManualClock(), entriesMax: 100, ready: always });
        const assigned: number[] = [];
        const assign = (index: number): Promise<number> => {
          assigned.push(index);
          return Promise.resolve(index);
        };
        const runs = waits.map((isAsync, index) =>
          lane.run(isAsync ? scheduler.schedule(Promise.resolve(index)) : index, 1000, assign),
        );
        await scheduler.waitAll();
        expect(await Promise.all(runs)).toEqual(waits.map((_, index) => index));
        expect(assigned).toEqual(waits.map((_, index) => index));
        expect(lane.isIdle).toBe(true);
      },
    ),
    { numRuns: 100 },
  );
});

test("a failed preparation is its caller's alone", async () => {
  const lane = new PartitionLane<number>({ clock: new ManualClock(), entriesMax: 100, ready: always });
  const failed = lane.run(Promise.reject(new Error("cannot be read")), 1000, (value) => Promise.resolve(value));
  const fine = lane.run(2, 1000, (value) => Promise.resolve(value));
  await expect(failed).rejects.toThrow("cannot be read");
  expect(await fine).toBe(2);
});

test("nothing is assigned while the storage backs off, and all goes on in order after", async () => {
  let isReady = false;
  const gate = Promise.withResolvers<void>();
  const lane = new PartitionLane<number>({
    clock: new ManualClock(),
    entriesMax: 2,
    ready: () => (isReady ? true : gate.promise),
  });
  const assigned: number[] = [];
  const assign = (index: number): Promise<void> => {
    assigned.push(index);
    return Promise.resolve();
  };
  const runs = [lane.run(1, 1000, assign), lane.run(Promise.resolve(2), 1000, assign)];
  await Promise.resolve();
  expect(assigned).toEqual([]);
  expect(lane.isFull).toBe(true);
  isReady = true;
  gate.resolve();
  await Promise.all(runs);
  expect(assigned).toEqual([1, 2]);
  expect(lane.isFull).toBe(false);
});

test("who waits for too long leaves, unassigned; those who may wait longer go on in order", async () => {
  const clock = new ManualClock();
  const gate = Promise.withResolvers<void>();
  let isReady = false;
  const lane = new PartitionLane<number>({ clock, entriesMax: 10, ready: () => (isReady ? true : gate.promise) });
  const assign = (value: number): Promise<number> => Promise.resolve(value);
  const runs = [lane.run(1, 500, assign), lane.run(2, 100, assign), lane.run(3, 500, assign)];
  clock.advance(100);
  expect(await runs[1]).toBe("expired");
  const late = lane.run(4, 50, assign);
  clock.advance(60);
  expect(await late).toBe("expired");
  isReady = true;
  gate.resolve();
  expect(await Promise.all([runs[0], runs[2]])).toEqual([1, 3]);
  clock.advance(1000);
  expect(lane.isIdle).toBe(true);
});
