/** Proves: the commands that come with Apache Kafka, and its own compatibility test, work against this broker. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { kafkaTool } from "./kafka.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-java-tools-"));
let broker: InletBroker;

beforeAll(async () => {
  broker = await startInlet({ directory });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const tools = "org.apache.kafka.tools";

async function tool(className: string, ...args: readonly string[]): Promise<string> {
  return await kafkaTool(className, ["--bootstrap-server", broker.bootstrap, ...args]);
}

async function createTopic(topic: string, partitions: number): Promise<void> {
  await tool(`${tools}.TopicCommand`, "--create", "--topic", topic, "--partitions", String(partitions));
}

async function produce(topic: string, records: number): Promise<void> {
  const output = await tool(`${tools}.VerifiableProducer`, "--topic", topic, "--max-messages", String(records));
  expect(output).toContain(`"sent":${records},"acked":${records}`);
}

/** Partition to offset, as GetOffsetShell prints them. */
async function offsets(topic: string, time: string): Promise<ReadonlyMap<number, number>> {
  const output = await tool(`${tools}.GetOffsetShell`, "--topic", topic, "--time", time);
  const lines = output.trim().split("\n");
  return new Map(
    lines.map((line) => line.split(":")).map(([, partition, offset]) => [Number(partition), Number(offset)]),
  );
}

test("ClientCompatibilityTest succeeds with all that is there", async () => {
  const features = {
    "offsets-for-times-supported": true,
    "cluster-id-supported": true,
    "expect-record-too-large-exception": false,
    "create-topics-supported": true,
    "describe-acls-supported": true,
    "describe-configs-supported": true,
    "idempotent-producer-supported": true,
  };
  const expected = Object.entries(features).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const args = ["--topic", "compatibility", "--num-cluster-nodes", "1", ...expected];
  expect(await tool(`${tools}.ClientCompatibilityTest`, ...args)).toContain("SUCCESS.");
});

test("ConfigCommand and TopicCommand change what they then describe", async () => {
  await createTopic("configs", 2);
  const entity = ["--entity-type", "topics", "--entity-name", "configs"];
  const command = "kafka.admin.ConfigCommand";
  await tool(command, "--alter", ...entity, "--add-config", "max.message.bytes=2000000,retention.ms=3600000");
  await tool(command, "--alter", ...entity, "--delete-config", "retention.ms");
  const described = await tool(command, "--describe", ...entity);
  expect(described).toContain("max.message.bytes=2000000");
  expect(described).not.toContain("retention.ms");
  await expect(tool(command, "--alter", ...entity, "--add-config", "nonsense=1")).rejects.toThrow(/nonsense/);
  await tool(`${tools}.TopicCommand`, "--alter", "--topic", "configs", "--partitions", "5");
  expect(await tool(`${tools}.TopicCommand`, "--describe", "--topic", "configs")).toContain("PartitionCount: 5");
  expect(await tool(`${tools}.BrokerApiVersionsCommand`)).toContain("Produce(0): 0 to");
});

test("DeleteRecordsCommand moves the start that GetOffsetShell tells", async () => {
  await createTopic("trimmed", 1);
  await produce("trimmed", 100);
  const file = join(directory, "records.json");
  writeFileSync(file, JSON.stringify({ version: 1, partitions: [{ topic: "trimmed", partition: 0, offset: 30 }] }));
  const output = await tool(`${tools}.DeleteRecordsCommand`, "--offset-json-file", file);
  expect(output).toContain("low_watermark: 30");
  expect(await offsets("trimmed", "earliest")).toEqual(new Map([[0, 30]]));
  expect(await offsets("trimmed", "latest")).toEqual(new Map([[0, 100]]));
});

test("ConsumerGroupCommand describes, resets, shifts and deletes what VerifiableConsumer committed", async () => {
  await createTopic("group", 1);
  await produce("group", 3000);
  expect(await offsets("group", "latest")).toEqual(new Map([[0, 3000]]));
  const read = ["--topic", "group", "--group-id", "verified", "--max-messages", "3000", "--reset-policy", "earliest"];
  expect(await tool(`${tools}.VerifiableConsumer`, ...read)).toContain("offsets_committed");
  const command = `${tools}.consumer.group.ConsumerGroupCommand`;
  const group = ["--group", "verified"];
  const committed = (text: string): readonly number[] =>
    text
      .split("\n")
      .filter((line) => line.startsWith("verified"))
      .map((line) => Number(line.split(/\s+/)[3]));
  expect(await tool(command, "--list", "--state")).toMatch(/verified\s+Empty/);
  expect(committed(await tool(command, "--describe", ...group))).toEqual([3000]);
  const reset = ["--reset-offsets", ...group, "--topic", "group", "--execute"];
  expect(committed(await tool(command, ...reset, "--to-earliest"))).toEqual([0]);
  expect(committed(await tool(command, ...reset, "--shift-by", "3"))).toEqual([3]);
  expect(await tool(command, "--delete-offsets", ...group, "--topic", "group:0")).toContain("Successful");
  await tool(command, "--delete", ...group);
  expect(await tool(command, "--list")).not.toContain("verified");
});

test("EndToEndLatency reads every record that it wrote", async () => {
  const args = ["--topic", "latency", "--num-records", "200", "--producer-acks", "all", "--record-size", "100"];
  expect(await tool(`${tools}.EndToEndLatency`, ...args)).toContain("Percentiles:");
});
