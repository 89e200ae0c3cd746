/**
 * A lake in one process: topics in memory, the embedded catalog called without sockets, a warehouse in memory, and a
 * compactor over them that can be crashed between any two steps and opened again. Faults come from the test.
 */

import { open as openRest } from "../../catalogs/rest.ts";
import type { HttpRequest, HttpResponse } from "../../src/base/http.ts";
import { type Offset, type Uuid, uuidRandom } from "../../src/base/ids.ts";
import type { Clock, Runtime } from "../../src/base/runtime.ts";
import type { Log } from "../../src/log/log.ts";
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { buildBatch, type NewRecord } from "../../src/protocol/records.ts";
import { Router } from "../../src/server/http-router.ts";
import type { Catalog, TableName } from "../../src/table/catalog.ts";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import { type Compactor, type CompactorLimits, openCompactor } from "../../src/table/compactor.ts";
import { type ManifestEntry, readManifest } from "../../src/table/iceberg/manifest.ts";
import { readManifestList } from "../../src/table/iceberg/manifest-list.ts";
import { InlineRewriter } from "../../src/table/maintenance/rewriter.ts";
import { restCatalogErrorWords, restCatalogRoutes } from "../../src/table/rest-server/rest-catalog-server.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { ProofStore } from "../../src/table/tools/proof-store.ts";
import { ReplayedStore } from "../../src/table/tools/replayed.ts";
import type { SchemaById } from "../../src/table/translate/translate.ts";
import { InlineTranslator } from "../../src/table/translate/translate-inline.ts";
import { Warehouse } from "../../src/table/warehouse.ts";
import { readByHyparquet } from "../table/parquet-readers.ts";
import { roundLimits } from "../table/translate-fixtures.ts";
import { FakeLog, type FakePartition } from "./fake-log.ts";
import { addTopic, MemoryMetadata, MemoryMetadataLog } from "./memory-metadata.ts";
import { noMetrics } from "./no-metrics.ts";
import { seededRuntime, silent } from "./seeded.ts";

export type Fetch = typeof globalThis.fetch;

export const lakeLimits: CompactorLimits = {
  roundBytesMax: 1 << 20,
  readBytesMax: 1 << 16,
  targetFileBytes: 1 << 26,
  commitRetry: { delayMsMin: 0, delayMsMax: 1, attemptsMax: 6 },
  markBytesMax: 1024,
  trustMs: 86_400_000,
  merge: { isEnabled: true, countMin: 100, bytesTarget: 8 << 20 },
  expiredGraceMs: 600_000,
  expiredFilesMax: 10_000,
  expiredListsMax: 1000,
  commitRoundsMax: 100,
  pendingRoundsMax: 50,
  backfillKeysMax: 1000,
  outageRetryMs: 1000,
  beatMs: 3_600_000, // Tests flush; they never wait for a beat.
};

export const maintenanceLimits = {
  commitRetry: lakeLimits.commitRetry,
  targetBytes: 1 << 20,
  intervalMs: 3_600_000_000, // Tests ask for passes; they never wait for one.
  tablesMax: 4,
  appendWaitMsMax: 300_000,
  bytesPerSecondMax: Number.POSITIVE_INFINITY,
  filesMin: 5,
  smallRatio: 0.75,
  deleteFilesMin: 5,
  deletedRatioMin: 0.3,
  quietMs: 3_600_000,
  inputBytesMax: 1 << 30,
  deleteRowsMax: 1_000_000,
  liveFilesMax: 100_000,
  commitBytes: 1 << 20,
  looseManifestsMin: 4,
  orphansIntervalMs: 3_600_000_000,
  namedFilesMax: 100_000,
  orphansPageMax: 2,
};

/** Called before each effect; throws to make it not happen. */
export interface Hooks {
  request(method: string, path: string): Promise<void>;
  /** The request was carried out: throws to lose the answer, or answers something else. */
  answer(method: string, path: string, response: Response): Promise<Response>;
  write(key: string): void | Promise<void>;
  read?(key: string): Promise<void>;
}

