/** Proves: Avro texts that mean the same become one text, as Java prints it; texts that are no schemas are refused with the place. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { printAvro } from "../../src/registry/avro-print.ts";
import { InvalidAvro, parseAvro } from "../../src/registry/avro-schema.ts";

function canonical(text: string, references: readonly string[] = [], isNormalized = false): string {
  return printAvro(parseAvro(text, references, { isStrict: true }), { isNormalized });
}

describe("canonical text", () => {
  test.each([
    ['"string"', '"string"'],
    ["string", '"string"'],
    ['{"type":"string"}', '"string"'],
    ['{"type":{"type":"string"}}', '"string"'],
    ['{"logicalType":"date","type":"int"}', '{"type":"int","logicalType":"date"}'],
    [' [ "null" , {"type": "int"} ] ', '["null","int"]'],
    [
      '{"fields":[{"type":"int","name":"a","default":9223372036854775807}],"name":"n.R","type":"record"}'.replace(
        "int",
        "long",
      ),
      '{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":"long","default":9223372036854775807}]}',
    ],
    [
      '{"type":"record","name":"R","namespace":"n","aliases":["Old"],"x":1,"doc":"d","fields":[{"name":"a","type":{"type":"enum","name":"E","namespace":"n","symbols":["A"]},"order":"ignore","doc":"f"},{"name":"b","type":"n.E"}]}',
      '{"type":"record","name":"R","namespace":"n","doc":"d","fields":[{"name":"a","type":{"type":"enum","name":"E","symbols":["A"]},"doc":"f","order":"ignore"},{"name":"b","type":"E"}],"x":1,"aliases":["Old"]}',
    ],
    [
      '{"type":"record","name":"R","fields":[{"name":"a","type":"double","default":1.0}]}',
      '{"type":"record","name":"R","fields":[{"name":"a","type":"double","default":1.0}]}',
    ],
    // Words that say nothing of such a type are nobody's property.
    [
      '{"type":"array","items":{"type":"string","name":"x"},"doc":"d","x":1}',
      '{"type":"array","items":"string","x":1}',
    ],
    // "int" alone would be the primitive.
    [
      '{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":{"type":"fixed","name":"int","size":4}},{"name":"b","type":"n.int"}]}',
      '{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":{"type":"fixed","name":"int","size":4}},{"name":"b","type":"n.int"}]}',
    ],
  ])("%s", (text, expected) => {
    expect(canonical(text)).toBe(expected);
    expect(canonical(expected)).toBe(expected);
  });

  test("a type that is referred to stays a name", () => {
    const address = '{"type":"record","name":"Address","namespace":"n","fields":[]}';
    const user = '{"type":"record","name":"User","namespace":"n","fields":[{"name":"a","type":"Address"}]}';
    expect(canonical(user, [address])).toBe(user);
    expect(() => canonical(user)).toThrow("Undefined schema: n.Address");
  });

  test("normalizing sorts what users add", () => {
    expect(canonical('{"type":"int","z":1,"a":{"y":1,"b":2}}', [], true)).toBe(
      '{"type":"int","a":{"b":2,"y":1},"z":1}',
    );
  });
});

describe("what is no schema", () => {
  test.each([
    ["{", "no JSON"],
    ["17", "must be a name"],
    ["{}", 'has no "type"'],
    ['"date"', "Undefined schema: date"],
    ['{"type":"record","fields":[]}', 'has no "name"'],
    ['{"type":"record","name":"1R","fields":[]}', "is no name"],
    ['{"type":"record","name":"R"}', 'has no "fields"'],
    ['{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}', "there twice"],
    ['{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}', "does not fit"],
    ['{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":1.5}]}', "does not fit"],
    ['{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":2147483648}]}', "does not fit"],
    [
      '{"type":"record","name":"R","fields":[{"name":"a","type":"long","default":9223372036854775808}]}',
      "does not fit",
    ],
    [
      '{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"fixed","name":"R","size":1}}]}',
      "defined twice",
    ],
    ['{"type":"enum","name":"E","symbols":["A","A"]}', "there twice"],
    ['{"type":"enum","name":"E","symbols":["A"],"default":"B"}', "is no symbol"],
    ['{"type":"fixed","name":"F","size":-1}', "whole number"],
    ['["int","int"]', "twice in the union"],
    ['["int",["null"]]', "cannot hold a union"],
    ['{"type":"array"}', 'has no "items"'],
  ])("%s", (text, message) => {
    expect(() => parseAvro(text, [], { isStrict: true })).toThrow(InvalidAvro);
    expect(() => parseAvro(text, [], { isStrict: true })).toThrow(message);
  });

  test.each([150, 300, 5000, 200_000])("arrays of arrays, %i deep", (depth) => {
    const text = `${'{"type":"array","items":'.repeat(depth)}"int"${"}".repeat(depth)}`;
    if (depth < 200) expect(canonical(text)).toBe(text);
    else expect(() => parseAvro(text, [], { isStrict: true })).toThrow(InvalidAvro);
  });

  test("any JSON is a schema or InvalidAvro", () => {
    const word = fc.constantFrom("record", "enum", "fixed", "array", "map", "int", "R", "n.R", "__proto__");
    const json = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 5 }, word, fc.jsonValue(), fc.array(tie("value")), tie("object")),
      object: fc.record(
        {
          type: tie("value"),
          name: word,
          fields: tie("value"),
          items: tie("value"),
          symbols: tie("value"),
          size: fc.nat(),
        },
        { requiredKeys: [] },
      ),
    })).value;
    fc.assert(
      fc.property(json, (value) => {
        try {
          const text = printAvro(parseAvro(JSON.stringify(value) ?? "", [], { isStrict: true }), {
            isNormalized: false,
          });
          expect(canonical(text)).toBe(text);
        } catch (cause) {
          expect(cause).toBeInstanceOf(InvalidAvro);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a hostile schema is refused, or read, in little time", () => {
  // Each of A and B may hold either: the innermost value would be tried on 2^depth ways to it.
  test("a default that fits records of unions of each other, but for its end", () => {
    const b = { type: "record", name: "B", fields: [{ name: "f", type: ["null", "A", "B"] }] };
    const a = { type: "record", name: "A", fields: [{ name: "f", type: ["null", "A", b] }] };
    let value: unknown = 1;
    for (let depth = 0; depth < 26; depth += 1) value = { f: value };
    const fields = [
      { name: "a", type: a },
      { name: "d", type: ["A", "B"], default: value },
    ];
    const text = JSON.stringify({ type: "record", name: "T", fields });
    expect(() => canonical(text)).toThrow("fits too many types");
  });

  test("as many fields as a text can have", () => {
    const fields = Array.from({ length: 30_000 }, (_, index) => ({ name: `f${index}`, type: "int" }));
    const before = performance.now();
    canonical(JSON.stringify({ type: "record", name: "T", fields }));
    expect(performance.now() - before).toBeLessThan(10_000);
  });
});
