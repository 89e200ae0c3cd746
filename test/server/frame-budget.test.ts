/** Proves: a full budget stops readers, room wakes them in order, and half frames alone never block each other for good. */
import { expect, test } from "vitest";
import { WrongProgram } from "../../src/base/errors.ts";
import { FrameBudget, type FrameReader } from "../../src/server/frame-budget.ts";

class Reader implements FrameReader {
  resumed = 0;
  resume(): void {
    this.resumed += 1;
  }
}

test("readers stop when it is used up and go on when requests are answered", () => {
  const budget = new FrameBudget(1000);
  const reader = new Reader();
  const held = budget.hold(1000);
  expect(budget.mayRead(reader, false)).toBe(false);
  held[Symbol.dispose]();
  expect([reader.resumed, budget.used]).toEqual([1, 0]);
  held[Symbol.dispose](); // Twice is once.
  expect(budget.used).toBe(0);
});

test("while requests are being answered nobody overdraws", () => {
  const budget = new FrameBudget(1000);
  const first = new Reader();
  budget.hold(600);
  budget.charge(500);
  expect(budget.mayRead(first, true)).toBe(false);
});

test("when half frames fill it, the oldest goes on, then the next", () => {
  const budget = new FrameBudget(1000);
  const [first, second] = [new Reader(), new Reader()];
  budget.charge(500);
  expect(budget.mayRead(first, true)).toBe(true);
  budget.charge(600);
  expect(budget.mayRead(second, true)).toBe(false);
  expect(budget.mayRead(first, true)).toBe(true);
  budget.charge(900); // The first overdraws.
  expect(budget.mayRead(first, true)).toBe(true);
  budget.leave(first);
  budget.refund(1400);
  expect(second.resumed).toBeGreaterThan(0);
  expect(budget.used).toBe(600);
});

test("as many wake as there is room for a read each", () => {
  const budget = new FrameBudget(200_000);
  const held = [budget.hold(100_000), budget.hold(100_000)];
  const readers = Array.from({ length: 5 }, () => new Reader());
  for (const reader of readers) expect(budget.mayRead(reader, false)).toBe(false);
  held[0]?.[Symbol.dispose]();
  expect(readers.map((reader) => reader.resumed)).toEqual([1, 1, 0, 0, 0]);
});

test("giving back more than was taken is a wrong program", () => {
  expect(() => new FrameBudget(10).refund(1)).toThrow(WrongProgram);
});
