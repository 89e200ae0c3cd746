/** Proves that Avro values land in columns exactly, whatever the logical type, and that bad bytes are bad records, never more. */
import avsc from "avsc";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../../src/base/errors.ts";
import { compileAvro } from "../../../src/table/decode/avro.ts";
import { parseAvroSchema } from "../../../src/table/decode/avro-schema.ts";
import { BadRecord } from "../../../src/table/decode/bad-record.ts";
import { makeBound } from "../../../src/table/decode/bound.ts";
import { Cursor } from "../../../src/table/decode/cursor.ts";
import { Columns } from "../../../src/table/parquet/columns.ts";
import { ParquetWriter } from "../../../src/table/parquet/parquet.ts";
import { evolve, initialMapping, type TableMapping } from "../../../src/table/schema/schema-map.ts";
import type { Int64Leaf } from "../../../src/table/translate/leaf.ts";
import { queryByDuckDb } from "../parquet-readers.ts";
import { plainDuckDb } from "../parquet-values.ts";
import { parquetOptions, tableSettings, utf8 } from "../translate-fixtures.ts";

const settings = tableSettings("schema-id", { metadataColumns: [] });

function mappingOf(schema: unknown, before?: TableMapping): TableMapping {
  const start = before ?? {
    ...initialMapping(settings),
    schema: { type: "struct", "schema-id": 0, fields: [] },
    own: {},
  };
  const text = JSON.stringify(schema);
  const evolution = evolve(
    start,
    { kind: "schema-id", part: "value", schemaId: 1, schema: { type: "AVRO", text } },
    settings,
  );
  if (evolution.kind === "refused") throw new Error(evolution.reason);
  return evolution.mapping;
}

function decodeInto(mapping: TableMapping, schema: unknown, messages: readonly Uint8Array[]): Columns {
  const columns = new Columns(mapping.schema);
  const put = compileAvro(parseAvroSchema(JSON.stringify(schema)), columns.root, makeBound(mapping.bindings));
  const cursor = new Cursor();
  for (const message of messages) {
    try {
      cursor.reset(message, 0);
      put(cursor, 0);
      if (cursor.at !== cursor.end) throw new BadRecord("malformed", "bytes are left");
      columns.endRow();
    } catch (cause) {
      columns.undoRow();
      throw cause;
    }
  }
  return columns;
}

/** Rows as DuckDB reads them from the written file. */
async function rowsOf(columns: Columns): Promise<readonly Record<string, unknown>[]> {
  const writer = new ParquetWriter(columns.schema, parquetOptions);
  writer.rowGroup(columns);
  const rows = await queryByDuckDb(writer.finish().bytes, "SELECT * FROM read_parquet($file)");
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plainDuckDb(value)])));
}

function record(fields: Readonly<Record<string, unknown>>): unknown {
  return { type: "record", name: "R", fields: Object.entries(fields).map(([name, type]) => ({ name, type })) };
}

