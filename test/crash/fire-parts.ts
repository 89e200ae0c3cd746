/** The processes of test/crash/table-fire.ts, and how they are set: everything that is bounded by time is short. */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Kafka, logLevel } from "kafkajs";
import { open as openRestCatalog } from "../../catalogs/rest.ts";
import { systemRuntime } from "../../src/base/runtime.ts";
import { systemDisk } from "../../src/base/system-disk.ts";
import { openLocalObjectStore } from "../../src/object-store/local.ts";
import type { Catalog } from "../../src/table/catalog.ts";
import { Warehouse } from "../../src/table/warehouse.ts";
import { pause } from "../jepsen/pause.ts";
import { type CommitProxy, startCommitProxy } from "../support/commit-proxy.ts";
import { type InletBroker, startInlet } from "../support/inlet-process.ts";
import { freePort } from "../support/processes.ts";
import { silent } from "../support/seeded.ts";
import { FireLoad, firePartitions } from "./fire-load.ts";
import { type FireTable, fireTables } from "./fire-plan.ts";
import { type ForeignProcess, startForeignWriter } from "./foreign-process.ts";

export interface Parts {
  readonly broker: Mortal;
  readonly catalogProcess: Mortal;
  readonly proxy: CommitProxy;
  readonly foreign: ForeignProcess;
  readonly load: FireLoad;
  /** Not through the proxy. */
  readonly catalog: Catalog;
  readonly warehouse: Warehouse;
}

/** A broker's process that is killed and comes back where it was. */
export class Mortal implements AsyncDisposable {
  now: InletBroker;
  readonly #start: () => Promise<InletBroker>;

  private constructor(start: () => Promise<InletBroker>, now: InletBroker) {
    this.#start = start;
    this.now = now;
  }

  static async start(start: () => Promise<InletBroker>): Promise<Mortal> {
    return new Mortal(start, await start());
  }

  async again(awayMs: number): Promise<void> {
    const { child } = this.now.running;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
    await this.now[Symbol.asyncDispose]();
    await pause(awayMs);
    this.now = await this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.now[Symbol.asyncDispose]();
  }
}

export async function openParts(stack: AsyncDisposableStack, seed: number): Promise<Parts> {
  const directory = mkdtempSync(join(tmpdir(), "inlet-fire-"));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const files = join(directory, "warehouse");
  mkdirSync(files);
  const root = pathToFileURL(files).href;
  const [kafkaPort, catalogPort] = [await freePort(), await freePort()];
  const catalogProcess = stack.use(
    await Mortal.start(() =>
      startInlet({
        directory: join(directory, "catalog"),
        name: "fire-catalog",
        config: { catalog: { port: catalogPort, warehouse: root } },
      }),
    ),
  );
  const isCommit = (request: string): boolean => /^POST \S+\/tables\//.test(request);
  const proxy = stack.use(await startCommitProxy({ target: catalogPort, isHttp: true, isCommit }));
  const start = (): Promise<InletBroker> =>
    startInlet({
      directory: join(directory, "broker"),
      name: "fire",
      kafkaPort,
      config: {
        ...settings,
        catalog: { port: 0, warehouse: root },
        lake: { catalogs: { main: { type: "rest", uri: `http://127.0.0.1:${proxy.port}`, warehouse: "main" } } },
        topics: Object.fromEntries(fireTables.map((table) => [table, topicConfig(table)])),
      },
    });
  const broker = stack.use(await Mortal.start(start));
  const kafka = new Kafka({
    brokers: [broker.now.bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { retries: 1000, initialRetryTime: 20, maxRetryTime: 200 },
    connectionTimeout: 1000,
  });
  const admin = kafka.admin();
  await admin.connect();
  const topics = fireTables.map((topic) => ({ topic, numPartitions: firePartitions[topic] }));
  await admin.createTopics({ topics });
  await admin.disconnect();
  const load = stack.use(await FireLoad.open(kafka, kafkaPort, seed));
  const catalogUrl = `http://127.0.0.1:${catalogPort}`;
  const foreign = stack.use(await startForeignWriter(catalogUrl, files));
  return { broker, catalogProcess, proxy, foreign, load, ...(await openReader(stack, catalogUrl, files)) };
}

function topicConfig(table: FireTable): object {
  return {
    table: { catalog: "main", name: `fire.${table}` },
    value: { decode: "json" },
    headers: { as: "none" },
    commit: { every: "1s" },
    maintain: { expire: "1m", keep: 3 },
    ...modes[table],
  };
}

async function openReader(
  stack: AsyncDisposableStack,
  uri: string,
  directory: string,
): Promise<Pick<Parts, "catalog" | "warehouse">> {
  const runtime = systemRuntime();
  const store = await openLocalObjectStore({ directory, disk: systemDisk, runtime });
  const warehouse = stack.use(new Warehouse({ mounts: new Map([[pathToFileURL(directory).href, store]]) }));
  const limits = { requestMsMax: 10_000, responseBytesMax: 2 ** 26 };
  const where = { name: "reader", uri, warehouse: "main", accessDelegation: null, properties: new Map() };
  const catalog = stack.use(openRestCatalog({ ...where, auth: { kind: "none" } }, { runtime, logger: silent, limits }));
  return { catalog, warehouse };
}

/** So that a cycle sees all of it. */
const settings = {
  stream: { upload: { interval: { ms: { max: 500 } } } },
  table: {
    beat: { ms: 100 },
    outage: { retry: { ms: 100 } },
    commit: { delay: { ms: { max: 300 } } },
    catalog: { request: { ms: { max: 700 } } },
    manifest: { merge: { count: { min: 5 } } },
    expired: { grace: { ms: 15_000 } },
    maintenance: { interval: { ms: 700 }, files: { min: 3 }, delete: { files: { min: 3 } } },
  },
};

const modes: Readonly<Record<FireTable, object>> = {
  plain: {},
  accounts: {},
  state: {
    key: { decode: "string" },
    mode: { write: "upsert" },
    layout: { partition_by: ["region"] },
  },
  changes: {
    key: { decode: "string" },
    mode: { write: "cdc", envelope: "debezium", key: ["id"], tombstone: "ignore" },
  },
};
