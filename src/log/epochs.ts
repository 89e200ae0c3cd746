/**
 * Which leader epoch began at which offset (KIP-101, KIP-320), so that a client can find out whether what it has read
 * still stands. Pure; the log writes the starts into the sidecar.
 *
 *   epoch    2        5              6
 *   offset   |0 ------|1200 ---------|1350 -------- end
 */
import type { Offset } from "../base/ids.ts";

export interface EpochStart {
  readonly epoch: number;
  readonly start: Offset;
}

export class Epochs {
  /** Both numbers strictly grow from entry to entry. */
  #starts: EpochStart[];

  constructor(starts: readonly EpochStart[] = []) {
    this.#starts = [...starts];
  }

  get starts(): readonly EpochStart[] {
    return this.#starts;
  }

  /** The epoch under which appends from `start` on are made. An epoch that wrote nothing leaves no trace. */
  begin(epoch: number, start: Offset): void {
    const last = this.#starts.at(-1);
    if (last !== undefined && last.epoch >= epoch) return;
    while ((this.#starts.at(-1)?.start ?? -1) >= start) this.#starts.pop();
    this.#starts.push({ epoch, start });
  }

  /** The epoch that wrote the offset; undefined when nothing is known. */
  at(offset: Offset): number | undefined {
    return this.#starts.findLast((entry) => entry.start <= offset)?.epoch;
  }

  /** As Kafka answers OffsetForLeaderEpoch; `end` is where the newest epoch ends so far. */
  endOf(epoch: number, end: Offset): { readonly epoch: number; readonly endOffset: Offset } | undefined {
    const last = this.#starts.at(-1);
    if (last === undefined || epoch < 0 || epoch > last.epoch) return undefined;
    if (epoch === last.epoch) return { epoch, endOffset: end };
    const later = this.#starts.findIndex((entry) => entry.epoch > epoch);
    const floor = this.#starts[later - 1];
    // Older than all that is known: the asked epoch ended where the first known one began, if not before.
    return { epoch: floor?.epoch ?? epoch, endOffset: (this.#starts[later] as EpochStart).start };
  }

  /** Forgets epochs that end at or below the log start. */
  forgetBelow(logStart: Offset): void {
    const first = this.#starts.findLastIndex((entry) => entry.start <= logStart);
    if (first > 0) this.#starts = this.#starts.slice(first);
  }
}
