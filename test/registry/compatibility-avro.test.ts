/** Proves: Avro readers and writers are judged as Java's SchemaCompatibility judges them, rule by rule, and in bounded time. */
import { describe, expect, test } from "vitest";
import { parseAvro } from "../../src/registry/avro-schema.ts";
import { avroIncompatibilities } from "../../src/registry/compatibility-avro.ts";

function found(reader: unknown, writer: unknown): readonly string[] {
  const parse = (schema: unknown) => parseAvro(JSON.stringify(schema), [], { isStrict: true }).type;
  return avroIncompatibilities(parse(reader), parse(writer)).map(({ type }) => type);
}

const record = (...fields: readonly unknown[]) => ({ type: "record", name: "R", namespace: "n", fields });
const enumOf = (symbols: readonly string[], extra: object = {}) => ({ type: "enum", name: "E", symbols, ...extra });
const fixed = (size: number, name = "F") => ({ type: "fixed", name, size });

describe("promotions", () => {
  const primitives = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
  const allowed: Readonly<Record<string, readonly string[]>> = {
    int: ["int", "long", "float", "double"],
    long: ["long", "float", "double"],
    float: ["float", "double"],
    string: ["string", "bytes"],
    bytes: ["bytes", "string"],
  };
  const pairs = primitives.flatMap((writer) => primitives.map((reader) => [writer, reader] as const));
  test.each(pairs)("%s read as %s", (writer, reader) => {
    const isAllowed = (allowed[writer] ?? [writer]).includes(reader);
    expect(found(reader, writer)).toEqual(isAllowed ? [] : ["TYPE_MISMATCH"]);
  });
});

describe("rules", () => {
  test.each<[rule: string, reader: unknown, writer: unknown, expected: readonly string[]]>([
    ["a field added with a default", record({ name: "a", type: "int", default: 1 }), record(), []],
    ["a field added without", record({ name: "a", type: "int" }), record(), ["READER_FIELD_MISSING_DEFAULT_VALUE"]],
    ["a null default is a default", record({ name: "a", type: ["null", "int"], default: null }), record(), []],
    ["a field removed", record(), record({ name: "a", type: "int" }), []],
    [
      "a field renamed by alias",
      record({ name: "b", type: "int", aliases: ["a"] }),
      record({ name: "a", type: "int" }),
      [],
    ],
    [
      "a field renamed without",
      record({ name: "b", type: "int" }),
      record({ name: "a", type: "int" }),
      ["READER_FIELD_MISSING_DEFAULT_VALUE"],
    ],
    ["a field widened", record({ name: "a", type: "double" }), record({ name: "a", type: "int" }), []],
    ["a field narrowed", record({ name: "a", type: "int" }), record({ name: "a", type: "long" }), ["TYPE_MISMATCH"]],
    ["another namespace", { ...record(), namespace: "m" }, record(), []],
    ["another name", { ...record(), name: "S" }, record(), ["NAME_MISMATCH"]],
    ["another name with an alias", { ...record(), name: "S", aliases: ["n.R"] }, record(), []],
    ["an alias without its namespace is in the record's", { ...record(), name: "S", aliases: ["R"] }, record(), []],
    ["an enum grows", enumOf(["A", "B"]), enumOf(["A"]), []],
    ["an enum shrinks", enumOf(["A"]), enumOf(["A", "B"]), ["MISSING_ENUM_SYMBOLS"]],
    ["an enum shrinks to its default", enumOf(["A"], { default: "A" }), enumOf(["A", "B"]), []],
    ["an enum's default fills a new field", record({ name: "e", type: enumOf(["A"], { default: "A" }) }), record(), []],
    ["a fixed of another size", fixed(4), fixed(8), ["FIXED_SIZE_MISMATCH"]],
    ["a fixed of another name", fixed(4, "G"), fixed(4), ["NAME_MISMATCH"]],
    ["arrays by their items", { type: "array", items: "long" }, { type: "array", items: "int" }, []],
    ["arrays narrowed", { type: "array", items: "int" }, { type: "array", items: "long" }, ["TYPE_MISMATCH"]],
    ["maps by their values", { type: "map", values: "int" }, { type: "map", values: "string" }, ["TYPE_MISMATCH"]],
    ["an array is no map", { type: "map", values: "int" }, { type: "array", items: "int" }, ["TYPE_MISMATCH"]],
    ["a type becomes a union with it", ["null", "int"], "int", []],
    ["a union's branch may promote", ["null", "double"], "int", []],
    ["a union without the type", ["null", "string"], "int", ["MISSING_UNION_BRANCH"]],
    ["a union loses a branch", ["null"], ["null", "int"], ["MISSING_UNION_BRANCH"]],
    ["a union becomes one type", "int", ["null", "int"], ["TYPE_MISMATCH"]],
    ["a union of one becomes its type", "int", ["int"], []],
    ["a union grows", ["null", "int", "string"], ["int", "null"], []],
    ["logical types do not count", { type: "long", logicalType: "timestamp-millis" }, "long", []],
  ])("%s", (_rule, reader, writer, expected) => {
    expect(found(reader, writer)).toEqual(expected);
  });

  test("a recursive type is compared to its end", () => {
    const node = (type: string) => ({
      type: "record",
      name: "Node",
      fields: [
        { name: "value", type },
        { name: "next", type: ["null", "Node"] },
      ],
    });
    expect(found(node("long"), node("int"))).toEqual([]);
    expect(found(node("int"), node("long"))).toContain("TYPE_MISMATCH");
  });

  test("what was assumed in a branch that failed is forgotten", () => {
    // The branch X fails on its second field after Y was assumed to be readable in it; Y is then judged on its own.
    const inner = (type: string) => ({ type: "record", name: "Y", fields: [{ name: "v", type }] });
    const outer = (y: unknown, type: string) => ({
      type: "record",
      name: "X",
      fields: [
        { name: "y", type: y },
        { name: "z", type },
      ],
    });
    const holder = (first: unknown) => record({ name: "u", type: ["null", first] }, { name: "y", type: "Y" });
    expect(found(holder(outer(inner("int"), "int")), holder(outer(inner("string"), "int"))).length).toBeGreaterThan(0);
    expect(found(holder(outer(inner("int"), "int")), holder(outer(inner("int"), "string")))).toEqual([
      "MISSING_UNION_BRANCH",
    ]);
  });

  test("types shared by many unions are not tried again and again", () => {
    const level = (depth: number, leaf: string): unknown => ({
      type: "record",
      name: `L${depth}`,
      fields: [
        { name: "a", type: ["null", depth === 0 ? leaf : level(depth - 1, leaf)] },
        { name: "b", type: ["null", depth === 0 ? leaf : `L${depth - 1}`] },
      ],
    });
    expect(found(level(40, "int"), level(40, "int"))).toEqual([]);
    expect(found(level(40, "int"), level(40, "string")).length).toBeGreaterThan(0);
  });
});
