/** Proves that a .proto file and its descriptor say the same, with the options in which clients look for tags. */
import { describe, expect, test } from "vitest";
import { protobufTextOf, serializedProtobuf } from "../../src/registry/protobuf-descriptor.ts";
import { descriptorType, type ProtobufImport, parseProtobuf } from "../../src/registry/protobuf-schema.ts";
import { canonicalProtobuf, InvalidProtobuf } from "../../src/registry/protobuf-text.ts";

const canonical = (text: string): string => canonicalProtobuf(text, { isNormalized: false });

function serialized(text: string, imports: readonly ProtobufImport[] = []): string {
  return serializedProtobuf(parseProtobuf(text, imports), { name: "x.proto", text, imports });
}

/** Through the descriptor and back. */
function there(text: string, imports: readonly ProtobufImport[] = []): string {
  return canonical(protobufTextOf(serialized(text, imports), imports) ?? "");
}

test.each([
  [
    "messages, enums, maps, oneofs, optional fields",
    `syntax = "proto3"; package shop.v1; import "google/protobuf/timestamp.proto"; option java_package = "com.shop";
    enum Kind { option allow_alias = true; ZERO = 0; NONE = 0; SOME = 2; }
    message Order {
      string id = 1 [deprecated = true]; optional int64 amount = 2; repeated Line lines = 3;
      map<string, google.protobuf.Timestamp> times = 4;
      oneof payment { string card = 5; Kind kind = 6; }
      message Line { sint32 count = 1; Order parent = 2; enum Unit { PIECE = 0; } Unit unit = 3; }
    }
    message Other {}`,
  ],
  [
    "groups and required fields of proto2",
    'syntax = "proto2"; message M { required int32 a = 1; repeated group G = 2 { optional string b = 1; } }',
  ],
])("text and descriptor say the same: %s", (_, text) => {
  expect(parseProtobuf(there(text), [])).toEqual(parseProtobuf(text, []));
});

test("defaults and public imports stand in the descriptor as protoc writes them", () => {
  const text = [
    'syntax = "proto2"; import "google/protobuf/empty.proto"; import public "google/protobuf/any.proto";',
    "enum E { A = 0; B = 1; }",
    "message M { optional int32 i = 1 [default = -0x10]; optional E e = 2 [default = B]; optional bool b = 3 [default = true];",
    'optional string s = 4 [default = "a\\"b\\n"]; optional bytes y = 5 [default = "\\001\\"x"]; }',
  ].join("\n");
  const type = descriptorType("", []);
  const file = type.toObject(type.decode(Buffer.from(serialized(text), "base64"))) as {
    readonly publicDependency: readonly number[];
    readonly messageType: readonly [{ readonly field: readonly { readonly defaultValue: string }[] }];
  };
  expect(file.publicDependency).toEqual([1]);
  const defaults = file.messageType[0].field.map(({ defaultValue }) => defaultValue);
  expect(defaults).toEqual(["-16", "B", "true", 'a"b\n', "\\001\\042x"]);
  expect(there(text)).toContain(String.raw`[default = "\001\042x"]`);
});

describe("options that .proto files define", () => {
  const level = {
    name: "level.proto",
    schema: `syntax = "proto3"; package acme; import "google/protobuf/descriptor.proto";
      enum Level { LOW = 0; HIGH = 1; }
      message Rule { string name = 1; int64 most = 2; double share = 3; bool on = 4; Level level = 5; repeated Rule of = 6; bytes raw = 7; }
      extend google.protobuf.FieldOptions { Rule rule = 50001; repeated string note = 50002; Level level = 50003; }
      extend google.protobuf.FileOptions { string owner = 50001; }
      extend google.protobuf.MessageOptions { Rule of = 50001; }
      extend google.protobuf.EnumValueOptions { bool old = 50001; }
      extend google.protobuf.EnumOptions { uint32 size = 50001; }
      extend google.protobuf.OneofOptions { string why = 50001; }`,
  };

  test.each([
    [
      "tags of Confluent's clients",
      `syntax = "proto3"; import "confluent/meta.proto"; message M { option (confluent.message_meta) = { doc: "of \\"M\\"" };
        string a = 1 [(confluent.field_meta) = { doc: "d", tags: ["PII", "B"] }];
        bytes b = 2 [(confluent.field_meta) = { params: [{ key: "scale", value: "2" }], rules: [{ name: "r", expr: "e" }] }]; }`,
    ],
    [
      "values of each type, at each place",
      `syntax = "proto3"; package acme.shop; import "level.proto"; option (acme.owner) = "me";
        message M { option (acme.of) = { name: "n", most: 9223372036854775807, share: -0.5, on: true, level: HIGH, of: [{ name: "x" }, { on: true }] };
          int32 a = 1 [deprecated = true, (acme.note) = "x", (acme.note) = "y", (acme.level) = HIGH];
          oneof o { option (acme.why) = "w"; int32 b = 2; }
          map<string, int32> c = 3 [(acme.level) = HIGH];
          enum E { option (acme.size) = 7; Z = 0 [(acme.old) = true]; } }`,
    ],
  ])("are in the descriptor, and read from it: %s", (_, text) => {
    expect(there(text, [level])).toBe(canonical(text));
  });

  test("may be named from inside of their package, and member by member", () => {
    const text = `syntax = "proto3"; package acme; import "level.proto";
      message M { int32 a = 1 [(rule).name = "n", (.acme.rule).on = true]; bytes b = 2 [(rule).raw = "\\001z"]; }`;
    const read = there(text, [level]);
    expect(read).toContain('int32 a = 1 [(acme.rule) = {\n    name: "n",\n    on: true\n  }];');
    expect(read).toContain('raw: "\\001\\172"');
  });

  test("that nobody defines are left out", () => {
    const text = 'syntax = "proto3";\n\nmessage M {\n  int32 a = 1 [(nope) = 1];\n}\n';
    expect(there(text)).toBe(text.replace(" [(nope) = 1]", ""));
  });
});

test("a descriptor that imports what is no reference is refused", () => {
  const imports = [{ name: "a.proto", schema: 'syntax = "proto3"; message A {}' }];
  const base64 = serialized('syntax = "proto3"; import "a.proto"; message M { A a = 1; }', imports);
  expect(protobufTextOf(base64, imports)).toContain('import "a.proto"');
  expect(() => protobufTextOf(base64, [])).toThrow(/a.proto.*is imported/);
});

test("a descriptor is not taken for text, nor text for it", () => {
  expect(protobufTextOf("message M {}", [])).toBeUndefined();
  expect(() => protobufTextOf("////", [])).toThrow(InvalidProtobuf);
});
