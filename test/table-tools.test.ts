/** Proves: what people ask of a table through the command line is answered by a broker at work, in words and in JSON. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type EachMessagePayload, Kafka, logLevel, type Producer } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Broker, openBroker } from "../src/broker.ts";
import { inletAt } from "./support/command.ts";
import { configOf, inProcess } from "./support/config.ts";

let directory: string;
let broker: Broker;
let producer: Producer;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "inlet-tools-"));
  broker = await openBroker(
    configOf(
      `topics:
  quotes: { value: { decode: json }, errors: { policy: dlq } }
  empty: { value: { decode: json } }
  trades: { value: { decode: schema-id }, errors: { dlq: { topic: trades.dlq } } }`,
      inProcess(directory),
    ),
  );
  const kafka = new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: "quotes", numPartitions: 2 }, { topic: "trades" }] });
  await admin.disconnect();
  producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
}, 60_000);
afterAll(async () => {
  await producer.disconnect();
  await broker[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const run = (...args: readonly string[]) => inletAt(broker, args);

async function json(...args: readonly string[]): Promise<unknown> {
  const { code, out, error } = await run("--json", ...args);
  expect([args, code, error]).toEqual([args, 0, ""]);
  return JSON.parse(out);
}

/** Records {n} from `from` on, every fourth one in partition 1. */
async function produce(from: number, count: number, extra: readonly string[] = []): Promise<void> {
  const messages = Array.from({ length: count }, (_, at) => ({
    partition: (from + at) % 4 === 0 ? 1 : 0,
    value: JSON.stringify({ n: from + at }),
  }));
  messages.push(...extra.map((value) => ({ partition: 0, value })));
  await producer.send({ topic: "quotes", acks: -1, messages });
}

async function flush(): Promise<void> {
  expect((await broker.tables.flush("quotes")).kind).toBe("flushed");
}

describe("inlet table at", () => {
  test("names the snapshot that first holds a record, and how engines read it", async () => {
    await produce(0, 8);
    await flush();
    const first = (await json("table", "at", "quotes", "--offset", "0:0")) as Record<string, unknown>;
    await produce(8, 8);
    await flush();
    expect(await json("table", "at", "quotes", "--offset", "0:5,1:1")).toMatchObject({
      snapshotId: first["snapshotId"],
      isFirst: true,
    });
    const second = (await json("table", "at", "quotes", "--offset", "0:6")) as Record<string, unknown>;
    expect(second["snapshotId"]).not.toBe(first["snapshotId"]);
    const all = new Date().toISOString();
    expect(await json("table", "at", "quotes", "--timestamp", all)).toMatchObject({ snapshotId: second["snapshotId"] });
    const said = await run("table", "at", "quotes", "--offset", "0:6");
    expect(said.out).toContain(`VERSION AS OF ${String(second["snapshotId"])} WHERE NOT`);
  });

  test("says what it cannot", async () => {
    expect((await run("table", "at", "quotes", "--offset", "0:1000000")).code).toBe(4);
    expect((await run("table", "at", "nothing", "--offset", "0:1")).code).toBe(4);
    for (const wrong of [[], ["--offset", "x"], ["--timestamp", "soon"], ["--offset", "0:1", "--timestamp", "1"]])
      expect([wrong, (await run("table", "at", "quotes", ...wrong)).code]).toEqual([wrong, 2]);
  });
});

describe("inlet sql", () => {
  const query = "SELECT count(*) AS rows, sum(n) AS total, count(late) AS late FROM kafka.quotes";

  test("answers the same before a commit and after it, columns that the commit will add included", async () => {
    const answer = async () => (await json("sql", query)) as { readonly rows: unknown; readonly tables: unknown };
    await flush();
    expect((await run("sql", query)).error).toContain("late"); // No record was: there is no such column yet.
    await produce(1000, 20);
    await producer.send({ topic: "quotes", acks: -1, messages: [{ partition: 0, value: '{"n":1,"late":true}' }] });
    const uncommitted = await answer();
    expect(uncommitted.tables).toMatchObject([{ table: "kafka.quotes", rowsNotCommitted: 21 }]);
    await flush();
    const committed = await answer();
    expect(committed.tables).toMatchObject([{ rowsNotCommitted: 0, notCommitted: [] }]);
    expect(committed.rows).toEqual(uncommitted.rows);
    const everything = "SELECT * FROM kafka.quotes ORDER BY _kafka_partition, _kafka_offset";
    await produce(2000, 10);
    const all = (await json("sql", everything)) as { readonly rows: readonly unknown[] };
    await flush();
    expect(((await json("sql", everything)) as { readonly rows: unknown }).rows).toEqual(all.rows);
  });

  test("prints a table, and says what is wrong with a query", async () => {
    expect((await run("sql", "SELECT 1 AS one, [1, 2] AS list")).out).toBe("one  list\n1    [1,2]\n");
    const wrong = ["SELEC 1", "SELECT * FROM kafka.nothing", "SELECT 1; SELECT 2", "COPY (SELECT 1) TO '/tmp/x'"];
    for (const each of [...wrong, "SELECT * FROM read_csv('/etc/passwd')", "SET threads = 1"])
      expect([each, (await run("sql", each)).code]).toEqual([each, 1]);
    expect((await run("sql", " ")).code).toBe(2);
  });
});

