/** One stream as its writer sees it. */
import { assert, Closed, CorruptData, OperationFailed, RangeUnreadable } from "../base/errors.ts";
import type { Offset, Owned, StreamId } from "../base/ids.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { Generation, LogCache, SpilledRead } from "./log-cache.ts";
import type { ObjectReader, PartRequest } from "./object-reader.ts";
import type { RangeRewriter } from "./range-rewriter.ts";
import type { CachedBatch } from "./spilled-run.ts";
import type {
  Batch,
  OpenedStream,
  OpenOptions,
  RangeSummary,
  ReadRequest,
  ReadResult,
  StoredRange,
} from "./storage.ts";
import type { Wal, WalEntry, WalPlace, WalPosition } from "./wal.ts";
import type { WalGroups } from "./wal-groups.ts";

/** What all streams share. */
export interface StreamDeps {
  readonly cache: LogCache;
  readonly reader: ObjectReader;
  readonly rewriter: RangeRewriter;
  readonly metadata: MetadataClient;
  readonly wal: Wal;
  readonly walGroups: WalGroups;
  /** Told of what turned out to be missing or corrupt. */
  readonly unreadable: (range: RangeUnreadable) => void;
  /** Called after each append. Must not cut a generation before the caller has returned. */
  readonly appended: () => void;
  readonly failed: (cause: unknown) => void;
  /** Resolves when a committed sidecar of the stream speaks for everything before the offset. */
  readonly remember: (stream: WritableStream, upTo: Offset) => Promise<void>;
  readonly isAdmitting: () => boolean;
  readonly admitted: () => Promise<void>;
}

/** Offsets of a stream in this process. Outlives its opening: recovery knows streams that nobody has opened yet. */
export interface StreamEnds {
  /** After the last batch enqueued. */
  enqueued: Offset;
  /** After the last durable batch. Never above `enqueued`. */
  durable: Offset;
}

export class WritableStream implements OpenedStream {
  readonly id: StreamId;
  readonly options: OpenOptions;
  readonly sidecar: OpenedStream["sidecar"];
  readonly #epoch: number;
  readonly #ends: StreamEnds;
  readonly #deps: StreamDeps;
  #isClosed = false;
  #isReplayed = false;
  /** Up to where the newest committed sidecar speaks. */
  #rememberedTo: Offset;

  constructor(options: {
    readonly id: StreamId;
    readonly epoch: number;
    readonly ends: StreamEnds;
    readonly sidecar: OpenedStream["sidecar"];
    readonly options: OpenOptions;
    readonly deps: StreamDeps;
  }) {
    this.id = options.id;
    this.options = options.options;
    this.sidecar = options.sidecar;
    this.#epoch = options.epoch;
    this.#ends = options.ends;
    this.#deps = options.deps;
    this.#rememberedTo = options.sidecar?.upTo ?? (0 as Offset);
  }

  get start(): Offset {
    return this.#deps.metadata.image.stream(this.id)?.start ?? this.#ends.durable;
  }

  get end(): Offset {
    return this.#ends.durable;
  }

  get enqueuedEnd(): Offset {
    return this.#ends.enqueued;
  }

  /** Whether the owner has all its state: it appends, trims and replaces only after it has replayed what it found at open. */
  get isReplayed(): boolean {
    return this.#isReplayed;
  }

  replayed(): void {
    this.#isReplayed = true;
  }

  get rememberedTo(): Offset {
    return this.#rememberedTo;
  }

  remembered(upTo: Offset): void {
    this.#rememberedTo = upTo;
  }

  get admission(): "admitted" | "backoff" {
    return this.#deps.isAdmitting() ? "admitted" : "backoff";
  }

  admitted(): Promise<void> {
    return this.#deps.admitted();
  }

