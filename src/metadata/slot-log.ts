/**
 * A metadata log over numbered slots, each of which can be filled once: objects of a bucket, rows of a table. Any number of
 * processes hold one; nothing but the slots is shared.
 *
 *   tail known ──put at tail + 1──▶ created ──▶ ok
 *     ▲    ▲                        taken ────▶ read forward: is it ours? ok : once more, behind the rival
 *     │    └──────────────────────────┘
 *     └─ newest checkpoint ◀─────── forgotten   (this process slept so long that the slots were emptied since)
 *
 * A put whose answer got lost is repeated by the caller. It goes to the same slot with the same bytes as long as nobody else
 * is there, so that a late arrival of the first try changes nothing, and to the next slot only when the first is lost for
 * good: an entry never stands in two places because of a lost answer.
 */
import { Lane } from "../base/async.ts";
import { assert, CorruptData, OperationFailed } from "../base/errors.ts";
import type { Seq, Uuid } from "../base/ids.ts";
import {
  type Beginning,
  type CasLog,
  type Checkpoint,
  EntriesForgotten,
  type LogEntry,
  LogNotEmpty,
  type StoredEntry,
} from "./cas-log.ts";
import { type ChainedEntry, chained, encodeEntry, genesisHash, sameHash } from "./entry-format.ts";

export interface Slots extends AsyncDisposable {
  /**
   * Fills the entry's slot, which follows one that holds `previousHash`. "taken": this entry or another is there.
   * "forgotten": a truncation had emptied the slot, so whatever was written now is in nobody's log. "adrift": the entry
   * before is not there; nothing stays written.
   */
  put(entry: SlotEntry): Promise<"created" | "taken" | "forgotten" | "adrift">;
  /** Fills the slot as the first of the log: what is before it counts as forgotten. false: the log is not empty. */
  begin(entry: SlotEntry): Promise<boolean>;
  /** Up to `entriesMax` entries from `from` on; fewer when the log ends. "forgotten": a truncation has passed `from`. */
  read(from: Seq, entriesMax: number): Promise<readonly ChainedEntry[] | "forgotten">;
  /** Ascending. */
  checkpoints(): Promise<readonly Seq[]>;
  /** undefined when it is not there any more. */
  readCheckpoint(seq: Seq): Promise<Checkpoint | undefined>;
  putCheckpoint(checkpoint: Checkpoint): Promise<void>;
  /** Removes these checkpoints, and may remove entries up to `upTo`. Done in part, it is done the next time. */
  forget(what: { readonly checkpoints: readonly Seq[]; readonly upTo: Seq }): Promise<void>;
}

export interface SlotEntry {
  readonly seq: Seq;
  readonly previousHash: Uint8Array;
  readonly hash: Uint8Array;
  /** The whole entry (entry-format.ts). */
  readonly bytes: Uint8Array;
}

/** Of slots that others took first. A caller that is told "unknown" waits a random while: better than to run against them. */
const roundsMax = 16;
/** A repeat comes from a node that has one append in flight, so it is among the newest; the fold knows about older ones. */
const operationsKeptMax = 10_000;
/** When a rival was faster: usually one entry, after a long sleep many. */
const catchUpEntriesMax = 1000;

interface Tail {
  readonly seq: Seq;
  readonly hash: Uint8Array;
}

const genesis: Tail = { seq: 0 as Seq, hash: genesisHash };

export class SlotLog implements CasLog {
  readonly #slots: Slots;
  readonly #source: string;
  readonly #lane = new Lane();
  /** The newest entry that this process has seen; undefined before it has looked. */
  #tail: Tail | undefined;
  /** Of entries seen, oldest first. */
  readonly #seqs = new Map<Uuid, Seq>();

  /** `source` names the log in errors; it must not hold credentials. */
  constructor(slots: Slots, source: string) {
    this.#slots = slots;
    this.#source = source;
  }

