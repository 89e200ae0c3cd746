/** Proves: engines that know nanoseconds read those of a table made in format 3 as they were produced. Seconds, once PyIceberg and DuckDB are there. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { expect, test } from "vitest";
import { openBroker } from "../src/broker.ts";
import { configOf, inProcess } from "../test/support/config.ts";
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

test("PyIceberg and DuckDB", async () => {
  const directory = mkdtempSync(join(tmpdir(), "inlet-nanoseconds-"));
  try {
    const text = "topics: { nanos: { table: { format_version: 3 }, value: { decode: latest } } }";
    await using broker = await openBroker(configOf(text, inProcess(directory)));
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
    const script = join(import.meta.dirname, "nanoseconds.py");
    const output = await command(join(await engineBin(), "python"), [script, broker.addresses.catalog, "main"]);
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
  } finally {
    rmSync(directory, { recursive: true });
  }
}, 300_000);
