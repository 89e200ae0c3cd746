/**
 * Proves: of every source format × write mode × catalog × engine, two at a time (`npm run interop:tables -- --whole`: all at once), an
 * engine reads the rows that were produced, by count and checksum over all columns, or says that it cannot.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InletBroker, startInlet } from "../../test/support/inlet-process.ts";
import { seededRandom } from "../../test/support/seeded.ts";
import { engineNames, type Job, type LocatedJob, locate, read } from "./engines.ts";
import { formatNames, writeModes } from "./formats.ts";
import { catalogNames, type Lake, startLake } from "./lake.ts";
import { refusalOf } from "./limits.ts";
import { type Choice, every, pairsOf, pairwise } from "./pairwise.ts";
import { nameOf, namespace, produce, settingsOf, sumsOf, type Topic } from "./topics.ts";

const seed = Number(process.env["INLET_TABLES_SEED"] ?? 20_261);
const isWhole = process.env["INLET_TABLES_WHOLE"] === "1";
/** Of an engine. Every cell is many more topics than every pair, and Flink reads each for some seconds. */
const readMsMax = isWhole ? 1_200_000 : 300_000;
const parameters = { format: formatNames, write: writeModes, catalog: catalogNames, engine: engineNames } as const;
type Cell = Choice<typeof parameters>;

/** What has no fields cannot say what becomes of a row. */
const isPossible = ({ format, write }: Cell): boolean => !(format === "raw" && write === "cdc");

const random = seededRandom(seed);
const cells = isWhole ? every(parameters).filter(isPossible) : pairwise(parameters, isPossible, random);
const resolved: Topic = { format: "Avro", write: "upsert", catalog: "embedded", isResolved: true };
const versionThree = (["append", "upsert"] as const).map((write): Topic => {
  return { format: "Avro", write, catalog: "embedded", formatVersion: 3 };
});
const byName = new Map<string, Topic>(cells.map((cell) => [nameOf(cell), cell]));
const topics = [...byName.values(), ...versionThree, resolved];
const directory = mkdtempSync(join(tmpdir(), "inlet-tables-"));
let lake: Lake;
let broker: InletBroker;
let rows: Awaited<ReturnType<typeof produce>>;
let located: ReadonlyMap<string, LocatedJob>;

beforeAll(async () => {
  console.log(`seed ${seed}: ${cells.length} of ${every(parameters).length} cells over ${topics.length} topics`);
  lake = await startLake(directory);
  broker = await startInlet({
    directory: join(directory, "broker"),
    name: "inlet-tables",
    config: {
      catalog: { warehouse: lake.root },
      lake: { catalogs: lake.inlet },
      table: { maintenance: { interval: { ms: 2000 }, quiet: { ms: 1000 }, delete: { files: { min: 1 } } } },
      topics: Object.fromEntries(topics.map((topic) => [nameOf(topic), settingsOf(topic)])),
    },
  });
  rows = await produce(broker, topics, random);
  located = new Map((await locate(lake, broker.catalog, topics.map(jobOf))).map((job) => [job.id, job]));
});

function jobOf(topic: Topic): Job {
  return { id: nameOf(topic), catalog: topic.catalog, namespace, table: nameOf(topic) };
}

afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  await lake?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test("every two values meet that may", () => {
  const possible = new Set(every(parameters).filter(isPossible).flatMap(pairsOf));
  expect(new Set(cells.flatMap(pairsOf)), `seed ${seed}`).toEqual(possible);
  expect(possible.size).toBeGreaterThan(120);
});

test("a value without fields has no changes", async () => {
  const topic: Topic = { format: "raw", write: "cdc", catalog: "embedded" };
  const start = startInlet({
    directory: join(directory, "refused"),
    name: "inlet-tables-refused",
    config: { lake: { catalogs: { embedded: { type: "embedded" } } }, topics: { changes: settingsOf(topic) } },
  });
  await expect(start).rejects.toThrow(/value\.decode: raw has no fields to find it in/);
});

describe.each(engineNames)("%s", (engine) => {
  test(
    "reads what was produced, or says why not",
    async () => {
      const mine = [...cells.filter((cell) => cell.engine === engine), ...versionThree];
      const jobs = mine.map((topic) => located.get(nameOf(topic))).filter((job) => job !== undefined);
      expect(jobs.length).toBeGreaterThan(4);
      const answers = await read(engine, { lake, embedded: broker.catalog, jobs, directory });
      const wrong = mine.flatMap((topic): object[] => {
        const name = nameOf(topic);
        const answer = answers[name];
        const refusal = refusalOf(engine, topic);
        if (refusal !== undefined) {
          const isKnown = answer !== undefined && "error" in answer && refusal.error.test(answer.error);
          return isKnown ? [] : [{ name, answer, refusal }];
        }
        const expected = sumsOf(rows.get(name) ?? [], located.get(name)?.columns ?? []);
        return isDeepStrictEqual(answer, expected) ? [] : [{ name, answer, expected }];
      });
      expect(wrong, `seed ${seed}`).toEqual([]);
    },
    readMsMax,
  );
});

test("PyIceberg reads a table whose deletes the broker has resolved", async () => {
  const jobs = await locate(lake, broker.catalog, [jobOf(resolved)]);
  const expected = sumsOf(rows.get(nameOf(resolved)) ?? [], jobs[0]?.columns ?? []);
  const answer = async () => await read("PyIceberg", { lake, embedded: broker.catalog, jobs, directory });
  await expect.poll(answer, { timeout: 120_000, interval: 2000 }).toEqual({ [nameOf(resolved)]: expected });
});
