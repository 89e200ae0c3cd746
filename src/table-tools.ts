/** What people ask of tables beside their commits, put together: verification and what else concerns a table as a whole. */
import { join } from "node:path";
import type { Settings } from "../schemas/config.ts";
import type { Runtime } from "./base/runtime.ts";
import { systemDisk } from "./base/system-disk.ts";
import type { Config } from "./config.ts";
import type { Core } from "./core.ts";
import { roundLimits } from "./limits.ts";
import type { TableInfo, Topic } from "./metadata/image.ts";
import type { TableToolSurface, ToolAnswer } from "./server/table-tool-routes.ts";
import type { Catalog } from "./table/catalog.ts";
import type { Compactor } from "./table/compactor.ts";
import type { TableSettings } from "./table/settings.ts";
import { tableName } from "./table/table-state.ts";
import { type UndecidedChoice, undecidedChoices } from "./table/tools/letter-order.ts";
import type { ProofStore } from "./table/tools/proof-store.ts";
import type { ReplayProgress, ReplayReport } from "./table/tools/replay.ts";
import type { ReplayedStore } from "./table/tools/replayed.ts";
import { Scratch } from "./table/tools/scratch.ts";
import { type VerifyDeps, type VerifyProgress, type VerifyReport, verifyTable } from "./table/tools/verify.ts";
import { LongRuns } from "./table/translate/long-run.ts";
import type { Translator } from "./table/translate/translate.ts";
import type { Warehouse } from "./table/warehouse.ts";
import { answerAt } from "./table-at.ts";
import { answerBackfill } from "./table-backfill.ts";
import { answerPlan } from "./table-plan.ts";
import { SqlDesk } from "./table-sql.ts";

export interface TableToolOptions {
  readonly config: Pick<Config, "tables">;
  readonly core: Core;
  readonly settings: Settings;
  readonly catalogs: ReadonlyMap<string, Catalog>;
  readonly compactor: Compactor;
  readonly proofs: ProofStore;
  readonly replayed: ReplayedStore;
  readonly warehouse: Warehouse;
  readonly runtime: Runtime;
  readonly translator: Translator;
}

export interface TableTools extends TableToolSurface, AsyncDisposable {}

/** A request waits this long for the end of what runs: shorter than clients and proxies wait for an answer. */
const waitMs = 20_000;

