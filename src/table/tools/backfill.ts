/**
 * Brings a topic's history into a table that began behind it, a round at a time between two turns of the table: live
 * records wait for one round at most, and the table's own commits take what the backfill has ready along.
 *
 * Crash anywhere: what was uploaded and is named by nothing is an orphan; a round that the metadata log has is committed;
 * the next round begins where the lane ends.
 *
 * In a table with a key, rows are brought of keys that nothing behind the history touches (later-keys.ts): the table is as if
 * the history had come first.
 */
import { OperationFailed } from "../../base/errors.ts";
import type { Clock } from "../../base/runtime.ts";
import type { Logger } from "../../base/telemetry.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { TableInfo } from "../../metadata/image.ts";
import { TableStuck, troubleOf, unready } from "../advance.ts";
import { RoundWriter, type WrittenRound } from "../round-writer.ts";
import type { TableSettings } from "../settings.ts";
import { encodeTableState, type TableState, tableStateOf } from "../table-state.ts";
import type { TableWorker, WorkerTurn } from "../table-worker.ts";
import {
  type Backfill,
  type BackfillReport,
  backfillRanges,
  backfillReport,
  beginLane,
  planBackfill,
} from "./backfill-plan.ts";
import { LaterKeys, type LaterKeysDeps } from "./later-keys.ts";

export interface BackfillDeps extends LaterKeysDeps {
  readonly metadata: MetadataClient;
  readonly worker: TableWorker;
  readonly settings: TableSettings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pendingRoundsMax: number;
  readonly retryMs: number;
}

export interface BackfillRequest {
  /** By partition, or of all: "earliest" is the log's start. */
  readonly from: ReadonlyMap<number, number> | "earliest";
  readonly bytesPerSecond: number | null;
}

/** A round reads what the rate allows in this time: a lower rate makes rounds smaller, not rarer. */
const roundSeconds = 5;

export class Backfiller {
  readonly #deps: BackfillDeps;
  readonly #stop = new AbortController();
  #nextAt = 0;
  #asked = "";
  #trouble: string | null = null;
  /** Decoding the state is not for every beat. */
  /** Of a table with a key. */
  #later: LaterKeys | undefined;
  #seen: { readonly schema: Uint8Array; readonly backfill: Backfill | undefined } | undefined;

  constructor(deps: BackfillDeps) {
    this.#deps = deps;
  }

