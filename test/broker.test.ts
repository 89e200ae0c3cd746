/** Proves: a broker that serves a stock client says so: ready, with the metrics that dashboards look for, and true figures. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { uuidZero } from "../src/base/ids.ts";
import { type Broker, openBroker } from "../src/broker.ts";
import { metricsTable } from "../src/telemetry/metrics-table.ts";
import { configOf, inProcess } from "./support/config.ts";
import { RawClient } from "./support/raw-client.ts";

const records = 300;
const partitions = 3;
let directory: string;
let broker: Broker;
let metrics: ReadonlyMap<string, number>;
let text: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "inlet-broker-"));
  const settings = {
    ...inProcess(directory),
    "group-initial-rebalance-delay-ms": "0",
    "table-maintenance-interval-ms": "100",
    "log-maintenance-interval-ms": "100",
  };
  const config = configOf("topics: { quotes: { value: { decode: json } } }", settings);
  broker = await openBroker(config);
  await serve();
  expect((await broker.tables.flush("quotes")).kind).toBe("flushed");
  // Caches and tables say how they are at a beat of their own.
  await vi.waitFor(
    async () => {
      ({ text, metrics } = await scrape());
      expect(metrics.get('inlet_table_state{topic="quotes",state="running"}')).toBe(1);
      expect(metrics.get('inlet_table_pending_commit_lag{topic="quotes",partition="0"}')).toBe(0);
      expect(metrics.has("inlet_log_cache_bytes")).toBe(true);
      expect(metrics.has('inlet_table_maintenance_seconds_count{topic="quotes"}')).toBe(true);
      expect(metrics.has('inlet_retention_lost_records_total{topic="quotes"}')).toBe(true);
    },
    { timeout: 10_000 },
  );
}, 60_000);
afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

/** Produces, and consumes half of it in a group that stays. */
async function serve(): Promise<void> {
  const kafka = new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: "quotes", numPartitions: partitions }] });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const messages = Array.from({ length: records }, (_, n) => ({ partition: n % partitions, value: `{"n":${n}}` }));
  messages.push({ partition: 0, value: "not JSON" });
  await producer.send({ topic: "quotes", acks: -1, messages });
  await producer.disconnect();
  const consumer = kafka.consumer({ groupId: "readers" });
  await consumer.connect();
  await consumer.subscribe({ topic: "quotes", fromBeginning: true });
  await new Promise<void>((resolve, reject) => {
    consumer.run({ eachMessage: async () => resolve() }).catch(reject);
  });
  await consumer.disconnect();
  await admin.setOffsets({ groupId: "readers", topic: "quotes", partitions: [{ partition: 0, offset: "50" }] });
  await admin.disconnect();
}

async function scrape(): Promise<{ readonly text: string; readonly metrics: ReadonlyMap<string, number> }> {
  const text = await (await fetch(`${broker.addresses.http}/metrics`)).text();
  return { text, metrics: samples(text) };
}

/** Value by name with its labels, as they are written. */
function samples(exposition: string): ReadonlyMap<string, number> {
  const lines = exposition.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
}

test("it is live and ready", async () => {
  for (const path of ["live", "ready"]) {
    const response = await fetch(`${broker.addresses.http}/health/${path}`);
    expect([path, response.status]).toEqual([path, 200]);
  }
});

test("the figures of topics and groups are true", () => {
  const topic = 'topic="quotes"';
  const first = `{${topic},partition="0"}`;
  const group = `{consumergroup="readers",${topic},partition="0"}`;
  const expected: Readonly<Record<string, number>> = {
    [`kafka_server_brokertopicmetrics_messagesin_total{${topic}}`]: records + 1,
    [`kafka_topic_partitions{${topic}}`]: partitions,
    [`kafka_topic_partition_current_offset${first}`]: records / partitions + 1,
    [`kafka_topic_partition_oldest_offset${first}`]: 0,
    [`kafka_consumergroup_current_offset${group}`]: 50,
    [`kafka_consumergroup_lag${group}`]: records / partitions + 1 - 50,
    kafka_controller_kafkacontroller_activecontrollercount: 1,
    kafka_controller_kafkacontroller_offlinepartitionscount: 0,
    kafka_server_replicamanager_underreplicatedpartitions: 0,
    [`inlet_table_rows_total{${topic}}`]: records,
    [`inlet_table_pending_translation_lag${first}`]: 0,
    [`inlet_table_pending_commit_lag${first}`]: 0,
  };
  const found = Object.fromEntries(Object.keys(expected).map((name) => [name, metrics.get(name)]));
  expect(found).toEqual(expected);
  const partitionsInAll = metrics.get("kafka_server_replicamanager_partitioncount") ?? 0;
  expect(partitionsInAll).toBeGreaterThan(partitions); // The internal topics' as well.
  expect(metrics.get("kafka_server_replicamanager_leadercount")).toBe(partitionsInAll);
  for (const name of ["bytesin", "bytesout"]) {
    expect(metrics.get(`kafka_server_brokertopicmetrics_${name}_total{${topic}}`)).toBeGreaterThan(records);
  }
});

test("every metric that is declared has a value after load", () => {
  const shown = new Set([...metrics.keys()].map((sample) => sample.replace(/\{.*/, "")));
  const isOfClientsThatPush = (name: string): boolean => name.startsWith(metricsTable.clientMetric.name);
  expect([...shown].filter(isOfClientsThatPush)).toEqual([]);
  const silent = Object.values(metricsTable).filter(
    ({ name, kind }) => !isOfClientsThatPush(name) && !shown.has(kind === "histogram" ? `${name}_count` : name),
  );
  expect(silent).toEqual([]);
  expect([...metrics.values()].filter((value) => Number.isNaN(value))).toEqual([]);
});

test("it is written as Prometheus reads it", () => {
  const name = "[a-zA-Z_:][a-zA-Z0-9_:]*";
  const label = `${name}="(?:[^"\\\\\n]|\\\\.)*"`;
  const line = new RegExp(
    `^(?:# (?:HELP|TYPE) ${name} .+|${name}(?:\\{${label}(?:,${label})*\\})? (?:[-+0-9.e]+|[+-]Inf))$`,
  );
  const lines = text.split("\n").slice(0, -1);
  expect(lines.length).toBeGreaterThan(100);
  expect(lines.filter((each) => !line.test(each))).toEqual([]);
});

test("a partition begins with the leader epoch 0, as metadata and the log both say", async () => {
  const [host, port] = broker.addresses.kafka.split(":") as [string, string];
  await using client = await RawClient.open({ host, port: Number(port) });
  const { topics } = await client.call("metadata", 12, {
    topics: [{ name: "quotes", topicId: uuidZero }],
    allowAutoTopicCreation: false,
  });
  expect(topics[0]?.partitions.map(({ leaderEpoch }) => leaderEpoch)).toEqual([0, 0, 0]);
  const asked = { partition: 1, currentLeaderEpoch: 0, leaderEpoch: 0 };
  const ends = await client.call("offsetForLeaderEpoch", 4, {
    replicaId: -2,
    topics: [{ topic: "quotes", partitions: [asked] }],
  });
  const end = { errorCode: 0, leaderEpoch: 0, endOffset: records / partitions };
  expect(ends.topics[0]?.partitions[0]).toMatchObject(end);
});
