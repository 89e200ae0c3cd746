/** Proves how schemas become columns and grow: rules A8, A9, A13 and G1-G7, for Avro, JSON Schema and inferred JSON. */
import { describe, expect, test } from "vitest";
import { inferType } from "../../../src/table/decode/json-infer.ts";
import type { IcebergType, NestedField } from "../../../src/table/iceberg/types.ts";
import {
  evolve,
  inferredColumnsMax,
  initialMapping,
  type MappingSource,
  rebase,
  type TableMapping,
} from "../../../src/table/schema/schema-map.ts";
import { jsonSchemaSourceType } from "../../../src/table/schema/schema-map-json-schema.ts";
import type { SourceType } from "../../../src/table/schema/schema-map-types.ts";
import { tableSettings } from "../translate-fixtures.ts";

const settings = tableSettings("schema-id", { metadataColumns: [] });
const start = initialMapping(settings);

function avro(schemaId: number, schema: unknown): MappingSource {
  return { kind: "schema-id", part: "value", schemaId, schema: { type: "AVRO", text: JSON.stringify(schema) } };
}

function jsonSchema(schemaId: number, schema: unknown): MappingSource {
  return { kind: "schema-id", part: "value", schemaId, schema: { type: "JSON", text: JSON.stringify(schema) } };
}

function record(fields: Readonly<Record<string, unknown>>): unknown {
  return {
    type: "record",
    name: "R",
    fields: Object.entries(fields).map(([name, type]) => ({ name, type })),
  };
}

function grow(mapping: TableMapping, source: MappingSource): TableMapping {
  const evolution = evolve(mapping, source, settings);
  if (evolution.kind === "refused") throw new Error(evolution.reason);
  return evolution.mapping;
}

/** Value columns only. */
function columnsOf(mapping: TableMapping): readonly NestedField[] {
  const own = new Set(Object.values(mapping.own));
  return mapping.schema.fields.filter((field) => !own.has(field.id));
}

/** Types by name, without ids. */
function shapeOf(fields: readonly NestedField[]): Record<string, unknown> {
  return Object.fromEntries(fields.map((field) => [field.name, shape(field.type)]));
}

function shape(type: IcebergType): unknown {
  if (typeof type === "string") return type;
  if (type.type === "struct") return shapeOf(type.fields);
  return type.type === "list" ? [shape(type.element)] : { "*": shape(type.value) };
}

function avroShape(type: unknown): unknown {
  return shapeOf(columnsOf(grow(start, avro(1, record({ f: type })))))["f"];
}

