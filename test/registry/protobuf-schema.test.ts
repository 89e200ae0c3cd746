/** Proves that .proto files are read whole or refused with a reason, and that layout does not matter. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseProtobuf, protobufMessageAt } from "../../src/registry/protobuf-schema.ts";
import { canonicalProtobuf, InvalidProtobuf } from "../../src/registry/protobuf-text.ts";

const shop = `syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
option java_package = "com.shop";
enum Kind { ZERO = 0; option allow_alias = true; NONE = 0; SOME = 2; }
message Order {
  string id = 1 [deprecated = true];
  optional int64 amount = 2;
  repeated Line lines = 3;
  map<string, google.protobuf.Timestamp> times = 4;
  oneof payment { string card = 5; Kind kind = 6; }
  message Line { sint32 count = 1; Order parent = 2; enum Unit { PIECE = 0; } Unit unit = 3; }
}
message Other {}
`;

const canonical = (text: string, isNormalized = false): string => canonicalProtobuf(text, { isNormalized });

describe("canonical text", () => {
  test("does not know layout and comments, and is its own", () => {
    const squeezed = shop.replaceAll(/\s+/g, " ").replace("message Order", "/* a ; } */ message Order // b\n");
    expect(canonical(squeezed)).toBe(canonical(shop));
    expect(canonical(canonical(shop))).toBe(canonical(shop));
  });

  test("keeps options of any shape", () => {
    const text =
      'syntax = "proto3";\noption (my.opt).part = { a: 1, b: ["x;", \'}\'], c: { d: -1.5e+3 } };\nmessage M {\n  int32 a = 1 [(o) = { x: 1 }, json_name = "b"];\n  reserved 2, 4 to max;\n}\n';
    expect(canonical(text)).toContain('json_name = "b"\n');
    expect(canonical(canonical(text))).toBe(canonical(text));
    expect(canonical(text)).toContain('"x;",\n    "}"');
  });

  test("normalised, does not know the order of fields, options and imports", () => {
    const one = 'syntax = "proto3"; import "b"; import "a"; message M { int32 b = 2; int32 a = 1; } message A {}';
    const other = 'syntax = "proto3"; import "a"; import "b"; message M { int32 a = 1; int32 b = 2; } message A {}';
    expect(canonical(one)).not.toBe(canonical(other));
    expect(canonical(one, true)).toBe(canonical(other, true));
    expect(canonical(one, true).indexOf("message M")).toBeLessThan(canonical(one, true).indexOf("message A"));
  });
});

