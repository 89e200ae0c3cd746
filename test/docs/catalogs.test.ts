/** Proves: what docs/catalogs.md shows is a configuration that is accepted, for every kind of catalog that there is. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { catalogShape } from "../../src/config/catalogs.ts";
import { readConfig } from "../../src/config.ts";
import { checkout } from "../support/processes.ts";

const page = readFileSync(join(checkout, "docs/catalogs.md"), "utf8");
const environment = {
  CATALOG_TOKEN: "t",
  POLARIS_SECRET: "s",
  CATALOG_DATABASE: "postgres://inlet:secret@127.0.0.1:5432/lake",
};

test("every block is accepted, and together they show every kind", () => {
  const shown = [...page.matchAll(/^```yaml\n(.*?)^```/gms)].flatMap(([, text], index) => {
    const file = { name: `block ${index + 1}`, text: text as string };
    const { catalogs } = readConfig({ flags: new Map(), environment, file, readFile: () => undefined });
    return [...catalogs.values()].map(({ type }) => type);
  });
  expect([...new Set(shown)].sort()).toEqual(Object.keys(catalogShape.options).sort());
});

test("tables are where the page says", () => {
  const text = /^```yaml\n(.*?)^```/ms.exec(page)?.[1] as string;
  const { tables } = readConfig({
    flags: new Map(),
    environment,
    file: { name: "first", text },
    readFile: () => undefined,
  });
  expect(tables.map(({ catalog, namespace, table }) => [catalog, ...namespace, table].join("."))).toEqual([
    "main.sales.orders_v1",
    "polaris.web.clicks",
  ]);
});
