/**
 * Proves: what the interop suites hold every engine against is whole. Every row of docs/types.md has values that engines must
 * read, and docs/engines.md says what they cannot.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { allLimits } from "../../interop/tables/limits.ts";
import { recordsWithValues } from "../../interop/tables/type-topics.ts";
import { typeValues } from "../../interop/tables/type-values.ts";
import { typeSources, typeTable } from "../../src/table/schema/type-table.ts";
import { checkout } from "../support/processes.ts";

test.each(typeSources)("every type of %s has values that engines must read", (source) => {
  const titles = typeTable().filter((row) => row.source === source);
  expect(Object.keys(typeValues[source]).toSorted()).toEqual(titles.map((row) => row.type).toSorted());
  const most = Math.max(...Object.values(typeValues[source]).map((values) => values.length));
  expect(most).toBeLessThanOrEqual(recordsWithValues);
});

test("docs/engines.md says what engines cannot", () => {
  const text = readFileSync(join(checkout, "docs/engines.md"), "utf8").replaceAll(/\s+/g, " ");
  for (const { engine, what } of allLimits) expect(text).toMatch(new RegExp(`\\*\\*${engine}\\*\\* [^*]*${what}`));
  expect(allLimits.length).toBeGreaterThan(0);
});
