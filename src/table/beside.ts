/**
 * Tables built beside a topic's own, under names of their own, from the topic's history: each has a worker, which makes and
 * commits it, and a backfill, which fills it. It ends where the topic ended when it was asked for.
 *
 *   log start ═════════════ F ─────────────▶
 *   own table     committed ─────────────▶      goes on
 *   beside        backfill ═╡                   lanes "beside", "begin" and "live" stand at F; "backfill 1" comes up to it
 *
 * What is under way is in the metadata log alone: after a restart it goes on from there. One that the settings name is the
 * topic's own from then on (adoption.ts).
 */
import { OperationFailed } from "../base/errors.ts";
import type { Clock } from "../base/runtime.ts";
import type { Logger } from "../base/telemetry.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { TableInfo } from "../metadata/image.ts";
import { TableStuck } from "./advance.ts";
import type { Catalog } from "./catalog.ts";
import type { TableSettings } from "./settings.ts";
import type { TableWorker } from "./table-worker.ts";
import type { Backfiller, BackfillRequest } from "./tools/backfill.ts";
import type { BackfillReport } from "./tools/backfill-plan.ts";
import { besideTables } from "./topic-table.ts";

export interface BesideOptions {
  readonly metadata: MetadataClient;
  /** Configured. */
  readonly tables: readonly TableSettings[];
  readonly catalogs: ReadonlyMap<string, Catalog>;
  readonly pendingRoundsMax: number;
  readonly open: (settings: TableSettings) => OpenTable;
  readonly clock: Clock;
  readonly logger: Logger;
  /** After a commit that the catalog did not take. */
  readonly retryMs: number;
}

export interface OpenTable {
  readonly worker: TableWorker;
  readonly backfiller: Backfiller;
}

export interface BesideReport {
  /** With its namespace, joined by dots. */
  readonly table: string;
  readonly state: TableInfo["state"];
  readonly reason: string;
  /** null: it died before it had begun. Said again, it begins. */
  readonly backfill: (BackfillReport & { readonly trouble: string | null }) | null;
}

export class BesideTables implements AsyncDisposable {
  readonly #options: BesideOptions;
  /** By name. */
  readonly #open = new Map<string, OpenTable>();
  /** By name: what kept a commit, and until when nothing is tried. */
  readonly #waiting = new Map<string, { readonly trouble: string; readonly until: number }>();
  #isClosed = false;

  constructor(options: BesideOptions) {
    this.#options = options;
  }

  /** Begins one, changes the rate of the one that runs, or lets one go on that was paused. Throws TableStuck. */
  async start(topic: string, into: string, request: BackfillRequest): Promise<BackfillReport> {
    const settings = await this.#settingsOf(topic, into);
    const { worker, backfiller } = this.#opened(settings);
    if (worker.table?.state === "paused" || worker.table?.state === "diverged") await worker.resume("accept");
    await worker.flush(); // Which makes the table, if need be.
    return await backfiller.start(request);
  }

