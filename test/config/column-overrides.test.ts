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
  expect(refusal("        _kafka_key: { type: string }", key)).toMatch(/inlet.yaml:7:\d+.*_kafka_key is the whole key/);
  const upsert = `${key}    mode: { write: upsert }\n`;
  expect(refusal("        _kafka_key.id: { exclude: true }", upsert)).toMatch(/_kafka_key.id identifies rows/);
});

test("a column that identifies rows, or says what becomes of them, stays", () => {
  const upsert = "    mode: { write: upsert, key: [id], tombstone: ignore }\n";
  expect(refusal("        id: { exclude: true }", upsert)).toMatch(/id identifies rows/);
  const cdc = "    mode: { write: cdc, envelope: op-field, tombstone: ignore, key: [id] }\n";
  expect(refusal("        op: { type: long }", cdc)).toMatch(/op says what becomes of its row/);
});
