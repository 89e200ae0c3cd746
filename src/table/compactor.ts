/**
 * The compactor: turns topics into tables. One worker a configured topic; each looks at its table on a short beat and acts
 * when time or bytes make a commit due.
 */
import { Gate, Loop } from "../base/async.ts";
import { OperationFailed } from "../base/errors.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";
import type { Log } from "../log/log.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { TableInfo } from "../metadata/image.ts";
import { TableStuck } from "./advance.ts";
import { BesideTables, type OpenTable } from "./beside.ts";
import type { Catalog } from "./catalog.ts";
import { type AppenderLimits, TableAppender } from "./commit/table-appender.ts";
import {
  type MaintainedTable,
  Maintenance,
  type MaintenanceMetrics,
  type MaintenanceOptions,
  type MaintenanceReport,
  type MaintenanceStatus,
} from "./maintenance/maintenance.ts";
import type { ManifestRewriterDeps } from "./maintenance/manifest-rewriter.ts";
import type { OrphanDeps, OrphanReport } from "./maintenance/orphans.ts";
import { ReplaceCommitter, type ReplaceCommitterDeps, type RewriteTarget } from "./maintenance/replace-commit.ts";
import type { Rewriter } from "./maintenance/rewriter.ts";
import { TableRewriter, type TableRewriterLimits } from "./maintenance/table-rewriter.ts";
import { type RoundLimits, RoundWriter } from "./round-writer.ts";
import type { TableSettings } from "./settings.ts";
import type { CompactorMetrics } from "./table-meter.ts";
import type { TableReport } from "./table-report.ts";
import { type FlushResult, TableWorker, type TableWorkerLimits } from "./table-worker.ts";
import { Backfiller, type BackfillRequest } from "./tools/backfill.ts";
import type { BackfillReport } from "./tools/backfill-plan.ts";
import type { ProofStore } from "./tools/proof-store.ts";
import { type ReplayDeps, type ReplayReport, replayLetters } from "./tools/replay.ts";
import type { ReplayedStore } from "./tools/replayed.ts";
import type { Translator } from "./translate/translate.ts";
import type { Warehouse } from "./warehouse.ts";

export interface CompactorOptions {
  readonly metadata: MetadataClient;
  readonly log: Log;
  readonly translator: Translator;
  /** By the name that TableSettings.catalog gives. Disposed of with the compactor. */
  readonly catalogs: ReadonlyMap<string, Catalog>;
  readonly warehouse: Warehouse;
  readonly proofs: ProofStore;
  readonly replayed: ReplayedStore;
  readonly tables: readonly TableSettings[];
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly metrics: CompactorMetrics;
  readonly limits: CompactorLimits;
  /** Absent: tables are written and never looked after. */
  readonly maintenance?: {
    readonly rewriter: Rewriter;
    readonly metrics: MaintenanceMetrics;
    readonly limits: MaintenanceLimits;
  };
  /** Of Inlet, for snapshot summaries. */
  readonly version: string;
}

export type CompactorLimits = RoundLimits &
  AppenderLimits &
  TableWorkerLimits & {
    /** How often each table is looked at. */
    readonly beatMs: number;
    /** That a backfill of a table with a key remembers. */
    readonly backfillKeysMax: number;
  };

export type MaintenanceLimits = TableRewriterLimits &
  MaintenanceOptions["limits"] &
  ReplaceCommitterDeps["limits"] &
  ManifestRewriterDeps["limits"] &
  OrphanDeps["limits"] & {
    /** From one pass over a table to the next. */
    readonly intervalMs: number;
    readonly orphansIntervalMs: number;
  };

export interface Compactor extends AsyncDisposable {
  /** Forces translation and commit of what is stable now. Throws TableStuck, with the reason, when it cannot. */
  flush(topic: string): Promise<FlushResult>;
  /** Throws TableStuck, with the reason, when the table cannot go on. */
  resume(topic: string, how: "accept" | "retranslate"): Promise<void>;
  report(topic: string): Promise<TableReport>;
  /**
   * Begins to bring the topic's history into a table that began behind it, or into a new one beside it, or changes the rate.
   * Throws TableStuck.
   */
  startBackfill(topic: string, request: BackfillRequest, into?: string): Promise<BackfillReport>;
  /** One that fills a table beside the topic's own. Throws TableStuck. */
  stopBeside(topic: string, into: string): Promise<void>;
  /** One round of each backfill of the topic, if its rate allows it. Done on each beat. */
  advanceBackfill(topic: string): Promise<void>;
  /** Dead letters that can be rows by now become rows. Throws OperationFailed, TableStuck among them, where it cannot go on. */
  replay(topic: string, signal: AbortSignal, options?: ReplayOptions): Promise<ReplayReport>;
  /** One pass of maintenance over the topic's table now. Throws OperationFailed when it cannot be done. */
  maintain(topic: string): Promise<MaintenanceReport>;
  maintenanceOf(topic: string): MaintenanceStatus | undefined;
  /** Files of the topic's table that nothing names and that are older. Throws OperationFailed or CorruptData. */
  removeOrphans(
    topic: string,
    options: { readonly olderThanMs: number; readonly isDryRun: boolean },
  ): Promise<OrphanReport>;
  tables(): Iterable<StandingTable>;
  /** A table that is built beside the topic's own, and the settings that it is made with. */
  beside(topic: string, name: string): { readonly settings: TableSettings; readonly info: TableInfo } | undefined;
}

