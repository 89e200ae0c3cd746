/** Proves: the registry takes a schema of a bound subject exactly when its table would, and says what to do about it. */
import { describe, expect, test } from "vitest";
import type { GuardedSchema } from "../../../src/registry/schema-registry.ts";
import { tableGuard } from "../../../src/table/schema/registry-guard.ts";
import { evolve, initialMapping, type TableMapping } from "../../../src/table/schema/schema-map.ts";
import type { TableSettings } from "../../../src/table/settings.ts";
import { tableSettings } from "../translate-fixtures.ts";

const settings = tableSettings("schema-id");

function avro(id: number, fields: Readonly<Record<string, unknown>>): GuardedSchema {
  const list = Object.entries(fields).map(([name, type]) => ({ name, type }));
  const schema = JSON.stringify({ type: "record", name: "R", fields: list });
  return { id, schemaType: "AVRO", schema, references: [], resolved: [] };
}

function protobuf(id: number, schema: string): GuardedSchema {
  return { id, schemaType: "PROTOBUF", schema: `syntax = "proto3"; ${schema}`, references: [], resolved: [] };
}

interface Case {
  readonly settings?: TableSettings;
  readonly mapping?: TableMapping;
  readonly subject?: string;
  readonly earlier?: readonly GuardedSchema[];
}

function ask(proposed: GuardedSchema, { mapping, subject = "orders-value", earlier = [], ...rest }: Case = {}) {
  const guard = tableGuard({ tables: [rest.settings ?? settings], mappingOf: () => mapping });
  return guard({ subject, earlier, proposed });
}

const long = avro(1, { amount: "long" });
const text = avro(2, { amount: "string" });

test("a type that its column cannot take is refused with table, topic, column, types and the ways out", () => {
  const [reason, ...others] = ask(text, { earlier: [long] });
  expect(others).toEqual([]);
  expect(reason).toBe(
    "table sales.orders cannot take it from values of topic orders: amount: a long cannot become a string. " +
      "Keep the type of the column, give the field a new name, set value.on_type_change: new-column for the topic, or turn registry.tables.check off",
  );
});

test("what the table takes is taken: added, widened, dropped fields, and other columns by policy", () => {
  expect(ask(avro(2, { amount: "long", more: "string" }), { earlier: [long] })).toEqual([]);
  expect(ask(avro(2, { more: "string" }), { earlier: [long] })).toEqual([]);
  expect(ask(long, { earlier: [avro(1, { amount: "int" })] })).toEqual([]);
  const lenient = { ...settings, value: { ...settings.value, onTypeChange: "new-column" as const } };
  expect(ask(text, { earlier: [long], settings: lenient })).toEqual([]);
});

test("columns of schemas whose versions are deleted stand", () => {
  const schema = { type: "AVRO", text: long.schema } as const;
  const source = { kind: "schema-id", part: "value", schemaId: 1, schema } as const;
  const { mapping } = evolve(initialMapping(settings), source, settings);
  expect(ask(text, { mapping })).toHaveLength(1);
});

describe("subjects", () => {
  test("other subjects, and topics that do not decode by id, are not asked", () => {
    expect(ask(text, { earlier: [long], subject: "others-value" })).toEqual([]);
    expect(ask(text, { earlier: [long], settings: tableSettings("json") })).toEqual([]);
    expect(ask(text, { earlier: [long], subject: "orders-key" })).toEqual([]);
  });

  test("a subject of the topic's own, and its keys'", () => {
    const own = { ...settings, value: { ...settings.value, subject: "all.orders" } };
    expect(ask(text, { earlier: [long], subject: "all.orders", settings: own })).toHaveLength(1);
    expect(ask(text, { earlier: [long], settings: own })).toEqual([]);
    const keyed = { ...settings, key: { decode: "schema-id" as const } };
    expect(ask(text, { earlier: [long], subject: "orders-key", settings: keyed })).toHaveLength(1);
  });
});

test("a schema without the columns that identify rows is refused", () => {
  const mode = { ...settings.mode, write: "upsert" as const, key: ["id"] };
  const [reason] = ask(long, { settings: { ...settings, mode } });
  expect(reason).toContain("the value has no key column id");
});

describe("Protobuf", () => {
  const before = protobuf(1, "message A { int64 a = 1; } message B { int64 b = 1; }");

  test("the first message speaks for a schema that no record has used", () => {
    expect(ask(protobuf(2, "message A { string a = 1; }"), { earlier: [before] })).toHaveLength(1);
    const other = protobuf(2, "message A { int64 a = 1; } message B { string b = 1; }");
    expect(ask(other, { earlier: [before] })).toEqual([]);
  });

  test("where columns identify rows, the first message that has them speaks", () => {
    const keyed = { ...settings, mode: { ...settings.mode, write: "upsert" as const, key: ["id"] } };
    const inner = protobuf(1, "message Place { int64 x = 1; } message Row { Place at = 1; int64 id = 2; }");
    expect(ask(inner, { settings: keyed })).toEqual([]);
    const [reason] = ask(protobuf(1, "message Place { int64 x = 1; } message Row { int64 y = 1; }"), {
      settings: keyed,
    });
    expect(reason).toContain("the value has no key column id");
  });

  test("messages that records were of are found by name wherever they stand", () => {
    const schema = { type: "PROTOBUF", text: before.schema } as const;
    const source = { kind: "schema-id", part: "value", schemaId: 1, schema, message: [1] } as const;
    const { mapping } = evolve(initialMapping(settings), source, settings);
    const moved = protobuf(2, "message B { string b = 1; } message A { string a = 1; }");
    const [reason] = ask(moved, { mapping, earlier: [before] });
    expect(reason).toContain("b: a long cannot become a string");
    expect(ask(protobuf(2, "message A { string a = 1; }"), { mapping, earlier: [before] })).toEqual([]);
  });
});

test("references are read with the schema", () => {
  const inner = JSON.stringify({ type: "record", name: "In", fields: [{ name: "x", type: "string" }] });
  const outer = { ...avro(2, { r: "In" }), resolved: [{ name: "In", schema: inner }] };
  expect(ask(outer, { earlier: [long] })).toEqual([]);
  const before = avro(1, { r: { type: "record", name: "In", fields: [{ name: "x", type: "long" }] } });
  const [reason] = ask(outer, { earlier: [before] });
  expect(reason).toContain("r: x: a long cannot become a string");
});
