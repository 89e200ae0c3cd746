/**
 * The newest batches of all streams, in memory, in generations:
 *
 *   | committed | committed | uploading | durable | durable | closed | open |
 *   evictable, oldest first   must stay   may leave their     must stay   ◀── add
 *                                         bytes to the WAL
 *
 * A generation is what one upload takes. A batch is put in when it is enqueued to the WAL, so that a cut is a point in the
 * order of appends; who reads asks for durable batches only. While the store is away durable generations gather; when there is no
 * room for them they are spilled: what describes a batch stays, its bytes are in the WAL alone until they are needed.
 */
import { assert } from "../base/errors.ts";
import type { Offset, StreamId } from "../base/ids.ts";
import { type CachedBatch, type SpilledBatch, SpilledRun, spilledBatchBytes } from "./spilled-run.ts";
import type { Batch, ReadRequest, ReadResult } from "./storage.ts";
import type { WalPosition } from "./wal.ts";

/** One stream's batches in one generation. */
export interface Run {
  readonly generation: Generation;
  /** Coverage: where the run before ended. */
  readonly from: Offset;
  to: Offset;
  /** Empty while the run is spilled. */
  batches: CachedBatch[];
  spilled: SpilledRun | undefined;
  /** Of the batches alone, in memory or not. */
  bytes: number;
  maxTimestamp: number;
}

export class Generation {
  readonly runs = new Map<StreamId, Run>();
  /** Monotonic time; moved on while the generation is empty. */
  startedMs: number;
  /** Charged: batches in memory, and what every batch costs beside its bytes. */
  bytes = 0;
  /** Of those, what spilling would free. */
  bytesHeld = 0;
  /** "durable": closed, and every batch in it is. */
  state: "open" | "closed" | "durable" | "uploading" | "committed" = "open";
  #notDurable = 0;
  #walStart: WalPosition | undefined;
  #walEnd = 0 as WalPosition;
  #becameDurable: (() => void) | undefined;
  readonly #allDurable = Promise.withResolvers<void>();

  constructor(startedMs: number) {
    this.startedMs = startedMs;
  }

  /** The end of the last record that is durable. */
  get walEnd(): WalPosition {
    return this.#walEnd;
  }

  /** About how much of the WAL is kept for this generation alone. */
  get walBytes(): number {
    return this.#walEnd - (this.#walStart ?? 0);
  }

  /** Resolves when the generation is closed and every batch in it is durable. */
  get durable(): Promise<void> {
    return this.#allDurable.promise;
  }

  enqueued(): void {
    this.#notDurable += 1;
  }

  becameDurable(end: WalPosition): void {
    this.#notDurable -= 1;
    this.reached(end);
    this.#resolveWhenDone();
  }

  /** The WAL up to here holds nothing that is not in this generation, or in one before. */
  reached(end: WalPosition): void {
    this.#walStart ??= end;
    this.#walEnd = end;
  }

  /** Calls back, perhaps at once, when the last batch is durable. */
  close(becameDurable?: () => void): void {
    assert(this.state === "open", "a generation is closed once");
    this.state = "closed";
    this.#becameDurable = becameDurable;
    this.#resolveWhenDone();
  }

  #resolveWhenDone(): void {
    if (this.state !== "closed" || this.#notDurable > 0) return;
    this.state = "durable";
    this.#becameDurable?.();
    this.#allDurable.resolve();
  }
}

export class LogCache {
  readonly #bytesMax: number;
  readonly #maySpill: boolean;
  readonly #released: (batch: Batch) => void;
  /** Oldest first; the last one is open. */
  readonly #generations: Generation[];
  /** Each stream's runs, oldest first. */
  readonly #runs = new Map<StreamId, Run[]>();
  #bytes = 0;
  #bytesAdded = 0;
  #bytesCommitted = 0;
  /** What could be let go of at once: committed generations, and the bytes of those that may be spilled. */
  #bytesIdle = 0;

  /** `maySpill`: the WAL can be read. `released` is told of each batch whose bytes leave the cache. */
  constructor(options: {
    readonly bytesMax: number;
    readonly open: Generation;
    readonly maySpill: boolean;
    readonly released: (batch: Batch) => void;
  }) {
    this.#bytesMax = options.bytesMax;
    this.#maySpill = options.maySpill;
    this.#released = options.released;
    this.#generations = [options.open];
  }

