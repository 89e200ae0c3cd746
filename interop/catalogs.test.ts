/**
 * Proves: the adapters keep the catalogs' contract over real counterparts with faults between, and a broker with a topic in each
 * kind of catalog commits rows that PyIceberg reads, adds to, and finds again after the broker's next commit.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { open as openGlue } from "../catalogs/glue.ts";
import { open as openHms } from "../catalogs/hms.ts";
import { open as openJdbc } from "../catalogs/jdbc.ts";
import type { PointerCatalogDeps } from "../catalogs/pointer-catalog.ts";
import { open as openRest } from "../catalogs/rest.ts";
import { systemDisk } from "../src/base/system-disk.ts";
import { openLocalObjectStore } from "../src/object-store/local.ts";
import type { Catalog } from "../src/table/catalog.ts";
import { Warehouse } from "../src/table/warehouse.ts";
import { startCommitProxy } from "../test/support/commit-proxy.ts";
import { type InletBroker, startInlet } from "../test/support/inlet-process.ts";
import { seededRuntime, silent } from "../test/support/seeded.ts";
import { type CatalogWorld, catalogContract } from "../test/table/catalog-contract.ts";
import { type CatalogServer, startJavaCatalog, startMoto, startNessie } from "./catalog-servers.ts";
import { startHiveMetastore } from "./hive-metastore.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";
import { type S3Server, startSeaweed } from "./s3.ts";
import { command, python, versions } from "./tools.ts";

const directory = mkdtempSync(join(tmpdir(), "inlet-catalogs-"));
const lake = join(directory, "lake");
const root = pathToFileURL(lake).href;
const limits = { requestMsMax: 3_000, responseBytesMax: 1 << 20 };
const keys = { accessKeyId: "inlet", secretAccessKey: "of-the-test" };

let postgres: PostgresServer;
let moto: CatalogServer;
let hive3: CatalogServer;
let hive4: CatalogServer;
let framed: CatalogServer;
let javaCatalog: CatalogServer;
let s3: S3Server;
let nessie: CatalogServer;
const opened: AsyncDisposable[] = [];

async function running<T extends AsyncDisposable>(server: Promise<T>): Promise<T> {
  const started = await server;
  opened.push(started);
  return started;
}

beforeAll(async () => {
  chmodSync(directory, 0o755); // PostgreSQL runs as somebody else.
  for (const name of ["hive3", "hive4", "framed", "lake"]) mkdirSync(join(directory, name));
  postgres = await running(startPostgres({ directory: join(directory, "postgres") }));
  moto = await running(startMoto());
  hive3 = await running(startHiveMetastore({ version: "3.1.3", directory: join(directory, "hive3") }));
  hive4 = await running(startHiveMetastore({ version: "4.0.1", directory: join(directory, "hive4") }));
  framed = await running(
    startHiveMetastore({ version: "3.1.3", directory: join(directory, "framed"), isFramed: true }),
  );
  javaCatalog = await running(startJavaCatalog({ database: join(directory, "java.db"), warehouse: `${root}/java` }));
  s3 = await running(startSeaweed({ directory: join(directory, "s3") }));
  await s3.createBucket("lake");
  nessie = await running(startNessie({ s3, bucket: "lake" }));
});

afterAll(async () => {
  for (const each of opened.toReversed()) await each[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

type Deps = PointerCatalogDeps & { readonly limits: typeof limits };

async function deps(): Promise<Deps> {
  const runtime = seededRuntime(1);
  const store = await openLocalObjectStore({ directory: lake, disk: systemDisk, runtime });
  const warehouse = new Warehouse({ mounts: new Map([[root, store]]) });
  return { runtime, logger: silent, warehouse, warehouseRoot: root, limits };
}

type World = Pick<Parameters<typeof startCommitProxy>[0], "isHttp" | "isCommit"> & {
  readonly target: () => number;
  /** `test` tells one test's tables from another's on a server that all share. */
  readonly open: (port: number, deps: Deps, test: number) => Catalog;
};

let tests = 0;

