/** Proves: a slab's copies never overlap or change, and what budgets see returns to the slab being filled. */
import { expect, test } from "vitest";
import { WrongProgram } from "../../src/base/errors.ts";
import type { Owned } from "../../src/base/ids.ts";
import { Slabs } from "../../src/base/slabs.ts";

test("copies stay as they were when the source changes and other copies come and go", () => {
  const slabs = new Slabs({ slabBytes: 1024 });
  const source = new Uint8Array(300);
  const copies: Owned[] = [];
  for (let i = 0; i < 20; i += 1) {
    source.fill(i);
    copies.push(slabs.copy(source));
    if (i % 3 === 2) slabs.release(copies[i - 1] as Owned);
  }
  source.fill(255);
  copies.forEach((copy, i) => expect(copy.every((byte) => byte === i)).toBe(true));
});

test("the memory held is that of slabs with something in them", () => {
  const slabs = new Slabs({ slabBytes: 1000 });
  expect(slabs.bytesHeld).toBe(0);
  const first = slabs.copy(new Uint8Array(400));
  const second = slabs.copy(new Uint8Array(400));
  expect(slabs.bytesHeld).toBe(1000);
  const third = slabs.copy(new Uint8Array(400)); // Opens the second slab.
  expect(slabs.bytesHeld).toBe(2000);
  const large = slabs.copy(new Uint8Array(5000));
  expect(slabs.bytesHeld).toBe(7000);
  slabs.release(first);
  expect(slabs.bytesHeld).toBe(7000);
  slabs.release(second);
  expect(slabs.bytesHeld).toBe(6000);
  slabs.release(large);
  slabs.release(third); // The slab being filled stays.
  expect(slabs.bytesHeld).toBe(1000);
});

test("an empty slab that is passed over is let go", () => {
  const slabs = new Slabs({ slabBytes: 1000 });
  slabs.release(slabs.copy(new Uint8Array(500)));
  slabs.release(slabs.copy(new Uint8Array(500)));
  slabs.copy(new Uint8Array(1));
  expect(slabs.bytesHeld).toBe(1000);
});

test("empty copies are fine; releasing twice or what is not ours is a wrong program", () => {
  const slabs = new Slabs();
  const empty = slabs.copy(new Uint8Array(0));
  slabs.release(empty);
  expect(() => slabs.release(empty)).toThrow(WrongProgram);
  expect(() => slabs.release(new Uint8Array(1) as Owned)).toThrow(WrongProgram);
});

test("what lies in a slab already stays there and counts once more; anything else is copied", () => {
  const slabs = new Slabs({ slabBytes: 1000 });
  const request = slabs.take(500);
  const batch = slabs.adopt(request.subarray(100, 400));
  expect(batch.buffer).toBe(request.buffer);
  slabs.take(500);
  slabs.take(500); // Opens the second slab.
  slabs.release(request);
  expect(slabs.bytesHeld).toBe(2000);
  slabs.release(batch);
  expect(slabs.bytesHeld).toBe(2000); // The other request.
  const foreign = new Uint8Array(10).fill(7);
  expect(slabs.adopt(foreign).buffer).not.toBe(foreign.buffer);
});

test("what is adopted after its slab was let go counts again until it is released", () => {
  const slabs = new Slabs({ slabBytes: 1000 });
  const frame = slabs.take(900);
  slabs.copy(new Uint8Array(500));
  slabs.release(frame);
  expect(slabs.bytesHeld).toBe(1000);
  const batch = slabs.adopt(frame.subarray(10, 20));
  expect(slabs.bytesHeld).toBe(1900);
  slabs.release(batch);
  expect(slabs.bytesHeld).toBe(1000);
});
