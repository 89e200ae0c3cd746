/**
 * What two WALs hold together: each is, stream by stream, a stretch of the same sequence, trimmed here, torn there.
 *
 *   first          | 4 5 6 7 |          all of the first in its order; before it what only the second has still,
 *   second     | 2 3 4 5 6 |            after it what only the second has already
 *   together   | 2 3 4 5 6 7 |
 *
 * Keeps copies, as what one lacks is given back to it: a recovery takes the memory of a WAL.
 */
import type { Offset, StreamId } from "../base/ids.ts";
import type { WalPosition, WalRecord } from "./wal.ts";

/** Where a record ends in each WAL; undefined when that one has it not, or not yet. */
export type Ends = readonly [WalPosition | undefined, WalPosition | undefined];

export interface UnitedRecord {
  readonly record: WalRecord;
  readonly ends: Ends;
}

export class RecordUnion {
  readonly #first: Known[] = [];
  readonly #second: Known[] = [];
  /** By stream and offset. */
  readonly #known = new Map<string, Known>();
  /** Where each stream ends in each WAL. */
  readonly #reached: readonly [Map<StreamId, Offset>, Map<StreamId, Offset>] = [new Map(), new Map()];
  /** Where each stream begins in the first WAL. */
  readonly #begins = new Map<StreamId, Offset>();

  /** All of the first WAL (index 0), then all of the second. */
  add(index: 0 | 1, record: WalRecord, end: WalPosition): void {
    this.#reached[index].set(record.stream, record.to);
    const key = `${record.stream}:${record.from}`;
    const known = this.#known.get(key);
    if (known !== undefined) {
      known.ends[index] = end;
      return;
    }
    const fresh: Known = { record: { ...record, bytes: Uint8Array.from(record.bytes) }, ends: [undefined, undefined] };
    fresh.ends[index] = end;
    this.#known.set(key, fresh);
    if (index === 1) {
      this.#second.push(fresh);
      return;
    }
    this.#first.push(fresh);
    if (!this.#begins.has(record.stream)) this.#begins.set(record.stream, record.from);
  }

  /** What comes after all that this one has of the stream. What came before, it has trimmed: that is in objects. */
  lackedBy(index: 0 | 1): readonly WalRecord[] {
    const reached = this.#reached[index];
    return this.all().flatMap(({ record }) => (record.from >= (reached.get(record.stream) ?? 0) ? [record] : []));
  }

  /** Each record once; those of a stream in order. */
  all(): readonly UnitedRecord[] {
    const isOlder = ({ record }: Known): boolean => record.from < (this.#begins.get(record.stream) ?? 0);
    return [...this.#second.filter(isOlder), ...this.#first, ...this.#second.filter((known) => !isOlder(known))];
  }
}

interface Known {
  readonly record: WalRecord;
  readonly ends: [WalPosition | undefined, WalPosition | undefined];
}