/** Zigzag varint of any width. */
function varint(value: bigint): number[] {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

async function one(type: unknown, bytes: readonly number[] | Uint8Array): Promise<unknown> {
  const schema = record({ f: type });
  const rows = await rowsOf(decodeInto(mappingOf(schema), schema, [Uint8Array.from(bytes)]));
  return rows[0]?.["f"];
}

describe("logical types", () => {
  const cases: readonly (readonly [string, unknown, readonly number[], unknown])[] = [
    ["int", "int", varint(-5n), -5],
    ["long", "long", varint(-(2n ** 63n)), -(2n ** 63n)],
    ["date", { type: "int", logicalType: "date" }, varint(-1n), -1],
    ["time-millis", { type: "int", logicalType: "time-millis" }, varint(86_399_999n), 86_399_999_000n],
    ["time-micros", { type: "long", logicalType: "time-micros" }, varint(7n), 7n],
    ["timestamp-millis", { type: "long", logicalType: "timestamp-millis" }, varint(-1n), -1000n],
    [
      "timestamp-micros",
      { type: "long", logicalType: "timestamp-micros" },
      varint(1_700_000_000_000_001n),
      1_700_000_000_000_001n,
    ],
    ["timestamp-nanos floors", { type: "long", logicalType: "timestamp-nanos" }, varint(-1n), -1n],
    ["local-timestamp-millis", { type: "long", logicalType: "local-timestamp-millis" }, varint(3n), 3000n],
    ["local-timestamp-nanos", { type: "long", logicalType: "local-timestamp-nanos" }, varint(1999n), 1n],
    [
      "uuid",
      { type: "string", logicalType: "uuid" },
      [72, ...utf8("F79C3E09-677c-4bbd-a479-3f349cb785e7")],
      "0xf79c3e09677c4bbda4793f349cb785e7",
    ],
    ["decimal in 32 bits", { type: "bytes", logicalType: "decimal", precision: 4, scale: 2 }, [4, 0xfb, 0x2e], -1234n],
    ["decimal in 64 bits", { type: "bytes", logicalType: "decimal", precision: 18, scale: 2 }, [2, 0x7f], 127n],
    ["decimal of no bytes", { type: "bytes", logicalType: "decimal", precision: 18, scale: 2 }, [0], 0n],
    [
      "decimal in a fixed",
      { type: "fixed", name: "D", size: 3, logicalType: "decimal", precision: 30, scale: 2 },
      [0xff, 0xff, 0xfe],
      -2n,
    ],
    ["decimal as text", { type: "bytes", logicalType: "decimal", precision: 40, scale: 3 }, [2, 0xff], "-0.001"],
    [
      "duration",
      { type: "fixed", name: "Du", size: 12, logicalType: "duration" },
      [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0],
      "0x010000000200000003000000",
    ],
    ["enum", { type: "enum", name: "E", symbols: ["ä", "B"] }, [2], "B"],
    ["union", ["null", "string", "int"], [2, 4, 104, 105], { string: "hi", int: null }],
    ["union's other branch", ["null", "string", "int"], [4, 8], { string: null, int: 4 }],
    ["union's null", ["null", "string", "int"], [0], null],
    ["a lone branch", ["int"], [0, 8], 4],
    ["an array in negative blocks", { type: "array", items: "int" }, [3, 4, 2, 4, 1, 2, 6, 0], [1, 2, 3]],
    ["an empty map", { type: "map", values: "int" }, [0], []],
    [
      "a map",
      { type: "map", values: ["null", "int"] },
      [4, 2, 97, 2, 2, 2, 98, 0, 0],
      [
        ["a", 1],
        ["b", null],
      ],
    ],
    [
      "a map with one key twice, of which the last counts",
      { type: "array", items: { type: "map", values: { type: "array", items: "int" } } },
      [4, 4, 2, 97, 2, 2, 0, 2, 98, 0, 2, 2, 97, 4, 4, 6, 0, 0, 2, 2, 98, 2, 8, 0, 0, 0],
      [
        [
          ["b", []],
          ["a", [2, 3]],
        ],
        [["b", [4]]],
      ],
    ],
  ];
  test.each(cases)("%s", async (_, type, bytes, expected) => {
    expect(await one(type, bytes)).toEqual(expected);
  });
  test("milliseconds times 1000 are exact at the edge of a double", async () => {
    const type = { type: "long", logicalType: "timestamp-millis" };
    for (const millis of [9_007_199_254_740n, 9_007_199_254_993n, -9_007_199_254_741n, 123_456_789_012_345n]) {
      expect(await one(type, varint(millis))).toBe(millis * 1000n);
    }
  });
});

test("any 64-bit integer is exact", () => {
  const schema = record({ f: "long" });
  const mapping = mappingOf(schema);
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (values) => {
      const columns = decodeInto(
        mapping,
        schema,
        values.map((value) => Uint8Array.from(varint(value))),
      );
      const leaf = columns.leaves[0] as Int64Leaf;
      expect(values.map((_, at) => leaf.at(at))).toEqual(values);
    }),
  );
});

describe("bad records", () => {
  const reasons: readonly (readonly [string, unknown, readonly number[], string])[] = [
    ["bytes that end too soon", "double", [1, 2, 3], "malformed"],
    ["bytes that are left", "int", [2, 0], "malformed"],
    ["an int of 33 bits", "int", varint(2n ** 32n), "malformed"],
    ["a varint of 65 bits", "long", [255, 255, 255, 255, 255, 255, 255, 255, 255, 2], "malformed"],
    ["a length beyond the end", "string", [100, 97], "malformed"],
    ["a negative length", "bytes", [1], "malformed"],
    ["a boolean of 2", "boolean", [2], "malformed"],
    ["a union without the branch", ["null", "int"], [8], "malformed"],
    ["an enum without the symbol", { type: "enum", name: "E", symbols: ["A"] }, [2], "malformed"],
    [
      "an array of many blocks of nothings",
      { type: "array", items: "null" },
      [...Array.from({ length: 50 }, () => varint(30n)).flat(), ...varint(99_000n), ...varint(2_000n), 0],
      "malformed",
    ],
    ["an array of a billion nothings", { type: "array", items: ["null", "int"] }, varint(10n ** 9n), "malformed"],
    ["invalid UTF-8", "string", [4, 0xc3, 0x28], "invalid-utf8"],
    ["invalid UTF-8 in a long text", "string", [200, 1, ...utf8("a".repeat(99)), 0xff], "invalid-utf8"],
    [
      "a decimal with too many digits",
      { type: "bytes", logicalType: "decimal", precision: 2, scale: 0 },
      [2, 100],
      "out-of-range",
    ],
    [
      "milliseconds beyond microseconds",
      { type: "long", logicalType: "timestamp-millis" },
      varint(2n ** 60n),
      "out-of-range",
    ],
    ["a time before midnight", { type: "long", logicalType: "time-micros" }, varint(-1n), "out-of-range"],
    ["a time of the next day", { type: "long", logicalType: "time-micros" }, varint(86_400_000_000n), "out-of-range"],
    ["a time of no day", { type: "long", logicalType: "time-micros" }, varint(2n ** 62n), "out-of-range"],
    [
      "a time of the next day, in milliseconds",
      { type: "int", logicalType: "time-millis" },
      varint(86_400_000n),
      "out-of-range",
    ],
    ["no UUID", { type: "string", logicalType: "uuid" }, [4, 97, 98], "malformed"],
  ];
  test.each(reasons)("%s", (_, type, bytes, reason) => {
    const schema = record({ f: type });
    let found: unknown;
    try {
      decodeInto(mappingOf(schema), schema, [Uint8Array.from(bytes)]);
    } catch (cause) {
      found = cause;
    }
    expect(found).toBeInstanceOf(BadRecord);
    expect((found as BadRecord).reason).toBe(reason);
  });
});

