/** Reads what objects hold of a stream, and reads ahead of those who read on. */
import { assert, CorruptData, OperationFailed, RangeUnreadable } from "../base/errors.ts";
import type { Offset, StreamId } from "../base/ids.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { CommittedRange } from "../metadata/image.ts";
import { ObjectMissing } from "../object-store/object-store.ts";
import type { BlockCache } from "./block-cache.ts";
import type { CatchupShare } from "./catchup-share.ts";
import type { ReadLimits } from "./limits.ts";
import { firstEndingAfter } from "./log-cache.ts";
import type { IndexedBlock, ObjectIndex } from "./object-format.ts";
import type { ObjectIo, ObjectRef } from "./object-io.ts";
import type { Batch, RangeSummary, ReadRequest, ReadResult } from "./storage.ts";

/** Part of a read. One that comes after others gives nothing rather than more than was asked for. */
export type PartRequest = ReadRequest & { readonly mayBeEmpty?: boolean };

type BorrowingRequest = PartRequest & { readonly borrow: DisposableStack };

export class ObjectReader {
  readonly #metadata: MetadataClient;
  readonly #io: ObjectIo;
  readonly #blocks: BlockCache;
  readonly #share: CatchupShare;
  readonly #limits: ReadLimits;
  readonly #unreadable: (range: RangeUnreadable) => void;
  /** Where sequential readers will go on, and how far ahead to read then. In order of last use. */
  readonly #cursors = new Map<string, number>();

  constructor(options: {
    readonly metadata: MetadataClient;
    readonly io: ObjectIo;
    readonly blocks: BlockCache;
    readonly share: CatchupShare;
    readonly limits: ReadLimits;
    /** Told of each read that found an object missing or corrupt. */
    readonly unreadable: (range: RangeUnreadable) => void;
  }) {
    this.#metadata = options.metadata;
    this.#io = options.io;
    this.#blocks = options.blocks;
    this.#share = options.share;
    this.#limits = options.limits;
    this.#unreadable = options.unreadable;
  }

  /** Batches of one committed range, the one that covers `from`. `next` is at most the range's end. Waits for its turn. */
  async read(stream: StreamId, request: PartRequest): Promise<ReadResult> {
    if (request.mayBeEmpty === true && this.#share.isHeld) return { batches: [], next: request.from };
    const { bytesMax, took } = await this.#share.turn(request.bytesMax);
    let bytes = 0;
    // Who does not borrow keeps what it gets.
    using own = new DisposableStack();
    try {
      const borrow = request.borrow ?? own;
      const result = await this.#readFirst(stream, { ...request, bytesMax, borrow });
      for (const batch of result.batches) bytes += batch.bytes.length;
      return borrow === own ? { ...result, batches: result.batches.map(copied) } : result;
    } finally {
      took(bytes);
    }
  }

  async #readFirst(stream: StreamId, request: BorrowingRequest): Promise<ReadResult> {
    for (let attempt = 1; ; attempt += 1) {
      const range = this.#metadata.image.rangeAfter(stream, request.from);
      if (range === undefined || range.from >= request.to) return { batches: [], next: request.to };
      try {
        return await this.#readRange(stream, range, request);
      } catch (cause) {
        // Merged away meanwhile: the image names another object by now.
        if (cause instanceof ObjectMissing && attempt < missingAttemptsMax) continue;
        throw this.#explained(cause, stream, range, request.from);
      }
    }
  }

  /** Blocks of the stream that hold something of [from, to) and are not all older. */
  async *parts(
    stream: StreamId,
    { from, to, timestampMin }: { readonly from: Offset; readonly to: Offset; readonly timestampMin: number },
  ): AsyncIterable<RangeSummary> {
    for (let at = from; at < to; ) {
      const { range, index } = await this.#indexAt(stream, at);
      if (range === undefined || range.from >= to) return;
      for (const block of index.blocks(stream, at)) {
        if (block.from >= Math.min(range.to, to)) break;
        if (block.maxTimestamp >= timestampMin) yield block;
      }
      at = range.to;
    }
  }

