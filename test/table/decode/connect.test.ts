/** Proves: what Kafka Connect's JSON Schema converter writes becomes decimals, dates and times, exactly or as a dead letter. */
import { describe, expect, test } from "vitest";
import { jsonSchemaSourceType } from "../../../src/table/schema/schema-map-json-schema.ts";
import type { TableSettings } from "../../../src/table/settings.ts";
import { readByHyparquet } from "../parquet-readers.ts";
import {
  inlineTranslator,
  Registry,
  rangeOf,
  tableSettings,
  translateAll,
  utf8,
  withSchemaId,
} from "../translate-fixtures.ts";

const connect = (name: string, type: string, carrier: string, parameters = {}) => ({
  type,
  title: `org.apache.kafka.connect.data.${name}`,
  "connect.version": 1,
  "connect.type": carrier,
  "connect.parameters": parameters,
});
const price = connect("Decimal", "number", "bytes", { scale: "2" });
const orNull = (schema: object) => ({ oneOf: [{ type: "null" }, schema] });
const properties = {
  price: orNull(price),
  day: connect("Date", "integer", "int32"),
  at: connect("Time", "integer", "int32"),
  seen: connect("Timestamp", "integer", "int64"),
};

async function translated(values: readonly object[], changes: Partial<TableSettings> = {}) {
  const registry = new Registry();
  registry.register("JSON", { type: "object", properties });
  const records = values.map((value) => ({ value: withSchemaId(1, utf8(JSON.stringify(value))) }));
  const settings = tableSettings("schema-id", changes);
  const { result, outcomes, mapping } = await translateAll(inlineTranslator(registry), settings, [rangeOf(records)]);
  const rows = (await Promise.all(result.files.map(({ bytes }) => readByHyparquet(bytes)))).flat();
  const types = Object.fromEntries(mapping.schema.fields.map(({ name, type }) => [name, type]));
  return { rows, types, outcome: outcomes[0] };
}

const base64 = (hex: string): string => Buffer.from(hex, "hex").toString("base64");

describe("a column of a Connect schema", () => {
  test("is a decimal, a date, a time, a timestamp", async () => {
    const { rows, types } = await translated([
      { price: base64("cfc7"), day: 19_000, at: 1, seen: 1_700_000_000_001 },
      { price: 1.5, day: -1, at: 86_399_999, seen: -1 },
      { price: null },
    ]);
    expect(types).toMatchObject({ price: "decimal(38, 2)", day: "date", at: "time", seen: "timestamptz" });
    expect(rows.map((row) => row["price"])).toEqual([-123.45, 1.5, null]);
    expect(rows.map((row) => row["day"])).toEqual([new Date(19_000 * 86_400_000), new Date(-86_400_000), null]);
    expect(rows.map((row) => row["at"])).toEqual([1000n, 86_399_999_000n, null]);
    expect(rows.map((row) => row["seen"])).toEqual([new Date(1_700_000_000_001), new Date(-1), null]);
  });

  test("finds out in no time that a megabyte is too much", async () => {
    const started = performance.now();
    const { rows, outcome } = await translated([
      { price: Buffer.alloc(1_000_000, 7).toString("base64") },
      { price: 1.5 },
    ]);
    expect(rows.map((row) => row["price"])).toEqual([1.5]);
    expect(outcome).toMatchObject({ rows: 1, deadLetters: 1 });
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test("takes nothing that it cannot hold exactly", async () => {
    const bad = [
      { price: "not base64" },
      { price: "" },
      { price: 1.005 },
      { price: base64(`7f${"ff".repeat(16)}`) },
      { price: true },
      { day: "2024-01-01" },
      { day: 1.5 },
      { day: 2 ** 31 },
      { at: -1 },
      { at: 86_400_000 },
      { seen: 2 ** 53 },
    ];
    const { outcome } = await translated([...bad, { day: 1 }]);
    expect(outcome).toMatchObject({ kind: "added", rows: 1, deadLetters: bad.length });
  });

  test("has the type that a person gives it", async () => {
    const overrides = { price: { type: "decimal(18, 4)" }, day: { type: "string" } } as const;
    const { rows, types } = await translated([{ price: base64("cfc7"), day: 3 }], { overrides });
    expect([types["price"], types["day"]]).toEqual(["decimal(18, 4)", "string"]);
    expect([rows[0]?.["price"], rows[0]?.["day"]]).toEqual([-123.45, "3"]);
    const asText = await translated([{ price: base64("cfc7") }], { overrides: { price: { type: "string" } } });
    expect(asText.rows[0]?.["price"]).toBe("-123.45");
  });
});

describe("a schema", () => {
  const typeOf = (schema: object, rules = 3) => jsonSchemaSourceType({ text: JSON.stringify(schema) }, rules);
  const decimal = (parameters: object) => typeOf(connect("Decimal", "number", "bytes", parameters));

  test("says the precision, or none, and a scale that a column can have", () => {
    expect(decimal({ scale: "0" })).toMatchObject({ type: "decimal(38, 0)" });
    expect(decimal({ scale: "2", "connect.decimal.precision": "9" })).toMatchObject({ type: "decimal(9, 2)" });
    expect(decimal({ scale: "4", "connect.decimal.precision": "2" })).toMatchObject({ type: "decimal(4, 4)" });
    expect(decimal({ scale: "38", "connect.decimal.precision": "64" })).toMatchObject({ type: "decimal(38, 38)" });
    for (const scale of ["-1", "39", "two", undefined]) expect(decimal({ scale })).toEqual({ kind: "json" });
  });

  test("is Connect's only when it says title and carrier", () => {
    const { title: _, ...untitled } = properties.day;
    expect(typeOf(untitled)).toEqual({ kind: "primitive", type: "long" });
    expect(typeOf({ ...properties.day, "connect.type": "int64" })).toEqual({ kind: "primitive", type: "long" });
    expect(typeOf({ ...properties.day, title: "io.debezium.time.Date" })).toEqual({ kind: "primitive", type: "long" });
  });

  test("stays what it was in tables of earlier rules", () => {
    for (const rules of [1, 2]) {
      expect(typeOf(properties.seen, rules)).toEqual({ kind: "primitive", type: "long" });
      expect(typeOf(price, rules)).toEqual({ kind: "primitive", type: "double" });
    }
  });
});