export interface StandingTable {
  readonly topic: string;
  readonly table: TableInfo | undefined;
  /** What kept the last turn from its end. */
  readonly trouble: string | null;
}

export type ReplayOptions = Partial<Pick<ReplayDeps, "undecided" | "progress">>;

/** Throws when a table names a catalog that is not there, or two topics name one table. */
export function openCompactor(options: CompactorOptions): Compactor {
  return new TopicCompactor(options);
}

class TopicCompactor implements Compactor {
  readonly #options: CompactorOptions;
  readonly #workers = new Map<string, TableWorker>();
  readonly #backfillers = new Map<string, Backfiller>();
  readonly #beside: BesideTables;
  readonly #loops: readonly Loop[];
  readonly #catalogs: ReadonlyMap<string, Catalog>;
  readonly #maintenance: Maintenance | undefined;

  constructor(options: CompactorOptions) {
    this.#options = options;
    this.#catalogs = options.catalogs;
    requireOwnTables(options.tables);
    const { runtime, logger, limits } = options;
    for (const settings of options.tables) {
      const { worker, backfiller } = this.#openTable(settings, false);
      this.#workers.set(settings.topic, worker);
      this.#backfillers.set(settings.topic, backfiller);
    }
    this.#maintenance = this.#openMaintenance(options);
    const { pendingRoundsMax, outageRetryMs: retryMs } = limits;
    const { clock } = runtime;
    const open = (settings: TableSettings): OpenTable => this.#openTable(settings, true);
    this.#beside = new BesideTables({ ...options, pendingRoundsMax, retryMs, clock, open });
    this.#loops = [...this.#workers.values()].flatMap((worker) => {
      const failed = (error: unknown): void => logger.error("a table's turn failed", { topic: worker.topic, error });
      return [() => worker.turn(), () => this.advanceBackfill(worker.topic)].map(
        (turn) => new Loop({ clock: runtime.clock, intervalMs: limits.beatMs, turn, failed }),
      );
    });
  }

  async maintain(topic: string): Promise<MaintenanceReport> {
    if (this.#maintenance === undefined) throw wrongSettings("tables are not looked after here");
    return await this.#maintenance.run(topic);
  }

  maintenanceOf(topic: string): MaintenanceStatus | undefined {
    return this.#maintenance?.statusOf(topic);
  }

  async removeOrphans(
    topic: string,
    options: { readonly olderThanMs: number; readonly isDryRun: boolean },
  ): Promise<OrphanReport> {
    if (this.#maintenance === undefined) throw wrongSettings("tables are not looked after here");
    return await this.#maintenance.removeOrphans(topic, options);
  }

  async flush(topic: string): Promise<FlushResult> {
    return await this.#worker(topic).flush();
  }

  async resume(topic: string, how: "accept" | "retranslate"): Promise<void> {
    await this.#worker(topic).resume(how);
  }

  async replay(topic: string, signal: AbortSignal, options: ReplayOptions = {}): Promise<ReplayReport> {
    const worker = this.#worker(topic);
    await worker.flush(); // Letters of what is on its way are letters too.
    return await replayLetters({
      ...this.#replayDeps(topic),
      exclusively: (work) => worker.exclusively(work),
      signal,
      undecided: "keep",
      ...options,
    });
  }

  async startBackfill(topic: string, request: BackfillRequest, into?: string): Promise<BackfillReport> {
    if (into !== undefined) return await this.#beside.start(topic, into, request);
    await this.#worker(topic).flush(); // Which makes the table, if need be.
    return await this.#backfiller(topic).start(request);
  }

  async advanceBackfill(topic: string): Promise<void> {
    await this.#backfiller(topic).turn();
    await this.#beside.turn(topic);
  }

  async stopBeside(topic: string, into: string): Promise<void> {
    await this.#beside.stop(topic, into);
  }

  async report(topic: string): Promise<TableReport> {
    const report = await this.#worker(topic).report();
    const backfiller = this.#backfiller(topic);
    const backfill = backfiller.report();
    const { trouble } = backfiller;
    const beside = this.#beside.reports(topic);
    return { ...report, backfill: backfill === undefined ? null : { ...backfill, trouble }, beside };
  }

  *tables(): Iterable<StandingTable> {
    for (const [topic, { table, trouble }] of this.#workers) yield { topic, table, trouble };
  }

  beside(topic: string, name: string): ReturnType<BesideTables["find"]> {
    return this.#beside.find(topic, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const backfiller of this.#backfillers.values()) backfiller[Symbol.dispose]();
    await this.#maintenance?.[Symbol.asyncDispose](); // Before the lanes that it asks.
    const loops = this.#loops.map((loop) => loop[Symbol.asyncDispose]()); // First: their turns would meet closed lanes.
    const workers = [...this.#workers.values(), this.#beside].map((worker) => worker[Symbol.asyncDispose]());
    await Promise.all([...loops, ...workers]);
    for (const catalog of this.#catalogs.values()) await catalog[Symbol.asyncDispose]();
  }

  #openTable(settings: TableSettings, isBeside: boolean): OpenTable {
    const options = this.#options;
    const catalog = options.catalogs.get(settings.catalog);
    if (catalog === undefined)
      throw wrongSettings(`topic ${settings.topic} names the unknown catalog ${settings.catalog}`);
    const { clock, random } = options.runtime;
    const appender = new TableAppender({ ...options, catalog, engineVersion: options.version });
    const writer = new RoundWriter({ ...options, random });
    const worker = new TableWorker({ ...options, catalog, appender, writer, settings, isBeside });
    const { pendingRoundsMax, backfillKeysMax, outageRetryMs: retryMs } = options.limits;
    const limits = { pendingRoundsMax, backfillKeysMax, retryMs };
    return { worker, backfiller: new Backfiller({ ...options, ...limits, settings, catalog, clock, random, worker }) };
  }

  #openMaintenance(options: CompactorOptions): Maintenance | undefined {
    const { maintenance, runtime, logger, version } = options;
    if (maintenance === undefined) return undefined;
    const jobs = new Gate(1);
    const tables = options.tables.flatMap(({ topic, catalog: name, maintain }): readonly MaintainedTable[] => {
      const catalog = options.catalogs.get(name);
      if (catalog === undefined || catalog.isSelfMaintained === true) return [];
      const betweenAppends: RewriteTarget["betweenAppends"] = (work) => this.#worker(topic).betweenAppends(work);
      const committer = new ReplaceCommitter({ ...options, limits: maintenance.limits, engineVersion: version });
      const deps = { ...options, ...maintenance, committer, jobs, engineVersion: version };
      const rewriter = maintain.rewrites ? new TableRewriter(deps) : undefined;
      const manifests = maintain.manifests ? { ...deps, merge: options.limits.merge } : undefined;
      const target = { catalog, betweenAppends };
      return [{ topic, target, rewriter, manifests, orphansMs: maintain.orphansMs }];
    });
    const { metrics, limits } = maintenance;
    const { clock } = runtime;
    const intervalMs = limits.orphansIntervalMs;
    const orphans = { warehouse: options.warehouse, clock, limits, intervalMs, startMs: options.limits.expiredGraceMs };
    return new Maintenance({ tables, clock, logger, metrics, limits, intervalMs: limits.intervalMs, orphans });
  }

  #replayDeps(topic: string) {
    const options = this.#options;
    const settings = options.tables.find((table) => table.topic === topic) as TableSettings;
    const catalog = options.catalogs.get(settings.catalog) as Catalog;
    const { clock, random } = options.runtime;
    return { ...options, settings, catalog, clock, random };
  }

  #backfiller(topic: string): Backfiller {
    const backfiller = this.#backfillers.get(topic);
    if (backfiller === undefined) throw new TableStuck(topic, "no table is configured");
    return backfiller;
  }

  #worker(topic: string): TableWorker {
    const worker = this.#workers.get(topic);
    if (worker === undefined) throw new TableStuck(topic, "no table is configured");
    return worker;
  }
}

/** Rule L10: names that differ only by case are one name for many engines. */
function requireOwnTables(tables: readonly TableSettings[]): void {
  const names = new Map<string, string>();
  for (const { topic, catalog, namespace, table, errors } of tables) {
    const own = errors.policy === "dlq" ? [table, errors.deadLetterTable] : [table];
    for (const name of own) {
      const key = [catalog, ...namespace, name].join("\u0000").toLowerCase();
      const other = names.get(key);
      if (other !== undefined) throw wrongSettings(`topics ${other} and ${topic} both write table ${name}`);
      names.set(key, topic);
    }
  }
}

function wrongSettings(message: string): OperationFailed {
  return new OperationFailed(message, { happened: "no" });
}
