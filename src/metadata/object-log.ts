/**
 * The metadata log of a cluster that has nothing but a bucket: an entry an object, made with put-if-absent.
 *
 *   meta/log/00000000000000000871           entry 871        | magic 8 | version 4 | CRC-32C of the entry 4 | entry |
 *   meta/checkpoints/00000000000000000870   the image after entry 870 (checkpoint-file.ts)
 *   meta/gone/00000000000000000000          entries 1 to 1024 may be deleted: whatever is written there is in no log
 *
 * A name that is deleted can be made again, so put-if-absent alone does not tell a free slot from an emptied one: a process
 * that slept since entry 100 would "create" entry 101 in a log that is at 5000. Hence the marks of "gone" blocks: written
 * before the first entry of a block is deleted, in ascending order, and never deleted themselves. Whoever has created or read
 * an entry looks for the mark of its block afterwards; without it nothing in the block, or after, was missing when it
 * looked.
 *
 *   append   put; then look for the mark, and at the entry before (a bucket can be put back to what it was)
 *   read     get in windows that grow up to 32; then look for the mark. An idle tail costs two gets and the look
 */
import { crc32c } from "@node-rs/crc32";
import { goneBlockEntries, slotMagic, slotVersion } from "../../schemas/storage.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { assert } from "../base/errors.ts";
import type { Seq } from "../base/ids.ts";
import { ObjectMissing, type ObjectStore } from "../object-store/object-store.ts";
import type { Checkpoint } from "./cas-log.ts";
import { decodeCheckpoint, encodeCheckpoint } from "./checkpoint-file.ts";
import { type ChainedEntry, decodeEntry, sameHash } from "./entry-format.ts";
import { type SlotEntry, SlotLog, type Slots } from "./slot-log.ts";

export interface ObjectLogOptions {
  /** With retries. */
  readonly store: ObjectStore;
  /** Whether the store ends with the log; by default it is the caller's. */
  readonly closesStore?: boolean;
  /** Entries that are forgotten together. All who use one log agree on it; tests choose a small one. */
  readonly blockEntries?: number;
}

/** Nothing is asked of the store yet. */
export function openObjectLog(options: ObjectLogOptions): SlotLog {
  return new SlotLog(new ObjectSlots(options), `metadata log in ${options.store.url}`);
}

const prefixes = { log: "meta/log/", checkpoints: "meta/checkpoints/", gone: "meta/gone/" } as const;

/** Below which a bucket that holds such a log has objects. */
export const objectLogPrefixes = [prefixes.log, prefixes.checkpoints] as const;

/** Entries that are asked for at once, when many are waited for. */
const getsInFlightMax = 32;

class ObjectSlots implements Slots {
  readonly #store: ObjectStore;
  readonly #blockEntries: number;
  readonly #closesStore: boolean;

  constructor(options: ObjectLogOptions) {
    this.#store = options.store;
    this.#blockEntries = options.blockEntries ?? goneBlockEntries;
    this.#closesStore = options.closesStore ?? false;
  }