export function openTableTools(options: TableToolOptions): TableTools {
  const { settings, runtime, core } = options;
  const directory = join(settings.dataDirectory, "scratch");
  // DuckDB reads the real disk; without one (the simulation) nothing here is called.
  const scratch = new Scratch({ disk: systemDisk, directory, random: runtime.random });
  const verifications = new LongRuns<VerifyProgress, VerifyReport>(runtime.clock);
  const replays = new LongRuns<ReplayProgress, ReplayReport>(runtime.clock);
  /** Of the newest replay of each topic. */
  const replaysUndecided = new Map<string, UndecidedChoice>();
  const engine = { engineBytesMax: settings.tableEngineBytesMax, engineThreads: settings.tableEngineThreads };
  const { parquet, rowGroupBytesMax } = roundLimits(settings);
  const limits = { readBytesMax: settings.tableReadBytesMax, tailBytesMax: settings.tableSqlTailBytesMax };
  const { log } = core;
  const reading = { log, translator: options.translator, scratch, clock: runtime.clock, engine, limits };
  const sql = new SqlDesk({
    ...reading,
    warehouse: options.warehouse,
    rowsMax: settings.tableSqlRowsMax,
    limits: {
      ...limits,
      filesBytesMax: settings.tableSqlBytesMax,
      parquet,
      rowGroupBytesMax,
    },
    tables: () => madeTables(options),
  });
  const verifyDeps = (catalog: Catalog, topic: Topic): Omit<VerifyDeps, "progress"> => ({
    catalog,
    keyed: {
      log,
      topic,
      translator: options.translator,
      replayed: options.replayed,
      readBytesMax: settings.tableReadBytesMax,
      keysMax: settings.tableVerifyKeysMax,
    },
    warehouse: options.warehouse,
    proofs: options.proofs,
    scratch,
    clock: runtime.clock,
    limits: engine,
  });
  return {
    plan: (topic, block) =>
      answerPlan(topic, block, core.metadata.image.topicByName(topic), options.config.tables, reading),
    sql: (query, signal) => sql.answer(query, signal),
    snapshotAt: async (topic, request) => {
      const table = knownTable(options, topic);
      if ("kind" in table) return table;
      const { metadata, log } = options.core;
      const topicNow = metadata.image.topic(table.info.topicId);
      return await answerAt(table, request, { log, topic: topicNow, warehouse: options.warehouse });
    },
    startVerify: (topic, name) => {
      const table = namedTable(options, topic, name);
      if ("kind" in table) return table;
      const { catalog, info } = table;
      const known = core.metadata.image.topic(info.topicId);
      if (known === undefined) return missing(`there is no topic ${topic}`);
      verifications.start(info.id, (signal, progress) =>
        verifyTable(table.settings, info, { ...verifyDeps(catalog, known), progress }, signal),
      );
      return ok({ topic, state: "running" });
    },
    verifyState: async (topic, name, signal) => {
      const table = namedTable(options, topic, name);
      if ("kind" in table) return table;
      const state = await verifications.state(table.info.id, waitMs, signal);
      return state === undefined ? missing(`topic ${topic} is not being verified`) : ok({ topic, ...state });
    },
    startBackfill: async (topic, body) => {
      if (!options.config.tables.some((table) => table.topic === topic)) return missing(`topic ${topic} has no table`);
      return await answerBackfill(topic, body, { ...options, log, topic: core.metadata.image.topicByName(topic) });
    },
    startReplay: (topic, { undecided: asked = "keep" }) => {
      const table = knownTable(options, topic);
      if ("kind" in table) return table;
      const undecided = undecidedChoices.find((choice) => choice === asked);
      if (undecided === undefined)
        return { kind: "invalid", reason: `undecided is one of ${undecidedChoices.join(", ")}` };
      if (replays.isRunning(topic) && replaysUndecided.get(topic) !== undecided)
        return { kind: "refused", reason: "a replay with another choice for undecided letters runs: wait for its end" };
      replaysUndecided.set(topic, undecided);
      replays.start(topic, (signal, progress) => options.compactor.replay(topic, signal, { undecided, progress }));
      return ok({ topic, state: "running" });
    },
    replayState: async (topic, signal) => {
      const state = await replays.state(topic, waitMs, signal);
      return state === undefined ? missing(`dead letters of ${topic} are not being replayed`) : ok({ topic, ...state });
    },
    async [Symbol.asyncDispose]() {
      await verifications[Symbol.asyncDispose]();
      await replays[Symbol.asyncDispose]();
    },
  };
}

export interface KnownTable {
  readonly settings: TableSettings;
  readonly info: TableInfo;
  readonly catalog: Catalog;
}

/** Or why it cannot be asked. */
function knownTable(options: TableToolOptions, topic: string): KnownTable | ToolAnswer {
  const settings = options.config.tables.find((table) => table.topic === topic);
  const catalog = settings === undefined ? undefined : options.catalogs.get(settings.catalog);
  if (settings === undefined || catalog === undefined) return missing(`topic ${topic} has no table`);
  const info = [...options.compactor.tables()].find((each) => each.topic === topic)?.table;
  if (info === undefined) return { kind: "refused", reason: `the table of topic ${topic} has not been made yet` };
  return { settings, info, catalog };
}

/** The topic's own table, or the one of that name that is built beside it. */
function namedTable(options: TableToolOptions, topic: string, name: string | null): KnownTable | ToolAnswer {
  const own = knownTable(options, topic);
  if (name === null || "kind" in own) return own;
  const beside = options.compactor.beside(topic, name);
  if (beside !== undefined) return { ...beside, catalog: own.catalog };
  const is = tableName(own.settings, own.info.generation);
  const ownName = [...is.namespace, is.name].join(".");
  return [is.name, ownName].includes(name)
    ? own
    : missing(`topic ${topic} has no table ${name}: its own is ${ownName}`);
}

function madeTables(options: TableToolOptions): readonly (KnownTable & { readonly topic: Topic })[] {
  return options.config.tables.flatMap(({ topic: name }) => {
    const table = knownTable(options, name);
    if ("kind" in table) return [];
    const topic = options.core.metadata.image.topic(table.info.topicId);
    return topic === undefined ? [] : [{ ...table, topic }];
  });
}

function ok(detail: unknown): ToolAnswer {
  return { kind: "ok", detail };
}

function missing(reason: string): ToolAnswer {
  return { kind: "missing", reason };
}
