/** Proves: Kafka's own tools set ACLs and quotas here, and its clients feel them: denied by name, slowed down to their rate. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { kafkaTool } from "./kafka.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-access-"));
let open: InletBroker;
let closed: InletBroker;

beforeAll(async () => {
  open = await startInlet({ directory: join(directory, "open") });
  // Nobody authenticates on loopback, so everybody is User:ANONYMOUS: with ACLs but without a super user it may do nothing.
  const config = { authorizer: { enabled: true }, super: { users: ["User:root"] } };
  const allowing = { allow: { everyone: { if: { no: { acl: { found: true } } } } } };
  closed = await startInlet({ directory: join(directory, "closed"), config: { ...config, ...allowing } });
});

afterAll(async () => {
  await open?.[Symbol.asyncDispose]();
  await closed?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function tool(broker: InletBroker, className: string, ...args: readonly string[]): Promise<string> {
  return await kafkaTool(className, ["--bootstrap-server", broker.bootstrap, ...args]);
}

const topics = "org.apache.kafka.tools.TopicCommand";
const configs = "kafka.admin.ConfigCommand";
const acls = "org.apache.kafka.tools.AclCommand";

describe("kafka-acls", () => {
  test("adds, lists and removes; a client is denied what it says, and only that", async () => {
    for (const topic of ["secret", "shared"]) await tool(closed, topics, "--create", "--topic", topic);
    const deny = ["--deny-principal", "User:ANONYMOUS", "--operation", "Write", "--topic", "secret"];
    const allow = ["--allow-principal", "User:*", "--operation", "All", "--topic", "*"];
    expect(await tool(closed, acls, "--add", ...allow)).toContain("ALLOW");
    expect(await tool(closed, acls, "--add", ...deny)).toContain("Adding ACLs");
    expect(await tool(closed, acls, "--list", "--topic", "secret")).toMatch(
      /principal=User:ANONYMOUS.*operation=WRITE, permissionType=DENY/,
    );

    const kafka = new Kafka({ brokers: [closed.bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 0 } });
    const producer = kafka.producer();
    await producer.connect();
    const messages = [{ value: "v" }];
    await expect(producer.send({ topic: "secret", messages })).rejects.toThrow(/not authorized/i);
    await producer.send({ topic: "shared", messages });

    await tool(closed, acls, "--remove", "--force", ...deny);
    await producer.send({ topic: "secret", messages });
    await producer.disconnect();
  });

  test("a hidden topic is not listed, and who asks for it by name is told why not", async () => {
    await tool(closed, topics, "--create", "--topic", "hidden");
    const deny = ["--deny-principal", "User:*", "--operation", "Describe", "--operation", "Read", "--topic", "hidden"];
    await tool(closed, acls, "--add", ...deny);
    expect(await tool(closed, topics, "--list")).not.toContain("hidden");
    const kafka = new Kafka({ brokers: [closed.bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 0 } });
    const admin = kafka.admin();
    await admin.connect();
    await expect(admin.fetchTopicMetadata({ topics: ["hidden"] })).rejects.toThrow(/not authorized/i);
    await admin.disconnect();
  });

  test("is told that there is no authorizer where there is none", async () => {
    await expect(tool(open, acls, "--list")).rejects.toThrow(/SecurityDisabledException/);
  });
});

describe("kafka-configs", () => {
  test("sets, describes and deletes quotas of users, clients and addresses", async () => {
    const entity = ["--entity-type", "users", "--entity-name", "alice", "--entity-type", "clients", "--entity-default"];
    await tool(open, configs, "--alter", ...entity, "--add-config", "consumer_byte_rate=2048,request_percentage=12.5");
    const described = await tool(open, configs, "--describe", ...entity);
    expect(described).toContain("consumer_byte_rate=2048.0");
    expect(described).toContain("request_percentage=12.5");
    await tool(open, configs, "--alter", ...entity, "--delete-config", "consumer_byte_rate,request_percentage");
    expect(await tool(open, configs, "--describe", ...entity)).not.toContain("consumer_byte_rate");
    const address = ["--entity-type", "ips", "--entity-name", "127.0.0.9"];
    await tool(open, configs, "--alter", ...address, "--add-config", "connection_creation_rate=7");
    expect(await tool(open, configs, "--describe", ...address)).toContain("connection_creation_rate=7.0");
  });

  test("a producer and a consumer over their quotas go at them, within a tenth", async () => {
    const limit = 1_000_000;
    const records = 25_000;
    const entity = ["--entity-type", "clients", "--entity-name", "slow"];
    const rates = `producer_byte_rate=${limit},consumer_byte_rate=${limit}`;
    await tool(open, topics, "--create", "--topic", "slow");
    await tool(open, configs, "--alter", ...entity, "--add-config", rates);
    const produced = await kafkaTool(
      "org.apache.kafka.tools.ProducerPerformance",
      [
        "--topic",
        "slow",
        "--num-records",
        String(records),
        "--record-size",
        "1000",
        "--throughput",
        "-1",
        "--producer-props",
        `bootstrap.servers=${open.bootstrap}`,
        "client.id=slow",
        "acks=all",
      ],
      { timeoutMs: 120_000 },
    );
    // The last line is the whole run; a young meter lets a window's worth through before it slows down.
    const seconds = records / Number(/([\d.]+) records\/sec/.exec(produced.trim().split("\n").at(-1) ?? "")?.[1]);
    expect((records * 1_000) / seconds / limit).toBeGreaterThan(0.9);
    expect((records * 1_000) / seconds / limit).toBeLessThan(1.1);
    const metrics = await (await fetch(`${open.http}/metrics`)).text();
    expect(metrics).toMatch(/inlet_quota_throttled_total\{quota="producer_byte_rate"\} [1-9]/);

    const kafka = new Kafka({ brokers: [open.bootstrap], clientId: "slow", logLevel: logLevel.NOTHING });
    const consumer = kafka.consumer({ groupId: "slow", maxBytes: 500_000, maxBytesPerPartition: 500_000 });
    await consumer.connect();
    await consumer.subscribe({ topic: "slow", fromBeginning: true });
    const started = performance.now();
    let left = records;
    await new Promise<void>((resolve, reject) => {
      consumer
        .run({
          eachBatch: async ({ batch }) => {
            left -= batch.messages.length;
            if (left <= 0) resolve();
          },
        })
        .catch(reject);
    });
    const rate = (records * 1_000) / ((performance.now() - started) / 1_000) / limit;
    await consumer.disconnect();
    expect(rate).toBeGreaterThan(0.8); // The group's first rebalance is in it.
    expect(rate).toBeLessThan(1.1);
  }, 180_000);
});
