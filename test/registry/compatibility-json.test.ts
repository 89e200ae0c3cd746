/** Proves: JSON Schemas are judged by Confluent's rules for content models, types and bounds. */
import { describe, expect, test } from "vitest";
import { jsonIncompatibilities } from "../../src/registry/compatibility-json.ts";

function found(reader: unknown, writer: unknown): readonly string[] {
  const text = (root: unknown) => ({ root, references: new Map<string, unknown>() });
  return jsonIncompatibilities(text(reader), text(writer)).map(({ type }) => type);
}

const open = (properties: object, extra: object = {}) => ({ type: "object", properties, ...extra });
const closed = (properties: object, extra: object = {}) => open(properties, { additionalProperties: false, ...extra });
const partly = (properties: object, of: unknown) => open(properties, { additionalProperties: of });
const int = { type: "integer" };
const text = { type: "string" };
const tuple = (...items: readonly unknown[]) => ({ type: "array", prefixItems: items });
const contains = (bounds: object) => ({ type: "array", contains: int, ...bounds });
const draft7 = "http://json-schema.org/draft-07/schema";
const sealed = { unevaluatedProperties: false };

describe("rules", () => {
  test.each<[rule: string, reader: unknown, writer: unknown, expected: readonly string[]]>([
    ["nothing changed", open({ a: int }), open({ a: int }), []],
    ["words for people", { type: "string", title: "x", description: "y" }, text, []],
    // Content models.
    ["added to open", open({ a: int }), open({}), ["PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"]],
    ["added to open without a type", open({ a: {} }), open({}), []],
    ["added to closed", closed({ a: int }), closed({}), []],
    [
      "required added to closed",
      closed({ a: int }, { required: ["a"] }),
      closed({}),
      ["REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"],
    ],
    [
      "required added with default",
      closed({ a: { type: "integer", default: 1 } }, { required: ["a"] }),
      closed({}),
      [],
    ],
    ["added to partly, covered", partly({ a: { type: "number" } }, int), partly({}, int), []],
    [
      "added to partly, not covered",
      partly({ a: text }, int),
      partly({}, int),
      ["PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
    ],
    ["removed from open", open({}), open({ a: int }), []],
    ["removed from closed", closed({}), closed({ a: int }), ["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"]],
    ["removed from closed, was false", closed({}), closed({ a: false }), []],
    ["removed from partly, covered", partly({}, { type: "number" }), partly({ a: int }, { type: "number" }), []],
    [
      "removed from partly, not covered",
      partly({}, text),
      partly({ a: int }, text),
      ["PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
    ],
    [
      "a pattern decides about the unnamed",
      open({}, { patternProperties: { "^a": text } }),
      open({ a: int }, { patternProperties: { "^a": text } }),
      ["PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
    ],
    ["added to closed by unevaluated", open({ a: int }, sealed), open({}, sealed), []],
    [
      "removed from closed by unevaluated",
      open({}, sealed),
      open({ a: int }, sealed),
      ["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"],
    ],
    ["open becomes closed by unevaluated", open({}, sealed), open({}), ["ADDITIONAL_PROPERTIES_REMOVED"]],
    [
      "unevaluated sees into allOf, as before",
      { allOf: [open({ a: int })], ...sealed },
      { allOf: [open({ a: int })], ...sealed },
      [],
    ],
    [
      "unevaluated sees into allOf, which is no closed model",
      { type: "object", properties: { a: text } },
      { allOf: [open({ a: int })], ...sealed },
      ["PRODUCT_TYPE_NARROWED"],
    ],
    [
      "unevaluated added beside allOf",
      { allOf: [open({ a: int })], ...sealed },
      { allOf: [open({ a: int })] },
      ["UNEVALUATED_PROPERTIES_NARROWED"],
    ],
    ["open becomes closed", closed({}), open({}), ["ADDITIONAL_PROPERTIES_REMOVED"]],
    ["closed becomes open", open({}), closed({}), []],
    ["open becomes partly", partly({}, int), open({}), ["ADDITIONAL_PROPERTIES_NARROWED"]],
    ["became required", open({ a: int }, { required: ["a"] }), open({ a: int }), ["REQUIRED_ATTRIBUTE_ADDED"]],
    [
      "became required with default",
      open({ a: { type: "integer", default: 0 } }, { required: ["a"] }),
      open({ a: int }),
      [],
    ],
    [
      "a name required that is no property and never was there",
      { type: "object", required: ["x"] },
      closed({ a: int }),
      ["REQUIRED_ATTRIBUTE_ADDED"],
    ],
    [
      "a name required that is no property, which Confluent's lets through",
      open({}, { required: ["b"] }),
      open({}, { required: ["a"] }),
      ["REQUIRED_ATTRIBUTE_ADDED"],
    ],
    ["no longer required", open({ a: int }), open({ a: int }, { required: ["a"] }), []],
    ["a dependency added", open({}, { dependentRequired: { a: ["b"] } }), open({}), ["DEPENDENCY_ADDED"]],
    // Types.
    ["integer to number", { type: "number" }, int, []],
    ["number to integer", int, { type: "number" }, ["TYPE_CHANGED"]],
    ["one to several", { type: ["string", "null"] }, text, []],
    ["several to one", text, { type: ["string", "null"] }, ["TYPE_NARROWED"]],
    ["any to one", text, {}, ["TYPE_NARROWED"]],
    [
      "Kafka Connect's decimals",
      { type: "number", "connect.type": "bytes" },
      { type: "string", "connect.type": "bytes" },
      [],
    ],
    ["one to any", true, text, []],
    ["to nothing", false, text, ["SCHEMA_REMOVED"]],
    ["from nothing", text, false, []],
    ["enum grows", { enum: [1, 2] }, { enum: [1] }, []],
    ["enum shrinks", { enum: [1] }, { enum: [1, 2] }, ["ENUM_ARRAY_NARROWED"]],
    ["enum added", { type: "string", enum: ["a"] }, text, ["ENUM_ARRAY_NARROWED"]],
    ["const is an enum of one", { enum: ["a", "b"] }, { const: "a" }, []],
    ["an enum becomes a type of other values", int, { enum: ["a", "b"] }, ["TYPE_CHANGED"]],
    ["an enum becomes the type of its values", { type: ["number", "null"] }, { enum: [1, 2.5, null] }, []],
    [
      "a part of allOf for an enum of other values",
      { allOf: [{ enum: ["a"] }, int] },
      { allOf: [{ enum: ["a"] }, text] },
      ["PRODUCT_TYPE_EXTENDED"],
    ],
    // Bounds.
    ["maxLength up", { type: "string", maxLength: 9 }, { type: "string", maxLength: 5 }, []],
    ["maxLength down", { type: "string", maxLength: 5 }, { type: "string", maxLength: 9 }, ["MAX_LENGTH_DECREASED"]],
    ["maxLength added", { type: "string", maxLength: 5 }, text, ["MAX_LENGTH_ADDED"]],
    ["minimum up", { type: "integer", minimum: 5 }, { type: "integer", minimum: 1 }, ["MINIMUM_INCREASED"]],
    [
      "exclusive flag of draft 4",
      { type: "integer", maximum: 5, exclusiveMaximum: true },
      { type: "integer", maximum: 5 },
      ["EXCLUSIVE_MAXIMUM_ADDED"],
    ],
    ["pattern changed", { type: "string", pattern: "a" }, { type: "string", pattern: "b" }, ["PATTERN_CHANGED"]],
    ["multipleOf reduced", { type: "integer", multipleOf: 2 }, { type: "integer", multipleOf: 4 }, []],
    [
      "multipleOf grown",
      { type: "integer", multipleOf: 4 },
      { type: "integer", multipleOf: 2 },
      ["MULTIPLE_OF_CHANGED"],
    ],
    // Arrays.
    ["items widened", { type: "array", items: { type: "number" } }, { type: "array", items: int }, []],
    ["items narrowed", { type: "array", items: int }, { type: "array", items: { type: "number" } }, ["TYPE_CHANGED"]],
    ["unique added", { type: "array", uniqueItems: true }, { type: "array" }, ["UNIQUE_ITEMS_ADDED"]],
    [
      "tuple closed",
      { type: "array", prefixItems: [int], items: false },
      { type: "array", prefixItems: [int] },
      ["SCHEMA_REMOVED"],
    ],
    ["contains more", contains({ minContains: 2 }), contains({ minContains: 1 }), ["MIN_CONTAINS_INCREASED"]],
    ["contains once by itself", contains({}), contains({ minContains: 0 }), ["MIN_CONTAINS_INCREASED"]],
    ["contains once, said", contains({ minContains: 1 }), contains({}), []],
    ["contains fewer", contains({ maxContains: 2 }), contains({ maxContains: 3 }), ["MAX_CONTAINS_DECREASED"]],
    ["additional items without items", { additionalItems: false }, { additionalItems: true }, ["SCHEMA_REMOVED"]],
    [
      "unevaluated items cover one",
      { ...tuple(int), unevaluatedItems: int },
      { ...tuple(), unevaluatedItems: int },
      [],
    ],
    [
      "unevaluated items do not cover one",
      { ...tuple(), unevaluatedItems: text },
      { ...tuple(int), unevaluatedItems: text },
      ["TYPE_CHANGED"],
    ],
    // Combined.
    [
      "both kinds of unions",
      { anyOf: [text, int], oneOf: [{ type: "string", maxLength: 2 }, int] },
      text,
      ["COMBINED_TYPE_SUBSCHEMAS_CHANGED"],
    ],
    [
      "a condition",
      // oxlint-disable-next-line unicorn/no-thenable -- A word of JSON Schema.
      open({ a: int }, { if: { required: ["a"] }, then: { required: ["b"] } }),
      open({ a: int }),
      ["CONDITION_CHANGED"],
    ],
    [
      "a reference that is decided while reading",
      { $defs: { a: { $dynamicAnchor: "x" } }, items: { $dynamicRef: "#x" } },
      { items: int },
      ["DYNAMIC_REFERENCE_CHANGED"],
    ],
    ["a draft as a part", { items: { $ref: `${draft7}#` } }, { items: { $ref: `${draft7}#` } }, []],
    ["a draft instead of numbers", { items: { $ref: draft7 } }, { items: int }, ["REFERENCE_UNRESOLVED"]],
    ["a condition without an end", open({ a: int }, { if: { required: ["a"] } }), open({ a: int }), []],
    ["becomes a union with it", { oneOf: [text, int] }, text, []],
    ["union grows", { anyOf: [text, int, { type: "null" }] }, { anyOf: [int, text] }, []],
    ["union loses a branch", { anyOf: [text] }, { anyOf: [text, int] }, ["SUM_TYPE_NARROWED"]],
    ["union becomes its one branch", text, { oneOf: [text] }, []],
    ["union without it", { oneOf: [int, { type: "null" }] }, text, ["COMBINED_TYPE_SUBSCHEMAS_CHANGED"]],
    ["a demand added by allOf", { allOf: [text, { maxLength: 3 }] }, text, ["PRODUCT_TYPE_EXTENDED"]],
    ["a demand dropped from allOf", { allOf: [text] }, { allOf: [text, { maxLength: 3 }] }, []],
    ["not added", { not: { type: "null" } }, {}, ["NOT_TYPE_EXTENDED"]],
    ["not kept", { not: { type: "null" } }, { not: { type: "null" } }, []],
  ])("%s", (_rule, reader, writer, expected) => {
    expect(found(reader, writer)).toEqual(expected);
  });

  test("references are followed, within and without, recursion included", () => {
    const list = (of: unknown) => ({
      $ref: "#/definitions/node",
      definitions: { node: closed({ value: of, next: { $ref: "#/definitions/node" } }) },
    });
    expect(found(list({ type: "number" }), list(int))).toEqual([]);
    expect(found(list(int), list(text))).toEqual(["TYPE_CHANGED"]);
    const reader = { root: { $ref: "a.json" }, references: new Map<string, unknown>([["a.json", int]]) };
    expect(jsonIncompatibilities(reader, { root: int, references: new Map() })).toEqual([]);
    expect(found({ $ref: "#/nowhere" }, int)).toEqual(["REFERENCE_UNRESOLVED"]);
  });

  test("what a reference refers to is looked for in itself", () => {
    const schema = (of: unknown) => {
      const node = { ...open({ value: { $ref: "#/definitions/value" } }), definitions: { value: of } };
      return {
        root: open({ node: { $ref: "node.json" } }),
        references: new Map<string, unknown>([["node.json", node]]),
      };
    };
    expect(jsonIncompatibilities(schema({ type: "number" }), schema(int))).toEqual([]);
    expect(jsonIncompatibilities(schema(int), schema(text))).toMatchObject([{ type: "TYPE_CHANGED" }]);
  });

  test.each<[of: string, refer: (to: object) => object]>([
    ["an anchor", (to) => ({ items: { $ref: "#x" }, $defs: { a: { $anchor: "x", ...to } } })],
    ["an anchor of draft 7", (to) => ({ items: { $ref: "#x" }, definitions: { a: { $id: "#x", ...to } } })],
    [
      "an $id inside, from the nearest $id around",
      (to) => ({ $id: "http://h/d/r.json", items: { $ref: "x.json#/y" }, $defs: { a: { $id: "x.json", y: to } } }),
    ],
    [
      "a pointer in what has an $id",
      (to) => ({
        items: { $ref: "x.json" },
        $defs: { a: { $id: "x.json", items: { $ref: "#/$defs/b" }, $defs: { b: to } } },
      }),
    ],
    ["a pointer with escapes", (to) => ({ items: { $ref: "#/$defs/a%20b" }, $defs: { "a b": to } })],
    ["a name of a keyword", (to) => ({ items: { $ref: "#d" }, properties: { default: { $anchor: "d", ...to } } })],
  ])("%s is found", (_, refer) => {
    expect(found(refer({ type: "number" }), refer(int))).toEqual([]);
    expect(found(refer(int), refer(text))).toContain("TYPE_CHANGED");
  });

  test("a reference may be named by its whole address, or from its own", () => {
    const schema = (of: unknown) => ({
      root: { $id: "http://h/r.json", items: { $ref: "http://h/a.json" } },
      references: new Map<string, unknown>([
        ["a.json", { items: { $ref: "b.json" } }],
        ["b.json", of],
      ]),
    });
    expect(jsonIncompatibilities(schema({ type: "number" }), schema(int))).toEqual([]);
    expect(jsonIncompatibilities(schema(int), schema(text))).toMatchObject([{ type: "TYPE_CHANGED" }]);
  });

  test("since draft 2019-09 what stands beside a reference counts", () => {
    const schema = (draft: string, beside: object) => ({
      $schema: draft,
      items: { $ref: "#/$defs/a", ...beside },
      $defs: { a: open({ b: int }) },
    });
    const [old, now] = ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema"];
    const required = { required: ["b"] };
    expect(found(schema(now, required), schema(now, {}))).toEqual(["PRODUCT_TYPE_EXTENDED"]);
    expect(found(schema(now, required), schema(now, required))).toEqual([]);
    expect(found(schema(now, {}), schema(now, required))).toEqual([]);
    expect(found(schema(now, { description: "d" }), schema(now, {}))).toEqual([]);
    expect(found(schema(old, required), schema(old, {}))).toEqual([]);
    expect(found(schema(now, sealed), schema(now, {}))).toEqual(["UNEVALUATED_PROPERTIES_NARROWED"]);
  });

  test.each([
    { propertyNames: { $ref: "#/definitions/a" } },
    { dependencies: { x: { $ref: "#/definitions/a" } } },
    // oxlint-disable-next-line unicorn/no-thenable -- A word of JSON Schema.
    { if: { required: ["x"] }, then: { $ref: "#/definitions/a" } },
    { if: { $ref: "#/definitions/a" }, else: { required: ["x"] } },
    { contains: { $ref: "#/definitions/a" } },
  ])("what is kept in its words is looked at where it refers: %j", (words) => {
    const schema = (of: object) => ({ ...words, definitions: { a: of } });
    expect(found(schema(text), schema(text))).toEqual([]);
    expect(found(schema({ maxLength: 3 }), schema({ maxLength: 4 }))).toHaveLength(1);
  });

  test("types that refer to each other through unions are judged, however many they are", () => {
    const names = Array.from("abcdefghijkl");
    const any = () => ({ oneOf: names.map((name) => ({ $ref: `#/definitions/${name}` })) });
    const graph = (ofA: unknown) => {
      const type = (name: string) =>
        open({ kind: { const: name }, value: name === "a" ? ofA : text, next: any(), other: any() });
      return { ...open({ first: any() }), definitions: Object.fromEntries(names.map((name) => [name, type(name)])) };
    };
    expect(found(graph({ type: "number" }), graph(int))).toEqual([]);
    expect(found(graph(int), graph(text))).toContain("SUM_TYPE_NARROWED");
  });

  test("what held while a branch of a union was tried does not hold when the branch fails", () => {
    const type = (id: string, next: string) =>
      open({ id: { type: id }, next: { oneOf: [{ $ref: `#/definitions/${next}` }] } });
    const graph = (a: string, b: string) => ({
      ...open({ first: { oneOf: [{ $ref: "#/definitions/a" }, { $ref: "#/definitions/b" }] } }),
      definitions: { a: type(a, "c"), b: type(b, "c"), c: type("string", "a") },
    });
    expect(found(graph("boolean", "number"), graph("integer", "boolean"))).not.toEqual([]);
  });

  test("a hostile schema is judged in bounded time", () => {
    const wide = (depth: number): unknown =>
      depth === 0 ? text : { anyOf: Array.from({ length: 8 }, () => wide(depth - 1)) };
    expect(found({ anyOf: [int, wide(4)] }, wide(4)).length).toBeGreaterThanOrEqual(0);
    const slow = open({}, { patternProperties: { "^(a+)+$": text } });
    expect(found(slow, open({ [`${"a".repeat(60)}!`]: text }))).toBeInstanceOf(Array);
  });
});

describe("hostile schemas are judged in little time", () => {
  function seconds(reader: unknown, writer: unknown): readonly [number, readonly string[]] {
    const before = performance.now();
    const types = found(reader, writer);
    return [(performance.now() - before) / 1000, types];
  }

  test("thousands of new properties", () => {
    const names = Array.from({ length: 4000 }, (_, index) => `f${index}`);
    const reader = closed(Object.fromEntries(names.map((name) => [name, text])), { required: names });
    const [took, types] = seconds(reader, closed({}));
    expect(new Set(types)).toEqual(new Set(["REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"]));
    expect(took).toBeLessThan(8);
  });

  test("branches with long lists of values, each to be compared with each", () => {
    const values = Array.from({ length: 300 }, (_, index) => index);
    const of = (last: string) => ({ anyOf: values.map((at) => ({ enum: [...values, `${last}${at}`] })) });
    const [took, types] = seconds(of("a"), of("b"));
    expect(types).toEqual(["SCHEMA_TOO_COMPLEX"]);
    expect(took).toBeLessThan(8);
  });

  test("what is forbidden in what is forbidden counts as part of the whole", () => {
    const of = (last: string, depth: number): unknown => {
      const branch = (at: number) => ({ const: `${last}${at}`, ...(depth > 0 ? { not: of(last, depth - 1) } : {}) });
      return { anyOf: Array.from({ length: 12 }, (_, at) => branch(at)) };
    };
    const [took] = seconds(of("a", 2), of("b", 2));
    expect(took).toBeLessThan(8);
  });

  test("a pattern that is called as a thing of every object", () => {
    const partly = {
      type: "object",
      patternProperties: { constructor: { type: "string" } },
      additionalProperties: false,
    };
    expect(found(partly, partly)).toEqual([]);
    expect(found({ type: "object", additionalProperties: false }, partly)).toEqual(["PATTERN_PROPERTY_REMOVED"]);
  });
});
