/** Proves: a broker's tables read records of AWS Glue's serializers by its registry, which is asked once for a schema, and wait while it is away. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { deflateSync } from "node:zlib";
import { Kafka, logLevel } from "kafkajs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openBroker } from "../../src/broker.ts";
import { configOf, inProcess } from "../support/config.ts";

const id = "00112233-4455-6677-8899-aabbccddeeff";
const avro = JSON.stringify({ type: "record", name: "R", fields: [{ name: "a", type: "long" }] });

interface Version {
  readonly SchemaVersionId?: string;
  readonly SchemaId?: unknown;
}

/** GetSchemaVersion alone, of one schema. */
async function startGlue() {
  const state = { isUp: false, asked: [] as Version[] };
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const input = JSON.parse(body) as Version;
      state.asked.push(input);
      const isKnown = input.SchemaVersionId === id || input.SchemaId !== undefined;
      const found = { SchemaVersionId: id, SchemaDefinition: avro, DataFormat: "AVRO", Status: "AVAILABLE" };
      const status = !state.isUp ? 503 : isKnown ? 200 : 400;
      response.writeHead(status, { "content-type": "application/x-amz-json-1.1" });
      response.end(JSON.stringify(isKnown ? found : { __type: "EntityNotFoundException", Message: "no" }));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { state, url, [Symbol.dispose]: () => server.close().closeAllConnections() };
}

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-glue-"));
  vi.stubEnv("AWS_ACCESS_KEY_ID", "inlet");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "of-the-test");
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

test("by UUID and by latest", async () => {
  using glue = await startGlue();
  const config = configOf("topics: { framed: {}, bare: { value: { decode: latest, subject: orders } } }", {
    ...inProcess(directory),
    "registry-external-kind": "glue",
    "registry-external-region": "eu-west-1",
    "registry-external-endpoint": glue.url,
    "registry-external-name": "ours",
    "registry-external-attempts-max": "1",
  });
  await using broker = await openBroker(config);
  const kafka = new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: "framed" }, { topic: "bare" }] });
  await admin.disconnect();
  const producer = kafka.producer();
  await producer.connect();
  const uuid = Buffer.from(id.replaceAll("-", ""), "hex");
  const values = [
    Buffer.concat([Buffer.of(3, 0), uuid, Buffer.of(14)]),
    Buffer.concat([Buffer.of(3, 5), uuid, deflateSync(Buffer.of(16))]),
    Buffer.concat([Buffer.of(3, 0), Buffer.alloc(16, 7), Buffer.of(14)]),
  ];
  await producer.send({ topic: "framed", messages: values.map((value) => ({ value })) });
  await producer.send({ topic: "bare", messages: [{ value: Buffer.of(18) }] });
  await producer.disconnect();
  expect(await broker.tables.flush("framed")).toMatchObject({ kind: "refused" });
  glue.state.isUp = true;
  for (const topic of ["framed", "bare"]) expect(await broker.tables.flush(topic)).toMatchObject({ kind: "flushed" });
  const sql = async (query: string): Promise<unknown> => {
    const answer = await fetch(`${broker.addresses.http}/v1/sql`, { method: "POST", body: JSON.stringify({ query }) });
    return await answer.json();
  };
  expect(await sql("SELECT a FROM kafka.framed ORDER BY a")).toMatchObject({ rows: [["7"], ["8"]] });
  expect(await sql("SELECT a FROM kafka.bare")).toMatchObject({ rows: [["9"]] });
  expect(glue.state.asked).toContainEqual({
    SchemaId: { RegistryName: "ours", SchemaName: "orders" },
    SchemaVersionNumber: { LatestVersion: true },
  });
  const answered = glue.state.asked.filter(({ SchemaVersionId }) => SchemaVersionId === id);
  expect(answered.length).toBeLessThanOrEqual(3); // Twice while it was away at most, and then no more.
});