  append(entry: LogEntry): ReturnType<CasLog["append"]> {
    return this.#lane.run(async () => {
      try {
        return { kind: "ok", seq: await this.#append(entry) };
      } catch (cause) {
        if (!(cause instanceof OperationFailed)) throw cause;
        return { kind: "unknown", cause };
      }
    });
  }

  async read(from: Seq, entriesMax: number): Promise<readonly StoredEntry[]> {
    assert(from >= 1, "the first entry is 1");
    const entries = await this.#slots.read(from, entriesMax);
    if (entries === "forgotten") throw new EntriesForgotten(from);
    this.#learn(entries);
    return entries;
  }

  async readCheckpoint(): Promise<Checkpoint | undefined> {
    for (let before: Seq | undefined; ; ) {
      const checkpoint = await this.#newestCheckpoint();
      if (checkpoint === undefined) {
        this.#tail ??= genesis;
        return undefined;
      }
      if (await this.#isAnchored(checkpoint)) {
        if (checkpoint.seq > (this.#tail?.seq ?? -1)) this.#tail = { seq: checkpoint.seq, hash: checkpoint.hash };
        return checkpoint;
      }
      // Its entry has been forgotten, so a newer checkpoint must have come meanwhile.
      if (before === checkpoint.seq) throw this.#rolledBack(checkpoint.seq, "no checkpoint after it");
      before = checkpoint.seq;
    }
  }

  async writeCheckpoint(checkpoint: Checkpoint): Promise<void> {
    const present = await this.#slots.checkpoints();
    if (checkpoint.seq <= (present.at(-1) ?? 0)) return;
    if (!(await this.#isAnchored(checkpoint))) return; // Another node was faster, and further.
    await this.#slots.putCheckpoint(checkpoint);
    // The two newest stay, with the entry of the older and all after it: a damaged checkpoint costs nothing.
    const older = present.at(-1);
    if (older !== undefined) await this.#slots.forget({ checkpoints: present.slice(0, -1), upTo: (older - 1) as Seq });
  }

  /** Throws LogNotEmpty. */
  async begin({ entry, previousHash, image }: Beginning): Promise<void> {
    const { seq, hash } = entry;
    const bytes = encodeEntry(entry, seq, previousHash);
    const isEmpty = (await this.#slots.checkpoints()).length === 0;
    if (!isEmpty || !(await this.#slots.begin({ seq, hash, previousHash, bytes }))) throw new LogNotEmpty(this.#source);
    await this.#slots.putCheckpoint({ seq, hash, image });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lane.close();
    await this.#slots[Symbol.asyncDispose]();
  }

  async #append(entry: LogEntry): Promise<Seq> {
    for (let round = 1; round <= roundsMax; round++) {
      const known = this.#seqs.get(entry.opId);
      if (known !== undefined) return known;
      const tail = this.#tail ?? (await this.#findTail());
      const seq = (tail.seq + 1) as Seq;
      const stored = chained({ ...entry, events: entry.events.slice() }, seq, tail.hash);
      const bytes = encodeEntry(stored, seq, tail.hash);
      switch (await this.#slots.put({ seq, previousHash: tail.hash, hash: stored.hash, bytes })) {
        case "created":
          this.#learn([stored]);
          return seq;
        case "taken":
          await this.#catchUp(seq);
          break;
        case "forgotten":
          this.#tail = undefined;
          break;
        case "adrift":
          throw this.#rolledBack(tail.seq, "it ends before, or another history");
      }
    }
    throw new OperationFailed(`${this.#source}: ${roundsMax} times another entry was faster`, { happened: "maybe" });
  }

  async #findTail(): Promise<Tail> {
    await this.readCheckpoint();
    assert(this.#tail !== undefined, "reading a checkpoint finds a tail");
    return this.#tail;
  }

  /** Something stands at `from`: reads it, and what follows. */
  async #catchUp(from: Seq): Promise<void> {
    for (let next = from; ; ) {
      const entries = await this.#slots.read(next, catchUpEntriesMax);
      if (entries === "forgotten") {
        this.#tail = undefined;
        return;
      }
      if (next === from && entries.length === 0) throw this.#rolledBack((from - 1) as Seq, "it ends before");
      this.#learn(entries);
      if (entries.length < catchUpEntriesMax) return;
      next = (next + entries.length) as Seq;
    }
  }

  /** No await in here: reads and appends of one handle meet. */
  #learn(entries: readonly ChainedEntry[]): void {
    const known = this.#tail;
    let before = known;
    for (const entry of entries) {
      const follows = before?.seq !== entry.seq - 1 || sameHash(before.hash, entry.previousHash);
      const isKnown = known?.seq !== entry.seq || sameHash(known.hash, entry.hash);
      if (!follows || !isKnown) throw this.#rolledBack(known?.seq ?? (0 as Seq), "another history");
      this.#remember(entry);
      before = entry;
    }
    // A reader that has jumped ahead does not know what lies between.
    const joins = known !== undefined && (entries[0]?.seq ?? Number.POSITIVE_INFINITY) <= known.seq + 1;
    if (joins && before !== undefined && before.seq > known.seq) this.#tail = { seq: before.seq, hash: before.hash };
  }

  #remember(entry: StoredEntry): void {
    if (this.#seqs.has(entry.opId)) return; // A store may let an operation through twice: the first one counts.
    this.#seqs.set(entry.opId, entry.seq);
    if (this.#seqs.size <= operationsKeptMax) return;
    const [oldest] = this.#seqs.keys();
    assert(oldest !== undefined, "more than none are kept");
    this.#seqs.delete(oldest);
  }

  /** A damaged one is passed over when an older one is there: the entries after that one are kept for this. */
  async #newestCheckpoint(): Promise<Checkpoint | undefined> {
    const seqs = [...(await this.#slots.checkpoints())];
    for (let seq = seqs.pop(); seq !== undefined; seq = seqs.pop()) {
      try {
        const checkpoint = await this.#slots.readCheckpoint(seq);
        if (checkpoint !== undefined) return checkpoint;
      } catch (cause) {
        if (!(cause instanceof CorruptData) || seqs.length === 0) throw cause;
      }
    }
    return undefined;
  }

  /** Whether the entry of the checkpoint stands where it says. A log that ends before it, or differs, went back in time. */
  async #isAnchored(checkpoint: Tail): Promise<boolean> {
    const entries = await this.#slots.read(checkpoint.seq, 1);
    if (entries === "forgotten") return false;
    const [entry] = entries;
    if (entry === undefined) throw this.#rolledBack(checkpoint.seq, "it ends before");
    if (!sameHash(entry.hash, checkpoint.hash)) throw this.#rolledBack(checkpoint.seq, "another history");
    return true;
  }

  #rolledBack(seq: Seq, found: string): CorruptData {
    return new CorruptData({ source: this.#source, position: seq, expected: `entry ${seq} as it was`, found });
  }
}