  /** Begins one, or changes the rate of the one that runs. Throws TableStuck when it cannot be. */
  async start(request: BackfillRequest): Promise<BackfillReport> {
    await this.#deps.worker.exclusively(async (turn) => {
      const { table, state } = this.#known(turn);
      const before = state.backfill;
      if (!table.lanes.has(beginLane))
        throw this.#stuck("the table began with the topic's start: nothing lies behind it");
      const isRunning = before !== undefined && backfillReport(before, table).state === "running";
      if (isRunning && request.from !== "earliest")
        throw this.#stuck("a backfill is under way: only its rate can change");
      const { from, bytesPerSecond } = request;
      const backfill = isRunning
        ? { ...before, bytesPerSecond }
        : planBackfill(
            { table, before, views: turn.views() },
            ({ partition, logStart }) =>
              from === "earliest" ? logStart : (from.get(partition) ?? Number.MAX_SAFE_INTEGER),
            bytesPerSecond,
          );
      if (backfill === undefined) throw this.#stuck("the table holds everything from there on");
      const event = {
        kind: "table-schema",
        table: table.id,
        expectedVersion: table.schemaVersion,
        schema: encodeTableState({ ...state, backfill }),
      } as const;
      const answer = await this.#deps.metadata.propose([event]);
      if (answer.kind === "refused") throw this.#stuck(`the table has changed meanwhile: ${answer.refusal.reason}`);
    });
    this.#nextAt = 0;
    return this.report() as BackfillReport;
  }

  /** undefined: there was none. */
  report(): BackfillReport | undefined {
    const { table } = this.#deps.worker;
    const backfill = this.#backfill(table);
    return table === undefined || backfill === undefined ? undefined : backfillReport(backfill, table);
  }

  /** What keeps it from going on; null when nothing does. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** Does a round when one is due. */
  async turn(): Promise<void> {
    const { clock, worker, logger, retryMs } = this.#deps;
    const { table } = worker;
    const backfill = this.#backfill(table);
    if (clock.monotonic() < this.#nextAt || table?.state !== "running" || backfill === undefined) return;
    if (backfillRanges(backfill, table, []).length === 0) {
      this.#later = undefined;
      return;
    }
    try {
      await worker.exclusively((turn) => this.#round(turn));
      this.#trouble = null;
    } catch (cause) {
      if (!(cause instanceof OperationFailed)) throw cause;
      this.#nextAt = clock.monotonic() + retryMs;
      if (this.#trouble !== cause.message) logger.warn("a backfill waits", { topic: worker.topic, error: cause });
      this.#trouble = cause.message;
    }
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async #round(turn: WorkerTurn): Promise<void> {
    const outcome = await turn.schemas.ensure(this.#stop.signal);
    if (outcome.kind !== "ready") throw this.#stuck(troubleOf(unready(outcome)));
    const { table, state } = this.#known(turn);
    const { backfill } = state;
    // Half of the room for what waits is left to live records.
    if (backfill === undefined || table.pending.length * 2 >= this.#deps.pendingRoundsMax) return;
    const ranges = backfillRanges(backfill, table, turn.views());
    if (ranges.length === 0) return;
    const later = state.mapping.rowKey === undefined ? undefined : this.#laterKeys(table, backfill, state);
    if (later !== undefined && !(await this.#learn(later, backfill, turn))) return;
    const round = await this.#writer(backfill).write({
      topicId: turn.topic.id,
      state,
      settings: this.#deps.settings,
      ranges,
      ...(later === undefined ? {} : { choose: (touches) => later.choose(touches) }),
    });
    if (round.ranges.length > 0) await this.#add(round, { table, state, lane: backfill.lane }, turn);
    this.#wait(backfill, round.counts.bytesRead);
    await this.#after(round, table, turn);
  }

  /** Dead letters that became rows since then are among what came later. */
  #laterKeys(table: TableInfo, backfill: Backfill, state: TableState): LaterKeys {
    if (this.#later?.isFor(backfill.lane, state.replayed) !== true)
      this.#later = new LaterKeys(table, backfill, state.replayed, this.#deps);
    return this.#later;
  }

  /** True: it knows everything that came later; else the next turn goes on. */
  async #learn(later: LaterKeys, backfill: Backfill, turn: WorkerTurn): Promise<boolean> {
    const before = later.bytesRead;
    const isDone = await later.read(turn);
    if (!isDone) this.#wait(backfill, later.bytesRead - before);
    return isDone;
  }

  #wait({ bytesPerSecond }: Backfill, bytes: number): void {
    if (bytesPerSecond !== null) this.#nextAt = this.#deps.clock.monotonic() + (bytes / bytesPerSecond) * 1000;
  }

  #writer({ bytesPerSecond }: Backfill): RoundWriter {
    const { limits } = this.#deps;
    const share = bytesPerSecond === null ? Number.POSITIVE_INFINITY : bytesPerSecond * roundSeconds;
    const roundBytesMax = Math.max(1, Math.min(limits.roundBytesMax, share));
    return new RoundWriter({ ...this.#deps, limits: { ...limits, roundBytesMax } });
  }

  async #add(
    round: WrittenRound,
    { table, state, lane }: { readonly table: TableInfo; readonly state: TableState; readonly lane: string },
    turn: WorkerTurn,
  ): Promise<void> {
    const { ranges, main, deadLetters, deletes } = round;
    const answer = await this.#deps.metadata.propose([
      {
        kind: "add-table-round",
        table: table.id,
        generation: table.generation,
        lane,
        schemaId: state.schemaId,
        specId: state.spec["spec-id"],
        mappingVersion: state.mapping.version,
        ranges,
        main,
        deadLetters,
        deletes,
      },
    ]);
    if (answer.kind === "refused") throw this.#stuck(`a round was refused: ${answer.refusal.reason}`);
    turn.counted(round);
  }

  /** Why the round ended where it did; a schema is asked for once at each place. */
  async #after({ stop, ranges }: WrittenRound, table: TableInfo, turn: WorkerTurn): Promise<void> {
    switch (stop.kind) {
      case "full":
      case "done":
        if (ranges.length === 0) throw this.#stuck("its partitions are not on this broker, or cannot be read");
        return;
      case "needs-schema": {
        const question = JSON.stringify([stop.sources, table.schemaVersion]);
        if (question === this.#asked) throw this.#stuck("the schema does not come to fit");
        this.#asked = question;
        const outcome = await turn.schemas.evolve(stop.sources, this.#stop.signal);
        if (outcome.kind !== "ready") throw this.#stuck(troubleOf(unready(outcome)));
        this.#nextAt = 0;
        return;
      }
      case "bad-record":
        throw this.#stuck(`the backfill stands at partition ${stop.partition} offset ${stop.offset}: ${stop.detail}`);
      case "unreadable":
        throw this.#stuck(`the backfill stands at partition ${stop.partition}: ${stop.detail}`);
      case "failed":
        throw new OperationFailed("records or schemas cannot be read", { happened: "no", cause: stop.cause });
    }
  }

  /** As the metadata log has them now. */
  #known(turn: WorkerTurn): { readonly table: TableInfo; readonly state: TableState } {
    const table = this.#deps.metadata.image.table(turn.table.id);
    const state = table === undefined ? undefined : tableStateOf(table);
    if (table === undefined || state === undefined) throw this.#stuck("the table has not been made yet");
    return { table, state };
  }

  #backfill(table: TableInfo | undefined): Backfill | undefined {
    if (table === undefined) return undefined;
    if (this.#seen?.schema !== table.schema)
      this.#seen = { schema: table.schema, backfill: tableStateOf(table)?.backfill };
    return this.#seen.backfill;
  }

  #stuck(reason: string): TableStuck {
    return new TableStuck(this.#deps.settings.topic, reason);
  }
}
