/** Proves rules G10 and G11: partition transforms give the values of the Iceberg spec's tables and of an independent calendar. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileTransform, hashValue, transformResultType } from "../../../src/table/iceberg/transforms.ts";
import type { PrimitiveType, PrimitiveValue, Transform } from "../../../src/table/iceberg/types.ts";

function apply(transform: Transform, type: PrimitiveType, value: PrimitiveValue | null): PrimitiveValue | null {
  const compiled = compileTransform(transform, type);
  if (compiled.kind === "refused") throw new Error(compiled.reason);
  return compiled.apply(value);
}

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const micros = (iso: string): bigint => BigInt(Date.parse(iso)) * 1000n;

describe("G10 bucket: Appendix B hash vectors", () => {
  const vectors: readonly (readonly [PrimitiveType, PrimitiveValue, number])[] = [
    ["int", 34, 2017239379],
    ["long", 34n, 2017239379],
    ["decimal(9, 2)", 1420n, -500754589],
    ["date", 17486, -653330422],
    ["time", 81068000000n, -662762989],
    ["timestamp", micros("2017-11-16T22:31:08Z"), -2047944441],
    ["timestamptz", micros("2017-11-16T22:31:08Z"), -2047944441],
    ["timestamp", micros("2017-11-16T22:31:08Z") + 1n, -1207196810],
    ["string", "iceberg", 1210000089],
    ["uuid", hex("f79c3e09677c4bbda4793f349cb785e7"), 1488055340],
    ["fixed[4]", hex("00010203"), -188683207],
    ["binary", hex("00010203"), -188683207],
  ];
  test.each(vectors)("%s %s", (type, value, hash) => {
    expect(hashValue(value, type)).toBe(hash);
    expect(apply("bucket[16]", type, value)).toBe((hash & 0x7fffffff) % 16);
  });
  test("an int hashes as the long of the same value, so that promotion keeps buckets", () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        expect(hashValue(value, "int")).toBe(hashValue(BigInt(value), "long"));
      }),
    );
  });
});

describe("G10 truncate", () => {
  test("integers floor to the width, negatives too", () => {
    expect(apply("truncate[10]", "int", 1)).toBe(0);
    expect(apply("truncate[10]", "int", -1)).toBe(-10);
    expect(apply("truncate[10]", "long", 19n)).toBe(10n);
    expect(apply("truncate[10]", "long", -11n)).toBe(-20n);
  });
  test("decimals truncate their unscaled value", () => {
    expect(apply("truncate[50]", "decimal(9, 2)", 1065n)).toBe(1050n);
    expect(apply("truncate[50]", "decimal(9, 2)", -5n)).toBe(-50n);
  });
  test("strings are cut by code points, binaries by bytes", () => {
    expect(apply("truncate[3]", "string", "iceberg")).toBe("ice");
    expect(apply("truncate[2]", "string", "a😀b")).toBe("a😀");
    expect(apply("truncate[3]", "binary", hex("0102030405"))).toEqual(hex("010203"));
  });
  test("a byte order mark is a character of the value", () => {
    expect(apply("truncate[2]", "string", "\ufeffab")).toBe("\ufeffa");
  });
  // What Iceberg 1.11's Transforms answer, whose integers wrap.
  test("at the end of its type a value stays within it", () => {
    expect(apply("truncate[10]", "int", -(2 ** 31))).toBe(2 ** 31 - 2);
    expect(apply("truncate[10]", "long", -(2n ** 63n))).toBe(2n ** 63n - 2n);
    expect(apply("truncate[10]", "decimal(38, 0)", 1n - 10n ** 38n)).toBe(-(10n ** 38n));
  });
});

describe("G10 year, month, day, hour", () => {
  test("the spec's examples", () => {
    expect(apply("year", "date", 17486)).toBe(47);
    expect(apply("month", "date", 17486)).toBe(47 * 12 + 10);
    expect(apply("day", "timestamptz", micros("2017-11-16T22:31:08Z"))).toBe(17486);
    expect(apply("hour", "timestamptz", micros("2017-11-16T22:31:08Z"))).toBe(17486 * 24 + 22);
  });
  // What Iceberg 1.11's Transforms answer; "infinity" is PostgreSQL's, as Debezium writes it.
  test("hours beyond 32 bits wrap, as manifests hold no more", () => {
    const hours = [2n ** 63n - 1n, -(2n ** 63n), 9_223_371_331_200_000_000n].map((at) =>
      apply("hour", "timestamptz", at),
    );
    expect(hours).toEqual([-1_732_919_508, 1_732_919_507, -1_732_919_704]);
  });
  test("before 1970 values floor", () => {
    expect(apply("hour", "timestamp", -1n)).toBe(-1);
    expect(apply("day", "timestamp", -1n)).toBe(-1);
  });

  // What Iceberg 1.10's Transforms answer for Types.TimestampNanoType.
  test.each([
    [0n, 676, 0, 0, 0, 0],
    [1n, 676, 0, 0, 0, 0],
    [-1n, 712, -1, -1, -1, -1],
    [1510871468000001001n, 838, 47, 574, 17486, 419686],
    [-1510871468000001001n, 712, -48, -575, -17487, -419687],
    [1700000000123456789n, 971, 53, 646, 19675, 472222],
  ])("of %d nanoseconds", (nanos, ...expected) => {
    const transforms = ["bucket[1000]", "year", "month", "day", "hour"] as const;
    for (const type of ["timestamptz_ns", "timestamp_ns"] as const) {
      expect(transforms.map((transform) => apply(transform, type, nanos))).toEqual(expected);
    }
    expect(apply("month", "timestamp", -1n)).toBe(-1);
    expect(apply("year", "timestamp", -1n)).toBe(-1);
    expect(apply("year", "date", -366)).toBe(-2);
  });
  test("agree with JavaScript's calendar", () => {
    fc.assert(
      fc.property(fc.integer({ min: -100_000_000, max: 100_000_000 }), (day) => {
        const date = new Date(day * 86_400_000);
        expect(apply("year", "date", day)).toBe(date.getUTCFullYear() - 1970);
        expect(apply("month", "date", day)).toBe((date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth());
      }),
    );
  });
});

test("G10 null stays null, void makes null, identity keeps", () => {
  const transforms: readonly Transform[] = ["identity", "void", "year", "month", "day", "hour", "bucket[3]"];
  for (const transform of transforms) expect(apply(transform, "timestamptz", null)).toBeNull();
  expect(apply("void", "int", 7)).toBeNull();
  expect(apply("identity", "string", "x")).toBe("x");
});

test("a transform that does not fit its source is refused, with the reason", () => {
  expect(transformResultType("hour", "date")).toBeUndefined();
  expect(transformResultType("bucket[4]", "double")).toBeUndefined();
  expect(compileTransform("day", "string")).toEqual({ kind: "refused", reason: "day does not apply to string" });
  expect(compileTransform("bucket[0]", "int").kind).toBe("refused");
});
