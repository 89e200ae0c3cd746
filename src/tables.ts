/** The table side put together: catalogs by name, the translator's worker threads, and the compactor over them. */
import type { Settings } from "../schemas/config.ts";
import type { Runtime } from "./base/runtime.ts";
import type { Logger } from "./base/telemetry.ts";
import { type CatalogDeps, openCatalog } from "./catalogs.ts";
import type { CatalogSettings } from "./config/catalogs.ts";
import type { Config } from "./config.ts";
import type { Core } from "./core.ts";
import { compactorLimits, maintenanceLimits, roundLimits } from "./limits.ts";
import type { ObjectStore } from "./object-store/object-store.ts";
import type { SchemaRegistry } from "./registry/schema-registry.ts";
import { openSchemaSource } from "./schema-source.ts";
import type { FlushOutcome, TableStatus } from "./server/admin-routes.ts";
import type { TableAnswer, TableStateSurface } from "./server/table-state-routes.ts";
import { TableStuck } from "./table/advance.ts";
import { type Compactor, openCompactor, type StandingTable } from "./table/compactor.ts";
import type { MaintenanceMetrics } from "./table/maintenance/maintenance.ts";
import { ThreadRewriter } from "./table/maintenance/rewrite-thread.ts";
import type { Rewriter } from "./table/maintenance/rewriter.ts";
import type { TableSettings } from "./table/settings.ts";
import type { CompactorMetrics } from "./table/table-meter.ts";
import { tableName } from "./table/table-state.ts";
import { currentFiles } from "./table/tools/current-files.ts";
import { ProofStore } from "./table/tools/proof-store.ts";
import { ReplayedStore } from "./table/tools/replayed.ts";
import type { Translator } from "./table/translate/translate.ts";
import { PoolTranslator } from "./table/translate/translate-pool.ts";
import type { Warehouse } from "./table/warehouse.ts";
import { OrphanDesk } from "./table-orphans.ts";
import { openTableTools, type TableTools } from "./table-tools.ts";

export interface TablesOptions {
  readonly config: Pick<Config, "catalogs" | "tables">;
  readonly settings: Settings;
  readonly core: Core;
  readonly schemas: SchemaRegistry;
  readonly warehouse: Warehouse;
  /** The cluster's own: it keeps what proves the tables. */
  readonly store: ObjectStore;
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly metrics: CompactorMetrics & MaintenanceMetrics;
  readonly version: string;
  /** Where the embedded catalog listens, without /v1. */
  readonly catalogUrl: string;
  /** URI of this broker's own warehouse. */
  readonly warehouseRoot: string;
  /** The simulation answers these without sockets, and translates in its own thread. */
  readonly fetch?: NonNullable<CatalogDeps["fetch"]>;
  readonly openBucket?: NonNullable<CatalogDeps["openBucket"]>;
  readonly translator?: Translator;
  readonly rewriter?: Rewriter;
}

export interface Tables extends AsyncDisposable, TableStateSurface {
  flush(topic: string): Promise<FlushOutcome>;
  status(): readonly TableStatus[];
  readonly tools: TableTools;
  readonly orphans: OrphanDesk;
  /** URIs of the data files of the table's current snapshot. */
  currentFiles(topic: string): Promise<readonly string[]>;
}

