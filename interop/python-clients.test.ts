/** Proves: the two Kafka clients written in Python write with every codec, read in a group, commit and administer. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { command, python } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-python-clients-"));
let broker: InletBroker;
let bin: string;

beforeAll(async () => {
  bin = await python("python-clients", ["kafka-python[snappy,lz4,zstd]==3.0.12", "aiokafka[snappy,lz4,zstd]==0.14.0"]);
  broker = await startInlet({ directory });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test.each(["kafka-python", "aiokafka"])("%s", async (client) => {
  const script = join(import.meta.dirname, "python_clients.py");
  const output = await command(join(bin, "python"), [script, broker.bootstrap, client, client, "200"]);
  expect(JSON.parse(output)).toEqual({ read: 1000, ends: 1000, committed: 1000 });
});
