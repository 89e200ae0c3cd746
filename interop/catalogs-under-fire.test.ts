/**
 * Proves: with requests and answers to every kind of catalog lost, late, doubled and in error, no record is missing from its table
 * or its dead-letter table, and none is there twice, as PyIceberg reads them. The embedded catalog takes part with a token.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { Kafka, logLevel, type Producer } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Random } from "../src/base/runtime.ts";
import { type CommitProxy, startCommitProxy } from "../test/support/commit-proxy.ts";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { seededRandom } from "../test/support/seeded.ts";
import type { Fault } from "../test/table/catalog-contract.ts";
import { startJavaCatalog, startMoto } from "./catalog-servers.ts";
import { startHiveMetastore } from "./hive-metastore.ts";
import { startPostgres } from "./postgres.ts";
import { command, python, versions } from "./tools.ts";

const seed = Number(process.env["INLET_SEED"] ?? 1);
/** Each has a fault in some of its catalogs; with the servers' starts two to three minutes in all. */
const rounds = Number(process.env["INLET_ROUNDS"] ?? 8);
const kinds = ["embedded", "sqlite", "postgres", "glue", "hms", "java"] as const;
type Kind = (typeof kinds)[number];

/** What a table and its dead letters hold. */
interface Count {
  rows: number;
  sum: number;
  distinct: number;
  letters: number;
}

const directory = mkdtempSync(join(tmpdir(), "inlet-fire-"));
const root = pathToFileURL(join(directory, "lake")).href;
const database = join(directory, "catalog.db");
const keys = { accessKeyId: "inlet", secretAccessKey: "of-the-test" };
const token = "of-the-embedded-catalog";
const faults: readonly Fault[] = [
  "request-lost",
  "answer-lost",
  "answer-late",
  "request-doubled",
  ...[409, 500, 502, 503, 504].flatMap((status) => [
    { status, happens: true },
    { status, happens: status === 409 },
  ]),
];

const opened: AsyncDisposable[] = [];
const proxies = new Map<Kind, CommitProxy>();
let broker: InletBroker;
let producer: Producer;
let properties: Readonly<Record<Kind, Readonly<Record<string, string>>>>;

async function running<T extends AsyncDisposable>(server: Promise<T>): Promise<T> {
  const started = await server;
  opened.push(started);
  return started;
}

async function proxied(kind: Kind, target: number, isHttp: boolean, isCommit: RegExp): Promise<number> {
  const proxy = await running(startCommitProxy({ target, isHttp, isCommit: (request) => isCommit.test(request) }));
  proxies.set(kind, proxy);
  return proxy.port;
}

beforeAll(async () => {
  chmodSync(directory, 0o755); // PostgreSQL runs as somebody else.
  for (const name of ["hive", "lake"]) mkdirSync(join(directory, name));
  const postgres = await running(startPostgres({ directory: join(directory, "postgres") }));
  const moto = await running(startMoto());
  // PyIceberg asks for get_table, which a metastore of Hive 4 does not have any more.
  const hive = await running(startHiveMetastore({ version: "3.1.3", directory: join(directory, "hive") }));
  const java = await running(startJavaCatalog({ database: join(directory, "java.db"), warehouse: `${root}/java` }));
  const ports = {
    postgres: await proxied("postgres", postgres.port, false, /(INSERT INTO|UPDATE) iceberg_tables/),
    glue: await proxied("glue", moto.port, true, /AWSGlue\.(CreateTable|UpdateTable)\b/),
    hms: await proxied("hms", hive.port, false, /create_table|alter_table/),
    java: await proxied("java", java.port, true, /^POST \S*\/(tables\/[^/ ]+|transactions\/commit) HTTP/),
  };
  const catalogs = {
    embedded: { type: "embedded" },
    sqlite: { type: "jdbc", uri: `sqlite:${database}` },
    postgres: {
      type: "jdbc",
      uri: postgres.url().replace(`:${postgres.port}/`, `:${ports.postgres}/`),
      catalog_name: "lake",
    },
    glue: {
      type: "glue",
      region: "us-east-1",
      endpoint: `http://127.0.0.1:${ports.glue}`,
      credentials: { access_key: keys.accessKeyId, secret_key: keys.secretAccessKey },
    },
    hms: { type: "hms", uri: `thrift://127.0.0.1:${ports.hms}` },
    java: { type: "rest", uri: `http://127.0.0.1:${ports.java}` },
  } satisfies Readonly<Record<Kind, object>>;
  const topic = (catalog: string) => ({ table: { catalog }, value: { decode: "json" } });
  broker = await running(
    startInlet({
      directory: join(directory, "broker"),
      name: "inlet-catalogs-fire",
      config: {
        catalog: { warehouse: root, token },
        table: { catalog: { request: { ms: { max: "2s" } } } },
        lake: { catalogs, tables: { name: "shop.{topic}" } },
        topics: Object.fromEntries(kinds.map((kind) => [`orders.${kind}`, topic(kind)])),
      },
    }),
  );
  properties = {
    embedded: { type: "rest", uri: broker.catalog, warehouse: "embedded", token },
    sqlite: { type: "sql", uri: `sqlite:///${database}` },
    postgres: { type: "sql", uri: postgres.url().replace("postgres://", "postgresql+psycopg2://"), name: "lake" },
    glue: {
      type: "glue",
      "glue.endpoint": `http://127.0.0.1:${moto.port}`,
      "glue.region": "us-east-1",
      "glue.access-key-id": keys.accessKeyId,
      "glue.secret-access-key": keys.secretAccessKey,
    },
    hms: { type: "hive", uri: `thrift://127.0.0.1:${hive.port}` },
    java: { type: "rest", uri: `http://127.0.0.1:${java.port}` },
  };
  producer = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR }).producer();
  await producer.connect();
});

