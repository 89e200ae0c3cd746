/**
 * Decides which cuts carry sidecars. Where the slots of the WAL are committed as they are, a sidecar is all that a generation has
 * to upload, an object of its own, that costs as much as a slot. So few cuts carry them; one that does speaks for all streams
 * that were written since the last:
 *
 *   cuts        | 1 2 |  | 1 3 |  | 1 |          generations, and the streams in them
 *   sidecars                       1 2 3         once enough bytes, or time, have gone by
 */
import type { StreamId } from "../base/ids.ts";

export interface SidecarLimits {
  readonly uploadBytesMax: number;
  readonly uploadIntervalMsMax: number;
}

export class SidecarDebt {
  readonly #limits: SidecarLimits;
  readonly #streams = new Set<StreamId>();
  #bytes = 0;
  #paidMs: number;

  constructor(limits: SidecarLimits, nowMs: number) {
    this.#limits = limits;
    this.#paidMs = nowMs;
  }

  /** The streams to be spoken for at this cut besides its own; undefined when it carries no sidecars, and owes them. */
  cut(
    generation: { readonly bytes: number; readonly runs: ReadonlyMap<StreamId, unknown> },
    nowMs: number,
    mustCarry: boolean,
  ): readonly StreamId[] | undefined {
    this.#bytes += generation.bytes;
    const { uploadBytesMax, uploadIntervalMsMax } = this.#limits;
    const isDue = this.#bytes >= uploadBytesMax || nowMs - this.#paidMs >= uploadIntervalMsMax;
    if (!isDue && !mustCarry) {
      for (const stream of generation.runs.keys()) this.#streams.add(stream);
      return undefined;
    }
    const others = [...this.#streams].filter((stream) => !generation.runs.has(stream));
    this.#streams.clear();
    this.#bytes = 0;
    this.#paidMs = nowMs;
    return others;
  }
}
