/** Proves: a digest is of the rows alone, not of their order or their files; evolution leaves it alone, any change does not. */
import { expect, test } from "vitest";
import type { IcebergType, NestedField, Schema } from "../../../src/table/iceberg/types.ts";
import { Columns } from "../../../src/table/parquet/columns.ts";
import { addDigests, type Digests, digestRows } from "../../../src/table/tools/digest.ts";
import { putRow, type Value } from "../rows.ts";

const place = { partition: 1, offset: 2 };
type Row = { readonly [name: string]: Value };

function schemaOf(...fields: readonly NestedField[]): Schema {
  const own: readonly NestedField[] = [
    { id: 1, name: "p", required: true, type: "int" },
    { id: 2, name: "o", required: true, type: "long" },
  ];
  return { type: "struct", "schema-id": 0, fields: [...own, ...fields] };
}

function field(id: number, type: IcebergType, name = "c"): NestedField {
  return { id, name, required: false, type };
}

function digestOf(schema: Schema, rows: readonly Row[], from = 0): Digests {
  const columns = new Columns(schema);
  let mark = columns.mark();
  rows.forEach((row, at) => {
    if (at === from) mark = columns.mark();
    putRow(columns, { p: 0, o: BigInt(at), ...row });
  });
  return digestRows(columns, mark, place);
}

const one = (type: IcebergType, value: Value): string => shown(digestOf(schemaOf(field(3, type)), [{ c: value }]));
const shown = (digests: Digests): string => JSON.stringify([...digests].sort(([a], [b]) => a - b));

const strings: IcebergType = { type: "list", "element-id": 4, "element-required": false, element: "string" };

test("rows have one digest in any order, and in any split into files", () => {
  const schema = schemaOf(field(3, "string"), field(5, strings, "l"));
  const rows: readonly Row[] = Array.from({ length: 50 }, (_, at) => ({
    o: BigInt(at),
    c: at % 3 === 0 ? null : `value ${at}`,
    l: at % 4 === 0 ? null : Array.from({ length: at % 5 }, (_each, item) => (item === 2 ? null : `${item}`)),
  }));
  const whole = digestOf(schema, rows);
  expect(shown(digestOf(schema, [...rows].reverse()))).toBe(shown(whole));
  const parts = addDigests(digestOf(schema, rows.slice(0, 20)), digestOf(schema, rows, 20));
  expect(shown(parts)).toBe(shown(whole));
});

test("a lost, a doubled, a moved and a changed row each change it", () => {
  const schema = schemaOf(field(3, "long"));
  const rows = [1n, 2n, 3n].map((c, at) => ({ o: BigInt(at), c }));
  const [first, second, third] = rows as unknown as [Row, Row, Row];
  const whole = shown(digestOf(schema, rows));
  const others = [
    [first, second],
    [first, second, third, third],
    [first, second, second],
    [first, second, { ...third, o: 7n }],
    [first, second, { ...third, p: 1 }],
    [first, second, { ...third, c: 4n }],
    [first, second, { ...third, c: null }],
    [{ ...first, c: 2n }, { ...second, c: 1n }, third],
  ];
  const seen = new Set([whole, ...others.map((other) => shown(digestOf(schema, other)))]);
  expect(seen.size).toBe(others.length + 1);
});

test("a column that came later, was renamed or moved, or has got a wider type leaves it alone", () => {
  const before = digestOf(schemaOf(field(3, "int")), [{ c: 7 }]);
  const grown = schemaOf(field(9, strings, "new"), field(3, "long", "renamed"));
  const after = digestOf(grown, [{ renamed: 7n, new: null }]);
  expect(after.get(3)).toEqual(before.get(3));
  expect(after.get(4)).toEqual([0, 0]);
  expect(one("double", 1.5)).toBe(one("float", 1.5));
  expect(one("decimal(9, 2)", -12_345n)).toBe(one("decimal(38, 2)", -12_345n));
  expect(one("decimal(18, 0)", 10n ** 17n)).toBe(one("decimal(38, 0)", 10n ** 17n));
  const struct = (fields: readonly NestedField[]): Schema =>
    schemaOf(
      field(6, { type: "list", "element-id": 7, "element-required": false, element: { type: "struct", fields } }),
    );
  const narrow = digestOf(struct([field(8, "int", "x")]), [{ c: [{ x: 1 }, null] }]);
  const wide = digestOf(struct([field(8, "int", "x"), field(9, "int", "y")]), [{ c: [{ x: 1, y: null }, null] }]);
  expect(wide.get(8)).toEqual(narrow.get(8));
  expect(wide.get(9)).toEqual([0, 0]);
});

test("values that are nearly the same are not the same", () => {
  const lists = [null, [], [null], ["a"], ["a", null], [null, "a"], ["a", "b"], ["b", "a"], ["ab"], ["", "ab"]];
  expect(new Set(lists.map((list) => one(strings, list))).size).toBe(lists.length);
  const texts = ["", "\u0000", "\u0000\u0000", "a", "a\u0000", "abcd", "abcd\u0000", "abcde"];
  expect(new Set([null, ...texts].map((text) => one("string", text))).size).toBe(texts.length + 1);
  const doubles = [0, -0, 1, -1, Number.NaN, Number.POSITIVE_INFINITY, 5e-324];
  expect(new Set(doubles.map((value) => one("double", value))).size).toBe(doubles.length);
  const decimals = [0n, -1n, 1n, 255n, -256n, 2n ** 63n, -(2n ** 63n), 2n ** 64n, 10n ** 37n, -(10n ** 37n)];
  expect(new Set(decimals.map((value) => one("decimal(38, 0)", value))).size).toBe(decimals.length);
});

test("what was kept of rows before still compares: the sums of these rows never change", () => {
  const schema = schemaOf(
    field(3, "string"),
    field(4, "boolean", "b"),
    field(5, "int", "i"),
    field(6, "double", "d"),
    field(7, "decimal(38, 2)", "n"),
    field(8, "uuid", "u"),
    field(9, { type: "list", "element-id": 10, "element-required": false, element: "long" }, "l"),
  );
  const rows: readonly Row[] = Array.from({ length: 40 }, (_, at) => ({
    p: at % 3,
    c: at % 4 === 0 ? null : "x".repeat(at),
    b: at % 2 === 0,
    i: -at * 1_000_003,
    d: at % 5 === 0 ? Number.NaN : at / 7,
    n: BigInt(at) ** 20n * (at % 2 === 0 ? 1n : -1n),
    u: new Uint8Array(16).fill(at),
    l: at % 6 === 0 ? null : Array.from({ length: at % 4 }, (_each, item) => (item === 1 ? null : BigInt(item - at))),
  }));
  expect(shown(digestOf(schema, rows))).toBe(
    "[[2,[3403021075,1588280756]],[3,[1735382004,795650294]],[4,[1990995127,2959430802]],[5,[106620911,2976807572]],[6,[1986441923,2920889288]],[7,[1084768980,1263935746]],[8,[2719881442,2915500023]],[10,[2908463254,3944717547]]]",
  );
});
