/** The matrix's topics: what each is produced with, and what its table's rows must be. */
import { Kafka, logLevel, type Producer } from "kafkajs";
import { expect } from "vitest";
import type { Random } from "../../src/base/runtime.ts";
import type { InletBroker } from "../../test/support/inlet-process.ts";
import { type Cell, TableChecksum } from "../canonical.ts";
import type { Column, Sums } from "./engines.ts";
import { type Change, type Format, type FormatName, formats, type Item, type WriteMode } from "./formats.ts";
import type { CatalogName } from "./lake.ts";

export interface Topic {
  readonly format: FormatName;
  readonly write: WriteMode;
  readonly catalog: CatalogName;
  /** The broker rewrites it in the background; otherwise deletes stay what they are, since it is these that engines must know. */
  readonly isResolved?: boolean;
  readonly formatVersion?: 2 | 3;
}

export type Row = Readonly<Record<string, Cell>>;

export const namespace = "shop";
const partitions = 2;
const items = 24;
/** Two commits a topic, so that the deletes of the second take rows of the first. */
const rounds = 2;
const changesPerRound = 40;

/** Of the topic, and of its table. */
export function nameOf({ format, write, catalog, isResolved = false, formatVersion = 2 }: Topic): string {
  const more = [...(isResolved ? ["resolved"] : []), ...(formatVersion === 3 ? ["v3"] : [])];
  return [format, write, catalog, ...more].join("_").toLowerCase().replaceAll(" ", "_");
}

/** Of the broker's file. */
export function settingsOf(topic: Topic): object {
  const { decode, isEnvelope } = formats[topic.format];
  const cdc = { key: ["id"], tombstone: "ignore", envelope: isEnvelope ? "debezium" : "op-field" };
  return {
    table: {
      catalog: topic.catalog,
      name: `${namespace}.${nameOf(topic)}`,
      format_version: topic.formatVersion ?? 2,
    },
    value: { decode },
    key: { decode: "string" },
    mode: { write: topic.write, ...(topic.write === "cdc" ? cdc : {}) },
    maintain: { compact: topic.isResolved === true ? "auto" : "off" },
  };
}

interface Source {
  readonly topic: Topic;
  readonly frame: Uint8Array;
  /** What is in the source's table now. */
  readonly state: Map<number, Item>;
  /** Rows by what tells them apart; null where one was deleted. */
  readonly rows: Map<string, Row | null>;
  readonly offsets: number[];
}

/** Produces and commits every topic's rounds; answers each one's rows. */
export async function produce(
  broker: InletBroker,
  topics: readonly Topic[],
  random: Random,
): Promise<ReadonlyMap<string, readonly Row[]>> {
  const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR });
  const [admin, producer] = [kafka.admin(), kafka.producer({ idempotent: true, maxInFlightRequests: 1 })];
  await admin.connect();
  await producer.connect();
  await admin.createTopics({
    topics: topics.map((topic) => ({ topic: nameOf(topic), numPartitions: partitions })),
  });
  const sources: Source[] = [];
  for (const topic of topics) {
    const frame = await frameOf(broker, nameOf(topic), formats[topic.format]);
    const offsets = Array.from({ length: partitions }, () => 0);
    sources.push({ topic, frame, state: new Map(), rows: new Map(), offsets });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const source of sources) await produceRound(producer, source, round, random);
    await Promise.all(topics.map((topic) => commit(broker, nameOf(topic))));
  }
  await producer.disconnect();
  await admin.disconnect();
  return new Map(sources.map(({ topic, rows }) => [nameOf(topic), [...rows.values()].filter((row) => row !== null)]));
}

async function produceRound(producer: Producer, source: Source, round: number, random: Random): Promise<void> {
  const { topic, frame, state, rows, offsets } = source;
  const format = formats[topic.format];
  const messages = changes(state, topic, random).map((change, at) => {
    const partition = change.id % partitions;
    const offset = offsets[partition] ?? 0;
    offsets[partition] = offset + 1;
    const timestampMs = 1_700_000_000_000 + round * changesPerRound + at;
    const key = `k${change.id}`;
    const isDelete = change.op === "d" && topic.write !== "append";
    const cells = { ...recordCells({ partition, offset, timestampMs, key }), ...format.cells(change, topic.write) };
    rows.set(topic.write === "append" ? `${partition}/${offset}` : key, isDelete ? null : cells);
    const isTombstone = isDelete && topic.write === "upsert";
    const value = isTombstone ? null : Buffer.concat([frame, format.encode(change)]);
    return { key, value, partition, timestamp: String(timestampMs), headers: { n: String(offset) } };
  });
  await producer.send({ topic: nameOf(topic), acks: -1, messages });
}

