/** One Kafka partition over one stream, owned by this node. */
import { assert, Closed, OperationFailed } from "../base/errors.ts";
import type { Offset, Uuid } from "../base/ids.ts";
import type { Clock } from "../base/runtime.ts";
import type { Slabs } from "../base/slabs.ts";
import { BatchView, patchBatch } from "../protocol/record-batch.ts";
import type { OpenedStream, ReadRequest, ReadResult } from "../stream/storage.ts";
import { Advance } from "./advance.ts";
import { busyOutcome, closedOutcome, fullOutcome, rejectedBy, unwantedOutcome } from "./append-refusals.ts";
import { Backlog } from "./backlog.ts";
import { type BatchPreparer, type Prepared, transactionOver } from "./batch-preparer.ts";
import { cleanPartition, type PassOptions, type PassOutcome } from "./cleaning/cleaning-pass.ts";
import { type CleaningPlan, type CleaningProgress, planCleaning } from "./cleaning/cleaning-plan.ts";
import type { Epochs } from "./epochs.ts";
import { PartitionLane } from "./lane.ts";
import type {
  AppendOptions,
  AppendOutcome,
  DeleteRecordsOutcome,
  Isolation,
  MarkerRefusal,
  OffsetAnswer,
  OffsetQuery,
  Partition,
  PartitionRead,
  PartitionReadResult,
  ProducerInfo,
  TransactionEnd,
} from "./log.ts";
import { searchOffset, type TimeQuery } from "./offset-search.ts";
import type { ProducerState } from "./producer-state.ts";
import { type Held, planRetention, type RetentionHold } from "./retention.ts";
import { encodeSidecar } from "./sidecar.ts";
import type { TopicConfig } from "./topic-config.ts";

export interface PartitionLimits {
  /** Batches that wait in one partition's lane; beyond it appends are answered "busy". */
  readonly laneBatchesMax: number;
  /** How long a batch may wait there while the storage backs off; then it is answered "busy". */
  readonly laneWaitMsMax: number;
  /** Of the records of one batch, for a search by time. */
  readonly inflatedBytesMax: number;
}

export interface PartitionOptions {
  readonly topicId: Uuid;
  readonly topic: string;
  readonly index: number;
  readonly leaderEpoch: number;
  readonly config: TopicConfig;
  readonly stream: OpenedStream;
  /** Durable when it resolves. */
  readonly trim: (to: Offset) => Promise<void>;
  readonly producers: ProducerState;
  readonly epochs: Epochs;
  readonly cleaning: CleaningProgress;
  readonly preparer: BatchPreparer;
  readonly slabs: Slabs;
  readonly clock: Clock;
  readonly limits: PartitionLimits;
}

/** A waiting fetch that asks for more than this is answered when it has this much. */
const bytesAvailableMax = 2 ** 31;
/** Batches whose ends a partition remembers, to answer waiting fetches: 16 bytes each. */
const backlogBatchesMax = 128;

export class OwnedPartition implements Partition {
  readonly topicId: Uuid;
  readonly topic: string;
  readonly index: number;
  readonly leaderEpoch: number;
  readonly counts = { recordsIn: 0, bytesIn: 0, bytesOut: 0, bytesCleaned: 0, duplicateBatches: 0, rejectedBatches: 0 };
  /** What retention left for the lake's sake when it last looked, and all that it took before the lake had it. */
  readonly retained: { held: Held | undefined; lost: number } = { held: undefined, lost: 0 };
  readonly #stream: OpenedStream;
  readonly #trim: (to: Offset) => Promise<void>;
  readonly #producers: ProducerState;
  readonly #epochs: Epochs;
  #cleaning: CleaningProgress;
  readonly #backlog: Backlog;
  readonly #lane: PartitionLane<Prepared>;
  readonly #preparer: BatchPreparer;
  readonly #slabs: Slabs;
  readonly #clock: Clock;
  readonly #limits: PartitionLimits;
  readonly #assignPrepared = (prepared: Prepared): Promise<AppendOutcome> => this.#assign(prepared);
  #config: TopicConfig;
  /**
   *   logStart ······ lastStable ······ highWatermark ······ end
   *   gone before it  committed         durable              assigned, on its way to the WAL
   */
  #logStart: Offset;
  #lastStable: Offset;
  #highWatermark: Offset;
  #end: Offset;
  #state: "open" | "closed" = "open";
  /** Why nothing more can be made durable. The node is stopping; what is durable can still be read. */
  #failure: Error | undefined;
  readonly #advance = new Advance();

