/**
 * Dead letters translated again, after a schema or the settings were put right: those that can be rows by now become rows,
 * with the partition and offset that they had. The letters stay in their table, which is never rewritten.
 *
 *   letters ─▶ round of the lane "replay" ─▶ one entry of the log: the round, and the set of offsets that are rows ─▶ commit
 *
 * Crash before the entry: files that nobody names. After it: a pending round, which the table's next turn commits. A run
 * after that, of this node or another, leaves out what the set holds; one at the same time is refused with its entry.
 *
 * In a table with a key a letter becomes a row only while it is the last of its key (letter-order.ts). Letters that are not
 * stay letters, and are asked about again by the next run; a person may have those applied that nobody can decide on.
 */
import { sleep } from "../../base/async.ts";
import { CorruptData, OperationFailed } from "../../base/errors.ts";
import type { Clock } from "../../base/runtime.ts";
import type { Log } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { TableInfo, Topic } from "../../metadata/image.ts";
import { TableStuck, troubleOf, unready } from "../advance.ts";
import type { Catalog } from "../catalog.ts";
import { UnfitFile } from "../parquet/parquet-reader.ts";
import { RoundWriter, type RoundWriterDeps, type WrittenRound } from "../round-writer.ts";
import { replayLane } from "../rounds.ts";
import type { TableSettings } from "../settings.ts";
import { encodeTableState, type TableState, tableStateOf } from "../table-state.ts";
import type { WorkerTurn } from "../table-worker.ts";
import type { DeadLetter } from "../translate/dead-letters.ts";
import { lettersOf } from "../translate/letter-rows.ts";
import type { Touches } from "../translate/translate.ts";
import type { Warehouse } from "../warehouse.ts";
import { LastRecords } from "./last-records.ts";
import { type LetterFate, LetterOrder, type UndecidedChoice } from "./letter-order.ts";
import { letterFiles } from "./letter-places.ts";
import { letterRanges, letterSource } from "./letter-source.ts";
import { OffsetSet, type ReplayedStore } from "./replayed.ts";
import { eachTouch, type Touch } from "./touches.ts";

export interface ReplayDeps extends RoundWriterDeps {
  readonly log: Log;
  readonly metadata: MetadataClient;
  readonly catalog: Catalog;
  readonly warehouse: Warehouse;
  readonly replayed: ReplayedStore;
  readonly settings: TableSettings;
  readonly clock: Clock;
  /** Runs the work between two turns of the table, and refuses when it is not ours to write now. */
  readonly exclusively: <T>(work: (turn: WorkerTurn) => Promise<T>) => Promise<T>;
  readonly signal: AbortSignal;
  readonly undecided: UndecidedChoice;
  /** Told after each round. */
  readonly progress?: (done: ReplayProgress) => void;
}

export interface ReplayProgress {
  readonly letters: number;
  readonly rows: number;
}

export interface ReplayReport {
  /** Of this topic, each place once. */
  readonly letters: number;
  /** Became rows in this run, and in runs before. */
  readonly rows: number;
  readonly rowsBefore: number;
  /** In a table with a key: letters whose key has a later record. */
  readonly superseded: number;
  /** In a table with a key: letters that the log has let go of, with whatever came after them. They stay letters. */
  readonly undecided: Sampled;
  /** Of the rows: such letters that were applied all the same. */
  readonly applied: Sampled;
  /** Letters that still can be no rows, by reason. */
  readonly failing: readonly {
    readonly reason: string;
    readonly records: number;
    /** "partition:offset detail" of a few. */
    readonly samples: readonly string[];
  }[];
}

interface Sampled {
  readonly records: number;
  /** "partition:offset" of a few. */
  readonly samples: readonly string[];
}

const samplesMax = 3;
/** That undecided letters are held against; some 100 bytes each. */
const appliedKeysMax = 1_000_000;
/** In the set; some 16 MB as text. Letters that stand side by side are one range. */
const rangesMax = 1_000_000;

export async function replayLetters(deps: ReplayDeps): Promise<ReplayReport> {
  const run = new ReplayRun(deps);
  const files = await deps.exclusively((turn) => run.begin(turn));
  if (deps.undecided === "apply") for (const path of files) await run.rememberRows(path);
  for (const path of files) await run.replayFile(path);
  await run.flush();
  return run.report();
}

class ReplayRun {
  readonly #deps: ReplayDeps;
  readonly #failing = new Map<string, { records: number; samples: string[] }>();
  #known = new OffsetSet();
  /** Places that this run has met: a letter is there twice when somebody put it there. */
  #met = new OffsetSet();
  #waiting: DeadLetter[] = [];
  #waitingBytes = 0;
  #letters = 0;
  #rows = 0;
  #rowsBefore = 0;
  #isKeyed = false;
  #superseded = 0;
  readonly #undecided: { records: number; samples: string[] } = { records: 0, samples: [] };
  readonly #applied: { records: number; samples: string[] } = { records: 0, samples: [] };
  /** What letters that are rows touched; undefined: undecided ones stay letters. */
  readonly #appliedRecords: LastRecords | undefined;