/** What one broker has apart from the others. */
export interface LakeNode {
  readonly log: Log;
  readonly hooks: () => Hooks;
  readonly clock: Clock;
}

const noHooks: Hooks = {
  request: async () => {},
  answer: async (_method, _path, response) => response,
  write: () => {},
};

export class Lake {
  readonly runtime: Runtime;
  readonly log = new FakeLog();
  readonly metadataLog = new MemoryMetadataLog();
  readonly store: MemoryObjectStore;
  readonly warehouse: Warehouse;
  /** Of the warehouse; whatever it says, its files are in memory. */
  readonly root: string;
  hooks: Hooks = noHooks;
  /** The registry. */
  schemaById: SchemaById = async () => undefined;
  readonly #catalogMetadata: MemoryMetadata;
  readonly #router: Router;

  constructor(seed: number, runtime: Partial<Runtime> = {}, root = "memory://lake") {
    this.root = root;
    this.runtime = { ...seededRuntime(seed), ...runtime };
    const store = new MemoryObjectStore(this.runtime);
    this.store = store;
    this.#catalogMetadata = new MemoryMetadata(this.metadataLog);
    this.warehouse = new Warehouse({ mounts: new Map([[this.root, store]]) });
    this.#router = new Router(
      restCatalogRoutes({
        metadata: this.#catalogMetadata,
        warehouse: this.warehouse,
        root: this.root,
        runtime: this.runtime,
        logger: silent,
        limits: { cacheEntriesMax: 50, commitAttemptsMax: 4 },
        fileAccess: new Map(),
        vendedCredentials: null,
        token: null,
      }),
    );
  }

  topic(name: string, partitions: number): Uuid {
    const id = uuidRandom(this.runtime.random);
    addTopic(this.metadataLog, name, id, partitions);
    this.log.add(id, name, partitions);
    return id;
  }

  /** Of a topic that is there: its partitions keep what they have. */
  grow(topicId: Uuid, name: string, partitions: number): void {
    this.log.add(topicId, name, partitions);
    this.metadataLog.apply([{ kind: "create-partitions", topicId, partitions }]);
  }

  async produce(topicId: Uuid, partition: number, records: readonly Partial<NewRecord>[]): Promise<void> {
    const full = records.map((record) => ({ timestamp: 1_700_000_000_000, key: null, value: null, ...record }));
    await this.log.fake(topicId, partition).append(buildBatch({ records: full }));
  }

  partition(topicId: Uuid, index: number): FakePartition {
    return this.log.fake(topicId, index);
  }

  catalog(hooks: () => Hooks = () => this.hooks, runtime = this.runtime): Catalog {
    const limits = { requestMsMax: 10_000, responseBytesMax: 1 << 26 };
    return openRest(
      {
        name: "main",
        uri: "http://catalog",
        warehouse: "main",
        auth: { kind: "none" } as const,
        accessDelegation: null,
        properties: new Map(),
      },
      { runtime, logger: silent, limits, fetch: this.#fetch(hooks) },
    );
  }

  /** As another process would: without faults. */
  foreign(): Catalog {
    return this.catalog(() => noHooks);
  }

  translator(): InlineTranslator {
    return new InlineTranslator({ limits: roundLimits, schemaById: (id, subject) => this.schemaById(id, subject) });
  }

  /** A compactor as after a start of the process; of one broker of several, when `node` says what is its own. */
  open(
    tables: readonly TableSettings[],
    limits: Partial<CompactorLimits> = {},
    maintenance: Partial<typeof maintenanceLimits> = {},
    { log = this.log, hooks = () => this.hooks, clock = this.runtime.clock }: Partial<LakeNode> = {},
  ): { compactor: Compactor; metadata: MemoryMetadata } {
    const metadata = new MemoryMetadata(this.metadataLog);
    const store = hooked(this.store, hooks);
    const runtime = { ...this.runtime, clock };
    const compactor = openCompactor({
      metadata,
      log,
      tables,
      runtime,
      logger: silent,
      metrics: noMetrics,
      translator: this.translator(),
      catalogs: new Map([["main", this.catalog(hooks, runtime)]]),
      warehouse: new Warehouse({ mounts: new Map([[this.root, store]]) }),
      proofs: new ProofStore(this.store),
      replayed: new ReplayedStore(store, this.runtime.random),
      limits: { ...lakeLimits, ...limits },
      maintenance: {
        rewriter: new InlineRewriter(roundLimits),
        metrics: noMetrics,
        limits: { ...maintenanceLimits, ...maintenance },
      },
      version: "0.0.0-test",
    });
    return { compactor, metadata };
  }

  /** Live data files, through manifest list and manifests, as an engine would find them. */
  async files(table: TableName): Promise<readonly ManifestEntry[]> {
    const loaded = await this.foreign().load(table);
    if (loaded === undefined) return [];
    const { metadata } = loaded;
    const current = metadata["current-snapshot-id"];
    const snapshot = metadata.snapshots.find((each) => each["snapshot-id"] === current);
    if (snapshot === undefined) return [];
    const list = await readManifestList(await this.warehouse.read(snapshot["manifest-list"]), "list");
    const entries: ManifestEntry[] = [];
    for (const manifest of list) {
      const bytes = await this.warehouse.read(manifest.path);
      if (bytes.length !== manifest.bytes) throw new Error(`manifest_length of ${manifest.path} is wrong`);
      const read = await readManifest(bytes, manifest.path, {
        schema: currentSchema(metadata),
        specs: metadata["partition-specs"],
      });
      entries.push(...read.entries.filter((entry) => entry.status !== "deleted"));
    }
    return entries;
  }

  async rows(table: TableName): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const rows: Readonly<Record<string, unknown>>[] = [];
    for (const { file } of await this.files(table))
      rows.push(...(await readByHyparquet(await this.warehouse.read(file.path))));
    return rows;
  }

  /** "partition:offset" of every row, sorted; twice what is there twice. */
  async places(
    table: TableName,
    columns = { partition: "_kafka_partition", offset: "_kafka_offset" },
  ): Promise<readonly string[]> {
    return sorted(
      (await this.rows(table)).map((row) => `${Number(row[columns.partition])}:${Number(row[columns.offset])}`),
    );
  }

  #fetch(hooks: () => Hooks): Fetch {
    return async (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input);
      const method = init?.method ?? "GET";
      await hooks().request(method, url.pathname);
      const match = this.#router.match(method, url.pathname);
      if (match.kind !== "match") return respond(restCatalogErrorWords(404, "no such path"));
      const request: HttpRequest = {
        method,
        params: match.params,
        query: url.searchParams,
        headers: new Map(new Headers(init?.headers)),
        body: Buffer.from(typeof init?.body === "string" ? init.body : ""),
        signal: new AbortController().signal,
      };
      return await hooks().answer(method, url.pathname, respond(await match.route.handle(request)));
    };
  }
}

export function sorted(places: readonly string[]): readonly string[] {
  return [...places].sort((a, b) => {
    const [p, o] = a.split(":").map(Number) as [number, number];
    const [q, r] = b.split(":").map(Number) as [number, number];
    return p - q || o - r;
  });
}

export function offset(value: number): Offset {
  return value as Offset;
}

function respond({ status, headers = {}, body }: HttpResponse): Response {
  const hasBody = status !== 204 && status !== 304;
  return new Response(hasBody ? (body as string) : null, { status, headers });
}

/** The store, with a call before each write and read. */
function hooked(store: MemoryObjectStore, hooks: () => Hooks): MemoryObjectStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...parameters: unknown[]): unknown => {
        const call = (): unknown => (value as (...all: unknown[]) => unknown).apply(target, parameters);
        const key = String(parameters[0]);
        const isWrite = name === "putIfAbsent" || name === "put";
        const before = name === "get" ? hooks().read?.(key) : isWrite ? hooks().write(key) : undefined;
        return before instanceof Promise ? before.then(call) : call();
      };
    },
  });
}
