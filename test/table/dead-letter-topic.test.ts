/** Proves: a topic of dead letters gets each letter of its table once, as it was sent, wherever the process dies in between. */
import { describe, expect, test } from "vitest";
import { BatchView } from "../../src/protocol/record-batch.ts";
import { RecordCursor } from "../../src/protocol/records.ts";
import { atEachStep } from "../support/each-step.ts";
import { Lake } from "../support/lake.ts";
import { Steps } from "../support/steps.ts";
import { tableSettings, utf8, withSchemaId } from "./translate-fixtures.ts";

const settings = tableSettings("json", {
  errors: { policy: "dlq", deadLetterTable: "orders_dlq", deadLetterTopic: "orders.dlq" },
});
const good = (id: number) => ({ value: utf8(JSON.stringify({ id })) });
const bad = (name: string) => ({ key: utf8(name), value: utf8("{") });

interface Said {
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string | null>>;
}

function records(lake: Lake, topic: ReturnType<Lake["topic"]>, partition: number): readonly Said[] {
  return lake.partition(topic, partition).batches.flatMap((bytes) => {
    const batch = new BatchView(bytes);
    const cursor = new RecordCursor(batch.records, batch.recordCount);
    const said: Said[] = [];
    while (cursor.next()) {
      const headers = cursor.headers().map(({ key, value }) => [text(key), value === null ? null : text(value)]);
      const [key, value] = [cursor.key, cursor.value].map((each) => (each === null ? null : text(each)));
      said.push({ key: key as string | null, value: value as string | null, headers: Object.fromEntries(headers) });
    }
    return said;
  });
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");
const placeOf = ({ headers }: Said): string => `${headers["inlet.dlq.partition"]}:${headers["inlet.dlq.offset"]}`;

describe("a topic of dead letters", () => {
  test("holds the records as they were sent, with where they stood and why they are here", async () => {
    const lake = new Lake(1);
    const topic = lake.topic("orders", 1);
    const letters = lake.topic("orders.dlq", 1);
    const headers = [
      { key: utf8("trace"), value: utf8("abc") },
      { key: utf8("none"), value: null },
    ];
    await lake.produce(topic, 0, [good(1), { ...bad("k"), headers, timestamp: 1_700_000_000_123 }]);
    const { compactor } = lake.open([settings]);
    await compactor.flush("orders");
    const table = [...compactor.tables()][0]?.table;
    expect(records(lake, letters, 0)).toEqual([
      {
        key: "k",
        value: "{",
        headers: {
          trace: "abc",
          none: null,
          "inlet.dlq.topic": "orders",
          "inlet.dlq.partition": "0",
          "inlet.dlq.offset": "1",
          "inlet.dlq.timestamp": "1700000000123",
          "inlet.dlq.reason": "malformed",
          "inlet.dlq.detail": expect.any(String),
          "inlet.dlq.table": table?.id,
          "inlet.dlq.round": expect.stringMatching(/^\d+$/),
        },
      },
    ]);
    await compactor[Symbol.asyncDispose]();
  });

  test("keeps nulls, and the id of a schema that cannot be", async () => {
    const lake = new Lake(2);
    const topic = lake.topic("orders", 1);
    const letters = lake.topic("orders.dlq", 1);
    await lake.produce(topic, 0, [{ value: withSchemaId(7, utf8("x")) }, { key: utf8("k") }, { value: utf8("no id") }]);
    const { compactor } = lake.open([{ ...settings, value: { ...settings.value, decode: "schema-id" } }]);
    await compactor.flush("orders");
    const said = records(lake, letters, 0);
    expect(said.map(placeOf)).toEqual(["0:0", "0:2"]);
    expect(said[0]).toMatchObject({ key: null, headers: { "inlet.dlq.schema.id": "7" } });
    expect(said[1]?.headers).not.toHaveProperty("inlet.dlq.schema.id");
    await compactor[Symbol.asyncDispose]();
  });

  test("partitions go to partitions, and what others write between is passed over", async () => {
    const lake = new Lake(3);
    const topic = lake.topic("orders", 3);
    const letters = lake.topic("orders.dlq", 2);
    const { compactor } = lake.open([settings]);
    for (let turn = 0; turn < 3; turn += 1) {
      for (const partition of [0, 1, 2]) await lake.produce(topic, partition, [bad(`${partition}`), good(1)]);
      for (let at = 0; at < 100; at += 1) await lake.produce(letters, 0, [{ value: utf8("a stranger") }]);
      await compactor.flush("orders");
    }
    const places = (partition: number) =>
      records(lake, letters, partition)
        .filter(({ value }) => value !== "a stranger")
        .map(placeOf);
    expect(places(0)).toEqual(["0:0", "2:0", "0:2", "2:2", "0:4", "2:4"]);
    expect(places(1)).toEqual(["1:0", "1:2", "1:4"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("is made when it is not there; the table waits while it cannot be written", async () => {
    const lake = new Lake(4);
    const topic = lake.topic("orders", 2);
    await lake.produce(topic, 1, [bad("a"), good(1)]);
    const { compactor, metadata } = lake.open([settings]);
    await expect(compactor.flush("orders")).rejects.toThrow(/partition 1 of orders\.dlq is not on this broker/);
    const made = metadata.image.topicByName("orders.dlq");
    expect(made?.partitions).toHaveLength(2);
    lake.log.add(made?.id as NonNullable<typeof made>["id"], "orders.dlq", 2);
    const partition = lake.partition(made?.id as NonNullable<typeof made>["id"], 1);
    partition.refusal = "busy";
    await expect(compactor.flush("orders")).rejects.toThrow(/commit did not go through/);
    expect(await lake.places({ namespace: ["sales"], name: "orders" })).toEqual([]);
    partition.refusal = undefined;
    await compactor.flush("orders");
    expect(records(lake, partition.topicId, 1).map(placeOf)).toEqual(["1:0"]);
    expect(await lake.places({ namespace: ["sales"], name: "orders" })).toEqual(["1:1"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("many letters are several batches", async () => {
    const lake = new Lake(5);
    const topic = lake.topic("orders", 1);
    const letters = lake.topic("orders.dlq", 1);
    const large = { value: new Uint8Array(200_000).fill(123) };
    await lake.produce(topic, 0, [large, large, large, large, large]);
    const { compactor } = lake.open([settings]);
    await compactor.flush("orders");
    expect(lake.partition(letters, 0).batches.map((bytes) => new BatchView(bytes).recordCount)).toEqual([2, 2, 1]);
    expect(records(lake, letters, 0).map(placeOf)).toEqual([0, 1, 2, 3, 4].map((offset) => `0:${offset}`));
    await compactor[Symbol.asyncDispose]();
  });
});

atEachStep(
  "wherever the process dies, each letter is in the topic and in the table once",
  { parts: 4 },
  async (step) => {
    const lake = new Lake(100 + step);
    const topic = lake.topic("orders", 2);
    const letters = lake.topic("orders.dlq", 1);
    const steps = new Steps(lake, [lake.partition(letters, 0)]);
    const large = { value: new Uint8Array(300_000).fill(123) };
    await lake.produce(topic, 0, [good(1), large, large, bad("a")]);
    await lake.produce(topic, 1, [bad("b"), good(2)]);
    const isDead = await steps.dieAt(step, settings, {}, (compactor) => compactor.flush("orders"));
    await lake.produce(topic, 1, [bad("c")]);
    const { compactor } = lake.open([settings]);
    await compactor.flush("orders");
    expect(records(lake, letters, 0).map(placeOf), `step ${step}`).toEqual(["0:1", "0:2", "0:3", "1:0", "1:2"]);
    const columns = { partition: "partition", offset: "offset" };
    expect(await lake.places({ namespace: ["sales"], name: "orders_dlq" }, columns), `step ${step}`).toEqual([
      "0:1",
      "0:2",
      "0:3",
      "1:0",
      "1:2",
    ]);
    expect(await lake.places({ namespace: ["sales"], name: "orders" }), `step ${step}`).toEqual(["0:0", "1:1"]);
    await compactor[Symbol.asyncDispose]();
    return isDead;
  },
);