  constructor(deps: ReplayDeps) {
    this.#deps = deps;
    this.#appliedRecords = deps.undecided === "apply" ? new LastRecords() : undefined;
  }

  /** The files of letters. What was refused is asked about again from here on. */
  async begin({ table, schemas }: WorkerTurn): Promise<readonly string[]> {
    const outcome = await schemas.accept(this.#deps.signal);
    if (outcome.kind !== "ready") throw this.#stuck(troubleOf(unready(outcome)));
    this.#isKeyed = outcome.state.mapping.rowKey !== undefined;
    this.#known = await this.#deps.replayed.read(outcome.state.replayed);
    return await letterFiles(table, this.#deps);
  }

  /** Letters that are rows since a run before, which may have died: an undecided one that is older is superseded by them. */
  async rememberRows(path: string): Promise<void> {
    if (!this.#isKeyed) return;
    for await (const letters of this.#lettersIn(path)) {
      const rows = letters.filter((letter) => this.#known.has(letter));
      if (rows.length === 0) continue;
      await this.#deps.exclusively((turn) =>
        this.#translate(rows, turn, (touches) => {
          this.#remember([...eachTouch(touches)]);
          return new Uint8Array(touches.offsets.length).fill(1);
        }),
      );
    }
  }

  async replayFile(path: string): Promise<void> {
    for await (const letters of this.#lettersIn(path)) {
      for (const letter of letters) this.#take(letter);
      this.#met = this.#met.with(letters);
      if (this.#waitingBytes >= this.#deps.limits.roundBytesMax) await this.flush();
    }
  }

  /** Of this topic, some at a time, each place once among them. */
  async *#lettersIn(path: string): AsyncIterable<readonly DeadLetter[]> {
    const { warehouse, clock, settings, signal } = this.#deps;
    const bytes = await warehouse.read(path);
    for (const letters of guarded(path, () => lettersOf(bytes, path))) {
      const own = letters.filter(({ topic }) => topic === settings.topic);
      yield [...new Map(own.map((letter) => [`${letter.partition}:${letter.offset}`, letter])).values()];
      await sleep(clock, 0, signal);
    }
  }

  #remember(touches: readonly Touch[]): void {
    this.#appliedRecords?.watch(touches);
    this.#appliedRecords?.note(touches);
    if ((this.#appliedRecords?.keys ?? 0) > appliedKeysMax)
      throw this.#stuck(`letters of more than ${appliedKeysMax} keys are rows, and a run tells no more apart`);
  }

  async flush(): Promise<void> {
    const letters = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (letters.length > 0) {
      const order = this.#isKeyed ? await this.#orderOf(letters) : undefined;
      await this.#deps.exclusively((turn) => this.#replay(letters, turn, order));
    }
    this.#deps.progress?.({ letters: this.#letters, rows: this.#rows });
  }

  report(): ReplayReport {
    const failing = [...this.#failing].map(([reason, found]) => ({ reason, ...found }));
    failing.sort((a, b) => b.records - a.records);
    return {
      letters: this.#letters,
      rows: this.#rows,
      rowsBefore: this.#rowsBefore,
      superseded: this.#superseded,
      undecided: this.#undecided,
      applied: this.#applied,
      failing,
    };
  }

  #take(letter: DeadLetter): void {
    if (this.#met.has(letter)) return;
    this.#letters += 1;
    if (this.#known.has(letter)) this.#rowsBefore += 1;
    else if (letter.reason === "corrupt-batch")
      this.#fail(letter); // Its value is what was left of a batch.
    else {
      this.#waiting.push(letter);
      this.#waitingBytes += (letter.key?.length ?? 0) + (letter.value?.length ?? 0);
    }
  }

  #fail(letter: DeadLetter): void {
    const known = this.#failing.get(letter.reason) ?? { records: 0, samples: [] };
    this.#failing.set(letter.reason, known);
    note(known, letter, ` ${letter.detail}`);
  }

  /** What the log says of the letters' keys, but for its newest end: read in turns of its own, between those of the table. */
  async #orderOf(letters: readonly DeadLetter[]): Promise<LetterOrder | undefined> {
    const { exclusively, signal, clock } = this.#deps;
    const order = await exclusively(async (turn) => {
      let found: Touches | undefined;
      await this.#translate(letters, turn, (touches) => {
        found = touches;
        return new Uint8Array(touches.offsets.length).fill(1);
      });
      if (found === undefined) return undefined;
      const known = { touches: found, applied: this.#appliedRecords };
      return await LetterOrder.begin(letters, known, turn, this.#deps);
    });
    while (order !== undefined && !(await exclusively((turn) => order.read(turn)))) await sleep(clock, 0, signal);
    return order;
  }

  async #replay(letters: readonly DeadLetter[], turn: WorkerTurn, order: LetterOrder | undefined): Promise<void> {
    const { metadata, replayed } = this.#deps;
    // What came since the last look is in no other turn's hands now.
    while (order !== undefined && !(await order.read(turn))) this.#deps.signal.throwIfAborted();
    const written = await this.#translate(letters, turn, order && ((touches) => order.choose(touches)));
    const failing = written.failing.map((letter) => [`${letter.partition}:${letter.offset}`, letter] as const);
    const stillDead = new Map(failing);
    const alive = letters.filter(({ partition, offset }) => !stillDead.has(`${partition}:${offset}`));
    const fates = Map.groupBy(alive, (letter): LetterFate => order?.fateOf(letter) ?? "row");
    const applied = fates.get("applied") ?? [];
    const rows = [...(fates.get("row") ?? []), ...applied];
    for (const letter of stillDead.values()) this.#fail(letter);
    this.#superseded += fates.get("superseded")?.length ?? 0;
    for (const letter of fates.get("undecided") ?? []) note(this.#undecided, letter, "");
    if (rows.length === 0) return;
    const { id, schemaVersion, generation } = written.table;
    const known = this.#known.with(rows);
    if (known.ranges > rangesMax) throw this.#stuck(`more than ${rangesMax} ranges of letters were replayed`);
    const key = await replayed.write(id, known, rows);
    const { round, state } = written;
    const answer = await metadata.propose([
      {
        kind: "table-schema",
        table: id,
        expectedVersion: schemaVersion,
        schema: encodeTableState({ ...state, replayed: key }),
      },
      {
        kind: "add-table-round",
        table: id,
        generation,
        lane: replayLane,
        schemaId: state.schemaId,
        specId: state.spec["spec-id"],
        mappingVersion: state.mapping.version,
        ranges: round.ranges,
        main: round.main,
        deadLetters: null,
        deletes: round.deletes,
      },
    ]);
    if (answer.kind === "refused") throw this.#stuck(`the table has changed meanwhile: ${answer.refusal.reason}`);
    this.#known = known;
    this.#rows += rows.length;
    for (const letter of applied) note(this.#applied, letter, "");
    turn.counted({ ...round, counts: { ...round.counts, deadLetters: 0 } }); // They were counted when they came.
    await replayed.forgetOthers(id, key);
    const committed = await turn.commit();
    if (committed.kind === "stuck") throw this.#stuck(`${troubleOf(committed)}; what was replayed waits for it`);
    this.#remember(order?.applies ?? []);
  }

  /** Until the mapping knows everything that the letters ask for. */
  async #translate(
    letters: readonly DeadLetter[],
    turn: WorkerTurn,
    choose: ((touches: Touches) => Uint8Array) | undefined,
  ): Promise<Translated> {
    const { settings, metadata } = this.#deps;
    const lenient: TableSettings = { ...settings, errors: { ...settings.errors, policy: "dlq" } };
    const log = letterSource(letters, timestampTypeOf(turn.topic));
    const writer = new RoundWriter({ ...this.#deps, log });
    const ranges = letterRanges(letters);
    let asked = "";
    for (;;) {
      // Read together: the entry is refused should anything have changed since.
      const table = metadata.image.table(turn.table.id);
      const state = table === undefined ? undefined : tableStateOf(table);
      if (table === undefined || state === undefined) throw this.#stuck("the table is gone");
      const failing: DeadLetter[] = [];
      const round = await writer.write({
        topicId: turn.topic.id,
        state,
        settings: lenient,
        ranges,
        isWhole: true,
        takeLetters: (file) => failing.push(...[...lettersOf(file, "dead letters")].flat()),
        ...(choose === undefined ? {} : { choose: async (touches) => choose(touches) }),
      });
      if (round.stop.kind === "done") return { table, state, round, failing };
      if (round.stop.kind === "failed")
        throw new OperationFailed("schemas cannot be read", { happened: "no", cause: round.stop.cause });
      const question = JSON.stringify([round.stop, table.schemaVersion]);
      if (round.stop.kind !== "needs-schema" || question === asked)
        throw this.#stuck("the schema does not come to fit");
      asked = question;
      const outcome = await turn.schemas.evolve(round.stop.sources, this.#deps.signal);
      if (outcome.kind !== "ready") throw this.#stuck(troubleOf(unready(outcome)));
    }
  }

  #stuck(reason: string): TableStuck {
    return new TableStuck(this.#deps.settings.topic, reason);
  }
}

interface Translated {
  readonly table: TableInfo;
  readonly state: TableState;
  readonly round: WrittenRound;
  readonly failing: readonly DeadLetter[];
}

function note(
  counted: { records: number; readonly samples: string[] },
  { partition, offset }: DeadLetter,
  detail: string,
): void {
  counted.records += 1;
  if (counted.samples.length < samplesMax) counted.samples.push(`${partition}:${offset}${detail}`);
}

/** Letters do not say it: as the topic has it now. */
function timestampTypeOf(topic: Topic): "create" | "append" {
  return topic.configs.get("message.timestamp.type") === "LogAppendTime" ? "append" : "create";
}

function* guarded<T>(path: string, items: () => Iterable<T>): Iterable<T> {
  try {
    yield* items();
  } catch (cause) {
    if (!(cause instanceof CorruptData) && !(cause instanceof UnfitFile)) throw cause;
    throw new OperationFailed(`${path} cannot be read`, { happened: "no", cause });
  }
}
