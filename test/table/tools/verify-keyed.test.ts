/** Proves: verify is satisfied with a table with a key that holds the last row of each key, and finds each way in which it may not. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Offset } from "../../../src/base/ids.ts";
import type { Compactor } from "../../../src/table/compactor.ts";
import type { TableSettings, WriteMode } from "../../../src/table/settings.ts";
import { replaceFiles, rewriteBySql } from "../../support/foreign-rewrite.ts";
import { Lake } from "../../support/lake.ts";
import { verifyReport } from "../../support/verified.ts";
import { Registry, tableSettings, utf8, withSchemaId } from "../translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-verify-keyed-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function settingsOf(changes: Partial<TableSettings> = {}, write: Partial<WriteMode> = {}): TableSettings {
  const mode = { write: "upsert", key: [], envelope: "none", opField: "op", tombstone: "delete", ...write } as const;
  return tableSettings("json", { key: { decode: "string" }, mode, ...changes });
}

interface World {
  readonly lake: Lake;
  readonly topic: ReturnType<Lake["topic"]>;
  readonly settings: TableSettings;
  compactor: Compactor;
}

/** Three commits over two partitions: keys a0 to a9 and b0 to b9, updated, some deleted, some put again. */
async function filled(seed: number, settings = settingsOf()): Promise<World> {
  const lake = new Lake(seed);
  const topic = lake.topic("orders", 2);
  const { compactor } = lake.open([settings]);
  const put = (key: string, v: number) => ({ key: utf8(key), value: utf8(JSON.stringify({ id: key, v })) });
  const drop = (key: string) => ({ key: utf8(key), value: null });
  for (const [partition, name] of ["a", "b"].entries()) {
    const all = Array.from({ length: 10 }, (_, each) => `${name}${each}`);
    await lake.produce(topic, partition, [
      ...all.map((key) => put(key, 1)),
      { key: utf8(all[0] as string), value: utf8("{no") },
    ]);
    await compactor.flush("orders");
    await lake.produce(topic, partition, [
      ...all.slice(0, 6).map((key) => put(key, 2)),
      drop(`${name}1`),
      drop(`${name}9`),
    ]);
    await compactor.flush("orders");
    await lake.produce(topic, partition, [put(`${name}9`, 3), put(`${name}0`, 3), put(`${name}0`, 4)]);
    await compactor.flush("orders");
  }
  return { lake, topic, settings, compactor };
}

async function verify({ lake, compactor, settings }: World, keysMax?: number) {
  return await verifyReport(lake, compactor, { settings, directory, ...(keysMax === undefined ? {} : { keysMax }) });
}

const kinds = (report: Awaited<ReturnType<typeof verify>>) => [...new Set(report.findings.map(({ kind }) => kind))];

/** The right rows, as an engine that reads the table with its deletes would see them. */
const right =
  "SELECT * FROM $rows QUALIFY row_number() OVER (PARTITION BY _kafka_key ORDER BY _kafka_offset DESC) = 1 AND _kafka_key NOT IN ('a1', 'b1')";

