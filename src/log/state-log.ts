/**
 * State kept as records of an internal topic: append, and replay from the start. For coordinators and the schema registry.
 *
 *   append ──▶ waiting ──▶ one batch ──▶ partition      while `batchesInFlightMax` are on their way, what comes joins the
 *                                                       next batch: memory stays bounded, order is kept, nothing is refused
 *
 * An append that is refused takes with it all that was handed over before that was known: whoever did so took it for granted.
 * The records of one append share a batch, so they become durable together. Those of a transaction have a batch to themselves,
 * under their producer's id, and its marker comes after them: readers of the topic see what a coordinator sees.
 */
import { assert, OperationFailed } from "../base/errors.ts";
import type { Offset } from "../base/ids.ts";
import type { Clock } from "../base/runtime.ts";
import { inflateFairly } from "../protocol/compression.ts";
import { BatchView } from "../protocol/record-batch.ts";
import { buildBatch, buildMarker, type Marker, type NewRecord, RecordCursor } from "../protocol/records.ts";
import { markerOf } from "./batch-preparer.ts";
import type { MarkerRefusal, Partition, TransactionEnd } from "./log.ts";

export interface StateRecord {
  readonly key: Uint8Array;
  /** Null removes the key. */
  readonly value: Uint8Array | null;
  /** Of the append, unless it is said. */
  readonly timestamp?: number;
}

export interface ReplayedRecord extends StateRecord {
  readonly offset: Offset;
  readonly timestamp: number;
  /** Of a record that counts only when its transaction commits. */
  readonly transaction: TransactionOwner | undefined;
}

export type Replayed =
  | ({ readonly kind: "record" } & ReplayedRecord)
  | { readonly kind: "marker"; readonly producerId: number; readonly outcome: Marker["outcome"] };

export interface TransactionOwner {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface StateLogLimits {
  readonly batchesInFlightMax: number;
  /** Records join a batch up to this size; one append that is larger gets a batch of its own. */
  readonly batchBytesMax: number;
  readonly replayBytesMax: number;
  /** Of one batch, decompressed. */
  readonly inflatedBytesMax: number;
}

export const stateLogLimits: StateLogLimits = {
  batchesInFlightMax: 4,
  batchBytesMax: 512 * 1024,
  replayBytesMax: 4 * 1024 * 1024,
  inflatedBytesMax: 64 * 1024 * 1024,
};

/** Version of Produce that allows everything. */
const newestProduce = 13;
/** Lengths, deltas and the header count of a record, at most. */
const recordOverheadBytes = 32;

interface Waiting {
  readonly records: readonly NewRecord[];
  /** A batch that is not shared; undefined lets the records join others. */
  readonly batch: Uint8Array | undefined;
  readonly bytes: number;
  readonly resolve: (base: Offset) => void;
  readonly reject: (cause: unknown) => void;
}

/** Appends that are not settled yet. */
const underWay = new WeakMap<Partition, Set<Promise<Offset>>>();

export class StateLog {
  readonly #partition: Partition;
  readonly #clock: Clock;
  readonly #limits: StateLogLimits;
  #waiting: Waiting[] = [];
  #inFlight = 0;
  #refusals = 0;

  constructor(options: { readonly partition: Partition; readonly clock: Clock; readonly limits?: StateLogLimits }) {
    this.#partition = options.partition;
    this.#clock = options.clock;
    this.#limits = options.limits ?? stateLogLimits;
  }

  /** The offset of the first record, when all are durable. Settles in call order. Rejects with OperationFailed. */
  append(records: readonly StateRecord[], transaction?: TransactionOwner): Promise<Offset> {
    assert(records.length > 0, "an append holds something");
    const now = this.#clock.now();
    const stamped = records.map(({ key, value, timestamp = now }) => ({ timestamp, key, value }));
    const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
    const batch =
      transaction === undefined ? undefined : buildBatch({ ...transaction, isTransactional: true, records: stamped });
    return this.#enqueue({ records: stamped, batch, bytes });
  }

  /** Of `end`, were it called now. */
  endRefusal(marker: TransactionEnd): MarkerRefusal | undefined {
    return this.#partition.markerRefusal(marker);
  }

  /** Whether an append for this producer would be refused now. */
  isFenced(by: TransactionOwner): boolean {
    return this.#partition.isFenced(by);
  }

  /** Ends a producer's transaction after everything that was appended before. Settles as an append does. */
  end(marker: Marker): Promise<Offset> {
    const batch = buildMarker(marker);
    return this.#enqueue({ records: [], batch, bytes: batch.length });
  }