describe("inlet table plan", () => {
  test("tells what a table would be, from records as they are, and makes none", async () => {
    const kafka = new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: "plain", numPartitions: 2 }] });
    await admin.disconnect();
    const day = 86_400_000;
    const messages = [0, 1, 2, 3].map((at) => ({
      partition: 0,
      timestamp: String(1_700_000_000_000 + at * day),
      value: at === 2 ? "not JSON" : JSON.stringify({ Id: at, at: { place: "here" } }),
    }));
    await producer.send({ topic: "plain", acks: -1, messages });
    const file = join(directory, "plan.yaml");
    const layout = "layout: { partition_by: [day(_kafka_timestamp), at.place] }";
    writeFileSync(file, `topics: { plain: { table: { name: sales.plain }, value: { decode: json }, ${layout} } }`);
    const plan = await json("table", "plan", "plain", "--config", file);
    expect(plan).toMatchObject({
      table: "sales.plain",
      sample: { rows: 3, files: 3, partitions: 3 },
      rejects: [{ records: 1, samples: [expect.stringMatching(/^0:2 /)] }],
      estimate: { recordsPerDay: 1 },
      warnings: [expect.stringMatching(/^Id: Glue/), expect.stringMatching(/^at\.place: partitions by a nested/)],
    });
    const said = await run("table", "plan", "plain", "-c", file);
    expect(said.out).toContain("CREATE TABLE lake.sales.plain (\n  _kafka_partition INT NOT NULL,\n");
    expect(said.out).toContain("PARTITIONED BY (days(_kafka_timestamp), at.place)");
    const listed = (await json("table", "list")) as readonly { readonly topic: string }[];
    expect(listed.map(({ topic }) => topic)).not.toContain("plain");
  });

  test("without a file plans as the broker is configured, and refuses what cannot be", async () => {
    expect(await json("table", "plan", "quotes")).toMatchObject({ table: "kafka.quotes" });
    expect((await run("table", "plan", "plain")).code).toBe(4);
    expect((await run("table", "plan", "nothing")).code).toBe(4);
    const file = join(directory, "wrong.yaml");
    writeFileSync(file, "topics: { plain: { value: { decode: yaml } } }");
    expect((await run("table", "plan", "plain", "-c", file)).code).toBe(2);
    writeFileSync(file, "topics: { plain: { value: { decode: string }, layout: { partition_by: [day(value)] } } }");
    expect(await run("table", "plan", "plain", "-c", file)).toMatchObject({
      code: 1,
      error: expect.stringContaining("day(value) does not apply"),
    });
  });
});

describe("inlet table backfill", () => {
  test("says what it cannot", async () => {
    expect((await run("table", "backfill", "quotes")).error).toContain("nothing lies behind it");
    expect((await run("table", "backfill", "quotes", "--rate", "fast")).code).toBe(2);
    expect((await run("table", "backfill", "quotes", "--from-offset", "x")).error).toContain("is not partition:offset");
    expect((await run("table", "backfill", "nothing")).code).toBe(4);
  });
});

