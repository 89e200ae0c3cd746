/** Proves: what Kafka Connect's converters write becomes decimals, dates, times and bytes, exactly or as a dead letter. */
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { parseAvroSchema } from "../../../src/table/decode/avro-schema.ts";
import { initialMapping } from "../../../src/table/schema/schema-map.ts";
import { avroSourceType } from "../../../src/table/schema/schema-map-avro.ts";
import { jsonSchemaSourceType } from "../../../src/table/schema/schema-map-json-schema.ts";
import { spelled } from "../../../src/table/schema/type-table.ts";
import type { TableSettings } from "../../../src/table/settings.ts";
import type { RoundPlan } from "../../../src/table/translate/translate.ts";
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

describe("a decimal of Connect's Avro converter", () => {
  const decimal = (precision: number, parameters: object, more: object = {}) => ({
    type: "bytes",
    scale: 2,
    precision,
    "connect.version": 1,
    "connect.parameters": { scale: "2", ...parameters },
    "connect.name": "org.apache.kafka.connect.data.Decimal",
    logicalType: "decimal",
    ...more,
  });
  const typeOf = (type: object, rules = 7) => avroSourceType(parseAvroSchema(JSON.stringify(type)), rules);
  const unscaled = (hex: string) => [(hex.length / 2) << 1, ...Buffer.from(hex, "hex")];

  async function translated(schema: object, values: readonly string[], changes: Partial<TableSettings> = {}) {
    const registry = new Registry();
    registry.register("AVRO", { type: "record", name: "R", fields: [{ name: "price", type: schema }] });
    const records = values.map((hex) => ({ value: withSchemaId(1, Uint8Array.from(unscaled(hex))) }));
    const settings = tableSettings("schema-id", changes);
    const { result, outcomes } = await translateAll(inlineTranslator(registry), settings, [rangeOf(records)]);
    const rows = (await Promise.all(result.files.map(({ bytes }) => readByHyparquet(bytes)))).flat();
    return { prices: rows.map((row) => row["price"]), outcome: outcomes[0] };
  }

  test("has 38 digits where the converter was told of no precision, and writes 64", () => {
    expect(typeOf(decimal(64, {}))).toEqual({ kind: "primitive", type: "decimal(38, 2)" });
    expect(typeOf(["null", decimal(64, {})])).toEqual({ kind: "primitive", type: "decimal(38, 2)" });
    expect(typeOf(decimal(64, {}), 8)).toEqual({ kind: "primitive", type: "decimal(38, 2)" });
  });

  test("is text where somebody means more than 38 digits, or a scale that no column has", () => {
    const text = { kind: "primitive", type: "string" };
    expect(typeOf(decimal(64, { "connect.decimal.precision": "64" }))).toEqual(text);
    expect(typeOf(decimal(65, { "connect.decimal.precision": "65" }))).toEqual(text);
    expect(typeOf(decimal(64, {}, { "connect.name": "my.Decimal" }))).toEqual(text);
    expect(typeOf(decimal(64, {}, { scale: 39 }))).toEqual(text);
    expect(typeOf(decimal(9, { "connect.decimal.precision": "9" }))).toMatchObject({ type: "decimal(9, 2)" });
  });

  test("stays text in tables of earlier rules", () => {
    for (const rules of [1, 5, 6]) expect(typeOf(decimal(64, {}), rules)).toMatchObject({ type: "string" });
  });

  test("is exact, and more digits than the column has are a dead letter", async () => {
    const { prices, outcome } = await translated(decimal(64, {}), ["cfc7", "00", `7f${"ff".repeat(16)}`]);
    expect(prices).toEqual([-123.45, 0]);
    expect(outcome).toMatchObject({ rows: 2, deadLetters: 1 });
    const overrides = { price: { type: "string" } } as const;
    expect((await translated(decimal(64, {}), ["cfc7"], { overrides })).prices).toEqual(["-123.45"]);
  });
});

