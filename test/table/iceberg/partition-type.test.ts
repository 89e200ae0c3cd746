/** Proves that values of a partition field are told apart as readers tell them apart. */
import { expect, test } from "vitest";
import { partitionColumns, valueKey } from "../../../src/table/iceberg/partition-type.ts";
import type { PrimitiveType, PrimitiveValue, Transform } from "../../../src/table/iceberg/types.ts";

test("every value has a key of its own, -0 too", () => {
  const bytes = Uint8Array.of(0x31, 0);
  const values: readonly (PrimitiveValue | null)[] = [null, -0, 0, Number.NaN, 1, 1.5, true, "", "n", "\ufeffn", bytes];
  expect(new Set(values.map(valueKey)).size).toBe(values.length);
});

test("what a dropped source was partitioned by has the type that it had", () => {
  const types: Partial<Record<Transform, PrimitiveType>> = {
    year: "int",
    month: "int",
    day: "date",
    hour: "int",
    "bucket[8]": "int",
    void: "string",
  };
  for (const [transform, type] of Object.entries(types)) {
    const field = { "source-id": 7, "field-id": 1000, name: "p", transform: transform as Transform };
    const columns = partitionColumns({ "spec-id": 0, fields: [field] }, { type: "struct", "schema-id": 0, fields: [] });
    expect(columns).toEqual([{ id: 1000, name: "p", type }]);
  }
});

test("a value that was written before its column was widened has the key that it has since", () => {
  expect(valueKey(7)).toBe(valueKey(7n));
});
