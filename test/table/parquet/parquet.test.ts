/** Proves that what the encoder writes, other people's readers read: same values, and the rules A1-A13 and B1-B10. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { deserializeValue } from "../../../src/table/iceberg/bounds.ts";
import type { Schema } from "../../../src/table/iceberg/types.ts";
import { Columns } from "../../../src/table/parquet/columns.ts";
import { ParquetWriter } from "../../../src/table/parquet/parquet.ts";
import { randomTable } from "../parquet-arbitrary.ts";
import { queryByDuckDb, readByArrow, readFooter, readRawByHyparquet } from "../parquet-readers.ts";
import { hasDecimal, plainDuckDb, plainHyparquet, plainRows } from "../parquet-values.ts";
import { putRow, type Value } from "../rows.ts";
import { parquetOptions } from "../translate-fixtures.ts";

type TestRow = { readonly [name: string]: Value };

/** Each group of rows becomes a row group. */
function write(schema: Schema, groups: readonly (readonly TestRow[])[], options = parquetOptions) {
  const writer = new ParquetWriter(schema, options);
  const columns = new Columns(schema);
  for (const rows of groups) {
    for (const row of rows) putRow(columns, row);
    writer.rowGroup(columns);
    columns.clear();
  }
  return writer.finish();
}

function schemaOf(fields: Schema["fields"]): Schema {
  return { type: "struct", "schema-id": 0, fields };
}

const smallPages = { ...parquetOptions, pageBytesMax: 200, pageRowsMax: 5, dictionaryBytesMax: 64 };

describe("readers of other makers see the rows that were written", () => {
  const runs = { numRuns: 60 };

  test("hyparquet", async () => {
    await fc.assert(
      fc.asyncProperty(randomTable(40), fc.boolean(), async ({ schema, rows }, isSmall) => {
        const { bytes } = write(schema, [rows], isSmall ? smallPages : parquetOptions);
        const fields = schema.fields.filter((field) => !hasDecimal(field.type)); // It makes doubles of decimals.
        const read = (await readRawByHyparquet(bytes)).map((row) => plainHyparquet({ type: "struct", fields }, row));
        expect(read).toEqual(plainRows(fields, rows));
      }),
      runs,
    );
  }, 60_000);

  test("DuckDB", async () => {
    await fc.assert(
      fc.asyncProperty(randomTable(40), fc.boolean(), async ({ schema, rows }, isSmall) => {
        const { bytes } = write(schema, [rows, rows], isSmall ? smallPages : parquetOptions);
        const read = await queryByDuckDb(bytes, "SELECT * FROM read_parquet($file)");
        const plain = read.map((row) =>
          Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plainDuckDb(value)])),
        );
        const expected = plainRows(schema.fields, rows);
        expect(plain).toEqual([...expected, ...expected]);
      }),
      runs,
    );
  }, 120_000);

  test("parquet-wasm counts the same rows and nulls", () => {
    fc.assert(
      fc.property(randomTable(30), fc.boolean(), ({ schema, rows }, isSmall) => {
        const table = readByArrow(write(schema, [rows], isSmall ? smallPages : parquetOptions).bytes);
        expect(table.numRows).toBe(rows.length);
        for (const [at, field] of schema.fields.entries()) {
          const nulls = rows.filter((row) => row[field.name] === null).length;
          expect(table.getChildAt(at)?.nullCount).toBe(nulls);
        }
      }),
      runs,
    );
  });
});

const nested = schemaOf([
  { id: 1, name: "id", required: true, type: "long" },
  {
    id: 2,
    name: "items",
    required: false,
    type: {
      type: "list",
      "element-id": 3,
      "element-required": false,
      element: { type: "struct", fields: [{ id: 4, name: "sku", required: false, type: "string" }] },
    },
  },
  {
    id: 5,
    name: "attributes",
    required: false,
    type: { type: "map", "key-id": 6, key: "string", "value-id": 7, "value-required": false, value: "double" },
  },
]);
const nestedRow: TestRow = { id: 1n, items: [{ sku: "a" }], attributes: [["k", 1]] };

function elements(bytes: Uint8Array): readonly (readonly [string, number | undefined, string | undefined])[] {
  return readFooter(bytes).schema.map((each) => [each.name, each.field_id, each.repetition_type]);
}

test("A1 A2 every column has its field id, the repeated groups of 3-level lists and maps have none", () => {
  expect(elements(write(nested, [[nestedRow]]).bytes)).toEqual([
    ["table", undefined, undefined],
    ["id", 1, "REQUIRED"],
    ["items", 2, "OPTIONAL"],
    ["list", undefined, "REPEATED"],
    ["element", 3, "OPTIONAL"],
    ["sku", 4, "OPTIONAL"],
    ["attributes", 5, "OPTIONAL"],
    ["key_value", undefined, "REPEATED"],
    ["key", 6, "REQUIRED"],
    ["value", 7, "OPTIONAL"],
  ]);
});

