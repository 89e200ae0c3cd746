/** Proves: a .proto file is printed as Confluent's registry prints it, so that its digest, and so its GUID, is the same. */
import { expect, test } from "vitest";
import { canonicalProtobuf } from "../../src/registry/protobuf-text.ts";

const printed = (text: string): string => canonicalProtobuf(text, { isNormalized: false });

test("statements stand by kind, with blank lines between kinds", () => {
  const text = `syntax = "proto3"; package a; service S { rpc A (stream B) returns (C); option deprecated = true; }
    extend B { int32 e = 1; } enum E { option allow_alias = true; reserved 3; X = 0; Y = 0; }
    message M { message In {} string s = 1; oneof o { int32 n = 2; option (x) = "y"; } reserved 4, 9 to max; }
    option java_package = 'j'; import public "p.proto"; import "i.proto";`;
  expect(printed(text)).toBe(`syntax = "proto3";
package a;

import "i.proto";
import public "p.proto";

option java_package = "j";

message M {
  reserved 4, 9 to max;

  string s = 1;

  oneof o {
    option (x) = "y";
  
    int32 n = 2;
  }

  message In {}
}
enum E {
  reserved 3;
  option allow_alias = true;
  X = 0;
  Y = 0;
}

extend B {
  int32 e = 1;
}

service S {
  option deprecated = true;

  rpc A (stream B) returns (C);
}
`);
  expect(printed(printed(text))).toBe(printed(text));
});

test("options have a line each when there are several, and so have the parts of their values", () => {
  const text = `message M {
    int32 a = 1 [json_name = "y", deprecated = true];
    map<string, .a.B> b = 2 [(z) = -1.5];
    int32 c = 3 [(meta) = { tags: ["A" 'B'] n { k: 1; } n { k: 2 } }];
  }`;
  expect(printed(text)).toBe(`
message M {
  int32 a = 1 [
    deprecated = true,
    json_name = "y"
  ];
  map<string, .a.B> b = 2 [(z) = -1.5];
  int32 c = 3 [(meta) = {
    tags: [
      "AB"
    ],
    n: [
      {
        k: 1
      },
      {
        k: 2
      }
    ]
  }];
}
`);
});

test("an option that is read by nobody here keeps its words", () => {
  const text = 'syntax = "proto3";\n\noption (x) = < a: 1 >;\n';
  expect(printed(printed(text))).toBe(printed(text));
  expect(printed(text)).toContain("a: 1");
});

test("a value of an enum may be named as a keyword", () => {
  expect(printed("enum E { message = 0; option = 1; }")).toBe("\nenum E {\n  message = 0;\n  option = 1;\n}\n");
});
