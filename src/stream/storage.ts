/**
 * S3Stream's face towards the log. A stream is a sequence of batches with offsets; what a batch holds, and to whom the
 * stream belongs, is not known here.
 *
 *   append ──▶ WAL (durable) ──▶ log cache ──▶ uploader ──▶ stream-set object / stream objects ──▶ metadata log
 *   read   ──▶ log cache, else block cache over objects
 */
import type { Offset, Owned, StreamId } from "../base/ids.ts";

export interface StreamStorage extends AsyncDisposable {
  /**
   * Takes over the stream for writing under a new epoch, which the metadata log has accepted. Call once a stream.
   * Everything that was acked before is readable when this resolves.
   */
  open(stream: StreamId, options: OpenOptions): Promise<OpenedStream>;
  /** Takes an opening back after which nothing was appended, trimmed or replaced: the stream can be opened here again. */
  leave(stream: StreamId): void;
  /** Gives the stream up: what is enqueued becomes durable and is uploaded; then it can be opened elsewhere. */
  close(stream: StreamId): Promise<void>;
  /** Forgets batches that end at or below the offset. Moves only forward; durable when it resolves. */
  trim(stream: StreamId, to: Offset): Promise<void>;
  /** Uploads everything that is durable now and commits it to the metadata log. */
  flush(): Promise<void>;
  /** How near the storage is to holding appends back: from 0 to 1, and a little above. */
  readonly fullness: number;
}

export interface OpenOptions {
  /** Written into objects beside the stream's id, so that a bucket explains itself. Not read here. */
  readonly label: Uint8Array;
  /**
   * What the owner must remember to go on after exactly the batches appended so far. Asked synchronously at a cut, kept
   * with the uploaded range, given back at open. Must not keep or change state.
   */
  readonly sidecar: () => Uint8Array;
}

export interface OpenedStream {
  /** The first offset that is kept. */
  readonly start: Offset;
  /** The offset after the last durable batch. */
  readonly end: Offset;
  /** The newest uploaded sidecar, and the offset up to which it speaks; batches [sidecar.upTo, end) must be replayed over it. */
  readonly sidecar: { readonly upTo: Offset; readonly bytes: Uint8Array } | undefined;

  /**
   * Enqueues without waiting: call order is stream order. The promise settles when the batch is durable, and promises of
   * one stream settle in order. A rejection means that the storage is failing and the node must stop (the batch may or may
   * not be durable). `from` must be at or after the end of the batch before; a gap is legal and stays a gap.
   */
  append(batch: Batch): Promise<void>;
  /** Whether append may be called now. "backoff": wait for `admitted()`, then ask again. */
  readonly admission: "admitted" | "backoff";
  admitted(): Promise<void>;
  /**
   * Durable batches that cover [from, to), the first of which may begin before `from`; at least one batch if any is
   * there, then no more than `bytesMax`. The views are never written again, so they may be kept for as long as needed, save
   * for those who `borrow`.
   * Rejects only when the first batch cannot be given: with RangeUnreadable when asking again is in vain, else with the
   * store's own failure.
   */
  read(request: ReadRequest): Promise<ReadResult>;
  /** Like read when everything needed is in memory; undefined when it would have to ask the store. */
  readCached(request: ReadRequest): ReadResult | undefined;
  /** Bytes kept from start to end, as uploaded or cached. */
  readonly bytes: number;
  /**
   * Coverage of the stored ranges in offset order, newest timestamps included: for retention and for search by time.
   * Uploaded index entries and cached ranges alike.
   */
  ranges(): readonly RangeSummary[];
  /**
   * What one of `ranges()` is made of, in order: its blocks, or its batches when they are not uploaded. Without those whose
   * timestamps are all below `timestampMin`. Reads an index at most, no batch.
   */
  parts(range: RangeSummary, timestampMin: number): AsyncIterable<RangeSummary>;

  /** What objects hold, in offset order. */
  stored(): readonly StoredRange[];
  /**
   * All batches of a stored range, a block at a time, past the caches: for who reads everything once.
   * Rejects with OperationFailed when the range is not stored any more.
   */
  scan(range: StoredRange): AsyncIterable<readonly Batch[]>;
  /**
   * Puts these batches, in one new object, in the place of neighbouring stored ranges; offsets may be left out. "stale": the
   * stream does not hold these ranges any more, and nothing was changed. Readers see the old batches or the new ones.
   */
  replace(ranges: readonly StoredRange[], batches: AsyncIterable<Batch>): Promise<"replaced" | "stale">;
}

export interface Batch {
  readonly from: Offset;
  /** The offset after the last record. */
  readonly to: Offset;
  readonly bytes: Owned;
  /** Greatest record timestamp, milliseconds; -1 when none. */
  readonly maxTimestamp: number;
}

export interface ReadRequest {
  readonly from: Offset;
  /** Batches that begin at or after this are not returned. */
  readonly to: Offset;
  readonly bytesMax: number;
  /** Spares a copy: the views are true until it is disposed of, and then others' bytes may come to lie there. */
  readonly borrow?: DisposableStack | undefined;
}

export interface ReadResult {
  readonly batches: readonly { readonly from: Offset; readonly to: Offset; readonly bytes: Uint8Array }[];
  /** Where the next read goes on: after the last batch returned, or after a gap that ended the read. */
  readonly next: Offset;
}

/** A range that an object holds. */
export interface StoredRange extends RangeSummary {
  readonly object: string;
}

export interface RangeSummary {
  readonly from: Offset;
  readonly to: Offset;
  readonly bytes: number;
  readonly maxTimestamp: number;
}
