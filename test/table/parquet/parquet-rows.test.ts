/** Proves: rows come back from Parquet exactly, by field id at every level, from our files and from those that others made of them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemRuntime } from "../../../src/base/runtime.ts";
import type { IcebergType, Schema } from "../../../src/table/iceberg/types.ts";
import { Columns } from "../../../src/table/parquet/columns.ts";
import { ParquetWriter } from "../../../src/table/parquet/parquet.ts";
import { ParquetReader, UnfitFile } from "../../../src/table/parquet/parquet-reader.ts";
import { ParquetRows } from "../../../src/table/parquet/parquet-rows.ts";
import { addDigests, type Digests, digestRows, noDigests } from "../../../src/table/tools/digest.ts";
import { randomTable } from "../parquet-arbitrary.ts";
import { putRow, type Value } from "../rows.ts";
import { parquetOptions } from "../translate-fixtures.ts";

const place = { partition: 1001, offset: 1002 };
const own: Schema["fields"] = [
  { id: 1001, name: "p", required: true, type: "int" },
  { id: 1002, name: "o", required: true, type: "long" },
];

let directory: string;
let reader: ParquetRows;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "inlet-rows-"));
  const limits = { engineBytesMax: 256 * 2 ** 20, engineThreads: 2 };
  reader = await ParquetRows.open({ clock: systemRuntime().clock, limits });
});
afterAll(async () => {
  await reader[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

type Row = { readonly [name: string]: Value };

function write(path: string, schema: Schema, rows: readonly Row[]): Digests {
  const columns = new Columns(schema);
  const from = columns.mark();
  for (const row of rows) putRow(columns, row);
  const digests = digestRows(columns, from, place);
  const writer = new ParquetWriter(schema, parquetOptions);
  writer.rowGroup(columns);
  writeFileSync(path, writer.finish().bytes);
  return digests;
}

async function digestsOf(path: string, schema: Schema): Promise<Digests> {
  let digests = noDigests;
  for await (const columns of reader.read(path, schema, path)) {
    const from = { rows: 0, slots: columns.leaves.map(() => 0) };
    digests = addDigests(digests, digestRows(columns, from, place));
  }
  return digests;
}

/** By the reader that rewrites use: two that share nothing must not differ. undefined: it does not take the file. */
function digestsByRewriter(path: string, schema: Schema): Digests | undefined {
  const columns = new Columns(schema);
  const from = columns.mark();
  const file = new ParquetReader(readFileSync(path), path);
  try {
    for (let group = 0; group < file.rowGroups; group += 1) file.readInto(columns, group);
  } catch (cause) {
    if (cause instanceof UnfitFile) return undefined;
    throw cause;
  }
  return digestRows(columns, from, place);
}

/** For DuckDB, which writes no ids of its own accord. */
function fieldIds(fields: Schema["fields"]): string {
  const one = (id: number, type: IcebergType): string => {
    if (typeof type === "string") return String(id);
    switch (type.type) {
      case "struct":
        return `{__duckdb_field_id: ${id}, ${type.fields.map((field) => `"${field.name}": ${one(field.id, field.type)}`).join(", ")}}`;
      case "list":
        return `{__duckdb_field_id: ${id}, element: ${one(type["element-id"], type.element)}}`;
      case "map":
        return `{__duckdb_field_id: ${id}, key: ${one(type["key-id"], type.key)}, value: ${one(type["value-id"], type.value)}}`;
    }
  };
  return `{${fields.map((field) => `"${field.name}": ${one(field.id, field.type)}`).join(", ")}}`;
}

const sorted = (digests: Digests) => [...digests].sort(([a], [b]) => a - b);

