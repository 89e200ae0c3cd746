/** Proves rules B2-B5 and B8: serialized values and cut bounds keep their order, exactly. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { deserializeValue, lowerBound, serializeValue, upperBound } from "../../../src/table/iceberg/bounds.ts";
import type { PrimitiveType, PrimitiveValue } from "../../../src/table/iceberg/types.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("B2 Appendix D serialization", () => {
  const vectors: readonly (readonly [PrimitiveType, PrimitiveValue, string])[] = [
    ["boolean", true, "01"],
    ["boolean", false, "00"],
    ["int", 34, "22000000"],
    ["int", -1, "ffffffff"],
    ["date", 1, "01000000"],
    ["long", 34n, "2200000000000000"],
    ["timestamptz", -1n, "ffffffffffffffff"],
    ["float", 1.5, "0000c03f"],
    ["double", -0, "0000000000000080"],
    ["string", "é", "c3a9"],
    ["binary", hex("00ff"), "00ff"],
    ["uuid", hex("f79c3e09677c4bbda4793f349cb785e7"), "f79c3e09677c4bbda4793f349cb785e7"],
    ["decimal(9, 2)", 1420n, "058c"],
    ["decimal(9, 2)", 0n, "00"],
    ["decimal(9, 2)", -1n, "ff"],
    ["decimal(9, 2)", 128n, "0080"],
    ["decimal(38, 0)", -(10n ** 38n - 1n), toHex(serializeValue("decimal(38, 0)", -(10n ** 38n - 1n)))],
  ];
  test.each(vectors)("%s %s", (type, value, bytes) => {
    expect(toHex(serializeValue(type, value))).toBe(bytes);
    expect(deserializeValue(type, hex(bytes))).toEqual(value);
  });
  test("decimals take the fewest bytes and come back", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }), (value) => {
        const bytes = serializeValue("decimal(38, 0)", value);
        expect(deserializeValue("decimal(38, 0)", bytes)).toBe(value);
        const shorter = bytes.subarray(1);
        if (shorter.length > 0) expect(deserializeValue("decimal(38, 0)", shorter)).not.toBe(value);
      }),
    );
  });
});

test("B8 a bound written before a promotion is read at its old width", () => {
  expect(deserializeValue("long", serializeValue("int", -5))).toBe(-5n);
  expect(deserializeValue("double", serializeValue("float", 1.5))).toBe(1.5);
});

describe("B3 string bounds", () => {
  test("cut by code points, never inside one", () => {
    expect(new TextDecoder().decode(lowerBound("string", utf8(`${"a".repeat(15)}😀tail`)))).toBe(`${"a".repeat(15)}😀`);
    expect(lowerBound("string", utf8("short"))).toEqual(utf8("short"));
  });
  test("the upper bound counts the last code point up, and skips the surrogates", () => {
    expect(upperBound("string", utf8("b".repeat(16)))).toEqual(utf8("b".repeat(16)));
    expect(upperBound("string", utf8("b".repeat(17)))).toEqual(utf8(`${"b".repeat(15)}c`));
    expect(upperBound("string", utf8(`${"b".repeat(15)}\ud7ffx`))).toEqual(utf8(`${"b".repeat(15)}\ue000`));
    expect(upperBound("string", utf8(`${"b".repeat(15)}\u{10ffff}x`))).toEqual(utf8(`${"b".repeat(14)}c`));
  });
  test("a byte order mark is a character of the value", () => {
    const marked = utf8(`\ufeff${"b".repeat(16)}`);
    expect(upperBound("string", marked)).toEqual(utf8(`\ufeff${"b".repeat(14)}c`));
    expect(deserializeValue("string", marked)).toBe(`\ufeff${"b".repeat(16)}`);
  });
  test("no bound is above a string of the greatest code point", () => {
    expect(upperBound("string", utf8("\u{10ffff}".repeat(17)))).toBeUndefined();
    expect(upperBound("string", utf8("\u{10ffff}".repeat(16)))).toEqual(utf8("\u{10ffff}".repeat(16)));
  });
  test("always valid UTF-8 of at most 16 code points, around the value", () => {
    const text = fc.string({ unit: "binary", minLength: 0, maxLength: 40 });
    fc.assert(
      fc.property(text, (value) => {
        const bytes = utf8(value);
        const low = lowerBound("string", bytes);
        const high = upperBound("string", bytes);
        expect(Buffer.compare(low, bytes)).toBeLessThanOrEqual(0);
        const decoder = new TextDecoder("utf-8", { fatal: true });
        expect(Array.from(decoder.decode(low)).length).toBeLessThanOrEqual(16);
        if (high === undefined) return;
        expect(Buffer.compare(high, bytes)).toBeGreaterThanOrEqual(0);
        expect(Array.from(decoder.decode(high)).length).toBeLessThanOrEqual(16);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("B4 binary bounds", () => {
  test("the upper bound carries over 0xff, and is left out when all are", () => {
    expect(upperBound("binary", hex(`${"00".repeat(15)}ff01`))).toEqual(hex(`${"00".repeat(14)}01`));
    expect(upperBound("binary", hex("ff".repeat(17)))).toBeUndefined();
    expect(upperBound("binary", hex("ff".repeat(16)))).toEqual(hex("ff".repeat(16)));
  });
  test("around the value", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(Buffer.compare(lowerBound("binary", bytes), bytes)).toBeLessThanOrEqual(0);
        const high = upperBound("binary", bytes);
        if (high !== undefined) expect(Buffer.compare(high, bytes)).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 1000 },
    );
  });
});