test("A4 A5 A6 physical types and annotations", () => {
  const types = [
    ["decimal(9, 2)", "INT32", { type: "DECIMAL", precision: 9, scale: 2 }],
    ["decimal(18, 2)", "INT64", { type: "DECIMAL", precision: 18, scale: 2 }],
    ["decimal(19, 2)", "FIXED_LEN_BYTE_ARRAY", { type: "DECIMAL", precision: 19, scale: 2 }],
    ["timestamp", "INT64", { type: "TIMESTAMP", isAdjustedToUTC: false, unit: "MICROS" }],
    ["timestamptz", "INT64", { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MICROS" }],
    ["timestamp_ns", "INT64", { type: "TIMESTAMP", isAdjustedToUTC: false, unit: "NANOS" }],
    ["timestamptz_ns", "INT64", { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "NANOS" }],
    ["time", "INT64", { type: "TIME", isAdjustedToUTC: false, unit: "MICROS" }],
    ["date", "INT32", { type: "DATE" }],
    ["uuid", "FIXED_LEN_BYTE_ARRAY", { type: "UUID" }],
    ["string", "BYTE_ARRAY", { type: "STRING" }],
    ["binary", "BYTE_ARRAY", undefined],
  ] as const;
  const schema = schemaOf(types.map(([type], at) => ({ id: at + 1, name: `c${at}`, required: false, type })));
  const footer = readFooter(write(schema, [[Object.fromEntries(types.map((_, at) => [`c${at}`, null]))]]).bytes);
  types.forEach(([, physical, logical], at) => {
    expect(footer.schema[at + 1]?.type).toBe(physical);
    if (logical === undefined) expect(footer.schema[at + 1]?.logical_type).toBeUndefined();
    else expect(footer.schema[at + 1]?.logical_type).toMatchObject(logical);
  });
  expect(footer.schema[3]?.type_length).toBe(9);
  expect(footer.schema[10]?.type_length).toBe(16);
});

test("A10 split offsets, file size and record count are exact", () => {
  const { bytes, description } = write(nested, [[nestedRow], [nestedRow, nestedRow], [nestedRow]]);
  const footer = readFooter(bytes);
  expect(description.bytes).toBe(bytes.length);
  expect(description.recordCount).toBe(4);
  expect(description.splitOffsets).toEqual(
    footer.row_groups.map((group) => {
      const first = group.columns[0]?.meta_data;
      return Number(first?.dictionary_page_offset ?? first?.data_page_offset);
    }),
  );
});

test("A11 a file without rows is never made", () => {
  expect(() => new ParquetWriter(nested, parquetOptions).finish()).toThrow("a file has rows");
  expect(() => new ParquetWriter(nested, parquetOptions).rowGroup(new Columns(nested))).toThrow("a row group has rows");
});

const flat = schemaOf([{ id: 1, name: "s", required: false, type: "string" }]);

test("A12 pages are V1, bounded by rows and bytes, zstd, and dictionaries by bytes", () => {
  const rows = Array.from({ length: 45_000 }, (_, at) => ({ s: `value ${at % 10}` }));
  const chunk = readFooter(write(flat, [rows]).bytes).row_groups[0]?.columns[0]?.meta_data;
  expect(chunk?.codec).toBe("ZSTD");
  expect(chunk?.encodings).toEqual(["PLAIN", "RLE", "RLE_DICTIONARY"]);
  expect(chunk?.encoding_stats).toEqual([
    { page_type: "DICTIONARY_PAGE", encoding: "PLAIN", count: 1 },
    { page_type: "DATA_PAGE", encoding: "RLE_DICTIONARY", count: 3 },
  ]);
  const wide = Array.from({ length: 40 }, (_, at) => ({ s: `${at}`.padStart(100_000, "x") }));
  const plain = readFooter(write(flat, [wide]).bytes).row_groups[0]?.columns[0]?.meta_data;
  expect(plain?.encoding_stats).toEqual([{ page_type: "DATA_PAGE", encoding: "PLAIN", count: 4 }]);
});

describe("B column metrics", () => {
  const schema = schemaOf([
    { id: 1, name: "i", required: false, type: "int" },
    { id: 2, name: "d", required: false, type: "double" },
    { id: 3, name: "s", required: false, type: "string" },
    { id: 4, name: "m", required: false, type: "decimal(20, 2)" },
    {
      id: 5,
      name: "l",
      required: false,
      type: { type: "list", "element-id": 6, "element-required": false, element: "int" },
    },
    {
      id: 7,
      name: "g",
      required: false,
      type: { type: "struct", fields: [{ id: 8, name: "x", required: false, type: "long" }] },
    },
  ]);
  const row = (values: TestRow): TestRow => ({ i: null, d: null, s: null, m: null, l: null, g: null, ...values });
  const low = new Uint8Array(9).fill(255); // -1 in nine bytes.
  const high = new Uint8Array(9);
  high[8] = 7;
  const { description, bytes } = write(schema, [
    [row({ i: 5, d: Number.NaN, s: "m", m: low, l: [1, null], g: { x: 9n } }), row({ d: 0, g: { x: null } })],
    [row({ i: -3, d: -0, s: "b".repeat(40), m: high, g: { x: -(2n ** 40n) } })],
  ]);

  test("B1 B6 counts are keyed by field id, and count nulls and NaN", () => {
    expect(Object.fromEntries(description.valueCounts)).toEqual({ 1: 3, 2: 3, 3: 3, 4: 3, 8: 3 });
    expect(Object.fromEntries(description.nullValueCounts)).toEqual({ 1: 1, 2: 0, 3: 1, 4: 1, 8: 1 });
    expect(Object.fromEntries(description.nanValueCounts)).toEqual({ 2: 1 });
  });
  test("B2 B3 bounds over all row groups", () => {
    const bound = (id: number, type: Parameters<typeof deserializeValue>[0]) => [
      deserializeValue(type, description.lowerBounds.get(id) as Uint8Array),
      deserializeValue(type, description.upperBounds.get(id) as Uint8Array),
    ];
    expect(bound(1, "int")).toEqual([-3, 5]);
    expect(bound(3, "string")).toEqual(["b".repeat(16), "m"]);
    expect(bound(4, "decimal(20, 2)")).toEqual([-1n, 7n]);
    expect(description.lowerBounds.get(4)).toHaveLength(1);
    expect(bound(8, "long")).toEqual([-(2n ** 40n), 9n]);
  });
  test("B5 NaN is outside of bounds, and zero is -0 below and +0 above", () => {
    expect(deserializeValue("double", description.lowerBounds.get(2) as Uint8Array)).toBe(-0);
    expect(deserializeValue("double", description.upperBounds.get(2) as Uint8Array)).toBe(0);
    const nans = write(schema, [[row({ d: Number.NaN })]]).description;
    expect(nans.lowerBounds.has(2)).toBe(false);
    expect(nans.nanValueCounts.get(2)).toBe(1);
  });
  test("B7 nothing inside a list has metrics, but its size is told", () => {
    expect(description.valueCounts.has(6)).toBe(false);
    expect(description.lowerBounds.has(6)).toBe(false);
    expect(description.columnSizes.get(6)).toBeGreaterThan(0);
  });
  test("B1 only the first columns have metrics", () => {
    const few = write(schema, [[row({ i: 1, d: 1 })]], { ...parquetOptions, metricsColumnsMax: 1 }).description;
    expect([...few.columnSizes.keys()]).toEqual([1]);
    expect([...few.lowerBounds.keys()]).toEqual([1]);
  });
  test("column sizes add up to the row groups", () => {
    const total = readFooter(bytes).row_groups.reduce((sum, group) => sum + Number(group.total_compressed_size), 0);
    expect([...description.columnSizes.values()].reduce((sum, size) => sum + size, 0)).toBe(total);
  });
});

test("B9 bounds hold every value, for any column", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary", maxLength: 40 }), { minLength: 1 }), (texts) => {
      const { description } = write(flat, [texts.map((s) => ({ s: s.toWellFormed() }))]);
      for (const text of texts) {
        const utf8 = Buffer.from(text.toWellFormed());
        const upper = description.upperBounds.get(1);
        expect(Buffer.compare(description.lowerBounds.get(1) as Uint8Array, utf8)).toBeLessThanOrEqual(0);
        if (upper !== undefined) expect(Buffer.compare(upper, utf8)).toBeGreaterThanOrEqual(0);
      }
    }),
  );
});

