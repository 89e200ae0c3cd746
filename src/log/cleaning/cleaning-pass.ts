/**
 * One way of the cleaner over a partition, in two steps:
 *
 *   index    dirtyFrom ─▶ end      of each key in the dirty part, the newest offset; `end` is where the map is full, or upTo
 *   clean    start ─▶ end          every stored range, oldest first: what changes is replaced, what does not is left alone
 *
 * Each replacement is a commit of its own, and the same way may be taken again from the start: a crash costs work, nothing
 * else. The order matters: a tombstone must not go before the records that it hides, so the pass ends where one is refused.
 */
import type { Slices } from "../../base/async.ts";
import type { Offset, Owned } from "../../base/ids.ts";
import { compressFairly, inflateFairly } from "../../protocol/compression.ts";
import { type BatchChanges, BatchView, rebuildBatch } from "../../protocol/record-batch.ts";
import { RecordCursor } from "../../protocol/records.ts";
import type { Batch, OpenedStream, StoredRange } from "../../stream/storage.ts";
import { markerOf } from "../batch-preparer.ts";
import type { AbortedTransaction } from "../producer-state.ts";
import type { TopicConfig } from "../topic-config.ts";
import { type CleaningRound, emptiedChanges, filterBatch, judgeBatch, markerWithHorizon } from "./clean-batch.ts";
import type { CleaningPlan, CleaningProgress } from "./cleaning-plan.ts";
import { OffsetMap } from "./offset-map.ts";
import { TransactionWalk } from "./transaction-walk.ts";

export interface PassOptions {
  readonly stream: Pick<OpenedStream, "stored" | "scan" | "replace">;
  readonly start: Offset;
  readonly plan: CleaningPlan;
  readonly config: Pick<TopicConfig, "deleteRetentionMs" | "compressionLevels">;
  readonly aborted: readonly AbortedTransaction[];
  readonly isLastOfProducer: CleaningRound["isLastOfProducer"];
  readonly nowMs: number;
  readonly limits: PassLimits;
  readonly slices: Slices;
  /** Waits until so many more bytes may be read. */
  readonly admit: (bytes: number) => Promise<void>;
}

export interface PassLimits {
  readonly keysMax: number;
  /** What is kept of cleaned ranges before it is written; a larger range is read twice instead. */
  readonly bufferBytesMax: number;
  /** Of one batch, decompressed. */
  readonly inflatedBytesMax: number;
}

export interface PassOutcome {
  /** "stale": somebody else replaced a range meanwhile; what was done counts, but the pass must be taken again. */
  readonly kind: "done" | "stale";
  readonly progress: CleaningProgress;
  /** Of these nothing is left below `cleanedTo`. */
  readonly emptied: readonly AbortedTransaction[];
  /** Of the ranges that were replaced, and of what stands in their place. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export async function cleanPartition(options: PassOptions): Promise<PassOutcome> {
  return await new CleaningPass(options).run();
}

/** What a batch has become; undefined bytes when it is gone. */
interface CleanedBatch {
  readonly isChanged: boolean;
  readonly batch: Batch | undefined;
}

class CleaningPass {
  readonly #options: PassOptions;
  #map: OffsetMap | undefined;
  #walk: TransactionWalk;
  #end: Offset;
  #horizonMs = 0;
  #bytesBefore = 0;
  #bytesAfter = 0;

  constructor(options: PassOptions) {
    this.#options = options;
    this.#walk = new TransactionWalk(options.aborted);
    this.#end = options.plan.dirtyFrom;
  }

