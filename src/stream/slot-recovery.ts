/**
 * Reads one WAL in the object store to its end, and makes that the end for good:
 *
 *   | slot | slot | slot | seal | slot | absent ...
 *     what was acked       │      written, never acked: the writer acks no slot above one that is missing
 *                          └ put here if absent; the writer, should it still live, finds it in its place and has lost
 *
 * Slots are durable at once or not at all, so a missing one was either never acked, or is lost. The slots above tell: each
 * says how far all was durable when it was written, and the writer goes no further ahead than it promised in the log.
 */
import { CorruptData, OperationFailed } from "../base/errors.ts";
import { type NodeId, type Uuid, uuidRandom, uuidZero } from "../base/ids.ts";
import type { WalInfo } from "../metadata/image.ts";
import { ObjectMissing, type ObjectStore } from "../object-store/object-store.ts";
import type { ObjectOrigin } from "./object-format.ts";
import { type PersistOptions, persist } from "./persist.ts";
import {
  type DecodedSlot,
  decodeSlot,
  decodeSlotHead,
  encodeSeal,
  keyOfSlot,
  type SlotHead,
  type SlotName,
  slotHeadBytes,
} from "./slot-format.ts";

export interface SlotRecoveryOptions extends PersistOptions {
  readonly store: Pick<ObjectStore, "get" | "putIfAbsent">;
  /** Who seals. */
  readonly origin: ObjectOrigin;
  /** Whose WAL it is. */
  readonly node: NodeId;
  readonly wal: WalInfo;
}

/** Visits the slots from the first that is needed up to the seal. The bytes are the visitor's to keep. */
export async function recoverSlots(
  options: SlotRecoveryOptions,
  visit: (slot: DecodedSlot) => void,
): Promise<{ readonly sealedAt: number }> {
  const { wal } = options;
  const reader = new SlotReader(options);
  const barrier = new Barrier(options);
  let previous: Uuid | undefined;
  for (let seq = wal.slot; ; seq += 1) {
    let slot = await reader.read(seq);
    if (slot === undefined) {
      await refuseLoss(options, reader, seq);
      if (await putSeal(options, seq)) return { sealedAt: seq };
      slot = await reader.readAgain(seq); // The writer was faster.
      await barrier.wasOvertaken(seq);
    }
    if (slot.head.kind === "seal") return { sealedAt: seq };
    requireLink(slot.head, previous ?? (seq === 0 ? uuidZero : undefined));
    previous = slot.head.hash;
    visit(slot);
  }
}

/** Reads slots in order, a few ahead. */
class SlotReader {
  readonly #options: SlotRecoveryOptions;
  readonly #ahead = new Map<number, Promise<DecodedSlot | undefined>>();

  constructor(options: SlotRecoveryOptions) {
    this.#options = options;
  }

  /** Undefined when there was no such slot a moment ago. */
  read(seq: number): Promise<DecodedSlot | undefined> {
    for (let next = seq; next < seq + slotsReadAhead; next += 1) {
      if (this.#ahead.has(next)) continue;
      const reading = this.#fetch(next);
      reading.catch(() => undefined); // Whoever gets there sees it.
      this.#ahead.set(next, reading);
    }
    const reading = this.#ahead.get(seq) as Promise<DecodedSlot | undefined>;
    this.#ahead.delete(seq);
    return reading.then((slot) => slot ?? this.#fetch(seq)); // It may have been read before the one below it was there.
  }

  /** A slot that is known to be there. */
  async readAgain(seq: number): Promise<DecodedSlot> {
    const slot = await this.#fetch(seq);
    if (slot !== undefined) return slot;
    throw new OperationFailed(`slot ${seq} was there, and is not`, { happened: "no" });
  }

  async #fetch(seq: number): Promise<DecodedSlot | undefined> {
    const name = nameOf(this.#options, seq);
    const bytes = await getIfThere(this.#options, name);
    return bytes === undefined ? undefined : decodeSlot(bytes, name);
  }
}

const slotsReadAhead = 4;

/**
 * Stops a writer that is alive and faster than who seals: a seal further ahead than it has got, found by doubling. All below
 * it is then read, or sealed, in finitely many steps.
 */
class Barrier {
  readonly #options: SlotRecoveryOptions;
  #at = -1;
  #ahead: number;

  constructor(options: SlotRecoveryOptions) {
    this.#options = options;
    this.#ahead = options.wal.slotsInFlightMax;
  }

  async wasOvertaken(seq: number): Promise<void> {
    if (this.#at > seq) return;
    for (let attempt = 0; attempt < barriersMax; attempt += 1) {
      this.#ahead *= 2;
      this.#at = seq + this.#ahead;
      if (await putSeal(this.#options, this.#at)) return;
    }
    throw new OperationFailed("the writer of the WAL is faster than who seals it", { happened: "no" });
  }
}

/** 2^16 times the slots in flight ahead of the writer: nobody is that fast. */
const barriersMax = 16;

/** Whether the seal is ours. */
async function putSeal(options: SlotRecoveryOptions, seq: number): Promise<boolean> {
  const name = nameOf(options, seq);
  const key = keyOfSlot(name);
  const id = uuidRandom(options.runtime.random);
  const bytes = encodeSeal(options.origin, name, id);
  return await persist(
    `seal ${key}`,
    async () => {
      const created = await options.store.putIfAbsent(key, bytes);
      if (created.kind === "created") return true;
      const head = await options.store.get(key, { start: 0, end: slotHeadBytes });
      return decodeSlotHead(head, name).id === id; // An earlier attempt of ours, whose answer got lost.
    },
    options,
  );
}

/** Throws when a slot above proves that the missing one was durable. */
async function refuseLoss(options: SlotRecoveryOptions, reader: SlotReader, seq: number): Promise<void> {
  const above = Array.from({ length: options.wal.slotsInFlightMax }, (_, i) => nameOf(options, seq + 1 + i));
  for (const head of await Promise.all(above.map((name) => readHead(options, name)))) {
    if (head === undefined || head.kind === "seal" || head.durable <= seq) continue;
    if ((await reader.read(seq)) !== undefined) return; // Its writer is alive: all three came while we looked.
    const expected = `slot ${seq}, which slot ${head.seq} proves to have been durable`;
    throw new CorruptData({ source: keyOfSlot(nameOf(options, seq)), position: 0, expected, found: "no such slot" });
  }
}

async function readHead(options: SlotRecoveryOptions, name: SlotName): Promise<SlotHead | undefined> {
  const bytes = await getIfThere(options, name, { start: 0, end: slotHeadBytes });
  return bytes === undefined ? undefined : decodeSlotHead(bytes, name);
}

function getIfThere(
  options: SlotRecoveryOptions,
  name: SlotName,
  range?: { readonly start: number; readonly end: number },
): Promise<Uint8Array | undefined> {
  const key = keyOfSlot(name);
  const read = async (): Promise<Uint8Array | undefined> => {
    try {
      return await options.store.get(key, range);
    } catch (cause) {
      if (cause instanceof ObjectMissing) return undefined;
      throw cause;
    }
  };
  return persist(`read ${key}`, read, options);
}

function requireLink(head: SlotHead, previous: Uuid | undefined): void {
  if (previous === undefined || head.previous === previous) return;
  throw new CorruptData({
    source: keyOfSlot(head),
    position: 0,
    expected: `a slot after ${previous}`,
    found: head.previous,
  });
}

function nameOf({ node, wal }: SlotRecoveryOptions, seq: number): SlotName {
  return { node, epoch: wal.epoch, seq };
}
