/** Proves: a broker's tables wait while their external registry is away, lose nothing, and read values without a prefix by its latest schema. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { expect, test } from "vitest";
import { openBroker } from "../src/broker.ts";
import { open } from "./registry/registry-server.ts";
import { configOf, inProcess } from "./support/config.ts";

const schema = JSON.stringify({ type: "record", name: "R", fields: [{ name: "a", type: "long" }] });
const credentials = { "registry-external-username": "ann", "registry-external-password": "secret" };

/** Passes requests of ann on to the registry while it is up. */
async function door(registry: string) {
  const state = { isUp: false };
  const server = createServer((request, response) => {
    const isAnn = request.headers.authorization === `Basic ${Buffer.from("ann:secret").toString("base64")}`;
    if (!state.isUp || !isAnn) {
      response.writeHead(state.isUp ? 401 : 503).end();
      return;
    }
    fetch(registry + request.url)
      .then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
      .catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { state, url, [Symbol.dispose]: () => server.close() };
}

test("by id and by latest", async () => {
  const directory = mkdtempSync(join(tmpdir(), "inlet-external-"));
  try {
    await using registry = await open();
    await registry.call("POST", "/subjects/bare-value/versions", { schema });
    using front = await door(registry.url);
    const config = configOf("topics: { prefixed: {}, bare: { value: { decode: latest } } }", {
      ...inProcess(directory),
      ...credentials,
      "registry-external-urls": front.url,
      "registry-external-attempts-max": "1",
    });
    await using broker = await openBroker(config);
    const producer = new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING }).producer();
    await producer.connect();
    await producer.send({ topic: "prefixed", messages: [{ value: Buffer.of(0, 0, 0, 0, 1, 14) }] });
    await producer.send({ topic: "bare", messages: [{ value: Buffer.of(14) }] });
    await producer.disconnect();
    for (const topic of ["prefixed", "bare"]) {
      front.state.isUp = false;
      const refused = await broker.tables.flush(topic);
      expect([topic, refused.kind, await broker.tables.currentFiles(topic)]).toEqual([topic, "refused", []]);
      front.state.isUp = true;
      expect([topic, (await broker.tables.flush(topic)).kind]).toEqual([topic, "flushed"]);
      expect(await broker.tables.currentFiles(topic)).toHaveLength(1);
    }
    const metrics = await (await fetch(`${broker.addresses.http}/metrics`)).text();
    expect(metrics).toContain('inlet_table_rows_total{topic="prefixed"} 1');
    expect(metrics).toContain('inlet_table_rows_total{topic="bare"} 1');
  } finally {
    rmSync(directory, { recursive: true });
  }
}, 60_000);
