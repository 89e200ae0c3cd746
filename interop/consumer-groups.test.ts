/** Proves: consumers of the new protocol (KIP-848), of Java and librdkafka, share topics, rebalance, restart and migrate. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { freePort, type Running, start } from "../test/support/processes.ts";
import { kafkaTool } from "./kafka.ts";
import { command, java, kafkaJars, python } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-consumer-groups-"));
const tools = "org.apache.kafka.tools";
/** Short, so that a killed consumer is missed within a test. */
const config = { group: { consumer: { session: { ms: 6000 }, heartbeat: { interval: { ms: 1000 } } } } };
let port: number;
let broker: InletBroker;

beforeAll(async () => {
  port = await freePort();
  broker = await startInlet({ directory, config, kafkaPort: port });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const ascending = (a: number, b: number): number => a - b;

async function tool(className: string, ...args: readonly string[]): Promise<string> {
  return await kafkaTool(`${tools}.${className}`, ["--bootstrap-server", broker.bootstrap, ...args]);
}

async function topic(name: string, partitions: number): Promise<void> {
  await tool("TopicCommand", "--create", "--topic", name, "--partitions", String(partitions));
}

async function groups(...args: readonly string[]): Promise<string> {
  return await tool("consumer.group.ConsumerGroupCommand", ...args);
}

/** Kafka's own VerifiableConsumer, which prints what happens to it. */
class JavaConsumer implements AsyncDisposable {
  readonly running: Running;

  constructor(running: Running) {
    this.running = running;
  }

  static async start(
    name: string,
    group: string,
    subscribed: string,
    ...more: readonly string[]
  ): Promise<JavaConsumer> {
    const args = ["--bootstrap-server", broker.bootstrap, "--topic", subscribed, "--group-id", group, ...more];
    const jvm = ["-Xmx128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", join(await kafkaJars(), "*")];
    return new JavaConsumer(
      await start(name, java(17), [...jvm, `${tools}.VerifiableConsumer`, ...args], {
        ready: (output) => output.includes("startup_complete"),
      }),
    );
  }

  /** Partitions that it has now. */
  get held(): ReadonlySet<number> {
    const held = new Set<number>();
    for (const line of this.running.output().split("\n")) {
      if (!line.startsWith("{")) continue;
      const event = JSON.parse(line) as { name: string; partitions?: readonly { partition: number }[] };
      for (const { partition } of event.partitions ?? []) {
        if (event.name === "partitions_assigned") held.add(partition);
        if (event.name === "partitions_revoked") held.delete(partition);
      }
    }
    return held;
  }

  kill(): void {
    this.running.child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.running[Symbol.asyncDispose]();
  }
}

/** Until every partition has exactly one of these consumers, and each consumer about the same number. */
async function untilShared(consumers: readonly JavaConsumer[], partitions: number): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const counts = consumers.map(({ held }) => held.size);
    const all = new Set(consumers.flatMap(({ held }) => [...held]));
    const isEven = Math.max(...counts) - Math.min(...counts) <= 1;
    if (isEven && all.size === partitions && counts.reduce((sum, count) => sum + count, 0) === partitions) return;
    const shown = consumers.map(({ held }) => [...held].sort(ascending).join());
    if (Date.now() > deadline)
      throw new Error(`not shared: ${shown.join(" | ")}\n${broker.running.output().slice(-2000)}`);
    await delay(100);
  }
}

const modern = ["--group-protocol", "consumer"] as const;
const classic = [
  "--session-timeout",
  "6000",
  "--assignment-strategy",
  "org.apache.kafka.clients.consumer.RangeAssignor",
] as const;

test.each(["uniform", "range"])("three Java consumers under %s: one joins, one dies, one leaves", async (assignor) => {
  const name = `shared-${assignor}`;
  await topic(name, 6);
  const args = [...modern, "--group-remote-assignor", assignor];
  await using a = await JavaConsumer.start("a", name, name, ...args);
  await using b = await JavaConsumer.start("b", name, name, ...args);
  await untilShared([a, b], 6);
  await using c = await JavaConsumer.start("c", name, name, ...args);
  await untilShared([a, b, c], 6);
  const state = await groups("--describe", "--group", name, "--state");
  expect(state).toMatch(new RegExp(`${name}.*${assignor}.*Stable.*3`));
  expect(await groups("--describe", "--group", name, "--members", "--verbose")).toMatch(
    new RegExp(`#PARTITIONS[^]*${name}:`),
  );
  expect(await groups("--list", "--type", "consumer", "--state")).toMatch(new RegExp(`${name}.*Consumer.*Stable`));
  c.kill();
  await untilShared([a, b], 6);
  await b[Symbol.asyncDispose]();
  await untilShared([a], 6);
});

test("a broker that is restarted goes on with the group as it was", async () => {
  await topic("restarted", 6);
  await using a = await JavaConsumer.start("a", "restarted", "restarted", ...modern);
  await using b = await JavaConsumer.start("b", "restarted", "restarted", ...modern);
  await untilShared([a, b], 6);
  const epochs = async (): Promise<string> =>
    (await groups("--describe", "--group", "restarted", "--state", "--verbose")).replaceAll(
      /\d+\.\d+\.\d+\.\d+\S*/g,
      "",
    );
  const before = await epochs();
  await broker[Symbol.asyncDispose]();
  broker = await startInlet({ directory, config, kafkaPort: port });
  expect(await epochs()).toBe(before);
  await tool("VerifiableProducer", "--topic", "restarted", "--max-messages", "100");
  await using c = await JavaConsumer.start("c", "restarted", "restarted", ...modern);
  await untilShared([a, b, c], 6);
});