  async run(): Promise<PassOutcome> {
    await this.#index();
    this.#walk = new TransactionWalk(this.#options.aborted);
    const isDone = await this.#clean();
    return {
      kind: isDone ? "done" : "stale",
      progress: { cleanedTo: this.#end, horizonMs: this.#horizonMs },
      emptied: isDone ? this.#walk.emptied.filter(({ lastOffset }) => lastOffset < this.#end) : [],
      bytesBefore: this.#bytesBefore,
      bytesAfter: this.#bytesAfter,
    };
  }

  async #index(): Promise<void> {
    const { plan, stream } = this.#options;
    const { dirtyFrom, upTo } = plan;
    for (const range of stream.stored()) {
      if (range.to <= dirtyFrom) continue;
      if (range.from >= upTo) return;
      for await (const { bytes } of this.#batches(range)) {
        const batch = new BatchView(bytes);
        if (batch.nextOffset <= dirtyFrom) continue;
        if (batch.nextOffset > upTo || !(await this.#indexBatch(batch))) return;
        this.#end = batch.nextOffset;
      }
      this.#end = Math.min(range.to, upTo) as Offset;
    }
  }

  /** false when the map is full. */
  async #indexBatch(batch: BatchView): Promise<boolean> {
    if (batch.isControl) {
      this.#walk.passMarker(batch, markerOf(batch)?.outcome);
      return true;
    }
    if (this.#walk.passData(batch) || batch.recordCount === 0) return true;
    const { plan, limits, slices } = this.#options;
    // The first batch must fit, whatever the budget: else no pass would ever come further.
    const keysMax = Math.max(batch.recordCount, Math.min(limits.keysMax, plan.upTo - plan.dirtyFrom));
    this.#map ??= new OffsetMap(keysMax);
    return await slices.run(indexRecords(batch, await this.#inflate(batch), plan.dirtyFrom, this.#map));
  }

  /** false when a range was not what it should be any more. */
  async #clean(): Promise<boolean> {
    const { start, stream, limits } = this.#options;
    const buffer = new Rewrite();
    const write = async (): Promise<boolean> => {
      const { ranges, batches } = buffer.take();
      return ranges.length === 0 || (await this.#replace(ranges, eachOf(batches)));
    };
    for (const range of stream.stored()) {
      if (range.to <= start) continue;
      if (range.from >= this.#end) break;
      if (buffer.bytes + range.bytes > limits.bufferBytesMax && !(await write())) return false;
      const left = range.bytes > limits.bufferBytesMax ? undefined : await this.#cleanedWhole(range);
      if (left !== undefined) buffer.add(range, left);
      else if (!(await write())) return false;
      if (range.bytes > limits.bufferBytesMax && !(await this.#cleanLarge(range))) return false;
    }
    return await write();
  }

  /** The range's batches when cleaning changes any of them. */
  async #cleanedWhole(range: StoredRange): Promise<readonly Batch[] | undefined> {
    let isChanged = false;
    const left: Batch[] = [];
    for await (const cleaned of this.#cleaned(range)) {
      isChanged ||= cleaned.isChanged;
      if (cleaned.batch !== undefined) left.push(cleaned.batch);
    }
    return isChanged ? left : undefined;
  }

  /** A range too large to be kept in memory: first it is asked whether anything changes, then it is cleaned as it is written. */
  async #cleanLarge(range: StoredRange): Promise<boolean> {
    const before = this.#walk.copy();
    if (!(await this.#changes(range))) return true;
    this.#walk = before;
    return await this.#replace([range], this.#survivors(range));
  }

  async #replace(ranges: readonly StoredRange[], batches: AsyncIterable<Batch>): Promise<boolean> {
    const answer = await this.#options.stream.replace(ranges, this.#counted(batches));
    for (const range of ranges) this.#bytesBefore += range.bytes;
    return answer === "replaced";
  }

  async *#counted(batches: AsyncIterable<Batch>): AsyncIterable<Batch> {
    for await (const batch of batches) {
      this.#bytesAfter += batch.bytes.length;
      yield batch;
    }
  }

  async #changes(range: StoredRange): Promise<boolean> {
    for await (const { isChanged } of this.#cleaned(range)) if (isChanged) return true;
    return false;
  }

  async *#survivors(range: StoredRange): AsyncIterable<Batch> {
    for await (const { batch } of this.#cleaned(range)) if (batch !== undefined) yield batch;
  }

  async *#cleaned(range: StoredRange): AsyncIterable<CleanedBatch> {
    const { plan, config, nowMs, isLastOfProducer } = this.#options;
    const round: CleaningRound = {
      newest: this.#map ?? noKeys,
      walk: this.#walk,
      isLastOfProducer,
      upTo: plan.upTo,
      nowMs,
      deleteRetentionMs: config.deleteRetentionMs,
    };
    for await (const batch of this.#batches(range)) {
      const cleaned = batch.to > this.#end ? untouched(batch) : await this.#cleanBatch(batch, round);
      const left = cleaned.batch;
      const horizonMs = left === undefined ? undefined : new BatchView(left.bytes).deleteHorizonMs;
      if (horizonMs !== undefined && horizonMs > nowMs) this.#horizonMs = Math.max(this.#horizonMs, horizonMs);
      yield cleaned;
    }
  }

  async #cleanBatch(batch: Batch, round: CleaningRound): Promise<CleanedBatch> {
    const view = new BatchView(batch.bytes);
    const fate = judgeBatch(view, round);
    const filtered =
      fate.kind === "filtered"
        ? await this.#options.slices.run(filterBatch(view, await this.#inflate(view), fate.staysEmpty, round))
        : fate;
    switch (filtered.kind) {
      case "as-is":
        return untouched(batch);
      case "gone":
        return { isChanged: true, batch: undefined };
      case "emptied":
        return await this.#rebuilt(batch, view, emptiedChanges);
      case "horizon-set":
        return await this.#rebuilt(batch, view, markerWithHorizon(view, filtered.horizonMs));
      case "rewritten":
        return await this.#rebuilt(batch, view, filtered.changes);
    }
  }

  /** Compressed as it was. */
  async #rebuilt(batch: Batch, view: BatchView, changes: BatchChanges): Promise<CleanedBatch> {
    const compression = changes.compression ?? view.compression ?? "none";
    const { compressionLevels } = this.#options.config;
    const options = compression === "none" || compression === "snappy" ? {} : { level: compressionLevels[compression] };
    const records = await compressFairly(compression, changes.records, options);
    const bytes = rebuildBatch(view, { ...changes, records }) as Owned;
    const { maxTimestamp } = new BatchView(bytes);
    return { isChanged: true, batch: { from: batch.from, to: batch.to, maxTimestamp, bytes } };
  }

  async *#batches(range: StoredRange): AsyncIterable<Batch> {
    const { stream, admit, slices } = this.#options;
    for await (const batches of stream.scan(range)) {
      await admit(batches.reduce((sum, batch) => sum + batch.bytes.length, 0));
      for (const batch of batches) {
        yield batch;
        await slices.pause();
      }
    }
  }

  #inflate(batch: BatchView): Uint8Array | Promise<Uint8Array> {
    const bytesMax = this.#options.limits.inflatedBytesMax;
    return inflateFairly(batch.compression ?? "none", batch.records, { bytesMax });
  }
}

/** Neighbouring ranges that changed, until they are written as one object. */
class Rewrite {
  #ranges: StoredRange[] = [];
  #batches: Batch[] = [];
  bytes = 0;

