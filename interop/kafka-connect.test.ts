/** Proves: Kafka Connect's distributed workers carry a file through a topic exactly once, also when one of two is killed. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { answers, freePort, type Running } from "../test/support/processes.ts";
import { startJava } from "./java.ts";
import { createTopics, kafkaTool } from "./kafka.ts";
import { connectJars } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-kafka-connect-"));
let broker: InletBroker;

beforeAll(async () => {
  broker = await startInlet({ directory });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

interface Worker extends AsyncDisposable {
  readonly url: string;
  readonly running: Running;
}

/** A worker of one cluster, which keeps all that it knows in three topics of the broker. */
async function startWorker(name: string): Promise<Worker> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const converter = "org.apache.kafka.connect.storage.StringConverter";
  const properties = {
    "bootstrap.servers": broker.bootstrap,
    "group.id": "connect",
    listeners: url,
    "key.converter": converter,
    "value.converter": converter,
    "config.storage.topic": "connect-configs",
    "offset.storage.topic": "connect-offsets",
    "status.storage.topic": "connect-status",
    "config.storage.replication.factor": "1",
    "offset.storage.replication.factor": "1",
    "status.storage.replication.factor": "1",
    "exactly.once.source.support": "enabled",
    "offset.flush.interval.ms": "500",
    // Short, so that a killed worker's tasks move within the test.
    "session.timeout.ms": "6000",
    "heartbeat.interval.ms": "1000",
    "scheduled.rebalance.max.delay.ms": "1000",
  };
  const file = join(directory, `${name}.properties`);
  writeFileSync(
    file,
    Object.entries(properties)
      .map((entry) => `${entry.join("=")}\n`)
      .join(""),
  );
  const main = "org.apache.kafka.connect.cli.ConnectDistributed";
  const running = await startJava(
    name,
    { classPath: join(await connectJars(), "*"), main, args: [file] },
    { ready: () => answers(`${url}/connectors`), timeoutMs: 120_000 },
  );
  return { url, running, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

async function configure(worker: Worker, name: string, config: Readonly<Record<string, string>>): Promise<void> {
  // A worker that has just joined, or lost another, answers 409 until the group is balanced again.
  await expect
    .poll(
      async () => {
        const headers = { "content-type": "application/json" };
        const body = JSON.stringify({ "tasks.max": "1", ...config });
        return (await fetch(`${worker.url}/connectors/${name}/config`, { method: "PUT", headers, body })).status;
      },
      { timeout: 60_000, interval: 500 },
    )
    .toBe(201);
}

/** "RUNNING on 127.0.0.1:8083" and the like, of the connector's one task. */
async function task(worker: Worker, name: string): Promise<string> {
  const answer = await fetch(`${worker.url}/connectors/${name}/status`);
  const { tasks } = (await answer.json()) as { tasks?: readonly { state: string; worker_id: string }[] };
  return tasks?.map(({ state, worker_id }) => `${state} on ${worker_id}`).join() ?? "";
}

const linesOf = (first: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `line ${first + index}`);

const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join("");

test("a file becomes a topic and the topic a file, through the death of the worker that reads", async () => {
  const [from, to] = [join(directory, "source.txt"), join(directory, "sink.txt")];
  const written = (): readonly string[] => (existsSync(to) ? readFileSync(to, "utf8").trim().split("\n") : []);
  writeFileSync(from, text(linesOf(0, 500)));
  await createTopics(broker.bootstrap, 1, ["connected"]);
  await using first = await startWorker("connect-1");
  await using second = await startWorker("connect-2");
  const connector = (kind: string): string => `org.apache.kafka.connect.file.FileStream${kind}Connector`;
  await configure(first, "source", { "connector.class": connector("Source"), file: from, topic: "connected" });
  await configure(first, "sink", { "connector.class": connector("Sink"), file: to, topics: "connected" });
  await expect.poll(written, { timeout: 90_000, interval: 200 }).toEqual(linesOf(0, 500));
  const readers = await task(first, "source");
  const [dies, lives] = readers.endsWith(new URL(first.url).host) ? [first, second] : [second, first];
  dies.running.child.kill("SIGKILL");
  appendFileSync(from, text(linesOf(500, 500)));
  // Written by the source at most once: in a transaction with its offset. The sink may repeat what it had not committed.
  await expect.poll(() => new Set(written()).size, { timeout: 90_000, interval: 200 }).toBe(1000);
  expect(await task(lives, "source")).toBe(`RUNNING on ${new URL(lives.url).host}`);
  const read = (await committed("connected")).trim().split("\n");
  console.log(`${readers} was killed; ${read.length} records in the topic, ${written().length} lines in the sink`);
  expect(read).toEqual(linesOf(0, 1000));
});

async function committed(topic: string): Promise<string> {
  const args = ["--topic", topic, "--from-beginning", "--isolation-level", "read_committed", "--timeout-ms", "5000"];
  const consumer = "org.apache.kafka.tools.consumer.ConsoleConsumer";
  return await kafkaTool(consumer, ["--bootstrap-server", broker.bootstrap, ...args]);
}