const rich = record({
  id: "long",
  name: ["null", "string"],
  kind: { type: "enum", name: "K", symbols: ["A", "B"] },
  tags: { type: "array", items: ["null", "string"] },
  scores: { type: "map", values: { type: "array", items: "double" } },
  child: [
    "null",
    {
      type: "record",
      name: "C",
      fields: [
        { name: "x", type: "float" },
        { name: "y", type: ["null", "int", "string"] },
      ],
    },
  ],
  raw: "bytes",
  flag: "boolean",
});

test("what avsc encodes, the columns hold", async () => {
  const text = fc.string({ unit: "grapheme", maxLength: 80 });
  const value = fc.record({
    id: fc.integer({ min: -(2 ** 52), max: 2 ** 52 }), // Beyond, avsc's own zigzag is no longer exact.
    name: fc.option(text),
    kind: fc.constantFrom("A", "B"),
    tags: fc.array(fc.option(text), { maxLength: 4 }),
    scores: fc.dictionary(
      fc.string({ minLength: 1, maxLength: 4 }).map((key) => `k${key}`),
      fc.array(fc.double({ noNaN: true })),
      { maxKeys: 3, noNullPrototype: true },
    ),
    child: fc.option(fc.record({ x: fc.float({ noNaN: true }), y: fc.oneof(fc.constant(null), fc.integer(), text) })),
    raw: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    flag: fc.boolean(),
  });
  const type = avsc.Type.forSchema(rich as never, { wrapUnions: false });
  await fc.assert(
    fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 20 }), async (values) => {
      const columns = decodeInto(
        mappingOf(rich),
        rich,
        values.map((each) => new Uint8Array(type.toBuffer(each))),
      );
      expect(await rowsOf(columns)).toEqual(
        values.map((each) => ({
          ...each,
          id: BigInt(each.id),
          scores: Object.entries(each.scores),
          child: each.child === null ? null : { x: each.child.x, y: unionOf(each.child.y) },
          raw: `0x${each.raw.toString("hex")}`,
        })),
      );
    }),
    { numRuns: 40 },
  );
}, 60_000);

function unionOf(value: number | string | null): unknown {
  if (value === null) return null;
  return { int: typeof value === "number" ? value : null, string: typeof value === "string" ? value : null };
}

test("any bytes are rows or a bad record, and a bad record leaves no trace", () => {
  const mapping = mappingOf(rich);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const columns = new Columns(mapping.schema);
      const put = compileAvro(parseAvroSchema(JSON.stringify(rich)), columns.root, makeBound(mapping.bindings));
      const cursor = new Cursor();
      cursor.reset(bytes, 0);
      try {
        put(cursor, 0);
        columns.endRow();
      } catch (cause) {
        expect(cause).toBeInstanceOf(BadRecord);
        columns.undoRow();
        expect(columns.leaves.map((leaf) => [leaf.slots, leaf.count])).toEqual(columns.leaves.map(() => [0, 0]));
      }
    }),
    { numRuns: 2000 },
  );
});

test("any text is an Avro schema or CorruptData", () => {
  const json = fc.json({ maxDepth: 4 });
  fc.assert(
    fc.property(
      fc.oneof(
        json,
        fc.string(),
        json.map((text) => `{"type":"record","name":"A","fields":${text}}`),
      ),
      (text) => {
        try {
          parseAvroSchema(text);
        } catch (cause) {
          expect(cause).toBeInstanceOf(CorruptData);
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test("older and newer writers meet in the same columns: widened, missing and unknown fields", async () => {
  const old = record({ a: "int", gone: "string", f: "float" });
  const young = record({ f: "double", a: "long", fresh: ["null", "boolean"] });
  const mapping = mappingOf(young, mappingOf(old));
  const first = decodeInto(mapping, old, [Uint8Array.from([2, 2, 97, 0, 0, 0x80, 0x3f])]);
  expect(await rowsOf(first)).toEqual([{ a: 1n, gone: "a", f: 1, fresh: null }]);
  const second = decodeInto(mapping, young, [
    Uint8Array.from([...new Uint8Array(Float64Array.of(0.5).buffer), ...varint(2n ** 40n), 2, 1]),
  ]);
  expect(await rowsOf(second)).toEqual([{ a: 2n ** 40n, gone: null, f: 0.5, fresh: true }]);
});
