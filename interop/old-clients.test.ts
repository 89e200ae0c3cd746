/**
 * Proves: clients of years ago work here as they did: the Java clients of Kafka 2.1 and 2.8 with transactions and groups, and a
 * librdkafka before its second version.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { goProgram } from "./go.ts";
import { runJava } from "./java.ts";
import { command, oldClientJars } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-old-clients-"));
let broker: InletBroker;

beforeAll(async () => {
  broker = await startInlet({ directory });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test.each(["2.1.1", "2.8.2"])("Java clients %s write, copy in transactions, and read once each", async (version) => {
  const classPath = join(await oldClientJars(version), "*");
  const args = [broker.bootstrap, `java-${version}`, "1000"];
  const output = await runJava({ classPath, main: join(import.meta.dirname, "OldClient.java"), args });
  console.log(output.trim());
  expect(output.trim().split("\n")).toEqual([
    "aborted true",
    "read 1000 once each",
    "committed 1000",
    "nodes 1",
    "groups 1",
  ]);
});

test("librdkafka 1.9.2 writes with every codec, commits and aborts, and reads in a group", async () => {
  const program = await goProgram("old_librdkafka", "github.com/confluentinc/confluent-kafka-go", "1.9.2");
  const output = await command(program, [broker.bootstrap, "librdkafka-1", "1000"]);
  console.log(output.trim());
  expect(JSON.parse(output)).toEqual({
    library: "1.9.2",
    written: 1000,
    read: 1000,
    twice: 0,
    aborted: 0,
    partitionsCommitted: 3,
  });
});
