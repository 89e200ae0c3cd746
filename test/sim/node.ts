/**
 * One life of a broker in the simulated world: the same parts as the process (src/broker.ts), without sockets. It ends by
 * `kill`, after which none of its code runs again, or by `stop`, as a process that is asked to go.
 */
import { open as openRestCatalog, type RestCatalogSettings } from "../../catalogs/rest.ts";
import type { Settings } from "../../schemas/config.ts";
import { LogLevels } from "../../src/base/log-levels.ts";
import type { Runtime } from "../../src/base/runtime.ts";
import { MiB } from "../../src/base/settings.ts";
import type { Logger } from "../../src/base/telemetry.ts";
import { type Config, readConfig } from "../../src/config.ts";
import { type Core, openCore } from "../../src/core.ts";
import { objectStoreLimits, roundLimits, stateLogLimitsOf } from "../../src/limits.ts";
import { openFileLog } from "../../src/metadata/file-log.ts";
import { openObjectLog } from "../../src/metadata/object-log.ts";
import type { ObjectStore } from "../../src/object-store/object-store.ts";
import { RetryingObjectStore } from "../../src/object-store/retrying.ts";
import type { Handlers } from "../../src/protocol/dispatch.ts";
import { SchemaRegistry } from "../../src/registry/schema-registry.ts";
import { openSchemaTopic } from "../../src/schema-topic.ts";
import type { Catalog } from "../../src/table/catalog.ts";
import { InlineRewriter } from "../../src/table/maintenance/rewriter.ts";
import { restCatalogErrorWords, restCatalogRoutes } from "../../src/table/rest-server/rest-catalog-server.ts";
import { lakeTables } from "../../src/table/retention-hold.ts";
import { currentFiles } from "../../src/table/tools/current-files.ts";
import { InlineTranslator } from "../../src/table/translate/translate-inline.ts";
import { Warehouse } from "../../src/table/warehouse.ts";
import { openTables, type Tables } from "../../src/tables.ts";
import { noMetrics } from "../support/no-metrics.ts";
import { type RouteFaults, routesFetch } from "../support/routes-fetch.ts";
import { wipingMemory } from "../support/wiping-memory.ts";
import { NodeClock, type SimClock } from "./clock.ts";
import type { SimDisk } from "./disk.ts";
import { ghostMsMax } from "./nemesis.ts";
import { calmStore, FaultyStore, type StoreFaults } from "./object-store.ts";
import type { Plant } from "./plants.ts";
import type { SimRandom } from "./random.ts";

/** Topics that become tables: of text, and of JSON whose columns grow and of which some is broken. */
export const textTopic = "orders";
export const jsonTopic = "events";
/** Becomes no table. */
export const plainTopic = "plain";
export const tableTopics = [textTopic, jsonTopic] as const;
export const lakeRoot = "memory://lake";

/** Of the JSON topic. */
export const deadLetters = "events_dlq";

export function configOf(text: string): Config {
  return readConfig({
    file: { name: "simulation", text },
    environment: {},
    flags: new Map(),
    readFile: () => undefined,
  });
}

const usualConfig = configOf(`
topics:
  ${textTopic}:
    table: { name: sim.${textTopic} }
    value: { decode: string }
    commit: { every: 2s }
  ${jsonTopic}:
    table: { name: sim.${jsonTopic} }
    value: { decode: json }
    commit: { every: 3s }
    errors: { policy: dlq, dlq: { table: ${deadLetters} } }
`);