export function openTables(options: TablesOptions): Tables {
  const { config, settings, core, schemas, runtime, logger } = options;
  const catalogDeps = { ...options, embeddedUrl: options.catalogUrl };
  const catalogs = new Map(
    [...config.catalogs].map(([name, catalog]) => [name, openCatalog(name, catalog, catalogDeps)]),
  );
  const translator =
    options.translator ??
    new PoolTranslator({
      clock: runtime.clock,
      workers: settings.tableTranslateWorkers,
      limits: roundLimits(settings),
      ...openSchemaSource(settings, schemas, runtime),
    });
  const proofs = new ProofStore(options.store);
  const replayed = new ReplayedStore(options.store, runtime.random);
  const rewriter = options.rewriter ?? new ThreadRewriter(roundLimits(settings), runtime.clock);
  const compactor = openCompactor({
    metadata: core.metadata,
    log: core.log,
    translator,
    catalogs,
    warehouse: options.warehouse,
    proofs,
    replayed,
    tables: config.tables,
    runtime,
    logger,
    metrics: options.metrics,
    limits: compactorLimits(settings),
    maintenance: { rewriter, metrics: options.metrics, limits: maintenanceLimits(settings) },
    version: options.version,
  });
  const byTopic = new Map(config.tables.map((table) => [table.topic, table]));
  const tools = openTableTools({ ...options, catalogs, compactor, proofs, replayed, translator });
  const orphans = new OrphanDesk({ compactor, tables: config.tables, clock: runtime.clock });
  return {
    tools,
    orphans,
    flush: async (topic) => (byTopic.has(topic) ? await flush(compactor, topic) : { kind: "no-table" }),
    tableState: async (topic) =>
      byTopic.has(topic) ? { kind: "ok", detail: await compactor.report(topic) } : { kind: "no-table" },
    resumeTable: async (topic, how) =>
      byTopic.has(topic) ? await resume(compactor, topic, how) : { kind: "no-table" },
    status: () =>
      [...compactor.tables()].map((standing) => {
        const own = byTopic.get(standing.topic) as TableSettings;
        return { ...status(own, standing), ...engineAccess(config.catalogs.get(own.catalog), options.catalogUrl) };
      }),
    currentFiles: async (topic) => {
      const table = byTopic.get(topic);
      const catalog = table === undefined ? undefined : catalogs.get(table.catalog);
      const info = [...compactor.tables()].find((each) => each.topic === topic)?.table;
      if (table === undefined || catalog === undefined || info === undefined) return [];
      return await currentFiles(catalog, tableName(table, info.generation), options.warehouse);
    },
    async [Symbol.asyncDispose]() {
      await tools[Symbol.asyncDispose]();
      await orphans[Symbol.asyncDispose]();
      await compactor[Symbol.asyncDispose]();
      await rewriter[Symbol.asyncDispose]();
      await translator[Symbol.asyncDispose]();
    },
  };
}

async function flush(compactor: Compactor, topic: string): Promise<FlushOutcome> {
  try {
    const { snapshotId, committedTo } = await compactor.flush(topic);
    return {
      kind: "flushed",
      detail: {
        topic,
        snapshotId: snapshotId === null ? null : String(snapshotId),
        committedTo: Object.fromEntries(committedTo),
      },
    };
  } catch (cause) {
    if (cause instanceof TableStuck) return { kind: "refused", reason: cause.message };
    throw cause;
  }
}

async function resume(compactor: Compactor, topic: string, how: "accept" | "retranslate"): Promise<TableAnswer> {
  try {
    await compactor.resume(topic, how);
    return { kind: "ok", detail: await compactor.report(topic) };
  } catch (cause) {
    if (cause instanceof TableStuck) return { kind: "refused", reason: cause.message };
    throw cause;
  }
}

/** What engines are given where the catalog speaks REST. */
function engineAccess(
  catalog: CatalogSettings | undefined,
  embeddedUrl: string,
): { readonly catalogUri?: string; readonly warehouse?: string } {
  if (catalog?.type === "embedded") return { catalogUri: embeddedUrl, warehouse: "main" };
  if (catalog?.type !== "rest") return {};
  return { catalogUri: catalog.uri, ...(catalog.warehouse === null ? {} : { warehouse: catalog.warehouse }) };
}

function status(settings: TableSettings, { table, trouble }: StandingTable): TableStatus {
  const isRunning = table === undefined || table.state === "running";
  return {
    topic: settings.topic,
    catalog: settings.catalog,
    table: [...settings.namespace, tableName(settings, table?.generation ?? 1).name].join("."),
    state: table?.state ?? "pending",
    ...(table === undefined || table.reason === "" ? {} : { reason: table.reason }),
    ...(isRunning && trouble !== null ? { trouble } : {}),
    ...(table === undefined
      ? {}
      : { pendingRounds: table.pending.length, committedTo: Object.fromEntries(table.committedTo) }),
  };
}
