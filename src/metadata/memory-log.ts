/** The metadata log of a process that may forget, and of simulated clusters. */
import { assert, CorruptData } from "../base/errors.ts";
import type { Seq, Uuid } from "../base/ids.ts";
import { type CasLog, type Checkpoint, EntriesForgotten, type LogEntry, type StoredEntry } from "./cas-log.ts";
import { chained, genesisHash, sameHash } from "./entry-format.ts";

export class MemoryLog implements CasLog {
  #entries: StoredEntry[] = [];
  /** Entries up to this seq are gone. */
  #forgotten = 0;
  #seqs = new Map<Uuid, Seq>();
  #checkpoint: Checkpoint | undefined;
  #lastHash = genesisHash;

  async append(entry: LogEntry): Promise<{ readonly kind: "ok"; readonly seq: Seq }> {
    const known = this.#seqs.get(entry.opId);
    if (known !== undefined) return { kind: "ok", seq: known };
    const seq = (this.#forgotten + this.#entries.length + 1) as Seq;
    const stored = chained({ ...entry, events: entry.events.slice() }, seq, this.#lastHash);
    this.#entries.push(stored);
    this.#seqs.set(entry.opId, seq);
    this.#lastHash = stored.hash;
    return { kind: "ok", seq };
  }

  async read(from: Seq, entriesMax: number): Promise<readonly StoredEntry[]> {
    assert(from >= 1, "the first entry is 1");
    if (from <= this.#forgotten) throw new EntriesForgotten(from);
    const first = from - this.#forgotten - 1;
    return this.#entries.slice(first, first + entriesMax);
  }

  async readCheckpoint(): Promise<Checkpoint | undefined> {
    return this.#checkpoint;
  }

  /** Forgets up to the checkpoint before this one, so that readers who are a little behind need not start over. */
  async writeCheckpoint(checkpoint: Checkpoint): Promise<void> {
    if (this.#checkpoint !== undefined && this.#checkpoint.seq >= checkpoint.seq) return;
    const entry = this.#entries[checkpoint.seq - this.#forgotten - 1];
    if (entry === undefined || !sameHash(entry.hash, checkpoint.hash))
      throw new CorruptData({
        source: "metadata log in memory",
        position: checkpoint.seq,
        expected: "a checkpoint of this log",
        found: "one of another history",
      });
    const keepAfter = this.#checkpoint?.seq ?? 0;
    for (const { opId } of this.#entries.splice(0, keepAfter - this.#forgotten)) this.#seqs.delete(opId);
    this.#forgotten = keepAfter;
    this.#checkpoint = { ...checkpoint, image: checkpoint.image.slice() };
  }

  /** What a backup taken now would hold. */
  copy(): MemoryLog {
    const copy = new MemoryLog();
    copy.#entries = [...this.#entries];
    copy.#forgotten = this.#forgotten;
    copy.#seqs = new Map(this.#seqs);
    copy.#checkpoint = this.#checkpoint;
    copy.#lastHash = this.#lastHash;
    return copy;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
