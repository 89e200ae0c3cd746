/**
 * Proves: our deletion vectors and the Puffin files around them are, byte for byte, what Iceberg's Java writes for the same
 * rows: arrays, bits and runs, on their borders and at random; and what Java writes beyond 2^32 rows is read. Takes seconds.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { decodeVector, encodeVector } from "../src/table/iceberg/deletion-vector.ts";
import { writePuffin } from "../src/table/iceberg/puffin.ts";
import { seededRandom } from "../test/support/seeded.ts";
import { type Rows, rowNumbers, rowsText, vectorCases } from "../test/table/iceberg/deletion-vectors.ts";
import { command, icebergRestServer, java } from "./tools.ts";

const seed = 8123;
const random = seededRandom(seed);

/** Of some containers, each dense, sparse or of runs. */
function randomRows(): Rows {
  const rows: (readonly [number, number])[] = [];
  const containers = 1 + Math.floor(random.unit() * 6);
  for (let container = 0; container < containers; container += 1) {
    const gap = [2, 5, 40, 3000][Math.floor(random.unit() * 4)] as number;
    const length = [1, 2, 300][Math.floor(random.unit() * 3)] as number;
    let from = container * 65_536 + Math.floor(random.unit() * gap);
    while (from < (container + 1) * 65_536) {
      const to = Math.min(from + Math.floor(random.unit() * length), (container + 1) * 65_536 - 1);
      rows.push([from, to]);
      from = to + 2 + Math.floor(random.unit() * gap);
    }
  }
  return rows;
}

async function byJava(vectors: readonly Rows[]): Promise<readonly Buffer[]> {
  const libs = await icebergRestServer();
  const output = await command(
    java(17),
    ["-Xmx512m", "-cp", join(libs, "*"), join(import.meta.dirname, "DeletionVectors.java")],
    { input: vectors.map((rows) => `${rowsText(rows)}\n`).join("") },
  );
  return output
    .trim()
    .split("\n")
    .map((line) => Buffer.from(line, "base64"));
}

test("vectors and Puffin files are those of Java", async () => {
  const vectors = [...Object.values(vectorCases), ...Array.from({ length: 30 }, randomRows)];
  const answer = await byJava(vectors);
  const blobs = vectors.map((rows, index) => {
    const numbers = rowNumbers(rows);
    const bytes = encodeVector(numbers);
    expect(Buffer.from(bytes).equals(answer[index] as Buffer), `seed ${seed}, vector ${index}`).toBe(true);
    expect(decodeVector(bytes, "test", 2 ** 32)).toEqual(numbers);
    return { dataFile: `s3://lake/${index}.parquet`, cardinality: numbers.length, bytes };
  });
  const { bytes } = writePuffin(blobs, "Inlet test");
  expect(Buffer.from(bytes).equals(answer.at(-1) as Buffer)).toBe(true);
  const golden = JSON.parse(
    readFileSync(join(import.meta.dirname, "../test/table/golden/deletion-vectors.json"), "utf8"),
  ) as Readonly<Record<string, string>>;
  for (const [index, name] of Object.keys(vectorCases).entries())
    expect(answer[index]?.toString("base64"), name).toBe(golden[name]);
});

test("rows beyond 2^32 are read", async () => {
  const far: Rows = [
    [3, 5],
    [2 ** 33 + 1, 2 ** 33 + 2],
  ];
  const [bytes] = await byJava([far]);
  expect(decodeVector(bytes as Buffer, "test", 2 ** 34)).toEqual(rowNumbers(far));
});