describe("a decimal of Connect's Protobuf converter", () => {
  const decimals = `syntax = "proto3"; package shop; import "confluent/meta.proto"; import "confluent/type/decimal.proto";
    message Order {
      confluent.type.Decimal price = 1 [(confluent.field_meta) = { params: [{ key: "precision", value: "9" }, { key: "scale", value: "2" }] }];
      repeated confluent.type.Decimal parts = 2 [(confluent.field_meta).params = { value: "2" key: "scale" }];
      oneof other { .confluent.type.Decimal rate = 3 [deprecated = true, (.confluent.field_meta) = { params { key: 'scale' value: '2' } }]; }
      confluent.type.Decimal free = 4;
      Inner inner = 5;
      message Inner { confluent.type.Decimal price = 1 [(confluent.field_meta) = { params: [{ key: "scale", value: "0" }] }]; }
    }`;
  const root = protobuf.parse(`syntax = "proto3"; message Order { Decimal price = 1; repeated Decimal parts = 2;
    oneof other { Decimal rate = 3; } Decimal free = 4; Inner inner = 5; }
    message Inner { Decimal price = 1; } message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`).root;
  const order = root.lookupType("Order");
  const value = (hex: string, scale = 2) => ({ value: Buffer.from(hex, "hex"), precision: 9, scale });

  async function translated(
    values: readonly object[],
    changes: Partial<TableSettings> = {},
    plan: Partial<RoundPlan> = {},
  ) {
    const registry = new Registry();
    registry.register("PROTOBUF", decimals);
    const encoded = values.map((each) => order.encode(order.fromObject(each)).finish());
    const records = encoded.map((bytes) => ({ value: withSchemaId(1, Uint8Array.of(0, ...bytes)) }));
    const settings = tableSettings("schema-id", changes);
    const ranges = [rangeOf(records)];
    const { result, outcomes, mapping } = await translateAll(inlineTranslator(registry), settings, ranges, plan);
    const rows = (await Promise.all(result.files.map(({ bytes }) => readByHyparquet(bytes)))).flat();
    const types = Object.fromEntries(mapping.schema.fields.map(({ name, type }) => [name, spelled(type)]));
    return { rows, types, outcome: outcomes[0] };
  }

  test("is a column of numbers where its field says the scale", async () => {
    const { rows, types } = await translated([
      {
        price: value("cfc7"),
        parts: [value("01"), value("ff", 0), value("64", 3)],
        rate: value("00"),
        free: value("01"),
        inner: { price: value("05", -2) },
      },
      {},
    ]);
    const struct = "struct<value: binary, precision: long, scale: int>";
    expect(types).toMatchObject({ price: "decimal(9, 2)", parts: "list<decimal(38, 2)>", rate: "decimal(38, 2)" });
    expect(types).toMatchObject({ free: struct, inner: "struct<price: decimal(38, 0)>" });
    expect(rows[0]).toMatchObject({ price: -123.45, parts: [0.01, -1, 0.1], rate: 0, inner: { price: 500 } });
    expect(rows[1]).toMatchObject({ price: null, parts: [], rate: null });
  });

  test("takes nothing that it cannot hold exactly", async () => {
    const bad = [
      value("01", 3),
      value("3b9aca00"),
      value("01", 2 ** 31 - 1),
      value("01", -(2 ** 31)),
      value("00".repeat(2000)),
    ];
    const { outcome } = await translated([...bad.map((price) => ({ price })), { price: value("01") }]);
    expect(outcome).toMatchObject({ kind: "added", rows: 1, deadLetters: bad.length });
  });

  test("has the type that a person gives it", async () => {
    const asText = await translated([{ price: value("cfc7") }], { overrides: { price: { type: "string" } } });
    expect(asText.rows[0]?.["price"]).toBe("-123.45");
    const wider = await translated([{ price: value("cfc7") }], { overrides: { price: { type: "decimal(18, 4)" } } });
    expect([wider.types["price"], wider.rows[0]?.["price"]]).toEqual(["decimal(18, 4)", -123.45]);
  });

  test("stays a struct in tables of earlier rules", async () => {
    const mapping = { ...initialMapping(tableSettings("schema-id")), rules: 5 };
    const { rows, types } = await translated([{ price: value("cfc7") }], {}, { mapping });
    expect(types["price"]).toBe("struct<value: binary, precision: long, scale: int>");
    expect(rows[0]?.["price"]).toEqual({ value: Uint8Array.of(0xcf, 0xc7), precision: 9n, scale: 2 });
  });
});

describe("bytes of Connect's JSON Schema converter", () => {
  const bits = { type: "string", title: "io.debezium.data.Bits", "connect.type": "bytes" };

  async function translated(values: readonly unknown[], changes: Partial<TableSettings> = {}) {
    const registry = new Registry();
    registry.register("JSON", { type: "object", properties: { bits: orNull(bits) } });
    const records = values.map((each) => ({ value: withSchemaId(1, utf8(JSON.stringify({ bits: each }))) }));
    const settings = tableSettings("schema-id", changes);
    const { result, outcomes } = await translateAll(inlineTranslator(registry), settings, [rangeOf(records)]);
    const rows = (await Promise.all(result.files.map(({ bytes }) => readByHyparquet(bytes)))).flat();
    return { bits: rows.map((row) => row["bits"]), outcome: outcomes[0] };
  }

  test("are bytes, however many", async () => {
    const many = Buffer.alloc(9_000_000, "inlet");
    const { bits: read } = await translated(["/wA=", "", null, many.toString("base64")]);
    expect(read.slice(0, 3)).toEqual([Uint8Array.of(255, 0), Uint8Array.of(), null]);
    expect(Buffer.compare(read[3] as Uint8Array, many)).toBe(0);
  });

  test("are a dead letter where they are not in base64, and text where a person wants it", async () => {
    const bad = ["no base64!", "/wA", "/w-_", 7, ["/wA="]];
    expect((await translated([...bad, "/wA="])).outcome).toMatchObject({ rows: 1, deadLetters: bad.length });
    expect((await translated(["/wA="], { overrides: { bits: { type: "string" } } })).bits).toEqual(["/wA="]);
  });

  test("stay text in tables of earlier rules", () => {
    const typeOf = (rules: number) => jsonSchemaSourceType({ text: JSON.stringify(bits) }, rules);
    expect([5, 6, 7, 8].map(typeOf)).toMatchObject([
      { type: "string" },
      { type: "string" },
      { type: "binary" },
      { type: "binary" },
    ]);
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