function world({ target, isHttp, isCommit, open }: World): () => Promise<CatalogWorld> {
  return async () => {
    tests += 1;
    const proxy = await startCommitProxy({ target: target(), isHttp, isCommit });
    const shared = await deps();
    const [catalog, direct] = [proxy.port, target()].map((port) => named(open(port, shared, tests), tests));
    return {
      catalog: catalog as Catalog,
      direct: direct as Catalog,
      set fault(fault: CatalogWorld["fault"]) {
        proxy.fault = fault;
      },
      async [Symbol.asyncDispose]() {
        for (const each of [catalog, direct, proxy]) await each?.[Symbol.asyncDispose]();
      },
    };
  };
}

/** The same catalog, each test in namespaces of its own. */
function named(catalog: Catalog, test: number): Catalog {
  const own = ({ namespace, name }: Parameters<Catalog["load"]>[0]) => {
    return { namespace: [`${namespace[0]}_${test}`, ...namespace.slice(1)], name };
  };
  return {
    name: catalog.name,
    load: (table) => catalog.load(own(table)),
    create: (table, updates) => catalog.create(own(table), updates),
    commit: (table, ...rest) => catalog.commit(own(table), ...rest),
    [Symbol.asyncDispose]: () => catalog[Symbol.asyncDispose](),
  };
}

catalogContract(
  "JDBC on PostgreSQL",
  world({
    target: () => postgres.port,
    isHttp: false,
    isCommit: (request) => /(INSERT INTO|UPDATE) iceberg_tables/.test(request),
    open(port, own) {
      const uri = postgres.url().replace(`:${postgres.port}/`, `:${port}/`);
      return openJdbc({ name: "main", uri, catalogName: "contract" }, own);
    },
  }),
);

// Moto takes any VersionId for the table's.
catalogContract(
  "Glue, as moto makes it",
  world({
    target: () => moto.port,
    isHttp: true,
    isCommit: (request) => /AWSGlue\.(CreateTable|UpdateTable)\b/.test(request),
    open(port, own) {
      const endpoint = `http://127.0.0.1:${port}`;
      const credentials = { kind: "static", keys } as const;
      return openGlue({ name: "main", region: "us-east-1", endpoint, catalogId: null, credentials }, own);
    },
  }),
  { namespace: ["sales"], isComparing: false },
);

for (const version of ["3.1.3", "4.0.1"] as const) {
  const isLocking = version === "3.1.3"; // It compares nothing by itself.
  catalogContract(
    `Hive Metastore ${version}, ${isLocking ? "locks, framed" : "without locks"}`,
    world({
      target: () => (isLocking ? framed : hive4).port,
      isHttp: false,
      isCommit: (request) => /create_table|alter_table/.test(request),
      open(port, own) {
        const addresses = [{ host: "127.0.0.1", port }];
        return openHms({ name: "main", addresses, isFramed: isLocking, user: "inlet", isLocking }, own);
      },
    }),
    { namespace: ["sales"] },
  );
}

catalogContract(
  "REST, as Iceberg's Java serves it",
  world({
    target: () => javaCatalog.port,
    isHttp: true,
    isCommit: (request) => /^POST \S*\/tables\/[^/ ]+ HTTP/.test(request),
    open(port, own) {
      const uri = `http://127.0.0.1:${port}`;
      const auth = { kind: "none" } as const;
      return openRest({ name: "main", uri, warehouse: null, auth, accessDelegation: null, properties: new Map() }, own);
    },
  }),
);

