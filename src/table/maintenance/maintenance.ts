/**
 * Looks after all tables of this node on a budget: some tables at once, one rewrite at a time, at a pace (table-rewriter.ts). A
 * table that is due waits for a moment between its appends, however long that takes, and has a place only then. In its place it
 * waits for them too, but gives up when one takes too long, so that it never keeps the others waiting. A pass that fails is
 * counted and said, and the next table has its turn. Nothing here keeps an append waiting but a commit that met one before.
 */
import { Gate, Lane, Loop, sleep } from "../../base/async.ts";
import { assert, Closed, CorruptData, OperationFailed } from "../../base/errors.ts";
import type { Clock } from "../../base/runtime.ts";
import type { Counter, Histogram, Logger } from "../../base/telemetry.ts";
import type { ManifestReport } from "./manifest-plan.ts";
import { type ManifestRewriterDeps, rewriteManifests } from "./manifest-rewriter.ts";
import { type OrphanDeps, type OrphanReport, removeOrphans } from "./orphans.ts";
import type { MaintenanceTurn, RewriteTarget } from "./replace-commit.ts";
import { noRewrite, type RewriteReport, type TableRewriter } from "./table-rewriter.ts";

export interface MaintenanceOptions {
  readonly tables: readonly MaintainedTable[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MaintenanceMetrics;
  /** From one pass over a table to the next. */
  readonly intervalMs: number;
  readonly limits: {
    /** Passes that are under way at once, most of them waiting. */
    readonly tablesMax: number;
    /** For an append of the table, during a pass. */
    readonly appendWaitMsMax: number;
  };
  readonly orphans: OrphanDeps & { readonly intervalMs: number; readonly startMs: number };
}

export interface MaintainedTable {
  readonly topic: string;
  readonly target: RewriteTarget;
  /** Of this table alone: it remembers manifests. undefined: others rewrite. */
  readonly rewriter: TableRewriter | undefined;
  /** undefined: others rewrite its manifests. */
  readonly manifests: ManifestRewriterDeps | undefined;
  /** 0: orphans stay. */
  readonly orphansMs: number;
}

export interface MaintenanceMetrics {
  readonly tableMaintenanceBytes: Counter;
  readonly tableMaintenanceFiles: Counter;
  readonly tableMaintenanceManifests: Counter;
  readonly tableMaintenanceRowsDropped: Counter;
  readonly tableMaintenanceSeconds: Histogram;
  readonly tableMaintenanceFailures: Counter;
  readonly tableMaintenanceOrphans: Counter;
}

export type MaintenanceReport = RewriteReport & ManifestReport;

/** What became of a table's last pass. */
export interface MaintenanceStatus {
  readonly endedMs: number;
  readonly report: MaintenanceReport | undefined;
  readonly failure: string;
}

/** The table's appends take their time: it is looked after another time. */
class AppendsFirst extends OperationFailed {}

export class Maintenance implements AsyncDisposable {
  readonly #options: MaintenanceOptions;
  readonly #due = new Map<MaintainedTable, number>();
  readonly #orphansDue = new Map<MaintainedTable, number>();
  readonly #status = new Map<string, MaintenanceStatus>();
  readonly #stop = new AbortController();
  readonly #loop: Loop;
  /** One pass over a table at a time, whoever asks for it. */
  readonly #lanes = new Map<MaintainedTable, Lane>();
  /** One at a time: names of files take memory. */
  readonly #sweeps = new Lane();
  readonly #underWay = new Map<MaintainedTable, Promise<void>>();
  readonly #places: Gate;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
    this.#places = new Gate(options.limits.tablesMax);
    const { clock, logger, intervalMs, tables } = options;
    // Not all at once, and not in the first moments after a start.
    for (const [index, table] of tables.entries()) {
      this.#lanes.set(table, new Lane());
      this.#due.set(table, clock.monotonic() + (intervalMs * (index + 1)) / tables.length);
      // Files of expired snapshots are in use for a while, and after a restart nobody knows which: not before that.
      this.#orphansDue.set(table, clock.monotonic() + options.orphans.startMs * (index + 1));
    }
    const failed = (error: unknown): void => logger.error("maintenance of tables failed", { error });
    this.#loop = new Loop({ clock, intervalMs: Math.min(intervalMs, beatMs), turn: async () => this.#turn(), failed });
  }