describe("inlet table replay-dlq", () => {
  test("says what became of dead letters, and what still fails", async () => {
    const early = Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), Buffer.from('{"id": 7}')]);
    const messages = [
      { partition: 0, value: "no schema id" },
      { partition: 0, value: early },
    ];
    await producer.send({ topic: "trades", acks: -1, messages });
    await run("table", "flush", "trades");
    const schema = JSON.stringify({ type: "object", properties: { id: { type: "integer" } } });
    await fetch(`${broker.addresses.registry}/subjects/trades-value/versions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ schemaType: "JSON", schema }),
    });
    expect(await json("table", "replay-dlq", "trades")).toEqual({
      letters: 2,
      rows: 1,
      rowsBefore: 0,
      superseded: 0,
      undecided: { records: 0, samples: [] },
      applied: { records: 0, samples: [] },
      failing: [{ reason: "no-schema-id", records: 1, samples: [expect.stringMatching(/^0:0 /)] }],
    });
    const { out, code } = await run("table", "replay-dlq", "trades");
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(
        /^2 dead letters: 0 are rows now, 1 were before\nstill failing: 1 for no-schema-id\n {2}0:0 /,
      ),
    ]);
    expect(await json("sql", "SELECT id, _kafka_offset FROM kafka.trades")).toMatchObject({ rows: [["7", "1"]] });
    expect((await run("table", "verify", "trades")).code).toBe(0);
    expect((await run("table", "replay-dlq", "nothing")).code).toBe(4);
    expect(await json("table", "replay-dlq", "trades", "--undecided", "apply")).toMatchObject({ rowsBefore: 1 });
    expect(await run("table", "replay-dlq", "trades", "--undecided", "guess")).toMatchObject({
      code: 2,
      error: expect.stringContaining("Allowed choices are keep, apply"),
    });
    const guess = { method: "POST", body: '{"undecided":"guess"}' };
    expect(await (await fetch(`${broker.addresses.http}/v1/tables/trades/replay-dlq`, guess)).json()).toEqual({
      error: "undecided is one of keep, apply",
    });
    expect((await run("table", "replay-dlq", "--help")).out).toContain("What is given up");
    expect(JSON.parse((await run("table", "replay-dlq", "trades", "--no-wait")).out)).toMatchObject({
      topic: "trades",
    });
  });

  test("a topic of dead letters is read by a client as any other", async () => {
    const kafka = new Kafka({ brokers: [broker.addresses.kafka], logLevel: logLevel.NOTHING });
    const consumer = kafka.consumer({ groupId: "repair" });
    await consumer.connect();
    await consumer.subscribe({ topic: "trades.dlq", fromBeginning: true });
    const letter = await new Promise<EachMessagePayload>((resolve, reject) => {
      consumer.run({ eachMessage: async (payload) => resolve(payload) }).catch(reject);
    });
    await consumer.disconnect();
    const { value, headers } = letter.message;
    expect([letter.topic, letter.partition, String(value)]).toEqual(["trades.dlq", 0, "no schema id"]);
    expect(String(headers?.["inlet.dlq.reason"])).toBe("no-schema-id");
    expect(String(headers?.["inlet.dlq.offset"])).toBe("0");
  });
});

describe("inlet table verify", () => {
  test("proves the table, and ends with 1 when the table was changed by others", async () => {
    await produce(0, 100, ["not JSON"]);
    await flush();
    expect(await json("table", "verify", "quotes")).toMatchObject({
      verdict: "equal",
      rows: 147,
      rowsProven: 147,
      deadLetters: { verdict: "equal", rows: 1 },
    });
    const said = await run("table", "verify", "quotes");
    expect([said.code, said.out]).toEqual([
      0,
      expect.stringContaining("equal: every row that must be there is there, once, as it was written, and no other"),
    ]);
    expect(await json("table", "verify", "quotes", "--no-wait")).toMatchObject({ state: "running" });
    expect((await run("table", "verify", "quotes")).code).toBe(0); // It may join that one, and ends with it.

    const [file] = (await broker.tables.currentFiles("quotes")) as [string];
    writeFileSync(fileURLToPath(file), "no Parquet");
    const found = await run("table", "verify", "quotes");
    expect([found.code, found.error]).toEqual([1, expect.stringContaining("does not hold what was translated")]);
    expect(found.out).toContain("file-unreadable");
  });

  test("says what there is not", async () => {
    expect(await run("table", "verify", "nothing")).toMatchObject({
      code: 4,
      error: "inlet: topic nothing has no table\n",
    });
    expect(await run("table", "verify", "quotes", "--table", "quotes_v2")).toMatchObject({
      code: 4,
      error: "inlet: topic quotes has no table quotes_v2: its own is kafka.quotes\n",
    });
    expect(await run("table", "verify", "empty")).toMatchObject({
      code: 1,
      error: expect.stringContaining("has not been made yet"),
    });
    expect((await run("table", "verify", "--help")).out).toContain("digests that were kept");
  });
});
