/**
 * One topic's table, driven: finds or starts the table, translates what is stable, commits what is pending. Everything here
 * runs in one lane, so that a flush and a turn never overlap. Trouble with one table never reaches another.
 */
import { Lane } from "../base/async.ts";
import { OperationFailed } from "../base/errors.ts";
import { type Offset, type Seq, type Uuid, uuidRandom } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";
import type { Log } from "../log/log.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { PendingRound, TableInfo, Topic } from "../metadata/image.ts";
import { leaveFormer, planAdoption } from "./adoption.ts";
import { type Advance, done, reasonOf, stuck, TableStuck, troubleOf, unreachable } from "./advance.ts";
import type { Catalog } from "./catalog.ts";
import { type CommitterOptions, TableCommitter } from "./commit/committer.ts";
import { deliverLetters } from "./commit/letter-topic.ts";
import { hasDrifted, type SchemaCommitter } from "./commit/schema-committer.ts";
import type { TableAppender } from "./commit/table-appender.ts";
import { emptied } from "./lost-round.ts";
import type { MaintenanceTurn } from "./maintenance/replace-commit.ts";
import { retranslateRound } from "./retranslate.ts";
import type { RoundWriter, WrittenRound } from "./round-writer.ts";
import { emptyRange, emptyRound, liveLane, type PartitionView } from "./rounds.ts";
import type { TableSettings } from "./settings.ts";
import { type CompactorMetrics, TableMeter } from "./table-meter.ts";
import { reportTable, type TableReport } from "./table-report.ts";
import { tableName, tableStateOf } from "./table-state.ts";
import { TableTranslation, type TableTranslationLimits } from "./table-translation.ts";
import { beginLane } from "./tools/backfill-plan.ts";
import type { ReplayedStore } from "./tools/replayed.ts";
import { besideLane, besideTable, ownTable } from "./topic-table.ts";
import type { Warehouse } from "./warehouse.ts";

export interface TableWorkerOptions {
  readonly metadata: MetadataClient;
  readonly log: Log;
  readonly catalog: Catalog;
  readonly warehouse: Warehouse;
  readonly appender: TableAppender;
  readonly writer: RoundWriter;
  readonly replayed: ReplayedStore;
  readonly settings: TableSettings;
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly metrics: CompactorMetrics;
  readonly limits: TableWorkerLimits;
  /** The table is built beside the topic's own (beside.ts), and of no record that comes after it was asked for. */
  readonly isBeside?: boolean;
}

export type TableWorkerLimits = CommitterOptions["limits"] &
  TableTranslationLimits & {
    /** After a commit that the catalog did not take. */
    readonly outageRetryMs: number;
  };

export interface FlushResult {
  /** null when the table has no snapshot of ours. */
  readonly snapshotId: bigint | null;
  readonly committedTo: ReadonlyMap<number, Offset>;
}

/** The table between two turns, for who else adds rows in its name. */
export interface WorkerTurn {
  readonly topic: Topic;
  readonly table: TableInfo;
  readonly schemas: SchemaCommitter;
  views(): readonly PartitionView[];
  /** Everything that is pending. */
  commit(): Promise<Advance>;
  counted(round: WrittenRound): void;
}

/** A commit is due at the latest this long after the first of its records became stable, unless bytes make it due. */
export class TableWorker {
  readonly #options: TableWorkerOptions;
  readonly #lane = new Lane();
  readonly #stop = new AbortController();
  readonly #meter: TableMeter;
  readonly #translation: TableTranslation;
  #committer: TableCommitter | undefined;
  #committerOf: Uuid | undefined;
  #dueAt = 0;
  #lastSnapshot: bigint | null = null;
  #trouble: string | null = null;

  constructor(options: TableWorkerOptions) {
    this.#options = options;
    this.#dueAt = options.runtime.clock.monotonic() + options.settings.commit.everyMs;
    const { topic, table } = options.settings;
    this.#meter = new TableMeter(options.isBeside === true ? `${topic} into ${table}` : topic, options.metrics);
    this.#translation = new TableTranslation({ ...options, meter: this.#meter, signal: this.#stop.signal });
  }