  /** The table stays as far as it has got, and the log waits for it no more. */
  async stop(topic: string, into: string): Promise<void> {
    const table = this.#named(topic, into);
    if (table === undefined) throw new TableStuck(topic, `no table ${into} is built beside it`);
    await this.#options.metadata.propose([
      { kind: "table-state", table: table.id, state: "paused", reason: "a person stopped it" },
    ]);
  }

  /** A round of each, and a commit where one is due. */
  async turn(topic: string): Promise<void> {
    const { clock, logger, retryMs } = this.#options;
    for (const table of this.#tables(topic)) {
      const { name, state } = table;
      const before = this.#waiting.get(name);
      if (this.#isClosed || state !== "running" || clock.monotonic() < (before?.until ?? 0)) continue;
      try {
        await this.#advance(topic, table);
        this.#waiting.delete(name);
      } catch (cause) {
        if (!(cause instanceof OperationFailed)) throw cause;
        const { message: trouble } = cause;
        this.#waiting.set(name, { trouble, until: clock.monotonic() + retryMs });
        if (before?.trouble !== trouble)
          logger.warn("a table beside a topic's own waits", { topic, name, error: cause });
      }
    }
  }

  async #advance(topic: string, table: TableInfo): Promise<void> {
    const settings = this.#configured(topic);
    if (settings === undefined) return;
    const { worker, backfiller } = this.#opened(besideSettings(settings, table.name));
    const { translated = 0, records = 0, committed = 0 } = backfiller.report() ?? {};
    if (committed === records && table.pending.length === 0) return;
    await backfiller.turn();
    const pending = worker.table?.pending.length ?? 0;
    const isWhole = translated === records && pending > 0;
    if (isWhole || pending * 4 >= this.#options.pendingRoundsMax) await worker.flush();
  }

  reports(topic: string): readonly BesideReport[] {
    const settings = this.#configured(topic);
    return this.#tables(topic).map((table) => {
      const open = settings === undefined ? undefined : this.#opened(besideSettings(settings, table.name)).backfiller;
      const backfill = open?.report();
      const { name, state, reason } = table;
      const trouble = open?.trouble ?? this.#waiting.get(name)?.trouble ?? null;
      return {
        table: name,
        state,
        reason,
        backfill: backfill === undefined ? null : { ...backfill, trouble },
      };
    });
  }

  /** The one of that name, and the settings that it is made with. undefined: none is built beside the topic's own. */
  find(topic: string, into: string): { readonly settings: TableSettings; readonly info: TableInfo } | undefined {
    const own = this.#configured(topic);
    const info = this.#named(topic, into);
    return own === undefined || info === undefined ? undefined : { settings: besideSettings(own, info.name), info };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const { backfiller } of this.#open.values()) backfiller[Symbol.dispose]();
    await Promise.all([...this.#open.values()].map(({ worker }) => worker[Symbol.asyncDispose]()));
  }

  #opened(settings: TableSettings): OpenTable {
    if (this.#isClosed) throw new TableStuck(settings.topic, "the compactor stops");
    const name = nameOf(settings);
    const open = this.#open.get(name) ?? this.#options.open(settings);
    this.#open.set(name, open);
    return open;
  }

  /** Of the topic as it is now. */
  #tables(topic: string): readonly TableInfo[] {
    const { image } = this.#options.metadata;
    const own = this.#configured(topic);
    return own === undefined ? [] : besideTables(image.tables(), image.topicByName(topic)?.id, own);
  }

  #named(topic: string, into: string): TableInfo | undefined {
    const name = qualified(topic, into, this.#options.tables);
    return this.#tables(topic).find((table) => table.name === name);
  }

  #configured(topic: string): TableSettings | undefined {
    return this.#options.tables.find((table) => table.topic === topic);
  }

  async #settingsOf(topic: string, into: string): Promise<TableSettings> {
    const { tables, metadata, catalogs } = this.#options;
    const own = this.#configured(topic);
    if (own === undefined) throw new TableStuck(topic, "no table is configured");
    const name = qualified(topic, into, tables);
    const parts = name.split(".");
    if (parts.length < 2 || parts.some((part) => !/^[\w-]+$/.test(part)) || /__g\d+$/.test(name))
      throw new TableStuck(topic, `"${into}" is no name for a table: write namespace.name`);
    const settings = besideSettings(own, name);
    if (this.#tables(topic).some((table) => table.name === name && table.catalog === own.catalog)) return settings;
    const taken = tables.flatMap(namesOf).concat([...metadata.image.tables()].map((table) => table.name));
    const lower = new Set(taken.map((each) => each.toLowerCase())); // Rule L10.
    const clash = namesOf(settings).find((each) => lower.has(each.toLowerCase()));
    if (clash !== undefined) throw new TableStuck(topic, `there is a table ${clash} already: say another name`);
    const present = await catalogs.get(own.catalog)?.load({ namespace: settings.namespace, name: settings.table });
    if (present !== undefined) throw new TableStuck(topic, `the catalog has a table ${name}: say another name`);
    return settings;
  }
}

/** As the topic's own, but for the names; its dead letters go into a table of its own, and not into a topic once more. */
function besideSettings(own: TableSettings, name: string): TableSettings {
  const parts = name.split(".");
  const table = parts.at(-1) as string;
  const { deadLetterTopic: _, ...errors } = own.errors;
  return {
    ...own,
    namespace: parts.slice(0, -1),
    table,
    location: null,
    begin: "latest",
    errors: { ...errors, deadLetterTable: `${table}_dlq` },
  };
}

/** In the namespace of the topic's own table, unless it says one. */
function qualified(topic: string, into: string, tables: readonly TableSettings[]): string {
  const own = tables.find((table) => table.topic === topic);
  return into.includes(".") ? into : [...(own?.namespace ?? []), into].join(".");
}

function nameOf({ namespace, table }: TableSettings): string {
  return [...namespace, table].join(".");
}

function namesOf(settings: TableSettings): readonly string[] {
  const { namespace, errors } = settings;
  return [nameOf(settings), [...namespace, errors.deadLetterTable].join(".")];
}