describe("Avro types", () => {
  const cases: readonly (readonly [string, unknown, unknown])[] = [
    ["int", "int", "int"],
    ["long", "long", "long"],
    ["bytes", "bytes", "binary"],
    ["enum", { type: "enum", name: "E", symbols: ["A"] }, "string"],
    ["fixed", { type: "fixed", name: "F", size: 7 }, "fixed[7]"],
    ["decimal", { type: "bytes", logicalType: "decimal", precision: 12, scale: 3 }, "decimal(12, 3)"],
    [
      "decimal of a fixed",
      { type: "fixed", name: "D", size: 8, logicalType: "decimal", precision: 9 },
      "decimal(9, 0)",
    ],
    ["decimal beyond 38 digits", { type: "bytes", logicalType: "decimal", precision: 39, scale: 1 }, "string"],
    ["invalid decimal", { type: "bytes", logicalType: "decimal", precision: 2, scale: 3 }, "binary"],
    ["uuid", { type: "string", logicalType: "uuid" }, "uuid"],
    ["date", { type: "int", logicalType: "date" }, "date"],
    ["time-millis", { type: "int", logicalType: "time-millis" }, "time"],
    ["time-micros", { type: "long", logicalType: "time-micros" }, "time"],
    ["timestamp-millis", { type: "long", logicalType: "timestamp-millis" }, "timestamptz"],
    ["timestamp-micros", { type: "long", logicalType: "timestamp-micros" }, "timestamptz"],
    ["timestamp-nanos", { type: "long", logicalType: "timestamp-nanos" }, "timestamptz"],
    ["local-timestamp-millis", { type: "long", logicalType: "local-timestamp-millis" }, "timestamp"],
    ["duration", { type: "fixed", name: "Du", size: 12, logicalType: "duration" }, "fixed[12]"],
    ["a logical type on the wrong type", { type: "string", logicalType: "date" }, "string"],
    ["optional", ["null", "int"], "int"],
    ["array", { type: "array", items: ["null", "double"] }, ["double"]],
    ["map", { type: "map", values: "boolean" }, { "*": "boolean" }],
    [
      "union",
      ["null", "string", { type: "enum", name: "x.E", symbols: [] }, "long"],
      { string: "string", E: "string", long: "long" },
    ],
    [
      "union of two names alike",
      [record({ a: "int" }), { ...(record({ b: "int" }) as object), namespace: "n" }],
      { R: { a: "int" }, n_R: { b: "int" } },
    ],
  ];
  test.each(cases)("%s", (_, type, expected) => {
    // The last case names a record R of its own, so the outer one has another name.
    const schema = { type: "record", name: "Outer", fields: [{ name: "f", type }] };
    expect(shapeOf(columnsOf(grow(start, avro(1, schema))))["f"]).toEqual(expected);
  });

  test("null alone, and what holds nothing else, gets no column", () => {
    expect(avroShape("null")).toBeUndefined();
    expect(avroShape({ type: "array", items: "null" })).toBeUndefined();
    expect(avroShape({ type: "record", name: "Empty", fields: [] })).toBeUndefined();
    expect(avroShape({ type: "fixed", name: "Void", size: 0 })).toBeUndefined();
    expect(avroShape({ type: "map", values: { type: "fixed", name: "Void", size: 0 } })).toBeUndefined();
  });

  test("recursion ends in a column of JSON text", () => {
    const tree = record({ v: "int", left: ["null", "R"] });
    expect(shapeOf(columnsOf(grow(start, avro(1, tree))))).toEqual({
      v: "int",
      left: { v: "int", left: { v: "int", left: "string" } },
    });
  });

  test("few types that spell a huge tree are refused", () => {
    const level = (at: number): unknown =>
      at === 0
        ? record({ a: "int" })
        : {
            type: "record",
            name: `L${at}`,
            fields: [
              { name: "first", type: level(at - 1) },
              ...Array.from({ length: 9 }, (_, n) => ({ name: `again${n}`, type: at === 1 ? "R" : `L${at - 1}` })),
            ],
          };
    expect(evolve(start, avro(1, level(6)), settings)).toMatchObject({ kind: "refused" });
  });
});

