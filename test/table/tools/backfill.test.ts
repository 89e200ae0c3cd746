/** Proves: history comes into a table that began behind it, each record once, wherever the process dies, and live records do not wait. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemRuntime } from "../../../src/base/runtime.ts";
import type { Compactor } from "../../../src/table/compactor.ts";
import { lakeTables, retentionHold } from "../../../src/table/retention-hold.ts";
import { atEachStep } from "../../support/each-step.ts";
import { readRows } from "../../support/iceberg-reader.ts";
import { Lake } from "../../support/lake.ts";
import { Steps } from "../../support/steps.ts";
import { verified } from "../../support/verified.ts";
import { tableSettings, utf8 } from "../translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const settings = tableSettings("json", { begin: "latest" });
const json = (value: unknown) => ({ value: utf8(JSON.stringify(value)) });
const all = { from: "earliest", bytesPerSecond: null } as const;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-backfill-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function verdict(lake: Lake, compactor: Compactor): Promise<string> {
  return verified(lake, compactor, { settings, directory });
}

/** Round after round, each with the commit that takes it along, until it is done. */
async function finish(compactor: Compactor): Promise<number> {
  for (let rounds = 0; ; rounds += 1) {
    const { backfill } = await compactor.report("orders");
    if (backfill?.state !== "running") return rounds;
    if (backfill.trouble !== null) throw new Error(backfill.trouble);
    expect(rounds).toBeLessThan(100);
    await compactor.advanceBackfill("orders");
    await compactor.flush("orders");
  }
}

async function history(lake: Lake, topic: ReturnType<Lake["topic"]>, partition: number, count: number): Promise<void> {
  for (let id = 0; id < count; id += 1) await lake.produce(topic, partition, [json({ id, [`c${id % 3}`]: id })]);
}

