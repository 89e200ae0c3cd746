/** Proves: what records without a schema ask for is found in time linear in them, however many names they make up. */
import { describe, expect, test } from "vitest";
import { inferType, mergeInferred } from "../../../src/table/decode/json-infer.ts";
import { columnsOf } from "../../../src/table/schema/schema-map-draft.ts";
import { nothing, type SourceType } from "../../../src/table/schema/schema-map-types.ts";
import { grownBy } from "../../../src/table/translate/inferred.ts";

function millisOf(work: () => unknown): number {
  const before = performance.now();
  work();
  return performance.now() - before;
}

describe("names that are values", () => {
  test("in a list of as many objects as a record has room for", () => {
    const items = Array.from({ length: 50_000 }, (_, at) => ({ [`k${at}`]: at }));
    expect(millisOf(() => inferType(items))).toBeLessThan(10_000);
  });

  test("in one record after the other", () => {
    let known: SourceType = nothing;
    const took = millisOf(() => {
      for (let at = 0; at < 50_000; at += 1) known = grownBy(known, inferType({ [`k${at}`]: at }));
    });
    expect(took).toBeLessThan(10_000);
    expect(columnsOf(known)).toBeGreaterThan(500);
    expect(columnsOf(known)).toBeLessThan(600);
  });
});

test("the first type stays, fields keep the order in which they come", () => {
  const types = [[], [{ a: 1, b: null }], [{ b: "x", a: "y" }, { c: [{ d: true }] }], 7].map((value) =>
    inferType(value),
  );
  expect(mergeInferred(types)).toEqual(inferType([{ a: 1, b: "x", c: [{ d: true }] }]));
});
