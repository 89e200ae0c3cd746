/** S3Stream put together: WAL, caches, uploader, merges, garbage collection. storage.ts says what it promises. */
import { Loop } from "../base/async.ts";
import { assert, OperationFailed, type RangeUnreadable } from "../base/errors.ts";
import type { Offset, Owned, StreamId } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Counter, Gauge, Logger } from "../base/telemetry.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { BlockCache } from "./block-cache.ts";
import { BlockMemory } from "./block-memory.ts";
import { CatchupShare } from "./catchup-share.ts";
import { GarbageCollector } from "./garbage.ts";
import { Hedge } from "./hedge.ts";
import type { StreamLimits } from "./limits.ts";
import { Generation, LogCache, type Run } from "./log-cache.ts";
import { Merger } from "./merger.ts";
import type { StreamPart } from "./object-format.ts";
import { ObjectIo } from "./object-io.ts";
import { ObjectNames } from "./object-name.ts";
import { ObjectReader } from "./object-reader.ts";
import { type StreamDeps, type StreamEnds, WritableStream } from "./opened-stream.ts";
import { Pace } from "./pace.ts";
import { RangeRewriter } from "./range-rewriter.ts";
import { judge } from "./recovery.ts";
import { SidecarDebt } from "./sidecar-debt.ts";
import type { CachedBatch, SpilledRun } from "./spilled-run.ts";
import type { Batch, OpenedStream, OpenOptions, StreamStorage } from "./storage.ts";
import { Uploader } from "./uploader.ts";
import type { Wal, WalPlace, WalPosition, WalRecord } from "./wal.ts";
import { WalGroups } from "./wal-groups.ts";

export interface StreamStorageOptions {
  /** Not recovered yet. The storage closes it. */
  readonly wal: Wal;
  readonly store: ObjectStore;
  readonly metadata: MetadataClient;
  readonly runtime: Runtime;
  readonly limits: StreamLimits;
  readonly logger: Logger;
  readonly metrics: StreamMetrics;
  /** The storage cannot go on: the process must stop. Called once. */
  readonly fatal: (cause: unknown) => void;
  /** Told of each appended batch's bytes when no cache holds them any more. */
  readonly released?: (bytes: Owned) => void;
  /** For blocks that are read back; without it as much as the limits say. */
  readonly blockMemory?: BlockMemory;
  /** Lets a simulation plant a fault in what merges copy. */
  readonly wrapMerged?: (batches: readonly Batch[]) => readonly Batch[];
}

export interface StreamMetrics {
  readonly generationsQueued: Gauge;
  readonly logCacheBytes: Gauge;
  readonly uncommittedBytes: Gauge;
  readonly walBytes: Gauge;
  /** 1 while a WAL of kind replicated has lost one of its two. */
  readonly walIsAlone: Gauge;
  readonly mergedBytes: Counter;
  /** Label: because ("unnamed", "orphan"). */
  readonly garbageObjects: Counter;
  /** Label: because ("missing", "corrupt"). */
  readonly unreadableReads: Counter;
  /** Label: winner ("first", "second"). */
  readonly hedgedUploads: Counter;
}

/** Recovers the WAL. What it holds beyond the metadata image is readable, and will be uploaded, as if just appended. */
export async function openStreamStorage(options: StreamStorageOptions): Promise<StreamStorage> {
  const storage = new S3StreamStorage(options);
  try {
    await storage.recover();
  } catch (cause) {
    await storage[Symbol.asyncDispose]();
    throw cause;
  }
  return storage;
}