test("any table, ours and rewritten in another order with other encodings, has the digests of its translation", async () => {
  const duckdb = await DuckDBInstance.create();
  const connection = await duckdb.connect();
  let tables = 0;
  let agreed = 0;
  await fc.assert(
    fc.asyncProperty(randomTable(40), async ({ schema: random, rows: values }) => {
      tables += 1; // DuckDB remembers files by their name.
      const path = join(directory, `ours-${tables}.parquet`);
      const rewritten = join(directory, `theirs-${tables}.parquet`);
      const schema = { ...random, fields: [...own, ...random.fields] };
      const rows = values.map((row, at) => ({ p: at % 3, o: BigInt(at) * 2n ** 40n, ...row }));
      const digests = sorted(write(path, schema, rows));
      expect(sorted(await digestsOf(path, schema))).toEqual(digests);
      expect([schema, await reader.isOfSchema(path, schema, path)]).toEqual([schema, true]);
      const [, , first, ...others] = schema.fields as [unknown, unknown, Schema["fields"][number]];
      const changed = { ...schema, fields: [...own, { ...first, name: "renamed" }, ...others] };
      expect(await reader.isOfSchema(path, changed, path)).toBe(false);
      await connection.run(
        `COPY (SELECT * FROM '${path}' ORDER BY o DESC) TO '${rewritten}' (PARQUET_VERSION V2, COMPRESSION snappy, FIELD_IDS ${fieldIds(schema.fields)})`,
      );
      expect(sorted(await digestsOf(rewritten, schema))).toEqual(digests);
      expect(sorted(digestsByRewriter(path, schema) ?? noDigests)).toEqual(digests);
      const foreign = digestsByRewriter(rewritten, schema);
      if (foreign !== undefined) {
        expect(sorted(foreign)).toEqual(digests);
        agreed += 1;
      }
    }),
    { numRuns: 40 },
  );
  expect(agreed).toBeGreaterThan(10); // DuckDB writes a fixed as bytes of any length, which the rewriter refuses.
  connection.closeSync();
  duckdb.closeSync();
}, 60_000);

test("a renamed, moved and widened schema reads old files, what they lack is absent", async () => {
  const path = join(directory, "old.parquet");
  const item = (fields: Schema["fields"]) =>
    ({ type: "list", "element-id": 4, "element-required": false, element: { type: "struct", fields } }) as const;
  const old: Schema = {
    type: "struct",
    "schema-id": 0,
    fields: [
      ...own,
      { id: 2, name: "a", required: false, type: "int" },
      { id: 3, name: "l", required: false, type: item([{ id: 5, name: "x", required: false, type: "float" }]) },
    ],
  };
  const digests = write(path, old, [{ p: 0, o: 1n, a: 7, l: [{ x: 1.5 }, null, { x: null }] }]);
  const renamed: Schema["fields"] = [
    { id: 6, name: "x", required: false, type: "string" },
    { id: 5, name: "y", required: false, type: "double" },
  ];
  const now: Schema = {
    type: "struct",
    "schema-id": 1,
    fields: [
      { id: 9, name: "a", required: false, type: "string" },
      { id: 3, name: "m", required: false, type: item(renamed) },
      { id: 2, name: "b", required: false, type: "long" },
      ...own,
    ],
  };
  const read = await digestsOf(path, now);
  for (const [id, digest] of digests) expect([id, read.get(id)]).toEqual([id, digest]);
  for (const id of [9, 6]) expect(read.get(id)).toEqual([0, 0]);
});

test("what is no Parquet, or lacks the place of its rows, is corrupt", async () => {
  const path = join(directory, "none.parquet");
  const schema: Schema = { type: "struct", "schema-id": 0, fields: own };
  writeFileSync(path, "PAR1 is not enough");
  await expect(digestsOf(path, schema)).rejects.toMatchObject({ name: "CorruptData" });
  const other: Schema = {
    type: "struct",
    "schema-id": 0,
    fields: own.map((field) => ({ ...field, id: field.id + 5000 })),
  };
  const columns = new Columns(other);
  putRow(columns, { p: 0, o: 0n });
  const writer = new ParquetWriter(other, parquetOptions);
  writer.rowGroup(columns);
  writeFileSync(path, writer.finish().bytes);
  await expect(digestsOf(path, schema)).rejects.toMatchObject({ name: "CorruptData" });
});
