/** Proves: the map of keys says what a plain Map says, until it is full, and then says so. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Offset } from "../../../src/base/ids.ts";
import { keysIn, OffsetMap } from "../../../src/log/cleaning/offset-map.ts";

test("as a Map does, as far as there is room", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.array(fc.nat({ max: 60 }), { maxLength: 200 }), (keysMax, keys) => {
      const map = new OffsetMap(keysMax);
      const model = new Map<number, number>();
      for (const [offset, key] of keys.entries()) {
        const hasRoom = model.has(key) || model.size < keysMax;
        expect(map.put(Buffer.from(`${key}`), offset as Offset)).toBe(hasRoom);
        if (hasRoom) model.set(key, offset);
      }
      expect(map.size).toBe(model.size);
      for (let key = 0; key <= 60; key += 1) expect(map.get(Buffer.from(`${key}`))).toBe(model.get(key) ?? -1);
    }),
  );
});

test("an empty key is a key, and 32 bytes are enough for one", () => {
  const map = new OffsetMap(1);
  expect(map.get(new Uint8Array())).toBe(-1);
  map.put(new Uint8Array(), 0 as Offset);
  expect(map.get(new Uint8Array())).toBe(0);
  expect(keysIn(32_000)).toBe(1000);
});