  append(batch: Batch): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Closed(`stream ${this.id}`));
    const after = this.#ends.enqueued;
    assert(batch.from >= after, "a batch begins at or after the end of the batch before");
    assert(batch.to > batch.from, "a batch covers at least one offset");
    this.#isReplayed = true;
    this.#ends.enqueued = batch.to;
    return new Promise((resolve, reject) => {
      const { cache, wal, appended, failed } = this.#deps;
      const { label } = this.options;
      const place = { stream: this.id, epoch: this.#epoch, label, after, ends: this.#ends, generation: cache.open };
      const pending = new PendingBatch(batch, place, resolve, (cause) => {
        reject(cause);
        failed(cause);
      });
      cache.add(this.id, after, pending);
      wal.append(pending);
      appended();
    });
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const batches: Batch[] = [];
    let bytes = 0;
    let next = Math.max(request.from, this.start) as Offset;
    for (;;) {
      this.#refuseWhenClosed();
      const to = Math.min(request.to, this.#ends.durable) as Offset;
      if (next >= to) return { batches, next };
      const bytesMax = request.bytesMax - bytes;
      const rest = { from: next, to, bytesMax, borrow: request.borrow, mayBeEmpty: batches.length > 0 };
      const part = await this.#readPart(rest).catch((cause: unknown) => {
        // There is something to give out before what cannot be read; who reads on is told.
        if (batches.length > 0 && cause instanceof OperationFailed) return undefined;
        throw cause;
      });
      if (part === undefined) return { batches, next };
      for (const batch of part.batches as readonly Batch[]) {
        if (batches.length > 0 && bytes + batch.bytes.length > request.bytesMax) return { batches, next };
        batches.push(batch);
        bytes += batch.bytes.length;
        next = batch.to;
      }
      const isFull = part.batches.length === 0 && part.next <= next;
      if (isFull && batches.length === 0) continue; // What was there has moved: whoever got nothing would take this for the end.
      next = Math.max(next, part.next) as Offset;
      if (isFull || (batches.length > 0 && bytes >= request.bytesMax)) return { batches, next };
    }
  }

  readCached(request: ReadRequest): ReadResult | undefined {
    this.#refuseWhenClosed();
    const from = Math.max(request.from, this.start) as Offset;
    const to = Math.min(request.to, this.#ends.durable) as Offset;
    if (from >= to) return { batches: [], next: from };
    const found = this.#deps.cache.read(this.id, { from, to, bytesMax: request.bytesMax });
    return found === undefined || "spilled" in found ? undefined : found;
  }

  get bytes(): number {
    let sum = 0;
    for (const range of this.ranges()) sum += range.bytes;
    return sum;
  }

  ranges(): readonly RangeSummary[] {
    const { cache, metadata } = this.#deps;
    const info = metadata.image.stream(this.id);
    // One that covers nothing carries a sidecar alone, and says nothing about records.
    const committed: readonly RangeSummary[] = metadata.image.ranges(this.id, this.start);
    const cached = cache.runs(this.id).filter((run) => run.to > (info?.end ?? 0));
    return [...committed, ...cached].filter(({ from, to }) => to > from);
  }

  async *parts({ from, to }: RangeSummary, timestampMin: number): AsyncIterable<RangeSummary> {
    const run = this.#deps.cache.runs(this.id).find((each) => each.from <= from && to <= each.to);
    if (run === undefined) {
      yield* this.#deps.reader.parts(this.id, { from, to, timestampMin });
      return;
    }
    for (const batch of run.spilled ?? run.batches) {
      const bytes = "length" in batch ? batch.length : batch.bytes.length;
      if (batch.maxTimestamp >= timestampMin && batch.from < to) yield { ...batch, bytes };
    }
  }

  stored(): readonly StoredRange[] {
    return this.#deps.metadata.image.ranges(this.id, this.start);
  }

  scan(range: StoredRange): AsyncIterable<readonly Batch[]> {
    this.#refuseWhenClosed();
    return this.#deps.rewriter.scan(this.id, range);
  }

  async replace(ranges: readonly StoredRange[], batches: AsyncIterable<Batch>): Promise<"replaced" | "stale"> {
    this.#refuseWhenClosed();
    const { rewriter, cache, remember } = this.#deps;
    const last = ranges.at(-1);
    if (last !== undefined) await remember(this, last.to);
    const answer = await rewriter.replace({ stream: this.id, label: this.options.label }, ranges, batches);
    if (answer === "replaced" && last !== undefined) cache.forgetCommitted(this.id, last.to);
    return answer;
  }

  /** No append is taken any more. */
  close(): void {
    this.#isClosed = true;
  }

  async #readPart(request: PartRequest): Promise<ReadResult> {
    const { cache, reader } = this.#deps;
    const cached = cache.read(this.id, request);
    if (cached !== undefined) return "spilled" in cached ? await this.#readBack(cached, request) : cached;
    const cachedFrom = cache.runs(this.id)[0]?.from ?? request.to;
    return await reader.read(this.id, { ...request, to: Math.min(request.to, cachedFrom) as Offset });
  }

  /** Batches that memory has left to the WAL. None when they were uploaded meanwhile: then they are elsewhere. */
  async #readBack({ spilled }: SpilledRead, request: ReadRequest): Promise<ReadResult> {
    const batches: Batch[] = [];
    try {
      for (const batch of spilled) batches.push(await this.#deps.walGroups.read(batch));
    } catch (cause) {
      const now = this.#deps.cache.read(this.id, request);
      const isStillThere = now !== undefined && "spilled" in now && now.spilled[0]?.from === spilled[0]?.from;
      if (batches.length === 0 && isStillThere) throw this.#explained(cause, spilled);
    }
    return { batches, next: batches.at(-1)?.to ?? request.from };
  }

  #explained(cause: unknown, spilled: SpilledRead["spilled"]): unknown {
    const [first, last] = [spilled[0], spilled.at(-1)];
    if (!(cause instanceof CorruptData) || first === undefined || last === undefined) return cause;
    const range = { stream: this.id, from: first.from, to: last.to, object: "the WAL", cause };
    const unreadable = new RangeUnreadable({ ...range, because: "corrupt" });
    this.#deps.unreadable(unreadable);
    return unreadable;
  }

  #refuseWhenClosed(): void {
    if (this.#isClosed) throw new Closed(`stream ${this.id}`);
  }
}

