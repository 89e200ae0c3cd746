/** Proves: a declaration and its bytes say the same, in every version, and bytes that say anything else throw CorruptData. */
import * as fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import { ByteReader, ByteWriter, bytesOf } from "../../src/base/bytes.ts";
import {
  array,
  between,
  boolean,
  bytes,
  float64,
  type Infer,
  type InferInput,
  int8,
  int16,
  int32,
  int64,
  int64big,
  int64Clamped,
  list,
  type Message,
  message,
  nullable,
  nullableSince,
  optional,
  records,
  recordViews,
  since,
  string,
  struct,
  tagged,
  uint16,
  uint32,
  until,
  uuid,
} from "../../src/base/codec.ts";
import { madeFrom } from "../../src/base/elements.ts";
import { CorruptData, WrongProgram } from "../../src/base/errors.ts";
import { type Uuid, uuidZero } from "../../src/base/ids.ts";
import { arbitraryMessage } from "./message-arbitrary.ts";

const everything = message({
  name: "Everything",
  versions: [1, 5],
  flexible: 3,
  fields: {
    flag: boolean,
    tiny: int8,
    small: int16,
    port: uint16,
    count: since(2, int32, -1),
    crc: uint32,
    offset: int64,
    timestamp: int64Clamped,
    big: int64big,
    ratio: float64,
    id: since(4, uuid, uuidZero),
    name: until(3, string, ""),
    note: nullableSince(2, string),
    middle: between(2, 4, nullable(string), null),
    blob: nullable(bytes),
    records: nullable(records),
    list: nullableSince(4, array(int32)),
    rows: array(
      struct({
        key: string,
        inner: array(struct({ n: int32, late: since(5, int16, 7) })),
        leader: tagged(1, 3, struct({ id: int32, epoch: int32 }), { id: -1, epoch: -1 }),
        words: tagged(0, 4, nullable(array(string)), null),
      }),
    ),
    cursor: since(5, nullable(struct({ topic: string, partition: int32 })), null),
    views: recordViews,
    extra: tagged(0, 3, string, ""),
    numbers: tagged(7, 5, array(int64), []),
  },
});

const pair = message({
  name: "Pair",
  versions: [0, 1],
  flexible: 1,
  fields: { name: string, values: array(int16), hint: tagged(0, 1, nullable(string), null) },
});

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");
const hexOf = (view: Uint8Array): string => Buffer.from(view).toString("hex");

describe("golden bytes", () => {
  test("before flexible versions lengths are fixed", () => {
    const golden = "0002 6162 00000002 0001 ffff";
    expect(hexOf(pair.encode({ name: "ab", values: [1, -1] }, 0))).toBe(golden.replaceAll(" ", ""));
    expect(pair.decode(hex(golden), 0)).toEqual({ name: "ab", values: [1, -1], hint: null });
  });

  test("flexible versions have compact lengths and tagged fields", () => {
    const golden = "03 6162 03 0001 ffff 01 00 03 03 7a7a";
    expect(hexOf(pair.encode({ name: "ab", values: [1, -1], hint: "zz" }, 1))).toBe(golden.replaceAll(" ", ""));
    expect(pair.decode(hex(golden), 1)).toEqual({ name: "ab", values: [1, -1], hint: "zz" });
    expect(hexOf(pair.encode({ name: "ab", values: [] }, 1))).toBe("0361620100");
  });

  test("unknown tags are skipped, known ones among them are read", () => {
    expect(pair.decode(hex("01 01 03 00 02 02 78 09 01 ff 63 00"), 1)).toEqual({ name: "", values: [], hint: "x" });
  });
});

function inSteps<T, I>(declared: Message<T, I>, value: I, version: number) {
  const writer = new ByteWriter();
  const stepEnds = Array.from(declared.writeInSteps(writer, version, value), () => writer.length);
  return { bytes: writer.toBytes(), stepEnds };
}

describe("in steps", () => {
  const words = message({ name: "Words", versions: [0, 0], flexible: 0, fields: { words: list(string) } });
  const numbers = Array.from({ length: 10_000 }, (_, index) => index);

  test("a long list is made while it is written, and no step is long", () => {
    const made: number[] = [];
    const value = {
      words: madeFrom(numbers, (number) => {
        made.push(number);
        return `word ${number}`;
      }),
    };
    const { bytes: encoded, stepEnds } = inSteps(words, value, 0);
    expect(made).toEqual(numbers);
    expect(words.decode(encoded, 0).words).toEqual(numbers.map((number) => `word ${number}`));
    expect(stepEnds.map((end, step) => end - (stepEnds[step - 1] ?? 0)).every((length) => length < 17_000)).toBe(true);
    expect(stepEnds.length).toBeGreaterThan(5);
  });

  test("a list that changes between two of them is found out", () => {
    const list = numbers.map(String);
    const writer = new ByteWriter();
    const write = (): void => {
      for (const _ of words.writeInSteps(writer, 0, { words: list })) list.pop();
    };
    expect(write).toThrow(WrongProgram);
  });
});

