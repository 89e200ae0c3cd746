/**
 * What a partition knows about the producers that wrote to it: enough to answer a retried batch with its first answer, to
 * refuse a gap, and to say which transactions are open or were aborted (kafka.md 5.2 and 5.3). No clock, no I/O: the same
 * batches in the same order give the same state, which is what replay after a restart relies on.
 */
import type { Offset } from "../base/ids.ts";
import type { MarkerRefusal } from "./log.ts";

/** The part of a batch header that matters here. */
export interface ProducerBatch {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  /** Last offset minus base offset; the last sequence follows from it. */
  readonly lastOffsetDelta: number;
  readonly maxTimestamp: number;
  readonly isTransactional: boolean;
}

/** A batch in the log. */
export interface PlacedBatch {
  readonly baseOffset: Offset;
  readonly producerId: number;
  readonly isTransactional: boolean;
  readonly isControl: boolean;
}

/** A control batch that ends a transaction. */
export interface TransactionMarker {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly coordinatorEpoch: number;
  readonly outcome: "commit" | "abort";
  readonly timestamp: number;
  /** As in TransactionEnd; what comes from the log has none. */
  readonly transactionVersion?: number | undefined;
}

export type ProducerCheck =
  | { readonly kind: "next" }
  /** Already appended: answer as the first time, once `lastOffset` is durable. */
  | { readonly kind: "duplicate"; readonly baseOffset: Offset; readonly lastOffset: Offset; readonly timestamp: number }
  | ProducerRefusal;

export interface ProducerRefusal<
  Reason = "out-of-order-sequence" | "stale-producer-epoch" | "invalid-transaction-state" | "coordinator-fenced",
> {
  readonly kind: "refused";
  readonly reason: Reason;
  readonly detail: string;
}

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: Offset;
  /** Of the abort marker. */
  readonly lastOffset: Offset;
  /** The last stable offset right after the marker: no later entry of the list begins below it. */
  readonly lastStable: Offset;
}

/** One producer, as kept and as written into the sidecar. */
export interface ProducerEntry {
  readonly producerId: number;
  /** -1 until the first batch. */
  epoch: number;
  /** -1 until the first marker. */
  coordinatorEpoch: number;
  /** Of the newest batch, as its records say; -1 when none. */
  lastTimestamp: number;
  /** Wall clock of the newest append: expiry goes by this, because record timestamps may be years old (a backfill). */
  touchedAtMs: number;
  /** First offset of the open transaction, -1 when none is open. */
  transactionStart: number;
  /** Oldest first; at most windowBatches. */
  readonly window: BatchWindow;
}

/** Kafka keeps five: a client that wants idempotence has at most five requests in flight. */
export const windowBatches = 5;
/** Sequences are int32 and wrap from here to 0. */
const sequenceMax = 2 ** 31 - 1;
/** Epochs are int16. */
const epochMax = 2 ** 15 - 1;
const next: ProducerCheck = { kind: "next" };

/** The last batches of one producer, four numbers each, in one array: appending allocates nothing. */
export class BatchWindow {
  //  per batch: base sequence, last offset delta, base offset, timestamp
  readonly #slots = new Float64Array(windowBatches * 4);
  #count = 0;
  #newest = windowBatches - 1;

  get count(): number {
    return this.#count;
  }

