/**
 * Two WALs of any kind that hold the same: a record is durable when both have it.
 *
 *   append ──▶ first  ──▶ has it ─┐
 *          └─▶ second ──▶ has it ─┴▶ durable
 *
 * Recovery takes what either has, of each stream the longer, and gives the other what it lacks before anything is served: what
 * was shown once must outlive either. When one fails, everything fails with it; or, if so set, the other goes on alone, after
 * whoever might take this node over has been told that the lost one does not count.
 */
import { assert, OperationFailed, WrongProgram } from "../base/errors.ts";
import type { Gauge, Logger } from "../base/telemetry.ts";
import { type Ends, RecordUnion } from "./record-union.ts";
import type { Wal, WalEntry, WalPosition, WalRecord } from "./wal.ts";

export interface ReplicatedWalOptions {
  readonly halves: readonly [Wal, Wal];
  /** What happens when one half is lost. */
  readonly onLoss: "stop" | "continue";
  readonly logger: Logger;
  /** 1 while a record is durable in one half alone. */
  readonly isAlone: Gauge;
}

export class ReplicatedWal implements Wal {
  readonly bytesMax: number;
  /** Records are uploaded from here, whatever the halves are: their slots, if any, end where they like. */
  readonly slots = undefined;
  readonly #options: ReplicatedWalOptions;
  readonly #halves: readonly [Half, Half];
  /** Not yet durable in both, in call order. */
  readonly #pending: Pending[] = [];
  /** Where each record that is not trimmed ends in the halves; the first is number `#trimmed`. */
  readonly #ends: Ends[] = [];
  /** Positions count records. */
  #trimmed = 0;
  #failure: OperationFailed | undefined;

  constructor(options: ReplicatedWalOptions) {
    const [first, second] = options.halves;
    this.#options = options;
    this.#halves = [new Half(first), new Half(second)];
    this.bytesMax = Math.min(first.bytesMax, second.bytesMax);
    options.isAlone.set(0);
  }

  get durable(): WalPosition {
    return (this.#trimmed + this.#ends.length) as WalPosition;
  }

  get bytesUsed(): number {
    return Math.max(...this.#halves.filter(({ isLost }) => !isLost).map(({ wal }) => wal.bytesUsed));
  }

  async recover(visit: (record: WalRecord, end: WalPosition) => void): Promise<void> {
    const union = new RecordUnion();
    for (const half of this.#halves) {
      try {
        await half.wal.recover((record, end) => union.add(half === this.#halves[0] ? 0 : 1, record, end));
      } catch (cause) {
        await this.#lose(half, cause);
      }
    }
    for (const [index, half] of this.#halves.entries()) {
      if (half.isLost || this.#failure !== undefined) continue;
      const given = union.lackedBy(index as 0 | 1).map((record) => appended(half.wal, record));
      await Promise.all(given).catch((cause: unknown) => this.#lose(half, cause));
    }
    if (this.#failure !== undefined) throw this.#failure;
    for (const { record, ends } of union.all()) {
      this.#ends.push(ends);
      visit(record, this.durable);
    }
  }

  append(entry: WalEntry): void {
    if (this.#failure !== undefined) {
      entry.failed(this.#failure);
      return;
    }
    const pending: Pending = { entry, ends: [undefined, undefined] };
    this.#pending.push(pending);
    const { stream, epoch, after, from, to, maxTimestamp, bytes, label } = entry;
    const record = { stream, epoch, after, from, to, maxTimestamp, bytes, label };
    for (const [index, half] of this.#halves.entries()) {
      if (half.isLost) continue;
      half.wal.append({
        ...record,
        durable: (end) => {
          pending.ends[index as 0 | 1] = end;
          this.#settle();
        },
        failed: (cause) => {
          this.#lose(half, cause).catch((error: unknown) => this.#fail(error));
        },
      });
    }
  }

  async trim(position: WalPosition): Promise<void> {
    assert(position <= this.durable, "only what is durable can be trimmed");
    const gone = this.#ends.splice(0, position - this.#trimmed);
    this.#trimmed += gone.length;
    for (const [index, half] of this.#halves.entries()) {
      const to = this.#isEmpty ? half.wal.durable : lastBelow(gone, this.#ends, index as 0 | 1);
      if (half.isLost || to === undefined) continue;
      await half.wal.trim(to).catch((cause: unknown) => this.#lose(half, cause));
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async abandon(): Promise<void> {
    for (const { wal } of this.#halves) await wal.abandon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { wal } of this.#halves) await wal[Symbol.asyncDispose]();
    this.#fail(new OperationFailed("the WAL is closed", { happened: "maybe" }));
  }

  get #isEmpty(): boolean {
    return this.#ends.length === 0 && this.#pending.length === 0;
  }

  /** Acks, in call order, what every half that is left has. */
  #settle(): void {
    for (let next = this.#pending[0]; next !== undefined && this.#failure === undefined; next = this.#pending[0]) {
      if (this.#halves.some((half, index) => !half.isLost && next?.ends[index] === undefined)) return;
      this.#pending.shift();
      this.#ends.push(next.ends);
      next.entry.durable(this.durable);
    }
  }

  /** Settles when it is decided how things go on. */
  async #lose(half: Half, cause: unknown): Promise<void> {
    if (cause instanceof WrongProgram) throw cause;
    if (half.isFailing || this.#failure !== undefined) return;
    half.isFailing = true;
    const isLast = this.#halves.every(({ isFailing }) => isFailing);
    if (this.#options.onLoss === "stop" || isLast) {
      this.#fail(cause);
      return;
    }
    this.#options.logger.error("one of two WALs is lost, going on with the other alone", { cause });
    this.#options.isAlone.set(1);
    await half.wal.abandon(); // Before the first ack that it has no part in.
    half.isLost = true;
    this.#settle();
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = new OperationFailed("the WAL is closed: it is not in both places", { happened: "maybe", cause });
    for (const { entry } of this.#pending.splice(0)) entry.failed(this.#failure);
  }
}

class Half {
  readonly wal: Wal;
  isFailing = false;
  /** Nothing is asked of it any more. */
  isLost = false;
  constructor(wal: Wal) {
    this.wal = wal;
  }
}

interface Pending {
  readonly entry: WalEntry;
  readonly ends: [WalPosition | undefined, WalPosition | undefined];
}

/** As far as a half can be trimmed: below all that stays, since after a recovery the two may be in different orders. */
function lastBelow(gone: readonly Ends[], rest: readonly Ends[], index: 0 | 1): WalPosition | undefined {
  let least = Number.POSITIVE_INFINITY;
  for (const ends of rest) least = Math.min(least, ends[index] ?? least);
  let found: WalPosition | undefined;
  for (const { [index]: end } of gone) if (end !== undefined && end < least && end > (found ?? 0)) found = end;
  return found;
}

function appended(wal: Wal, record: WalRecord): Promise<WalPosition> {
  return new Promise((resolve, reject) => {
    wal.append({ ...record, label: new Uint8Array(), durable: resolve, failed: reject });
  });
}
