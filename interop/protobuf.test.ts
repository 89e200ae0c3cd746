/** Proves: what Confluent's own Protobuf serializer produces, imports registered by it, PyIceberg and DuckDB read as a table, value by value. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { command, engineBin, python, versions } from "./tools.ts";

const count = 500;
const directory = mkdtempSync(join(tmpdir(), "inlet-protobuf-"));
const script = join(import.meta.dirname, "protobuf_python.py");
let broker: InletBroker;

beforeAll(async () => {
  broker = await startInlet({
    directory,
    config: {
      lake: { catalogs: { main: { type: "embedded" } } },
      topics: { orders: { table: { catalog: "main", name: "shop.orders" }, value: { decode: "schema-id" } } },
    },
  });
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function answer(bin: string, args: readonly string[]): Promise<unknown> {
  const output = await command(join(bin, "python"), [script, ...args]);
  const line = output.split("\n").find((each) => each.startsWith("ANSWER "));
  if (line === undefined) throw new Error(`no answer: ${output.slice(-2000)}`);
  return JSON.parse(line.slice("ANSWER ".length));
}

test("Confluent's serializer → broker → table → engines", async () => {
  const client = await python("protobuf", [
    `confluent-kafka[protobuf,schemaregistry]==${versions.confluentKafka}`,
    `grpcio-tools==${versions.grpcioTools}`,
  ]);
  const sent = await answer(client, ["produce", broker.bootstrap, broker.registry, "orders", String(count)]);
  expect(sent).toHaveLength(count);
  const flushed = await fetch(`${broker.http}/v1/tables/orders/flush`, { method: "POST" });
  expect(flushed.status, await flushed.text()).toBe(200);
  const read = await answer(await engineBin(), ["read", broker.catalog, "shop", "orders"]);
  expect(read).toEqual({ pyiceberg: sent, duckdb: sent });
});