  get topic(): string {
    return this.#options.settings.topic;
  }

  /** The table in the metadata log, of the topic as it is now. */
  get table(): TableInfo | undefined {
    const topic = this.#topic();
    return topic === undefined ? undefined : this.#tableOf(topic);
  }

  /** What kept the last turn from its end; null when it got there. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** Does what is due. */
  turn(): Promise<void> {
    return this.#lane.run(async () => {
      this.#showLag();
      if (!this.#isDue()) return;
      this.#dueAt = this.#options.runtime.clock.monotonic() + this.#options.settings.commit.everyMs;
      const outcome = await this.#advance();
      this.#trouble = outcome.kind === "stuck" ? troubleOf(outcome) : null;
      this.#showLag();
      if (outcome.kind === "stuck" && outcome.isOutage) {
        const { clock } = this.#options.runtime;
        this.#dueAt =
          clock.monotonic() + Math.min(this.#options.limits.outageRetryMs, this.#options.settings.commit.everyMs);
        this.#options.logger.warn("a table waits", { topic: this.topic, reason: outcome.reason, error: outcome.cause });
      }
    });
  }

  /** Translates and commits everything that was stable when it was called. Throws TableStuck when it cannot. */
  flush(): Promise<FlushResult> {
    return this.#lane.run(async () => {
      const topic = this.#topic();
      if (topic === undefined) throw new TableStuck(this.topic, "there is no such topic");
      const targets = new Map(this.#views(topic).map((view) => [view.partition, view.lastStable]));
      if (targets.size < topic.partitions.length) throw new TableStuck(this.topic, "not all partitions are here");
      // Once more after each step: what waited for a catalog that was away is committed before more is translated.
      for (let before = ""; ; ) {
        const outcome = await this.#advance();
        this.#trouble = outcome.kind === "stuck" ? troubleOf(outcome) : null;
        if (outcome.kind === "stuck") throw new TableStuck(this.topic, troubleOf(outcome), outcome.cause);
        const committedTo = this.table?.committedTo ?? new Map<number, Offset>();
        const logStarts = new Map(this.#views(topic).map((view) => [view.partition, view.logStart]));
        const behind = [...targets].filter(([partition, to]) => {
          return to > (committedTo.get(partition) ?? logStarts.get(partition) ?? 0);
        });
        if (behind.length === 0) break;
        const state = JSON.stringify([...committedTo]);
        if (state === before) throw new TableStuck(this.topic, "records could not be read from the log");
        before = state;
      }
      const { table } = this;
      return { snapshotId: this.#lastSnapshot, committedTo: table?.committedTo ?? new Map() };
    });
  }

  /** How the table stands. Asks the catalog. */
  report(): Promise<TableReport> {
    const topic = this.#topic();
    const views = topic === undefined ? [] : this.#views(topic);
    const { settings, catalog } = this.#options;
    return reportTable({ settings, table: this.table, views, trouble: this.#trouble }, catalog);
  }

  /**
   * The way out of "paused" and "diverged". "accept": the table is right as it is, go on after it, without rounds that are lost for
   * good. "retranslate": leave it alone and translate the whole log into a new generation.
   */
  resume(how: "accept" | "retranslate"): Promise<void> {
    return this.#lane.run(async () => {
      const topic = this.#topic();
      const table = this.table;
      if (topic === undefined || table === undefined) throw new TableStuck(this.topic, "there is no table yet");
      if (how === "retranslate") {
        await this.#propose([this.#creation(topic)]);
        return;
      }
      const outcome = await this.#translation.schemas(table.id).accept(this.#stop.signal);
      if (outcome.kind === "paused") throw new TableStuck(this.topic, outcome.reason);
      if (outcome.kind === "unavailable") throw new TableStuck(this.topic, unreachable, outcome.cause);
      if (table.state === "diverged") {
        const report = await this.#committerFor(table).accept(this.#stop.signal);
        if (report.kind !== "committed") throw new TableStuck(this.topic, reasonOf(report));
      }
      if (table.state === "paused") {
        const { report } = await this.#committerFor(table).commitWithoutLost(this.#stop.signal);
        if (report.kind === "paused" || report.kind === "diverged") throw new TableStuck(this.topic, reasonOf(report));
      }
      await this.#propose([{ kind: "table-state", table: table.id, state: "running", reason: "" }]);
    });
  }

  /** For maintenance: runs while no append is under way. Without a turn this table is not ours to look after now. */
  betweenAppends<T>(work: (turn: MaintenanceTurn | undefined) => Promise<T>): Promise<T> {
    return this.#lane.run(async () => await work(await this.#maintenanceTurn()));
  }

  async #maintenanceTurn(): Promise<MaintenanceTurn | undefined> {
    const topic = this.#topic();
    const table = topic === undefined ? undefined : this.#tableOf(topic);
    if (topic === undefined || table?.state !== "running" || !this.#isCommitter(topic)) return undefined;
    const ledger = await this.#committerFor(table).ledger();
    if (ledger === undefined) return undefined;
    const { settings, appender } = this.#options;
    const rounds = table.pending.flatMap((round) => [round.main, round.deletes, round.deadLetters]);
    return {
      name: tableName(settings, table.generation),
      ledger,
      rounds: rounds.flatMap((manifest) => manifest?.location ?? []),
      inUse: appender.expiredFiles(),
      others: this.#placesOfOthers(table.id),
    };
  }

  /** Directories of this cluster's other tables, of earlier generations of this one, and of its dead letters. */
  #placesOfOthers(own: Uuid): readonly string[] {
    return [...this.#options.metadata.image.tables()].flatMap((table) => {
      const state = tableStateOf(table);
      const places = [state?.deadLetterPlaces, table.id === own ? undefined : state?.places];
      return places.flatMap((place) => (place === undefined || place === null ? [] : [place.data, place.metadata]));
    });
  }

  /** Runs between two turns, never during one. Throws TableStuck when the table is not ours to write, or does not run. */
  exclusively<T>(work: (turn: WorkerTurn) => Promise<T>): Promise<T> {
    return this.#lane.run(async () => {
      const topic = this.#topic();
      const table = this.table;
      if (topic === undefined || table === undefined) throw new TableStuck(this.topic, "there is no table yet");
      if (table.state !== "running") throw new TableStuck(this.topic, `${table.state}: ${table.reason}`);
      if (!this.#isCommitter(topic)) throw new TableStuck(this.topic, "another node commits to it");
      const schemas = this.#translation.schemas(table.id);
      const counted = (round: WrittenRound) => this.#meter.counted(round);
      const views = () => this.#views(topic);
      return await work({ topic, table, schemas, views, counted, commit: () => this.#commit(table.id) });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new OperationFailed("the compactor stops", { happened: "maybe" }));
    await this.#lane.close();
  }

  #isDue(): boolean {
    const { clock } = this.#options.runtime;
    if (clock.monotonic() >= this.#dueAt) return true;
    const topic = this.#topic();
    const table = this.table;
    // "What is new" is what comes from now on, not from the first commit.
    if (topic !== undefined && table === undefined && this.#options.settings.begin === "latest") return true;
    if (topic === undefined || table?.state !== "running") return false;
    let bytes = 0;
    for (const { partition } of this.#views(topic)) {
      const lookup = this.#options.log.partition(topic.id, partition);
      const from = table.translatedTo.get(partition);
      if (lookup.kind !== "here") continue;
      bytes += lookup.partition.bytesAvailable(from ?? lookup.partition.logStart, "read-committed");
    }
    return bytes >= this.#options.settings.commit.bytesMax;
  }

  /** Translate all that is stable, commit all that is pending. */
  async #advance(): Promise<Advance> {
    const topic = this.#topic();
    if (topic === undefined) return done;
    const views = this.#views(topic);
    if (views.length === 0) return done;
    const known = await this.#begun(topic, this.#tableOf(topic) ?? (await this.#startTable(topic)));
    const adopted = this.#options.isBeside === true ? done : await this.#adopt(topic, known, views);
    if (adopted.kind === "stuck") return adopted;
    const table = this.#tableOf(topic) as TableInfo;
    if (table.state !== "running") return stuck(`${table.state}: ${table.reason}`);
    const translated = await this.#translation.run(topic, table.id, () => this.#views(topic));
    // What was translated is committed even when something else stopped the translation.
    const committed = this.#isCommitter(topic) ? await this.#commit(table.id) : done;
    if (translated.kind === "stuck" && translated.needsPerson) await this.#pause(table.id, translated.reason);
    return translated.kind === "stuck" ? translated : committed;
  }

  async #startTable(topic: Topic): Promise<TableInfo> {
    const creation = this.#creation(topic);
    const events: Parameters<MetadataClient["propose"]>[0][number][] = [creation];
    const { settings, isBeside = false } = this.#options;
    if (settings.begin === "latest") {
      const views = this.#views(topic);
      if (isBeside && views.length < topic.partitions.length)
        throw new TableStuck(this.topic, "not all partitions are here");
      const ranges = views.map(({ partition, lastStable }) => emptyRange(partition, lastStable));
      events.push(emptyRound(creation.table, creation.generation, isBeside ? besideLane : beginLane, ranges));
    }
    await this.#propose(events);
    const table = this.#tableOf(topic);
    if (table === undefined) throw new TableStuck(this.topic, "the table was not accepted by the metadata log");
    return table;
  }

  /** A table that was built beside the topic's own, and that the settings name by now, is its own from here on. */
  async #adopt(topic: Topic, table: TableInfo, views: readonly PartitionView[]): Promise<Advance> {
    const { settings, logger, metadata } = this.#options;
    const isCommitter = this.#isCommitter(topic);
    const tables = (): readonly TableInfo[] => [...metadata.image.tables()];
    const adoption = planAdoption(table, { settings, views, tables: tables(), isCommitter });
    if (adoption.kind === "refused") return stuck(adoption.reason);
    if (adoption.kind === "adopts") {
      await this.#propose(adoption.events);
      logger.info("a table is the topic's own now", { topic: this.topic, table: table.name });
    }
    const own = this.#tableOf(topic);
    const left = own?.state === "running" && isCommitter ? leaveFormer(own, tables(), settings) : [];
    if (left.length > 0) await this.#propose(left);
    return done;
  }

  /** A table that begins with what is new has its live lane begin there, in an entry of its own: a crash may lie between. */
  async #begun(topic: Topic, table: TableInfo): Promise<TableInfo> {
    const beside = [...(table.lanes.get(besideLane) ?? [])].map(([partition, at]) => emptyRange(partition, at));
    if (beside.length > 0 && !table.lanes.has(beginLane)) {
      await this.#propose([emptyRound(table.id, table.generation, beginLane, beside)]);
      return await this.#begun(topic, this.#tableOf(topic) as TableInfo);
    }
    const begin = [...(table.lanes.get(beginLane) ?? [])];
    const ranges = begin.flatMap(([partition, at]) =>
      table.translatedTo.has(partition) ? [] : [emptyRange(partition, at)],
    );
    if (ranges.length === 0) return table;
    await this.#propose([emptyRound(table.id, table.generation, liveLane, ranges)]);
    return this.#tableOf(topic) as TableInfo;
  }

  /** A recreated topic, or a new start for this one, never shares a table with what was before. */
  #creation(topic: Topic) {
    const { settings, metadata, runtime } = this.#options;
    const base = qualified(settings, 1);
    const generations = [...metadata.image.tables()]
      .filter((table) => table.catalog === settings.catalog && table.name.replace(/__g\d+$/, "") === base)
      .map((table) => table.generation);
    const generation = Math.max(0, ...generations) + 1;
    const { catalog } = settings;
    const table = uuidRandom(runtime.random);
    return {
      kind: "create-table",
      table,
      topicId: topic.id,
      generation,
      catalog,
      name: qualified(settings, generation),
    } as const;
  }

  async #commit(id: Uuid): Promise<Advance> {
    const { metadata, runtime } = this.#options;
    const committer = this.#committerFor(metadata.image.table(id) as TableInfo);
    for (;;) {
      const began = runtime.clock.monotonic();
      const report = await committer.commit(this.#stop.signal);
      if (report.kind === "idle") return done;
      if (report.kind === "replaced") {
        this.#options.logger.warn("a round was translated again", { topic: this.topic, ...report });
        continue;
      }
      this.#meter.committed(report.kind === "committed", (runtime.clock.monotonic() - began) / 1000);
      if (report.kind === "unavailable") return stuck(reasonOf(report), report.cause, true);
      if (report.kind !== "committed") return stuck(reasonOf(report));
      this.#lastSnapshot = report.snapshotId;
      const state = tableStateOf(metadata.image.table(id) as TableInfo);
      if (hasDrifted(state, report.metadata)) this.#translation.follow();
    }
  }

  #showLag(): void {
    const topic = this.#topic();
    const { table } = this;
    if (topic !== undefined && table !== undefined) this.#meter.lag(table, this.#views(topic));
  }

  async #pause(table: Uuid, reason: string): Promise<void> {
    await this.#propose([{ kind: "table-state", table, state: "paused", reason }]);
    this.#options.logger.error("a table is paused", { topic: this.topic, reason });
  }

  #committerFor(table: TableInfo): TableCommitter {
    if (this.#committer === undefined || this.#committerOf !== table.id) {
      const { topicId, id } = table;
      const schemas = this.#translation.schemas(id);
      const { signal } = this.#stop;
      const retranslate = (round: PendingRound) =>
        retranslateRound(round, { ...this.#options, topicId, schemas, signal });
      const { deadLetterTopic: name } = this.#options.settings.errors;
      const deliver = (rounds: readonly PendingRound[]) => {
        const partitions = this.#topic()?.partitions.length ?? 1;
        return deliverLetters(rounds, { ...this.#options, table: id, name: name as string, partitions });
      };
      this.#committer = new TableCommitter({
        ...this.#options,
        table: id,
        retranslate,
        giveUp: (round) => emptied(round, { ...this.#options, topic: this.topic, table: id }),
        ...(name === undefined ? {} : { deliver }),
      });
      this.#committerOf = table.id;
    }
    return this.#committer;
  }

  #topic(): Topic | undefined {
    return this.#options.metadata.image.topicByName(this.topic);
  }

  #tableOf(topic: Topic): TableInfo | undefined {
    const { metadata, settings, isBeside } = this.#options;
    const tables = metadata.image.tables();
    return isBeside === true ? besideTable(tables, topic.id, settings) : ownTable(tables, topic.id, settings);
  }

  /** Partitions of this node; new ones are there as soon as the topic has them. */
  #views(topic: Topic): readonly PartitionView[] {
    const ends = this.#options.isBeside === true ? this.#tableOf(topic)?.lanes.get(besideLane) : undefined;
    return topic.partitions.flatMap((_stream, partition) => {
      const lookup = this.#options.log.partition(topic.id, partition);
      if (lookup.kind !== "here") return [];
      const { logStart, lastStable } = lookup.partition;
      return [{ partition, logStart, lastStable: ends === undefined ? lastStable : (ends.get(partition) ?? logStart) }];
    });
  }

  /** One committer a table: the owner of partition 0. Should two think so, settling and the epoch keep the table right. */
  #isCommitter(topic: Topic): boolean {
    return this.#options.log.partition(topic.id, 0).kind === "here";
  }

  async #propose(events: Parameters<MetadataClient["propose"]>[0]): Promise<Seq> {
    const answer = await this.#options.metadata.propose(events);
    if (answer.kind === "accepted") return answer.seq;
    throw new TableStuck(this.topic, `the metadata log refused: ${answer.refusal.reason}`);
  }
}

function qualified(settings: TableSettings, generation: number): string {
  const { namespace, name } = tableName(settings, generation);
  return [...namespace, name].join(".");
}
