/**
 * Proves: deletion vectors and Puffin files are, byte for byte, what the reference writes (golden/deletion-vectors.json, from
 * interop/DeletionVectors.java); every set of rows comes back; and damaged or lying bytes throw CorruptData only.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptData } from "../../../src/base/errors.ts";
import { decodeVector, encodeVector } from "../../../src/table/iceberg/deletion-vector.ts";
import { writePuffin } from "../../../src/table/iceberg/puffin.ts";
import { decodeRows, encodeRows } from "../../../src/table/iceberg/roaring.ts";
import { rowNumbers, vectorCases } from "./deletion-vectors.ts";

const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, "../golden/deletion-vectors.json"), "utf8"),
) as Readonly<Record<string, string>>;

const arbitraryRows = fc
  .array(fc.tuple(fc.nat(2 ** 34), fc.integer({ min: 1, max: 300 })), { maxLength: 20 })
  .map((ranges) => {
    const rows = new Set(ranges.flatMap(([from, count]) => Array.from({ length: count }, (_, index) => from + index)));
    return Float64Array.from([...rows].sort((a, b) => a - b));
  });

describe("a deletion vector", () => {
  test.each(Object.entries(vectorCases))("is the reference's: %s", (name, rows) => {
    const numbers = rowNumbers(rows);
    expect(Buffer.from(encodeVector(numbers)).toString("base64")).toBe(golden[name]);
    expect(decodeVector(Buffer.from(golden[name] as string, "base64"), "test", 2 ** 32)).toEqual(numbers);
  });

  test("any rows come back", () => {
    fc.assert(
      fc.property(arbitraryRows, (rows) => {
        expect(decodeVector(encodeVector(rows), "test", 2 ** 35)).toEqual(rows);
      }),
    );
  });

  test("a flipped bit is found", () => {
    const bytes = encodeVector(Float64Array.of(1, 5, 9));
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => decodeVector(flipped, "test", 10)).toThrow(CorruptData);
    }
  });

  test("rows that the data file has not are refused", () => {
    expect(() => decodeVector(encodeVector(Float64Array.of(1, 5)), "test", 5)).toThrow("rows in order below 5");
  });
});

describe("a set of rows from outside", () => {
  test("throws CorruptData only, and asks for no more memory than the data file has rows", () => {
    fc.assert(
      fc.property(
        arbitraryRows,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (rows, changes) => {
          const bytes = encodeRows(rows);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          try {
            const read = decodeRows(bytes, "test", 10_000);
            expect(read.length).toBeLessThanOrEqual(10_000);
          } catch (cause) {
            expect(cause).toBeInstanceOf(CorruptData);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test("a run of 2^16 rows that a file of ten has not", () => {
    const bytes = encodeRows(Float64Array.from({ length: 65_536 }, (_, row) => row));
    expect(bytes.length).toBeLessThan(40);
    expect(() => decodeRows(bytes, "test", 10)).toThrow(CorruptData);
  });
});

test("a Puffin file is the reference's, and its places are those that its footer says", () => {
  const blobs = Object.values(vectorCases).map((rows, index) => {
    const numbers = rowNumbers(rows);
    return { dataFile: `s3://lake/${index}.parquet`, cardinality: numbers.length, bytes: encodeVector(numbers) };
  });
  const { bytes, places } = writePuffin(blobs, "Inlet test");
  expect(Buffer.from(bytes).toString("base64")).toBe(golden["a Puffin file"]);
  const length = Buffer.from(bytes).readInt32LE(bytes.length - 12);
  const footer = JSON.parse(Buffer.from(bytes).toString("utf8", bytes.length - 12 - length, bytes.length - 12)) as {
    blobs: { offset: number; length: number }[];
  };
  expect(footer.blobs.map((blob) => ({ offset: blob.offset, bytes: blob.length }))).toEqual(places);
});
