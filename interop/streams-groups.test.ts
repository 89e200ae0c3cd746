/** Proves: Kafka Streams counts exactly once with either protocol, whoever is killed, and Kafka's own tool manages its groups. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { freePort, type Running, start } from "../test/support/processes.ts";
import { kafkaTool } from "./kafka.ts";
import { command, java, kafkaStreamsJars } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-streams-groups-"));
const tools = "org.apache.kafka.tools";
const streamsGroups = `${tools}.streams.StreamsGroupCommand`;
/** Short, so that an instance that was killed is missed while a test waits for it. */
const config = {
  group: {
    streams: {
      session: { ms: 6000 },
      heartbeat: { interval: { ms: 1000 } },
      initial: { rebalance: { delay: { ms: 1000 } } },
      standbys: 1,
    },
  },
};
const words = 17;
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

async function client(...args: readonly string[]): Promise<readonly string[]> {
  return [
    "-Xmx256m",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-cp",
    join(await kafkaStreamsJars(), "*"),
    join(import.meta.dirname, "StreamsClient.java"),
    ...args,
  ];
}

async function produce(application: string, lines: number, from: number): Promise<void> {
  const args = await client("produce", broker.bootstrap, `${application}-lines`, String(lines), String(from));
  await command(java(17), args);
}

/** An instance of the word count of interop/StreamsClient.java, once it runs. */
async function instance(application: string, protocol: string, name: string): Promise<Running> {
  const state = join(directory, `${application}-${name}`);
  const args = await client("run", broker.bootstrap, application, protocol, state, "1");
  return await start(`${application}-${name}`, java(17), args, { ready: (output) => output.includes("state RUNNING") });
}

async function application(name: string): Promise<void> {
  for (const [topic, partitions] of [
    [`${name}-lines`, 4],
    [`${name}-counts`, 1],
  ] as const)
    await tool(`${tools}.TopicCommand`, "--create", "--topic", topic, "--partitions", String(partitions));
}

/** Every count that was committed, as `word count`. */
async function committed(application: string, lines: number): Promise<readonly string[]> {
  const args = await client("counts", broker.bootstrap, `${application}-counts`, String(lines));
  return (await command(java(17), args)).trim().split("\n");
}

/** The last count of each word; each count of a word is greater than the one before. */
async function counted(application: string, lines: number): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const line of await committed(application, lines)) {
    const [word = "", count = ""] = line.split(" ");
    expect(Number(count), line).toBeGreaterThan(counts.get(word) ?? 0);
    counts.set(word, Number(count));
  }
  return counts;
}

function expected(lines: number): ReadonlyMap<string, number> {
  const perWord = Array.from(
    { length: words },
    (_, word) => [`w${word}`, Math.floor((lines - word - 1) / words) + 1] as const,
  );
  return new Map([...perWord, ["all", lines]]);
}

describe.each(["streams", "classic"])("a word count with the %s protocol", (protocol) => {
  test("is exact when one of two instances is killed, and when the broker is", async () => {
    const name = `killed-${protocol}`;
    await application(name);
    await produce(name, 2000, 0);
    const first = await instance(name, protocol, "a");
    await using second = await instance(name, protocol, "b");
    await produce(name, 1000, 2000);
    first.child.kill("SIGKILL");
    await produce(name, 1000, 3000);
    expect(await counted(name, 4000)).toEqual(expected(4000));
    await broker[Symbol.asyncDispose]();
    broker = await startInlet({ directory, config, kafkaPort });
    await produce(name, 1000, 4000);
    expect(await counted(name, 5000)).toEqual(expected(5000));
    expect(second.output()).not.toContain("failed");
  });
});

test("kafka-streams-groups lists, describes, resets and deletes a group", async () => {
  const name = "managed";
  await application(name);
  await produce(name, 500, 0);
  const group = ["--group", name] as const;
  {
    await using _a = await instance(name, "streams", "a");
    await using _b = await instance(name, "streams", "b");
    expect(await counted(name, 500)).toEqual(expected(500));
    expect(await tool(streamsGroups, "--list")).toMatch(/^managed$/m);
    await expect
      .poll(async () => await tool(streamsGroups, "--list", "--state"), { timeout: 30_000 })
      .toMatch(/managed\s+Stable/);
    expect(await tool(streamsGroups, "--describe", ...group, "--state")).toMatch(/managed\s+\S+ \(1\)\s+Stable\s+4/);
    const members = await tool(streamsGroups, "--describe", ...group, "--members");
    expect(members.match(/ACTIVE:/g)).toHaveLength(4);
    expect(members.match(/STANDBY:/g)?.length).toBeGreaterThan(0);
    const offsets = await tool(streamsGroups, "--describe", ...group, "--offsets", "--verbose");
    const ends = [...offsets.matchAll(/managed-lines\s+\d\s+(\d+)\s/g)].map(([, end]) => Number(end));
    expect(ends).toHaveLength(4);
    expect(ends.reduce((sum, end) => sum + end, 0)).toBeGreaterThanOrEqual(500); // Markers have offsets too.
    await expect(tool(streamsGroups, "--delete", ...group)).resolves.toContain("managed");
  }
  await expect
    .poll(async () => await tool(streamsGroups, "--list", "--state"), { timeout: 30_000 })
    .toMatch(/managed\s+Empty/);
  const reset = ["--reset-offsets", ...group, "--all-input-topics", "--to-earliest"];
  expect(await tool(streamsGroups, ...reset, "--dry-run")).toMatch(/managed-lines\s+0\s+0/);
  await tool(streamsGroups, ...reset, "--execute", "--delete-all-internal-topics");
  const topics = async () => await tool(`${tools}.TopicCommand`, "--list");
  expect(await topics()).not.toContain("managed-counts-changelog");
  {
    // From the beginning again, and with an empty store.
    rmSync(join(directory, `${name}-a`), { recursive: true, force: true });
    await using _again = await instance(name, "streams", "a");
    const totals = async () => (await committed(name, 500)).filter((line) => line === "all 500").length;
    await expect.poll(totals, { timeout: 60_000 }).toBe(2);
    expect(await topics()).toContain("managed-counts-changelog");
  }
  await expect
    .poll(async () => await tool(streamsGroups, "--list", "--state"), { timeout: 30_000 })
    .toMatch(/managed\s+Empty/);
  await tool(streamsGroups, "--delete", ...group, "--delete-all-internal-topics");
  expect(await tool(streamsGroups, "--list")).not.toMatch(/^managed$/m);
  expect(await topics()).not.toContain("managed-counts-changelog");
});