describe("round trips", () => {
  test.each([1, 2, 3, 4, 5])("decode(encode(x)) is x in version %i", (version) => {
    fc.assert(
      fc.property(arbitraryMessage(everything.shape, version), (value) => {
        const encoded = everything.encode(value as InferInput<typeof everything>, version);
        expect(everything.decode(encoded, version)).toEqual(value);
        expect(inSteps(everything, value as InferInput<typeof everything>, version).bytes).toEqual(encoded);
      }),
      { numRuns: 200 },
    );
  });

  test("fields with a default may be left out", () => {
    const { hint, ...rest } = pair.decode(pair.encode({ name: "a", values: [] }, 1), 1);
    expect({ hint, ...rest }).toEqual({ name: "a", values: [], hint: null });
  });

  test("types are inferred", () => {
    type Pair = Infer<typeof pair>;
    expectTypeOf<Pair>().toEqualTypeOf<{
      readonly name: string;
      readonly values: readonly number[];
      readonly hint: string | null;
    }>();
    expectTypeOf<Infer<typeof everything>["id"]>().toEqualTypeOf<Uuid>();
    const input: InferInput<typeof pair> = { name: "", values: [] };
    expect(input.hint).toBeUndefined();
  });
});

describe("refusals", () => {
  const corrupt = (decode: () => unknown): void => expect(decode).toThrow(CorruptData);

  test("null where none may be, negative lengths, versions out of range, bytes left over", () => {
    corrupt(() => pair.decode(hex("ffff 00000000"), 0));
    corrupt(() => pair.decode(hex("fff0 00000000"), 0));
    corrupt(() => pair.decode(hex("0000 ffffffff"), 0));
    corrupt(() => pair.decode(hex("0000 00000000 00"), 0));
    corrupt(() => pair.decode(hex("0000 00000000"), 2));
    corrupt(() => pair.decode(hex("00 01 00"), 1));
  });

  test("bytes that are no UTF-8 are not read as a text that is too long to be said again", () => {
    const named = message({ name: "Named", versions: [0, 0], flexible: undefined, fields: { name: string } });
    const frame = (count: number): Uint8Array => {
      const noUtf8 = new Uint8Array(2 + count).fill(0xff);
      new DataView(noUtf8.buffer).setInt16(0, count);
      return noUtf8;
    };
    expect(named.decode(frame(10_000), 0).name).toHaveLength(10_000);
    corrupt(() => named.decode(frame(11_000), 0));
  });

  test("a count is held against the bytes that are left and against the budget", () => {
    corrupt(() => pair.decode(hex("0000 7fffffff 0001"), 0));
    corrupt(() => pair.decode(hex("01 ffffffff0f 0001"), 1));
    const rows = message({
      name: "Rows",
      versions: [0, 0],
      flexible: 0,
      fields: { rows: array(struct({ a: string })) },
    });
    const many = new Uint8Array(4 + 2 * 100_000).fill(0);
    many.set(hex("a18d06"));
    for (let at = 3; at < many.length - 1; at += 2) many[at] = 1;
    corrupt(() => rows.decode(many, 0, { elementsMax: 50_000 }));
    expect(rows.decode(many, 0, { elementsMax: 100_000 }).rows).toHaveLength(100_000);
  });

  test("a struct has at most 128 tags, and a known tag is as long as it says", () => {
    const tags = (count: number): Uint8Array => hex(`01 01 ${count === 128 ? "8001" : "8101"} ${"6300".repeat(count)}`);
    expect(pair.decode(tags(128), 1).hint).toBeNull();
    corrupt(() => pair.decode(tags(129), 1));
    corrupt(() => pair.decode(hex("01 01 01 00 05 02 78 00 00 00"), 1));
  });

  test("a wrong program is told so when it writes", () => {
    expect(() => pair.encode({ name: null as unknown as string, values: [] }, 0)).toThrow(WrongProgram);
    expect(() => pair.encode({ name: "", values: [70_000] }, 0)).toThrow(WrongProgram);
    expect(() => pair.encode({ name: "", values: [] }, 2)).toThrow(WrongProgram);
    expect(() => pair.encode({ name: "x".repeat(32_768), values: [] }, 1)).toThrow(WrongProgram);
  });

  test.each([1, 3, 5])("mutated and truncated bytes give a value or CorruptData, version %i", (version) => {
    fc.assert(
      fc.property(
        arbitraryMessage(everything.shape, version),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(),
        (value, edits, cut) => {
          const encoded = Uint8Array.from(everything.encode(value as InferInput<typeof everything>, version));
          for (const [at, byte] of edits) encoded[at % encoded.length] = byte;
          try {
            everything.decode(
              encoded.subarray(0, encoded.length - (cut % 3 === 0 ? cut % encoded.length : 0)),
              version,
            );
          } catch (error) {
            expect(error).toBeInstanceOf(CorruptData);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

test("large byte strings are written by reference and read as views", () => {
  const blob = message({
    name: "Blob",
    versions: [0, 0],
    flexible: undefined,
    fields: { before: int32, blob: bytes, after: optional(int32, 3) },
  });
  const large = new Uint8Array(1000).fill(7);
  const writer = new ByteWriter();
  blob.write(writer, 0, { before: 1, blob: large });
  const views = writer.finish();
  expect(views[1]).toBe(large);
  expect(bytesOf(views)).toBe(writer.length);
  const encoded = writer.toBytes();
  const decoded = blob.read(new ByteReader(encoded, { source: "test" }), 0);
  expect(decoded.blob.buffer).toBe(encoded.buffer);
  expect(decoded.after).toBe(3);
});
