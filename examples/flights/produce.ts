/**
 * Produces flights as Avro with kafkajs and the schema registry, as any application would.
 *
 *   node bin/run.js node examples/flights/produce.ts [--bootstrap 127.0.0.1:9092] [--registry http://127.0.0.1:8081] [--records 200000] [--topic flights]
 *
 * The data are the first rows of flights-3m.parquet in the npm package vega-datasets: real flights of the first half of 2001.
 * Prints one JSON line a step, so that another program can follow: {"produced": n} and at last {"done": n}.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { SchemaRegistry, SchemaType } from "@kafkajs/confluent-schema-registry";
import { Kafka, logLevel } from "kafkajs";

const { values: options } = parseArgs({
  options: {
    bootstrap: { type: "string", default: "127.0.0.1:9092" },
    registry: { type: "string", default: "http://127.0.0.1:8081" },
    records: { type: "string", default: "200000" },
    topic: { type: "string", default: "flights" },
    partitions: { type: "string", default: "6" },
  },
});
const recordsMax = Number(options.records);
const batchRecords = 4096;

const registry = new SchemaRegistry({ host: options.registry });
const schema = readFileSync(new URL("flight.avsc", import.meta.url), "utf8");
const { id: schemaId } = await registry.register(
  { type: SchemaType.AVRO, schema },
  { subject: `${options.topic}-value` },
);

const kafka = new Kafka({ clientId: "flights-example", brokers: [options.bootstrap], logLevel: logLevel.ERROR });
const admin = kafka.admin();
await admin.connect();
await admin.createTopics({ topics: [{ topic: options.topic, numPartitions: Number(options.partitions) }] });
await admin.disconnect();
const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
await producer.connect();

const file = fileURLToPath(new URL("../../node_modules/vega-datasets/data/flights-3m.parquet", import.meta.url));
const database = await (await DuckDBInstance.create()).connect();
const flights = await database.stream(
  `SELECT epoch_ms(date) AS date, delay::INT AS delay, distance::INT AS distance, origin, destination FROM read_parquet('${file}') LIMIT ${recordsMax}`,
);

let produced = 0;
let messages: { readonly key: string; readonly value: Buffer }[] = [];
async function send(): Promise<void> {
  if (messages.length === 0) return;
  await producer.send({ topic: options.topic, acks: -1, messages });
  produced += messages.length;
  messages = [];
  console.log(JSON.stringify({ produced }));
}

for await (const rows of flights.yieldRowObjectJs()) {
  for (const row of rows) {
    const flight = {
      date: Number(row["date"]),
      delay: row["delay"],
      distance: row["distance"],
      origin: row["origin"] as string,
      destination: row["destination"],
    };
    messages.push({ key: flight.origin, value: await registry.encode(schemaId, flight) });
    if (messages.length === batchRecords) await send();
  }
}
await send();
await producer.disconnect();
console.log(JSON.stringify({ done: produced }));
