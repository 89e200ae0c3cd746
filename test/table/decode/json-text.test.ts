/** Proves: every integer that a double cannot hold stays as it is written, wherever it stands, and nothing else does (rule M12). */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BadRecord } from "../../../src/table/decode/bad-record.ts";
import { unscaledOf } from "../../../src/table/decode/decimal-text.ts";
import { isRawNumber, parseJson } from "../../../src/table/decode/json-text.ts";

const integer = fc.oneof(
  fc.bigInt({ min: -(10n ** 21n), max: 10n ** 21n }).map(String),
  fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }).map(String),
  fc.constantFrom("8999999999999999", "9000000000000000", "9007199254740991", "9999999999999999", "10000000000000000"),
);
const exponent = fc
  .tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom("e", "E", "e+", "e-"), fc.constantFrom(5, 307, 400))
  .map((parts) => parts.join(""));
const wrapped = fc.constantFrom(
  (text: string) => text,
  (text: string) => ` ${text}\n`,
  (text: string) => `[${text}]`,
  (text: string) => `{"a1e999":"1e999","b":${text}}`,
);

test("M12 numbers that doubles cannot hold stay as they are written", () => {
  fc.assert(
    fc.property(fc.oneof(integer, exponent), wrapped, (text, wrap) => {
      const found: unknown = JSON.parse(
        JSON.stringify(parseJson(wrap(text)), (_key, value) => (isRawNumber(value) ? { raw: value.rawJSON } : value)),
      );
      const value = Number(text);
      const isHeld = Number.isSafeInteger(value) || (Number.isFinite(value) && /e/i.test(text));
      const expected = JSON.parse(wrap(isHeld ? text : JSON.stringify({ raw: text })));
      expect(found).toEqual(expected);
    }),
    { numRuns: 2000 },
  );
});

test("a number of a million digits takes no longer than reading it", () => {
  const long = `1${"0".repeat(1_000_000)}1`;
  const started = performance.now();
  expect(JSON.stringify(parseJson(`[0.${long}]`, "all"))).toBe(`[0.${long}]`);
  for (const text of [long, `0.${long}`, `${"0".repeat(1_000_000)}1${long}`]) {
    expect(() => unscaledOf(text, { precision: 38, scale: 2 })).toThrow(BadRecord);
  }
  expect(performance.now() - started).toBeLessThan(10_000);
});
