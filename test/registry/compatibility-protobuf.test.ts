/** Proves Confluent's rules of compatibility for Protobuf: each change forbidden or allowed by the word that its registry uses. */
import { describe, expect, test } from "vitest";
import { protobufIncompatibilities } from "../../src/registry/compatibility-protobuf.ts";
import { parseProtobuf } from "../../src/registry/protobuf-schema.ts";

/** What a reader of the second finds wrong with what a writer of the first wrote. */
function changes(writer: string, reader: string): readonly string[] {
  const file = (text: string) =>
    parseProtobuf(text.startsWith("syntax") ? text : `syntax = "proto3"; ${text}`, imports);
  return protobufIncompatibilities(file(reader), file(writer)).map(({ type }) => type);
}

const imports = [
  { name: "h.proto", schema: 'syntax = "proto3"; package home; message H { int32 x = 1; message I { int32 x = 1; } }' },
  { name: "a.proto", schema: 'syntax = "proto3"; package away; message H { int32 x = 1; message I { int32 x = 1; } }' },
  { name: "o.proto", schema: 'syntax = "proto3"; package other; message H { string x = 1; message I {} }' },
];

const field = (text: string): string =>
  `message M { ${text} } message A { int32 x = 1; } message B { int32 x = 1; } enum E { Z = 0; }`;
const proto2 = (text: string): string => `syntax = "proto2"; message M { ${text} }`;

describe("readers go on reading", () => {
  test.each([
    ["a field more", field("int32 a = 1;"), field("int32 a = 1; string b = 2;")],
    ["a field less", field("int32 a = 1; string b = 2;"), field("int32 a = 1;")],
    ["another name", field("int32 a = 1;"), field("int32 b = 1;")],
    ["numbers of one wire group", field("int32 a = 1;"), field("uint64 a = 1;")],
    ["an enum for a number", field("int32 a = 1;"), field("E a = 1;")],
    ["bytes for a string", field("string a = 1;"), field("bytes a = 1;")],
    ["many strings for one", field("string a = 1;"), field("repeated string a = 1;")],
    ["one field in a new oneof", field("int32 a = 1;"), field("oneof o { int32 a = 1; int32 b = 2; }")],
    ["a oneof without its frame", field("oneof o { int32 a = 1; }"), field("int32 a = 1;")],
    [
      "one field less in a oneof",
      field("oneof o { int32 a = 1; int32 b = 2; }"),
      field("oneof o { int32 a = 1; } int32 b = 2;"),
    ],
    [
      "a oneof by another name",
      field("oneof o { int32 a = 1; int32 b = 2; }"),
      field("oneof p { int32 a = 1; int32 b = 2; }"),
    ],
    [
      "a oneof in two",
      field("oneof o { int32 a = 1; int32 b = 2; }"),
      field("oneof o { int32 a = 1; } oneof p { int32 b = 2; }"),
    ],
    ["all of a oneof gone", field("oneof o { int32 a = 1; }"), field("oneof p { int32 c = 3; }")],
    [
      "a message of its own for an imported one",
      'import "h.proto"; message M { home.H a = 1; }',
      "message M { H a = 1; } message H { int32 x = 1; message I { int32 x = 1; } }",
    ],
    [
      "a message of another package",
      'import "h.proto"; message M { home.H.I a = 1; }',
      'import "a.proto"; message M { away.H.I a = 1; }',
    ],
    ["a message more", "message M {}", "message N {} message M {}"],
    ["a message inside itself", field("M a = 1;"), field("M a = 1; int32 b = 2;")],
  ])("with %s", (_, writer, reader) => {
    expect(changes(writer, reader)).toEqual([]);
  });
});

describe("readers break", () => {
  test.each([
    ["MESSAGE_REMOVED", "message M {} message N {}", "message M {}"],
    ["MESSAGE_REMOVED", "message M { message N {} }", "message M {}"],
    ["PACKAGE_CHANGED", "package a; message M {}", "package b; message M {}"],
    ["FIELD_SCALAR_KIND_CHANGED", field("int32 a = 1;"), field("sint32 a = 1;")],
    ["FIELD_SCALAR_KIND_CHANGED", field("int32 a = 1;"), field("string b = 1;")],
    ["FIELD_SCALAR_KIND_CHANGED", field("map<string, int32> a = 1;"), field("map<string, double> a = 1;")],
    ["FIELD_KIND_CHANGED", field("int32 a = 1;"), field("A a = 1;")],
    ["FIELD_KIND_CHANGED", field("string a = 1;"), field("map<string, string> a = 1;")],
    ["FIELD_NAMED_TYPE_CHANGED", field("A a = 1;"), field("B a = 1;")],
    ["FIELD_NUMERIC_LABEL_CHANGED", field("repeated int32 a = 1;"), field("int32 a = 1;")],
    ["REQUIRED_FIELD_ADDED", proto2(""), proto2("required int32 a = 1;")],
    ["REQUIRED_FIELD_REMOVED", proto2("required int32 a = 1;"), proto2("")],
    ["ONEOF_FIELD_REMOVED", field("oneof o { int32 a = 1; int32 b = 2; }"), field("oneof o { int32 a = 1; }")],
    ["ONEOF_FIELD_REMOVED", field("oneof o { int32 a = 1; int32 b = 2; }"), field("oneof p { int32 a = 1; }")],
    [
      "FIELD_KIND_CHANGED",
      proto2("optional group G = 1 { optional int32 a = 1; }"),
      proto2("message G { optional int32 a = 1; } optional G g = 1;"),
    ],
    ["FIELD_NUMERIC_LABEL_CHANGED", proto2("optional int32 a = 1;"), proto2("required int32 a = 1;")],
    [
      "FIELD_SCALAR_KIND_CHANGED",
      'import "h.proto"; message M { home.H a = 1; }',
      'import "o.proto"; message M { other.H a = 1; }',
    ],
    [
      "FIELD_MOVED_TO_EXISTING_ONEOF",
      field("oneof o { int32 a = 1; } oneof p { int32 b = 2; }"),
      field("oneof p { int32 a = 1; int32 b = 2; }"),
    ],
    [
      "FIELD_MOVED_TO_EXISTING_ONEOF",
      field("oneof o { int32 a = 1; } oneof p { int32 b = 2; }"),
      field("oneof q { int32 a = 1; int32 b = 2; }"),
    ],
    [
      "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
      field("int32 a = 1; int32 b = 2;"),
      field("oneof o { int32 a = 1; int32 b = 2; }"),
    ],
    [
      "FIELD_MOVED_TO_EXISTING_ONEOF",
      field("int32 a = 1; oneof o { int32 b = 2; }"),
      field("oneof o { int32 a = 1; int32 b = 2; }"),
    ],
  ])("%s: %s → %s", (type, writer, reader) => {
    expect(changes(writer, reader)).toEqual([type]);
  });
});