/** What was produced is in the table. */
export async function commit(broker: InletBroker, topic: string): Promise<void> {
  const flushed = await fetch(`${broker.http}/v1/tables/${topic}/flush`, { method: "POST" });
  expect(flushed.status, `${topic}: ${await flushed.text()}`).toBe(200);
}

/** Registers the topic's schema; what its values begin with. */
export async function frameOf(
  broker: InletBroker,
  topic: string,
  { schema }: Pick<Format, "schema">,
): Promise<Uint8Array> {
  if (schema === undefined) return Buffer.alloc(0);
  const response = await fetch(`${broker.registry}/subjects/${topic}-value/versions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(schema),
  });
  const { id, message } = (await response.json()) as { readonly id?: number; readonly message?: string };
  if (id === undefined) throw new Error(`${topic}: ${message}`);
  const frame = Buffer.alloc(5); // A zero, and the id.
  frame.writeInt32BE(id, 1);
  return frame;
}

/** Brings the items from their state to their next ones. */
function changes(state: Map<number, Item>, { format, write }: Topic, random: Random): readonly Change[] {
  const int = (below: number): number => Math.floor(random.unit() * below);
  return Array.from({ length: changesPerRound }, (_, at) => {
    // The first is new and has everything, so that inference meets each field.
    const id = at === 0 && state.size === 0 ? 0 : int(items);
    const before = state.get(id) ?? null;
    const canDelete = write !== "append" || formats[format].isEnvelope;
    if (canDelete && before !== null && random.unit() < 0.25) {
      state.delete(id);
      return { op: "d", id, before, after: null };
    }
    const after: Item = {
      id,
      name: ["", "plain", "Ünïcödé 🦆", "line\nbreak"][int(4)] ?? "",
      price: state.size > 0 && random.unit() < 0.3 ? null : int(100_000) / 8,
      isSold: random.unit() < 0.5,
      tags: state.size === 0 ? ["first"] : Array.from({ length: int(3) }, () => `t${int(9)}`),
      sizes: { m: int(2 ** 31) },
      place: { x: -1 - int(1000) / 4, label: state.size > 0 && random.unit() < 0.5 ? null : "here" },
      blob: random.fill(new Uint8Array(1 + int(12))),
      atMs: int(4) === 0 ? -1 - int(10 ** 12) : int(2 * 10 ** 12),
    };
    state.set(id, after);
    return { op: before === null ? "c" : "u", id, before, after };
  });
}

interface RecordPlace {
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: string;
}

/** The columns of every table. */
export function recordCells({ partition, offset, timestampMs, key }: RecordPlace): Row {
  return {
    _kafka_partition: BigInt(partition),
    _kafka_offset: BigInt(offset),
    _kafka_timestamp: { micros: BigInt(timestampMs) * 1000n },
    _kafka_timestamp_type: "CreateTime",
    _kafka_key: key,
    _kafka_headers: [{ struct: ["n", Buffer.from(String(offset))] }],
  };
}

/** What an engine must find; every cell has a column, and every column a cell. */
export function sumsOf(rows: readonly Row[], columns: readonly Column[]): Sums {
  const sum = new TableChecksum();
  const names = columns.map(({ name }) => name);
  const each = names.map((name) => [name, new TableChecksum()] as const);
  for (const row of rows) {
    expect(Object.keys(row).toSorted()).toEqual(names.toSorted());
    sum.add(names.map((name) => row[name] ?? null));
    for (const [name, one] of each) one.add([row[name] ?? null]);
  }
  return { ...sum.result(), columns: Object.fromEntries(each.map(([name, one]) => [name, one.result().checksum])) };
}
