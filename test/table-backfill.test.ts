/** Proves: a table enabled on a topic that has a history begins with what is new, and a command brings the history in. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Broker, openBroker } from "../src/broker.ts";
import { inletAt } from "./support/command.ts";
import { configOf, inProcess } from "./support/config.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-backfill-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function produce(broker: Broker, count: number): Promise<void> {
  const kafka = new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  const messages = Array.from({ length: count }, (_, id) => ({ partition: 0, value: JSON.stringify({ id }) }));
  await producer.send({ topic: "orders", acks: -1, messages });
  await producer.disconnect();
}

async function run(broker: Broker, ...args: readonly string[]): Promise<string> {
  const { code, out, error } = await inletAt(broker, args);
  expect([args, code, error]).toEqual([args, 0, ""]);
  return out;
}

test("a table on a topic with a history", async () => {
  const plain = await openBroker(configOf("", inProcess(directory)));
  await produce(plain, 5);
  await plain[Symbol.asyncDispose]();
  const text = "topics: { orders: { table: { begin: latest }, value: { decode: json } } }";
  const broker = await openBroker(configOf(text, inProcess(directory)));
  await run(broker, "table", "flush", "orders");
  await produce(broker, 2);
  await run(broker, "table", "flush", "orders");
  const count = async (): Promise<string> =>
    await run(broker, "sql", "SELECT count(*) AS n, min(_kafka_offset) AS first FROM kafka.orders");
  expect(await count()).toMatch(/2\s+5/);
  const said = await run(broker, "table", "backfill", "orders", "--from-offset", "0:1", "--rate", "50MiB/s");
  expect(said).toBe("running, 0 of 4 records in the table (0 %), 52428800 bytes a second at most\n");
  await vi.waitFor(
    async () => {
      await run(broker, "table", "flush", "orders"); // Takes along what is ready.
      expect(await run(broker, "table", "status", "orders")).toContain("done, 4 of 4 records in the table (100 %)");
    },
    { timeout: 20_000, interval: 50 },
  );
  expect(await count()).toMatch(/6\s+1/);
  expect(await run(broker, "table", "verify", "orders")).toContain("equal: every row");
  const beside = await run(broker, "table", "backfill", "orders", "--into", "kafka.second", "--rate", "1MiB/s");
  expect(beside).toBe("running, 0 of 7 records in the table (0 %), 1048576 bytes a second at most\n");
  await vi.waitFor(
    async () => expect(await run(broker, "table", "status", "orders")).toContain("kafka.second: done, 7 of 7 records"),
    { timeout: 20_000, interval: 50 },
  );
  expect(await run(broker, "table", "backfill", "orders", "--into", "second", "--stop")).toBe(
    "second is built no further\n",
  );
  expect(await run(broker, "table", "status", "orders")).toContain("kafka.second: paused, a person stopped it; done");
  await broker[Symbol.asyncDispose]();
}, 60_000);
