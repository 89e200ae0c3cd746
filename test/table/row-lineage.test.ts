/**
 * Proves: in a table of format version 3 no row's id or the sequence number of its last change is another after files were
 * written again, more than once, with deletes in between, or after deletes became vectors; and
 * a column that has the name of one of lineage's is found.
 */
import { expect, test } from "vitest";
import { lineageConflict } from "../../src/table/maintenance/row-lineage.ts";
import { readRowsWithLineage } from "../support/iceberg-reader.ts";
import { Lake } from "../support/lake.ts";
import { seededRandom } from "../support/seeded.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const expire = { keepMs: 1e12, keepMin: 3 };
const mode = { write: "upsert", key: ["id"], envelope: "none", opField: "op", tombstone: "delete" } as const;

/** By the row's place in the topic: its id and its last change. */
async function lineage(lake: Lake): Promise<ReadonlyMap<number, string>> {
  const loaded = await lake.foreign().load(orders);
  if (loaded === undefined) throw new Error("the table is gone");
  const rows = await readRowsWithLineage(lake.warehouse, loaded.metadata);
  const ids = rows.map(({ lineage: { rowId } }) => rowId);
  expect(ids).not.toContain(null);
  expect(new Set(ids).size).toBe(ids.length);
  return new Map(
    rows.map(({ row, lineage: { rowId, updated } }) => [Number(row["_kafka_offset"]), `${rowId} ${updated}`]),
  );
}

test.each([
  ["append", tableSettings("json", { formatVersion: 3, expire })],
  ["upsert", tableSettings("json", { formatVersion: 3, expire, mode })],
])("%s: rows that are left keep theirs, whatever is maintained", async (write, settings) => {
  const seed = 31;
  const random = seededRandom(seed);
  const lake = new Lake(seed);
  const topic = lake.topic("orders", 1);
  const { compactor } = lake.open([settings], {}, { filesMin: 8, deleteFilesMin: 2, deletedRatioMin: 0.6 });
  let known: ReadonlyMap<number, string> = new Map();
  let [rewritten, vectors] = [0, 0];
  for (let turn = 0; turn < 40; turn += 1) {
    const ids = Array.from({ length: 12 }, () => `k${Math.floor(random.unit() * 60)}`);
    await lake.produce(
      topic,
      0,
      ids.map((id) => ({ key: utf8(id), value: utf8(`{"id":"${id}"}`) })),
    );
    await compactor.flush("orders");
    if (random.unit() < 0.4) {
      const report = await compactor.maintain("orders");
      expect(report.held).toBe("");
      rewritten += report.filesIn;
      vectors += report.vectorsWritten;
    }
    const now = await lineage(lake);
    for (const [offset, value] of now) expect(value, `offset ${offset}`).toBe(known.get(offset) ?? value);
    known = now;
  }
  expect(rewritten).toBeGreaterThan(0);
  if (write === "upsert") expect(vectors).toBeGreaterThan(0);
  await compactor[Symbol.asyncDispose]();
});

test("a column of somebody else's that is called _row_id is found: files could not hold both", () => {
  const field = { id: 1, name: "_row_id", required: false, type: "string" } as const;
  expect(lineageConflict({ type: "struct", "schema-id": 0, fields: [field] })).toBe("_row_id");
  expect(lineageConflict({ type: "struct", "schema-id": 0, fields: [{ ...field, name: "id" }] })).toBeUndefined();
});
