/** Proves: what cannot be meant of a column is refused where it stands, with a way out. */
import { expect, test } from "vitest";
import { ConfigRefused } from "../../src/config/problem.ts";
import { configOf } from "../support/config.ts";

function refusal(overrides: string, more = ""): string {
  const text = `topics:\n  t:\n    value: { decode: json }\n${more}    columns:\n      overrides:\n${overrides}\n`;
  try {
    configOf(text);
  } catch (cause) {
    if (cause instanceof ConfigRefused) return cause.message;
    throw cause;
  }
  return "";
}

test("types are those of Iceberg, spelled freely", () => {
  const { tables } = configOf(
    "topics: { t: { columns: { overrides: { a: { type: 'decimal(18,4)' }, b.c: { type: uuid, comment: x }, d: { exclude: true } } } } }",
  );
  expect(tables[0]?.overrides).toEqual({
    a: { type: "decimal(18, 4)" },
    "b.c": { type: "uuid", comment: "x" },
    d: { isExcluded: true },
  });
});

test.each([
  ["        a: { type: varchar }", /inlet.yaml:6:\d+.*type must be one of boolean, int/],
  ["        a: { type: 'decimal(39, 1)' }", /inlet.yaml:6:\d+.*must be a decimal of 1 to 38 digits/],
  ["        a: {}", /inlet.yaml:6:\d+.*nothing is said of a/],
  ["        a: { exclude: true, type: long }", /inlet.yaml:6:\d+.*no column that the rest could be said of/],
  ["        a: { name: x }\n        b: { name: X }", /inlet.yaml:7:\d+.*a has the name X already/],
  ["        a: { colour: red }", /inlet.yaml:6:\d+.*unknown key "colour"/],
])("%s is refused with its line and column", (overrides, expected) => {
  expect(refusal(overrides)).toMatch(expected);
});

test("a key's fields are said after the name of its column, where keys have fields", () => {
  const key = "    key: { decode: json }\n";
  expect(refusal("        _kafka_key.id: { type: string }", key)).toBe("");
  expect(refusal("        _kafka_key.id: { type: string }")).toMatch(/inlet.yaml:6:\d+.*key.decode: raw has no fields/);
  const upsert = `${key}    mode: { write: upsert }\n`;
  expect(refusal("        _kafka_key.id: { exclude: true }", upsert)).toMatch(/_kafka_key.id identifies rows/);
});

test("a key that is one value is said by the name of its column alone", () => {
  const json = "    key: { decode: json }\n";
  expect(refusal("        _kafka_key: { type: uuid, name: id }", json)).toBe("");
  expect(refusal("        _kafka_key: { type: long }", "    key: { decode: string }\n")).toBe("");
  expect(refusal("        _kafka_key: { name: id }")).toBe("");
  expect(refusal("        _kafka_key: { type: long }")).toMatch(/key.decode: raw is bytes.*say key.decode: string/s);
  expect(refusal("        _kafka_key: { exclude: true }", json)).toMatch(/leave key out of columns.metadata.include/);
  expect(refusal("        _kafka_key: { type: string }\n        _kafka_key.id: { name: id }", json)).toMatch(
    /inlet.yaml:8:\d+.*_kafka_key has a type of its own: its fields have no columns/,
  );
  const noText = "    key: { decode: string }\n";
  expect(refusal("        _kafka_key.id: { name: id }", noText)).toMatch(/has no fields.*say it of _kafka_key/s);
});

test("a key without a column of its own may have a type, for what it says of rows", () => {
  const upsert = "    mode: { write: upsert, key: [id] }\n    key: { decode: string }\n";
  const left = (more: string) =>
    refusal(`        _kafka_key: { ${more} }\n      metadata: { include: [offset] }`, upsert);
  expect(left("type: long")).toBe("");
  expect(left("name: id")).toMatch(/the table has no columns of keys/);
});

test("columns of floating-point numbers identify no rows", () => {
  const keyed = "    key: { decode: json }\n    mode: { write: upsert }\n";
  expect(refusal("        _kafka_key: { type: double }", keyed)).toMatch(/_kafka_key identifies rows, and a double/);
  const upsert = "    mode: { write: upsert, key: [id], tombstone: ignore }\n";
  expect(refusal("        id: { type: float }", upsert)).toMatch(/id identifies rows, and a float/);
});

test("a column that identifies rows, or says what becomes of them, stays", () => {
  const upsert = "    mode: { write: upsert, key: [id], tombstone: ignore }\n";
  expect(refusal("        id: { exclude: true }", upsert)).toMatch(/id identifies rows/);
  const cdc = "    mode: { write: cdc, envelope: op-field, tombstone: ignore, key: [id] }\n";
  expect(refusal("        op: { type: long }", cdc)).toMatch(/op says what becomes of its row/);
});
