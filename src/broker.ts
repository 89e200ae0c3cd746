/** The process: the core over this machine's clock, disk and stores, with sockets in front and background work beside it. */
import { resolve } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import type { Settings } from "../schemas/config.ts";
import { isOverWithin } from "./base/async.ts";
import { type LogComponent, LogLevels, logLevelOf } from "./base/log-levels.ts";
import { type Clock, type Runtime, systemRuntime } from "./base/runtime.ts";
import { systemDisk } from "./base/system-disk.ts";
import type { Logger } from "./base/telemetry.ts";
import type { Config } from "./config.ts";
import { type Core, openCore } from "./core.ts";
import { lockDirectory } from "./directory-lock.ts";
import { collectMetrics, coreMetrics, storeMetrics } from "./exported-metrics.ts";
import { clusterIdText } from "./handlers/cluster/cluster-view.ts";
import { objectStoreLimits, stateLogLimitsOf, storePrices } from "./limits.ts";
import { openListeners, planListeners } from "./listeners.ts";
import type { Topic } from "./metadata/image.ts";
import { inDataBucket, openMetadataLog } from "./metadata/open.ts";
import { openObjectStore } from "./object-store/open.ts";
import { requireConditionalWrites } from "./object-store/probe.ts";
import type { CompatibilityLevel } from "./registry/compatibility.ts";
import { registryErrorWords } from "./registry/route-answer.ts";
import { registryRoutes } from "./registry/routes.ts";
import { SchemaRegistry } from "./registry/schema-registry.ts";
import { openSchemaTopic } from "./schema-topic.ts";
import { adminRoutes } from "./server/admin-routes.ts";
import { type HttpServer, openHttpServer } from "./server/http.ts";
import { tableOrphanRoutes } from "./server/table-orphan-routes.ts";
import { tableStateRoutes } from "./server/table-state-routes.ts";
import { tableToolRoutes } from "./server/table-tool-routes.ts";
import { isOwnStore, metadataLogDeps, storeUrlOf } from "./stores.ts";
import { restCatalogErrorWords, restCatalogRoutes } from "./table/rest-server/rest-catalog-server.ts";
import { lakeTables } from "./table/retention-hold.ts";
import { openTableGuard } from "./table-guard.ts";
import { openTables, type Tables } from "./tables.ts";
import { openLogger } from "./telemetry/logging.ts";
import { MetricRegistry, prometheusContentType } from "./telemetry/metrics.ts";
import { metricsTable } from "./telemetry/metrics-table.ts";
import { openProcessMetrics } from "./telemetry/process-metrics.ts";
import { openWarehouse } from "./warehouse-files.ts";

export interface Broker extends AsyncDisposable {
  readonly addresses: {
    /** host:port */
    readonly kafka: string;
    /** The same by name of the listener. */
    readonly listeners: ReadonlyMap<string, string>;
    /** "" when the registry is off. */
    readonly registry: string;
    readonly catalog: string;
    readonly http: string;
  };
  /** Resolves with the reason when the broker cannot go on: dispose of it and exit with an error. */
  readonly failed: Promise<unknown>;
  readonly tables: Tables;
  /** The ends of the topic's partitions; [] when there is no such topic. */
  offsetsOf(topic: string): readonly { readonly start: number; readonly end: number }[];
}

