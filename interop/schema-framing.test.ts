/** Proves: what AWS Glue's and Confluent's own serializers for Python write is read into tables, by Glue's registry (moto's) and by ours. Half a minute. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel, type Message } from "kafkajs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Broker, openBroker } from "../src/broker.ts";
import { configOf, inProcess } from "../test/support/config.ts";
import { type CatalogServer, startMoto } from "./catalog-servers.ts";
import { command, python, versions } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-framing-"));
let moto: CatalogServer | undefined;
const keys = { AWS_ACCESS_KEY_ID: "inlet", AWS_SECRET_ACCESS_KEY: "of-the-test" };

beforeAll(async () => {
  for (const [name, value] of Object.entries(keys)) vi.stubEnv(name, value);
  moto = await startMoto();
}, 300_000);
afterAll(async () => {
  await moto?.[Symbol.asyncDispose]();
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

async function framed(venv: string, packages: readonly string[], kind: string, url: string) {
  const bin = await python(venv, packages);
  const output = await command(join(bin, "python"), [join(import.meta.dirname, "schema_framing.py"), kind, url]);
  const line = output.split("\n").find((each) => each.startsWith("ANSWER ")) ?? "";
  return JSON.parse(line.slice("ANSWER ".length)) as Readonly<Record<string, string>>;
}

async function tableOf(broker: Broker, messages: readonly Message[]): Promise<unknown> {
  const kafka = new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: "framed" }] });
  await admin.disconnect();
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: "framed", messages: [...messages] });
  await producer.disconnect();
  expect(await broker.tables.flush("framed")).toMatchObject({ kind: "flushed" });
  const query = "SELECT * EXCLUDE (_kafka_headers, _kafka_timestamp) FROM kafka.framed ORDER BY _kafka_offset";
  const answer = await fetch(`${broker.addresses.http}/v1/sql`, { method: "POST", body: JSON.stringify({ query }) });
  return await answer.json();
}

const topic = "topics: { framed: { columns: { metadata: { include: [offset, timestamp, headers] } } } }";

test("AWS Glue", async () => {
  const url = `http://127.0.0.1:${moto?.port}`;
  const packages = [`aws-glue-schema-registry==${versions.glueSchemaRegistry}`, `boto3==${versions.boto3}`];
  const records = await framed("glue", packages, "glue", url);
  const config = configOf(topic, {
    ...inProcess(join(directory, "glue")),
    "registry-external-kind": "glue",
    "registry-external-region": "eu-west-1",
    "registry-external-endpoint": url,
  });
  await using broker = await openBroker(config);
  const values = ["avro", "json"].map((name) => ({ value: Buffer.from(records[name] ?? "", "base64") }));
  expect(await tableOf(broker, values)).toMatchObject({
    rows: [
      [0, "0", "9007199254740993", null, null],
      [0, "1", null, null, "hello"],
    ],
  });
}, 300_000);

test("Confluent's header", async () => {
  await using broker = await openBroker(configOf(topic, inProcess(join(directory, "confluent"))));
  const packages = [
    `confluent-kafka[avro,json,schemaregistry]==${versions.confluentKafka}`,
    `jsonschema==${versions.jsonschema}`,
  ];
  const record = await framed("registry", packages, "confluent", broker.addresses.registry);
  const bytes = (name: string) => Buffer.from(record[name] ?? "", "base64");
  const message = { value: bytes("value"), headers: { [record["name"] ?? ""]: bytes("header") } };
  expect(await tableOf(broker, [message])).toMatchObject({ rows: [[0, "0", "9007199254740993"]] });
}, 300_000);
