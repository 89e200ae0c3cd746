/** Proves that JSON lands in columns, that nothing is lost on the way (rule M12), and that schemas are held. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDate, parseDateTime } from "../../../src/table/decode/time-text.ts";
import type { TableSettings } from "../../../src/table/settings.ts";
import { queryByDuckDb, type Row, readByHyparquet } from "../parquet-readers.ts";
import { plainDuckDb } from "../parquet-values.ts";
import {
  inlineTranslator,
  Registry,
  rangeOf,
  tableSettings,
  translateAll,
  utf8,
  withSchemaId,
} from "../translate-fixtures.ts";

const bare: Partial<TableSettings> = { metadataColumns: [] };

/** Rows without partition and offset, and reasons of dead letters. */
async function infer(
  texts: readonly (string | null)[],
): Promise<{ readonly rows: readonly Row[]; readonly reasons: readonly unknown[] }> {
  return await rowsAndReasons(
    tableSettings("json", bare),
    new Registry(),
    texts.map((text) => (text === null ? null : utf8(text))),
  );
}

async function rowsAndReasons(settings: TableSettings, registry: Registry, values: readonly (Uint8Array | null)[]) {
  const { result } = await translateAll(inlineTranslator(registry), settings, [
    rangeOf(values.map((value) => ({ value }))),
  ]);
  const [file] = result.files;
  const sql = "SELECT * EXCLUDE (_kafka_partition, _kafka_offset) FROM read_parquet($file)";
  const rows = file === undefined ? [] : await queryByDuckDb(file.bytes, sql);
  const letters = result.deadLetterFile === undefined ? [] : await readByHyparquet(result.deadLetterFile.bytes);
  return {
    rows: rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plainDuckDb(value)]))),
    reasons: letters.map((letter) => letter["reason"]),
  };
}