export async function openBroker(config: Config): Promise<Broker> {
  const settings = { ...config.settings, dataDirectory: resolve(config.settings.dataDirectory) };
  const runtime = systemRuntime();
  const { clock } = runtime;
  const logLevels = new LogLevels(logLevelOf(settings.loggingLevel));
  const logger = openLogger({
    levels: logLevels,
    repeatsMax: settings.loggingRepeatsMax,
    repeatsMs: settings.loggingRepeatsMs,
    clock,
  });
  for (const warning of config.warnings) logger.warn(warning);
  const failed = Promise.withResolvers<unknown>();
  let hasFailed = false;
  const fatal = (cause: unknown): void => {
    hasFailed = true;
    logger.error("the broker cannot go on", { cause });
    failed.resolve(cause);
  };

  const stopping = new AbortController();

  await using opened = new AsyncDisposableStack();
  opened.use(lockDirectory(settings.dataDirectory));
  const registryOfMetrics = new MetricRegistry(metricsTable, { seriesMax: settings.metricsSeriesMax });
  const { metrics } = registryOfMetrics;
  opened.use(openProcessMetrics(registryOfMetrics, clock));
  const storeUrl = storeUrlOf(settings);
  const storeDeps = {
    runtime,
    disk: systemDisk,
    limits: objectStoreLimits(settings),
    metrics: storeMetrics(metrics, storePrices(settings)),
  };
  const store = opened.use(await openObjectStore(storeUrl, storeDeps));
  if (!isOwnStore(storeUrl)) await requireConditionalWrites(store, runtime.random);
  const metadataLog = opened.use(await openMetadataLog(metadataLogDeps({ settings, store, storeDeps, logger })));
  const warehouse = await openWarehouse({ settings, storeUrl, storeDeps });
  opened.use(warehouse.files);

  // The node registers under the ports that clients will use, so they are chosen before anything listens.
  const planned = await planListeners(config.listeners);
  for (const { release } of planned) if (release !== undefined) opened.defer(release);
  const [{ advertised }] = planned;
  const core = opened.use(
    await openCore({
      settings,
      runtime,
      disk: systemDisk,
      metadataLog,
      store,
      logger,
      logLevels,
      metrics: coreMetrics(metrics),
      mirrorsMetadata: settings.metadataMirrorEnabled && settings.metadataUrl !== inDataBucket,
      advertised,
      endpoints: new Map(planned.map(({ settings: { name }, advertised }) => [name, advertised])),
      stopping: stopping.signal,
      fatal,
      lakeTable: lakeTables(config.tables),
    }),
  );
  opened.use(collectMetrics(registryOfMetrics, core));
  opened.defer(async () => {
    if (!hasFailed) await uploadRest(core, settings, { clock, logger });
  });

  const openSurface = surfaceOpener(settings, { clock, logger });
  const schemas = opened.use(await openRegistry(core, config, runtime));
  const registry = settings.registryEnabled
    ? opened.use(
        await openSurface("registry", settings.registryHost, settings.registryPort, {
          ...tokenOf(settings.registryToken),
          routes: registryRoutes({
            registry: schemas,
            clusterId: clusterIdText(core.metadata.image.clusterId),
            version,
          }),
          errorWords: registryErrorWords,
        }),
      )
    : undefined;
  const catalog = opened.use(
    await openSurface("catalog", settings.catalogHost, settings.catalogPort, {
      routes: restCatalogRoutes({
        metadata: core.metadata,
        warehouse: warehouse.files,
        root: warehouse.root,
        runtime,
        logger,
        limits: {
          cacheEntriesMax: settings.catalogMetadataEntriesMax,
          commitAttemptsMax: settings.catalogCommitAttemptsMax,
        },
        fileAccess: warehouse.fileAccess,
        vendedCredentials: vendedCredentials(settings),
        token: settings.catalogToken === "" ? null : settings.catalogToken,
      }),
      errorWords: restCatalogErrorWords,
    }),
  );
  const tables = opened.use(
    openTables({
      config,
      settings,
      core,
      schemas,
      warehouse: warehouse.files,
      store,
      runtime,
      logger: logger.child({ component: "table" satisfies LogComponent }),
      metrics,
      version,
      catalogUrl: catalog.url,
      warehouseRoot: warehouse.root,
      openBucket: warehouse.openBucket,
    }),
  );

  const listening = logger.child({ component: "server" satisfies LogComponent });
  const listeners = opened.use(
    await openListeners({ planned, config, settings, core, runtime, logger: listening, metrics }),
  );
  const surface = {
    metrics: () => registryOfMetrics.render(),
    metricsContentType: prometheusContentType,
    unreadyBecause: () => unreadyBecause(core),
    status: () => ({
      nodeId: settings.nodeId,
      version,
      clusterId: clusterIdText(core.metadata.image.clusterId),
      kafka: `${advertised.host}:${advertised.port}`,
    }),
    tables: () => tables.status(),
    flushTable: (topic: string) => tables.flush(topic),
  };
  const admin = opened.use(
    await openSurface("http", settings.httpHost, settings.httpPort, {
      ...tokenOf(settings.httpToken),
      routes: [
        ...adminRoutes(surface),
        ...tableStateRoutes(tables),
        ...tableToolRoutes(tables.tools),
        ...tableOrphanRoutes(tables.orphans),
      ],
    }),
  );
  logger.info("the broker is up", {
    kafka: `${advertised.host}:${advertised.port}`,
    registry: registry?.url,
    catalog: catalog.url,
    http: admin.url,
  });

  const parts = opened.move();
  return {
    addresses: {
      kafka: `${advertised.host}:${planned[0].port}`,
      listeners: new Map(Array.from(listeners.all, ([name, { host, port }]) => [name, `${host}:${port}`])),
      registry: registry?.url ?? "",
      catalog: catalog.url,
      http: admin.url,
    },
    failed: failed.promise,
    tables,
    offsetsOf: (topic) => offsetsOf(core, topic),
    async [Symbol.asyncDispose]() {
      logger.info("the broker is stopping");
      stopping.abort();
      await parts.disposeAsync();
      logger.info("the broker has stopped");
    },
  };
}

