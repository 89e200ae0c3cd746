/**
 * Proves: a second table is built from a topic's history while the first goes on, each record once wherever the process dies,
 * and ends where the topic ended when it was asked for.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lakeTables, retentionHold } from "../../src/table/retention-hold.ts";
import {
  all,
  besideTable,
  finish,
  firstPlaces,
  json,
  lakeWithOwn,
  ownTable,
  ownSettings as settings,
} from "../support/beside-lake.ts";
import { atEachStep } from "../support/each-step.ts";
import { replaceFiles } from "../support/foreign-rewrite.ts";
import { readRows } from "../support/iceberg-reader.ts";
import { Steps } from "../support/steps.ts";
import { verifyReport } from "../support/verified.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-beside-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("a table beside a topic's own", () => {
  test("holds what the topic held when it was asked for, and the first goes on", async () => {
    const { lake, topic, compactor } = await lakeWithOwn(1);
    const asked = await compactor.startBackfill("orders", all, "orders_v2");
    expect(asked).toMatchObject({ state: "running", records: 5, committed: 0 });
    await lake.produce(topic, 0, [json({ id: 4 })]);
    await compactor.flush("orders");
    await finish(compactor);
    await lake.produce(topic, 1, [json({ id: 5 })]);
    await compactor.flush("orders");
    await compactor.advanceBackfill("orders");
    expect(await lake.places(besideTable)).toEqual(firstPlaces);
    expect(await lake.places(ownTable)).toEqual(["0:0", "0:1", "0:2", "0:3", "0:4", "1:0", "1:1"]);
    const { beside, table } = await compactor.report("orders");
    expect(table).toBe("sales.orders");
    expect(beside).toMatchObject([{ table: "sales.orders_v2", state: "running", backfill: { state: "done" } }]);
    await expect(compactor.startBackfill("orders", all, "orders_v2")).rejects.toThrow(/holds everything/);
    await compactor[Symbol.asyncDispose]();
  });

  test("goes on after a restart, at the rate that was said", async () => {
    const { lake, compactor } = await lakeWithOwn(2, settings, { roundBytesMax: 1 });
    await compactor.startBackfill("orders", { ...all, bytesPerSecond: 1_000_000 }, "lake.orders_v2");
    await compactor.advanceBackfill("orders");
    await compactor[Symbol.asyncDispose]();
    const again = lake.open([settings], { roundBytesMax: 1 });
    const [before] = (await again.compactor.report("orders")).beside;
    expect(before).toMatchObject({
      table: "lake.orders_v2",
      backfill: { state: "running", bytesPerSecond: 1_000_000 },
    });
    await again.compactor.startBackfill("orders", all, "lake.orders_v2");
    await finish(again.compactor);
    expect(await lake.places({ namespace: ["lake"], name: "orders_v2" })).toHaveLength(5);
    await again.compactor[Symbol.asyncDispose]();
  });

  test("holds the log while it is built, until a person stops it", async () => {
    const { topic, compactor, metadata } = await lakeWithOwn(3, settings, { roundBytesMax: 1 });
    const hold = () => retentionHold(metadata.image, lakeTables([settings]), { topicId: topic, partition: 0 })?.upTo;
    expect(hold()).toBe(4);
    await compactor.startBackfill("orders", all, "orders_v2");
    expect(hold()).toBe(0);
    await compactor.stopBeside("orders", "orders_v2");
    expect(hold()).toBe(4);
    await compactor.advanceBackfill("orders");
    expect((await compactor.report("orders")).beside).toMatchObject([{ state: "paused", backfill: { translated: 0 } }]);
    await compactor.startBackfill("orders", all, "orders_v2");
    expect(hold()).toBe(0);
    await finish(compactor);
    expect(hold()).toBe(4);
    await compactor[Symbol.asyncDispose]();
  });

  test("takes no name that is another table's", async () => {
    const { lake, compactor } = await lakeWithOwn(4);
    for (const name of ["orders", "ORDERS", "sales.orders", "orders_dlq"])
      await expect(compactor.startBackfill("orders", all, name)).rejects.toThrow(/there is a table/);
    for (const name of ["", "a..b", "orders__g2", "x y"])
      await expect(compactor.startBackfill("orders", all, name)).rejects.toThrow(/no name for a table/);
    const other = lake.open([tableSettings("json", { table: "theirs" })]);
    await other.compactor.startBackfill("orders", all, "sales.mine");
    await expect(compactor.startBackfill("orders", all, "mine_dlq")).rejects.toThrow(/has a table sales.mine_dlq/);
    await expect(compactor.stopBeside("orders", "unknown")).rejects.toThrow(/no table unknown/);
    await other.compactor[Symbol.asyncDispose]();
    await compactor[Symbol.asyncDispose]();
  });

  test("may be one with a key", async () => {
    const mode = { ...settings.mode, write: "upsert", key: ["id"] } as const;
    const keyed = tableSettings("json", { begin: "latest", mode });
    const { lake, topic, compactor } = await lakeWithOwn(5, keyed);
    await lake.produce(topic, 0, [json({ id: 2, v: 2 })]);
    await compactor.startBackfill("orders", all, "orders_v2");
    await lake.produce(topic, 0, [json({ id: 1, v: 3 })]);
    await compactor.flush("orders");
    await finish(compactor);
    const metadata = (await lake.foreign().load(besideTable))?.metadata;
    const rows = metadata === undefined ? [] : await readRows(lake.warehouse, metadata);
    expect(rows.map(({ id, v }) => [Number(id), Number(v ?? 0)]).toSorted(([a = 0], [b = 0]) => a - b)).toEqual([
      [0, 0],
      [1, 0],
      [2, 2],
      [3, 0],
      [9, 0],
    ]);
    await compactor[Symbol.asyncDispose]();
  });
});

describe("a table beside a topic's own is verified", () => {
  const upsert = { ...settings.mode, write: "upsert", key: ["id"] } as const;

  test.each([
    ["without a key", settings],
    ["with a key", tableSettings("json", { mode: upsert })],
  ])("%s: over what it holds so far, when it is whole, and when rows are lost", async (_, of) => {
    const { lake, topic, compactor } = await lakeWithOwn(6, of, { roundBytesMax: 1 });
    const verify = () => verifyReport(lake, compactor, { settings: of, directory, beside: "orders_v2" });
    await lake.produce(topic, 0, [{ key: null, value: utf8("no JSON") }]);
    await compactor.startBackfill("orders", all, "orders_v2");
    await compactor.advanceBackfill("orders");
    expect(await verify()).toMatchObject({ table: "sales.orders_v2", verdict: "equal", findings: [] });
    await finish(compactor);
    await lake.produce(topic, 0, [json({ id: 77 })]); // Of the topic's own table alone.
    await compactor.flush("orders");
    const whole = await verify();
    expect(whole).toMatchObject({ verdict: "equal", rows: 5, rowsProven: 5, deadLetters: { rows: 1 } });
    const data = (await lake.files(besideTable)).filter(({ content }) => content === "data");
    await replaceFiles(lake, besideTable, data.slice(1));
    expect((await verify()).findings.map(({ kind }) => kind)).toContain("lost");
    await compactor[Symbol.asyncDispose]();
  });
});

atEachStep("wherever the process dies, every record is in the table once", { parts: 8 }, async (step) => {
  const { lake, topic, compactor: before } = await lakeWithOwn(100 + step);
  await before[Symbol.asyncDispose]();
  const limits = { roundBytesMax: 100 };
  const isDead = await new Steps(lake).dieAt(step, settings, limits, async (compactor) => {
    await compactor.startBackfill("orders", all, "orders_v2");
    await lake.produce(topic, 0, [json({ id: 7 })]);
    await compactor.flush("orders");
    await finish(compactor);
  });
  const { compactor } = lake.open([settings], limits);
  const { beside } = await compactor.report("orders");
  const isAsked = beside[0]?.backfill !== undefined && beside[0].backfill !== null;
  const end = lake.partition(topic, 0).highWatermark;
  if (!isAsked) await compactor.startBackfill("orders", all, "orders_v2");
  await compactor.flush("orders");
  await finish(compactor);
  const places = await lake.places(besideTable);
  const isLater = places.length === 6 && end === 5;
  expect(places, `step ${step}`).toEqual(isLater ? [...firstPlaces.slice(0, 4), "0:4", "1:0"] : firstPlaces);
  await compactor[Symbol.asyncDispose]();
  return isDead;
});
