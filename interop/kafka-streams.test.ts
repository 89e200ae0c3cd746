/** Proves: Kafka Streams' own smoke test counts every record exactly once, through instances that join and one that is killed. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import type { Running } from "../test/support/processes.ts";
import { type JavaProgram, runJava, startJava } from "./java.ts";
import { createTopics } from "./kafka.ts";
import { streamsTestJars } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-kafka-streams-"));
let broker: InletBroker;
let classPath: string;

beforeAll(async () => {
  classPath = join(await streamsTestJars(), "*");
  broker = await startInlet({ directory });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** Those that Kafka's own system test makes for it; the program makes its internal ones itself. */
const topics = "data fk echo min min-suppressed min-raw max sum sws-raw sws-suppressed dif cnt avg tagg wcnt".split(
  " ",
);

/** `process` computes until it is stopped; `run` writes for half a minute and then waits for the right results. */
function smokeTest(name: string, command: "process" | "run"): JavaProgram {
  const file = join(directory, `${name}.properties`);
  const properties = {
    "bootstrap.servers": broker.bootstrap,
    "processing.guarantee": "exactly_once_v2",
    "group.protocol": "classic",
    // Short, so that the killed instance is missed while the records still come.
    "session.timeout.ms": "6000",
    "heartbeat.interval.ms": "1000",
  };
  writeFileSync(
    file,
    Object.entries(properties)
      .map((entry) => `${entry.join("=")}\n`)
      .join(""),
  );
  return { classPath, main: "org.apache.kafka.streams.tests.StreamsSmokeTest", args: [file, command] };
}

async function instance(name: string): Promise<Running> {
  return await startJava(name, smokeTest(name, "process"), { ready: (output) => output.includes("-> RUNNING") });
}

test("the smoke test under exactly_once_v2 and the classic protocol", async () => {
  await createTopics(broker.bootstrap, 5, topics);
  await using first = await instance("streams-1");
  await using _second = await instance("streams-2");
  const driver = runJava(smokeTest("streams-driver", "run"));
  await processed(first, 1000);
  first.child.kill("SIGKILL");
  await using _third = await instance("streams-3");
  const output = await driver;
  const verdict = output.slice(output.indexOf("Result Verification"));
  console.log(verdict);
  expect(verdict).toContain("ALL-RECORDS-DELIVERED");
  expect(verdict).toMatch(/^SUCCESS$/m);
  expect(verdict).not.toMatch(/fail|duplicated/i);
  expect(/recordGenerated=(\d+)/.exec(verdict)?.[1]).toBe(/recordProcessed=(\d+)/.exec(verdict)?.[1]);
});

/** Until the instance has said that it processed this many records of the topic `data`. */
async function processed(running: Running, records: number): Promise<void> {
  await expect
    .poll(() => running.output(), { timeout: 60_000, interval: 200 })
    .toContain(`processed ${records} records from topic=data`);
}
