/** Proves: jobs that share a thread, one after another, know nothing of each other, whatever became of the one before. */
import { expect, test } from "vitest";
import type { Schema } from "../../../src/table/iceberg/types.ts";
import { ThreadRewriter } from "../../../src/table/maintenance/rewrite-thread.ts";
import { Columns } from "../../../src/table/parquet/columns.ts";
import { ParquetWriter } from "../../../src/table/parquet/parquet.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { readByHyparquet } from "../parquet-readers.ts";
import { putRow } from "../rows.ts";
import { parquetOptions, roundLimits, utf8 } from "../translate-fixtures.ts";

const schema: Schema = {
  type: "struct",
  "schema-id": 0,
  fields: [{ id: 1, name: "v", required: true, type: "int" }],
};

function file(...values: readonly number[]): Uint8Array {
  const columns = new Columns(schema);
  for (const v of values) putRow(columns, { v });
  const writer = new ParquetWriter(schema, parquetOptions);
  writer.rowGroup(columns);
  return writer.finish().bytes;
}

test("a job after a finished one, after a given-up one, and beside another", async () => {
  const clock = new ManualClock();
  await using rewriter = new ThreadRewriter(roundLimits, clock);
  const begin = () => rewriter.begin({ schema, partition: [], targetFileBytes: 1 << 20 });
  const of = { path: "f", sequence: 1, firstRowId: null, partition: "" };
  const input = (bytes: Uint8Array, rows: number) => ({ ...of, bytes, rows });
  const rewritten = async (...values: readonly number[]): Promise<readonly unknown[]> => {
    await using job = begin();
    for (const value of values) expect(await job.add(input(file(value), 1))).toEqual({ kind: "added" });
    const { files } = await job.finish();
    return (await readByHyparquet(files[0]?.bytes as Uint8Array)).map((row) => row["v"]);
  };
  expect(await rewritten(1, 2)).toEqual([1, 2]);
  expect(await rewritten(3)).toEqual([3]);
  {
    await using broken = begin();
    expect(await broken.add(input(file(4), 1))).toEqual({ kind: "added" });
    expect(await broken.add(input(utf8("no Parquet"), 1))).toMatchObject({ kind: "unreadable" });
  }
  expect(await Promise.all([rewritten(5, 6), rewritten(7)])).toEqual([[5, 6], [7]]);
  clock.advance(60_000); // The idle thread has ended.
  expect(await rewritten(8)).toEqual([8]);
});
