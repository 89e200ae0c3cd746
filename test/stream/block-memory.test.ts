/** Proves: places never overlap, and once all are given up the area is one again; whatever the order. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isPageAligned, pageBytes } from "../../src/base/page-memory.ts";
import { BlockMemory, type BlockPlace } from "../../src/stream/block-memory.ts";

const areaBytes = 64 * pageBytes;

test("places do not overlap, and the area is whole again in the end", () => {
  const step = fc.record({ bytes: fc.integer({ min: 0, max: 10 * pageBytes }), gives: fc.nat() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const freed: Uint8Array[] = [];
      const memory = new BlockMemory(areaBytes, {
        make: (bytes) => new Uint8Array(bytes),
        freed: (room) => freed.push(room),
      });
      const places: BlockPlace[] = [];
      const giveUp = (index: number): void => {
        const [place] = places.splice(index % places.length, 1);
        place?.hold();
        place?.release();
        expect(freed).not.toContain(place?.room);
        place?.release();
        expect(freed.at(-1)).toBe(place?.room);
      };
      for (const { bytes, gives } of steps) {
        const place = memory.take(bytes);
        if (place === undefined) {
          expect(memory.bytesFree).toBeLessThan(areaBytes);
          giveUp(gives);
          continue;
        }
        expect(place.room.length).toBeGreaterThanOrEqual(bytes + pageBytes);
        for (const { room } of places) {
          const isApart =
            room.byteOffset + room.length <= place.room.byteOffset ||
            place.room.byteOffset + place.room.length <= room.byteOffset;
          expect(isApart).toBe(true);
        }
        places.push(place);
        expect(memory.bytesFree).toBe(areaBytes - places.reduce((sum, { room }) => sum + room.length, 0));
        if (gives % 3 === 0) giveUp(gives);
      }
      while (places.length > 0) giveUp(0);
      expect(memory.take(areaBytes - pageBytes)).toBeDefined();
    }),
  );
});

test("room begins at a page", () => {
  const memory = new BlockMemory(areaBytes);
  const rooms = [1, 5000, 3].map((bytes) => memory.take(bytes)?.room);
  expect(rooms.map((room) => room && isPageAligned(room))).toEqual([true, true, true]);
});

test("who has let go has let go", () => {
  const place = new BlockMemory(areaBytes).take(1);
  place?.release();
  expect(() => place?.release()).toThrow("let go");
  expect(() => place?.hold()).toThrow("no new users");
});
