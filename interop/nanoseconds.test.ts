/**
 * Proves: engines that know nanoseconds read those of a table made in format 3 as they were produced, and the others refuse
 * such a table in their own words. Two minutes, once the engines are there.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Broker, openBroker } from "../src/broker.ts";
import { configOf, inProcess } from "../test/support/config.ts";
import { TableChecksum } from "./canonical.ts";
import { type LocatedJob, locate, read } from "./tables/engines.ts";
import { type Lake, startLake } from "./tables/lake.ts";
import { command, engineBin } from "./tools.ts";

const schema = {
  type: "record",
  name: "R",
  fields: [
    { name: "at_zone", type: { type: "long", logicalType: "timestamp-nanos" } },
    { name: "local", type: { type: "long", logicalType: "local-timestamp-nanos" } },
  ],
};

/** -1 and 123456789 nanoseconds, both twice. */
const values = [Buffer.of(1, 1), Buffer.of(0xaa, 0xb4, 0xde, 0x75, 0xaa, 0xb4, 0xde, 0x75)];

const directory = mkdtempSync(join(tmpdir(), "inlet-nanoseconds-"));
let lake: Lake;
let broker: Broker;
let jobs: readonly LocatedJob[];

beforeAll(async () => {
  lake = await startLake(directory, ["embedded"]);
  const text = `
    lake: { catalogs: { embedded: { type: embedded } } }
    catalog: { warehouse: "${lake.root}" }
    topics: { nanos: { table: { catalog: embedded, format_version: 3 }, value: { decode: latest } } }`;
  broker = await openBroker(configOf(text, inProcess(join(directory, "broker"))));
  const kafka = new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: "nanos" }] });
  await admin.disconnect();
  await fetch(`${broker.addresses.registry}/subjects/nanos-value/versions`, {
    method: "POST",
    body: JSON.stringify({ schema: JSON.stringify(schema) }),
  });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: "nanos", messages: values.map((value) => ({ value })) });
  await producer.disconnect();
  expect(await broker.tables.flush("nanos")).toMatchObject({ kind: "flushed" });
  const job = { id: "nanos", catalog: "embedded", namespace: "kafka", table: "nanos" } as const;
  jobs = await locate(lake, broker.addresses.catalog, [job]);
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  await lake?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test("PyIceberg and DuckDB", async () => {
  const script = join(import.meta.dirname, "nanoseconds.py");
  const output = await command(join(await engineBin(), "python"), [script, broker.addresses.catalog, "embedded"]);
  const line = output.split("\n").find((each) => each.startsWith("ANSWER ")) ?? "";
  expect(JSON.parse(line.slice("ANSWER ".length))).toEqual({
    pyiceberg: [
      ["-1", "-1"],
      ["123456789", "123456789"],
    ],
    // It knows nanoseconds only without a zone.
    duckdb: [
      ["0", "-1"],
      ["123456000", "123456789"],
    ],
  });
});

const refusals = { Spark: /unsupported type to Spark: timestamptz_ns/, Trino: /timestamptz_ns.* to Trino type/ };

// A newer one, which can, is noticed here.
test.each(["Spark", "Trino"] as const)("%s refuses the table in its own words", async (engine) => {
  const { nanos } = await read(engine, { lake, embedded: broker.addresses.catalog, jobs, directory });
  expect(nanos).toMatchObject({ error: expect.stringMatching(refusals[engine]) as unknown });
});

test("Flink, compared to the microsecond", async () => {
  const { nanos } = await read("Flink", { lake, embedded: broker.addresses.catalog, jobs, directory });
  const column = new TableChecksum();
  for (const micros of [-1n, 123_456n]) column.add([{ micros }]);
  const { checksum } = column.result();
  expect(nanos).toMatchObject({ rows: 2, columns: { at_zone: checksum, local: checksum } });
});