  add(baseSequence: number, lastOffsetDelta: number, baseOffset: number, timestamp: number): void {
    this.#newest = (this.#newest + 1) % windowBatches;
    if (this.#count < windowBatches) this.#count += 1;
    const at = this.#newest * 4;
    this.#slots[at] = baseSequence;
    this.#slots[at + 1] = lastOffsetDelta;
    this.#slots[at + 2] = baseOffset;
    this.#slots[at + 3] = timestamp;
  }

  clear(): void {
    this.#count = 0;
  }

  /** -1 when empty. */
  get lastSequence(): number {
    if (this.#count === 0) return -1;
    const at = this.#newest * 4;
    return sequenceAfter(this.#slots[at] as number, this.#slots[at + 1] as number);
  }

  /** Of the newest batch; -1 when empty. */
  get lastOffset(): number {
    if (this.#count === 0) return -1;
    const at = this.#newest * 4;
    return (this.#slots[at + 2] as number) + (this.#slots[at + 1] as number);
  }

  /** The batch with exactly these sequences. */
  find(baseSequence: number, lastOffsetDelta: number): ProducerCheck | undefined {
    for (let back = 0; back < this.#count; back += 1) {
      const at = ((this.#newest - back + windowBatches) % windowBatches) * 4;
      if (this.#slots[at] !== baseSequence || this.#slots[at + 1] !== lastOffsetDelta) continue;
      const baseOffset = this.#slots[at + 2] as number;
      return {
        kind: "duplicate",
        baseOffset: baseOffset as Offset,
        lastOffset: (baseOffset + lastOffsetDelta) as Offset,
        timestamp: this.#slots[at + 3] as number,
      };
    }
    return undefined;
  }

  /** Four numbers a batch, oldest first, in the order of `add`. */
  *batches(): Iterable<
    readonly [baseSequence: number, lastOffsetDelta: number, baseOffset: number, timestamp: number]
  > {
    for (let back = this.#count - 1; back >= 0; back -= 1) {
      const at = ((this.#newest - back + windowBatches) % windowBatches) * 4;
      const [baseSequence, delta, baseOffset, timestamp] = this.#slots.subarray(at, at + 4);
      yield [baseSequence as number, delta as number, baseOffset as number, timestamp as number];
    }
  }
}

/** The sequence `count` after this one; Int32.MAX is followed by 0. */
function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % (sequenceMax + 1);
}

export class ProducerState {
  readonly #producers = new Map<number, ProducerEntry>();
  /** Producer id → first offset. Transactions begin at growing offsets, so the first entry is the oldest. */
  readonly #open = new Map<number, number>();
  /** Ended, but the marker may not be durable yet: readers must not pass `firstOffset` before it is. In marker order. */
  #ended: { readonly firstOffset: number; readonly marker: number }[] = [];
  /** In marker order. */
  #aborted: AbortedTransaction[] = [];
  #forgotten = 0;
  readonly #producersMax: number;

  constructor(limits: { readonly producersMax: number }) {
    this.#producersMax = limits.producersMax;
  }

  /** Whether a client's batch may be appended now. Changes nothing. `beginsAtZero`: as in AppendOptions. */
  check(batch: ProducerBatch, beginsAtZero = false): ProducerCheck {
    const entry = this.#producers.get(batch.producerId);
    if (entry === undefined) {
      if (!beginsAtZero || batch.baseSequence === 0) return next; // Expired or new: Kafka takes any sequence.
      // A batch before it was refused, perhaps while the coordinator was loading, and comes again: it would be too late.
      return refused("out-of-order-sequence", `producer ${batch.producerId} begins with ${batch.baseSequence}, not 0`);
    }
    if (batch.producerEpoch === entry.epoch) {
      const duplicate = entry.window.find(batch.baseSequence, batch.lastOffsetDelta);
      if (duplicate !== undefined) return duplicate;
    }
    return (
      refuseEpoch(batch.producerEpoch, entry) ?? refuseSequence(batch, entry) ?? refuseMixing(batch, entry) ?? next
    );
  }

  /** Whether a batch that the coordinator wrote under a client's producer id may be appended: it has no sequence. */
  checkEpoch(batch: Pick<ProducerBatch, "producerId" | "producerEpoch">): ProducerRefusal | undefined {
    const entry = this.#producers.get(batch.producerId);
    return entry === undefined ? undefined : refuseEpoch(batch.producerEpoch, entry);
  }

  checkMarker(marker: TransactionMarker): ProducerRefusal<MarkerRefusal> | undefined {
    const entry = this.#producers.get(marker.producerId);
    if (entry === undefined) return undefined;
    const refusal = refuseEpoch(marker.producerEpoch, entry) ?? refuseLate(marker, entry);
    if (refusal !== undefined || marker.coordinatorEpoch >= entry.coordinatorEpoch) return refusal;
    return refused("coordinator-fenced", `coordinator epoch ${marker.coordinatorEpoch} < ${entry.coordinatorEpoch}`);
  }

  /** Remembers a batch that was given `baseOffset`. Its check has passed, or it comes from the log. */
  append(batch: ProducerBatch, baseOffset: Offset, nowMs: number): void {
    const entry = this.#entry(batch.producerId);
    if (entry.epoch !== batch.producerEpoch) {
      entry.epoch = batch.producerEpoch;
      entry.window.clear();
    }
    // Batches of a coordinator carry no sequence (-1): there is nothing to recognise a repeat by.
    if (batch.baseSequence >= 0) {
      entry.window.add(batch.baseSequence, batch.lastOffsetDelta, baseOffset, batch.maxTimestamp);
    }
    entry.lastTimestamp = batch.maxTimestamp;
    entry.touchedAtMs = nowMs;
    if (batch.isTransactional && entry.transactionStart < 0) {
      entry.transactionStart = baseOffset;
      this.#open.set(batch.producerId, baseOffset);
    }
  }

  /** Ends the producer's transaction, if one is open, with the marker at `offset`. */
  end(marker: TransactionMarker, offset: Offset, nowMs: number): void {
    const entry = this.#entry(marker.producerId);
    const firstOffset = entry.transactionStart;
    if (entry.epoch !== marker.producerEpoch) {
      entry.epoch = marker.producerEpoch;
      entry.window.clear();
    }
    entry.coordinatorEpoch = marker.coordinatorEpoch;
    entry.lastTimestamp = marker.timestamp;
    entry.touchedAtMs = nowMs;
    entry.transactionStart = -1;
    if (firstOffset < 0) return;
    this.#open.delete(marker.producerId);
    this.#ended.push({ firstOffset, marker: offset });
    if (marker.outcome === "commit") return;
    const lastStable = (this.#oldestOpen() ?? offset + 1) as Offset;
    this.#aborted.push({
      producerId: marker.producerId,
      firstOffset: firstOffset as Offset,
      lastOffset: offset,
      lastStable,
    });
  }

  /**
   * The first offset that a read-committed reader must not see yet, given what is durable; undefined when there is none.
   * A transaction counts until its marker is durable.
   */
  firstUnstable(highWatermark: number): number | undefined {
    if (this.#ended.length > 0) this.#ended = this.#ended.filter((ended) => ended.marker >= highWatermark);
    let first = this.#oldestOpen();
    for (const ended of this.#ended) if (first === undefined || ended.firstOffset < first) first = ended.firstOffset;
    return first;
  }

  /** Transactions aborted within [from, upTo) or reaching into it, by first offset. */
  abortedBetween(from: number, upTo: number): readonly AbortedTransaction[] {
    if (this.#aborted.length === 0) return [];
    const found: AbortedTransaction[] = [];
    for (let at = this.#firstAbortedEndingAtOrAfter(from); at < this.#aborted.length; at += 1) {
      const aborted = this.#aborted[at] as AbortedTransaction;
      if (aborted.firstOffset < upTo) found.push(aborted);
      if (aborted.lastStable >= upTo) break;
    }
    return found.sort((a, b) => a.firstOffset - b.firstOffset);
  }

  /**
   * Of the transactions aborted within [from, upTo) or reaching into it, those that the batches hold records of: cleaning
   * takes the records away and at last the marker too, and whom nothing ends must not be begun.
   */
  abortedIn(batches: () => readonly PlacedBatch[], from: number, upTo: number): readonly AbortedTransaction[] {
    const found = this.abortedBetween(from, upTo);
    if (found.length === 0) return found;
    const data = batches().filter((batch) => batch.isTransactional && !batch.isControl);
    const isIn = (batch: PlacedBatch, aborted: AbortedTransaction): boolean =>
      batch.producerId === aborted.producerId &&
      batch.baseOffset >= aborted.firstOffset &&
      batch.baseOffset < aborted.lastOffset;
    return found.filter((aborted) => data.some((batch) => isIn(batch, aborted)));
  }

  /** Grows when aborted transactions are forgotten that readers may still hold records of. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Forgets aborted transactions that were cleaned away. */
  forgetAborted(transactions: readonly AbortedTransaction[]): void {
    if (transactions.length === 0) return;
    const gone = new Set(transactions);
    this.#aborted = this.#aborted.filter((aborted) => !gone.has(aborted));
    this.#forgotten += 1;
  }

  /** Whether the batch is the last that a producer is remembered by: its last data or, where there is none, its marker. */
  isLastOfProducer(batch: PlacedBatch & Pick<ProducerBatch, "producerEpoch" | "lastOffsetDelta">): boolean {
    const entry = this.#producers.get(batch.producerId);
    if (entry === undefined) return false;
    const { lastOffset } = entry.window;
    if (lastOffset >= 0) return batch.baseOffset + batch.lastOffsetDelta === lastOffset;
    return batch.isControl && batch.producerEpoch === entry.epoch;
  }

  /** Forgets aborted transactions that end below the log start. Producers stay until they expire (KIP-360). */
  forgetBelow(logStart: number): void {
    const keepFrom = this.#firstAbortedEndingAtOrAfter(logStart);
    if (keepFrom > 0) this.#aborted = this.#aborted.slice(keepFrom);
  }

  /** Forgets producers that have been idle since before this time, never one with an open transaction. */
  expire(touchedBeforeMs: number): number {
    let expired = 0;
    for (const entry of this.#producers.values()) {
      if (entry.touchedAtMs >= touchedBeforeMs || entry.transactionStart >= 0) continue;
      this.#producers.delete(entry.producerId);
      expired += 1;
    }
    return expired;
  }

  producers(): Iterable<ProducerEntry> {
    return this.#producers.values();
  }

  aborted(): readonly AbortedTransaction[] {
    return this.#aborted;
  }

  /** Takes back what a sidecar kept. Open transactions must come in the order in which they began. */
  restore(producers: readonly ProducerEntry[], aborted: readonly AbortedTransaction[]): void {
    for (const entry of producers) this.#producers.set(entry.producerId, entry);
    const open = producers.filter((entry) => entry.transactionStart >= 0);
    open.sort((a, b) => a.transactionStart - b.transactionStart);
    for (const entry of open) this.#open.set(entry.producerId, entry.transactionStart);
    this.#aborted = [...aborted];
  }

  #entry(producerId: number): ProducerEntry {
    const known = this.#producers.get(producerId);
    if (known !== undefined) return known;
    if (this.#producers.size >= this.#producersMax) this.#evict();
    const entry = newProducer(producerId);
    this.#producers.set(producerId, entry);
    return entry;
  }

  /** Makes room for a tenth of the bound at once, least recently used first, so that the sort is rare. */
  #evict(): void {
    const idle = [...this.#producers.values()].filter((entry) => entry.transactionStart < 0);
    idle.sort((a, b) => a.touchedAtMs - b.touchedAtMs);
    for (const entry of idle.slice(0, Math.ceil(this.#producersMax / 10))) this.#producers.delete(entry.producerId);
  }

  #oldestOpen(): number | undefined {
    for (const firstOffset of this.#open.values()) return firstOffset;
    return undefined;
  }

  #firstAbortedEndingAtOrAfter(offset: number): number {
    let low = 0;
    let high = this.#aborted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#aborted[middle] as AbortedTransaction).lastOffset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export function newProducer(producerId: number): ProducerEntry {
  return {
    producerId,
    epoch: -1,
    coordinatorEpoch: -1,
    lastTimestamp: -1,
    touchedAtMs: 0,
    transactionStart: -1,
    window: new BatchWindow(),
  };
}

function refuseEpoch(epoch: number, entry: ProducerEntry): ProducerRefusal<"stale-producer-epoch"> | undefined {
  if (epoch >= entry.epoch) return undefined;
  return refused(
    "stale-producer-epoch",
    `producer ${entry.producerId} is at epoch ${entry.epoch}, the batch at ${epoch}`,
  );
}

/** The epoch after the last does not exist: there the marker has the epoch of what it ends. */
function refuseLate(
  { producerEpoch, transactionVersion = 0 }: TransactionMarker,
  entry: ProducerEntry,
): ProducerRefusal<"stale-producer-epoch"> | undefined {
  const isOwnEpoch = producerEpoch === entry.epoch && producerEpoch < epochMax;
  if (transactionVersion < 2 || !isOwnEpoch || entry.transactionStart < 0) return undefined;
  const detail = `producer ${entry.producerId} has a transaction open under epoch ${producerEpoch}, which began after the marker`;
  return refused("stale-producer-epoch", detail);
}

function refuseSequence(batch: ProducerBatch, entry: ProducerEntry): ProducerRefusal | undefined {
  if (batch.producerEpoch !== entry.epoch) {
    if (batch.baseSequence === 0) return undefined;
    return refused("out-of-order-sequence", `the first sequence of a new epoch is ${batch.baseSequence}, not 0`);
  }
  // With an empty window (the epoch came from a marker) the last sequence is -1, and only 0 follows.
  const expected = sequenceAfter(entry.window.lastSequence, 1);
  if (batch.baseSequence === expected) return undefined;
  const detail = `producer ${entry.producerId} sent sequence ${batch.baseSequence}, expected ${expected}`;
  return refused("out-of-order-sequence", detail);
}

function refuseMixing(batch: ProducerBatch, entry: ProducerEntry): ProducerRefusal | undefined {
  if (batch.isTransactional || entry.transactionStart < 0) return undefined;
  const detail = `producer ${entry.producerId} has an open transaction and sent a batch outside of it`;
  return refused("invalid-transaction-state", detail);
}

function refused<Reason extends ProducerRefusal["reason"]>(reason: Reason, detail: string): ProducerRefusal<Reason> {
  return { kind: "refused", reason, detail };
}
