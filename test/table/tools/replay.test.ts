/** Proves: dead letters that can be rows by now become rows where they stood, each once, wherever the process dies in between. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Compactor } from "../../../src/table/compactor.ts";
import { Columns } from "../../../src/table/parquet/columns.ts";
import { ParquetWriter } from "../../../src/table/parquet/parquet.ts";
import { ParquetReader } from "../../../src/table/parquet/parquet-reader.ts";
import type { TableSettings } from "../../../src/table/settings.ts";
import type { ReplayReport } from "../../../src/table/tools/replay.ts";
import { deadLetterSchema } from "../../../src/table/translate/dead-letters.ts";
import { atEachStep } from "../../support/each-step.ts";
import { readRows } from "../../support/iceberg-reader.ts";
import { Lake } from "../../support/lake.ts";
import { Steps } from "../../support/steps.ts";
import { verified } from "../../support/verified.ts";
import { parquetOptions, Registry, tableSettings, utf8, withSchemaId } from "../translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const letters = { namespace: ["sales"], name: "orders_dlq" };
const letterColumns = { partition: "partition", offset: "offset" };
const settings = tableSettings("schema-id");
const keyed = tableSettings("schema-id", {
  key: { decode: "json" },
  mode: { ...settings.mode, write: "upsert", key: ["id"] },
});
const never = new AbortController().signal;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-replay-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const known = { type: "object", properties: { id: { type: "integer" } } };
const late = { type: "object", properties: { id: { type: "integer" }, place: { type: "string" } } };

/** Schema 1 is registered, schema 2 will be; 7 never is. */
function world(seed: number, partitions = 2) {
  const lake = new Lake(seed);
  const registry = new Registry();
  registry.register("JSON", known);
  lake.schemaById = registry.schemaById;
  const topic = lake.topic("orders", partitions);
  const record = (schemaId: number, value: { readonly id?: number; readonly place?: string }) => ({
    key: utf8(JSON.stringify({ id: value.id })),
    headers: [{ key: utf8("trace"), value: utf8("abc") }],
    value: withSchemaId(schemaId, utf8(JSON.stringify(value))),
  });
  return { lake, topic, record, repair: () => registry.register("JSON", late) };
}

function replay(compactor: Compactor): Promise<ReplayReport> {
  return compactor.replay("orders", never);
}

function verdict(lake: Lake, compactor: Compactor, of: TableSettings = settings): Promise<string> {
  return verified(lake, compactor, { settings: of, directory });
}

/** "id place" of each row, deletes applied. */
async function keyedRows(lake: Lake): Promise<readonly string[]> {
  const loaded = await lake.foreign().load(orders);
  const rows = loaded === undefined ? [] : await readRows(lake.warehouse, loaded.metadata);
  return rows.map(({ id, place }) => `${String(id)} ${typeof place === "string" ? place : "null"}`).toSorted();
}

