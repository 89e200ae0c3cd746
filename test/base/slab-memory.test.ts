/** Proves: memory is used again when nobody sees it any more, never before, and what is not needed is let go. */
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { SlabMemory } from "../../src/base/slab-memory.ts";
import { collectGarbage } from "../support/garbage.ts";

/** With the turns that finalizers run in. */
async function collectAll(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    await setImmediate();
    collectGarbage();
    await setImmediate();
  }
}

/** Marks a piece, and holds nothing of it. */
function mark(memory: SlabMemory, byte: number): void {
  new Uint8Array(memory.take()).fill(byte);
}

const firstByte = (memory: SlabMemory): number => new Uint8Array(memory.take())[0] as number;

test("what nobody sees any more is used again", async () => {
  const memory = new SlabMemory(1000);
  mark(memory, 7);
  await collectAll();
  expect(firstByte(memory)).toBe(7);
  expect(firstByte(memory)).toBe(0);
});

test("what is seen in part, by a view of a view, is not", async () => {
  const memory = new SlabMemory(1000);
  mark(memory, 1);
  const seen = new Uint8Array(memory.take()).fill(2).subarray(10, 20).subarray(1, 2);
  await collectAll();
  expect([firstByte(memory), firstByte(memory)]).toEqual([1, 0]);
  expect(seen[0]).toBe(2);
});

test("what stays free while many are taken goes back to the system", async () => {
  const memory = new SlabMemory(1000);
  for (let i = 0; i < 50; i += 1) mark(memory, 9);
  await collectAll();
  for (let i = 0; i < 600; i += 1) {
    mark(memory, 1); // No more than ten of them are there at a time.
    if (i % 10 === 9) await collectAll();
  }
  const pieces = Array.from({ length: 60 }, () => new Uint8Array(memory.take()));
  expect(pieces.filter((piece) => piece[0] === 9)).toEqual([]);
  expect(pieces.filter((piece) => piece[0] === 1).length).toBeLessThanOrEqual(20);
});

test("the collector counts it, and comes by itself", async () => {
  const bytes = 4 * 1024 * 1024;
  const memory = new SlabMemory(bytes);
  let reused = 0;
  for (let i = 0; i < 2000; i += 1) {
    const piece = new Uint8Array(memory.take());
    if (piece[0] !== 0) reused += 1;
    piece[0] = 1;
    if (i % 20 === 0) await setImmediate();
  }
  expect(reused).toBeGreaterThan(1000);
});