  constructor(options: PartitionOptions) {
    this.topicId = options.topicId;
    this.topic = options.topic;
    this.index = options.index;
    this.leaderEpoch = options.leaderEpoch;
    this.#config = options.config;
    this.#stream = options.stream;
    this.#trim = options.trim;
    this.#producers = options.producers;
    this.#epochs = options.epochs;
    this.#cleaning = options.cleaning;
    this.#preparer = options.preparer;
    this.#slabs = options.slabs;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#logStart = options.stream.start;
    this.#end = options.stream.end;
    this.#highWatermark = options.stream.end;
    this.#lastStable = this.#computeLastStable();
    this.#epochs.begin(options.leaderEpoch, this.#end);
    this.#epochs.forgetBelow(this.#logStart);
    this.#backlog = new Backlog(this.#end, backlogBatchesMax);
    this.#lane = new PartitionLane({
      clock: options.clock,
      entriesMax: options.limits.laneBatchesMax,
      ready: () => (this.#stream.admission === "admitted" ? true : this.#stream.admitted()),
    });
  }

  get logStart(): Offset {
    return this.#logStart;
  }

  get highWatermark(): Offset {
    return this.#highWatermark;
  }

  get lastStable(): Offset {
    return this.#lastStable;
  }

  get bytes(): number {
    return this.#stream.bytes;
  }

  get config(): TopicConfig {
    return this.#config;
  }

  append(batch: Uint8Array, options: AppendOptions): Promise<AppendOutcome> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#state === "closed") return Promise.resolve(this.#rejected(closedOutcome));
    if (this.#lane.isFull) return Promise.resolve(this.#rejected(busyOutcome));
    const prepared = this.#preparer.prepare(batch, options, this.#config);
    // The common case: nothing to wait for, nobody ahead. The whole append runs in this turn.
    if (!(prepared instanceof Promise) && this.#lane.isIdle && this.#stream.admission === "admitted") {
      return this.#assign(prepared);
    }
    const waitMsMax = Math.min(options.waitMsMax ?? Number.POSITIVE_INFINITY, this.#limits.laneWaitMsMax);
    return this.#lane
      .run(prepared, waitMsMax, this.#assignPrepared)
      .then((outcome) => (outcome === "expired" ? this.#rejected(fullOutcome) : outcome));
  }

  async read(request: PartitionRead): Promise<PartitionReadResult> {
    let from = request.from;
    for (;;) {
      const refusal = this.#refuseRead(request.from);
      if (refusal !== undefined) return refusal;
      const to = this.#readableEnd(request.isolation);
      const { forgotten } = this.#producers;
      if (from >= to) return this.#batches(request, noBatches);
      const found = await this.#readStream({ from, to, bytesMax: request.bytesMax, borrow: request.borrow });
      if (found === undefined) return { kind: "closed" };
      // Asked again after the await: the topic may have been deleted, or the start have moved, during the read.
      const late = this.#refuseRead(request.from);
      if (late !== undefined) return late;
      // Read before a cleaning that was over meanwhile: what was aborted in it is not known any more.
      if (forgotten !== this.#producers.forgotten) continue;
      if (found.batches.length > 0 || found.next <= from) return this.#batches(request, found);
      from = found.next; // Nothing but a gap: what follows it is the answer.
    }
  }

  bytesAvailable(from: Offset, isolation: Isolation): number {
    if (this.#refuseRead(from) !== undefined) return bytesAvailableMax;
    return Math.min(bytesAvailableMax, this.#backlog.between(from, this.#readableEnd(isolation)));
  }

  onAdvance(listener: () => void): Disposable {
    return this.#advance.listen(listener);
  }

  async offsetFor(query: OffsetQuery, isolation: Isolation): Promise<OffsetAnswer> {
    if (query.kind === "earliest") return this.#plainAnswer(this.#logStart);
    const end = this.#readableEnd(isolation);
    if (query.kind === "latest") return { offset: end, timestamp: -1, leaderEpoch: this.leaderEpoch };
    const bounds = { logStart: this.#logStart, end, inflatedBytesMax: this.#limits.inflatedBytesMax };
    const wanted: TimeQuery = query.kind === "at-or-after" ? query : { kind: "max-timestamp" };
    return await searchOffset(this.#stream, wanted, bounds);
  }

  endOfEpoch(epoch: number): { readonly epoch: number; readonly endOffset: Offset } | undefined {
    return this.#epochs.endOf(epoch, this.#highWatermark);
  }

  async deleteRecords(before: Offset | "high-watermark"): Promise<DeleteRecordsOutcome> {
    if (this.#state === "closed") return { kind: "closed" };
    if (!this.#config.cleanupPolicy.delete) return { kind: "compacted-only" };
    const to = before === "high-watermark" ? this.#highWatermark : before;
    if (to < 0 || to > this.#highWatermark) return { kind: "out-of-range" };
    return await this.#deleteBefore(to);
  }

  producers(): readonly ProducerInfo[] {
    return Array.from(this.#producers.producers(), (entry) => ({
      producerId: entry.producerId,
      producerEpoch: entry.epoch,
      lastSequence: entry.window.lastSequence,
      lastTimestamp: entry.lastTimestamp,
      coordinatorEpoch: entry.coordinatorEpoch,
      transactionStart: entry.transactionStart,
    }));
  }

  markerRefusal(marker: TransactionEnd): MarkerRefusal | undefined {
    return this.#producers.checkMarker(marker)?.reason;
  }

  isFenced(by: Parameters<Partition["isFenced"]>[0]): boolean {
    return this.#producers.checkEpoch(by) !== undefined;
  }

  configure(config: TopicConfig): void {
    this.#config = config;
  }

  /** Applies the topic's retention, as far as `hold` lets it. Resolves to the bytes that went. */
  async retain(nowMs: number, hold: RetentionHold | undefined): Promise<number> {
    const ranges = this.#config.cleanupPolicy.delete ? this.#stream.ranges() : [];
    const at = { start: this.#logStart, highWatermark: this.#highWatermark, nowMs };
    const plan = planRetention(ranges, this.#config, at, hold);
    const before = this.bytes;
    this.retained.held = plan.held;
    if (plan.keepFrom > this.#logStart) await this.#moveStart(plan.keepFrom);
    this.retained.lost += plan.lost;
    return before - this.bytes;
  }

  expireProducers(touchedBeforeMs: number): number {
    return this.#producers.expire(touchedBeforeMs);
  }

  /** What must be remembered to go on after exactly the batches assigned so far. */
  sidecar(): Uint8Array {
    return encodeSidecar({
      upTo: this.#end,
      epochs: this.#epochs.starts,
      aborted: this.#producers.aborted(),
      producers: this.#producers.producers(),
      cleaning: this.#cleaning,
    });
  }

  /** What the cleaner may do now; undefined when nothing is due. Nothing at or above `hold` is touched. */
  cleaningPlan(nowMs: number, hold: Offset | undefined): CleaningPlan | undefined {
    if (this.#state === "closed" || !this.#config.cleanupPolicy.compact) return undefined;
    const bounds = { start: this.#logStart, lastStable: this.#lastStable, hold, nowMs };
    return planCleaning(this.#stream.stored(), this.#cleaning, this.#config, bounds);
  }

  /** One pass of the cleaner. One at a time. */
  async clean(pass: Pick<PassOptions, "plan" | "nowMs" | "limits" | "slices" | "admit">): Promise<PassOutcome> {
    const outcome = await cleanPartition({
      ...pass,
      stream: this.#stream,
      start: this.#logStart,
      config: this.#config,
      aborted: this.#producers.aborted(),
      isLastOfProducer: (batch) => this.#producers.isLastOfProducer(batch),
    });
    if (outcome.kind === "done") {
      this.#cleaning = outcome.progress;
      this.counts.bytesCleaned += outcome.bytesBefore - outcome.bytesAfter;
    }
    this.#producers.forgetAborted(outcome.emptied);
    return outcome;
  }

  /** Resolves when producers are not held back. */
  admitted(): Promise<void> {
    return this.#stream.admitted();
  }

  /** Refuses everything from now on and wakes who waits. What is assigned is still answered when durable. */
  close(): void {
    this.#state = "closed";
    this.#advance.notify();
  }

  /** Synchronous, in lane order: producer, offset, bytes and WAL queue move together. */
  #assign(prepared: Prepared): Promise<AppendOutcome> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#state === "closed") return Promise.resolve(this.#rejected(closedOutcome));
    if (prepared.kind === "rejected") return Promise.resolve(this.#rejected(prepared));
    const { header, marker } = prepared;
    if (prepared.isOpen?.() === false) return Promise.resolve(this.#rejected(transactionOver));
    if (prepared.isWanted?.() === false) return Promise.resolve(this.#rejected(unwantedOutcome));
    if (header.producerId >= 0) {
      const verdict =
        marker !== undefined
          ? this.#producers.checkMarker(marker)
          : prepared.origin === "client"
            ? this.#producers.check(header, prepared.beginsAtZero)
            : this.#producers.checkEpoch(header);
      if (verdict?.kind === "refused") return Promise.resolve(this.#rejected(rejectedBy(verdict)));
      if (verdict?.kind === "duplicate") return this.#repeatAnswer(verdict);
    }
    const nowMs = this.#clock.now();
    const baseOffset = this.#end;
    const to = (baseOffset + header.lastOffsetDelta + 1) as Offset;
    const isStamped = this.#config.timestampType === "LogAppendTime" && !header.isControl;
    const appendTimestamp = isStamped ? nowMs : -1;
    const maxTimestamp = isStamped ? nowMs : prepared.maxTimestamp;
    const bytes = this.#slabs.adopt(header.bytes);
    const patch = { baseOffset, leaderEpoch: this.leaderEpoch, maxTimestamp };
    patchBatch(bytes, isStamped ? { ...patch, appendTimestamp } : patch);
    const durable = this.#stream.append({ from: baseOffset, to, bytes, maxTimestamp });
    this.#end = to;
    if (marker !== undefined) this.#producers.end(marker, baseOffset, nowMs);
    // From the stored bytes: replay will read the same, and a duplicate is answered with the timestamp that was stamped.
    else if (header.producerId >= 0) this.#producers.append(new BatchView(bytes), baseOffset, nowMs);
    this.#backlog.add(to, bytes.length);
    this.counts.recordsIn += header.recordCount;
    this.counts.bytesIn += bytes.length;
    return durable.then(
      () => {
        this.#becameDurable(to);
        return { kind: "appended", baseOffset, appendTimestamp, logStart: this.#logStart };
      },
      (cause: unknown) => {
        throw this.#fail(cause);
      },
    );
  }

  /** A duplicate was perhaps assigned a moment ago: it is acknowledged when the first one is durable, not before. */
  async #repeatAnswer(duplicate: {
    readonly baseOffset: Offset;
    readonly lastOffset: Offset;
    readonly timestamp: number;
  }): Promise<AppendOutcome> {
    this.counts.duplicateBatches += 1;
    await this.#whenDurable((duplicate.lastOffset + 1) as Offset);
    const appendTimestamp = this.#config.timestampType === "LogAppendTime" ? duplicate.timestamp : -1;
    return { kind: "appended", baseOffset: duplicate.baseOffset, appendTimestamp, logStart: this.#logStart };
  }

  #whenDurable(end: Offset): Promise<void> {
    if (this.#highWatermark >= end) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return this.#advance.reached(end);
  }

  #becameDurable(highWatermark: Offset): void {
    // The storage settles a stream's promises in order; an ack that overtook another would be a lost record later.
    assert(highWatermark > this.#highWatermark, "the high watermark moves in order");
    this.#highWatermark = highWatermark;
    this.#lastStable = this.#computeLastStable();
    this.#advance.to(highWatermark);
  }

  #fail(cause: unknown): Error {
    this.#failure ??= new OperationFailed(`the storage of ${this.topic}-${this.index} failed`, {
      happened: "maybe",
      cause,
    });
    this.#advance.fail(this.#failure);
    return this.#failure;
  }

  async #deleteBefore(to: Offset): Promise<DeleteRecordsOutcome> {
    try {
      await this.#moveStart(to);
    } catch (cause) {
      // Refused because the topic was deleted, or another node took over, while the trim was on its way.
      if (cause instanceof OperationFailed && this.#state === "closed") return { kind: "closed" };
      throw cause;
    }
    return { kind: "moved", logStart: this.#logStart };
  }

  async #moveStart(to: Offset): Promise<void> {
    if (to <= this.#logStart) return;
    await this.#trim(to);
    if (to <= this.#logStart) return; // Another move went further meanwhile.
    this.#logStart = to;
    this.#lastStable = this.#computeLastStable();
    this.#producers.forgetBelow(to);
    this.#epochs.forgetBelow(to);
    this.#advance.notify();
  }

  #computeLastStable(): Offset {
    const unstable = this.#producers.firstUnstable(this.#highWatermark) ?? this.#highWatermark;
    return Math.max(this.#logStart, Math.min(unstable, this.#highWatermark)) as Offset;
  }

  #readableEnd(isolation: Isolation): Offset {
    return isolation === "read-committed" ? this.#lastStable : this.#highWatermark;
  }

  #refuseRead(from: Offset): PartitionReadResult | undefined {
    if (this.#state === "closed") return { kind: "closed" };
    const start = Math.max(this.#logStart, this.#stream.start); // A stream is trimmed a moment before its mover hears of it.
    return from < start || from > this.#end ? { kind: "out-of-range" } : undefined;
  }

  /** undefined when the stream was given up meanwhile. */
  async #readStream(wanted: ReadRequest): Promise<ReadResult | undefined> {
    try {
      return this.#stream.readCached(wanted) ?? (await this.#stream.read(wanted));
    } catch (cause) {
      if (cause instanceof Closed && this.#state === "closed") return undefined;
      throw cause;
    }
  }

  #batches(request: PartitionRead, found: Pick<ReadResult, "batches">): PartitionReadResult {
    const first = found.batches[0];
    const isTooLarge = !request.atLeastOne && first !== undefined && first.bytes.length > request.bytesMax;
    const taken = isTooLarge ? noBatches.batches : found.batches;
    const next = taken.at(-1)?.to ?? request.from;
    const isCommittedOnly = request.isolation === "read-committed" && taken.length > 0;
    const batches = taken.map((batch) => batch.bytes);
    const bytes = batches.reduce((sum, batch) => sum + batch.length, 0);
    this.counts.bytesOut += bytes;
    return {
      kind: "batches",
      batches,
      bytes,
      next,
      aborted: isCommittedOnly ? this.#producers.abortedIn(() => batches.map(viewOf), request.from, next) : [],
      highWatermark: this.#highWatermark,
      lastStable: this.#lastStable,
      logStart: this.#logStart,
    };
  }

  #plainAnswer(offset: Offset): OffsetAnswer {
    return { offset, timestamp: -1, leaderEpoch: this.#epochs.at(offset) ?? this.leaderEpoch };
  }

  #rejected<Outcome extends AppendOutcome & { readonly kind: "rejected" }>(outcome: Outcome): Outcome {
    this.counts.rejectedBatches += 1;
    return outcome;
  }
}

function viewOf(bytes: Uint8Array): BatchView {
  return new BatchView(bytes);
}

const noBatches: Pick<ReadResult, "batches"> = { batches: [] };
