/**
 * State kept as records of an internal topic: append, and replay from the start. For coordinators and the schema registry.
 *
 *   append ──▶ waiting ──▶ one batch ──▶ partition      while `batchesInFlightMax` are on their way, what comes joins the
 *                                                       next batch: memory stays bounded, order is kept, nothing is refused
 *
 * The records of one append share a batch, so they become durable together.
 */
import { assert, OperationFailed } from "../base/errors.ts";
import type { Offset } from "../base/ids.ts";
import type { Clock } from "../base/runtime.ts";
import { inflateFairly } from "../protocol/compression.ts";
import { BatchView } from "../protocol/record-batch.ts";
import { buildBatch, type NewRecord, RecordCursor } from "../protocol/records.ts";
import type { Partition } from "./log.ts";

export interface StateRecord {
  readonly key: Uint8Array;
  /** Null removes the key. */
  readonly value: Uint8Array | null;
}

export interface ReplayedRecord extends StateRecord {
  readonly offset: Offset;
  readonly timestamp: number;
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
  readonly bytes: number;
  readonly resolve: (base: Offset) => void;
  readonly reject: (cause: unknown) => void;
}

export class StateLog {
  readonly #partition: Partition;
  readonly #clock: Clock;
  readonly #limits: StateLogLimits;
  #waiting: Waiting[] = [];
  #inFlight = 0;

  constructor(options: { readonly partition: Partition; readonly clock: Clock; readonly limits?: StateLogLimits }) {
    this.#partition = options.partition;
    this.#clock = options.clock;
    this.#limits = options.limits ?? stateLogLimits;
  }

  /** The offset of the first record, when all are durable. Settles in call order. Rejects with OperationFailed. */
  append(records: readonly StateRecord[]): Promise<Offset> {
    assert(records.length > 0, "an append holds something");
    const timestamp = this.#clock.now();
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        records: records.map(({ key, value }) => ({ timestamp, key, value })),
        bytes: records.reduce((sum, record) => sum + recordBytes(record), 0),
        resolve,
        reject,
      });
      this.#send();
    });
  }

  /** Every record from the log start to what is durable now, in order. The views are good until the next turn. */
  async *replay(): AsyncIterable<ReplayedRecord> {
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

  #send(): void {
    while (this.#inFlight < this.#limits.batchesInFlightMax && this.#waiting.length > 0) {
      let bytes = 0;
      const fits = this.#waiting.findIndex((entry, index) => {
        bytes += entry.bytes;
        return index > 0 && bytes > this.#limits.batchBytesMax;
      });
      const group = this.#waiting.splice(0, fits === -1 ? this.#waiting.length : fits);
      this.#inFlight += 1;
      void this.#write(group);
    }
  }

  async #write(group: readonly Waiting[]): Promise<void> {
    try {
      const batch = buildBatch({ records: group.flatMap(({ records }) => records) });
      const outcome = await this.#partition.append(batch, { origin: "coordinator", apiVersion: newestProduce });
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
      for (const { reject } of group) reject(cause);
    } finally {
      this.#inFlight -= 1;
      this.#send();
    }
  }

  /** A batch may begin before `from`, and cleaning leaves holes. */
  async *#records(batch: BatchView, from: Offset): AsyncIterable<ReplayedRecord> {
    if (batch.isControl) return;
    const { compression } = batch;
    assert(compression !== undefined, "a batch in the log was checked when it was appended");
    const records =
      compression === "none"
        ? batch.records
        : await inflateFairly(compression, batch.records, { bytesMax: this.#limits.inflatedBytesMax });
    const cursor = new RecordCursor(records, batch.recordCount);
    while (cursor.next()) {
      const offset = (batch.baseOffset + cursor.offsetDelta) as Offset;
      if (offset < from || cursor.key === null) continue;
      yield { key: cursor.key, value: cursor.value, offset, timestamp: batch.baseTimestamp + cursor.timestampDelta };
    }
  }
}

function recordBytes({ key, value }: StateRecord): number {
  return recordOverheadBytes + key.length + (value?.length ?? 0);
}
