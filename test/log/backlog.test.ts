/** Proves: a waiting fetch learns how many bytes it could get without reading them. */
import { expect, test } from "vitest";
import { Backlog } from "../../src/log/backlog.ts";

test("bytes between two batch ends are those of the batches between them", () => {
  const backlog = new Backlog(100, 8);
  backlog.add(110, 1000);
  backlog.add(125, 500);
  backlog.add(126, 10);
  expect(backlog.between(100, 126)).toBe(1510);
  expect(backlog.between(110, 126)).toBe(510);
  expect(backlog.between(110, 125)).toBe(500);
  expect(backlog.between(126, 126)).toBe(0);
  expect(backlog.between(118, 126)).toBe(510); // Inside a batch: it is returned whole.
});

test("below what is remembered there is plenty", () => {
  const backlog = new Backlog(0, 4);
  for (let end = 1; end <= 10; end += 1) backlog.add(end, 100);
  expect(backlog.between(9, 10)).toBe(100);
  expect(backlog.between(7, 10)).toBe(300);
  expect(backlog.between(2, 10)).toBe(Number.POSITIVE_INFINITY);
});
