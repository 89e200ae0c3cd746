/** Proves: what our writer wrote is read back into columns value for value and level for level, whatever its types. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../../src/base/errors.ts";
import type { NestedField, Schema } from "../../../src/table/iceberg/types.ts";
import { Columns } from "../../../src/table/parquet/columns.ts";
import { ParquetWriter } from "../../../src/table/parquet/parquet.ts";
import { ParquetReader, UnfitFile } from "../../../src/table/parquet/parquet-reader.ts";
import type { Leaf } from "../../../src/table/translate/leaf.ts";
import { randomTable } from "../parquet-arbitrary.ts";
import { putRow, type Value } from "../rows.ts";
import { parquetOptions } from "../translate-fixtures.ts";

type Row = { readonly [name: string]: Value };

const small = { ...parquetOptions, pageBytesMax: 200, pageRowsMax: 3 };

function columnsOf(schema: Schema, rows: readonly Row[]): Columns {
  const columns = new Columns(schema);
  for (const row of rows) putRow(columns, row);
  return columns;
}

function fileOf(schema: Schema, rows: readonly Row[], options = small): Uint8Array {
  const writer = new ParquetWriter(schema, options);
  // Two row groups, so that columns are continued.
  const half = Math.ceil(rows.length / 2);
  for (const part of [rows.slice(0, half), rows.slice(half)]) {
    if (part.length > 0) writer.rowGroup(columnsOf(schema, part));
  }
  return writer.finish().bytes;
}

function readBack(schema: Schema, bytes: Uint8Array): Columns {
  const reader = new ParquetReader(bytes, "test.parquet");
  const columns = new Columns(schema);
  for (let group = 0; group < reader.rowGroups; group += 1) reader.readInto(columns, group);
  return columns;
}

/** Everything that a leaf holds, as bytes. */
function contentOf(leaf: Leaf): object {
  const levels = { defs: leaf.defs.slice(0, leaf.slots), reps: leaf.reps.slice(0, leaf.maxRep > 0 ? leaf.slots : 0) };
  const { count } = leaf;
  switch (leaf.kind) {
    case "boolean":
    case "int32":
      return { ...levels, values: leaf.values.slice(0, count) };
    case "int64":
      return { ...levels, values: leaf.words.slice(0, count * 2) };
    case "float":
      return { ...levels, values: leaf.bits.slice(0, count) };
    case "double":
      return { ...levels, values: leaf.bits.slice(0, count * 2) };
    case "bytes": {
      const values = Array.from({ length: count }, (_, at) => Buffer.from(leaf.at(at)).toString("hex"));
      return { ...levels, values };
    }
    case "fixed":
      return { ...levels, values: leaf.data.slice(0, count * leaf.width) };
  }
}

const contents = (columns: Columns): readonly object[] => columns.leaves.map(contentOf);

test("random tables of every type come back as they were", () => {
  fc.assert(
    fc.property(randomTable(30), ({ schema, rows }) => {
      expect(contents(readBack(schema, fileOf(schema, rows)))).toEqual(contents(columnsOf(schema, rows)));
    }),
    { numRuns: 300 },
  );
});

function schemaOf(...fields: readonly NestedField[]): Schema {
  return { type: "struct", "schema-id": 0, fields };
}

describe("values that arithmetic would lose", () => {
  test("NaN payloads, -0.0 and the ends of 64 bits keep their bits, behind a dictionary too", () => {
    const schema = schemaOf(
      { id: 1, name: "f", required: true, type: "float" },
      { id: 2, name: "d", required: true, type: "double" },
      { id: 3, name: "l", required: true, type: "long" },
      { id: 4, name: "x", required: true, type: "decimal(38, 3)" },
    );
    const columns = new Columns(schema);
    const floats = [0x7f800001, 0x7fc12345, -0x80000000, 0x00000001, -0x3ffff];
    for (let row = 0; row < 40; row += 1) {
      const [f, d, l, x] = columns.leaves;
      if (f?.kind !== "float" || d?.kind !== "double" || l?.kind !== "int64" || x?.kind !== "fixed") throw new Error();
      f.putBits(0, floats[row % floats.length] as number);
      d.putBits(0, row % 3, [0x7ff00000, 0x7ff80001, -0x80000000][row % 3] as number);
      l.putBigInt(0, row % 2 === 0 ? 2n ** 63n - 1n : -(2n ** 63n));
      x.put(
        0,
        Uint8Array.from({ length: 16 }, (_, at) => (row % 2 === 0 && at > 0 ? 0xff : at)),
        0,
      );
      columns.endRow();
    }
    const writer = new ParquetWriter(schema, small);
    writer.rowGroup(columns);
    expect(contents(readBack(schema, writer.finish().bytes))).toEqual(contents(columns));
  });
});

