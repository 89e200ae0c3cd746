/**
 * What is left in memory of a run whose bytes only the WAL has: a few numbers a batch, in columns, because an outage gathers
 * a great many of them.
 */
import type { Offset } from "../base/ids.ts";
import type { Batch } from "./storage.ts";
import type { WalPlace, WalPosition } from "./wal.ts";

/** A batch in memory. */
export interface CachedBatch extends Batch {
  /** Where the WAL has it, once it is durable. */
  readonly place: WalPlace | undefined;
}

/** A batch whose bytes are to be read from the WAL. */
export interface SpilledBatch extends Omit<Batch, "bytes"> {
  readonly length: number;
  readonly place: WalPlace;
}

/** From, to, greatest timestamp, length, group position, group bytes, place in the group. */
const columns = 7;

/** Memory that a spilled batch takes. */
export const spilledBatchBytes = columns * Float64Array.BYTES_PER_ELEMENT;

export class SpilledRun {
  readonly length: number;
  readonly #numbers: Float64Array;

  /** Of batches that are durable in a WAL that gives places. */
  constructor(batches: readonly CachedBatch[]) {
    this.length = batches.length;
    this.#numbers = new Float64Array(columns * batches.length);
    batches.forEach(({ from, to, maxTimestamp, bytes, place }, i) => {
      const { group, at } = place as WalPlace;
      this.#numbers.set([from, to, maxTimestamp, bytes.length, group.position, group.bytes, at], columns * i);
    });
  }

  batch(i: number): SpilledBatch {
    const at = (column: number): number => this.#numbers[columns * i + column] as number;
    return {
      from: at(0) as Offset,
      to: at(1) as Offset,
      maxTimestamp: at(2),
      length: at(3),
      place: { group: { position: at(4) as WalPosition, bytes: at(5) }, at: at(6) },
    };
  }

  *[Symbol.iterator](): Iterator<SpilledBatch> {
    for (let i = 0; i < this.length; i += 1) yield this.batch(i);
  }

  /** Batches from the first that ends after `from`, up to the last that begins before `to`; at least one, then `bytesMax`. */
  between(from: Offset, to: Offset, bytesMax: number): readonly SpilledBatch[] {
    const found: SpilledBatch[] = [];
    let bytes = 0;
    for (let i = this.#firstEndingAfter(from); i < this.length; i += 1) {
      const batch = this.batch(i);
      bytes += batch.length;
      if (batch.from >= to || (found.length > 0 && bytes > bytesMax)) break;
      found.push(batch);
    }
    return found;
  }

  #firstEndingAfter(offset: Offset): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#numbers[columns * middle + 1] as number) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