  statusOf(topic: string): MaintenanceStatus | undefined {
    return this.#status.get(topic);
  }

  /** One pass over the table now, whether it is due or not. Throws OperationFailed. */
  run(topic: string): Promise<MaintenanceReport> {
    const table = this.#options.tables.find((each) => each.topic === topic);
    if (table === undefined)
      throw new OperationFailed(`the table of ${topic} is looked after by its catalog`, { happened: "no" });
    return this.#laneOf(table).run(() => this.#pass(table));
  }

  /** Throws OperationFailed, and CorruptData where something that names files cannot be read. */
  removeOrphans(
    topic: string,
    options: { readonly olderThanMs: number; readonly isDryRun: boolean },
  ): Promise<OrphanReport> {
    const table = this.#options.tables.find((each) => each.topic === topic);
    if (table === undefined)
      throw new OperationFailed(`the table of ${topic} is looked after by its catalog`, { happened: "no" });
    return this.#laneOf(table).run(() => this.#sweeps.run(() => this.#sweep(table, options)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new OperationFailed("maintenance stops", { happened: "maybe" }));
    await this.#loop[Symbol.asyncDispose]();
    const lanes = [...this.#lanes.values(), this.#sweeps].map((lane) => lane.close());
    await Promise.all([...lanes, ...this.#underWay.values()]);
  }

  async #pass({ topic, target, rewriter, manifests }: MaintainedTable): Promise<MaintenanceReport> {
    const { clock } = this.#options;
    if (rewriter === undefined && manifests === undefined)
      throw new OperationFailed(`the table of ${topic} is rewritten by others`, { happened: "no" });
    const began = clock.monotonic();
    const own = this.#patient(target);
    const files = (await rewriter?.run(own, this.#stop.signal)) ?? noRewrite;
    // Of the table as the first has left it.
    const listed = manifests === undefined ? undefined : await rewriteManifests(own, manifests, this.#stop.signal);
    const { manifestsIn = 0, manifestsOut = 0, held = "" } = listed ?? {};
    const report = { ...files, manifestsIn, manifestsOut, held: files.held === "" ? held : files.held };
    this.#count(topic, report, (clock.monotonic() - began) / 1000);
    this.#status.set(topic, { endedMs: clock.now(), report, failure: "" });
    return report;
  }

  #patient(target: RewriteTarget): RewriteTarget {
    return { ...target, betweenAppends: (work) => this.#between(target, this.#options.limits.appendWaitMsMax, work) };
  }

  /** When no append of the table is under way; not for ever: what has not begun by then never does. */
  #between<T>(
    target: RewriteTarget,
    waitMsMax: number,
    work: (turn: MaintenanceTurn | undefined) => Promise<T>,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const wait = new AbortController();
    const giveUp = (cause: unknown): void => {
      wait.abort(cause);
      reject(cause);
    };
    const tooLong = new AppendsFirst("an append of the table is under way for too long", { happened: "no" });
    sleep(this.#options.clock, waitMsMax, AbortSignal.any([wait.signal, this.#stop.signal])).then(
      () => giveUp(tooLong),
      (cause: unknown) => {
        if (cause !== begun) giveUp(cause);
      },
    );
    const done = target.betweenAppends((turn) => {
      wait.signal.throwIfAborted();
      wait.abort(begun);
      return work(turn);
    });
    done.then(resolve, reject).finally(() => wait.abort(begun));
    return promise;
  }

  /** Starts what is due, the longest waiting first. */
  #turn(): void {
    const { clock } = this.#options;
    const due = [...this.#due].filter(([, at]) => at <= clock.monotonic()).sort(([, a], [, b]) => a - b);
    for (const [table] of due) {
      if (this.#stop.signal.aborted) return;
      if (this.#underWay.has(table)) continue;
      const pass = this.#lookAfter(table)
        .catch((error: unknown) =>
          this.#options.logger.error("maintenance of a table failed", { topic: table.topic, error }),
        )
        .finally(() => {
          this.#underWay.delete(table);
          this.#due.set(table, clock.monotonic() + this.#options.intervalMs);
        });
      this.#underWay.set(table, pass);
    }
  }

  async #lookAfter(table: MaintainedTable): Promise<void> {
    const { clock, logger, metrics } = this.#options;
    const { topic, target } = table;
    metrics.tableMaintenanceFailures.add(0, { topic }); // They are there before they are wanted.
    metrics.tableMaintenanceOrphans.add(0, { topic });
    try {
      await this.#between(target, outsideWaitMsMax, async () => {});
      using _place = await this.#places.enter();
      if (this.#stop.signal.aborted) return;
      if (table.rewriter !== undefined || table.manifests !== undefined) await this.run(topic);
      await this.#sweepIfDue(table);
    } catch (cause) {
      if (this.#stop.signal.aborted) return;
      if (!(cause instanceof OperationFailed) && !(cause instanceof CorruptData)) throw cause;
      this.#status.set(topic, { endedMs: clock.now(), report: undefined, failure: cause.message });
      if (cause instanceof AppendsFirst) {
        logger.debug("a table was not rewritten", { topic, held: cause.message });
        return;
      }
      metrics.tableMaintenanceFailures.add(1, { topic });
      logger.warn("a table could not be looked after", { topic, error: cause });
    }
  }

  #laneOf(table: MaintainedTable): Lane {
    const lane = this.#lanes.get(table);
    assert(lane !== undefined, "a table has its lane from the start");
    return lane;
  }

  async #sweepIfDue(table: MaintainedTable): Promise<void> {
    const { clock, orphans } = this.#options;
    if (table.orphansMs === 0 || (this.#orphansDue.get(table) ?? 0) > clock.monotonic()) return;
    this.#orphansDue.set(table, clock.monotonic() + orphans.intervalMs); // Also when it fails: it is not urgent.
    await this.removeOrphans(table.topic, { olderThanMs: table.orphansMs, isDryRun: false });
  }

  async #sweep(
    { topic, target }: MaintainedTable,
    options: { readonly olderThanMs: number; readonly isDryRun: boolean },
  ): Promise<OrphanReport> {
    const { orphans, metrics, logger } = this.#options;
    const report = await removeOrphans(this.#patient(target), orphans, { ...options, signal: this.#stop.signal });
    if (!options.isDryRun) metrics.tableMaintenanceOrphans.add(report.orphans, { topic });
    if (report.orphans > 0) logger.info("files that nothing names", { topic, ...options, ...report });
    else if (report.held !== "") logger.warn("orphans were not looked for", { topic, held: report.held });
    return report;
  }

  #count(topic: string, report: MaintenanceReport, seconds: number): void {
    const { metrics, logger } = this.#options;
    metrics.tableMaintenanceBytes.add(report.bytesIn, { topic, direction: "in" });
    metrics.tableMaintenanceBytes.add(report.bytesOut, { topic, direction: "out" });
    metrics.tableMaintenanceFiles.add(report.filesIn, { topic, direction: "in" });
    metrics.tableMaintenanceFiles.add(report.filesOut, { topic, direction: "out" });
    metrics.tableMaintenanceManifests.add(report.manifestsIn, { topic, direction: "in" });
    metrics.tableMaintenanceManifests.add(report.manifestsOut, { topic, direction: "out" });
    metrics.tableMaintenanceRowsDropped.add(report.rowsDropped, { topic });
    metrics.tableMaintenanceSeconds.observe(seconds, { topic });
    const isDone = report.filesIn > 0 || report.deleteFilesDropped > 0 || report.manifestsIn > 0;
    if (isDone) logger.info("a table was rewritten", { topic, ...report });
    else if (report.held !== "") logger.debug("a table was not rewritten", { topic, held: report.held });
  }
}

/** How often due tables are looked for. */
const beatMs = 1000;
/** For a moment between two appends, without a place: it keeps nobody waiting. */
const outsideWaitMsMax = 24 * 3_600_000;
/** The wait is over because the work has begun. */
const begun = new Closed("wait");