describe("schemaless", () => {
  test("fields that come later are null before", async () => {
    const { rows } = await infer(['{"a":1}', '{"b":"x"}', '{"a":2.5,"c":{"d":[true,null]}}']);
    expect(rows).toEqual([
      { _extra: null, a: 1, b: null, c: null },
      { _extra: null, a: null, b: "x", c: null },
      { _extra: null, a: 2.5, b: null, c: { d: [true, null] } },
    ]);
  });
  test("M12 integers beyond 2^53 keep all digits in the extra column, and their row stays", async () => {
    const { rows } = await infer([
      '{"id":9007199254740993,"n":9007199254740991,"l":[1,12345678901234567890]}',
      '{"id":1}',
    ]);
    expect(rows[0]).toEqual({
      _extra: '{"/id":9007199254740993,"/l/1":12345678901234567890}',
      id: null,
      n: 9007199254740991,
      l: [1, null],
    });
  });
  test("M12 what goes to the extra column keeps all digits, after the point too", async () => {
    const long = "0.12345678901234567890123";
    const { rows } = await infer([
      '{"a":"x"}',
      `{"a":${long},"e":[],"o":{"n":${long}}}`,
      `{"a":[${long}],"o":{"n":1}}`,
    ]);
    expect(rows.slice(1).map((row) => [row["o"], row["_extra"]])).toEqual([
      [{ n: 0.12345678901234568 }, `{"/a":${long},"/e":[]}`],
      [{ n: 1 }, `{"/a":[${long}]}`],
    ]);
  });
  test("M12 an override of one column leaves the others as they are: doubles take the nearest number", async () => {
    const settings = tableSettings("json", { ...bare, overrides: { d: { type: "decimal(38, 30)" } } });
    const long = "0.12345678901234567890123";
    const { rows } = await rowsAndReasons(settings, new Registry(), [utf8(`{"d":${long},"n":${long},"m":1e400}`)]);
    expect(rows).toEqual([
      { _extra: '{"/m":1e400}', d: 123456789012345678901230000000n, n: 0.12345678901234568, m: null },
    ]);
  });
  test("M12 what a column of whole numbers cannot hold goes to the extra column", async () => {
    const mode = { write: "cdc", key: ["id"], envelope: "debezium", opField: "op", tombstone: "ignore" } as const;
    const fields = [
      { field: "id", type: "int32" },
      { field: "n", type: "int64" },
    ];
    const schema = JSON.stringify({ fields: [{ field: "after", type: "struct", fields }] });
    const values = ["1e400", "1.5", "12345678901234567.5"].map((n, id) =>
      utf8(`{"schema":${schema},"payload":{"op":"c","after":{"id":${id},"n":${n}}}}`),
    );
    const { rows } = await rowsAndReasons(tableSettings("json", { ...bare, mode }), new Registry(), values);
    expect(rows.map((row) => row["_extra"])).toEqual(['{"/n":1e400}', '{"/n":1.5}', '{"/n":12345678901234567.5}']);
  });
  test("JSON text has no half surrogate pairs", async () => {
    const { rows } = await infer(['{"a":1}', '{"a":"\\ud800 \\\\ud800 \\ud83d\\ude00","b\\udfff":[]}']);
    expect(rows[1]?.["_extra"]).toBe('{"/a":"\\ufffd \\\\ud800 😀","/b\\ufffd":[]}');
  });
  test("M12 values of another type go to the extra column", async () => {
    const { rows } = await infer(['{"a":1,"o":{"x":"t"}}', '{"a":"one","o":{"x":2}}', '{"a":[1],"o":7}']);
    expect(rows.map((row) => [row["a"], row["o"], row["_extra"]])).toEqual([
      [1, { x: "t" }, null],
      [null, { x: null }, '{"/a":"one","/o/x":2}'],
      [null, null, '{"/a":[1],"/o":7}'],
    ]);
  });
  test("what has no type yet is kept too; null is not", async () => {
    const { rows } = await infer(['{"a":1,"e":[],"o":{},"z":null,"p/q~":[]}']);
    expect(rows).toEqual([{ _extra: '{"/e":[],"/o":{},"/p~1q~0":[]}', a: 1 }]);
  });
  test("a text that is no object stays whole in the extra column", async () => {
    const { rows } = await infer(['{"a":1}', "[1,2]", '"text"', null, "null"]);
    expect(rows.map((row) => row["_extra"])).toEqual([null, '{"":[1,2]}', '{"":"text"}', null, null]);
  });
  test("broken texts are dead letters", async () => {
    const { rows, reasons } = await infer(['{"a":1}', '{"a":', "", '{"a":2}']);
    expect(rows.map((row) => row["a"])).toEqual([1, 2]);
    expect(reasons).toEqual(["malformed", "malformed"]);
  });
  test.each<readonly [string, Partial<TableSettings>]>([
    ["any column", {}],
    ["a decimal", { overrides: { d: { type: "decimal(9, 2)" } } }],
    ["a field that is not wanted", { overrides: { d: { isExcluded: true } } }],
  ])("a text that nests too deep is a dead letter beside %s, and its neighbours are rows", async (_, settings) => {
    const deep = [990, 1001, 4500, 30_000].flatMap((depth) => [
      `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`,
      `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`,
    ]);
    const values = ['{"d":1}', ...deep, '{"d":2}'].map(utf8);
    const { rows, reasons } = await rowsAndReasons(
      tableSettings("json", { ...bare, ...settings }),
      new Registry(),
      values,
    );
    expect(rows).toHaveLength(4);
    expect(reasons).toEqual(Array.from({ length: 6 }, () => "malformed"));
  });
  test("invalid UTF-8 is a dead letter", async () => {
    const { reasons } = await rowsAndReasons(tableSettings("json", bare), new Registry(), [
      Uint8Array.from([34, 0xff, 34]),
    ]);
    expect(reasons).toEqual(["invalid-utf8"]);
  });
  test("any JSON is a row, whole: its columns and the extra column make the value again", async () => {
    const value = fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__", "A"), fc.jsonValue({ maxDepth: 3 }), {
      noNullPrototype: true,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 5 }), async (values) => {
        const { result } = await translateAll(inlineTranslator(), tableSettings("json", bare), [
          rangeOf(values.map((each) => ({ value: utf8(JSON.stringify(each)) }))),
        ]);
        expect(result.rows).toBe(values.length);
      }),
      { numRuns: 200 },
    );
  });
  test("earthquakes.json: all rows, fractional magnitudes, nothing left over", async () => {
    const path = new URL("../../../node_modules/vega-datasets/data/earthquakes.json", import.meta.url);
    const { features } = JSON.parse(readFileSync(path, "utf8")) as { features: { properties: { mag: number } }[] };
    const { rows, reasons } = await infer(features.map((feature) => JSON.stringify(feature)));
    expect(features[0]?.properties.mag).toBe(2);
    expect(reasons).toEqual([]);
    expect(rows.map((row) => (row["properties"] as Row)["mag"])).toEqual(
      features.map((feature) => feature.properties.mag ?? null),
    );
    expect(rows.filter((row) => row["_extra"] !== null)).toEqual([]);
  });
});