/** Nobody appends any more. Once it is in the bucket, the machine and its disk may go. */
async function uploadRest(
  { storage }: Core,
  { streamCloseMsMax }: Settings,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<void> {
  // The stream layer has logged why it failed.
  const isDone = await isOverWithin(clock, streamCloseMsMax, storage.flush()).catch(() => false);
  if (!isDone) logger.warn("the WAL holds what is not in the bucket yet: keep the data directory for the next start");
}

const version = packageJson.version;

type OpenSurface = (
  name: string,
  host: string,
  port: number,
  what: Pick<Parameters<typeof openHttpServer>[0], "routes" | "errorWords" | "token">,
) => Promise<HttpServer>;

function tokenOf(setting: string): { readonly token?: string } {
  return setting === "" ? {} : { token: setting };
}

/** All HTTP surfaces have the same limits. */
function surfaceOpener(
  settings: Settings,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): OpenSurface {
  return async (name, host, port, what) =>
    await openHttpServer({
      ...what,
      name,
      host,
      port,
      hostsAllowed: settings.httpHostsAllowed,
      bodyBytesMax: settings.httpBodyBytesMax,
      connectionsMax: settings.httpConnectionsMax,
      requestMsMax: settings.httpRequestMsMax,
      closeMsMax: settings.httpCloseMsMax,
      clock,
      logger,
    });
}

async function openRegistry(core: Core, { settings, tables }: Config, runtime: Runtime): Promise<SchemaRegistry> {
  const log = await openSchemaTopic({ ...core, runtime, limits: stateLogLimitsOf(settings) });
  return await SchemaRegistry.open({
    log,
    compatibility: settings.registryCompatibility as CompatibilityLevel,
    schemaBytesMax: settings.registrySchemaBytesMax,
    schemasMax: settings.registrySchemasMax,
    guard: settings.registryTablesCheck ? openTableGuard(core.metadata, tables) : undefined,
  });
}

function vendedCredentials(settings: Settings): ReadonlyMap<string, string> | null {
  if (settings.catalogVendedAccessKey === "") return null;
  return new Map([
    ["s3.access-key-id", settings.catalogVendedAccessKey],
    ["s3.secret-access-key", settings.catalogVendedSecretKey],
  ]);
}

/** Partitions that are still being opened keep traffic away. */
function unreadyBecause({ metadata, log }: Core): readonly string[] {
  let opening = 0;
  for (const topic of metadata.image.topics()) {
    for (let index = 0; index < topic.partitions.length; index += 1) {
      if (log.partition(topic.id, index).kind === "opening") opening += 1;
    }
  }
  return opening === 0 ? [] : [`${opening} partitions are being opened`];
}

function offsetsOf({ metadata, log }: Core, name: string): readonly { readonly start: number; readonly end: number }[] {
  const topic = metadata.image.topicByName(name);
  return (topic?.partitions ?? []).map((_, index) => {
    const lookup = log.partition((topic as Topic).id, index);
    if (lookup.kind !== "here") return { start: 0, end: 0 };
    return { start: lookup.partition.logStart, end: lookup.partition.highWatermark };
  });
}