describe("one broker, a topic in each kind of catalog", () => {
  const kinds = ["embedded", "sqlite", "postgres", "glue", "hms", "java", "nessie"] as const;
  let broker: InletBroker;

  beforeAll(async () => {
    const catalogs = {
      embedded: { type: "embedded" },
      sqlite: { type: "jdbc", uri: `sqlite:${join(directory, "catalog.db")}` },
      postgres: { type: "jdbc", uri: postgres.url(), catalog_name: "lake" },
      glue: {
        type: "glue",
        region: "us-east-1",
        endpoint: `http://127.0.0.1:${moto.port}`,
        credentials: { access_key: keys.accessKeyId, secret_key: keys.secretAccessKey },
      },
      hms: { type: "hms", uri: `thrift://127.0.0.1:${hive3.port}` },
      java: { type: "rest", uri: `http://127.0.0.1:${javaCatalog.port}` },
      // The broker has no keys to the bucket.
      nessie: {
        type: "rest",
        uri: `http://127.0.0.1:${nessie.port}/iceberg`,
        access_delegation: "remote-signing",
      },
    } satisfies Readonly<Record<(typeof kinds)[number], object>>;
    const topic = (catalog: string) => ({
      table: { catalog, name: `shop.orders_${catalog}` },
      value: { decode: "json" },
    });
    broker = await running(
      startInlet({
        directory: join(directory, "broker"),
        name: "inlet-catalogs",
        config: {
          catalog: { warehouse: root },
          lake: { catalogs },
          topics: Object.fromEntries(kinds.map((kind) => [`orders.${kind}`, topic(kind)])),
        },
      }),
    );
    await produce(0, 100);
  });

  test("PyIceberg reads what was produced, appends a row of its own, and the broker's next commit keeps it", async () => {
    // PyIceberg's lock does not say what it is for, which a metastore refuses that makes its own tables for a test.
    const theirs = kinds.filter((kind) => kind !== "hms");
    expect(await ask(theirs)).toEqual(Object.fromEntries(kinds.map((kind) => [kind, { rows: 100, sum: 4950 }])));
    await produce(100, 50);
    const ours = { rows: 150, sum: 11_175 };
    const both = { rows: 151, sum: 1_011_175 };
    const expected = kinds.map((kind) => [kind, kind === "hms" ? ours : both]);
    expect(await ask([])).toEqual(Object.fromEntries(expected));
  });

  /** Records { n } with n from `from` on, in every topic, committed. */
  async function produce(from: number, count: number): Promise<void> {
    const kafka = new Kafka({ brokers: [broker.bootstrap], logLevel: logLevel.ERROR });
    const producer = kafka.producer();
    await producer.connect();
    for (const kind of kinds) {
      const messages = Array.from({ length: count }, (_, index) => ({ value: JSON.stringify({ n: from + index }) }));
      await producer.send({ topic: `orders.${kind}`, messages });
    }
    await producer.disconnect();
    for (const kind of kinds) {
      const flushed = await fetch(`${broker.http}/v1/tables/orders.${kind}/flush`, { method: "POST" });
      expect(flushed.status, `${kind}: ${await flushed.text()}`).toBe(200);
    }
  }

  async function ask(append: readonly (typeof kinds)[number][]): Promise<unknown> {
    const postgresUri = postgres.url().replace("postgres://", "postgresql+psycopg2://");
    const request = {
      append,
      catalogs: {
        embedded: { type: "rest", uri: broker.catalog, warehouse: "embedded" },
        sqlite: { type: "sql", uri: `sqlite:///${join(directory, "catalog.db")}` },
        postgres: { type: "sql", uri: postgresUri, name: "lake" },
        glue: {
          type: "glue",
          "glue.endpoint": `http://127.0.0.1:${moto.port}`,
          "glue.region": "us-east-1",
          "glue.access-key-id": keys.accessKeyId,
          "glue.secret-access-key": keys.secretAccessKey,
        },
        hms: { type: "hive", uri: `thrift://127.0.0.1:${hive3.port}` },
        java: { type: "rest", uri: `http://127.0.0.1:${javaCatalog.port}` },
        nessie: {
          type: "rest",
          uri: `http://127.0.0.1:${nessie.port}/iceberg`,
          "s3.endpoint": s3.endpoint,
          "s3.access-key-id": s3.accessKey,
          "s3.secret-access-key": s3.secretKey,
          "s3.region": "us-east-1",
          "s3.remote-signing-enabled": "false",
          "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
        },
      } satisfies Readonly<Record<(typeof kinds)[number], object>>,
    };
    const bin = await python("catalogs", [
      `pyiceberg[pyarrow,sql-sqlite,sql-postgres,glue,hive]==${versions.pyiceberg}`,
    ]);
    const script = join(import.meta.dirname, "catalogs.py");
    return JSON.parse(await command(join(bin, "python"), [script], { input: JSON.stringify(request) }));
  }
});