  get open(): Generation {
    return this.#generations.at(-1) as Generation;
  }

  /** Of all batches that were ever added. */
  get bytesAdded(): number {
    return this.#bytesAdded;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What no object holds yet and memory does. */
  get bytesUncommitted(): number {
    return this.#bytes - this.#bytesCommitted;
  }

  /** What can neither be evicted nor spilled now. */
  get bytesPinned(): number {
    return this.#bytes - this.#bytesIdle;
  }

  /** Adds the batch to the open generation. `after` is the end of the stream's batch before. */
  add(stream: StreamId, after: Offset, batch: CachedBatch): void {
    const generation = this.open;
    const run = this.join(stream, after);
    run.batches.push(batch);
    run.to = batch.to;
    run.bytes += batch.bytes.length;
    run.maxTimestamp = Math.max(run.maxTimestamp, batch.maxTimestamp);
    // The open generation is never idle, so nothing else changes.
    generation.bytes += batchOverheadBytes + batch.bytes.length;
    generation.bytesHeld += batch.bytes.length;
    this.#bytes += batchOverheadBytes + batch.bytes.length;
    this.#bytesAdded += batch.bytes.length;
    this.#makeRoom();
  }

  /** Makes the stream, which ends at the offset, one of those in the open generation, though it may get no batch. */
  join(stream: StreamId, end: Offset): Run {
    const generation = this.open;
    const known = generation.runs.get(stream);
    if (known !== undefined) return known;
    const run = { generation, from: end, to: end, batches: [], spilled: undefined, bytes: 0, maxTimestamp: -1 };
    generation.runs.set(stream, run);
    const runs = this.#runs.get(stream);
    if (runs === undefined) this.#runs.set(stream, [run]);
    else runs.push(run);
    return run;
  }

  /** Closes the open generation, whose batches then are complete, and opens the next. */
  cut(next: Generation): Generation {
    const closed = this.open;
    this.#generations.push(next);
    closed.close(() => {
      this.#bytesIdle += this.#idleBytesOf(closed);
      this.#makeRoom();
    });
    return closed;
  }

  /** The generation stays in memory until it is committed. What was spilled of it is to be put back. */
  beginUpload(generation: Generation): void {
    const mayBegin = generation.state === "durable" || generation.state === "uploading"; // Once more after a failure.
    assert(mayBegin, "only a durable generation is uploaded");
    this.#changeState(generation, "uploading");
  }

  putBack(run: Run, batches: CachedBatch[]): void {
    assert(run.spilled?.length === batches.length, "the same batches that were spilled");
    run.batches = batches;
    run.spilled = undefined;
    const overheadBytes = batches.length * (batchOverheadBytes - spilledBatchBytes);
    this.#charge(run.generation, overheadBytes, run.bytes);
    this.#makeRoom();
  }

  /** Objects hold the generation now: it may go when room is needed. */
  committed(generation: Generation): void {
    assert(generation.state === "uploading", "only what was uploaded is committed");
    this.#changeState(generation, "committed");
    this.#bytesCommitted += generation.bytes;
    this.#makeRoom();
  }

  /**
   * Batches of the stream that cover [from, to), or undefined when the first of them is not here. When the first of them is
   * spilled: those that must be read back first.
   */
  read(stream: StreamId, request: ReadRequest): ReadResult | SpilledRead | undefined {
    const { from, to, bytesMax } = request;
    const runs = this.#runs.get(stream);
    const first = runs?.[0];
    if (runs === undefined || first === undefined || from < first.from) return undefined;
    const batches: Batch[] = [];
    let bytes = 0;
    for (const run of runs) {
      if (run.to <= from) continue;
      if (run.spilled !== undefined) {
        if (batches.length > 0) return { batches, next: (batches.at(-1) as Batch).to };
        const spilled = run.spilled.between(from, to, bytesMax);
        if (spilled.length > 0) return { spilled };
        continue; // Nothing but a gap.
      }
      for (let i = firstEndingAfter(run.batches, from); i < run.batches.length; i += 1) {
        const batch = run.batches[i] as Batch;
        if (batch.from >= to) return { batches, next: nextOffset(batches, from, to) };
        if (batches.length > 0 && bytes + batch.bytes.length > bytesMax) {
          return { batches, next: (batches.at(-1) as Batch).to };
        }
        batches.push(batch);
        bytes += batch.bytes.length;
      }
    }
    return { batches, next: nextOffset(batches, from, to) };
  }

  /** The stream's runs, oldest first. */
  runs(stream: StreamId): readonly Run[] {
    return this.#runs.get(stream) ?? [];
  }

  /** Nobody will read or upload the stream any more. */
  forget(stream: StreamId): void {
    for (const run of this.runs(stream)) {
      run.generation.runs.delete(stream);
      this.#release(run);
    }
    this.#runs.delete(stream);
  }

  /** Objects hold something else below the offset by now: what is committed of it goes, so that it is read from them. */
  forgetCommitted(stream: StreamId, below: Offset): void {
    const runs = this.runs(stream);
    const kept = runs.findIndex((run) => run.to > below || run.generation.state !== "committed");
    for (const run of kept < 0 ? runs : runs.slice(0, kept)) {
      run.generation.runs.delete(stream);
      this.#release(run);
    }
    if (kept < 0) this.#runs.delete(stream);
    else if (kept > 0) this.#runs.set(stream, runs.slice(kept));
  }

  #makeRoom(): void {
    for (let oldest = this.#generations[0]; this.#bytes > this.#bytesMax; oldest = this.#generations[0]) {
      if (oldest?.state !== "committed") break;
      this.#evict(oldest);
    }
    if (!this.#maySpill || this.#bytes <= this.#bytesMax) return;
    for (const generation of this.#generations) {
      if (this.#bytes <= this.#bytesMax) return;
      if (generation.state === "durable" && generation.bytesHeld > 0) this.#spill(generation);
    }
  }

  #evict(oldest: Generation): void {
    this.#generations.shift();
    for (const [stream, run] of oldest.runs) {
      const runs = this.#runs.get(stream) as Run[];
      assert(runs[0] === run, "generations and runs leave in the same order");
      if (runs.length === 1) this.#runs.delete(stream);
      else runs.shift();
      this.#release(run);
    }
  }

  /** As a whole: its batches share slabs, whose memory goes when the last of them does. */
  #spill(generation: Generation): void {
    for (const run of generation.runs.values()) {
      const { batches } = run;
      run.spilled = new SpilledRun(batches);
      run.batches = [];
      this.#charge(generation, batches.length * (spilledBatchBytes - batchOverheadBytes), -run.bytes);
      for (const batch of batches) this.#released(batch);
    }
  }