describe("a table that holds the last row of each key", () => {
  test("is equal: every row is proven, and every key has been looked for", async () => {
    const world = await filled(1);
    const report = await verify(world);
    expect(report).toMatchObject({ verdict: "equal", rows: 18, rowsProven: 18, findings: [] });
    expect(report.keyed).toMatchObject({ keys: 18, crossingKeys: 0, rowsNotProvable: 0, passes: 1 });
    expect(report.keyed?.rowsDeleted).toBe(16);
    expect(report.ranges.reduce((sum, { rows }) => sum + (rows ?? 0), 0)).toBe(18);
    expect(report.deadLetters).toMatchObject({ verdict: "equal", rows: 2 });
    await world.compactor[Symbol.asyncDispose]();
  });

  test("is equal in as many passes as its memory takes, and refused when these are too many", async () => {
    const world = await filled(2);
    const report = await verify(world, 7);
    expect(report).toMatchObject({ verdict: "equal", rows: 18, rowsProven: 18 });
    expect(report.keyed?.passes).toBeGreaterThan(3);
    expect(report.keyed).toMatchObject({ keys: 18, rowsDeleted: 16 });
    await expect(verify(world, 0)).rejects.toThrow("more keys than verification takes");
    await world.compactor[Symbol.asyncDispose]();
  });

  test.each([2, 3] as const)("is equal after its deletes were resolved, format version %i", async (formatVersion) => {
    const world = await filled(3, settingsOf({ formatVersion }));
    await world.compactor.maintain("orders");
    await world.compactor.maintain("orders");
    expect(await verify(world)).toMatchObject({ verdict: "equal", rows: 18, rowsProven: 18 });
    await world.compactor[Symbol.asyncDispose]();
  });

  test("is equal when somebody else has rewritten it", async () => {
    const world = await filled(4);
    await rewriteBySql(world.lake, right, { directory });
    expect(await verify(world)).toMatchObject({ verdict: "equal", files: 1, rows: 18, rowsProven: 18 });
    await world.compactor[Symbol.asyncDispose]();
  });

  test("is equal when its rows are known by columns, and envelopes move them", async () => {
    const lake = new Lake(5);
    const topic = lake.topic("orders", 1);
    const settings = settingsOf({}, { write: "cdc", envelope: "debezium", key: ["id"], tombstone: "ignore" });
    const { compactor } = lake.open([settings]);
    const change = (before: object | null, after: object | null, op: string) => ({
      key: utf8("k"),
      value: utf8(JSON.stringify({ before, after, op })),
    });
    await lake.produce(topic, 0, [change(null, { id: "x", v: 1 }, "c"), change(null, { id: "y", v: 1 }, "c")]);
    await compactor.flush("orders");
    await lake.produce(topic, 0, [
      change({ id: "x", v: 1 }, { id: "z", v: 2 }, "u"),
      change({ id: "y", v: 1 }, null, "d"),
    ]);
    await compactor.flush("orders");
    const report = await verify({ lake, topic, settings, compactor });
    expect(report).toMatchObject({ verdict: "equal", rows: 1, rowsProven: 1 });
    await compactor[Symbol.asyncDispose]();
  });

  test("is equal though a dead letter could be a row by now", async () => {
    const lake = new Lake(11);
    const registry = new Registry();
    const schemaOf = (properties: object) => ({
      type: "object",
      properties: { id: { type: "integer" }, ...properties },
    });
    registry.register("JSON", schemaOf({}));
    lake.schemaById = registry.schemaById;
    const topic = lake.topic("orders", 1);
    const settings = { ...settingsOf({}, { key: ["id"] }), value: tableSettings("schema-id").value };
    const { compactor } = lake.open([settings]);
    const put = (schemaId: number, value: object) => ({ value: withSchemaId(schemaId, utf8(JSON.stringify(value))) });
    await lake.produce(topic, 0, [put(1, { id: 1 }), put(2, { id: 1, place: "late" }), put(1, { id: 2 })]);
    await compactor.flush("orders");
    registry.register("JSON", schemaOf({ place: { type: "string" } }));
    const report = await verify({ lake, topic, settings, compactor });
    expect(report).toMatchObject({ verdict: "equal", rows: 2, rowsProven: 2, deadLetters: { rows: 1 } });
    await compactor[Symbol.asyncDispose]();
  });

  test("may hold the last row of any partition where its keys cross them", async () => {
    const lake = new Lake(6);
    const topic = lake.topic("orders", 2);
    const settings = settingsOf();
    const { compactor } = lake.open([settings]);
    const put = (v: number, timestamp: number) => ({ key: utf8("k"), value: utf8(JSON.stringify({ v })), timestamp });
    await lake.produce(topic, 1, [put(1, 2000)]);
    await lake.produce(topic, 0, [put(2, 1000)]);
    await compactor.flush("orders");
    const report = await verify({ lake, topic, settings, compactor });
    expect(report).toMatchObject({ verdict: "equal", rows: 1, rowsProven: 1, keyed: { crossingKeys: 1 } });
    await compactor[Symbol.asyncDispose]();
  });
});

