/**
 * Which dead letters of a table with a key may still become rows. What the log holds of their keys decides:
 *
 *   the letter's record is the last of its key       the letter becomes the row, or deletes it
 *   a later record of the key is there               superseded: the table holds what came later
 *   neither: the log has let go of the letter        undecided: a deletion may be gone with it
 *
 * Undecided letters become rows all the same where a person says so: then letters count in their order among each other,
 * whatever rounds and runs they are in, and whatever else came after them and is gone counts for nothing.
 *
 * An update that moves a row to another key concerns two keys, each of which decides for itself.
 */
import type { Log } from "../../log/log.ts";
import { TableStuck } from "../advance.ts";
import type { TableSettings } from "../settings.ts";
import type { WorkerTurn } from "../table-worker.ts";
import type { DeadLetter } from "../translate/dead-letters.ts";
import type { Touches } from "../translate/translate.ts";
import { LastRecords } from "./last-records.ts";
import { LogTouches, type LogTouchesDeps } from "./log-touches.ts";
import type { Place } from "./replayed.ts";
import { eachTouch, type Touch } from "./touches.ts";

/** "applied": it was undecided, and becomes a row because a person says so. */
export type LetterFate = "row" | "superseded" | "undecided" | "applied";

/** What becomes of letters that nobody can decide on: they stay letters, or become rows all the same. */
export const undecidedChoices = ["keep", "apply"] as const;
export type UndecidedChoice = (typeof undecidedChoices)[number];

export class LetterOrder {
  readonly #records = new LastRecords();
  readonly #log: LogTouches;
  /** Of letters that are rows already; undefined: undecided letters stay letters. */
  readonly #applied: LastRecords | undefined;
  /** Of what was chosen last. */
  #applies: readonly Touch[] = [];
  /** By place. */
  readonly #fates = new Map<string, LetterFate>();

  private constructor(
    deps: LogTouchesDeps,
    from: ReadonlyMap<number, number>,
    { touches, applied }: { readonly touches: Touches; readonly applied: LastRecords | undefined },
  ) {
    this.#applied = applied;
    this.#records.watch(eachTouch(touches));
    this.#log = new LogTouches(deps, from, (found) => this.#records.note(eachTouch(found)));
  }

  /** `touches`: what the letters would do. `applied`: letters that are rows already. */
  static async begin(
    letters: readonly DeadLetter[],
    known: { readonly touches: Touches; readonly applied: LastRecords | undefined },
    turn: WorkerTurn,
    deps: LogTouchesDeps & { readonly log: Log },
  ): Promise<LetterOrder> {
    return new LetterOrder(deps, await beginnings(letters, turn, deps), known);
  }

  /** A part of the log. True: everything that the table holds is known. */
  async read(turn: WorkerTurn): Promise<boolean> {
    return await this.#log.read(turn);
  }

  /** Which of the letters' touches are not to be. */
  choose(touches: Touches): Uint8Array {
    const all = [...eachTouch(touches)];
    const leaveOut = new Uint8Array(all.length).fill(1);
    const applies: Touch[] = [];
    for (const [place, own] of Map.groupBy(all.keys(), (at) => placeKey(all[at] as Touch))) {
      const fates = own.map((at) => this.#fateOfTouch(all[at] as Touch));
      const fate = worst(fates);
      this.#fates.set(place, fate);
      for (const [index, at] of own.entries()) {
        const isIn = fate !== "undecided" && (fates[index] === "row" || fates[index] === "applied");
        if (isIn) leaveOut[at] = 0;
        if (isIn && fates[index] === "applied") applies.push(all[at] as Touch);
      }
    }
    this.#applies = applies;
    return leaveOut;
  }

  /** After `choose`. A letter that touches no key says nothing, and is done with. */
  fateOf(place: Place): LetterFate {
    return this.#fates.get(placeKey(place)) ?? "row";
  }

  /** What letters do that were undecided: known after `choose`, and to be remembered once they are rows. */
  get applies(): readonly Touch[] {
    return this.#applies;
  }

  #fateOfTouch(touch: Touch): LetterFate {
    const standing = this.#records.standingOf(touch);
    if (standing !== "gone") return standing === "last" ? "row" : "superseded";
    if (this.#applied === undefined) return "undecided";
    return this.#applied.standingOf(touch) === "superseded" ? "superseded" : "applied";
  }
}

/** Of a letter that touches two keys. */
function worst(fates: readonly LetterFate[]): LetterFate {
  return (["undecided", "applied", "row"] as const).find((fate) => fates.includes(fate)) ?? "superseded";
}

/** From the first letter of each partition, and from where later records of other partitions may be. */
async function beginnings(
  letters: readonly DeadLetter[],
  turn: WorkerTurn,
  { log, settings }: { readonly log: Log; readonly settings: TableSettings },
): Promise<ReadonlyMap<number, number>> {
  const own = Map.groupBy(letters, ({ partition }) => partition);
  const timestamp = least(letters.map((letter) => letter.timestamp));
  const from = new Map<number, number>();
  for (let partition = 0; partition < turn.topic.partitions.length; partition += 1) {
    const lookup = log.partition(turn.topic.id, partition);
    if (lookup.kind !== "here")
      throw new TableStuck(settings.topic, `partition ${partition} is not here: ask the broker that has it`);
    const { lastStable } = lookup.partition;
    const since = await lookup.partition.offsetFor({ kind: "at-or-after", timestamp }, "read-committed");
    // Where there is none by now, one may come before the letters are rows.
    const offsets = [since.offset < 0 ? lastStable : since.offset];
    for (const { offset } of own.get(partition) ?? []) offsets.push(offset);
    from.set(partition, least(offsets));
  }
  return from;
}

function least(numbers: readonly number[]): number {
  return numbers.reduce((least, each) => Math.min(least, each), Number.MAX_SAFE_INTEGER);
}

function placeKey({ partition, offset }: Place): string {
  return `${partition}:${offset}`;
}