  #release({ generation, batches, spilled, bytes }: Run): void {
    if (spilled !== undefined) this.#charge(generation, -spilled.length * spilledBatchBytes, 0);
    else this.#charge(generation, -batches.length * batchOverheadBytes, -bytes);
    for (const batch of batches) this.#released(batch);
  }

  #changeState(generation: Generation, state: Generation["state"]): void {
    this.#bytesIdle -= this.#idleBytesOf(generation);
    generation.state = state;
    this.#bytesIdle += this.#idleBytesOf(generation);
  }

  #charge(generation: Generation, overheadBytes: number, heldBytes: number): void {
    const before = this.#idleBytesOf(generation);
    generation.bytes += overheadBytes + heldBytes;
    generation.bytesHeld += heldBytes;
    this.#bytes += overheadBytes + heldBytes;
    if (generation.state === "committed") this.#bytesCommitted += overheadBytes + heldBytes;
    this.#bytesIdle += this.#idleBytesOf(generation) - before;
  }

  #idleBytesOf(generation: Generation): number {
    if (generation.state === "committed") return generation.bytes;
    return generation.state === "durable" && this.#maySpill ? generation.bytesHeld : 0;
  }
}

export interface SpilledRead {
  readonly spilled: readonly SpilledBatch[];
}

/** Memory that a batch takes beside its bytes: the objects that describe it. */
const batchOverheadBytes = 256;

/** Index of the first batch that ends after the offset. */
export function firstEndingAfter(batches: readonly { readonly to: Offset }[], offset: Offset): number {
  let low = 0;
  let high = batches.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((batches[middle] as { readonly to: Offset }).to > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Everything below `to` has been looked at: a gap before it is behind the reader. */
function nextOffset(batches: readonly Batch[], from: Offset, to: Offset): Offset {
  return Math.max(from, to, batches.at(-1)?.to ?? 0) as Offset;
}
