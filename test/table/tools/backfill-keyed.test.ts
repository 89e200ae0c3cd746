/** Proves: history that comes into a table with a key takes the place of nothing that came later, and each end of it is told. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Compactor } from "../../../src/table/compactor.ts";
import { readRows } from "../../support/iceberg-reader.ts";
import { Lake } from "../../support/lake.ts";
import { verified } from "../../support/verified.ts";
import { Registry, tableSettings, utf8, withSchemaId } from "../translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const all = { from: "earliest", bytesPerSecond: null } as const;
const never = new AbortController().signal;
const settings = tableSettings("schema-id", {
  begin: "latest",
  key: { decode: "string" },
  mode: { write: "upsert", key: [], envelope: "none", opField: "op", tombstone: "delete" },
});
const schema = { type: "object", properties: { v: { type: "integer" } } };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-backfill-keyed-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Schema 1 is registered, the next one will be. */
function world(seed: number) {
  const lake = new Lake(seed);
  const registry = new Registry();
  registry.register("JSON", schema);
  lake.schemaById = registry.schemaById;
  const topic = lake.topic("orders", 1);
  const put = (key: string, v: number, { schemaId = 1, partition = 0 } = {}) =>
    lake.produce(topic, partition, [{ key: utf8(key), value: withSchemaId(schemaId, utf8(JSON.stringify({ v }))) }]);
  const drop = (key: string) => lake.produce(topic, 0, [{ key: utf8(key), value: null }]);
  return { lake, topic, put, drop, repair: () => registry.register("JSON", schema) };
}

async function finish(compactor: Compactor): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) {
    const { backfill } = await compactor.report("orders");
    if (backfill?.state !== "running") return;
    if (backfill.trouble !== null) throw new Error(backfill.trouble);
    await compactor.advanceBackfill("orders");
    await compactor.flush("orders");
  }
  throw new Error("the backfill does not end");
}

/** "key:v" of each row, deletes applied. */
async function rows(lake: Lake): Promise<readonly string[]> {
  const loaded = await lake.foreign().load(orders);
  const found = loaded === undefined ? [] : await readRows(lake.warehouse, loaded.metadata);
  return found.map((row) => `${row["_kafka_key"] as string}:${Number(row["v"])}`).toSorted();
}

describe("a backfill of a table with a key", () => {
  test("brings rows and deletions of keys that nothing later touches", async () => {
    const { lake, put, drop } = world(1);
    for (const key of ["a", "b", "c", "d", "d"]) await put(key, 1);
    await drop("c");
    const { compactor } = lake.open([settings], { roundBytesMax: 200 });
    await compactor.flush("orders");
    await put("b", 2);
    await put("e", 2);
    await drop("d");
    await compactor.flush("orders");
    expect(await rows(lake)).toEqual(["b:2", "e:2"]);
    await compactor.startBackfill("orders", all);
    await put("a", 3); // While it runs.
    await finish(compactor);
    expect(await rows(lake)).toEqual(["a:3", "b:2", "e:2"]);
    expect(await verified(lake, compactor, { settings, directory })).toBe("equal");
    await compactor[Symbol.asyncDispose]();
  });

  test("sees letters that became rows while it runs", async () => {
    const { lake, put, repair } = world(2);
    await put("a", 1);
    await put("b", 1);
    const { compactor } = lake.open([settings], { roundBytesMax: 1 });
    await compactor.flush("orders");
    await put("b", 2, { schemaId: 2 }); // A letter.
    await compactor.flush("orders");
    await compactor.startBackfill("orders", all);
    const translated = async () => (await compactor.report("orders")).backfill?.translated;
    for (let turn = 0; (await translated()) !== 1; turn += 1) {
      expect(turn).toBeLessThan(10);
      await compactor.advanceBackfill("orders");
    }
    repair();
    expect(await compactor.replay("orders", never)).toMatchObject({ rows: 1 });
    await finish(compactor);
    expect(await rows(lake)).toEqual(["a:1", "b:2"]);
    expect(await verified(lake, compactor, { settings, directory })).toBe("equal");
    await compactor[Symbol.asyncDispose]();
  });

  test("sees keys that went to partitions which came later", async () => {
    const { lake, topic, put } = world(5);
    await put("a", 1);
    await put("b", 1);
    const { compactor } = lake.open([settings]);
    await compactor.flush("orders");
    lake.grow(topic, "orders", 3);
    await put("a", 2, { partition: 1 });
    await compactor.flush("orders");
    await compactor.startBackfill("orders", all);
    await put("b", 3, { partition: 2 });
    await finish(compactor);
    expect(await rows(lake)).toEqual(["a:2", "b:3"]);
    expect(await verified(lake, compactor, { settings, directory })).toBe("equal");
    await compactor[Symbol.asyncDispose]();
  });

  test("does not wait for letters that could be rows and are none", async () => {
    const { lake, put, repair } = world(3);
    await put("a", 1);
    const { compactor } = lake.open([settings]);
    await compactor.flush("orders");
    await put("a", 2, { schemaId: 2 });
    await compactor.flush("orders");
    repair();
    await compactor.resume("orders", "accept"); // From here on the schema is asked for again.
    await compactor.startBackfill("orders", all);
    await finish(compactor);
    expect(await rows(lake)).toEqual(["a:1"]);
    expect(await verified(lake, compactor, { settings, directory })).toBe("equal");
    expect(await compactor.replay("orders", never)).toMatchObject({ rows: 1 });
    expect(await rows(lake)).toEqual(["a:2"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("stops where later keys are more than it may remember, and says so", async () => {
    const { lake, put } = world(4);
    await put("a", 1);
    const { compactor } = lake.open([settings], { backfillKeysMax: 2 });
    await compactor.flush("orders");
    for (const key of ["b", "c", "d"]) await put(key, 1);
    await compactor.flush("orders");
    await compactor.startBackfill("orders", all);
    await expect(finish(compactor)).rejects.toThrow(/more keys than table.backfill.keys.max, 2; inlet table resume/);
    await put("e", 1);
    await compactor.flush("orders");
    expect(await rows(lake)).toEqual(["b:1", "c:1", "d:1", "e:1"]);
    await compactor[Symbol.asyncDispose]();
  });
});
