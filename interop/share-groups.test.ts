/** Proves: Kafka's own share consumers and tools work against this broker, a record is not lost with a member or the broker. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { freePort } from "../test/support/processes.ts";
import { kafkaTool } from "./kafka.ts";
import { command, java, kafkaJars } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-share-groups-"));
const tools = "org.apache.kafka.tools";
const shareGroups = `${tools}.consumer.group.ShareGroupCommand`;
/** Short, so that locks run out, and members that were killed are missed, while a test waits for it. */
const config = { share: { lock: { ms: 2000 }, session: { ms: 6000 }, heartbeat: { ms: 1000 } } };
let kafkaPort: number;
let broker: InletBroker;

beforeAll(async () => {
  kafkaPort = await freePort();
  broker = await startInlet({ directory, config, kafkaPort });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function tool(className: string, ...args: readonly string[]): Promise<string> {
  return await kafkaTool(className, ["--bootstrap-server", broker.bootstrap, ...args]);
}

/** The lines that interop/ShareClient.java prints. */
async function client(scenario: string, topic: string, ...args: readonly string[]): Promise<readonly string[]> {
  const classPath = ["-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", join(await kafkaJars(), "*")];
  const source = join(import.meta.dirname, "ShareClient.java");
  const output = await command(java(17), [...classPath, source, broker.bootstrap, scenario, topic, ...args]);
  return output.trim() === "" ? [] : output.trim().split("\n");
}

/** A topic with these records, which the group is to read from the first on. */
async function topicOf(topic: string, group: string, records: number, partitions = 1): Promise<void> {
  await tool(`${tools}.TopicCommand`, "--create", "--topic", topic, "--partitions", String(partitions));
  await client("produce", topic, String(records));
  await fromStart(topic, group);
}

async function fromStart(topic: string, group: string): Promise<void> {
  const reset = ["--reset-offsets", "--to-earliest", "--execute", "--group", group, "--topic", topic];
  expect(await tool(shareGroups, ...reset)).toContain(group);
}

test("records are accepted, released and rejected one by one", async () => {
  await topicOf("answers", "answers", 3);
  const lines = await client("answers", "answers");
  expect(lines).toEqual(["first r0 1", "first r1 1", "first r2 1", "commit ok", "second r1 2", "commit ok"]);
  expect(await tool(shareGroups, "--describe", "--group", "answers")).toMatch(/answers\s+answers\s+0\s+3\s+0/);
});

test("a lock that runs out gives the record to another member", async () => {
  await topicOf("expiry", "expiry", 2);
  const lines = await client("expiry", "expiry");
  expect(lines.slice(0, 5)).toEqual(["slow r0 1", "slow r1 1", "quick r0 2", "quick r1 2", "commit ok"]);
});

test("a lock that is renewed holds", async () => {
  await topicOf("renew", "renew", 2);
  const lines = await client("renew", "renew");
  expect(lines).toEqual(["held r0 1", "held r1 1", ...Array.from({ length: 5 }, () => "commit ok")]);
});

test("what nobody can process is given out up to the limit, alone at last", async () => {
  await topicOf("limit", "limit", 1);
  const lines = await client("limit", "limit");
  expect(lines.filter((line) => line.startsWith("try"))).toEqual([1, 2, 3, 4, 5].map((count) => `try r0 ${count}`));
});

test("nothing is lost with members that are killed, nor with the broker", async () => {
  await topicOf("shared", "shared", 3000, 3);
  await client("shared", "shared", "3000", "halt");
  await broker[Symbol.asyncDispose]();
  broker = await startInlet({ directory, config, kafkaPort });
  const described = await tool(shareGroups, "--describe", "--group", "shared");
  const left = [...described.matchAll(/^shared\s+shared\s+\d\s+\d+\s+(\d+)/gm)].reduce(
    (sum, row) => sum + Number(row[1]),
    0,
  );
  expect(left).toBeGreaterThan(0);
  const [line = ""] = await client("shared", "shared", String(left), "no");
  expect(Number(/^saw (\d+)/.exec(line)?.[1])).toBeGreaterThanOrEqual(left);
  const after = await tool(shareGroups, "--describe", "--group", "shared");
  expect(after).not.toMatch(/^shared\s+shared\s+\d\s+\d+\s+[1-9]/m);
});

test("VerifiableShareConsumer and the console consumer read what there is; the tool describes, deletes and lists", async () => {
  await topicOf("verified", "verified", 1000);
  const verified = await kafkaTool(`${tools}.VerifiableShareConsumer`, [
    "--bootstrap-server",
    broker.bootstrap,
    "--topic",
    "verified",
    "--group-id",
    "verified",
    "--max-messages",
    "1000",
    "--acknowledgement-mode",
    "sync",
  ]);
  expect(verified).toContain('"name":"shutdown_complete"');
  expect(verified).not.toContain('"success":false');
  await fromStart("verified", "console");
  const console = [`${tools}.consumer.ConsoleShareConsumer`, "--topic", "verified", "--group", "console"] as const;
  expect((await tool(...console, "--max-messages", "1000")).trim().split("\n")).toHaveLength(1000);
  expect(await tool(shareGroups, "--list", "--state")).toMatch(/console\s+Empty/);
  expect(await tool(shareGroups, "--delete-offsets", "--group", "console", "--topic", "verified")).toContain(
    "verified",
  );
  await tool(shareGroups, "--delete", "--group", "console");
  expect(await tool(shareGroups, "--list")).not.toContain("console");
});