  /** Every record from the log start to what is durable now, in order. The views are good until the next turn. */
  async *replay(): AsyncIterable<ReplayedRecord> {
    for await (const each of this.replayAll()) if (each.kind === "record") yield each;
  }

  /** The same with the ends of transactions between them. */
  async *replayAll(): AsyncIterable<Replayed> {
    // A former log of the partition, given up, may have left some: what becomes of them is in the log, and cleaning counts on it.
    await Promise.allSettled(underWay.get(this.#partition) ?? new Set<Promise<Offset>>());
    const end = this.#partition.highWatermark;
    for (let from = this.#partition.logStart; from < end; ) {
      const read = await this.#partition.read({
        from,
        bytesMax: this.#limits.replayBytesMax,
        atLeastOne: true,
        isolation: "read-uncommitted",
      });
      if (read.kind === "closed")
        throw new OperationFailed("the partition closed during the replay", { happened: "no" });
      if (read.kind === "out-of-range") {
        assert(this.#partition.logStart > from, "only a moved start puts a replay out of range");
        from = this.#partition.logStart;
        continue;
      }
      for (const bytes of read.batches) yield* this.#records(new BatchView(bytes), from);
      if (read.next === from) return;
      from = read.next;
    }
  }

  #enqueue(entry: Omit<Waiting, "resolve" | "reject">): Promise<Offset> {
    const written = new Promise<Offset>((resolve, reject) => {
      this.#waiting.push({ ...entry, resolve, reject });
      this.#send();
    });
    const all = underWay.get(this.#partition) ?? new Set();
    underWay.set(this.#partition, all.add(written));
    const settled = (): boolean => all.delete(written);
    written.then(settled, settled);
    return written;
  }

  #send(): void {
    while (this.#inFlight < this.#limits.batchesInFlightMax && this.#waiting.length > 0) {
      let bytes = 0;
      const fits = this.#waiting.findIndex((entry, index) => {
        bytes += entry.bytes;
        const isAlone = entry.batch !== undefined || this.#waiting[0]?.batch !== undefined;
        return index > 0 && (isAlone || bytes > this.#limits.batchBytesMax);
      });
      const group = this.#waiting.splice(0, fits === -1 ? this.#waiting.length : fits);
      this.#inFlight += 1;
      void this.#write(group);
    }
  }

  async #write(group: readonly Waiting[]): Promise<void> {
    const refusals = this.#refusals;
    const isWanted = (): boolean => this.#refusals === refusals;
    try {
      const batch = group[0]?.batch ?? buildBatch({ records: group.flatMap(({ records }) => records) });
      const outcome = await this.#partition.append(batch, {
        origin: "coordinator",
        apiVersion: newestProduce,
        isWanted,
      });
      if (outcome.kind === "rejected") {
        throw new OperationFailed(`${this.#partition.topic}-${this.#partition.index} refused: ${outcome.detail}`, {
          happened: "no",
        });
      }
      let base = outcome.baseOffset;
      for (const { records, resolve } of group) {
        resolve(base);
        base = (base + records.length) as Offset;
      }
    } catch (cause) {
      const resting = isWanted() ? this.#waiting.splice(0) : [];
      if (isWanted()) this.#refusals += 1;
      for (const { reject } of group) reject(cause);
      const late = new OperationFailed("an append before it was refused", { happened: "no", cause });
      for (const { reject } of resting) reject(late);
    } finally {
      this.#inFlight -= 1;
      this.#send();
    }
  }

  /** A batch may begin before `from`, and cleaning leaves holes. */
  async *#records(batch: BatchView, from: Offset): AsyncIterable<Replayed> {
    if (batch.isControl) {
      const marker = markerOf(batch);
      if (marker !== undefined) yield { kind: "marker", producerId: marker.producerId, outcome: marker.outcome };
      return;
    }
    const { compression, producerId, producerEpoch } = batch;
    const transaction = batch.isTransactional ? { producerId, producerEpoch } : undefined;
    assert(compression !== undefined, "a batch in the log was checked when it was appended");
    const records =
      compression === "none"
        ? batch.records
        : await inflateFairly(compression, batch.records, { bytesMax: this.#limits.inflatedBytesMax });
    const cursor = new RecordCursor(records, batch.recordCount);
    while (cursor.next()) {
      const offset = (batch.baseOffset + cursor.offsetDelta) as Offset;
      if (offset < from || cursor.key === null) continue;
      const timestamp = batch.baseTimestamp + cursor.timestampDelta;
      yield { kind: "record", key: cursor.key, value: cursor.value, offset, timestamp, transaction };
    }
  }
}

function recordBytes({ key, value }: StateRecord): number {
  return recordOverheadBytes + key.length + (value?.length ?? 0);
}