describe("JSON Schema types", () => {
  const shapeOfSchema = (schema: unknown): unknown =>
    shapeOf(columnsOf(grow(start, jsonSchema(1, { type: "object", properties: { f: schema } }))))["f"];
  const cases: readonly (readonly [string, unknown, unknown])[] = [
    ["integer", { type: "integer" }, "long"],
    ["number", { type: "number" }, "double"],
    ["nullable", { type: ["string", "null"] }, "string"],
    ["date-time", { type: "string", format: "date-time" }, "timestamptz"],
    ["uuid", { type: "string", format: "uuid" }, "uuid"],
    ["enum", { enum: ["a", "b"] }, "string"],
    ["object", { type: "object", properties: { x: { type: "boolean" } } }, { x: "boolean" }],
    ["map", { type: "object", additionalProperties: { type: "integer" } }, { "*": "long" }],
    ["array", { type: "array", items: { type: "string" } }, ["string"]],
    ["oneOf with null", { oneOf: [{ type: "null" }, { type: "integer" }] }, "long"],
    ["oneOf of several", { oneOf: [{ type: "string" }, { type: "integer" }] }, "string"],
    [
      "allOf",
      { allOf: [{ properties: { a: { type: "string" } } }, { properties: { b: { type: "number" } } }] },
      { a: "string", b: "double" },
    ],
    [
      "oneOf that only constrains properties",
      { properties: { a: { type: "string" } }, oneOf: [{ required: ["a"] }, { maxProperties: 0 }] },
      { a: "string" },
    ],
    [
      "anyOf that names more beside properties",
      { type: "object", properties: { a: { type: "string" } }, anyOf: [{ properties: { b: {} } }, { type: "object" }] },
      { a: "string" },
    ],
    ["anyOf beside a type", { type: "string", anyOf: [{ format: "ipv4" }, { format: "ipv6" }] }, "string"],
    ["anyOf of objects", { type: "object", anyOf: [{ properties: { a: {} } }, { type: "null" }] }, { a: "string" }],
    ["anything", {}, "string"],
  ];
  test.each(cases)("%s", (_, schema, expected) => expect(shapeOfSchema(schema)).toEqual(expected));

  test("references inside the document are followed, those outside are refused", () => {
    const schema = { type: "object", properties: { f: { $ref: "#/$defs/p" } }, $defs: { p: { type: "integer" } } };
    expect(shapeOf(columnsOf(grow(start, jsonSchema(1, schema))))).toEqual({ f: "long" });
    const outside = { type: "object", properties: { f: { $ref: "other.json" } } };
    expect(evolve(start, jsonSchema(1, outside), settings)).toMatchObject({ kind: "refused" });
    const anchored = { properties: { f: { $ref: "#p" } }, $defs: { p: { $anchor: "p", type: "integer" } } };
    expect(shapeOf(columnsOf(grow(start, jsonSchema(1, anchored))))).toEqual({ f: "long" });
  });

  test("documents of the registry's references are followed by name and by $id, each from its own place", () => {
    const inner = { $id: "https://x.example/inner.json", $defs: { p: { type: "integer" } } };
    const middle = { type: "object", properties: { p: { $ref: "https://x.example/inner.json#/$defs/p" } } };
    const outer = {
      $id: "https://x.example/outer.json",
      type: "object",
      properties: { near: { $ref: "inner.json#/$defs/p" }, far: { $ref: "middle.json" } },
    };
    const source = jsonSchema(1, outer) as Extract<MappingSource, { readonly kind: "schema-id" }>;
    const references = [
      { name: "the inner one", schema: JSON.stringify(inner) },
      { name: "middle.json", schema: JSON.stringify(middle) },
    ];
    const mapping = grow(start, { ...source, schema: { ...source.schema, references } });
    expect(shapeOf(columnsOf(mapping))).toEqual({ near: "long", far: { p: "long" } });
  });

  test("what the schema does not name has the extra column", () => {
    expect(grow(start, jsonSchema(1, { type: "object", properties: {} })).own.extra).toBeDefined();
  });
});

