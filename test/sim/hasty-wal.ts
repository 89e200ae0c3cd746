/** A planted bug: a WAL that acks before the sync. What it loses, the simulations must find. */
import type { Wal, WalEntry } from "../../src/stream/wal.ts";

/** Acks as soon as it is asked. */
export class HastyWal implements Wal {
  readonly #wal: Wal;
  constructor(wal: Wal) {
    this.#wal = wal;
  }
  get durable(): Wal["durable"] {
    return this.#wal.durable;
  }
  get bytesUsed(): number {
    return this.#wal.bytesUsed;
  }
  get bytesMax(): number {
    return this.#wal.bytesMax;
  }
  get slots(): Wal["slots"] {
    return this.#wal.slots;
  }
  recover(visit: Parameters<Wal["recover"]>[0]): Promise<void> {
    return this.#wal.recover(visit);
  }
  append(entry: WalEntry): void {
    const { stream, epoch, after, from, to, maxTimestamp, bytes, label } = entry;
    const record = { stream, epoch, after, from, to, maxTimestamp, bytes, label };
    this.#wal.append({ ...record, durable: () => undefined, failed: () => undefined });
    entry.durable(this.#wal.durable);
  }
  trim(position: Wal["durable"]): Promise<void> {
    return this.#wal.trim(position);
  }
  abandon(): Promise<void> {
    return this.#wal.abandon();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#wal[Symbol.asyncDispose]();
  }
}