class S3StreamStorage implements StreamStorage {
  readonly #options: StreamStorageOptions;
  readonly #cache: LogCache;
  readonly #walGroups: WalGroups;
  readonly #reader: ObjectReader;
  readonly #uploader: Uploader;
  readonly #merger: Merger;
  readonly #garbage: GarbageCollector;
  readonly #deps: StreamDeps;
  readonly #ends = new Map<StreamId, StreamEnds>();
  readonly #opened = new Map<StreamId, WritableStream>();
  readonly #onChange: Disposable;
  readonly #timer: Loop;
  /**
   * Bytes at which a generation is cut. A third, so that one fills while one is uploaded and there is room for a wait. A half
   * where the slots of the WAL are committed as they are, which takes no time.
   */
  readonly #generationBytesMax: number;
  /** Only where they can be the one thing to upload. */
  readonly #sidecarDebt: SidecarDebt | undefined;
  readonly #recovered = Promise.withResolvers<void>();
  #admitWaiters: (() => void)[] = [];
  #isCutScheduled = false;
  #isFailed = false;
  /** Batches that came from the WAL are not the caller's copies. */
  readonly #walBytes = new WeakSet<Uint8Array>();

  constructor(options: StreamStorageOptions) {
    const { limits, metadata, store, runtime, logger, wal } = options;
    this.#options = options;
    const isInStore = wal.slots !== undefined;
    this.#generationBytesMax = Math.min(limits.uploadBytesMax, limits.logCacheBytesMax / (isInStore ? 2 : 3));
    wal.slots?.onTimeClose(() => {
      if (this.#cache.open.bytes >= earlyShare * this.#generationBytesMax) this.#cut();
    });
    this.#sidecarDebt = isInStore ? new SidecarDebt(limits, runtime.clock.monotonic()) : undefined;
    this.#cache = new LogCache({
      bytesMax: limits.logCacheBytesMax,
      open: this.#newGeneration(),
      maySpill: wal.readGroup !== undefined,
      released: ({ bytes }) => {
        if (!this.#walBytes.has(bytes)) options.released?.(bytes);
      },
    });
    this.#walGroups = new WalGroups(wal);
    const io = new ObjectIo({ store, pace: new Pace({ clock: runtime.clock, limits }), ...limits });
    const memory = options.blockMemory ?? new BlockMemory(limits.blockCacheBytesMax);
    const blocks = new BlockCache({ io, memory, ...limits });
    const unreadable = (range: RangeUnreadable): void => this.#alarm(range);
    const share = new CatchupShare({ clock: runtime.clock, limits, appended: () => this.#cache.bytesAdded });
    this.#reader = new ObjectReader({ metadata, io, limits, blocks, share, unreadable });
    const fatal = (cause: unknown): void => this.#fail(cause);
    const origin = { cluster: metadata.image.clusterId, node: metadata.nodeId, nodeEpoch: metadata.nodeEpoch };
    const names = new ObjectNames(origin, runtime.random);
    this.#uploader = new Uploader({
      store,
      metadata,
      wal,
      origin,
      names,
      hedge: new Hedge({ clock: runtime.clock, limits, hedged: options.metrics.hedgedUploads }),
      runtime,
      limits,
      logger,
      fatal,
      ready: this.#recovered.promise,
      backlog: options.metrics.generationsQueued,
      committed: (generation) => this.#cache.committed(generation),
    });
    this.#merger = new Merger({
      ...options,
      origin,
      names,
      isAdmitting: () => this.#isAdmitting(),
      ...(options.wrapMerged === undefined ? {} : { wrapBatches: options.wrapMerged }),
    });
    const rewriter = new RangeRewriter({ store, metadata, origin, names, limits });
    const isPending = (key: string): boolean =>
      this.#uploader.isPending(key) || this.#merger.isPending(key) || rewriter.isPending(key);
    this.#garbage = new GarbageCollector({ ...options, isPending });
    this.#deps = {
      cache: this.#cache,
      reader: this.#reader,
      rewriter,
      metadata,
      wal,
      walGroups: this.#walGroups,
      unreadable,
      appended: () => this.#cutIfFull(),
      failed: fatal,
      remember: (stream, upTo) => this.#remember(stream, upTo),
      isAdmitting: () => this.#isAdmitting(),
      admitted: () => this.#admitted(),
    };
    this.#onChange = metadata.onChange((events) => {
      // No events: the image has jumped to a checkpoint, over anything.
      if (events.length === 0 || events.some((event) => event.kind === "delete-topic")) this.#forgetDeleted();
    });
    this.#timer = new Loop({
      clock: runtime.clock,
      intervalMs: limits.uploadIntervalMsMax / 8,
      turn: async () => this.#onTimer(),
      failed: fatal,
    });
  }

  async recover(): Promise<void> {
    const { wal, metadata, logger } = this.#options;
    const counts = { keep: 0, committed: 0, deleted: 0, "taken-over": 0 };
    let trimmable = 0 as WalPosition;
    let whole = 0 as WalPosition; // A generation ends where the WAL can be trimmed.
    await wal.recover((record, end, place) => {
      const info = metadata.image.stream(record.stream);
      const verdict = judge(record, info, metadata.nodeId, this.#ends.get(record.stream)?.enqueued);
      counts[verdict.kind === "keep" ? "keep" : verdict.because] += 1;
      if (verdict.kind === "keep") this.#keepRecovered(record, end, place);
      else if (counts.keep === 0) trimmable = end;
      else this.#cache.open.reached(end);
      if (end > whole && this.#isFull()) this.#cut();
      whole = end;
    });
    this.#recovered.resolve();
    this.#show();
    await wal.trim(counts.keep === 0 ? wal.durable : trimmable);
    logger.info("recovered the WAL", counts);
    if (counts["taken-over"] > 0) logger.error("acked records of streams that other nodes took over are lost", counts);
  }

  async open(id: StreamId, options: OpenOptions): Promise<OpenedStream> {
    assert(!this.#opened.has(id), `stream ${id} is open already`);
    const sidecar = await this.#reader.sidecar(id);
    const info = this.#options.metadata.image.stream(id); // Asked after the await: it may have been deleted meanwhile.
    if (info === undefined || info.node !== this.#options.metadata.nodeId) {
      throw new OperationFailed(`stream ${id} is not this node's`, { happened: "no" });
    }
    let ends = this.#ends.get(id);
    if (ends === undefined) {
      ends = { enqueued: info.end, durable: info.end };
      this.#ends.set(id, ends);
    }
    assert(!this.#opened.has(id), `stream ${id} is opened twice at once`);
    const stream = new WritableStream({ id, epoch: info.epoch, ends, sidecar, options, deps: this.#deps });
    this.#opened.set(id, stream);
    return stream;
  }

  leave(id: StreamId): void {
    const stream = this.#opened.get(id);
    assert(stream?.isReplayed !== true, `stream ${id} has a writer that went to work`);
    stream?.close();
    this.#opened.delete(id);
  }

  async close(id: StreamId): Promise<void> {
    const stream = this.#opened.get(id);
    if (stream === undefined) return;
    stream.close();
    await this.flush();
    this.#opened.delete(id);
    this.#forget(id);
  }

  async trim(id: StreamId, to: Offset): Promise<void> {
    const { metadata } = this.#options;
    const info = metadata.image.stream(id);
    if (info === undefined || to <= info.start) return;
    assert(to <= (this.#ends.get(id)?.durable ?? info.end), "only what is durable can be trimmed");
    // The metadata knows what objects hold, not what the WAL does.
    const stream = this.#opened.get(id);
    if (stream !== undefined) await this.#remember(stream, to);
    else if (to > info.end) await this.flush();
    const proposal = await metadata.propose([{ kind: "trim-streams", streams: [{ stream: id, start: to }] }]);
    if (proposal.kind === "accepted") return;
    throw new OperationFailed(`trim refused: ${JSON.stringify(proposal.refusal)}`, { happened: "no" });
  }

  /**
   * Resolves when a committed sidecar speaks for everything before the offset.
   * What the owner knows must outlive the batches that it would learn it from again. After a crash there are ranges without a
   * sidecar; so the stream is made part of the next upload, with a sidecar and perhaps no batch.
   */
  async #remember(stream: WritableStream, upTo: Offset): Promise<void> {
    stream.replayed();
    if (stream.rememberedTo >= upTo) return;
    this.#cache.join(stream.id, stream.enqueuedEnd);
    await this.flush();
  }

  async flush(): Promise<void> {
    this.#cut({ mustCarrySidecars: true });
    await this.#uploader.idle;
  }

  /** What is enqueued becomes durable; what is not uploaded stays in the WAL for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#onChange[Symbol.dispose]();
    for (const stream of this.#opened.values()) stream.close();
    await this.#timer[Symbol.asyncDispose]();
    await this.#merger[Symbol.asyncDispose]();
    await this.#garbage[Symbol.asyncDispose]();
    const stopped = this.#uploader[Symbol.asyncDispose]();
    this.#recovered.resolve(); // It may wait for a recovery that has failed.
    await stopped;
    await this.#options.wal[Symbol.asyncDispose]();
  }

  #keepRecovered(record: WalRecord, end: WalPosition, place: WalPlace | undefined): void {
    const { stream, after, from, to, maxTimestamp } = record;
    const bytes = Uint8Array.from(record.bytes) as Owned; // The visit only lends them.
    this.#walBytes.add(bytes);
    this.#cache.open.enqueued();
    this.#cache.add(stream, after, { from, to, maxTimestamp, bytes, place });
    this.#cache.open.becameDurable(end);
    this.#ends.set(stream, { enqueued: to, durable: to });
  }

  #newGeneration(): Generation {
    return new Generation(this.#options.runtime.clock.monotonic());
  }

  #isFull(): boolean {
    const { bytes, walBytes } = this.#cache.open;
    return bytes >= this.#generationBytesMax || walBytes >= this.#options.wal.bytesMax / 3;
  }

  /** The cut waits for the caller to finish what it does: its own state must have taken the batch in before it is asked. */
  #cutIfFull(): void {
    if (this.#isCutScheduled || !this.#isFull()) return;
    this.#isCutScheduled = true;
    queueMicrotask(() => {
      this.#isCutScheduled = false;
      if (this.#isFull()) this.#cut();
    });
  }

  #show(): void {
    const { metrics, wal } = this.#options;
    metrics.logCacheBytes.set(this.#cache.bytes);
    metrics.uncommittedBytes.set(this.#cache.bytesUncommitted);
    metrics.walBytes.set(wal.bytesUsed);
  }

  #alarm(range: RangeUnreadable): void {
    const { stream, from, to, object, because } = range;
    this.#options.metrics.unreadableReads.add(1, { because });
    this.#options.logger.error("an object cannot be read", { stream, from, to, object, because, cause: range.cause });
  }

  #onTimer(): void {
    const { runtime, limits } = this.#options;
    this.#show();
    const { open } = this.#cache;
    const nowMs = runtime.clock.monotonic();
    if (open.runs.size === 0) open.startedMs = nowMs;
    // While uploads do not get through, a further generation would only be one more to wait.
    else if (nowMs - open.startedMs >= limits.uploadIntervalMsMax && this.#uploader.queued <= 1) this.#cut();
  }

  /** Closes the open generation with the sidecars of this very moment. No await in here. */
  #cut({ mustCarrySidecars = false } = {}): void {
    const generation = this.#cache.open;
    if (generation.runs.size === 0) return;
    const nowMs = this.#options.runtime.clock.monotonic();
    const others = this.#sidecarDebt === undefined ? [] : this.#sidecarDebt.cut(generation, nowMs, mustCarrySidecars);
    for (const id of others ?? []) {
      const stream = this.#opened.get(id);
      if (stream !== undefined) this.#cache.join(id, stream.enqueuedEnd);
    }
    const notes = new Map<StreamId, Notes>();
    for (const id of generation.runs.keys()) {
      const stream = this.#opened.get(id);
      if (stream === undefined) continue;
      const sidecar = others !== undefined && stream.isReplayed ? Uint8Array.from(stream.options.sidecar()) : undefined;
      notes.set(id, { stream, upTo: stream.enqueuedEnd, sidecar });
    }
    this.#options.wal.slots?.cut();
    this.#cache.cut(this.#newGeneration());
    void generation.durable.then(() => this.#admit()); // By now its bytes may be left to the WAL, upload or not.
    this.#uploader.enqueue({ generation, parts: () => this.#parts(generation, notes) }).then(
      () => {
        for (const { stream, upTo, sidecar } of notes.values()) if (sidecar !== undefined) stream.remembered(upTo);
        this.#admit();
      },
      () => this.#admit(), // The uploader has told `fatal`; who waits must not wait for ever.
    );
  }

  async #parts(generation: Generation, notes: ReadonlyMap<StreamId, Notes>): Promise<readonly StreamPart[]> {
    await this.#putBack(generation);
    const { image } = this.#options.metadata;
    const parts: StreamPart[] = [];
    for (const [stream, run] of generation.runs) {
      const info = image.stream(stream);
      if (info === undefined) continue;
      const known = notes.get(stream);
      parts.push({
        stream,
        epoch: info.epoch,
        from: run.from,
        to: run.to,
        label: known?.stream.options.label ?? new Uint8Array(),
        sidecar: known?.sidecar,
        batches: kept(run, info.start),
      });
    }
    return parts;
  }

  async #putBack(generation: Generation): Promise<void> {
    this.#cache.beginUpload(generation);
    const runs = [...generation.runs].filter(([, { spilled }]) => spilled !== undefined);
    const found = await this.#walGroups.readRuns(runs.map(([, { spilled }]) => spilled as SpilledRun));
    for (const [i, [stream, run]] of runs.entries()) {
      if (generation.runs.get(stream) !== run) continue; // Forgotten meanwhile.
      const batches = found[i] as CachedBatch[];
      for (const { bytes } of batches) this.#walBytes.add(bytes);
      this.#cache.putBack(run, batches);
    }
  }

  get fullness(): number {
    const { wal, limits } = this.#options;
    const memory = this.#cache.bytesPinned / limits.logCacheBytesMax;
    return Math.max(memory, wal.bytesUsed / wal.bytesMax) / admittedShare;
  }

  #isAdmitting(): boolean {
    return this.fullness < 1;
  }

  #admitted(): Promise<void> {
    if (this.#isAdmitting()) return Promise.resolve();
    return new Promise((resolve) => this.#admitWaiters.push(resolve));
  }

  #admit(): void {
    if (!this.#isAdmitting() && !this.#isFailed) return;
    const waiters = this.#admitWaiters;
    this.#admitWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #forgetDeleted(): void {
    const { image } = this.#options.metadata;
    for (const id of this.#ends.keys()) {
      if (image.stream(id) !== undefined) continue;
      this.#opened.get(id)?.close();
      this.#opened.delete(id);
      this.#forget(id);
    }
    this.#admit();
  }

  #forget(id: StreamId): void {
    this.#cache.forget(id);
    this.#ends.delete(id);
  }

  #fail(cause: unknown): void {
    if (this.#isFailed) return;
    this.#isFailed = true;
    this.#options.fatal(cause);
    this.#admit();
  }
}

/** Of a budget; the rest is for what is on its way when appends begin to be held back. */
const admittedShare = 0.9;

/** Of an opened stream at a cut. */
interface Notes {
  readonly stream: WritableStream;
  /** Where it ended. */
  readonly upTo: Offset;
  readonly sidecar: Uint8Array | undefined;
}

/** What readers can still ask for: what was trimmed since leaves a gap in the coverage. */
function kept(run: Run, start: Offset): readonly Batch[] {
  assert(run.spilled === undefined, "what is uploaded is in memory");
  return (run.batches[0]?.from ?? start) >= start ? run.batches : run.batches.filter((batch) => batch.to > start);
}

/** Of a full generation, from which on it is cut where no slot of the WAL has to be closed for it. */
const earlyShare = 0.8;