describe("evolution", () => {
  const first = grow(
    start,
    avro(1, record({ a: "int", n: record2({ x: "float" }), l: { type: "array", items: "int" } })),
  );

  function record2(fields: Readonly<Record<string, unknown>>): unknown {
    return { ...(record(fields) as object), name: "N" };
  }

  test("A8 every value column is optional", () => {
    expect(columnsOf(first).every((field) => !field.required)).toBe(true);
    expect(start.schema.fields.map((field) => [field.name, field.required])).toEqual([
      ["_kafka_partition", true],
      ["_kafka_offset", true],
    ]);
  });
  test("G1 ids go up from lastColumnId and are never given twice", () => {
    expect(first.lastColumnId).toBe(7);
    const ids = first.bindings.map((binding) => binding.id);
    expect(new Set(ids).size).toBe(ids.length);
    const second = grow(first, avro(2, record({ b: "string" })));
    expect(columnsOf(second).find((field) => field.name === "b")?.id).toBe(8);
  });
  test("G2 columns are added, nested ones too, and widened, lists' elements too", () => {
    const source = avro(
      2,
      record({ a: "long", n: record2({ x: "double", y: "int" }), l: { type: "array", items: "long" } }),
    );
    const second = grow(first, source);
    expect(shapeOf(columnsOf(second))).toEqual({ a: "long", n: { x: "double", y: "int" }, l: ["long"] });
    expect(second.version).toBe(first.version + 1);
    expect(columnsOf(second).map((field) => field.id)).toEqual(columnsOf(first).map((field) => field.id));
  });
  test("G2 a narrower type and a missing field leave the table as it is", () => {
    const wide = grow(start, avro(1, record({ a: "long", b: "string" })));
    const narrow = grow(wide, avro(2, record({ a: "int" })));
    expect(narrow.schema).toBe(wide.schema);
  });
  test("G2 decimals widen at the same scale only", () => {
    const decimal = (precision: number, scale: number) => ({ type: "bytes", logicalType: "decimal", precision, scale });
    const narrow = grow(start, avro(1, record({ d: decimal(9, 2) })));
    expect(shapeOf(columnsOf(grow(narrow, avro(2, record({ d: decimal(20, 2) })))))).toEqual({ d: "decimal(20, 2)" });
    expect(evolve(narrow, avro(2, record({ d: decimal(20, 3) })), settings)).toMatchObject({ kind: "refused" });
  });
  test("G2 any other change is refused, remembered, and answered alike when asked again", () => {
    const refused = evolve(first, avro(2, record({ a: "string" })), settings);
    expect(refused).toMatchObject({ kind: "refused", reason: "a: a int cannot become a string" });
    expect(refused.mapping.schema).toBe(first.schema);
    expect(refused.mapping.lastColumnId).toBe(first.lastColumnId);
    expect(evolve(refused.mapping, avro(2, record({ a: "string" })), settings)).toEqual(refused);
  });
  test("the same schema again changes nothing", () => {
    const again = evolve(first, avro(1, record({ a: "int" })), settings);
    expect(again).toEqual({ kind: "unchanged", mapping: first });
  });
  test("a renamed column keeps its binding; one that people dropped stays away", () => {
    const fields = first.schema.fields.filter((field) => field.name !== "a");
    const renamed = fields.map((field) => (field.name === "l" ? { ...field, name: "list" } : field));
    const based = rebase(first, { ...first.schema, fields: renamed }, first.lastColumnId);
    const again = grow(based, avro(9, record({ a: "string", l: { type: "array", items: "int" } })));
    expect(shapeOf(columnsOf(again))).toEqual({ n: { x: "float" }, list: ["int"] });
  });
  test("G7 a dropped name that people add again has the new id", () => {
    const fields = first.schema.fields.filter((field) => field.name !== "a");
    const added = { id: 50, name: "a", required: false, type: "string" as const };
    const based = rebase(first, { ...first.schema, fields: [...fields, added] }, 50);
    const again = grow(based, avro(9, record({ a: "string", b: "int" })));
    expect(again.schema.fields.find((field) => field.name === "a")).toEqual(added);
    expect(again.bindings.find((binding) => binding.name === "a")?.id).toBe(50);
    expect(again.schema.fields.at(-1)).toMatchObject({ id: 51, name: "b" });
  });
  test("a value that is no record has one column", () => {
    const mapping = grow(start, avro(1, { type: "array", items: "int" }));
    expect(shape(mapping.schema.fields.find((field) => field.id === mapping.own.value)?.type as IcebergType)).toEqual([
      "int",
    ]);
  });
  test("a schema that the registry does not have is refused", () => {
    const missing = evolve(start, { kind: "missing", part: "value", schemaId: 3 }, settings);
    expect(missing.mapping.sources["value:3"]).toMatchObject({ kind: "refused" });
    // Asked again it is the same mapping: else a table would ask without end.
    expect(evolve(missing.mapping, { kind: "missing", part: "value", schemaId: 3 }, settings).mapping).toBe(
      missing.mapping,
    );
  });
  test("a mapping survives JSON", () => {
    expect(JSON.parse(JSON.stringify(first))).toEqual(first);
  });
});

