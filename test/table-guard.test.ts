/** Proves: a broker's registry refuses a schema that would break the table of its topic, by its present columns, unless it is told not to. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SchemaRegistry as Client, SchemaType } from "@kafkajs/confluent-schema-registry";
import { Kafka, logLevel } from "kafkajs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openBroker } from "../src/broker.ts";
import { configOf, inProcess } from "./support/config.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-guard-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const schemaOf = (type: string) => ({
  schema: JSON.stringify({ type: "record", name: "R", fields: [{ name: "amount", type }] }),
});

async function start(settings: Readonly<Record<string, string>> = {}) {
  const config = configOf("topics: { orders: {} }", { ...inProcess(directory), ...settings });
  const broker = await openBroker(config);
  const post = async (path: string, body: unknown): Promise<unknown> => {
    const response = await fetch(broker.addresses.registry + path, { method: "POST", body: JSON.stringify(body) });
    return await response.json();
  };
  await fetch(`${broker.addresses.registry}/config`, { method: "PUT", body: '{"compatibility":"NONE"}' });
  return { broker, post, [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose]() };
}

test("what the table holds counts, also when the version that brought it is deleted", async () => {
  await using running = await start();
  const { broker, post } = running;
  const registry = new Client({ host: broker.addresses.registry });
  const { id } = await registry.register({ type: SchemaType.AVRO, ...schemaOf("long") }, { subject: "orders-value" });
  const producer = new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  await producer.send({ topic: "orders", messages: [{ value: await registry.encode(id, { amount: 1 }) }] });
  await producer.disconnect();
  expect((await broker.tables.flush("orders")).kind).toBe("flushed");
  await fetch(`${broker.addresses.registry}/subjects/orders-value`, { method: "DELETE" });

  const path = "/subjects/orders-value/versions";
  expect(await post(path, schemaOf("string"))).toMatchObject({
    error_code: 40901,
    message: expect.stringContaining(
      "table kafka.orders cannot take it from values of topic orders: amount: a long cannot become a string",
    ),
  });
  expect(await post(`/compatibility${path}/latest?verbose=true`, schemaOf("string"))).toMatchObject({
    is_compatible: false,
    messages: [expect.stringContaining("TABLE_WOULD_BREAK")],
  });
  expect(await post(path, schemaOf("int"))).toMatchObject({ id: 2 });
  expect(await post("/subjects/elsewhere-value/versions", schemaOf("string"))).toMatchObject({ id: 3 });
}, 30_000);

test("the setting turns it off", async () => {
  await using running = await start({ "registry-tables-check": "false" });
  const { post } = running;
  expect(await post("/subjects/orders-value/versions", schemaOf("long"))).toMatchObject({ id: 1 });
  expect(await post("/subjects/orders-value/versions", schemaOf("string"))).toMatchObject({ id: 2 });
}, 30_000);
