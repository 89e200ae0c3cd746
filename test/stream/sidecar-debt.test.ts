/** Proves: few cuts carry sidecars, and one that does speaks for every stream that was written since the last. */
import { expect, test } from "vitest";
import type { StreamId } from "../../src/base/ids.ts";
import { SidecarDebt } from "../../src/stream/sidecar-debt.ts";

const generation = (bytes: number, ...streams: number[]) => ({
  bytes,
  runs: new Map(streams.map((id) => [id as StreamId, undefined])),
});
const debt = () => new SidecarDebt({ uploadBytesMax: 100, uploadIntervalMsMax: 1000 }, 0);

test("a cut carries them once enough bytes have gone by, for those that were left out too", () => {
  const owed = debt();
  expect(owed.cut(generation(40, 1, 2), 1, false)).toBeUndefined();
  expect(owed.cut(generation(40, 1, 3), 2, false)).toBeUndefined();
  expect(owed.cut(generation(40, 1), 3, false)).toEqual([2, 3]);
  expect(owed.cut(generation(40, 1), 4, false)).toBeUndefined(); // It begins anew.
});

test("a cut carries them once enough time has gone by, and when it must", () => {
  const owed = debt();
  expect(owed.cut(generation(1, 1), 999, false)).toBeUndefined();
  expect(owed.cut(generation(1, 2), 1000, false)).toEqual([1]);
  expect(owed.cut(generation(1, 2), 1001, true)).toEqual([]);
});