describe("A9 names", () => {
  test("siblings that differ in case, and reserved names, get a number", () => {
    const mapping = grow(start, avro(1, record({ id: "int", ID: "int", _file: "int", _kafka_offset: "int" })));
    expect(columnsOf(mapping).map((field) => field.name)).toEqual(["id", "ID_2", "_file_2", "_kafka_offset_2"]);
  });
  test("the number stays when the order of fields changes", () => {
    const mapping = grow(start, avro(1, record({ id: "int", ID: "int" })));
    expect(grow(mapping, avro(2, record({ ID: "int", id: "int" }))).schema).toBe(mapping.schema);
  });
  test("a dot in a name makes no path that another field has: Iceberg's libraries refuse the schema", () => {
    const infer = (mapping: TableMapping, value: unknown) =>
      evolve(mapping, { kind: "inferred", part: "value", type: inferType(value) }, settings);
    const values = [
      { "a.b": 1 },
      { a: { B: 1 } }, // A struct that comes later,
      { s: { x: 1 } },
      { "s.y": 1 },
      { s: { y: 1 } }, // what comes later inside of one,
      { "S.X": 1 }, // and beside it,
      { l: ["x"] },
      { "l.element": 1 }, // parts of lists,
      { n: { "o.p": 1, o: { p: 1 } } }, // and both at once.
    ];
    const mapping = values.reduce<TableMapping>((before, value) => infer(before, value).mapping, start);
    expect(shapeOf(columnsOf(mapping))).toEqual({
      "a.b": "double",
      a_2: { B: "double" },
      s: { x: "double", y_2: "double" },
      "s.y": "double",
      "S.X_2": "double",
      l: ["string"],
      "l.element_2": "double",
      n: { "o.p": "double", o_2: { p: "double" } },
    });
    for (const value of values) expect(infer(mapping, value).kind).toBe("unchanged");
  });
  test("no name has what catalogs and engines cannot read, and each still finds its column", () => {
    const infer = (mapping: TableMapping, value: unknown) =>
      evolve(mapping, { kind: "inferred", part: "value", type: inferType(value) }, settings);
    const value = { "\ud800x": 1, "\udfffx": "y", "n\u0000": true, "😀": { "\udc00": 1 } };
    const { mapping } = infer(start, value);
    expect(shapeOf(columnsOf(mapping))).toEqual({
      "\ufffdx": "double",
      "\ufffdx_2": "string",
      "n\ufffd": "boolean",
      "😀": { "\ufffd": "double" },
    });
    expect(infer(mapping, value).kind).toBe("unchanged");
  });
  test("names like __proto__ are names", () => {
    const mapping = grow(start, avro(1, record({ ["__proto__"]: "int", constructor: "string" })));
    expect(columnsOf(mapping).map((field) => field.name)).toEqual(["__proto__", "constructor"]);
  });
});

describe("two fields of a new struct that would be one column", () => {
  const person = {
    type: "record",
    name: "Person",
    fields: [
      { name: "first", aliases: ["name"], type: "string" },
      { name: "last", aliases: ["name"], type: "string" },
    ],
  };
  const inside: readonly (readonly [string, unknown])[] = [
    ["a field", person],
    ["a list", { type: "array", items: person }],
    ["a map", { type: "map", values: person }],
    ["a union", ["null", "int", person]],
  ];
  test.each(inside)("have their schema refused, as at the top, in %s", (_, type) => {
    const evolution = evolve(start, avro(1, record({ p: type })), settings);
    expect(evolution).toMatchObject({ kind: "refused", reason: expect.stringMatching(/another field of the schema/) });
    expect(evolution.mapping.schema).toBe(start.schema);
  });
  test.each(inside)("or have one each, in %s", (_, type) => {
    const value = { ...settings.value, onTypeChange: "new-column" } as const;
    const { mapping } = evolve(start, avro(1, record({ p: type })), { ...settings, value });
    expect(JSON.stringify(shapeOf(columnsOf(mapping)))).toContain('{"first":"string","last__2":"string"}');
  });
});