test("a static member that is restarted comes back to its partitions", async () => {
  await topic("static", 4);
  await using a = await JavaConsumer.start("a", "static", "static", ...modern, "--group-instance-id", "one");
  const first = await JavaConsumer.start("b", "static", "static", ...modern, "--group-instance-id", "two");
  await untilShared([a, first], 4);
  const [hadA, had] = [[...a.held], [...first.held]];
  await first[Symbol.asyncDispose]();
  await using again = await JavaConsumer.start("b", "static", "static", ...modern, "--group-instance-id", "two");
  await untilShared([a, again], 4);
  expect([...a.held]).toEqual(hadA);
  expect([...again.held].sort(ascending)).toEqual([...had].sort(ascending));
});

test("a group moves from the classic protocol to the new one and back while its members are restarted", async () => {
  await topic("moved", 4);
  await using a = await JavaConsumer.start("a", "moved", "moved", ...classic);
  await using b = await JavaConsumer.start("b", "moved", "moved", ...classic);
  await untilShared([a, b], 4);
  await a[Symbol.asyncDispose]();
  await using newA = await JavaConsumer.start("a", "moved", "moved", ...modern);
  await untilShared([newA, b], 4);
  expect(await groups("--list", "--type")).toMatch(/moved.*Consumer/);
  await b[Symbol.asyncDispose]();
  await using newB = await JavaConsumer.start("b", "moved", "moved", ...modern);
  await untilShared([newA, newB], 4);
  await newA[Symbol.asyncDispose]();
  await using oldA = await JavaConsumer.start("a", "moved", "moved", ...classic);
  await untilShared([oldA, newB], 4);
  await newB[Symbol.asyncDispose]();
  await using oldB = await JavaConsumer.start("b", "moved", "moved", ...classic);
  await untilShared([oldA, oldB], 4);
  expect(await groups("--list", "--type")).toMatch(/moved.*Classic/);
});

test("a regular expression is the broker's to evaluate, and new topics are found", async () => {
  await topic("region-eu", 1);
  const args = ["-cp", join(await kafkaJars(), "*"), join(import.meta.dirname, "PatternConsumer.java")];
  const running = await start("pattern", java(17), [...args, broker.bootstrap, "pattern", "region-[a-z]+"], {
    ready: (output) => output.includes("assigned region-eu-0\n"),
    timeoutMs: 60_000,
  });
  await using _ = running;
  await topic("region-us", 2);
  await topic("region-1", 1);
  const deadline = Date.now() + 60_000;
  while (!running.output().includes("assigned region-eu-0,region-us-0,region-us-1\n")) {
    expect(Date.now(), running.output()).toBeLessThan(deadline);
    await delay(100);
  }
  const refused = await start("pattern", java(17), [...args, broker.bootstrap, "broken", "region-(["], {
    ready: (output) => /^failed /m.test(output),
    timeoutMs: 60_000,
  });
  expect(refused.output()).toContain("InvalidRegularExpression");
  await refused[Symbol.asyncDispose]();
});

test("offsets are the group's: committed by members, read, reset and deleted by the tool", async () => {
  await topic("committed", 2);
  await tool("VerifiableProducer", "--topic", "committed", "--max-messages", "50");
  const consumer = await JavaConsumer.start("a", "committed", "committed", ...modern, "--max-messages", "50");
  const deadline = Date.now() + 60_000;
  while (!consumer.running.output().includes("shutdown_complete")) {
    expect(Date.now(), consumer.running.output().slice(-2000)).toBeLessThan(deadline);
    await delay(100);
  }
  await consumer[Symbol.asyncDispose]();
  const described = await groups("--describe", "--group", "committed");
  const lags = [...described.matchAll(/^committed +committed +\d+ +(\d+) +(\d+) +(\d+)/gm)];
  expect(new Set(lags.map(([, , , lag]) => lag))).toEqual(new Set(["0"]));
  const reset = ["--reset-offsets", "--group", "committed", "--topic", "committed", "--to-earliest", "--execute"];
  expect(await groups(...reset)).toMatch(/committed +committed +0 +0/);
  expect(await groups("--delete", "--group", "committed")).toContain("successful");
});

test("librdkafka's consumers share a topic by the new protocol", async () => {
  await topic("rdkafka", 4);
  await tool("VerifiableProducer", "--topic", "rdkafka", "--max-messages", "40");
  const bin = await python("clients", ["confluent-kafka==2.16.1"]);
  const script = join(directory, "consumer.py");
  writeFileSync(script, librdkafkaConsumer);
  const run = async (name: string): Promise<{ assigned: number[]; read: number }> =>
    JSON.parse(await command(join(bin, "python"), [script, broker.bootstrap, name])) as never;
  const members = await Promise.all([run("^rdk.*"), run("rdkafka")]);
  expect(members.flatMap(({ assigned }) => assigned).sort(ascending)).toEqual([0, 1, 2, 3]);
  expect(members.map(({ read }) => read).reduce((sum, read) => sum + read)).toBeGreaterThanOrEqual(40);
});

const librdkafkaConsumer = `
import json, sys, time
from confluent_kafka import Consumer
consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": "rdkafka", "group.protocol": "consumer", "auto.offset.reset": "earliest"})
consumer.subscribe([sys.argv[2]])
read, assigned, started = 0, [], time.time()
while time.time() < started + 25:
    message = consumer.poll(0.2)
    if message is not None and message.error():
        raise RuntimeError(message.error())
    read += message is not None
    if time.time() < started + 18:
        assigned = sorted(p.partition for p in consumer.assignment())
consumer.close()
print(json.dumps({"read": read, "assigned": assigned}))
`;
