/** Proves that values of a partition field are told apart as readers tell them apart. */
import { expect, test } from "vitest";
import { valueKey } from "../../../src/table/iceberg/partition-type.ts";
import type { PrimitiveValue } from "../../../src/table/iceberg/types.ts";

test("every value has a key of its own, -0 too", () => {
  const bytes = Uint8Array.of(0x31, 0);
  const values: readonly (PrimitiveValue | null)[] = [null, -0, 0, Number.NaN, 1, 1.5, true, "", "n", "\ufeffn", bytes];
  expect(new Set(values.map(valueKey)).size).toBe(values.length);
});

test("a value that was written before its column was widened has the key that it has since", () => {
  expect(valueKey(7)).toBe(valueKey(7n));
});
