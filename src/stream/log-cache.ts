/**
 * The newest batches of all streams, in memory, in generations:
 *
 *   | committed | committed | closed, being uploaded | open |
 *   evictable, oldest first   must stay                ◀── add
 *
 * A generation is what one upload takes. A batch is put in when it is enqueued to the WAL, so that a cut is a point in the
 * order of appends; who reads asks for durable batches only.
 */
import { assert } from "../base/errors.ts";
import type { Offset, StreamId } from "../base/ids.ts";
import type { Batch, ReadRequest, ReadResult } from "./storage.ts";
import type { WalPosition } from "./wal.ts";

/** One stream's batches in one generation. */
export interface Run {
  readonly generation: Generation;
  /** Coverage: where the run before ended. */
  readonly from: Offset;
  to: Offset;
  readonly batches: Batch[];
  /** Of the batches alone. */
  bytes: number;
  maxTimestamp: number;
}

export class Generation {
  readonly runs = new Map<StreamId, Run>();
  /** Monotonic time; moved on while the generation is empty. */
  startedMs: number;
  /** Charged, with what a batch costs beside its bytes. */
  bytes = 0;
  state: "open" | "closed" | "committed" = "open";
  #notDurable = 0;
  #walStart: WalPosition | undefined;
  #walEnd = 0 as WalPosition;
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

  close(): void {
    assert(this.state === "open", "a generation is closed once");
    this.state = "closed";
    this.#resolveWhenDone();
  }

  #resolveWhenDone(): void {
    if (this.state === "closed" && this.#notDurable === 0) this.#allDurable.resolve();
  }
}

export class LogCache {
  readonly #bytesMax: number;
  readonly #released: (batch: Batch) => void;
  /** Oldest first; the last one is open. */
  readonly #generations: Generation[];
  /** Each stream's runs, oldest first. */
  readonly #runs = new Map<StreamId, Run[]>();
  #bytes = 0;
  #bytesCommitted = 0;

  /** `released` is told of each batch that leaves the cache. */
  constructor(options: {
    readonly bytesMax: number;
    readonly open: Generation;
    readonly released: (batch: Batch) => void;
  }) {
    this.#bytesMax = options.bytesMax;
    this.#released = options.released;
    this.#generations = [options.open];
  }

  get open(): Generation {
    return this.#generations.at(-1) as Generation;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What no object holds yet. */
  get bytesUncommitted(): number {
    return this.#bytes - this.#bytesCommitted;
  }

  /** Adds the batch to the open generation. `after` is the end of the stream's batch before. */
  add(stream: StreamId, after: Offset, batch: Batch): void {
    const generation = this.open;
    let run = generation.runs.get(stream);
    if (run === undefined) {
      run = { generation, from: after, to: batch.to, batches: [], bytes: 0, maxTimestamp: -1 };
      generation.runs.set(stream, run);
      const runs = this.#runs.get(stream);
      if (runs === undefined) this.#runs.set(stream, [run]);
      else runs.push(run);
    }
    run.batches.push(batch);
    run.to = batch.to;
    run.bytes += batch.bytes.length;
    run.maxTimestamp = Math.max(run.maxTimestamp, batch.maxTimestamp);
    const charged = chargedBytes(batch);
    generation.bytes += charged;
    this.#bytes += charged;
    this.#evict();
  }

  /** Closes the open generation, whose batches then are complete, and opens the next. */
  cut(next: Generation): Generation {
    const closed = this.open;
    closed.close();
    this.#generations.push(next);
    return closed;
  }

  /** Objects hold the generation now: it may go when room is needed. */
  committed(generation: Generation): void {
    assert(generation.state === "closed", "only a closed generation is committed");
    generation.state = "committed";
    this.#bytesCommitted += generation.bytes;
    this.#evict();
  }

  /** Batches of the stream that cover [from, to), or undefined when the first of them is not here. */
  read(stream: StreamId, request: ReadRequest): ReadResult | undefined {
    const { from, to, bytesMax } = request;
    const runs = this.#runs.get(stream);
    const first = runs?.[0];
    if (runs === undefined || first === undefined || from < first.from) return undefined;
    const batches: Batch[] = [];
    let bytes = 0;
    for (const run of runs) {
      if (run.to <= from) continue;
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

  #evict(): void {
    for (let oldest = this.#generations[0]; this.#bytes > this.#bytesMax; oldest = this.#generations[0]) {
      if (oldest?.state !== "committed") return;
      this.#generations.shift();
      for (const [stream, run] of oldest.runs) {
        const runs = this.#runs.get(stream) as Run[];
        assert(runs[0] === run, "generations and runs leave in the same order");
        if (runs.length === 1) this.#runs.delete(stream);
        else runs.shift();
        this.#release(run);
      }
    }
  }

  #release(run: Run): void {
    for (const batch of run.batches) {
      const charged = chargedBytes(batch);
      this.#bytes -= charged;
      run.generation.bytes -= charged;
      if (run.generation.state === "committed") this.#bytesCommitted -= charged;
      this.#released(batch);
    }
  }
}

/** Memory that a batch takes beside its bytes: the objects that describe it. */
const batchOverheadBytes = 256;

function chargedBytes(batch: Batch): number {
  return batch.bytes.length + batchOverheadBytes;
}

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
