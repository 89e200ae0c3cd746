// Proves: whatever goes in comes out in order, also when it goes in while others come out.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Heap } from "../../src/base/heap.ts";

test("gives out what it has, the least first", () => {
  const steps = fc.array(fc.oneof(fc.integer({ min: -50, max: 50 }), fc.constant("pop" as const)), { maxLength: 80 });
  fc.assert(
    fc.property(steps, (sequence) => {
      const heap = new Heap<number>((a, b) => a - b);
      const model: number[] = [];
      for (const step of [...sequence, ...sequence.map(() => "pop" as const), "pop" as const]) {
        if (step === "pop") {
          expect(heap.pop()).toBe(model.sort((a, b) => a - b).shift());
          continue;
        }
        heap.push(step);
        model.push(step);
      }
    }),
  );
});
