/**
 * Proves: librdkafka's own tests pass against this broker. Left out are those of what is not served here, of what needs more
 * brokers than one, TLS in the client or Kafka's shell scripts, and a few long ones that ask the broker for nothing that the others do not.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { librdkafkaTests } from "./tools.ts";

/** By their numbers, the long ones first. A number stands for all tests that share it. */
const selected = `
  0089 0045 0033 0091 0102 0030 0122 0093 0018 0050 0049 0114 0088 0084 0069 0075 0132 0123 0020 0125 0118 0051
  0015 0038 0019 0017 0011 0083 0059 0086 0042 0029 0014 0082 0040 0060 0056 0127 0090 0067 0041 0112 0070
  0022 0001 0085 0068 0065 0048 0034 0013 0012 0008 0140 0130 0099 0073 0054 0044 0039 0036 0031 0021 0007 0005
  0003 0002 0063 0057 0035 0016 0061 0129
`
  .trim()
  .split(/\s+/);
const testMsMax = 240_000;

const directory = mkdtempSync(join(tmpdir(), "inlet-librdkafka-"));
let broker: InletBroker;
let tests: string;

beforeAll(async () => {
  tests = await librdkafkaTests();
  broker = await startInlet({ directory, config: { topic: { partitions: { default: 4 } } } });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

describe("librdkafka's test", () => {
  test.concurrent.each(selected)("%s", { timeout: testMsMax + 10_000 }, async (number) => {
    const output = await runOne(number);
    const states = [...output.matchAll(/^\| (\d{4}_\w+) +\| +(\w+) /gm)].map(([, name, state]) => ({ name, state }));
    expect(states.filter(({ state }) => state === "PASSED").length, output.slice(-4000)).toBeGreaterThan(0);
    expect(states.filter(({ state }) => state !== "PASSED" && state !== "SKIPPED")).toEqual([]);
  });
});

/** What the runner printed. It ends with a table of what ran; a runner that aborts does not come that far. */
function runOne(number: string): Promise<string> {
  const config = join(directory, `${number}.conf`);
  writeFileSync(
    config,
    `metadata.broker.list=${broker.bootstrap}\ntest.topic.prefix=t${number}\ntest.topic.random=true\n`,
  );
  const env = {
    ...process.env,
    RDKAFKA_TEST_CONF: config,
    TESTS: number,
    TEST_CONSUMER_GROUP_PROTOCOL: "classic",
    TEST_KAFKA_VERSION: "4.3.1",
    LD_LIBRARY_PATH: `${join(tests, "../src")}:${join(tests, "../src-cpp")}`,
  };
  const limits = { timeout: testMsMax, killSignal: "SIGKILL", maxBuffer: 256 * 1024 * 1024 } as const;
  return new Promise((resolve) => {
    execFile(join(tests, "test-runner"), ["-p1", "-L", "-K"], { cwd: tests, env, ...limits }, (_, stdout, stderr) =>
      resolve(stripVTControlCharacters(stdout + stderr)),
    );
  });
}