describe("parsing", () => {
  test("counts messages as indexes do", () => {
    const file = parseProtobuf(shop, []);
    expect(protobufMessageAt(file, [0])?.name).toBe("shop.v1.Order");
    expect(protobufMessageAt(file, [0, 0])?.name).toBe("shop.v1.Order.Line");
    expect(protobufMessageAt(file, [1])?.name).toBe("shop.v1.Other");
    expect(protobufMessageAt(file, [2])).toBeUndefined();
  });

  test("follows imports of imports", () => {
    const schema = 'syntax = "proto3"; import "a.proto"; message M { a.A a = 1; }';
    const imports = [
      { name: "a.proto", schema: 'syntax = "proto3"; package a; import "b.proto"; message A { b.B b = 1; }' },
      { name: "b.proto", schema: 'syntax = "proto2"; package b; message B { required int32 x = 1; }' },
    ];
    expect(parseProtobuf(schema, imports).messages).toMatchObject([
      {
        name: "M",
        fields: [{ type: { name: "a.A", fields: [{ type: { name: "b.B", fields: [{ label: "required" }] } }] } }],
      },
    ]);
  });

  test.each(["confluent/type/decimal.proto", "confluent/type/variant.proto", "google/type/date.proto"])(
    "has %s built in",
    (path) => {
      expect(parseProtobuf(`import "${path}"; message M {}`, []).imports).toEqual([path]);
    },
  );

  test("takes options of any shape that .proto files define", () => {
    const text = `syntax = "proto3"; import "confluent/meta.proto";
      message M { bytes a = 1 [(confluent.field_meta) = { params: [{ key: "scale", value: "2" }, { key: "p" }] }, packed = false]; }`;
    expect(parseProtobuf(text, []).messages).toMatchObject([{ fields: [{ name: "a" }] }]);
    expect(parseProtobuf(canonical(text), [])).toEqual(parseProtobuf(text, []));
  });

  test("knows what field_meta says of fields, of imported files and in every spelling", () => {
    const inner = `syntax = "proto3"; package shop.inner; import "confluent/meta.proto";
      message Price { message Deep { int32 a = 1 [(confluent.field_meta).params = { key: "unit" value: 'a "cent"' }]; } Deep deep = 1; }`;
    const text = `syntax = "proto3"; import "inner.proto"; import "confluent/meta.proto";
      option (confluent.file_meta) = { params: [{ key: "of", value: "the file" }] };
      message M {
        option (confluent.message_meta).params = { key: "of" value: "the message" };
        oneof one { shop.inner.Price a = 1 [(.confluent.field_meta) = { doc: "x" params { key: "b", value: "2" } params { key: "c" value: "3" } }]; }
        int32 d = 2 [deprecated = true, (confluent.field_meta).doc = "no params"];
        int32 e = 3 [(confluent.field_meta).params.key = "e", (confluent.field_meta) = { params: [{ key: 5 }, 7, { value: "e" }] }];
        int32 f = 4 [(my.field_meta) = { params: [{ key: "f", value: "f" }] }];
      }
      enum E { Z = 0 [(confluent.enum_value_meta).params = { key: "z" value: "z" }]; }
      message N { int32 d = 1; }`;
    const paramsOf = (schema: string) => {
      const { messages } = parseProtobuf(schema, [{ name: "inner.proto", schema: inner }]);
      const price = messages[0]?.fields.find(({ name }) => name === "a")?.type;
      const deep = price?.kind === "message" ? price.fields[0]?.type : undefined;
      const all = [...messages, deep].flatMap((each) => (each?.kind === "message" ? each.fields : []));
      return all.map(({ name, params }) => [name, params === undefined ? undefined : Object.fromEntries(params)]);
    };
    const expected = [
      ["a", { b: "2", c: "3" }],
      ["d", undefined],
      ["e", undefined],
      ["f", undefined],
      ["d", undefined],
      ["a", { unit: 'a "cent"' }],
    ];
    expect(paramsOf(text)).toEqual(expected);
    const [oneof, ...rest] = expected; // A oneof is printed behind the fields.
    expect(paramsOf(canonical(text))).toEqual([...rest.slice(0, 3), oneof, ...rest.slice(3)]);
  });

  test.each([
    ["an unknown import", 'import "x.proto"; message M {}', /x.proto/],
    ["an unknown type", "message M { Nope a = 1; }", /Nope/],
    ["a number twice", "message M { int32 a = 1; int32 b = 1; }", /duplicate id 1/],
    ["a number that protoc keeps", "message M { int32 a = 19000; }", /19000/],
    ["a missing brace", "message M { int32 a = 1;", /not closed/],
    ["a missing semicolon", "message M { int32 a = 1 }", /";"/],
    ["something else", '{"type":"string"}', /./],
  ])("refuses %s", (_, text, reason) => {
    expect(() => parseProtobuf(`syntax = "proto3"; ${text}`, [])).toThrow(InvalidProtobuf);
    expect(() => parseProtobuf(`syntax = "proto3"; ${text}`, [])).toThrow(reason);
  });

  test("of any text throws nothing but its refusal", () => {
    const words = fc.constantFrom(
      "message",
      "M",
      "{",
      "}",
      ";",
      "=",
      "1",
      "int32",
      "oneof",
      "enum",
      "[",
      "]",
      "map",
      "<",
      ">",
      '"x"',
      "import",
      "option",
      "extend",
      "group",
      "__proto__",
      "constructor",
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 30 }), (list) => {
        try {
          parseProtobuf(canonical(list.join(" ")), []);
        } catch (cause) {
          expect(cause).toBeInstanceOf(InvalidProtobuf);
        }
      }),
      { numRuns: 500 },
    );
  });
});

test.each([
  ["confluent/meta.proto", "confluent.Meta"],
  ["confluent/type/decimal.proto", "confluent.type.Decimal"],
  ["confluent/type/variant.proto", "confluent.type.Variant"],
  ["google/protobuf/any.proto", "google.protobuf.Any"],
  ["google/protobuf/api.proto", "google.protobuf.Api"],
  ["google/protobuf/descriptor.proto", "google.protobuf.FileDescriptorSet"],
  ["google/protobuf/duration.proto", "google.protobuf.Duration"],
  ["google/protobuf/empty.proto", "google.protobuf.Empty"],
  ["google/protobuf/field_mask.proto", "google.protobuf.FieldMask"],
  ["google/protobuf/source_context.proto", "google.protobuf.SourceContext"],
  ["google/protobuf/struct.proto", "google.protobuf.Struct"],
  ["google/protobuf/timestamp.proto", "google.protobuf.Timestamp"],
  ["google/protobuf/type.proto", "google.protobuf.Type"],
  ["google/protobuf/wrappers.proto", "google.protobuf.BytesValue"],
  ["google/type/calendar_period.proto", "google.type.CalendarPeriod"],
  ["google/type/color.proto", "google.type.Color"],
  ["google/type/date.proto", "google.type.Date"],
  ["google/type/datetime.proto", "google.type.DateTime"],
  ["google/type/dayofweek.proto", "google.type.DayOfWeek"],
  ["google/type/decimal.proto", "google.type.Decimal"],
  ["google/type/expr.proto", "google.type.Expr"],
  ["google/type/fraction.proto", "google.type.Fraction"],
  ["google/type/interval.proto", "google.type.Interval"],
  ["google/type/latlng.proto", "google.type.LatLng"],
  ["google/type/money.proto", "google.type.Money"],
  ["google/type/month.proto", "google.type.Month"],
  ["google/type/phone_number.proto", "google.type.PhoneNumber"],
  ["google/type/postal_address.proto", "google.type.PostalAddress"],
  ["google/type/quaternion.proto", "google.type.Quaternion"],
  ["google/type/timeofday.proto", "google.type.TimeOfDay"],
])("%s needs no reference, as with Confluent's registry", (path, type) => {
  const file = parseProtobuf(`syntax = "proto3"; import "${path}"; message M { ${type} a = 1; }`, []);
  expect(file.messages[0]?.fields[0]?.type).toMatchObject({ name: type });
});
