/**
 * Produces a week of earthquakes as plain nested JSON with kafkajs.
 *
 *   node bin/run.js node examples/earthquakes/produce.ts [--bootstrap 127.0.0.1:9092] [--topic earthquakes]
 *
 * The data are earthquakes.json in the npm package vega-datasets. Prints {"done": n} at last.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Kafka, logLevel } from "kafkajs";

const { values: options } = parseArgs({
  options: {
    bootstrap: { type: "string", default: "127.0.0.1:9092" },
    topic: { type: "string", default: "earthquakes" },
  },
});

interface Feature {
  readonly id: string;
  readonly properties: { readonly time: number };
}

const file = new URL("../../node_modules/vega-datasets/data/earthquakes.json", import.meta.url);
const { features } = JSON.parse(readFileSync(file, "utf8")) as { readonly features: readonly Feature[] };

const kafka = new Kafka({ clientId: "earthquakes-example", brokers: [options.bootstrap], logLevel: logLevel.ERROR });
const admin = kafka.admin();
await admin.connect();
await admin.createTopics({ topics: [{ topic: options.topic, numPartitions: 2 }] });
await admin.disconnect();
const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
await producer.connect();
const messages = features.map((feature) => ({
  key: feature.id,
  value: JSON.stringify(feature),
  timestamp: String(feature.properties.time),
}));
await producer.send({ topic: options.topic, acks: -1, messages });
await producer.disconnect();
console.log(JSON.stringify({ done: messages.length }));