describe("what the log has let go of", () => {
  test("while it is read makes it read again", async () => {
    const world = await filled(10);
    const partition = world.lake.partition(world.topic, 0);
    const read = partition.read.bind(partition);
    let reads = 0;
    partition.read = async (request) => {
      reads += 1;
      if (reads === 2) partition.logStart = 17 as Offset;
      return await read(request);
    };
    expect(await verify(world)).toMatchObject({ verdict: "unproven", rows: 18, findings: [] });
    await world.compactor[Symbol.asyncDispose]();
  });

  test("is not provable, and says so; a later record of the key still proves a row wrong", async () => {
    const world = await filled(7);
    world.lake.partition(world.topic, 0).logStart = 17 as Offset; // What is left of it: a1 and a9 deleted, a9 put, a0 put twice.
    const report = await verify(world);
    expect(report).toMatchObject({ verdict: "unproven", rows: 18, findings: [] });
    expect(report.keyed).toMatchObject({ rowsNotProvable: 7 });
    expect(report.ranges[0]).toMatchObject({ partition: 0, from: 0, rows: null, state: "unproven" });
    await rewriteBySql(world.lake, right.replace("_kafka_offset DESC", "_kafka_offset ASC"), { directory });
    const wrong = await verify(world);
    expect(wrong.verdict).toBe("different");
    expect(wrong.findings.find(({ sample }) => sample.includes("0:0"))).toMatchObject({ kind: "stale" });
    await world.compactor[Symbol.asyncDispose]();
  });
});

describe("what is wrong is found, and where", () => {
  const cases: readonly (readonly [name: string, sql: string, kind: string, sample: string])[] = [
    ["a lost row", `${right} AND _kafka_key <> 'a3'`, "lost", "0:14"],
    ["a row that was replaced", "SELECT * FROM $rows WHERE _kafka_key NOT IN ('a1', 'b1')", "stale", "0:0"],
    ["a row that was deleted", right.replace("('a1', 'b1')", "('b1')"), "stale", "0:1"],
    ["a row twice", `(${right}) UNION ALL (SELECT * FROM $rows WHERE _kafka_key = 'a7')`, "doubled", "0:7"],
    [
      "an altered value",
      right.replace("*", "* REPLACE (CASE WHEN _kafka_key = 'a7' THEN 9 ELSE v END AS v)"),
      "altered",
      "0:7",
    ],
    [
      "a row of nobody",
      right.replace("*", "* REPLACE (CASE WHEN _kafka_key = 'a7' THEN 'new' ELSE _kafka_key END AS _kafka_key)"),
      "foreign",
      "0:7",
    ],
  ];
  test.each(cases)("%s", async (_name, sql, kind, sample) => {
    const world = await filled(8);
    await rewriteBySql(world.lake, `SELECT * FROM (${sql}) ORDER BY _kafka_partition, _kafka_offset`, { directory });
    const report = await verify(world);
    expect(report.verdict).toBe("different");
    const found = report.findings.filter((each) => each.kind === kind);
    expect(found.flatMap((each) => each.sample)).toContain(sample);
    await world.compactor[Symbol.asyncDispose]();
  });

  test("deletes that somebody took away, and a file that is gone", async () => {
    const world = await filled(9);
    const live = await world.lake.files(orders);
    const data = live.filter(({ content }) => content === "data");
    await replaceFiles(world.lake, orders, data); // All of one sequence number, and no deletes.
    expect(kinds(await verify(world))).toEqual(["stale"]);
    await world.lake.warehouse.remove([data[0]?.file.path as string]);
    expect(kinds(await verify(world))).toEqual(expect.arrayContaining(["file-unreadable", "lost"]));
    await world.compactor[Symbol.asyncDispose]();
  });
});
