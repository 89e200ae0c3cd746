/**
 * Proves: every engine reads every type of docs/types.md from every source, at the ends of what the type can say and where it is
 * absent, and tables whose schemas changed at every depth, as the values that were produced; and what it cannot read it says, or
 * is known to read otherwise (limits.ts).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../../test/support/inlet-process.ts";
import { type Answer, type EngineName, engineNames, type LocatedJob, locate, read } from "./engines.ts";
import { evolvedTopics } from "./evolved-topics.ts";
import { type Lake, startLake } from "./lake.ts";
import { columnLimitOf, tableLimitOf } from "./limits.ts";
import { namespace, type Row, sumsOf } from "./topics.ts";
import { typeTopics } from "./type-topics.ts";
import { produceTyped, type TypedTopic, typedSettings } from "./typed-topic.ts";

const topics = [...typeTopics, ...evolvedTopics];
const directory = mkdtempSync(join(tmpdir(), "inlet-types-"));
const expected = new Map<string, readonly Row[]>();
let lake: Lake;
let broker: InletBroker;
let jobs: readonly LocatedJob[];

beforeAll(async () => {
  lake = await startLake(directory, ["embedded"]);
  broker = await startInlet({
    directory: join(directory, "broker"),
    name: "inlet-types",
    config: {
      catalog: { warehouse: lake.root },
      lake: { catalogs: lake.inlet },
      topics: Object.fromEntries(topics.map((topic) => [topic.name, typedSettings(topic)])),
    },
  });
  // JSON Schema calls a property that is added to an open object incompatible.
  const compatibility = await fetch(`${broker.registry}/config`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ compatibility: "NONE" }),
  });
  expect(compatibility.status).toBe(200);
  const producer = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR }).producer();
  await producer.connect();
  for (const topic of topics) expected.set(topic.name, await produceTyped(broker, producer, topic));
  await producer.disconnect();
  const wanted = topics.map(({ name }) => ({ id: name, catalog: "embedded", namespace, table: name }) as const);
  jobs = await locate(lake, broker.catalog, wanted);
});

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  await lake?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test("every column of the type table is in a table", () => {
  for (const { name, types } of typeTopics) {
    const columns = new Set(jobs.find((job) => job.id === name)?.columns.map((column) => column.name));
    const wanted = types.filter(({ column }) => column !== "no column");
    expect(wanted.filter(({ field }) => !columns.has(field))).toEqual([]);
    expect(wanted.length).toBeGreaterThan(0);
  }
});

describe.each(engineNames)("%s", (engine) => {
  test("reads every value, or is known not to", async () => {
    const answers = await read(engine, { lake, embedded: broker.catalog, jobs, directory });
    expect(topics.flatMap((topic) => wrongOf(engine, topic, answers[topic.name]))).toEqual([]);
  });
});

/** What the engine read otherwise than it is known to. */
function wrongOf(engine: EngineName, { name, types }: TypedTopic, answer: Answer | undefined): readonly object[] {
  const limit = tableLimitOf(engine, types);
  if (answer === undefined || "error" in answer || limit !== undefined) {
    const isKnown = answer !== undefined && "error" in answer && limit?.error.test(answer.error) === true;
    return isKnown ? [] : [{ name, answer, limit }];
  }
  const columns = jobs.find((job) => job.id === name)?.columns ?? [];
  const sums = sumsOf(expected.get(name) ?? [], columns);
  if (answer.rows !== sums.rows) return [{ name, rows: answer.rows, expected: sums.rows }];
  return columns.flatMap((column) => {
    const type = types.find(({ field }) => field === column.name);
    const isEqual = answer.columns[column.name] === sums.columns[column.name];
    const known = type === undefined ? undefined : columnLimitOf(engine, type);
    return isEqual === (known === undefined) ? [] : [{ name, column: column.name, type: type?.type, isEqual, known }];
  });
}
