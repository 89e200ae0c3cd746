/** Proves: what the YAML says of keys, values and columns is what a broker's tables hold, from a stock client's records to SQL. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel, type Message, type Producer } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Broker, openBroker } from "../src/broker.ts";
import { configOf, inProcess } from "./support/config.ts";

const yaml = `topics:
  nested:
    key: { decode: json }
    value: { decode: json, layout: nested }
  keyed:
    key: { decode: latest, columns: flat }
    value: { decode: json }
  nanos:
    table: { format_version: 3 }
    value: { decode: latest }
  cast:
    value: { decode: json }
    columns:
      overrides:
        amount: { type: "decimal(38, 18)" }
        at: { type: timestamptz, name: happened }
        id: { type: long }
        secret: { exclude: true }
`;

let directory: string;
let broker: Broker;
let producer: Producer;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "inlet-input-"));
  broker = await openBroker(configOf(yaml, inProcess(directory)));
  const kafka = new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({
    topics: [{ topic: "nested" }, { topic: "keyed" }, { topic: "cast" }, { topic: "nanos" }],
  });
  await admin.disconnect();
  producer = kafka.producer();
  await producer.connect();
}, 60_000);
afterAll(async () => {
  await producer.disconnect();
  await broker[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

async function register(subject: string, schema: unknown, schemaType = "AVRO"): Promise<void> {
  const response = await fetch(`${broker.addresses.registry}/subjects/${subject}/versions`, {
    method: "POST",
    body: JSON.stringify({ schema: JSON.stringify(schema), schemaType }),
  });
  expect(response.status).toBe(200);
}

/** What is sent, once it is in the table. */
async function sqlAfter(topic: string, messages: readonly Message[], query: string): Promise<unknown> {
  await producer.send({ topic, acks: -1, messages: [...messages] });
  expect(await broker.tables.flush(topic)).toMatchObject({ kind: "flushed" });
  const answer = await fetch(`${broker.addresses.http}/v1/sql`, { method: "POST", body: JSON.stringify({ query }) });
  return await answer.json();
}

describe("keys and layouts", () => {
  test("nest", async () => {
    const messages = [{ key: '{"id":7}', value: '{"id":"x","at":{"place":"here"}}' }];
    const query = "SELECT _kafka_key.id AS k, value.id AS v, value.at.place AS place FROM kafka.nested";
    expect(await sqlAfter("nested", messages, query)).toMatchObject({ rows: [["7", "x", "here"]] });
  });

  test("of the latest schema lie flat", async () => {
    await register("keyed-key", { type: "record", name: "Key", fields: [{ name: "id", type: "int" }] });
    const messages = [{ key: Buffer.of(2), value: '{"v":3}' }];
    const query = "SELECT _kafka_key_id, v FROM kafka.keyed";
    expect(await sqlAfter("keyed", messages, query)).toMatchObject({ rows: [[1, 3]] });
  });
});

test("nanoseconds of Avro are kept in format 3", async () => {
  const at = { name: "at", type: { type: "long", logicalType: "local-timestamp-nanos" } };
  await register("nanos-value", { type: "record", name: "R", fields: [at] });
  const value = Buffer.of(0xaa, 0xb4, 0xde, 0x75); // 123456789, zigzag.
  const query = 'SELECT epoch_ns("at")::VARCHAR FROM kafka.nanos';
  expect(await sqlAfter("nanos", [{ value }], query)).toMatchObject({ rows: [["123456789"]] });
});

test("columns are what people say, with all digits", async () => {
  const values = [
    '{"id":9223372036854775807,"amount":0.1,"at":"2026-01-02T03:04:05Z","secret":"x"}',
    '{"id":9223372036854775808,"amount":0.1}',
    '{"id":1,"amount":12345678901234567890.123456789012345678}',
    '{"id":2,"amount":1e400}',
  ];
  const query = `SELECT id, amount::VARCHAR, epoch(happened)::BIGINT, _extra FROM kafka."cast" ORDER BY id`;
  const messages = values.map((value) => ({ value }));
  expect(await sqlAfter("cast", messages, query)).toMatchObject({
    rows: [
      ["1", "12345678901234567890.123456789012345678", null, null],
      ["9223372036854775807", "0.100000000000000000", "1767323045", null],
    ],
  });
  const letters = await fetch(`${broker.addresses.http}/v1/sql`, {
    method: "POST",
    body: JSON.stringify({ query: "SELECT * FROM kafka.cast" }),
  });
  expect(JSON.stringify(await letters.json())).not.toContain("secret");
});
