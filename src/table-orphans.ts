/** Answers what lies with a table's files and belongs to nothing, and removes it when a person says so. */
import type { Clock } from "./base/runtime.ts";
import { formatMs, parseMs } from "./config/units.ts";
import type { OrphanRunAnswer, TableOrphanSurface } from "./server/table-orphan-routes.ts";
import type { Compactor } from "./table/compactor.ts";
import type { OrphanReport } from "./table/maintenance/orphans.ts";
import type { TableSettings } from "./table/settings.ts";
import { LongRuns } from "./table/translate/long-run.ts";

export interface OrphanDeskDeps {
  readonly compactor: Pick<Compactor, "removeOrphans">;
  readonly tables: readonly TableSettings[];
  readonly clock: Clock;
}

/** Younger files may belong to a commit or a rewrite that is under way, here or in an engine; Spark draws the line here too. */
export const olderThanMsMin = 86_400_000;
const olderThanMsDefault = 7 * 86_400_000;
/** A request waits this long for the end of what runs: shorter than clients and proxies wait for an answer. */
const waitMs = 20_000;

interface Asked {
  readonly olderThanMs: number;
  readonly isDelete: boolean;
}

export class OrphanDesk implements TableOrphanSurface, AsyncDisposable {
  readonly #deps: OrphanDeskDeps;
  readonly #runs: LongRuns<never, OrphanReport>;
  /** What the last search of each topic's table was for. */
  readonly #asked = new Map<string, Asked>();

  constructor(deps: OrphanDeskDeps) {
    this.#deps = deps;
    this.#runs = new LongRuns(deps.clock);
  }

  startOrphans(
    topic: string,
    { olderThan, isDelete }: { readonly olderThan: string | null; readonly isDelete: boolean },
  ): OrphanRunAnswer {
    const table = this.#deps.tables.find((each) => each.topic === topic);
    if (table === undefined) return { kind: "missing", reason: `topic ${topic} has no table` };
    const olderThanMs = olderThan === null ? defaultOf(table) : parseMs(olderThan);
    if (olderThanMs === undefined) return invalid(`older_than is a duration such as 7d, not ${olderThan}`);
    if (olderThanMs < olderThanMsMin) return invalid("a file younger than a day may belong to a commit under way");
    const asked = { olderThanMs, isDelete };
    const before = this.#asked.get(topic);
    // To join a search that deletes, or that looks for younger files, is not what was asked for.
    if (this.#runs.isRunning(topic) && !isSame(before, asked)) {
      return { kind: "busy", reason: `another search for orphans of topic ${topic}'s table is under way` };
    }
    this.#asked.set(topic, asked);
    this.#runs.start(topic, () => this.#deps.compactor.removeOrphans(topic, { olderThanMs, isDryRun: !isDelete }));
    return { kind: "ok", detail: { topic, ...words(asked), state: "running" } };
  }

  async orphansState(topic: string, signal: AbortSignal): Promise<OrphanRunAnswer> {
    const state = await this.#runs.state(topic, waitMs, signal);
    const asked = this.#asked.get(topic);
    if (state === undefined || asked === undefined) {
      return { kind: "missing", reason: `nobody has looked for orphans of topic ${topic}'s table` };
    }
    return { kind: "ok", detail: { topic, ...words(asked), ...state } };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#runs[Symbol.asyncDispose]();
  }
}

function defaultOf({ maintain }: TableSettings): number {
  return maintain.orphansMs === 0 ? olderThanMsDefault : Math.max(maintain.orphansMs, olderThanMsMin);
}

function isSame(a: Asked | undefined, b: Asked): boolean {
  return a?.olderThanMs === b.olderThanMs && a.isDelete === b.isDelete;
}

function words({ olderThanMs, isDelete }: Asked) {
  return { olderThan: formatMs(olderThanMs), delete: isDelete };
}

function invalid(reason: string): OrphanRunAnswer {
  return { kind: "invalid", reason };
}
