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
import type { ObjectIndex } from "./object-format.ts";
import type { ObjectIo, ObjectRef } from "./object-io.ts";
import { ReadCursors } from "./read-cursors.ts";
import { planRead, type ReadPlan } from "./read-plan.ts";
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
  readonly #cursors: ReadCursors;

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
    this.#cursors = new ReadCursors(options.limits.readCursorsMax);
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
    const from = Math.max(request.from, range.from) as Offset;
    const to = Math.min(request.to, range.to) as Offset;
    const index = await this.#io.index(object);
    const aheadBytesMax = this.#cursors.take(stream, request.from);
    const plan = planRead(index.blocks(stream, from), { ...request, from, to, aheadBytesMax });
    const answers = this.#ask(object, stream, plan, request.borrow);
    const isAheadAsked = plan.ahead.every((block) => this.#blocks.has(object, block));
    // The next object is opened before its reader is there, but takes no room from what is read before it.
    if (isAheadAsked && plan.aheadBytes < aheadBytesMax / 2) {
      this.#readAheadIn(stream, { from: range.to, to: request.to, bytesMax: aheadBytesMax - plan.aheadBytes });
    }
    const { batches, isCut } = await collected(answers, { ...request, from });
    const read = batches.at(-1)?.to ?? request.from;
    // A gap at the end is behind the reader.
    if (plan.isWhole && !isCut) return this.#goesOn(stream, batches, Math.max(read, to) as Offset, aheadBytesMax);
    if (batches.length > 0) return this.#goesOn(stream, batches, read, aheadBytesMax);
    assert(request.mayBeEmpty === true, "a read that comes first takes something, or is behind a gap");
    this.#cursors.set(stream, request.from, aheadBytesMax); // Not a byte was read: who reads on does so from here.
    return { batches, next: request.from };
  }

  /** What is ahead is asked for when half of it is not there: then many blocks come in one request. */
  #ask(
    object: ObjectRef,
    stream: StreamId,
    { wanted, ahead }: ReadPlan,
    borrow: DisposableStack,
  ): readonly Promise<readonly Batch[]>[] {
    const near = ahead.slice(0, Math.ceil(ahead.length / 2));
    const isAheadDue = wanted.length > 0 && near.some((block) => !this.#blocks.has(object, block));
    return this.#blocks.blocks(object, stream, wanted, borrow, isAheadDue ? ahead : []);
  }

  /** Fetches the beginning of the range at this offset. A failure comes back to whoever reads there. */
  #readAheadIn(stream: StreamId, { from, to, bytesMax: aheadBytesMax }: ReadRequest): void {
    const range = this.#metadata.image.rangeAfter(stream, from);
    if (range === undefined || range.from >= to) return;
    const object = this.#ref(range);
    const fetch = async (): Promise<void> => {
      const index = await this.#io.index(object);
      const end = Math.min(range.to, to) as Offset;
      const read = { from: range.from, to: end, bytesMax: 0, mayBeEmpty: true, aheadBytesMax };
      this.#blocks.fetchAhead(object, stream, planRead(index.blocks(stream, range.from), read).ahead);
    };
    fetch().catch(() => undefined);
  }

  /** Next time as far ahead as was read now, and twice as far as this time. */
  #goesOn(stream: StreamId, batches: readonly Batch[], next: Offset, aheadBytes: number): ReadResult {
    const { readaheadBytesMax } = this.#limits;
    const read = batches.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const wanted = Math.max(2 * aheadBytes, read, readaheadBytesMax / 16);
    this.#cursors.set(stream, next, Math.min(wanted, readaheadBytesMax));
    return { batches, next };
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

/**
 * Whole batches from an offset on. `isCut`: the limit came before the blocks' end, or a block that cannot be read. What comes before such
 * a one is given out first; who reads on is told.
 */
async function collected(
  answers: readonly Promise<readonly Batch[]>[],
  { from, to, bytesMax, mayBeEmpty = false }: PartRequest,
): Promise<{ readonly batches: readonly Batch[]; readonly isCut: boolean }> {
  const batches: Batch[] = [];
  let bytes = 0;
  for (const answer of answers) {
    const found = await answer.catch((cause: unknown) => {
      if (batches.length > 0 && (cause instanceof OperationFailed || cause instanceof CorruptData)) return undefined;
      throw cause;
    });
    if (found === undefined) return { batches, isCut: true };
    for (let i = firstEndingAfter(found, from); i < found.length; i += 1) {
      const batch = found[i] as Batch;
      if (batch.from >= to) return { batches, isCut: false };
      if ((batches.length > 0 || mayBeEmpty) && bytes + batch.bytes.length > bytesMax) return { batches, isCut: true };
      batches.push(batch);
      bytes += batch.bytes.length;
    }
  }
  return { batches, isCut: false };
}

const missingAttemptsMax = 3;