describe("a table that has changed since the file was written", () => {
  const before = schemaOf(
    { id: 1, name: "id", required: true, type: "int" },
    { id: 2, name: "ratio", required: false, type: "float" },
    { id: 3, name: "price", required: false, type: "decimal(9, 2)" },
    {
      id: 4,
      name: "items",
      required: false,
      type: {
        type: "list",
        "element-id": 5,
        "element-required": true,
        element: { type: "struct", fields: [{ id: 6, name: "sku", required: true, type: "string" }] },
      },
    },
    { id: 9, name: "dropped", required: false, type: "string" },
  );
  const after = schemaOf(
    { id: 2, name: "share", required: false, type: "double" },
    { id: 1, name: "id", required: false, type: "long" },
    { id: 3, name: "price", required: false, type: "decimal(30, 2)" },
    {
      id: 4,
      name: "items",
      required: false,
      type: {
        type: "list",
        "element-id": 5,
        "element-required": false,
        element: {
          type: "struct",
          fields: [
            { id: 7, name: "count", required: false, type: "int" },
            { id: 6, name: "sku", required: false, type: "string" },
          ],
        },
      },
    },
    { id: 8, name: "note", required: false, type: "string" },
  );
  const rows: readonly Row[] = [
    { id: 1, ratio: 0.5, price: 123n, items: [{ sku: "a" }, { sku: "b" }], dropped: "x" },
    { id: -2, ratio: null, price: null, items: [], dropped: null },
    { id: 3, ratio: 1.25, price: -99n, items: null, dropped: "y" },
  ];

  test("widened, renamed, reordered, optional, added and dropped columns", () => {
    const expected = rows.map(({ id, ratio, price, items }) => ({
      id: BigInt(id as number),
      share: ratio as Value,
      price: price as Value,
      items: items === null ? null : (items as readonly Row[]).map(({ sku }) => ({ sku: sku as Value, count: null })),
      note: null,
    }));
    expect(contents(readBack(after, fileOf(before, rows)))).toEqual(contents(columnsOf(after, expected)));
  });

  test("a column that must have a value and is not in the file is refused", () => {
    const demanding = schemaOf(...before.fields, { id: 10, name: "new", required: true, type: "int" });
    expect(() => readBack(demanding, fileOf(before, rows))).toThrow(UnfitFile);
  });

  test("a type that cannot become the table's is refused", () => {
    const other = schemaOf({ id: 1, name: "id", required: true, type: "string" });
    expect(() => readBack(other, fileOf(before, rows))).toThrow(UnfitFile);
  });
});

describe("damage", () => {
  const schema = schemaOf({ id: 1, name: "s", required: false, type: "string" });
  const rows = Array.from({ length: 200 }, (_, at) => ({ s: `value ${at % 7} of ${at}` }));

  test("a wrong byte in any page is found by its checksum", () => {
    const bytes = fileOf(schema, rows);
    const reader = new ParquetReader(bytes, "test.parquet");
    expect(reader.rows).toBe(200);
    const damaged = bytes.slice();
    damaged[60] = (damaged[60] as number) ^ 0x10;
    expect(() => readBack(schema, damaged)).toThrow(CorruptData);
  });

  test("arbitrary damage throws CorruptData or UnfitFile and nothing else", () => {
    const bytes = fileOf(schema, rows);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = bytes.slice();
        damaged[at] = (damaged[at] as number) ^ flip;
        try {
          readBack(schema, damaged);
        } catch (error) {
          if (!(error instanceof CorruptData) && !(error instanceof UnfitFile)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});
