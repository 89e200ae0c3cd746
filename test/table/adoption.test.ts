/**
 * Proves: a table that was built beside a topic's own becomes the topic's own when the settings name it, without a gap and
 * without a row twice, wherever the process dies; or it says what is missing, and how one gets out.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TableInfo } from "../../src/metadata/image.ts";
import { planAdoption } from "../../src/table/adoption.ts";
import type { TableName } from "../../src/table/catalog.ts";
import type { Compactor } from "../../src/table/compactor.ts";
import { lakeTables, retentionHold } from "../../src/table/retention-hold.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { adoptedLane } from "../../src/table/topic-table.ts";
import {
  all,
  allPlaces,
  besideTable,
  finish,
  json,
  lakeWithBeside,
  named,
  ownSettings,
  ownTable,
} from "../support/beside-lake.ts";
import { atEachStep } from "../support/each-step.ts";
import { readRows } from "../support/iceberg-reader.ts";
import { Lake, offset } from "../support/lake.ts";
import { Steps } from "../support/steps.ts";
import { verifyReport } from "../support/verified.ts";
import { tableSettings } from "./translate-fixtures.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-adoption-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function ids(lake: Lake, table: TableName): Promise<readonly number[]> {
  const metadata = (await lake.foreign().load(table))?.metadata;
  const rows = metadata === undefined ? [] : await readRows(lake.warehouse, metadata);
  return rows.map(({ id }) => Number(id)).toSorted((a, b) => a - b);
}

describe("a table that the settings name", () => {
  const upsert = tableSettings("json", { mode: { ...ownSettings.mode, write: "upsert", key: ["id"] } });

  test.each([
    ["without a key", ownSettings],
    ["with a key", upsert],
  ])("%s goes on where it ended, is proven and looked after; the one of before stays", async (_, of) => {
    const { lake, topic } = await lakeWithBeside(1, of);
    expect(await ids(lake, besideTable)).toEqual([0, 1, 2, 3, 9]);
    const { compactor } = lake.open([named(of)]);
    await compactor.flush("orders");
    await lake.produce(topic, 0, [json({ id: 5 })]);
    await compactor.flush("orders");
    const data = (await lake.files(besideTable)).filter(({ content }) => content === "data");
    expect(await ids(lake, besideTable)).toEqual([0, 1, 2, 3, 4, 5, 9, 10]);
    expect(await ids(lake, ownTable)).toEqual([0, 1, 2, 3, 4, 9, 10]);
    expect(await verifyReport(lake, compactor, { settings: named(of), directory })).toMatchObject({
      table: "sales.orders_v2",
      verdict: "equal",
      rows: 8,
      rowsProven: 8,
      findings: [],
    });
    expect(await compactor.report("orders")).toMatchObject({ table: "sales.orders_v2", state: "running", beside: [] });
    await compactor.maintain("orders");
    const after = (await lake.files(besideTable)).filter(({ content }) => content === "data");
    expect(after.length).toBeLessThan(data.length);
    expect(await ids(lake, besideTable)).toEqual([0, 1, 2, 3, 4, 5, 9, 10]);
    await compactor[Symbol.asyncDispose]();
  });

  test("while its history still comes in has both: what is new, and the rest of the history", async () => {
    const { lake } = await lakeWithBeside(2, ownSettings, { isWhole: false });
    const { compactor } = lake.open([named(ownSettings)], { roundBytesMax: 1 });
    await compactor.flush("orders");
    expect((await compactor.report("orders")).backfill).toMatchObject({ state: "running" });
    await finish(compactor);
    expect(await lake.places(besideTable)).toEqual(allPlaces);
    await compactor[Symbol.asyncDispose]();
  });

  test("holds the log from where it ended on, before it was ever looked at", async () => {
    const { lake, topic } = await lakeWithBeside(3);
    const { metadata, compactor } = lake.open([named(ownSettings)]);
    const hold = (of: TableSettings) =>
      retentionHold(metadata.image, lakeTables([of]), { topicId: topic, partition: 0 })?.upTo;
    expect([hold(ownSettings), hold(named(ownSettings))]).toEqual([5, 4]);
    await compactor[Symbol.asyncDispose]();
  });

  test("has partitions that came since, from their beginning on", async () => {
    const { lake, topic } = await lakeWithBeside(4);
    lake.grow(topic, "orders", 3);
    await lake.produce(topic, 2, [json({ id: 20 })]);
    const { compactor } = lake.open([named(ownSettings)]);
    await compactor.flush("orders");
    expect(await lake.places(besideTable)).toEqual([...allPlaces, "2:0"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("begins partitions that are made later where their log does, as every table", async () => {
    const { lake, topic } = await lakeWithBeside(12);
    const { compactor } = lake.open([named(ownSettings)]);
    await compactor.flush("orders");
    lake.grow(topic, "orders", 3);
    for (const id of [20, 21]) await lake.produce(topic, 2, [json({ id })]);
    lake.partition(topic, 2).logStart = offset(1);
    await compactor.flush("orders");
    expect(await lake.places(besideTable)).toEqual([...allPlaces, "2:1"]);
    expect((await compactor.report("orders")).state).toBe("running");
    await compactor[Symbol.asyncDispose]();
  });

  test("may be written anew: under its own next name", async () => {
    const { lake } = await lakeWithBeside(5);
    const { compactor } = lake.open([named(ownSettings)]);
    await compactor.flush("orders");
    await compactor.resume("orders", "retranslate");
    await compactor.flush("orders");
    expect((await compactor.report("orders")).table).toBe("sales.orders_v2__g2");
    expect(await lake.places({ namespace: ["sales"], name: "orders_v2__g2" })).toEqual(allPlaces);
    await compactor[Symbol.asyncDispose]();
  });
});

describe("what the log has let go of since", () => {
  async function lacking(seed: number) {
    const { lake, topic } = await lakeWithBeside(seed);
    const partition = lake.partition(topic, 0);
    await lake.produce(topic, 0, [json({ id: 5 })]);
    partition.logStart = offset(5);
    const { compactor } = lake.open([named(ownSettings)]);
    await expect(compactor.flush("orders")).rejects.toThrow(
      /records 4 to 4 of partition 0 went from the log before sales.orders_v2 became the topic's table/,
    );
    expect((await compactor.report("orders")).state).toBe("paused");
    return { lake, compactor };
  }

  test("stops it; the table of before goes on when it is named again", async () => {
    const { lake, compactor } = await lacking(6);
    await compactor[Symbol.asyncDispose]();
    const again = lake.open([ownSettings]).compactor;
    await again.flush("orders");
    expect(await lake.places(ownTable)).toEqual([...allPlaces.slice(0, 5), "0:5", ...allPlaces.slice(5)]);
    await again[Symbol.asyncDispose]();
  });

  test("stops it too where only the table of before has a partition that came since it was built", async () => {
    const { lake, topic } = await lakeWithBeside(13);
    lake.grow(topic, "orders", 3);
    for (const id of [20, 21]) await lake.produce(topic, 2, [json({ id })]);
    const { compactor: own } = lake.open([ownSettings]);
    await own.flush("orders");
    await own[Symbol.asyncDispose]();
    lake.partition(topic, 2).logStart = offset(1);
    const { compactor } = lake.open([named(ownSettings)]);
    await expect(compactor.flush("orders")).rejects.toThrow(/records 0 to 0 of partition 2 went from the log before/);
    await compactor.resume("orders", "accept");
    await compactor.flush("orders");
    expect(await lake.places(besideTable)).toEqual([...allPlaces, "2:1"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("is left out when a person says so", async () => {
    const { lake, compactor } = await lacking(7);
    await compactor.resume("orders", "accept");
    await compactor.flush("orders");
    expect(await lake.places(besideTable)).toEqual(["0:0", "0:1", "0:2", "0:3", "0:5", "1:0", "1:1"]);
    expect(await verifyReport(lake, compactor, { settings: named(ownSettings), directory })).toMatchObject({
      verdict: "equal",
    });
    await compactor[Symbol.asyncDispose]();
  });
});

describe("the table of before", () => {
  test("named again waits for a person, and goes on where it was left; then the other one waits", async () => {
    const { lake, topic } = await lakeWithBeside(8);
    const adopted = lake.open([named(ownSettings)]).compactor;
    await adopted.flush("orders");
    await adopted[Symbol.asyncDispose]();
    const back = lake.open([ownSettings]).compactor;
    await lake.produce(topic, 1, [json({ id: 11 })]);
    await expect(back.flush("orders")).rejects.toThrow(/paused: topic orders went on with sales.orders_v2/);
    await back.resume("orders", "accept");
    await back.flush("orders");
    expect(await lake.places(ownTable)).toEqual([...allPlaces, "1:2"]);
    await back[Symbol.asyncDispose]();
    const once = lake.open([named(ownSettings)]).compactor;
    await expect(once.flush("orders")).rejects.toThrow(/paused: topic orders went on with sales.orders/);
    await once[Symbol.asyncDispose]();
    expect(await lake.places(besideTable)).toEqual(allPlaces);
  });
});

describe("a table is not the topic's own", () => {
  test("before its backfill has begun", async () => {
    const lake = new Lake(9);
    const topic = lake.topic("orders", 1);
    await lake.produce(topic, 0, [json({ id: 0 })]);
    const isThere = () => [...lake.metadataLog.image.tables()].some(({ name }) => name === "sales.orders_v2");
    const start = (dying: Compactor) => dying.startBackfill("orders", all, "orders_v2");
    for (let step = 1; !isThere(); step += 1) await new Steps(lake).dieAt(step, ownSettings, {}, start);
    const { compactor } = lake.open([named(ownSettings)]);
    await expect(compactor.flush("orders")).rejects.toThrow(
      /sales.orders_v2 holds nothing of the topic yet: .* inlet table backfill orders --into sales.orders_v2/,
    );
    await compactor[Symbol.asyncDispose]();
    const again = lake.open([ownSettings]).compactor;
    await start(again);
    await finish(again);
    expect(await lake.places(besideTable)).toEqual(["0:0"]);
    await again[Symbol.asyncDispose]();
  });

  test("with another table of dead letters than it was built with", async () => {
    const { lake } = await lakeWithBeside(10);
    const { compactor } = lake.open([named(ownSettings, { deadLetterTable: "rejects" })]);
    await expect(compactor.flush("orders")).rejects.toThrow(/are in orders_v2_dlq: leave errors.dlq.table out/);
    expect((await compactor.report("orders")).trouble).toMatch(/leave errors.dlq.table out/);
    await compactor[Symbol.asyncDispose]();
  });
});

test("the broker that commits to it begins; the others follow", async () => {
  const { lake } = await lakeWithBeside(11);
  const table = [...lake.metadataLog.image.tables()].find(({ name }) => name === "sales.orders_v2") as TableInfo;
  const views = [{ partition: 1, logStart: offset(0), lastStable: offset(2) }];
  const known = {
    settings: named(ownSettings),
    views,
    tables: [...lake.metadataLog.image.tables()],
    isCommitter: false,
  };
  expect(planAdoption(table, known)).toMatchObject({
    kind: "refused",
    reason: expect.stringContaining("the broker of partition 0"),
  });
  const adopted = { ...table, lanes: new Map(table.lanes).set(adoptedLane, new Map([[0, offset(3)]])) };
  expect(planAdoption(adopted, known)).toMatchObject({
    kind: "adopts",
    events: [{ lane: adoptedLane, ranges: [{ partition: 1, from: 1, to: 1 }] }],
  });
});

atEachStep("wherever the process dies, every record is in the table once", {}, async (step) => {
  const { lake } = await lakeWithBeside(100 + step);
  const isDead = await new Steps(lake).dieAt(step, named(ownSettings), {}, (compactor) => compactor.flush("orders"));
  const { compactor } = lake.open([named(ownSettings)]);
  await compactor.flush("orders");
  expect(await lake.places(besideTable), `step ${step}`).toEqual(allPlaces);
  expect(await lake.places(ownTable)).toEqual(allPlaces);
  await compactor[Symbol.asyncDispose]();
  return isDead;
});
