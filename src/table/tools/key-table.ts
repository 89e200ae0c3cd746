/**
 * What a log says of the keys of a table, in arrays: some 40 bytes a key. A key is told by 64 bits of its hash.
 *
 *   hash ──index──▶ entry │ hash │ last record: partition, offset, digest of its row │ deleted below │ flags
 *
 * Kafka orders the records of one partition only. A key with records in several has a last one in each, and the table may
 * hold any of these: which one depends on the rounds that met them.
 */
import { assert } from "../../base/errors.ts";

/** The last record of a key in one topic partition. */
export interface LastRecord {
  readonly partition: number;
  /** Of a deletion: of the first record that it may be. */
  readonly offset: number;
  readonly isDelete: boolean;
  /** Of the row that it put. */
  readonly digest: readonly [number, number];
}

const noPartition = -1;
const flags = { delete: 1, matched: 2, gone: 4 } as const;
/** Slots of the index for each entry at most half full: probing stays short. */
const slotsPerEntry = 2;
const entriesFirst = 1024;

export class KeyTable {
  readonly #keysMax: number;
  #size = 0;
  #index = new Int32Array(entriesFirst * slotsPerEntry).fill(-1);
  #hashes = new Uint32Array(entriesFirst * 2);
  #partitions = new Int32Array(entriesFirst);
  #offsets = new Float64Array(entriesFirst);
  #digests = new Uint32Array(entriesFirst * 2);
  #deletedBelow = new Float64Array(entriesFirst);
  #flags = new Uint8Array(entriesFirst);
  /** Of keys with records in more than one partition: those of the others. */
  readonly #crossing = new Map<number, Map<number, LastRecord>>();
  #crossingRecords = 0;

  constructor(keysMax: number) {
    this.#keysMax = keysMax;
  }

  get size(): number {
    return this.#size;
  }

  get crossingKeys(): number {
    return this.#crossing.size;
  }

  /** The entry of a key; undefined when it is not there. */
  find(a: number, b: number): number | undefined {
    const entry = this.#index[this.#slotOf(a, b)] as number;
    return entry < 0 ? undefined : entry;
  }

  /** The entry of a key, made when it is not there; "full": there is no room for it. */
  entry(a: number, b: number): number | "full" {
    const isFull = this.#size + this.#crossingRecords >= this.#keysMax;
    return this.find(a, b) ?? (isFull ? "full" : this.entryOfRow(a, b));
  }

  /** As `entry`, of a row of the table: whoever asks has made sure that these are not too many. */
  entryOfRow(a: number, b: number): number {
    const known = this.find(a, b);
    if (known !== undefined) return known;
    if (this.#size === this.#flags.length) this.#grow();
    const entry = this.#size;
    this.#size += 1;
    this.#hashes[entry * 2] = a;
    this.#hashes[entry * 2 + 1] = b;
    this.#partitions[entry] = noPartition;
    this.#index[this.#slotOf(a, b)] = entry;
    return entry;
  }

  /** Rows of the key in files with a data sequence below `sequence` are deleted. */
  deleteBelow(entry: number, sequence: number): void {
    this.#deletedBelow[entry] = Math.max(sequence, this.#deletedBelow[entry] as number);
  }

  isDeleted(entry: number, sequence: number): boolean {
    return sequence < (this.#deletedBelow[entry] as number);
  }

  /** Takes the place of what was known of the key in that partition. */
  note(entry: number, record: LastRecord): void {
    const { partition, offset, isDelete, digest } = record;
    const known = this.#partitions[entry];
    if (known !== noPartition && known !== partition) {
      const others = this.#crossing.get(entry) ?? new Map<number, LastRecord>();
      this.#crossing.set(entry, others);
      if (!others.has(partition)) this.#crossingRecords += 1;
      others.set(partition, record);
      return;
    }
    this.#partitions[entry] = partition;
    this.#offsets[entry] = offset;
    [this.#digests[entry * 2], this.#digests[entry * 2 + 1]] = digest;
    this.#set(entry, flags.delete, isDelete);
  }

  /** The last record of the key in each partition that has one. */
  records(entry: number): readonly LastRecord[] {
    const partition = this.#partitions[entry] as number;
    if (partition === noPartition) return [];
    const digest = [this.#digests[entry * 2] as number, this.#digests[entry * 2 + 1] as number] as const;
    const offset = this.#offsets[entry] as number;
    const first = { partition, offset, isDelete: this.#has(entry, flags.delete), digest };
    return [first, ...(this.#crossing.get(entry)?.values() ?? [])];
  }

  /** A row of the table is one that the key may have. Whether it is the first. */
  match(entry: number): boolean {
    const isFirst = !this.#has(entry, flags.matched) && !this.#has(entry, flags.gone);
    this.#set(entry, flags.matched, true);
    return isFirst;
  }

  /** As `match`, of a row whose record the log has no more. */
  matchGone(entry: number): boolean {
    const isFirst = !this.#has(entry, flags.matched) && !this.#has(entry, flags.gone);
    this.#set(entry, flags.gone, true);
    return isFirst;
  }

  /** Of each key that must have a row its last record, and whether the row was there. */
  *expected(): Iterable<{ readonly record: LastRecord; readonly isThere: boolean }> {
    for (let entry = 0; entry < this.#size; entry += 1) {
      const records = this.records(entry);
      const [record] = records;
      if (record === undefined || records.some(({ isDelete }) => isDelete)) continue;
      yield { record, isThere: this.#has(entry, flags.matched) || this.#has(entry, flags.gone) };
    }
  }

  #has(entry: number, flag: number): boolean {
    return ((this.#flags[entry] as number) & flag) !== 0;
  }

  #set(entry: number, flag: number, isSet: boolean): void {
    const before = this.#flags[entry] as number;
    this.#flags[entry] = isSet ? before | flag : before & ~flag;
  }

  /** Where the key's entry stands in the index, or would. */
  #slotOf(a: number, b: number): number {
    const mask = this.#index.length - 1;
    let slot = b & mask; // `a` decides the pass, so that it varies less.
    for (;;) {
      const entry = this.#index[slot] as number;
      if (entry < 0) return slot;
      if (this.#hashes[entry * 2] === a && this.#hashes[entry * 2 + 1] === b) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const entries = this.#flags.length * 2;
    this.#hashes = grown(new Uint32Array(entries * 2), this.#hashes);
    this.#partitions = grown(new Int32Array(entries), this.#partitions);
    this.#offsets = grown(new Float64Array(entries), this.#offsets);
    this.#digests = grown(new Uint32Array(entries * 2), this.#digests);
    this.#deletedBelow = grown(new Float64Array(entries), this.#deletedBelow);
    this.#flags = grown(new Uint8Array(entries), this.#flags);
    this.#index = new Int32Array(entries * slotsPerEntry).fill(-1);
    for (let entry = 0; entry < this.#size; entry += 1) {
      const slot = this.#slotOf(this.#hashes[entry * 2] as number, this.#hashes[entry * 2 + 1] as number);
      this.#index[slot] = entry;
    }
    assert(this.#index.length > this.#size, "an index has free slots");
  }
}

function grown<T extends { set(from: T): void }>(to: T, from: T): T {
  to.set(from);
  return to;
}
