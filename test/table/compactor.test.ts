/** Proves: what is produced is in the table after a flush, once; dead letters in theirs; each trouble stops only its own table. */
import { describe, expect, test } from "vitest";
import { RangeUnreadable } from "../../src/base/errors.ts";
import type { StreamId } from "../../src/base/ids.ts";
import { Lake, offset } from "../support/lake.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const letters = { namespace: ["sales"], name: "orders_dlq" };
const json = (value: unknown) => ({ value: utf8(JSON.stringify(value)) });

describe("a flush", () => {
  test("makes namespace and table, evolves the schema, and commits every partition", async () => {
    const lake = new Lake(1);
    const topic = lake.topic("orders", 2);
    await lake.produce(topic, 0, [json({ id: 1 }), json({ id: 2, name: "b" })]);
    await lake.produce(topic, 1, [json({ id: 3 })]);
    const { compactor } = lake.open([tableSettings("json")]);
    const { snapshotId, committedTo } = await compactor.flush("orders");
    expect(snapshotId).toBeTypeOf("bigint");
    expect([...committedTo]).toEqual([
      [0, 2],
      [1, 1],
    ]);
    const rows = await lake.rows(orders);
    expect(rows.map((row) => [Number(row["id"]), row["name"]])).toEqual([
      [1, null],
      [2, "b"],
      [3, null],
    ]);
    await compactor[Symbol.asyncDispose]();
  });

  test("with nothing new answers the same snapshot and adds none", async () => {
    const lake = new Lake(2);
    const topic = lake.topic("orders", 1);
    await lake.produce(topic, 0, [json({ id: 1 })]);
    const { compactor } = lake.open([tableSettings("json")]);
    const first = await compactor.flush("orders");
    expect(await compactor.flush("orders")).toEqual(first);
    const metadata = (await lake.foreign().load(orders))?.metadata;
    expect(metadata?.snapshots).toHaveLength(1);
    expect(JSON.parse(metadata?.properties["inlet.committed"] ?? "{}")).toMatchObject({
      generation: 1,
      offsets: { "0": 1 },
    });
    expect(metadata?.snapshots[0]?.summary["inlet.committed"]).toBe(metadata?.properties["inlet.committed"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("keeps bad records in the dead-letter table, and their neighbours in the table", async () => {
    const lake = new Lake(3);
    const topic = lake.topic("orders", 1);
    await lake.produce(topic, 0, [json({ id: 1 }), { value: utf8("{not json") }, json({ id: 2 })]);
    const { compactor } = lake.open([tableSettings("json")]);
    await compactor.flush("orders");
    expect(await lake.places(orders)).toEqual(["0:0", "0:2"]);
    const [letter, ...others] = await lake.rows(letters);
    expect(others).toEqual([]);
    expect(letter).toMatchObject({ topic: "orders", partition: 0, offset: 1n, value: utf8("{not json") });
    await compactor[Symbol.asyncDispose]();
  });

  test("sees partitions that were added", async () => {
    const lake = new Lake(4);
    const topic = lake.topic("orders", 1);
    await lake.produce(topic, 0, [json({ id: 1 })]);
    const { compactor } = lake.open([tableSettings("json")]);
    await compactor.flush("orders");
    lake.grow(topic, "orders", 3);
    await lake.produce(topic, 2, [json({ id: 2 })]);
    await compactor.flush("orders");
    expect(await lake.places(orders)).toEqual(["0:0", "2:0"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("starts a second generation when the topic was recreated", async () => {
    const lake = new Lake(5);
    const first = lake.topic("orders", 1);
    await lake.produce(first, 0, [json({ id: 1 })]);
    const { compactor } = lake.open([tableSettings("json")]);
    await compactor.flush("orders");
    const second = lake.topic("orders", 1);
    await lake.produce(second, 0, [json({ id: 7 }), json({ id: 8 })]);
    await compactor.flush("orders");
    expect(await lake.places(orders)).toEqual(["0:0"]);
    expect(await lake.places({ namespace: ["sales"], name: "orders__g2" })).toEqual(["0:0", "0:1"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("records what was deleted before it could be translated as skips", async () => {
    const lake = new Lake(6);
    const topic = lake.topic("orders", 1);
    await lake.produce(topic, 0, [json({ id: 1 })]);
    const { compactor, metadata } = lake.open([tableSettings("json")]);
    await compactor.flush("orders");
    await lake.produce(topic, 0, [json({ id: 2 }), json({ id: 3 })]);
    await lake.produce(topic, 0, [json({ id: 4 })]);
    lake.partition(topic, 0).logStart = offset(3);
    const skips: number[] = [];
    metadata.onPropose = (events) => {
      for (const event of events)
        if (event.kind === "add-table-round") skips.push(...event.ranges.map((range) => range.skips));
    };
    await compactor.flush("orders");
    expect(skips).toEqual([2]);
    expect(await lake.places(orders)).toEqual(["0:0", "0:3"]);
    await compactor[Symbol.asyncDispose]();
  });
});

describe("trouble", () => {
  test("policy suspend pauses at the first bad record, after what came before it was committed", async () => {
    const lake = new Lake(7);
    const topic = lake.topic("orders", 1);
    await lake.produce(topic, 0, [json({ id: 1 })]);
    await lake.produce(topic, 0, [{ value: utf8("{not json") }]);
    const errors = { policy: "suspend", deadLetterTable: "orders_dlq" } as const;
    const { compactor } = lake.open([tableSettings("json", { errors })]);
    await expect(compactor.flush("orders")).rejects.toThrow(/partition 0 offset 1/);
    expect(await lake.places(orders)).toEqual(["0:0"]);
    const [table] = compactor.tables();
    expect(table?.table).toMatchObject({ state: "paused", reason: expect.stringContaining("offset 1") });
    await expect(compactor.flush("orders")).rejects.toThrow(/paused/);
    await compactor[Symbol.asyncDispose]();
  });

  test("policy suspend stops at the very record, and goes on with it once it can be kept", async () => {
    const lake = new Lake(12);
    const topic = lake.topic("orders", 1);
    const bad = { value: utf8("{not json") };
    await lake.produce(topic, 0, [json({ id: 1 }), json({ id: 2 }), bad, json({ id: 4 }), bad]);
    const suspend = { policy: "suspend", deadLetterTable: "orders_dlq" } as const;
    const first = lake.open([tableSettings("json", { errors: suspend })]);
    await expect(first.compactor.flush("orders")).rejects.toThrow(/partition 0 offset 2/);
    expect(await lake.places(orders)).toEqual(["0:0", "0:1"]);
    // Without a change it stops again, where it was.
    await first.compactor.resume("orders", "accept");
    await expect(first.compactor.flush("orders")).rejects.toThrow(/partition 0 offset 2/);
    await first.compactor[Symbol.asyncDispose]();
    const second = lake.open([tableSettings("json")]);
    await second.compactor.resume("orders", "accept");
    await second.compactor.flush("orders");
    expect(await lake.places(orders)).toEqual(["0:0", "0:1", "0:3"]);
    const letters = { namespace: ["sales"], name: "orders_dlq" };
    const columns = { partition: "partition", offset: "offset" };
    expect(await lake.places(letters, columns)).toEqual(["0:2", "0:4"]);
    await second.compactor[Symbol.asyncDispose]();
  });

  test("an object that cannot be read any more pauses the table with the reason; nothing is skipped", async () => {
    const lake = new Lake(11);
    const topic = lake.topic("orders", 1);
    await lake.produce(topic, 0, [json({ id: 1 })]);
    await lake.produce(topic, 0, [json({ id: 2 })]);
    await lake.produce(topic, 0, [json({ id: 3 })]);
    const partition = lake.partition(topic, 0);
    const read = partition.read.bind(partition);
    const range = { stream: 1 as StreamId, from: offset(1), to: offset(2), object: "objects/x", cause: undefined };
    partition.read = (request) =>
      request.from === 1 ? Promise.reject(new RangeUnreadable({ ...range, because: "corrupt" })) : read(request);
    const { compactor } = lake.open([tableSettings("json")]);
    await expect(compactor.flush("orders")).rejects.toThrow(/partition 0: offsets 1 to 2 .* objects\/x is corrupt/);
    const [table] = compactor.tables();
    expect(table?.table?.state).toBe("paused");
    expect(await lake.places(orders)).toEqual(["0:0"]);
    partition.read = read;
    await compactor.resume("orders", "accept");
    await compactor.flush("orders");
    expect(await lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("a catalog that is away stops commits, not translation, up to a bound", async () => {
    const lake = new Lake(8);
    const topic = lake.topic("orders", 1);
    await lake.produce(topic, 0, [json({ id: 1 })]);
    const { compactor } = lake.open([tableSettings("json")], { pendingRoundsMax: 3 });
    await compactor.flush("orders");
    lake.hooks = { ...lake.hooks, request: () => Promise.reject(new Error("connection refused")) };
    for (let id = 2; id < 7; id += 1) {
      await lake.produce(topic, 0, [json({ id })]);
      await expect(compactor.flush("orders")).rejects.toThrow();
    }
    const [table] = compactor.tables();
    expect(table?.table?.pending).toHaveLength(3);
    lake.hooks = { ...lake.hooks, request: async () => {} };
    await compactor.flush("orders");
    await compactor.flush("orders");
    expect(await lake.places(orders)).toEqual([0, 1, 2, 3, 4, 5].map((each) => `0:${each}`));
    await compactor[Symbol.asyncDispose]();
  });

  test("a partition column that can never be pauses the table with the reason", async () => {
    const lake = new Lake(9);
    const topic = lake.topic("orders", 1);
    await lake.produce(topic, 0, [{ value: utf8("text") }]);
    const partitionBy = [{ column: "value", transform: "day" } as const];
    const { compactor } = lake.open([tableSettings("string", { partitionBy })]);
    await expect(compactor.flush("orders")).rejects.toThrow(/day\(value\) does not apply to string/);
    await compactor[Symbol.asyncDispose]();
  });
});

test("partition values stand in the manifests", async () => {
  const lake = new Lake(10);
  const topic = lake.topic("orders", 1);
  const day = 86_400_000;
  await lake.produce(topic, 0, [
    { timestamp: 0, ...json({ id: 1 }) },
    { timestamp: day, ...json({ id: 2 }) },
  ]);
  const partitionBy = [{ column: "_kafka_timestamp", transform: "day" } as const];
  const { compactor } = lake.open([tableSettings("json", { partitionBy })]);
  await compactor.flush("orders");
  expect((await lake.files(orders)).map((entry) => entry.file.partition)).toEqual([[0], [1]]);
  await compactor[Symbol.asyncDispose]();
});
