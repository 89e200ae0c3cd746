/** Streams in memory, for tests of what stands above them: the test decides when a batch becomes durable and what survives. */
import type { Offset, Owned, StreamId } from "../../src/base/ids.ts";
import type {
  Batch,
  OpenedStream,
  OpenOptions,
  RangeSummary,
  ReadRequest,
  ReadResult,
  StoredRange,
  StreamStorage,
} from "../../src/stream/storage.ts";

export class MemoryStreams implements StreamStorage {
  readonly #streams = new Map<StreamId, MemoryStream>();
  /** Whether appends become durable by themselves, in the next microtask. */
  isDurableAtOnce = true;

  stream(id: StreamId): MemoryStream {
    let stream = this.#streams.get(id);
    if (stream === undefined) {
      stream = new MemoryStream(this);
      this.#streams.set(id, stream);
    }
    return stream;
  }

  async open(id: StreamId, options: OpenOptions): Promise<OpenedStream> {
    const stream = this.stream(id);
    stream.options = options;
    return stream;
  }

  leave(id: StreamId): void {
    this.stream(id).options = undefined;
  }

  async close(id: StreamId): Promise<void> {
    this.stream(id).cut();
  }

  async trim(id: StreamId, to: Offset): Promise<void> {
    this.stream(id).trim(to);
  }

  async flush(): Promise<void> {
    for (const stream of this.#streams.values()) stream.cut();
  }

  readonly fullness = 0;

  async [Symbol.asyncDispose](): Promise<void> {}
}

interface Waiting {
  readonly settle: () => void;
  readonly fail: (cause: Error) => void;
}

export class MemoryStream implements OpenedStream {
  readonly #streams: MemoryStreams;
  #batches: Batch[] = [];
  /** How many of the batches are durable. */
  #durable = 0;
  #waiting: Waiting[] = [];
  #admit: (() => void)[] = [];
  /** Whether reads answer only through `read`, as when the bytes are in the store. */
  isCold = false;
  start = 0 as Offset;
  options: OpenOptions | undefined;
  sidecar: { readonly upTo: Offset; readonly bytes: Uint8Array } | undefined;
  admission: "admitted" | "backoff" = "admitted";
  /** How many batches one range summary covers. */
  batchesPerRange = 3;

  constructor(streams: MemoryStreams) {
    this.#streams = streams;
  }

  get end(): Offset {
    return this.#durable === 0 ? this.start : (this.#batches[this.#durable - 1] as Batch).to;
  }

  get bytes(): number {
    return this.#batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
  }

  append(batch: Batch): Promise<void> {
    if (this.admission !== "admitted") throw new Error("appended while backing off");
    if (batch.from < (this.#batches.at(-1)?.to ?? this.start)) throw new Error("appended out of order");
    this.#batches.push(batch);
    return new Promise((settle, fail) => {
      this.#waiting.push({ settle, fail });
      if (this.#streams.isDurableAtOnce) this.persist();
    });
  }

  /** Makes the oldest batches durable, all by default. */
  persist(count = Number.POSITIVE_INFINITY): void {
    for (let done = 0; done < count && this.#durable < this.#batches.length; done += 1) {
      this.#durable += 1;
      this.#waiting.shift()?.settle();
    }
  }

  /** The storage gives up: nothing that waits becomes durable. */
  fail(): void {
    for (const waiting of this.#waiting.splice(0)) waiting.fail(new Error("the WAL is gone"));
  }

  /** Kills the owner: only what was durable is left, and nothing that waited is answered. */
  crash(): void {
    this.#batches = this.#batches.slice(0, this.#durable);
    this.#waiting = [];
  }

  /** As at an upload: asks the owner for its sidecar. Everything appended must be durable. */
  cut(): void {
    if (this.#durable < this.#batches.length || this.options === undefined || this.#batches.length === 0) return;
    this.sidecar = { upTo: this.end, bytes: this.options.sidecar().slice() };
  }

  backOff(): void {
    this.admission = "backoff";
  }

  admit(): void {
    this.admission = "admitted";
    for (const resolve of this.#admit.splice(0)) resolve();
  }

  admitted(): Promise<void> {
    return this.admission === "admitted" ? Promise.resolve() : new Promise((resolve) => this.#admit.push(resolve));
  }

  trim(to: Offset): void {
    if (to > (this.sidecar?.upTo ?? 0)) this.cut(); // What is trimmed was uploaded first: the sidecar survives the batches.
    if (to > this.start) this.start = to;
    const gone = this.#batches.findIndex((batch) => batch.to > to);
    const count = gone < 0 ? this.#durable : Math.min(gone, this.#durable);
    this.#batches.splice(0, count);
    this.#durable -= count;
  }

  readCached(request: ReadRequest): ReadResult | undefined {
    return this.isCold ? undefined : this.#read(request);
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    return this.#read(request);
  }

  #read(request: ReadRequest): ReadResult {
    const found: { readonly from: Offset; readonly to: Offset; readonly bytes: Owned }[] = [];
    let bytes = 0;
    for (const batch of this.#batches.slice(0, this.#durable)) {
      if (batch.to <= request.from) continue;
      if (batch.from >= request.to) break;
      if (found.length > 0 && bytes + batch.bytes.length > request.bytesMax) break;
      found.push(batch);
      bytes += batch.bytes.length;
    }
    return { batches: found, next: found.at(-1)?.to ?? request.from };
  }

  async *parts({ from, to }: RangeSummary, timestampMin: number): AsyncIterable<RangeSummary> {
    for (const batch of this.#batches.slice(0, this.#durable)) {
      const isIn = batch.from >= from && batch.from < to && batch.maxTimestamp >= timestampMin;
      if (isIn) yield { ...batch, bytes: batch.bytes.length };
    }
  }

  /** Nothing is: all of it is in memory. */
  stored(): readonly StoredRange[] {
    return [];
  }

  async *scan(): AsyncIterable<readonly Batch[]> {}

  async replace(): Promise<"stale"> {
    return "stale";
  }

  ranges(): readonly RangeSummary[] {
    const ranges: RangeSummary[] = [];
    for (let at = 0; at < this.#durable; at += this.batchesPerRange) {
      const batches = this.#batches.slice(at, Math.min(at + this.batchesPerRange, this.#durable));
      ranges.push({
        from: (batches[0] as Batch).from,
        to: (batches.at(-1) as Batch).to,
        bytes: batches.reduce((sum, batch) => sum + batch.bytes.length, 0),
        maxTimestamp: Math.max(...batches.map((batch) => batch.maxTimestamp)),
      });
    }
    return ranges;
  }
}