describe("a backfill", () => {
  test("brings what lies behind the table's beginning, and nothing else", async () => {
    const lake = new Lake(1);
    const topic = lake.topic("orders", 3);
    await history(lake, topic, 0, 4);
    await history(lake, topic, 1, 2);
    const { compactor } = lake.open([settings]);
    await compactor.flush("orders");
    expect(await lake.places(orders)).toEqual([]);
    expect(await verdict(lake, compactor)).toBe("equal");
    await history(lake, topic, 0, 1);
    await compactor.flush("orders");
    expect(await lake.places(orders)).toEqual(["0:4"]);
    expect(await compactor.startBackfill("orders", all)).toMatchObject({ state: "running", records: 6, committed: 0 });
    await finish(compactor);
    expect(await lake.places(orders)).toEqual(["0:0", "0:1", "0:2", "0:3", "0:4", "1:0", "1:1"]);
    expect(await verdict(lake, compactor)).toBe("equal");
    expect((await compactor.report("orders")).backfill).toMatchObject({ state: "done", records: 6, committed: 6 });
    await expect(compactor.startBackfill("orders", all)).rejects.toThrow(/holds everything from there on/);
    await compactor[Symbol.asyncDispose]();
  });

  test("from an offset, and later from an earlier one; live records come between its rounds", async () => {
    const lake = new Lake(2);
    const topic = lake.topic("orders", 1);
    await history(lake, topic, 0, 10);
    const { compactor } = lake.open([settings], { roundBytesMax: 1 });
    await compactor.flush("orders");
    await compactor.startBackfill("orders", { ...all, from: new Map([[0, 7]]) });
    await compactor.advanceBackfill("orders"); // Asks for the schema.
    await compactor.advanceBackfill("orders");
    await history(lake, topic, 0, 1);
    await compactor.flush("orders");
    expect(await lake.places(orders)).toEqual(["0:7", "0:10"]);
    await expect(compactor.startBackfill("orders", { ...all, from: new Map([[0, 1]]) })).rejects.toThrow(/under way/);
    await finish(compactor);
    expect(await lake.places(orders)).toEqual(["0:7", "0:8", "0:9", "0:10"]);
    expect(await verdict(lake, compactor)).toBe("equal");
    await compactor.startBackfill("orders", { ...all, from: new Map([[0, 5]]) });
    await finish(compactor);
    expect(await lake.places(orders)).toEqual(["0:5", "0:6", "0:7", "0:8", "0:9", "0:10"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("goes on after a restart where it was", async () => {
    const lake = new Lake(3);
    const topic = lake.topic("orders", 2);
    await history(lake, topic, 0, 3);
    await history(lake, topic, 1, 3);
    const first = lake.open([settings], { roundBytesMax: 1 });
    await first.compactor.startBackfill("orders", all);
    await first.compactor.advanceBackfill("orders");
    await first.compactor.advanceBackfill("orders");
    await first.compactor[Symbol.asyncDispose]();
    const second = lake.open([settings], { roundBytesMax: 1 });
    expect((await second.compactor.report("orders")).backfill).toMatchObject({ state: "running", translated: 1 });
    await finish(second.compactor);
    expect(await lake.places(orders)).toEqual(["0:0", "0:1", "0:2", "1:0", "1:1", "1:2"]);
    expect(await verdict(lake, second.compactor)).toBe("equal");
    await second.compactor[Symbol.asyncDispose]();
  });

  test("keeps its rate, which can be changed while it runs", async () => {
    // Real timers, and seconds that pass when the test says so.
    const { clock } = systemRuntime();
    let skewMs = 0;
    const now = () => clock.now() + skewMs;
    const lake = new Lake(4, { clock: { now, monotonic: now, after: (ms, callback) => clock.after(ms, callback) } });
    const topic = lake.topic("orders", 1);
    const large = "x".repeat(10_000);
    for (let id = 0; id < 6; id += 1) await lake.produce(topic, 0, [json({ large })]);
    const { compactor } = lake.open([settings], { roundBytesMax: 1 << 20 });
    await compactor.startBackfill("orders", { ...all, bytesPerSecond: 1000 });
    const translated = async () => (await compactor.report("orders")).backfill?.translated;
    await compactor.advanceBackfill("orders"); // Asks for the schema.
    await compactor.advanceBackfill("orders");
    expect(await translated()).toBe(1);
    await compactor.advanceBackfill("orders");
    skewMs += 5000;
    await compactor.advanceBackfill("orders");
    expect(await translated()).toBe(1); // Ten thousand bytes are ten seconds.
    skewMs += 6000;
    await compactor.advanceBackfill("orders");
    expect(await translated()).toBe(2);
    expect(await compactor.startBackfill("orders", { ...all, bytesPerSecond: 1_000_000 })).toMatchObject({
      bytesPerSecond: 1_000_000,
      translated: 2,
    });
    await compactor.advanceBackfill("orders");
    expect(await translated()).toBe(6);
    await compactor[Symbol.asyncDispose]();
  });

  test("leaves half of what may wait for a catalog to live records", async () => {
    const lake = new Lake(5);
    const topic = lake.topic("orders", 1);
    await history(lake, topic, 0, 20);
    const { compactor } = lake.open([settings], { roundBytesMax: 1, pendingRoundsMax: 8 });
    await compactor.startBackfill("orders", all);
    for (let turn = 0; turn < 20; turn += 1) await compactor.advanceBackfill("orders");
    expect([...compactor.tables()][0]?.table?.pending).toHaveLength(4);
    await compactor[Symbol.asyncDispose]();
  });

  test("stops at a record that policy suspend stops at, and the table does not", async () => {
    const lake = new Lake(6);
    const topic = lake.topic("orders", 1);
    await lake.produce(topic, 0, [json({ id: 0 }), { value: utf8("{") }]);
    const errors = { policy: "suspend", deadLetterTable: "" } as const;
    const { compactor } = lake.open([tableSettings("json", { begin: "latest", errors })]);
    await compactor.startBackfill("orders", all);
    await compactor.advanceBackfill("orders");
    await compactor.advanceBackfill("orders");
    await lake.produce(topic, 0, [json({ id: 2 })]);
    await compactor.flush("orders");
    const { state, backfill } = await compactor.report("orders");
    expect(state).toBe("running");
    expect(backfill).toMatchObject({ committed: 1, trouble: expect.stringContaining("partition 0 offset 1") });
    expect(await lake.places(orders)).toEqual(["0:0", "0:2"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("is not for tables from the topic's start", async () => {
    const lake = new Lake(7);
    lake.topic("orders", 1);
    const plain = lake.open([tableSettings("json")]);
    await expect(plain.compactor.startBackfill("orders", all)).rejects.toThrow(/nothing lies behind it/);
    await plain.compactor[Symbol.asyncDispose]();
  });

  test("can be a table beside it, from the log's start whatever its settings say", async () => {
    const lake = new Lake(10);
    const topic = lake.topic("orders", 1);
    const upsert = { ...settings.mode, write: "upsert", key: ["id"] } as const;
    const keyed = tableSettings("json", { begin: "latest", mode: upsert });
    const row = (id: string, v: number) => ({ value: utf8(JSON.stringify({ id, v })) });
    await lake.produce(topic, 0, [row("a", 1), row("b", 1)]);
    const { compactor } = lake.open([keyed]);
    await compactor.flush("orders");
    await lake.produce(topic, 0, [row("a", 2)]);
    await compactor.flush("orders");
    await compactor.resume("orders", "retranslate");
    await lake.produce(topic, 0, [row("c", 3)]);
    await compactor.flush("orders");
    const beside = { namespace: ["sales"], name: "orders__g2" };
    const metadata = (await lake.foreign().load(beside))?.metadata;
    const rows = metadata === undefined ? [] : await readRows(lake.warehouse, metadata);
    expect(new Map(rows.map((each) => [each["id"], each["v"]]))).toEqual(
      new Map([
        ["a", 2],
        ["b", 1],
        ["c", 3],
      ]),
    );
    expect(await verified(lake, compactor, { settings: keyed, directory })).toBe("equal");
    await compactor[Symbol.asyncDispose]();
  });

  test("holds the log that it still needs, and counts what is gone all the same", async () => {
    const lake = new Lake(9);
    const topic = lake.topic("orders", 1);
    await history(lake, topic, 0, 6);
    const { compactor, metadata } = lake.open([settings], { roundBytesMax: 1 });
    const hold = () => retentionHold(metadata.image, lakeTables([settings]), { topicId: topic, partition: 0 })?.upTo;
    await compactor.flush("orders");
    expect(hold()).toBe(6);
    await compactor.startBackfill("orders", { ...all, from: new Map([[0, 1]]) });
    expect(hold()).toBe(1);
    await compactor.advanceBackfill("orders");
    await compactor.advanceBackfill("orders");
    await compactor.flush("orders");
    expect(hold()).toBe(2);
    lake.partition(topic, 0).logStart = 4 as never; // Records were deleted by hand.
    await finish(compactor);
    expect(await lake.places(orders)).toEqual(["0:1", "0:4", "0:5"]);
    expect(hold()).toBe(6);
    expect(await verdict(lake, compactor)).toBe("equal");
    await compactor[Symbol.asyncDispose]();
  });
});

atEachStep("wherever the process dies, every record is in the table once", { parts: 8 }, async (step) => {
  const lake = new Lake(100 + step);
  const topic = lake.topic("orders", 2);
  await history(lake, topic, 0, 3);
  await history(lake, topic, 1, 1);
  const limits = { roundBytesMax: 100 };
  const isDead = await new Steps(lake).dieAt(step, settings, limits, async (compactor) => {
    await compactor.startBackfill("orders", all);
    await compactor.advanceBackfill("orders");
    await compactor.advanceBackfill("orders");
    await lake.produce(topic, 1, [json({ id: 9 })]);
    await compactor.flush("orders");
    await finish(compactor);
  });
  const { compactor } = lake.open([settings], limits);
  await compactor.flush("orders");
  const { backfill } = await compactor.report("orders");
  if (backfill === null) await compactor.startBackfill("orders", all);
  await finish(compactor);
  const live = lake.partition(topic, 1).highWatermark === 2 ? ["1:1"] : [];
  expect(await lake.places(orders), `step ${step}`).toEqual(["0:0", "0:1", "0:2", "1:0", ...live]);
  if (step % 17 === 0) expect(await verdict(lake, compactor), `step ${step}`).toBe("equal");
  await compactor[Symbol.asyncDispose]();
  return isDead;
});
