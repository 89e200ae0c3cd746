/** Proves: after a stop the bucket holds what was acked, so that the machine may go; a store that is away does not keep a broker from stopping. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Broker, openBroker } from "../src/broker.ts";
import { rebuild } from "../src/rebuild.ts";
import { startBucketServer } from "./support/bucket-server.ts";
import { configOf, inProcess } from "./support/config.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-stop-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function produce({ addresses }: Broker): Promise<void> {
  const kafka = new Kafka({ brokers: [addresses.kafka], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: "t", numPartitions: 1 }] });
  await admin.disconnect();
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: "t", messages: [{ value: "acked" }] });
  await producer.disconnect();
}

test("another machine finds all of it in the bucket", async () => {
  const url = { "object-store-url": `file://${join(directory, "bucket")}` };
  {
    await using broker = await openBroker(configOf("", { ...inProcess(join(directory, "first")), ...url }));
    await produce(broker);
  }
  const elsewhere = configOf("", { ...inProcess(join(directory, "second")), ...url });
  await rebuild(elsewhere, undefined);
  await using broker = await openBroker(elsewhere);
  await expect.poll(() => broker.offsetsOf("t")).toEqual([{ start: 0, end: 1 }]);
});

test("without the store a stop ends after a while, and the WAL keeps it", async () => {
  let isAway = false;
  await using server = await startBucketServer({
    bucket: "lake",
    dialect: "s3",
    refuse: () => (isAway ? { status: 503, code: "SlowDown" } : undefined),
  });
  const config = configOf("", {
    ...inProcess(join(directory, "data")),
    "object-store-url": `s3://lake?endpoint=${server.endpoint}&pathStyle=true&accessKey=a&secretKey=b`,
    "stream-close-ms-max": "200ms",
  });
  {
    await using broker = await openBroker(config);
    await produce(broker);
    isAway = true;
  }
  isAway = false;
  await using broker = await openBroker(config);
  await expect.poll(() => broker.offsetsOf("t")).toEqual([{ start: 0, end: 1 }]);
});