/** Small, so that a few simulated seconds see many segments, uploads, checkpoints and rounds. */
const settings: Settings = {
  ...usualConfig.settings,
  dataDirectory: "/data",
  metadataPollMs: 5_000,
  metadataSegmentBytesMax: 16 * 1024,
  metadataCheckpointEntries: 40,
  walBytesMax: 512 * 1024,
  walSegmentBytes: 32 * 1024,
  walGroupBytesMax: 8 * 1024,
  walGroupsInFlightMax: 3,
  walSlotBytesMax: 8 * 1024,
  walSlotIntervalMs: 40,
  walSlotBurst: 3,
  walSlotsInFlightMax: 3,
  walReferenceBytesMin: 1024,
  walCloseMsMax: 8_000,
  uploadBytesMax: 24 * 1024,
  uploadIntervalMsMax: 1_500,
  uploadPartBytes: 16 * 1024,
  streamObjectBytesMin: 6 * 1024,
  objectStreamsMax: 4,
  blockBytesMax: 2 * 1024,
  logCacheBytesMax: 128 * 1024,
  blockCacheBytesMax: 32 * 1024,
  indexCacheBytesMax: 4 * 1024,
  readRequestBytesMax: 8 * 1024,
  readaheadBytesMax: 16 * 1024,
  mergeIntervalMs: 1_100,
  mergePieceBytesMin: 0,
  mergeSourcesMin: 3,
  mergeSourcesMax: 6,
  mergeObjectBytesMax: 40 * 1024,
  mergeSpanMsMax: 60_000,
  mergeCycleBytesMax: 64 * 1024,
  mergeCycleRangesMax: 40,
  mergeMemoryBytesMax: 8 * 1024,
  mergeBytesPerSecondMax: 256 * 1024,
  garbageIntervalMs: 2_000,
  garbageGraceMs: 3_000,
  orphanAgeMsMin: 5_000,
  logMaintenanceIntervalMs: 700,
  cleanerIntervalMs: 600,
  cleanerMapBytesMax: 640, // 20 keys: some passes end before the dirty part does.
  cleanerBufferBytesMax: 6 * 1024,
  groupOffsetsPartitions: 2,
  producerIdBlockSize: 3,
  objectStoreRetryDelayMsMax: 1_000,
  uploadRetryDelayMsMax: 2_000,
  tableBeatMs: 400,
  tableReadBytesMax: 8 * 1024,
  tableRoundBytesMax: 24 * 1024,
  tableOutageRetryMs: 1_000,
  tableCommitDelayMsMax: 1_000,
  tableCatalogRequestMsMax: 8_000,
};

/** A listing that got no answer is given up, and a ghost of a write has landed; then it grows old, is found and removed. */
export const garbageGoneMs =
  Math.max(ghostMsMax, calmStore.stallMs) + 2 * settings.orphanAgeMsMin + 2 * settings.garbageGraceMs;

export interface NodeWorld {
  readonly clock: SimClock;
  readonly disk: SimDisk;
  /** The stores as they are, behind everything that can go wrong on the way. */
  readonly objects: ObjectStore;
  readonly lake: ObjectStore;
  /** What goes wrong with requests now; asked at each. */
  readonly faults: () => { readonly store: StoreFaults; readonly routes: RouteFaults };
  readonly plant: Plant;
  /** Else it is in files of the disk. */
  readonly isMetadataInBucket: boolean;
  readonly wal: "file" | "object" | "replicated";
  /** Of catalogs and tables. Absent: the usual topics become tables. */
  readonly config?: Config;
}

export class SimNode {
  readonly clock: NodeClock;
  /** Resolves when the node is killed, has stopped, or cannot go on. */
  readonly ended: Promise<unknown>;
  readonly #end = Promise.withResolvers<unknown>();
  readonly #world: NodeWorld;
  readonly #random: SimRandom;
  readonly #opened = new AsyncDisposableStack();
  #core: Core | undefined;
  #handlers: Handlers | undefined;
  #tables: Tables | undefined;
  #engine: { readonly catalog: Catalog; readonly warehouse: Warehouse } | undefined;
  #state: "opening" | "up" | "down" = "opening";

  constructor(world: NodeWorld, random: SimRandom) {
    this.#world = world;
    this.#random = random;
    this.clock = new NodeClock(world.clock);
    this.ended = this.#end.promise;
  }

  get isUp(): boolean {
    return this.#state === "up";
  }

