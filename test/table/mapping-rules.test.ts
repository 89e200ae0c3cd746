/**
 * Proves: what a source type becomes never changes for a table that is there. The golden files are what each of the rules answered when
 * tables were first made under them; INLET_WRITE_GOLDEN=1 writes those of rules that have none yet, and never writes over one.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { renderTypes } from "../../scripts/render-types.ts";
import { mappingRules } from "../../src/table/schema/mapping-rules.ts";
import { initialMapping } from "../../src/table/schema/schema-map.ts";
import { goldenMapping, typeSources, typeTable } from "../../src/table/schema/type-table.ts";
import { Lake } from "../support/lake.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

const directory = join(import.meta.dirname, "golden");

function golden(rules: number, name: string, current: unknown): unknown {
  const path = join(directory, `mapping-rules-${rules}-${name.toLowerCase().replaceAll(" ", "-")}.json`);
  if (process.env["INLET_WRITE_GOLDEN"] === "1" && !existsSync(path)) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(path, `${JSON.stringify(current, null, 2)}\n`);
  }
  return JSON.parse(readFileSync(path, "utf8"));
}

describe.each([
  [1, 2],
  [2, 3],
  [3, 2],
  [4, 3],
  [5, 2],
  [6, 3],
  [7, 2],
  [8, 3],
] as const)("mapping rules %i, of format %i", (rules, formatVersion) => {
  test.each(typeSources)("every type of %s is the column that it was, with the ids that it had", (source) => {
    const mapping = goldenMapping(source, formatVersion, rules);
    expect(mapping.rules).toBe(rules);
    expect(JSON.parse(JSON.stringify(mapping))).toEqual(golden(rules, source, mapping));
  });

  test.each(["raw", "string", "json", "schema-id"] as const)(
    "a table of %s begins with the columns that it had",
    (decode) => {
      const mapping = { ...initialMapping(tableSettings(decode, { formatVersion })), rules };
      expect(JSON.parse(JSON.stringify(mapping))).toEqual(golden(rules, `begin-${decode}`, mapping));
    },
  );
});

describe("the newest rules", () => {
  test("are the ones that are looked at here", () => {
    expect(mappingRules).toBe(8);
  });

  test("the table of types has a row for each type, and looked at all sources", () => {
    const rows = typeTable();
    for (const source of typeSources) expect(rows.filter((row) => row.source === source).length).toBeGreaterThan(5);
    expect(new Set(rows.map((row) => `${row.source} ${row.field}`)).size).toBe(rows.length);
  });

  test("docs/types.md is what they say", () => {
    const path = join(import.meta.dirname, "../../docs/types.md");
    expect(readFileSync(path, "utf8"), "run node scripts/render.ts").toBe(renderTypes());
  });
});

test("a table of rules that we do not know pauses, untouched, and says which", async () => {
  const lake = new Lake(501);
  const topic = lake.topic("orders", 1);
  const { compactor, metadata } = lake.open([tableSettings("json")]);
  await lake.produce(topic, 0, [{ value: utf8('{"id":1}') }]);
  await compactor.flush("orders");
  const [table] = [...metadata.image.tables()];
  if (table === undefined) throw new Error("there is no table");
  const state = JSON.parse(Buffer.from(table.schema).toString("utf8")) as { mapping: object };
  const later = { ...state, mapping: { ...state.mapping, rules: mappingRules + 1 } };
  const schema = Buffer.from(JSON.stringify(later));
  await metadata.propose([{ kind: "table-schema", table: table.id, expectedVersion: table.schemaVersion, schema }]);
  await lake.produce(topic, 0, [{ value: utf8('{"id":2}') }]);
  await expect(compactor.flush("orders")).rejects.toThrow(
    /a later version of Inlet made the table, under mapping rules 9/,
  );
  expect(await lake.places({ namespace: ["sales"], name: "orders" })).toEqual(["0:0"]);
  await compactor[Symbol.asyncDispose]();
});