  async put(entry: SlotEntry): ReturnType<Slots["put"]> {
    const key = keyOf("log", entry.seq);
    const outcome = await this.#store.putIfAbsent(key, encodeSlot(entry.bytes));
    if (outcome.kind === "exists") return "taken";
    const [isGone, isJoined] = await Promise.all([this.#isGone(entry.seq), this.#isJoined(entry)]);
    if (isGone) return "forgotten";
    if (isJoined) return "created";
    // A look that took long may have come after a truncation, which had marked the block before.
    if (await this.#isGone((entry.seq - 1) as Seq)) return "forgotten";
    await this.#store.delete([key]); // Behind a gap nobody can have seen it, and it must not wait there for the log to come by.
    return "adrift";
  }

  /** The slot must be the first of its block, since all blocks before are marked. */
  async begin(entry: SlotEntry): Promise<boolean> {
    if ((await this.#seqs("log")).length > 0) return false;
    const block = this.#blockOf(entry.seq);
    assert(block * this.#blockEntries + 1 === entry.seq, "a log begins with a block");
    for (let first = 0; first < block; first += getsInFlightMax) {
      const count = Math.min(getsInFlightMax, block - first);
      await Promise.all(Array.from({ length: count }, (_, index) => this.#mark(first + index)));
    }
    await this.#store.putIfAbsent(keyOf("log", entry.seq), encodeSlot(entry.bytes));
    return true;
  }

  async read(from: Seq, entriesMax: number): ReturnType<Slots["read"]> {
    const entries: ChainedEntry[] = [];
    for (let width = 2, hasEnded = false; !hasEnded && entries.length < entriesMax; ) {
      const count = Math.min(width, entriesMax - entries.length);
      const next = from + entries.length;
      const found = await Promise.all(Array.from({ length: count }, (_, index) => this.#get((next + index) as Seq)));
      const end = found.indexOf(undefined);
      hasEnded = end >= 0;
      entries.push(...(found.slice(0, hasEnded ? end : count) as ChainedEntry[]));
      width = Math.min(2 * width, getsInFlightMax);
    }
    return (await this.#isGone(from)) ? "forgotten" : entries; // Afterwards: see above.
  }

  async checkpoints(): Promise<readonly Seq[]> {
    return await this.#seqs("checkpoints");
  }

  async readCheckpoint(seq: Seq): Promise<Checkpoint | undefined> {
    const key = keyOf("checkpoints", seq);
    const bytes = await this.#getIfThere(key);
    return bytes === undefined ? undefined : decodeCheckpoint(bytes, this.#sourceOf(key));
  }

  /** Nodes that checkpoint at the same seq have the same image. */
  async putCheckpoint(checkpoint: Checkpoint): Promise<void> {
    await this.#store.putIfAbsent(keyOf("checkpoints", checkpoint.seq), encodeCheckpoint(checkpoint));
  }

  async forget({ checkpoints, upTo }: Parameters<Slots["forget"]>[0]): Promise<void> {
    const due = (await this.#seqs("log")).filter((seq) => (this.#blockOf(seq) + 1) * this.#blockEntries <= upTo);
    for (const block of new Set(due.map((seq) => this.#blockOf(seq)))) await this.#mark(block);
    const keys = [...due.map((seq) => keyOf("log", seq)), ...checkpoints.map((seq) => keyOf("checkpoints", seq))];
    if (keys.length > 0) await this.#store.delete(keys);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closesStore) await this.#store[Symbol.asyncDispose]();
  }

  async #get(seq: Seq): Promise<ChainedEntry | undefined> {
    const key = keyOf("log", seq);
    const bytes = await this.#getIfThere(key);
    return bytes === undefined ? undefined : decodeSlot(bytes, seq, this.#sourceOf(key));
  }

  async #getIfThere(key: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#store.get(key);
    } catch (cause) {
      if (cause instanceof ObjectMissing) return undefined;
      throw cause;
    }
  }

  /** Whether the entry before is there, and is the one that this was made for. A bucket may be put back to an older state. */
  async #isJoined(entry: SlotEntry): Promise<boolean> {
    if (entry.seq === 1) return true;
    const before = await this.#get((entry.seq - 1) as Seq);
    return before !== undefined && sameHash(before.hash, entry.previousHash);
  }

  async #mark(block: number): Promise<void> {
    await this.#store.putIfAbsent(keyOf("gone", block), markBody);
  }

  async #isGone(seq: Seq): Promise<boolean> {
    return (await this.#store.head(keyOf("gone", this.#blockOf(seq)))) !== undefined;
  }

  #blockOf(seq: Seq): number {
    return Math.floor((seq - 1) / this.#blockEntries);
  }

  async #seqs(kind: "log" | "checkpoints"): Promise<readonly Seq[]> {
    const seqs: Seq[] = [];
    for await (const { key } of this.#store.list(prefixes[kind])) {
      const seq = Number(key.slice(prefixes[kind].length));
      if (Number.isSafeInteger(seq)) seqs.push(seq as Seq);
    }
    return seqs.sort((a, b) => a - b);
  }

  #sourceOf(key: string): string {
    return `${this.#store.url}/${key}`;
  }
}

/** Of no meaning: the name says all. Not empty, since some stores treat empty objects as folders. */
const markBody = new TextEncoder().encode("gone\n");

function keyOf(kind: keyof typeof prefixes, number: number): string {
  return `${prefixes[kind]}${String(number).padStart(20, "0")}`;
}

function encodeSlot(entry: Uint8Array): readonly Uint8Array[] {
  const head = new ByteWriter();
  head.utf8(slotMagic, slotMagic.length);
  head.uint32(slotVersion);
  head.uint32(crc32c(entry));
  return [head.toBytes(), entry];
}

function decodeSlot(bytes: Uint8Array, seq: Seq, source: string): ChainedEntry {
  const reader = new ByteReader(bytes, { source });
  const magic = reader.utf8(slotMagic.length);
  if (magic !== slotMagic) reader.corrupt("an entry of the metadata log", JSON.stringify(magic));
  const version = reader.uint32();
  if (version !== slotVersion) reader.corrupt(`version ${slotVersion}`, `version ${version}`);
  const expected = reader.uint32();
  const entry = reader.view(reader.remaining);
  const crc = crc32c(entry);
  if (crc !== expected) reader.corrupt(`an entry with CRC ${expected}`, `${crc}`);
  const decoded = decodeEntry(entry, source);
  if (decoded.seq !== seq) reader.corrupt(`entry ${seq}`, `entry ${decoded.seq}`);
  return decoded;
}
