/**
 * Which keys the records behind a backfill's end touch: rows of these keys are not to be brought from before it, nor are
 * their deletions. Learned from the log, a piece a turn, and kept up with it as long as the backfill goes on.
 *
 *   log      X ═════ history ═════ F ───── live ─────▶
 *                a:1  b:1  a:2         b:2  -c               keys behind F: b, c
 *   brought      a:1       a:2
 */
import { Slices } from "../../base/async.ts";
import type { TableInfo } from "../../metadata/image.ts";
import { TableStuck } from "../advance.ts";
import { tableStateOf } from "../table-state.ts";
import type { WorkerTurn } from "../table-worker.ts";
import type { Touches } from "../translate/translate.ts";
import { type Backfill, beginLane } from "./backfill-plan.ts";
import { LetterPlaces, type LetterPlacesDeps } from "./letter-places.ts";
import { LogTouches, type LogTouchesDeps } from "./log-touches.ts";
import type { ReplayedStore } from "./replayed.ts";
import { eachTouch } from "./touches.ts";

export interface LaterKeysDeps extends LogTouchesDeps, LetterPlacesDeps {
  readonly clock: ConstructorParameters<typeof Slices>[0]["clock"];
  readonly replayed: ReplayedStore;
  /** Some 100 bytes each. */
  readonly backfillKeysMax: number;
}

/** Our own code never holds the event loop for longer than twice this. */
const sliceMsMax = 5;

export class LaterKeys {
  readonly lane: string;
  readonly #deps: LaterKeysDeps;
  readonly #keys = new Set<string>();
  readonly #letters: LetterPlaces;
  readonly #log: LogTouches;
  /** Of the dead letters that were rows when this began: others since then touch keys as well. */
  readonly #replayed: string | undefined;

  constructor(table: TableInfo, { lane, to }: Backfill, replayed: string | undefined, deps: LaterKeysDeps) {
    this.lane = lane;
    this.#deps = deps;
    this.#replayed = replayed;
    this.#letters = new LetterPlaces(deps);
    const from = new Map<number, number>(table.lanes.get(beginLane) ?? []);
    for (const [partition, end] of Object.entries(to)) from.set(Number(partition), end);
    this.#log = new LogTouches(deps, from, (touches) => this.#note(touches));
  }

  /** Bytes of record batches, so far. */
  get bytesRead(): number {
    return this.#log.bytesRead;
  }

  isFor(lane: string, replayed: string | undefined): boolean {
    return lane === this.lane && replayed === this.#replayed;
  }

  /** A part of the log. True: the keys of all that the table holds are known. */
  async read(turn: WorkerTurn): Promise<boolean> {
    this.#requireRoom();
    if (this.#log.isAtEnd(turn)) return true;
    const { metadata, replayed, settings } = this.#deps;
    // Letters are told from their table, and those of a round are there when it is committed.
    if (metadata.image.table(turn.table.id)?.pending.some(({ deadLetters }) => deadLetters !== null) === true) {
      const committed = await turn.commit();
      if (committed.kind === "stuck") throw new TableStuck(settings.topic, committed.reason, committed.cause);
    }
    const table = metadata.image.table(turn.table.id) ?? turn.table;
    const rowsAfterAll = await replayed.read(tableStateOf(table)?.replayed);
    this.#log.leaveOut((await this.#letters.now(table)).without(rowsAfterAll));
    return await this.#log.read(turn);
  }

  /** Touches of what came before. 1: the key was touched later. */
  async choose(touches: Touches): Promise<Uint8Array> {
    const slices = new Slices({ clock: this.#deps.clock, sliceMsMax });
    return await slices.run(this.#chosen(touches));
  }

  *#chosen(touches: Touches): Generator<void, Uint8Array, void> {
    const leaveOut = new Uint8Array(touches.offsets.length);
    let at = 0;
    for (const { key } of eachTouch(touches)) {
      if (this.#keys.has(key)) leaveOut[at] = 1;
      at += 1;
      if (at % touchesPerStep === 0) yield;
    }
    return leaveOut;
  }

  #note(touches: Touches): void {
    for (const { key } of eachTouch(touches)) this.#keys.add(key);
    this.#requireRoom();
  }

  #requireRoom(): void {
    const { backfillKeysMax, settings } = this.#deps;
    if (this.#keys.size > backfillKeysMax)
      throw new TableStuck(
        settings.topic,
        `records behind the history have more keys than table.backfill.keys.max, ${backfillKeysMax}; inlet table resume --retranslate builds the table again beside this one`,
      );
  }
}

/** Between two chances to let others run. */
const touchesPerStep = 1024;
