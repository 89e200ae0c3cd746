/** Proves: examples/earthquakes does what it says: nested JSON without a schema becomes a table of nested columns. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openExample } from "../support/example.ts";
import { checkout } from "../support/processes.ts";

interface Quake {
  readonly properties: { readonly mag: number; readonly magType: string };
}

test("the earthquakes that were produced are the earthquakes that SQL sees", { timeout: 120_000 }, async () => {
  await using example = await openExample("earthquakes");
  const { features } = JSON.parse(
    readFileSync(join(checkout, "node_modules/vega-datasets/data/earthquakes.json"), "utf8"),
  ) as { readonly features: readonly Quake[] };
  expect(await example.produce()).toBe(features.length);
  expect(await example.query()).toEqual(queryOfSource(features));
});

/** What the example's query says, from the source. */
function queryOfSource(features: readonly Quake[]): readonly Readonly<Record<string, unknown>>[] {
  const kinds = Map.groupBy(features, ({ properties }) => properties.magType);
  return [...kinds]
    .map(([kind, quakes]) => ({
      kind,
      quakes: String(quakes.length),
      strongest: Math.max(...quakes.map(({ properties }) => properties.mag)),
    }))
    .toSorted((a, b) => Number(b.quakes) - Number(a.quakes) || (a.kind < b.kind ? -1 : 1))
    .slice(0, 10);
}