describe("inferred JSON", () => {
  const jsonSettings = tableSettings("json", { metadataColumns: [] });
  const empty = initialMapping(jsonSettings);
  const infer = (mapping: TableMapping, value: unknown) =>
    evolve(mapping, { kind: "inferred", part: "value", type: inferType(value) }, jsonSettings);

  test("numbers are doubles, strings strings, empty things nothing yet", () => {
    const { mapping } = infer(empty, { n: 2, s: "2018-02-07", o: { x: [1, "a"] }, e: [], z: null, q: {} });
    expect(shapeOf(columnsOf(mapping))).toEqual({ n: "double", s: "string", o: { x: ["double"] } });
  });
  test("a value of another type changes no column", () => {
    const { mapping } = infer(empty, { a: 1, b: [1] });
    expect(infer(mapping, { a: "x", b: { c: 1 } })).toEqual({ kind: "unchanged", mapping });
  });
  test("columns end at their bound, once and for all", () => {
    const wide: SourceType = {
      kind: "struct",
      fields: Array.from({ length: inferredColumnsMax + 50 }, (_, at) => ({
        name: `c${at}`,
        type: { kind: "primitive", type: "double" },
      })),
    };
    const grown = evolve(empty, { kind: "inferred", part: "value", type: wide }, jsonSettings);
    expect(grown.mapping.isFull).toBe(true);
    expect(columnsOf(grown.mapping)).toHaveLength(inferredColumnsMax);
    expect(infer(grown.mapping, { another: 1 }).kind).toBe("unchanged");
  });
});

describe("parts of allOf", () => {
  const typeOf = (allOf: readonly object[], rules = 7, more = {}) =>
    jsonSchemaSourceType({ text: JSON.stringify({ ...more, allOf }) }, rules);
  const text = { kind: "primitive", type: "string" };
  const struct = (fields: Readonly<Record<string, unknown>>) => ({
    kind: "struct",
    fields: Object.entries(fields).map(([name, type]) => ({ name, type })),
  });

  test("without a type constrain the others", () => {
    expect(typeOf([{ type: "string" }, { minLength: 1 }])).toEqual(text);
    expect(typeOf([{ pattern: "^a" }, { maxLength: 9 }], 7, { type: "string" })).toEqual(text);
    expect(typeOf([{ enum: ["a", "b"] }, { type: "string" }])).toEqual(text);
    expect(
      typeOf([
        { type: "array", items: { type: "string" } },
        { type: "array", minItems: 1 },
      ]),
    ).toEqual({
      kind: "list",
      element: text,
    });
    const base = { properties: { status: { type: "string" }, inner: { properties: { a: { type: "string" } } } } };
    const narrowed = { properties: { status: { minLength: 1 }, inner: { properties: { b: { type: "string" } } } } };
    const inner = struct({ a: text, b: text });
    expect(typeOf([base, narrowed, { required: ["status"] }])).toEqual(struct({ status: text, inner }));
  });

  test("of two types are the narrower one, or JSON text", () => {
    expect(typeOf([{ type: "number" }, { type: "integer" }])).toMatchObject({ type: "long" });
    expect(typeOf([{ type: "integer" }, { type: "number" }])).toMatchObject({ type: "long" });
    expect(typeOf([{ type: "string", format: "uuid" }, { type: "string" }])).toMatchObject({ type: "uuid" });
    expect(typeOf([{ type: "string" }, { type: "integer" }])).toEqual({ kind: "json" });
    expect(typeOf([{ properties: { a: { type: "string" } } }, { type: "string" }])).toEqual({ kind: "json" });
    expect(typeOf([{ minLength: 1 }, { maxLength: 2 }])).toEqual({ kind: "json" });
    expect(typeOf([])).toEqual({ kind: "json" });
  });

  test("are what they were in tables of earlier rules", () => {
    expect(typeOf([{ type: "string" }, { minLength: 1 }], 6)).toEqual({ kind: "json" });
    const parts = [{ properties: { a: { type: "string" } } }, { properties: { a: { minLength: 1 } } }];
    expect(typeOf(parts, 5)).toEqual(struct({ a: { kind: "json" } }));
    expect(typeOf(parts)).toEqual(struct({ a: text }));
  });
});