describe("JSON Schema", () => {
  const schema = {
    type: "object",
    properties: {
      id: { type: "integer" },
      at: { type: "string", format: "date-time" },
      day: { type: "string", format: "date" },
      ratio: { type: "number" },
      any: {},
      labels: { type: "object", additionalProperties: { type: "string" } },
    },
  };
  async function decode(...values: readonly unknown[]) {
    const registry = new Registry();
    const schemaId = registry.register("JSON", schema);
    const texts = values.map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
    return await rowsAndReasons(
      tableSettings("schema-id", bare),
      registry,
      texts.map((text) => withSchemaId(schemaId, utf8(text))),
    );
  }
  test("M12 declared types, exact integers up to 64 bits, and text for anything", async () => {
    const text =
      '{"id":9223372036854775807,"at":"2018-02-07T01:26:13.84+01:00","day":"1969-12-31","ratio":12345678901234567890,"any":[1,{"x":98765432109876543210}],"labels":{"k":"v"}}';
    expect((await decode(text)).rows).toEqual([
      {
        _extra: null,
        id: 9223372036854775807n,
        at: 1517963173840000n,
        day: -1,
        ratio: 12345678901234567000,
        any: '[1,{"x":98765432109876543210}]',
        labels: [["k", "v"]],
      },
    ]);
  });
  test("M12 text for anything keeps all digits, after the point too", async () => {
    const long = "0.12345678901234567890123";
    const { rows } = await decode(`{"any":{"x":${long}},"ratio":${long},"more":${long}}`, `{"any":${long}}`);
    expect(rows.map((row) => [row["any"], row["ratio"], row["_extra"]])).toEqual([
      [`{"x":${long}}`, 0.12345678901234568, `{"/more":${long}}`],
      [long, null, null],
    ]);
  });
  test("fields that the schema does not name are kept", async () => {
    expect((await decode({ id: 1, more: { x: [] } })).rows).toMatchObject([{ id: 1n, _extra: '{"/more":{"x":[]}}' }]);
  });
  test("fields that the schema does not name are kept of a value that is no record too", async () => {
    const registry = new Registry();
    const record = { type: "object", properties: { id: { type: "integer" } } };
    const values = [
      withSchemaId(registry.register("JSON", { type: "array", items: record }), utf8('[{"id":1},{"id":2,"more":3}]')),
    ];
    const { rows } = await rowsAndReasons(tableSettings("schema-id", bare), registry, values);
    expect(rows).toEqual([{ _extra: '{"/1/more":3}', value: [{ id: 1n }, { id: 2n }] }]);
  });
  test.each([
    ["uuids", { type: "string", format: "uuid" }, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", ["none", "1-2", 7]],
    [
      "decimals",
      {
        type: "number",
        title: "org.apache.kafka.connect.data.Decimal",
        "connect.type": "bytes",
        "connect.parameters": { scale: "1" },
      },
      1.5,
      ["none", 1.25, true, [1.5]],
    ],
  ])("what the schema does not name is kept beside a column of %s", async (_, type, value, others) => {
    const registry = new Registry();
    const named = registry.register("JSON", { properties: { u: type } });
    const open = registry.register("JSON", { properties: { id: { type: "integer" } } });
    const values = [value, ...others].map((u, at) =>
      withSchemaId(at === 0 ? named : open, utf8(JSON.stringify({ u }))),
    );
    const { rows, reasons } = await rowsAndReasons(tableSettings("schema-id", bare), registry, values);
    expect(reasons).toEqual([]);
    expect(rows[0]?.["u"]).not.toBeNull();
    const kept = others.map((u) => ({ _extra: JSON.stringify({ "/u": u }), id: null, u: null }));
    expect(rows.slice(1)).toEqual(kept);
  });
  test("a record of which nothing is said has no column, laid out nested too, and keeps what it has", async () => {
    const registry = new Registry();
    const schemaId = registry.register("JSON", { type: "object", properties: { c: { type: "null" } } });
    const settings = tableSettings("schema-id", bare);
    const nested = { ...settings, value: { ...settings.value, layout: "nested" as const } };
    const values = ['{"c":null}', '{"c":1,"d":2}'].map((text) => withSchemaId(schemaId, utf8(text)));
    const { rows } = await rowsAndReasons(nested, registry, values);
    expect(rows).toEqual([{ _extra: null }, { _extra: '{"/c":1,"/d":2}' }]);
  });
  test("what one schema does not name may be of any type, whatever column another one has made of it", async () => {
    const registry = new Registry();
    const named = { b: { type: "string" }, o: { properties: { x: { type: "integer" } } } };
    const tags = { type: "array", items: { properties: { n: { type: "integer" } } } };
    const map = { type: "object", additionalProperties: { type: "integer" } };
    const full = registry.register("JSON", { properties: { id: { type: "integer" }, ...named, tags, map } });
    const open = registry.register("JSON", {
      properties: { id: { type: "integer" }, o: { properties: { y: { type: "integer" } } } },
    });
    const nulls = { type: "array", items: { type: "null" } };
    const fieldless = { properties: { n: { type: "null" } } };
    const void_ = registry.register("JSON", {
      properties: { id: { type: "integer" }, b: nulls, tags: fieldless },
    });
    const values: readonly (readonly [number, unknown])[] = [
      [full, { id: 1, b: "x", o: { x: 1 }, tags: [{ n: 1 }], map: { k: 1 } }],
      [open, { id: 2, b: "y", o: { x: 2, y: 3 }, tags: [{ n: 2 }], map: { k: 2 } }],
      [open, { id: 3, b: 5, o: { x: "z", y: 4 }, tags: [{ n: "m" }, 7], map: { k: "l", "a/b": 1 } }],
      [open, { id: 4, b: ["w"], o: { y: "no" } }],
      [void_, { id: 6, b: [null], tags: { n: null }, map: { k: null } }],
      [full, { id: 5, b: 5 }],
    ];
    const { rows, reasons } = await rowsAndReasons(
      tableSettings("schema-id", bare),
      registry,
      values.map(([schemaId, value]) => withSchemaId(schemaId, utf8(JSON.stringify(value)))),
    );
    expect(rows).toEqual([
      { _extra: null, id: 1n, b: "x", o: { x: 1n, y: null }, tags: [{ n: 1n }], map: [["k", 1n]] },
      { _extra: null, id: 2n, b: "y", o: { x: 2n, y: 3n }, tags: [{ n: 2n }], map: [["k", 2n]] },
      {
        _extra: '{"/b":5,"/o/x":"z","/tags/0/n":"m","/tags/1":7,"/map/k":"l"}',
        id: 3n,
        b: null,
        o: { x: null, y: 4n },
        tags: [{ n: null }, null],
        map: [
          ["k", null],
          ["a/b", 1n],
        ],
      },
      { _extra: '{"/b":[null],"/tags":{"n":null}}', id: 6n, b: null, o: null, tags: null, map: [["k", null]] },
    ]);
    expect(reasons).toEqual(["type-mismatch", "type-mismatch"]);
  });
  test("a value of another type is a dead letter", async () => {
    const { rows, reasons } = await decode(
      { id: "1" },
      { id: 1.5 },
      { at: "yesterday" },
      { labels: { k: 1 } },
      '{"id":9223372036854775808}',
      { id: 5 },
    );
    expect(rows.map((row) => row["id"])).toEqual([5n]);
    expect(reasons).toEqual(["type-mismatch", "type-mismatch", "type-mismatch", "type-mismatch", "out-of-range"]);
  });
});

describe("times as text", () => {
  test("RFC 3339 agrees with JavaScript's own parser", () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true }),
        (date) => {
          expect(parseDateTime(date.toISOString())).toBe(BigInt(date.getTime()) * 1000n);
          expect(parseDate(date.toISOString().slice(0, 10))).toBe(Math.floor(date.getTime() / 86_400_000));
        },
      ),
    );
  });
  test("what no calendar has is nothing", () => {
    for (const text of ["2023-02-29", "2023-13-01", "2023-1-1", "1900-02-29"]) expect(parseDate(text)).toBeUndefined();
    for (const text of ["2023-02-28", "2023-02-28T25:00:00Z", "2023-02-28T00:00:00"])
      expect(parseDateTime(text)).toBeUndefined();
  });
});