/** A batch on its way through the WAL; afterwards it is what the log cache holds. */
class PendingBatch implements CachedBatch, WalEntry {
  readonly stream: StreamId;
  readonly label: Uint8Array;
  readonly epoch: number;
  readonly after: Offset;
  readonly from: Offset;
  readonly to: Offset;
  readonly maxTimestamp: number;
  readonly bytes: Owned;
  place: WalPlace | undefined;
  #waiting: Waiting | undefined;

  constructor(
    batch: Batch,
    place: Pick<WalEntry, "stream" | "epoch" | "label" | "after"> & Pick<Waiting, "ends" | "generation">,
    resolve: () => void,
    reject: (cause: unknown) => void,
  ) {
    this.stream = place.stream;
    this.epoch = place.epoch;
    this.label = place.label;
    this.after = place.after;
    this.from = batch.from;
    this.to = batch.to;
    this.maxTimestamp = batch.maxTimestamp;
    this.bytes = batch.bytes;
    this.#waiting = { ends: place.ends, generation: place.generation, resolve, reject };
    place.generation.enqueued();
  }

  durable(end: WalPosition, place?: WalPlace): void {
    this.place = place;
    const { ends, generation, resolve } = this.#settle();
    ends.durable = this.to;
    generation.becameDurable(end);
    resolve();
  }

  failed(cause: unknown): void {
    this.#settle().reject(cause);
  }

  /** The batch may stay cached for long; what it waited with need not. */
  #settle(): Waiting {
    const waiting = this.#waiting;
    assert(waiting !== undefined, "a record settles once");
    this.#waiting = undefined;
    return waiting;
  }
}

interface Waiting {
  readonly ends: StreamEnds;
  readonly generation: Generation;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}
