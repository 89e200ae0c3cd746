/**
 * Which dead letters of a table with a key may still become rows. What the log holds of their keys decides:
 *
 *   the letter's record is the last of its key       the letter becomes the row, or deletes it
 *   a later record of the key is there               superseded: the table holds what came later
 *   neither: the log has let go of the letter        undecided: a deletion may be gone with it
 *
 * An update that moves a row to another key concerns two keys, each of which decides for itself.
 */

import type { Log } from "../../log/log.ts";
import { TableStuck } from "../advance.ts";
import type { TableSettings } from "../settings.ts";
import type { WorkerTurn } from "../table-worker.ts";
import type { DeadLetter } from "../translate/dead-letters.ts";
import type { Touches } from "../translate/translate.ts";
import { LastRecords, type Standing } from "./last-records.ts";
import { LogTouches, type LogTouchesDeps } from "./log-touches.ts";
import type { Place } from "./replayed.ts";

export type LetterFate = "row" | "superseded" | "undecided";

export class LetterOrder {
  readonly #records = new LastRecords();
  readonly #log: LogTouches;
  /** By place. */
  readonly #fates = new Map<string, LetterFate>();

  private constructor(deps: LogTouchesDeps, from: ReadonlyMap<number, number>, touches: Touches) {
    this.#records.watch(touches);
    this.#log = new LogTouches(deps, from, (found) => this.#records.note(found));
  }

  /** `touches`: what the letters would do. */
  static async begin(
    letters: readonly DeadLetter[],
    touches: Touches,
    turn: WorkerTurn,
    deps: LogTouchesDeps & { readonly log: Log },
  ): Promise<LetterOrder> {
    return new LetterOrder(deps, await beginnings(letters, turn, deps), touches);
  }

  /** A part of the log. True: everything that the table holds is known. */
  async read(turn: WorkerTurn): Promise<boolean> {
    return await this.#log.read(turn);
  }

  /** Which of the letters' touches are not to be. */
  choose(touches: Touches): Uint8Array {
    const standings = this.#records.standings(touches);
    const byLetter = Map.groupBy(standings.keys(), (at) =>
      placeKey({ partition: touches.partitions[at] as number, offset: touches.offsets[at] as number }),
    );
    const leaveOut = new Uint8Array(standings.length);
    for (const [place, own] of byLetter) {
      const fate = fateOf(own.map((at) => standings[at] as Standing));
      this.#fates.set(place, fate);
      for (const at of own) if (fate !== "row" || standings[at] !== "last") leaveOut[at] = 1;
    }
    return leaveOut;
  }

  /** After `choose`. A letter that touches no key says nothing, and is done with. */
  fateOf(place: Place): LetterFate {
    return this.#fates.get(placeKey(place)) ?? "row";
  }
}

function fateOf(standings: readonly Standing[]): LetterFate {
  if (standings.includes("gone")) return "undecided";
  return standings.includes("last") ? "row" : "superseded";
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
    const since = await lookup.partition.offsetFor({ kind: "at-or-after", timestamp }, "read-committed");
    const offsets = (own.get(partition) ?? []).map(({ offset }) => offset);
    if (since.offset >= 0) offsets.push(since.offset);
    if (offsets.length > 0) from.set(partition, least(offsets));
  }
  return from;
}

function least(numbers: readonly number[]): number {
  return numbers.reduce((least, each) => Math.min(least, each), Number.MAX_SAFE_INTEGER);
}

function placeKey({ partition, offset }: Place): string {
  return `${partition}:${offset}`;
}