afterAll(async () => {
  await producer?.disconnect();
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test(`${rounds} rounds of faults, seed ${seed}: nothing is lost, nothing is doubled`, async () => {
  const random = seededRandom(seed);
  const expected = new Map<Kind, Count>();
  for (const kind of kinds) expected.set(kind, { rows: 0, sum: 0, distinct: 0, letters: 0 });
  const met = { faults: 0, failedFlushes: 0 };
  for (let round = 0; round < rounds; round += 1) {
    for (const [kind, count] of expected) await produce(kind, random, count);
    for (const proxy of proxies.values()) {
      proxy.fault = random.unit() < 0.6 ? faults[Math.floor(random.unit() * faults.length)] : undefined;
      if (proxy.fault !== undefined) met.faults += 1;
    }
    using _locked = lockedDatabase(round % 4 === 0);
    const answers = await Promise.all(kinds.map((kind) => flush(kind)));
    met.failedFlushes += answers.filter((status) => status !== 200).length;
  }
  for (const proxy of proxies.values()) proxy.fault = undefined;
  for (const kind of kinds) expect(await settled(kind), kind).toBe(200);
  process.stdout.write(`catalogs under fire: ${JSON.stringify(met)}, seed ${seed}\n`);
  expect(met.faults).toBeGreaterThan(rounds);
  expect(await read(), `seed ${seed}`).toEqual(Object.fromEntries(expected));
});

test("without its token the embedded catalog tells nothing", async () => {
  expect((await fetch(`${broker.catalog}/v1/config`)).status).toBe(401);
});

/** Up to ten records { n }, each n once, some of which are no JSON. */
async function produce(kind: Kind, random: Random, count: Count): Promise<void> {
  const messages = Array.from({ length: 1 + Math.floor(random.unit() * 9) }, () => {
    if (random.unit() < 0.2) {
      count.letters += 1;
      return { value: "{no json" };
    }
    const n = count.rows;
    count.rows += 1;
    count.distinct += 1;
    count.sum += n;
    return { value: JSON.stringify({ n }) };
  });
  await producer.send({ topic: `orders.${kind}`, messages });
}

async function flush(kind: Kind): Promise<number> {
  const answer = await fetch(`${broker.http}/v1/tables/orders.${kind}/flush`, { method: "POST" });
  await answer.arrayBuffer();
  return answer.status;
}

/** Without faults: what an attempt leaves to the next one is few rounds of commits. */
async function settled(kind: Kind): Promise<number> {
  let status = 0;
  for (let attempt = 0; attempt < 5 && status !== 200; attempt += 1) status = await flush(kind);
  return status;
}

/** Somebody else is writing to the file of the SQLite catalog, and does not end. */
function lockedDatabase(isLocked: boolean): Disposable {
  const other = new DatabaseSync(database);
  if (isLocked) other.exec("BEGIN IMMEDIATE");
  return {
    [Symbol.dispose]() {
      if (isLocked) other.exec("ROLLBACK");
      other.close();
    },
  };
}

async function read(): Promise<unknown> {
  const bin = await python("catalogs", [`pyiceberg[pyarrow,sql-sqlite,sql-postgres,glue,hive]==${versions.pyiceberg}`]);
  const script = join(import.meta.dirname, "catalogs_under_fire.py");
  const request = JSON.stringify({ catalogs: properties });
  return JSON.parse(await command(join(bin, "python"), [script], { input: request }));
}
