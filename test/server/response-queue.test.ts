/** Proves: answers leave in the order of the requests, whatever finishes first, and only what may overlap does. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ResponseQueue, type Slot } from "../../src/server/response-queue.ts";

type TestSlot = Slot<number, number>;

test("for any requests, any order of finishing", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 20 }), fc.infiniteStream(fc.nat()), (overlaps, choices) => {
      const queue = new ResponseQueue<number, number>();
      overlaps.forEach((mayOverlap, i) => queue.add(i, mayOverlap));
      const running: TestSlot[] = [];
      const answers: number[] = [];
      const started: number[] = [];
      const advance = (): void => {
        for (;;) {
          for (let answer = queue.take(); answer !== undefined; answer = queue.take()) answers.push(answer);
          const slot = queue.start();
          if (slot === undefined) return;
          running.push(slot);
          started.push(slot.work);
          expect(running.length === 1 || running.every((each) => each.mayOverlap)).toBe(true);
        }
      };
      for (advance(); running.length > 0; advance()) {
        const [slot] = running.splice(choices.next().value % running.length, 1);
        if (slot !== undefined) queue.finish(slot, slot.work);
      }
      expect(started).toEqual(overlaps.map((_, i) => i));
      expect(answers).toEqual(overlaps.map((_, i) => i));
      expect(queue.length).toBe(0);
    }),
  );
});

test("dropping gives back what was never started", () => {
  const queue = new ResponseQueue<number, number>();
  for (const n of [1, 2, 3]) queue.add(n, false);
  queue.start();
  expect(queue.drop()).toEqual({ waiting: [2, 3], answers: [] });
  expect(queue.length).toBe(0);
});