describe("a replay", () => {
  test("makes rows of letters whose schema has come, columns it brings included, and tells what still fails", async () => {
    const { lake, topic, record, repair } = world(1);
    await lake.produce(topic, 0, [record(1, { id: 1 }), record(2, { id: 2, place: "here" }), record(7, {})]);
    await lake.produce(topic, 1, [
      { value: utf8("no id") },
      record(2, { id: 4, place: "there" }),
      record(1, { id: 5 }),
    ]);
    const { compactor } = lake.open([settings]);
    await compactor.flush("orders");
    expect(await lake.places(orders)).toEqual(["0:0", "1:2"]);
    expect(await replay(compactor)).toMatchObject({ letters: 4, rows: 0, rowsBefore: 0 });
    repair();
    expect(await replay(compactor)).toEqual({
      letters: 4,
      rows: 2,
      rowsBefore: 0,
      superseded: 0,
      undecided: { records: 0, samples: [] },
      applied: { records: 0, samples: [] },
      failing: [
        { reason: "schema-refused", records: 1, samples: [expect.stringContaining("0:2 ")] },
        { reason: "no-schema-id", records: 1, samples: [expect.stringContaining("1:0 ")] },
      ],
    });
    const rows = await lake.rows(orders);
    expect(rows.find(({ id }) => Number(id) === 2)).toMatchObject({
      _kafka_partition: 0,
      _kafka_offset: 1n,
      _kafka_headers: [{ key: "trace", value: expect.anything() }],
      place: "here",
    });
    expect(await lake.places(orders)).toEqual(["0:0", "0:1", "1:1", "1:2"]);
    expect(await lake.places(letters, letterColumns)).toEqual(["0:1", "0:2", "1:0", "1:1"]);
    expect(await verdict(lake, compactor)).toBe("equal");
    await compactor[Symbol.asyncDispose]();
  });

  test("adds nothing the second time, after a restart either, and goes on with letters that came since", async () => {
    const { lake, topic, record, repair } = world(2);
    await lake.produce(topic, 0, [record(2, { id: 0, place: "a" }), record(1, { id: 1 })]);
    const first = lake.open([settings]);
    await first.compactor.flush("orders");
    repair();
    expect(await replay(first.compactor)).toMatchObject({ rows: 1 });
    expect(await replay(first.compactor)).toMatchObject({ letters: 1, rows: 0, rowsBefore: 1, failing: [] });
    await lake.produce(topic, 0, [record(3, { id: 2 }), record(2, { id: 3, place: "b" })]);
    await first.compactor[Symbol.asyncDispose]();
    const second = lake.open([settings]);
    await second.compactor.flush("orders");
    expect(await replay(second.compactor)).toMatchObject({ letters: 2, rows: 0, rowsBefore: 1 });
    repair();
    expect(await replay(second.compactor)).toMatchObject({ letters: 2, rows: 1, rowsBefore: 1, failing: [] });
    expect(await lake.places(orders)).toEqual(["0:0", "0:1", "0:2", "0:3"]);
    expect(await verdict(lake, second.compactor)).toBe("equal");
    await second.compactor[Symbol.asyncDispose]();
  });

  test("takes letters from their table, when the log has let go of them too", async () => {
    const { lake, topic, record, repair } = world(3);
    await lake.produce(topic, 0, [record(2, { id: 0, place: "a" })]);
    await lake.produce(topic, 0, [record(1, { id: 1 })]);
    const { compactor } = lake.open([settings]);
    await compactor.flush("orders");
    lake.partition(topic, 0).logStart = 2 as never;
    repair();
    expect(await replay(compactor)).toMatchObject({ rows: 1 });
    expect(await lake.places(orders)).toEqual(["0:0", "0:1"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("makes one row of a letter that somebody put there twice, in one file too", async () => {
    const { lake, topic, record, repair } = world(12);
    await lake.produce(topic, 0, [record(2, { id: 0, place: "a" }), record(2, { id: 1, place: "b" })]);
    const { compactor } = lake.open([settings]);
    await compactor.flush("orders");
    repair();
    const [file] = await lake.files(letters);
    const path = file?.file.path ?? "";
    const reader = new ParquetReader(await lake.warehouse.read(path), path);
    const twice = new Columns(deadLetterSchema);
    for (let time = 0; time < 2; time += 1) reader.readInto(twice, 0);
    const writer = new ParquetWriter(deadLetterSchema, parquetOptions);
    writer.rowGroup(twice);
    // As an engine leaves it that joins files.
    await lake.store.put(path.slice(`${lake.root}/`.length), writer.finish().bytes);
    expect(await replay(compactor)).toMatchObject({ letters: 2, rows: 2, failing: [] });
    expect(await lake.places(orders)).toEqual(["0:0", "0:1"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("in rounds of a bounded size", async () => {
    const { lake, topic, record, repair } = world(4);
    const many = Array.from({ length: 30 }, (_, id) => record(id % 3 === 0 ? 1 : 2, { id, place: "x".repeat(100) }));
    for (const one of many) await lake.produce(topic, 1, [one]);
    const { compactor, metadata } = lake.open([settings], { roundBytesMax: 500 });
    await compactor.flush("orders");
    repair();
    let rounds = 0;
    metadata.onPropose = (events) => {
      rounds += events.filter((event) => event.kind === "add-table-round").length;
    };
    const told: number[] = [];
    await compactor.replay("orders", never, { progress: ({ rows }) => told.push(rows) });
    expect(rounds).toBeGreaterThan(2);
    expect(told.at(-1)).toBe(20);
    expect(await lake.places(orders)).toEqual(many.map((_, offset) => `1:${offset}`));
    expect(await verdict(lake, compactor)).toBe("equal");
    await compactor[Symbol.asyncDispose]();
  });

  test("is refused with its rows when another run was faster", async () => {
    const { lake, topic, record, repair } = world(5);
    await lake.produce(topic, 0, [record(2, { id: 0, place: "a" })]);
    const slow = lake.open([settings]);
    await slow.compactor.flush("orders");
    const fast = lake.open([settings]);
    repair();
    let isFirst = true;
    // The slow one has uploaded its set, and not yet proposed it.
    const propose = slow.metadata.propose.bind(slow.metadata);
    slow.metadata.propose = async (events) => {
      if (isFirst && events.some((event) => event.kind === "add-table-round")) {
        isFirst = false;
        expect(await replay(fast.compactor)).toMatchObject({ rows: 1 });
      }
      return await propose(events);
    };
    await expect(replay(slow.compactor)).rejects.toThrow(/changed meanwhile/);
    expect(await lake.places(orders)).toEqual(["0:0"]);
    expect(await verdict(lake, fast.compactor)).toBe("equal");
    await slow.compactor[Symbol.asyncDispose]();
    await fast.compactor[Symbol.asyncDispose]();
  });

  test("of a table with a key makes rows of letters that are still the last of their keys", async () => {
    const { lake, topic, record, repair } = world(6);
    await lake.produce(topic, 0, [
      record(1, { id: 1 }),
      record(2, { id: 1, place: "replaces" }),
      record(2, { id: 2, place: "too early" }),
      record(1, { id: 2 }),
      record(2, { id: 3, place: "deleted" }),
      { key: utf8('{"id":3}'), value: null },
      record(2, { id: 4, place: "new" }),
    ]);
    await lake.produce(topic, 1, [record(2, { id: 5, place: "of another partition" })]);
    const { compactor } = lake.open([keyed]);
    await compactor.flush("orders");
    repair();
    const expected = { letters: 5, rows: 3, rowsBefore: 0, superseded: 2, undecided: { records: 0, samples: [] } };
    expect(await replay(compactor)).toEqual({ ...expected, applied: { records: 0, samples: [] }, failing: [] });
    expect(await keyedRows(lake)).toEqual(["1 replaces", "2 null", "4 new", "5 of another partition"]);
    expect(await verdict(lake, compactor, keyed)).toBe("equal");
    expect(await replay(compactor)).toMatchObject({ rows: 0, rowsBefore: 3, superseded: 2 });
    await compactor[Symbol.asyncDispose]();
  });

  test("of a table with a key decides nothing that the log does not say any more", async () => {
    const { lake, topic, record, repair } = world(9);
    await lake.produce(topic, 0, [record(2, { id: 1, place: "gone" }), record(2, { id: 2, place: "gone" })]);
    await lake.produce(topic, 0, [{ key: utf8('{"id":1}'), value: null }]);
    await lake.produce(topic, 0, [record(1, { id: 2 }), record(2, { id: 3, place: "there" })]);
    const { compactor } = lake.open([keyed]);
    await compactor.flush("orders");
    lake.partition(topic, 0).logStart = 3 as never;
    repair();
    expect(await replay(compactor)).toMatchObject({
      rows: 1,
      superseded: 1,
      undecided: { records: 1, samples: ["0:0"] },
    });
    expect(await keyedRows(lake)).toEqual(["2 null", "3 there"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("applies what nobody can decide on where a person says so, and what came after it and is gone counts for nothing", async () => {
    const { lake, topic, record, repair } = world(11);
    await lake.produce(topic, 0, [record(2, { id: 1, place: "gone" }), record(2, { id: 2, place: "gone" })]);
    await lake.produce(topic, 0, [{ key: utf8('{"id":1}'), value: null }, record(2, { id: 3, place: "old" })]);
    await lake.produce(topic, 0, [record(1, { id: 3 }), record(1, { id: 2 }), record(2, { id: 4, place: "there" })]);
    const { compactor } = lake.open([keyed]);
    await compactor.flush("orders");
    lake.partition(topic, 0).logStart = 5 as never;
    repair();
    expect(await replay(compactor)).toMatchObject({ rows: 1, superseded: 1, undecided: { records: 2 } });
    expect(await keyedRows(lake)).toEqual(["2 null", "3 null", "4 there"]);
    expect(await compactor.replay("orders", never, { undecided: "apply" })).toMatchObject({
      rows: 2,
      rowsBefore: 1,
      superseded: 1, // The log tells it still.
      undecided: { records: 0 },
      applied: { records: 2, samples: ["0:0", "0:3"] },
    });
    // What is given up: a deletion, and a newer row.
    expect(await keyedRows(lake)).toEqual(["1 gone", "2 null", "3 old", "4 there"]);
    expect(await verdict(lake, compactor, keyed)).toBe("unproven");
    expect(await compactor.replay("orders", never, { undecided: "apply" })).toMatchObject({ rows: 0, rowsBefore: 3 });
    await compactor[Symbol.asyncDispose]();
  });

  test.each([
    ["rounds", false],
    ["runs", true],
  ])("applies of several undecided letters of a key the last, whatever %s they are in", async (_, dies) => {
    const { lake, topic, record, repair } = world(12);
    const { compactor, metadata } = lake.open([keyed], { roundBytesMax: 1 });
    for (const place of ["first", "second", "third"]) {
      await lake.produce(topic, 0, [{ ...record(2, { id: 1, place }), timestamp: 1000 }]);
      await compactor.flush("orders"); // A file of letters each.
    }
    await lake.produce(topic, 1, [{ ...record(2, { id: 1, place: "later" }), timestamp: 2000 }]);
    await compactor.flush("orders");
    await lake.produce(topic, 0, [record(1, { id: 9 })]);
    await lake.produce(topic, 1, [record(1, { id: 9 })]);
    await compactor.flush("orders");
    lake.partition(topic, 0).logStart = 3 as never;
    lake.partition(topic, 1).logStart = 1 as never;
    repair();
    const apply = () => compactor.replay("orders", never, { undecided: "apply" });
    if (dies) {
      const rows = () => [...metadata.image.tables()].filter(({ lanes }) => lanes.has("replay")).length;
      metadata.onPropose = () => {
        if (rows() > 0) throw new Error("after the first round");
      };
      await expect(apply()).rejects.toThrow("after the first round");
      expect(rows()).toBe(1);
      metadata.onPropose = () => undefined;
      await compactor.flush("orders");
    }
    const report = await apply();
    expect(await keyedRows(lake)).toEqual(["1 later", "9 null"]);
    expect(report.applied.records + report.superseded + report.rowsBefore).toBe(4);
    await compactor[Symbol.asyncDispose]();
  });

  test("of a table with a key takes the greater timestamp where partitions share one", async () => {
    const { lake, topic, record, repair } = world(10);
    const at = (timestamp: number, id: number, schemaId = 2) => ({
      ...record(schemaId, { id, place: "p" }),
      timestamp,
    });
    await lake.produce(topic, 0, [at(1000, 1), at(1000, 2)]);
    await lake.produce(topic, 1, [at(500, 2, 1), at(2000, 1, 1)]);
    const { compactor } = lake.open([keyed]);
    await compactor.flush("orders");
    repair();
    expect(await replay(compactor)).toMatchObject({ rows: 1, superseded: 1 });
    expect(await keyedRows(lake)).toEqual(["1 null", "2 p"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("of a table with a key sees what comes meanwhile in a partition that had nothing", async () => {
    const { lake, topic, record, repair } = world(11);
    await lake.produce(topic, 0, [record(2, { id: 1, place: "p" })]);
    const { compactor } = lake.open([keyed]);
    await compactor.flush("orders");
    repair();
    const other = lake.partition(topic, 1);
    const offsetFor = other.offsetFor.bind(other);
    let meanwhile: Promise<unknown> | undefined;
    other.offsetFor = async (...request) => {
      const found = await offsetFor(...request);
      await lake.produce(topic, 1, [{ ...record(1, { id: 1 }), timestamp: 1_800_000_000_000 }]);
      meanwhile ??= compactor.flush("orders"); // In the table's next turn, before the letters become rows.
      return found;
    };
    expect(await replay(compactor)).toMatchObject({ rows: 0, superseded: 1 });
    await meanwhile;
    expect(await keyedRows(lake)).toEqual(["1 null"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("whose files are lost pauses the table; accepted so, its letters are letters again", async () => {
    const { lake, topic, record, repair } = world(8);
    const once = { commitRetry: { delayMsMin: 0, delayMsMax: 1, attemptsMax: 1 } };
    const { compactor, metadata } = lake.open([settings], once);
    await lake.produce(topic, 0, [record(1, { id: 1 }), record(2, { id: 2, place: "here" })]);
    await compactor.flush("orders");
    repair();
    expect(await replay(compactor)).toMatchObject({ rows: 1 });
    await lake.produce(topic, 0, [record(3, { id: 3 }), record(2, { id: 4, place: "there" })]);
    await compactor.flush("orders");
    repair();
    const { hooks } = lake;
    const away = async (method: string, path: string) => {
      if (method === "POST" && path.endsWith("/orders")) throw new TypeError("connection refused");
    };
    lake.hooks = { ...hooks, request: away };
    await expect(replay(compactor)).rejects.toThrow("what was replayed waits for it");
    lake.hooks = hooks;
    const pending = () => [...metadata.image.tables()][0]?.pending ?? [];
    await lake.warehouse.remove([pending()[0]?.main?.location ?? ""]);
    await expect(compactor.flush("orders")).rejects.toThrow(/is gone; its records were picked from dead letters/);
    await compactor.resume("orders", "accept");
    expect(pending()).toEqual([]);
    expect(await lake.places(orders)).toEqual(["0:0", "0:1", "0:3"]);
    expect(await replay(compactor)).toMatchObject({ letters: 2, rows: 1, rowsBefore: 1 });
    expect(await lake.places(orders)).toEqual(["0:0", "0:1", "0:2", "0:3"]);
    expect(await verdict(lake, compactor)).toBe("equal");
    await compactor[Symbol.asyncDispose]();
  });

  test("before there is a table, or while it is paused, says so", async () => {
    const { lake, topic } = world(7);
    const suspend = tableSettings("schema-id", { errors: { policy: "suspend", deadLetterTable: "orders_dlq" } });
    const { compactor } = lake.open([suspend]);
    await lake.produce(topic, 0, [{ value: utf8("no id") }]);
    await expect(replay(compactor)).rejects.toThrow(/offset 0/);
    await expect(replay(compactor)).rejects.toThrow(/paused/);
    await compactor[Symbol.asyncDispose]();
  });
});

atEachStep(
  "wherever the process dies, a replay after it leaves every record in the table once",
  { parts: 6 },
  async (step) => {
    const { lake, topic, record, repair } = world(100 + step);
    await lake.produce(topic, 0, [record(1, { id: 1 }), record(2, { id: 2, place: "a" }), record(2, { id: 3 })]);
    await lake.produce(topic, 1, [record(2, { id: 4, place: "b" }), record(7, {})]);
    const before = lake.open([settings]);
    await before.compactor.flush("orders");
    await before.compactor[Symbol.asyncDispose]();
    repair();
    const isDead = await new Steps(lake).dieAt(step, settings, { roundBytesMax: 30 }, replay);
    await lake.produce(topic, 1, [record(1, { id: 6 })]);
    const { compactor } = lake.open([settings]);
    const { rows, rowsBefore } = await replay(compactor);
    expect(rows + rowsBefore, `step ${step}`).toBe(3);
    expect(await lake.places(orders), `step ${step}`).toEqual(["0:0", "0:1", "0:2", "1:0", "1:2"]);
    expect(await replay(compactor)).toMatchObject({ rows: 0, rowsBefore: 3 });
    if (step % 17 === 0) expect(await verdict(lake, compactor), `step ${step}`).toBe("equal");
    await compactor[Symbol.asyncDispose]();
    return isDead;
  },
);