  add(range: StoredRange, batches: readonly Batch[]): void {
    this.#ranges.push(range);
    for (const batch of batches) {
      this.#batches.push(batch);
      this.bytes += batch.bytes.length;
    }
  }

  take(): { readonly ranges: readonly StoredRange[]; readonly batches: readonly Batch[] } {
    const taken = { ranges: this.#ranges, batches: this.#batches };
    this.#ranges = [];
    this.#batches = [];
    this.bytes = 0;
    return taken;
  }
}

const noKeys: CleaningRound["newest"] = { get: () => -1 };

function untouched(batch: Batch): CleanedBatch {
  return { isChanged: false, batch };
}

/** false when the map has no room for a key. Offsets of records that it has taken by then are good all the same. */
function* indexRecords(
  batch: BatchView,
  records: Uint8Array,
  dirtyFrom: Offset,
  map: OffsetMap,
): Generator<void, boolean, void> {
  const cursor = new RecordCursor(records, batch.recordCount);
  for (let index = 0; cursor.next(); index += 1) {
    if (index % 256 === 255) yield;
    const offset = (batch.baseOffset + cursor.offsetDelta) as Offset;
    if (cursor.key === null || offset < dirtyFrom) continue;
    if (!map.put(cursor.key, offset)) return false;
  }
  return true;
}

async function* eachOf(batches: readonly Batch[]): AsyncIterable<Batch> {
  yield* batches;
}
