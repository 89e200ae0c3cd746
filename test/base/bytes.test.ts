/** Proves: what ByteWriter writes ByteReader reads, at every size, and no read goes past the end. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter, copyInto, joined, joinNeighbours, utf8Length } from "../../src/base/bytes.ts";
import { CorruptData, WrongProgram } from "../../src/base/errors.ts";

const written = (write: (w: ByteWriter) => void): Uint8Array => {
  const writer = new ByteWriter(16); // Small, so that chunks change in the middle.
  write(writer);
  return joined(writer.finish());
};
const reader = (bytes: Uint8Array): ByteReader => new ByteReader(bytes, { source: "test" });
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("integers", () => {
  test("varints and varlongs keep their values", () => {
    fc.assert(
      fc.property(fc.integer(), fc.maxSafeInteger(), fc.nat(0xffff_ffff), (small, large, unsigned) => {
        const bytes = written((w) => {
          w.varint(small);
          w.varlong(large);
          w.uvarint(unsigned);
          w.int64(large);
        });
        const r = reader(bytes);
        expect([r.varint(), r.varlong(), r.uvarint(), r.int64(), r.remaining]).toEqual([
          small,
          large,
          unsigned,
          large,
          0,
        ]);
      }),
    );
  });

  test("known encodings", () => {
    expect(hexOf(written((w) => w.varint(-1)))).toBe("01");
    expect(hexOf(written((w) => w.varint(64)))).toBe("8001");
    expect(hexOf(written((w) => w.varlong(-(2 ** 31) - 1)))).toBe("8180808010");
    expect(hexOf(written((w) => w.int64(-2)))).toBe("fffffffffffffffe");
    expect(hexOf(written((w) => w.int64(Number.MAX_SAFE_INTEGER)))).toBe("001fffffffffffff");
    expect(hexOf(written((w) => w.int64Big(-(2n ** 63n))))).toBe("8000000000000000");
  });

  test("what a safe integer cannot hold is corrupt, clamped or rounded, as asked", () => {
    const longMax = Buffer.from("7fffffffffffffff", "hex");
    expect(() => reader(longMax).int64()).toThrow(CorruptData);
    expect(reader(longMax).int64Clamped()).toBe(Number.MAX_SAFE_INTEGER);
    expect(reader(Buffer.from("8000000000000000", "hex")).int64Clamped()).toBe(Number.MIN_SAFE_INTEGER);
    const varlongMax = Buffer.from("feffffffffffffffff01", "hex");
    expect(() => reader(varlongMax).varlong()).toThrow(CorruptData);
    expect(reader(varlongMax).varlongRounded()).toBe(2 ** 63);
  });

  test("varints that never end are corrupt", () => {
    const endless = new Uint8Array(20).fill(0xff);
    for (const read of ["uvarint", "varint", "varlong", "varlongRounded"] as const)
      expect(() => reader(endless)[read]()).toThrow(CorruptData);
    expect(() => reader(Buffer.from("ffffffff1f", "hex")).uvarint()).toThrow(CorruptData);
  });
});

test("every read past the end is CorruptData and says where", () => {
  const reads: ((r: ByteReader) => unknown)[] = [
    (r) => r.int8(),
    (r) => r.int16(),
    (r) => r.int32(),
    (r) => r.int64(),
    (r) => r.int64Big(),
    (r) => r.float64(),
    (r) => r.uuid(),
    (r) => r.view(1),
    (r) => r.utf8(1),
    (r) => r.skip(-1),
    (r) => r.uvarint(),
  ];
  for (const read of reads) expect(() => read(reader(new Uint8Array(0)))).toThrow(CorruptData);
  expect(() => reader(new Uint8Array(3)).int32()).toThrow("corrupt test at byte 0: expected 4 more bytes, found 3");
});

test("a reader over a view in the middle of a buffer stays inside it", () => {
  const whole = Uint8Array.from([9, 9, 0, 0, 0, 5, 9, 9]);
  const r = reader(whole.subarray(2, 6));
  expect(r.int32()).toBe(5);
  expect(() => r.int8()).toThrow(CorruptData);
});

test("text, patches and views keep their order across chunks", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string({ unit: "grapheme" }), fc.uint8Array({ maxLength: 1500 }))), (parts) => {
      const bytes = written((w) => {
        w.int32(0);
        for (const part of parts) {
          if (typeof part === "string") w.utf8(part, utf8Length(part));
          else w.bytes(part);
        }
        w.patchInt32(0, w.length);
      });
      const body = joined(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "utf8") : part)));
      expect(reader(bytes).int32()).toBe(body.length + 4);
      expect(hexOf(bytes.subarray(4))).toBe(hexOf(body));
    }),
  );
});

describe("joinNeighbours", () => {
  test("views that lie one after another become one; the bytes stay the same", () => {
    const part = fc.record({ memory: fc.nat(1), from: fc.nat(20), length: fc.nat(6) });
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const memories = [0, 100].map((first) => Uint8Array.from({ length: 26 }, (_, i) => first + i));
        const views = parts.map(({ memory, from, length }) => memories[memory]?.subarray(from, from + length));
        const given = views.filter((view) => view !== undefined);
        expect(joined([...joinNeighbours(given)])).toEqual(joined(given));
      }),
    );
    const bytes = Uint8Array.of(1, 2, 3, 4, 5);
    expect([...joinNeighbours([bytes.subarray(0, 2), bytes.subarray(2, 3), bytes.subarray(4)])]).toEqual([
      Uint8Array.of(1, 2, 3),
      Uint8Array.of(5),
    ]);
  });
});

test("copyInto copies as set does, into and out of shared memory, at every alignment", () => {
  const source = Uint8Array.from({ length: 100 }, (_, i) => i);
  for (const memory of [new ArrayBuffer(128), new SharedArrayBuffer(128)]) {
    for (const [at, from, to] of [
      [0, 0, 100],
      [3, 1, 100],
      [28, 0, 100],
      [5, 7, 8],
      [5, 9, 9],
    ] as const) {
      const target = new Uint8Array(memory).fill(255);
      copyInto(target, at, source.subarray(from, to));
      const expected = new Uint8Array(128).fill(255);
      expected.set(source.subarray(from, to), at);
      expect(target.slice()).toEqual(expected);
      const back = new Uint8Array(to - from);
      copyInto(back, 0, target.subarray(at, at + to - from));
      expect(back).toEqual(source.slice(from, to));
    }
  }
  expect(() => copyInto(new Uint8Array(9), 0, new Uint8Array(10))).toThrow(WrongProgram);
});