  get core(): Core {
    if (this.#core === undefined) throw new Error("the node is not up");
    return this.#core;
  }

  get handlers(): Handlers {
    if (this.#handlers === undefined) throw new Error("the node is not up");
    return this.#handlers;
  }

  get tables(): Tables {
    if (this.#tables === undefined) throw new Error("the node is not up");
    return this.#tables;
  }

  /** URIs of a table's data files, found as an engine would find them; [] when there is no such table. */
  async filesOf(table: string): Promise<readonly string[]> {
    if (this.#engine === undefined) throw new Error("the node is not up");
    const { catalog, warehouse } = this.#engine;
    const name = { namespace: ["sim"], name: table };
    return (await catalog.load(name)) === undefined ? [] : await currentFiles(catalog, name, warehouse);
  }

  /** Resolves when the node serves. A failure ends it, as it ends the process. */
  async open(): Promise<void> {
    try {
      await this.#open();
      if (this.#state === "opening") this.#state = "up";
    } catch (cause) {
      this.#ended(cause);
    }
  }

  /** No code of this life runs again: its timers are silent and nothing that it waits for answers. */
  kill(): void {
    this.clock.kill();
    this.#ended("killed");
  }

  async stop(): Promise<void> {
    this.#state = "down";
    await this.#opened.disposeAsync();
    this.#ended("stopped");
  }

  #ended(why: unknown): void {
    this.#state = "down";
    this.#end.resolve(why);
  }

  async #open(): Promise<void> {
    const { clock, disk, plant, isMetadataInBucket, config = usualConfig } = this.#world;
    const runtime: Runtime = { clock: this.clock, random: this.#random };
    const logger = tracing(clock, "");
    const store = this.#opened.use(this.#store("objects", runtime));
    const metadataLog = this.#opened.use(
      isMetadataInBucket
        ? openObjectLog({ store, blockEntries: 16 })
        : await openFileLog({
            directory: "/data/metadata",
            disk: plant.wrapMetadataDisk?.(disk) ?? disk,
            segmentBytesMax: settings.metadataSegmentBytesMax,
          }),
    );
    const warehouse = this.#opened.use(new Warehouse({ mounts: new Map([[lakeRoot, this.#store("lake", runtime)]]) }));
    const core = this.#opened.use(
      await openCore({
        settings: { ...settings, walKind: this.#world.wal },
        runtime,
        disk,
        metadataLog,
        store,
        logger,
        logLevels: new LogLevels("info"),
        metrics: noMetrics,
        mirrorsMetadata: !isMetadataInBucket,
        advertised: {
          host: "broker",
          port: 9092,
        },
        fatal: (cause) => this.#ended(cause),
        ...(plant.wrapWal === undefined ? {} : { wrapWal: plant.wrapWal }),
        ...(plant.wrapMerged === undefined ? {} : { wrapMerged: plant.wrapMerged }),
        blockMemory: wipingMemory(settings.blockCacheBytesMax),
        lakeTable: lakeTables(config.tables),
      }),
    );
    this.#core = core;
    this.#handlers = plant.wrapHandlers?.(core.handlers) ?? core.handlers;
    const schemas = this.#opened.use(await openSchemas(core, runtime));
    const routes = restCatalogRoutes({
      metadata: core.metadata,
      warehouse,
      root: lakeRoot,
      runtime,
      logger,
      limits: {
        cacheEntriesMax: 10,
        commitAttemptsMax: settings.catalogCommitAttemptsMax,
      },
      fileAccess: new Map(),
      vendedCredentials: null,
      token: null,
    });
    const fetch = routesFetch(routes, restCatalogErrorWords, { ...runtime, faults: () => this.#world.faults().routes });
    this.#engine = {
      catalog: openRestCatalog(engineCatalog, { runtime, logger, limits: engineLimits, fetch }),
      warehouse,
    };
    const translator = new InlineTranslator({ limits: roundLimits(settings), schemaById: async () => undefined });
    this.#tables = this.#opened.use(
      openTables({
        config,
        settings,
        core,
        schemas,
        warehouse,
        store,
        runtime,
        logger,
        metrics: noMetrics,
        version: "simulation",
        catalogUrl: "http://catalog",
        warehouseRoot: lakeRoot,
        fetch,
        translator: plant.wrapTranslator?.(translator) ?? translator,
        rewriter: new InlineRewriter(roundLimits(settings)),
      }),
    );
  }

  #store(name: "objects" | "lake", runtime: Runtime): ObjectStore {
    const world = this.#world;
    const faulty = new FaultyStore(world[name], {
      clock: world.clock,
      node: this.clock,
      random: this.#random.fork(name),
      faults: () => world.faults().store,
    });
    const planted = name === "objects" ? world.plant.wrapObjects?.(faulty) : undefined;
    return new RetryingObjectStore(planted ?? faulty, { runtime, limits: objectStoreLimits(settings).retry });
  }
}

const engineCatalog: RestCatalogSettings = {
  name: "engine",
  uri: "http://catalog",
  warehouse: null,
  auth: { kind: "none" },
  accessDelegation: null,
  properties: new Map(),
};
const engineLimits = { requestMsMax: 8_000, responseBytesMax: 64 * MiB };

async function openSchemas(core: Core, runtime: Runtime): Promise<SchemaRegistry> {
  return await SchemaRegistry.open({
    log: await openSchemaTopic({ ...core, runtime, limits: stateLogLimitsOf(settings) }),
    compatibility: "BACKWARD",
    schemaBytesMax: settings.registrySchemaBytesMax,
    schemasMax: settings.registrySchemasMax,
  });
}

/** Warnings and errors become lines of the trace. */
function tracing(clock: SimClock, prefix: string): Logger {
  const line = (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    const cause = fields["cause"] ?? fields["error"];
    clock.trace(`${prefix}${message}${cause === undefined ? "" : `: ${reasons(cause)}`}`);
  };
  return {
    debug: () => undefined,
    info: () => undefined,
    warn: line,
    error: line,
    child: () => tracing(clock, prefix),
  };
}

/** The messages of an error and of what caused it. */
export function reasons(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const own = `${cause.name}: ${cause.message}`;
  return cause.cause === undefined ? own : `${own} < ${reasons(cause.cause)}`;
}
