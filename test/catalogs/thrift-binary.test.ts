/** Proves: Thrift's bytes are as the specification draws them, whatever is decoded is encoded alike, and junk is CorruptData. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  bool,
  decodeMessage,
  encodeMessage,
  Incomplete,
  i32,
  i64,
  list,
  struct,
  type ThriftStruct,
  text,
  textMap,
} from "../../catalogs/thrift-binary.ts";
import { CorruptData } from "../../src/base/errors.ts";

const body: ThriftStruct = new Map([
  [1, text("sales")],
  [2, struct({ 1: i32(-2), 2: i64(-9_223_372_036_854_775_808n), 7: bool(true) })],
  [3, list("string", [text("a"), text("ü")])],
  [4, textMap([["k", "v"]])],
  [5, { kind: "double", value: 1.5 }],
  [6, { kind: "i16", value: -1 }],
  [9, list("struct", [])],
]);

test("a call is written as the specification draws it", () => {
  const bytes = encodeMessage({ type: 1, name: "unlock", seq: 7, body: new Map([[1, struct({ 1: i64(5n) })]]) });
  expect(Buffer.from(bytes).toString("hex")).toBe(
    [
      "80010001",
      "00000006756e6c6f636b",
      "00000007",
      "0c0001", // A struct as field 1.
      "0a00010000000000000005", // An i64 as its field 1.
      "00",
      "00",
    ].join(""),
  );
});

test("what is decoded is what was encoded, and its every beginning is incomplete", () => {
  const bytes = encodeMessage({ type: 2, name: "get_table", seq: 1, body });
  expect(decodeMessage(bytes, "t")).toEqual({ type: 2, name: "get_table", seq: 1, body, bytes: bytes.length });
  for (let length = 0; length < bytes.length; length += 1)
    expect(() => decodeMessage(bytes.subarray(0, length), "t")).toThrow(Incomplete);
});

test("bytes that are damaged throw CorruptData, or wait for more, and nothing else", () => {
  const bytes = encodeMessage({ type: 2, name: "get_table", seq: 1, body });
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
      const damaged = Buffer.from(bytes);
      damaged[at] = value;
      try {
        decodeMessage(damaged, "t");
      } catch (cause) {
        expect(cause instanceof CorruptData || cause instanceof Incomplete).toBe(true);
      }
    }),
    { numRuns: 2000 },
  );
});

test("structs within structs without end are refused", () => {
  const head = encodeMessage({ type: 2, name: "x", seq: 1, body: new Map() }).slice(0, -1);
  const deep = Buffer.concat([head, ...Array.from({ length: 100 }, () => Buffer.from([12, 0, 1]))]);
  expect(() => decodeMessage(deep, "t")).toThrow(CorruptData);
});