test("B3 without a short value above it, a column has a lower bound, and no statistics of which readers would make two", () => {
  const { bytes, description } = write(flat, [[{ s: "a" }, { s: "\u{10ffff}".repeat(17) }]]);
  expect([description.lowerBounds.has(1), description.upperBounds.has(1)]).toEqual([true, false]);
  const statistics = readFooter(bytes).row_groups[0]?.columns[0]?.meta_data?.statistics;
  expect(statistics).toMatchObject({ null_count: 0n });
  expect([statistics?.min_value, statistics?.max_value]).toEqual([undefined, undefined]);
});

test("DuckDB filters by the footer's statistics without losing a row", async () => {
  const schema = schemaOf([{ id: 1, name: "n", required: false, type: "decimal(30, 3)" }]);
  const groups = [1n, -5n, 10n ** 20n].map((unscaled) => {
    const bytes = new Uint8Array(13);
    let rest = BigInt.asUintN(104, unscaled);
    for (let at = 12; at >= 0; at -= 1, rest >>= 8n) bytes[at] = Number(rest & 0xffn);
    return [{ n: bytes }];
  });
  const { bytes } = write(schema, groups);
  const rows = await queryByDuckDb(bytes, "SELECT count(*) AS c FROM read_parquet($file) WHERE n < 0");
  expect(rows).toEqual([{ c: 1n }]);
});
