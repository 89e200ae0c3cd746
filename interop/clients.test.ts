/** Proves: other people's Kafka clients produce and consume every codec, share groups and find their offsets again. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Consumer as PlatformaticConsumer,
  Producer as PlatformaticProducer,
  stringDeserializers,
  stringSerializers,
} from "@platformatic/kafka";
import { CompressionTypes, Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { kafkaTool } from "./kafka.ts";
import { aptInstall, command, python } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-clients-"));
let broker: InletBroker;
let librdkafka: (...args: readonly string[]) => Promise<Record<string, unknown>>;

beforeAll(async () => {
  const bin = await python("clients", ["confluent-kafka==2.16.1"]);
  librdkafka = async (...args) =>
    JSON.parse(await command(join(bin, "python"), [join(import.meta.dirname, "librdkafka.py"), ...args])) as Record<
      string,
      unknown
    >;
  if (!existsSync("/usr/bin/kcat")) await aptInstall("kcat");
  broker = await startInlet({ directory });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function createTopic(topic: string, partitions: number): Promise<void> {
  await kafkaTool("org.apache.kafka.tools.TopicCommand", [
    "--bootstrap-server",
    broker.bootstrap,
    "--create",
    "--topic",
    topic,
    "--partitions",
    String(partitions),
  ]);
}

const count = 300;
const expectedKeys = (prefix: string): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`).sort();

describe.each(["none", "gzip", "snappy", "lz4", "zstd"] as const)("codec %s", (codec) => {
  test("librdkafka to kcat, Java and back to librdkafka", async () => {
    const topic = `rdkafka-${codec}`;
    await createTopic(topic, 3);
    expect(await librdkafka("produce", broker.bootstrap, topic, codec, String(count), "r")).toEqual({
      delivered: count,
      errors: [],
    });
    expect(await librdkafka("consume", broker.bootstrap, topic, String(count))).toEqual({ keys: expectedKeys("r") });
    const kcat = await command("kcat", ["-b", broker.bootstrap, "-t", topic, "-C", "-e", "-q", "-f", "%k\\n"]);
    expect(kcat.trim().split("\n").sort()).toEqual(expectedKeys("r"));
    expect((await javaConsume(topic, count)).map((line) => line.split("\t")[0] ?? "").sort()).toEqual(
      expectedKeys("r"),
    );
  });

  test("Java to librdkafka, kcat to Java", async () => {
    const topic = `java-${codec}`;
    await createTopic(topic, 2);
    const lines = expectedKeys("j").map((key) => `${key}\tvalue of ${key}`);
    await kafkaTool(
      "org.apache.kafka.tools.ConsoleProducer",
      [
        "--bootstrap-server",
        broker.bootstrap,
        "--topic",
        topic,
        "--compression-codec",
        codec,
        "--reader-property",
        "parse.key=true",
      ],
      { input: `${lines.join("\n")}\n` },
    );
    expect(await librdkafka("consume", broker.bootstrap, topic, String(count))).toEqual({ keys: expectedKeys("j") });
    await command("kcat", ["-b", broker.bootstrap, "-t", topic, "-P", "-K", "|", "-z", codec], {
      input: "k-1|from kcat\n",
    });
    expect((await javaConsume(topic, count + 1)).map((line) => line.split("\t")[0])).toContain("k-1");
  });

  test("@platformatic/kafka reads what librdkafka wrote and writes what it reads", async () => {
    const topic = `platformatic-${codec}`;
    await createTopic(topic, 1);
    const producer = new PlatformaticProducer({
      clientId: "p",
      bootstrapBrokers: [broker.bootstrap],
      serializers: stringSerializers,
    });
    await producer.send({
      compression: codec,
      messages: expectedKeys("p").map((key) => ({ topic, key, value: `value of ${key}` })),
    });
    await producer.close();
    expect(await librdkafka("consume", broker.bootstrap, topic, String(count))).toEqual({ keys: expectedKeys("p") });
    const consumer = new PlatformaticConsumer({
      clientId: "c",
      groupId: `platformatic-${codec}`,
      bootstrapBrokers: [broker.bootstrap],
      deserializers: stringDeserializers,
    });
    const stream = await consumer.consume({ topics: [topic], mode: "earliest", autocommit: false });
    const keys: string[] = [];
    for await (const message of stream) {
      keys.push(message.key ?? "");
      if (keys.length === count) break;
    }
    await stream.close();
    await consumer.close();
    expect(keys.sort()).toEqual(expectedKeys("p"));
  });
});

test("kafkajs produces gzip and plain, and consumes both in a group", async () => {
  const topic = "kafkajs";
  await createTopic(topic, 3);
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const keys = expectedKeys("k");
  await producer.send({
    topic,
    acks: -1,
    compression: CompressionTypes.GZIP,
    messages: keys.slice(0, 150).map((key) => ({ key, value: key })),
  });
  await producer.send({ topic, acks: -1, messages: keys.slice(150).map((key) => ({ key, value: key })) });
  await producer.disconnect();
  const consumer = kafka.consumer({ groupId: "kafkajs-group" });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const read: string[] = [];
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: async ({ message }) => {
          read.push(message.key?.toString() ?? "");
          if (read.length === count) resolve();
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  expect(read.sort()).toEqual([...keys].sort());
});

test("a group rebalances as members come and go, and static members keep their partitions", async () => {
  const topic = "rebalance";
  await createTopic(topic, 4);
  await librdkafka("produce", broker.bootstrap, topic, "none", String(count), "g");
  const [first, second] = await Promise.all([
    librdkafka("group", broker.bootstrap, topic, "g-rebalance", "14"),
    librdkafka("group", broker.bootstrap, topic, "g-rebalance", "14"),
  ]);
  expect((first?.["read"] as number) + (second?.["read"] as number)).toBeGreaterThanOrEqual(count);
  const last = (member: Record<string, unknown> | undefined): readonly number[] =>
    ((member?.["assigned"] ?? []) as number[][]).at(-1) ?? [];
  expect([...last(first), ...last(second)].sort((a, b) => a - b)).toEqual([0, 1, 2, 3]);
  const description = await kafkaTool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", [
    "--bootstrap-server",
    broker.bootstrap,
    "--describe",
    "--group",
    "g-rebalance",
  ]);
  expect(description).toContain(topic);
});

test("committed offsets survive a restart of the broker", async () => {
  const topic = "restart";
  await createTopic(topic, 2);
  await librdkafka("produce", broker.bootstrap, topic, "lz4", String(count), "s");
  expect(await librdkafka("group", broker.bootstrap, topic, "g-restart", "8")).toMatchObject({ read: count });
  await broker[Symbol.asyncDispose]();
  broker = await startInlet({ directory });
  expect(await librdkafka("group", broker.bootstrap, topic, "g-restart", "6")).toMatchObject({ read: 0 });
  expect(await librdkafka("consume", broker.bootstrap, topic, String(count))).toEqual({ keys: expectedKeys("s") });
});

/** Ends when it has read this many. */
async function javaConsume(topic: string, messages: number): Promise<readonly string[]> {
  const output = await kafkaTool("org.apache.kafka.tools.consumer.ConsoleConsumer", [
    "--bootstrap-server",
    broker.bootstrap,
    "--topic",
    topic,
    "--from-beginning",
    "--timeout-ms",
    "30000",
    "--max-messages",
    String(messages),
    "--formatter-property",
    "print.key=true",
  ]);
  return output.split("\n").filter((line) => line.includes("\t"));
}
