/** Proves: other people's transactional producers, of both generations, write whole transactions or none, also through the death of
 *  the broker; and Kafka's own tools see them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { kafkaTool } from "./kafka.ts";
import { command, python } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-transactions-"));
let broker: InletBroker;

beforeAll(async () => {
  broker = await startInlet({ directory });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** A command of Kafka's; the options are written as a person types them. */
async function tool(name: string, options: string): Promise<string> {
  return await kafkaTool(`org.apache.kafka.tools.${name}`, [
    "--bootstrap-server",
    broker.bootstrap,
    ...options.split(" "),
  ]);
}

async function createTopic(topic: string, partitions: number): Promise<void> {
  await tool("TopicCommand", `--create --topic ${topic} --partitions ${partitions}`);
}

/** Everything that a read-committed Java consumer sees, as "key<tab>value". */
async function committed(topic: string, messages: number): Promise<readonly string[]> {
  const output = await tool(
    "consumer.ConsoleConsumer",
    `--topic ${topic} --from-beginning --isolation-level read_committed --formatter-property print.key=true ` +
      `--timeout-ms 30000 --max-messages ${messages}`,
  );
  return output.split("\n").filter((line) => line.includes("\t"));
}

const keyOf = (line: string): string => line.split("\t")[0] ?? "";

test("Java copies each record exactly once, with aborts, offsets in the transaction and a read-committed reader", async () => {
  await createTopic("copied-from", 1);
  await createTopic("copied-to", 3);
  const count = 1000;
  await tool("VerifiableProducer", `--topic copied-from --max-messages ${count} --throughput -1`);
  const copy =
    "--consumer-group copier --group-mode --enable-random-aborts --input-topic copied-from --input-partition 0 " +
    `--output-topic copied-to --transactional-id copier --transaction-size 50 --max-messages ${count}`;
  await kafkaTool("org.apache.kafka.tools.TransactionalMessageCopier", [
    "--broker-list",
    broker.bootstrap,
    ...copy.split(" "),
  ]);
  const values = (await committed("copied-to", count)).map((line) => Number(line.split("\t")[1]));
  expect(values.sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, index) => index));
  expect(await tool("TransactionsCommand", "list")).toMatch(/copier\s.*Complete/);
  expect(await tool("TransactionsCommand", "list --transactional-id-pattern other.*")).not.toContain("copier");
  expect(await tool("TransactionsCommand", "describe --transactional-id copier")).toContain("60000");
  const producers = await tool("TransactionsCommand", "describe-producers --topic copied-to --partition 0");
  expect(producers).toContain("None");
});

test("librdkafka commits, aborts, sends offsets and is fenced", async () => {
  const bin = await python("clients", ["confluent-kafka==2.16.1"]);
  await createTopic("librdkafka-transactions", 2);
  const script = join(import.meta.dirname, "librdkafka-transactions.py");
  const topic = "librdkafka-transactions";
  const output = await command(join(bin, "python"), [script, broker.bootstrap, topic, "librdkafka-group"]);
  expect(JSON.parse(output)).toEqual({ fenced: "_FENCED", committed: 9 });
  const keys = (await committed(topic, 100)).map(keyOf);
  expect(keys.filter((key) => !key.startsWith("kept-"))).toEqual([]);
  expect(new Set(keys).size).toBe(100);
});

test("kafkajs goes on in the middle of a transaction when the broker dies and comes back", async () => {
  const topic = "kafkajs-transactions";
  await createTopic(topic, 1);
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 30 } });
  const producer = kafka.producer({ transactionalId: "kafkajs", idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const send = async (key: string) => {
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ key, value: "v" }] });
    return transaction;
  };
  await (await send("kept-1")).commit();
  await (await send("aborted")).abort();
  const open = await send("kept-2");
  const kafkaPort = Number(broker.bootstrap.split(":")[1]);
  broker.running.child.kill("SIGKILL");
  await broker[Symbol.asyncDispose]();
  broker = await startInlet({ directory, kafkaPort });
  await open.send({ topic, messages: [{ key: "kept-3", value: "v" }] });
  await open.commit();
  await (await send("kept-4")).commit();
  await producer.disconnect();
  const keys = (await committed(topic, 4)).map(keyOf);
  expect(keys).toEqual(["kept-1", "kept-2", "kept-3", "kept-4"]);
});