  /** The committed range that covers the offset, or the next one, and the index of its object. */
  async #indexAt(
    stream: StreamId,
    from: Offset,
  ): Promise<
    | { readonly range: CommittedRange; readonly index: ObjectIndex }
    | { readonly range: undefined; readonly index: undefined }
  > {
    for (let attempt = 1; ; attempt += 1) {
      const range = this.#metadata.image.rangeAfter(stream, from);
      if (range === undefined) return { range, index: undefined };
      try {
        return { range, index: await this.#io.index(this.#ref(range)) };
      } catch (cause) {
        if (cause instanceof ObjectMissing && attempt < missingAttemptsMax) continue; // Merged away meanwhile.
        throw this.#explained(cause, stream, range, from);
      }
    }
  }

  /** What asking again cannot help is named as such; a store in trouble is left as it is. */
  #explained(cause: unknown, stream: StreamId, range: CommittedRange, readFrom: Offset): unknown {
    if (!(cause instanceof ObjectMissing || cause instanceof CorruptData)) return cause;
    const because = cause instanceof ObjectMissing ? "missing" : "corrupt";
    const from = Math.max(readFrom, range.from) as Offset;
    const object = this.#metadata.image.object(range.object)?.key ?? `object ${range.object}`;
    const unreadable = new RangeUnreadable({ stream, from, to: range.to, object, because, cause });
    this.#unreadable(unreadable);
    return unreadable;
  }

  async #readRange(stream: StreamId, range: CommittedRange, request: BorrowingRequest): Promise<ReadResult> {
    const object = this.#ref(range);
    const { mayBeEmpty = false } = request;
    const from = Math.max(request.from, range.from) as Offset;
    const index = await this.#io.index(object);
    const wanted: IndexedBlock[] = [];
    const ahead: IndexedBlock[] = [];
    const aheadBytesMax = this.#takeCursor(stream, request.from);
    let wantedBytes = 0;
    let aheadBytes = 0;
    let isAllWanted = true;
    const to = Math.min(range.to, request.to) as Offset;
    for (const block of index.blocks(stream, from)) {
      if (block.from >= to) break;
      const bytes = block.bytes * shareFrom(block, from);
      const isBegun = wanted.length > 0 ? wantedBytes >= request.bytesMax / 2 : mayBeEmpty;
      if (isAllWanted && !(isBegun && wantedBytes + bytes > request.bytesMax)) {
        wanted.push(block);
        wantedBytes += bytes;
        continue;
      }
      isAllWanted = false;
      if (aheadBytes >= aheadBytesMax) break;
      ahead.push(block);
      aheadBytes += block.bytes;
    }
    if (wanted.length === 0 && !isAllWanted) {
      this.#setCursor(stream, request.from, aheadBytesMax); // Not a byte was read: who reads on does so from here.
      return { batches: [], next: request.from };
    }
    // Not at each step: half of it is enough to be ahead, and then many blocks come in one request.
    const isAheadDue = ahead.slice(0, Math.ceil(ahead.length / 2)).some((block) => !this.#blocks.has(object, block));
    const answers = this.#blocks.blocks(object, stream, wanted, request.borrow, isAheadDue ? ahead : []);
    // The next object is opened before its reader is there, but takes no room from what is read before it.
    const isAheadAsked = ahead.every((block) => this.#blocks.has(object, block));
    if (isAheadAsked && aheadBytes < aheadBytesMax / 2) {
      this.#readAheadIn(stream, { from: range.to, to: request.to, bytesMax: aheadBytesMax - aheadBytes });
    }
    const batches: Batch[] = [];
    let bytes = 0;
    for (const answer of answers) {
      const found = await answer.catch((cause: unknown) => {
        // What comes before is given out first; who reads on is told.
        if (batches.length > 0 && (cause instanceof OperationFailed || cause instanceof CorruptData)) return undefined;
        throw cause;
      });
      if (found === undefined) return this.#result(stream, batches, undefined, aheadBytesMax);
      for (let i = firstEndingAfter(found, from); i < found.length; i += 1) {
        const batch = found[i] as Batch;
        const isFull = (batches.length > 0 || mayBeEmpty) && bytes + batch.bytes.length > request.bytesMax;
        if (isFull && batches.length === 0) {
          this.#setCursor(stream, request.from, aheadBytesMax); // Not a byte was read: who reads on does so from here.
          return { batches, next: request.from };
        }
        if (isFull || batch.from >= request.to) {
          return this.#result(stream, batches, isFull ? undefined : request.to, aheadBytesMax);
        }
        batches.push(batch);
        bytes += batch.bytes.length;
      }
    }
    // Offsets up to here were looked at: a gap is behind the reader.
    return this.#result(stream, batches, isAllWanted ? to : undefined, aheadBytesMax);
  }

  /** Fetches the beginning of the range at this offset. A failure comes back to whoever reads there. */
  #readAheadIn(stream: StreamId, { from, to, bytesMax }: ReadRequest): void {
    const range = this.#metadata.image.rangeAfter(stream, from);
    if (range === undefined || range.from >= to) return;
    const object = this.#ref(range);
    const fetch = async (): Promise<void> => {
      const index = await this.#io.index(object);
      const ahead: IndexedBlock[] = [];
      let bytes = 0;
      for (const block of index.blocks(stream, range.from)) {
        if (block.from >= Math.min(range.to, to) || bytes >= bytesMax) break;
        ahead.push(block);
        bytes += block.bytes;
      }
      this.#blocks.fetchAhead(object, stream, ahead);
    };
    fetch().catch(() => undefined);
  }

  #result(stream: StreamId, batches: readonly Batch[], end: Offset | undefined, aheadBytes: number): ReadResult {
    const last = batches.at(-1)?.to;
    assert(last !== undefined || end !== undefined, "a read goes on somewhere");
    const next = Math.max(last ?? 0, end ?? 0) as Offset;
    // As far as it read now is as far as it will read next.
    const read = batches.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const doubled = Math.max(2 * aheadBytes, read, this.#limits.readaheadBytesMax / 16);
    this.#setCursor(stream, next, Math.min(doubled, this.#limits.readaheadBytesMax));
    return { batches, next };
  }

  #setCursor(stream: StreamId, next: Offset, aheadBytesMax: number): void {
    this.#cursors.set(cursorKey(stream, next), aheadBytesMax);
    if (this.#cursors.size > this.#limits.readCursorsMax) {
      for (const oldest of this.#cursors.keys()) {
        this.#cursors.delete(oldest);
        break;
      }
    }
  }

  #takeCursor(stream: StreamId, from: Offset): number {
    const key = cursorKey(stream, from);
    const bytes = this.#cursors.get(key) ?? 0;
    this.#cursors.delete(key);
    return bytes;
  }

  #ref(range: CommittedRange): ObjectRef {
    const entry = this.#metadata.image.object(range.object);
    assert(entry !== undefined, `the image names an object that it does not know: ${range.object}`);
    return { key: entry.key, bytes: entry.bytes };
  }

  /** The newest sidecar of the stream, from the newest range that carries one. */
  async sidecar(stream: StreamId): Promise<{ readonly upTo: Offset; readonly bytes: Uint8Array } | undefined> {
    const ranges = this.#metadata.image.ranges(stream, 0 as Offset);
    const refs = ranges.map((range) => this.#ref(range)); // Before the first await: the image moves on.
    for (let i = refs.length - 1; i >= 0; i -= 1) {
      const found = await this.#io.sidecar(refs[i] as ObjectRef, stream);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function copied(batch: ReadResult["batches"][number]): ReadResult["batches"][number] {
  const { from, to, bytes } = batch;
  return { from, to, bytes: bytes.slice() };
}

/** About how much of the block lies at or after the offset. */
function shareFrom(block: IndexedBlock, from: Offset): number {
  return Math.min(1, (block.to - from) / (block.to - block.from));
}

const missingAttemptsMax = 3;

function cursorKey(stream: StreamId, offset: Offset): string {
  return `${stream}:${offset}`;
}
