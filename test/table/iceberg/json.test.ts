/** Proves: integers keep their digits, and nothing else is read otherwise than JSON.parse reads it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../../src/base/errors.ts";
import { type Json, parseJson, renderJson } from "../../../src/table/iceberg/json.ts";

type ParseWithSource = (
  text: string,
  revive: (name: string, value: unknown, context: { source?: string }) => unknown,
) => Json;

/** As slow as it is plain. */
function reference(text: string): Json {
  return (JSON.parse as ParseWithSource)(text, (_name, value, { source = "" }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? BigInt(source) : value,
  );
}

function outcome(parse: (text: string) => Json, text: string): unknown {
  try {
    return { value: parse(text) };
  } catch (cause) {
    if (cause instanceof CorruptData || cause instanceof SyntaxError) return "refused";
    throw cause;
  }
}

function expectAsReference(text: string): void {
  expect(
    outcome((each) => parseJson(each, "test"), text),
    text,
  ).toEqual(outcome(reference, text));
}

test.each([
  ["0", 0],
  ["9007199254740991", 9007199254740991],
  ["9007199254740992", 9007199254740992n],
  ["-9007199254740993", -9007199254740993n],
  ["[8744736658442914487]", [8744736658442914487n]],
  [
    '{"a":{"b":[1,9223372036854775807]},"9223372036854775807":"9223372036854775807"}',
    {
      a: { b: [1, 9223372036854775807n] },
      "9223372036854775807": "9223372036854775807",
    },
  ],
  ["12345678901234567.5", 12345678901234568],
  ["1e30", 1e30],
  ["-1234567890123456e2", -1234567890123456e2],
  ['"a\\\\"', "a\\"],
  ['["a\\":1234567890123456789",1234567890123456789]', ['a":1234567890123456789', 1234567890123456789n]],
  [
    '{"__proto__":1234567890123456789}',
    JSON.parse('{"__proto__":0}', (_, value) => (value === 0 ? 1234567890123456789n : value)),
  ],
  ['["\\u00001234567890123456789",1234567890123456789]', ["\u00001234567890123456789", 1234567890123456789n]],
])("%s", (text, value) => {
  expect(parseJson(text, "test")).toEqual(value);
});

test.each([
  "01234567890123456789",
  "--1234567890123456789",
  "1234567890123456789 1",
  '"1234567890123456789',
  "[1234567890123456789",
  "+1234567890123456789",
  "1234567890123456789.",
  "{1234567890123456789:1}",
  '{"a":1}1234567890123456789',
])("%s is refused", (text) => {
  expect(() => parseJson(text, "test")).toThrow(CorruptData);
});

describe("as JSON.parse with each integer's text", () => {
  const integers = fc.oneof(fc.bigInt(), fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }), fc.maxSafeInteger());
  const texts = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom('"', "\\", "0", "7", ":", ",", "\u0000", "e", "-") }),
  );
  const values = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      integers,
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      texts,
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("value")),
      fc.dictionary(texts, tie("value")),
    ),
  })).value;

  test("of any value", () => {
    fc.assert(
      fc.property(values, (value) => expectAsReference(renderJson(value))),
      { numRuns: 2000 },
    );
  });

  test("of texts that are damaged", () => {
    const edits = fc.array(
      fc.tuple(fc.nat(), fc.constantFrom("", '"', "\\", "1", "0", "-", ".", "e", ",", "[", "}", " ")),
      { maxLength: 3 },
    );
    const damaged = fc.tuple(values, edits).map(([value, each]) =>
      each.reduce((text, [at, put]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + put + text.slice(place + 1);
      }, renderJson(value)),
    );
    fc.assert(fc.property(damaged, expectAsReference), { numRuns: 4000 });
  });
});
