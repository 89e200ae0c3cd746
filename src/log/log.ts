/** Kafka partitions over streams: what handlers, coordinators and the table side see of them. */
import type { NodeId, Offset, Uuid } from "../base/ids.ts";
import type { Marker } from "../protocol/records.ts";

export interface Log extends AsyncDisposable {
  /** The partition if this node owns it. Look it up again after every await. */
  partition(topicId: Uuid, index: number): Lookup;
  partitions(): Iterable<Partition>;
}

export type Lookup =
  | { readonly kind: "here"; readonly partition: Partition }
  | { readonly kind: "elsewhere"; readonly node: NodeId | undefined; readonly leaderEpoch: number }
  /** Owned by this node and still being opened: a retriable answer. */
  | { readonly kind: "opening" }
  | { readonly kind: "unknown" };

export interface Partition {
  readonly topicId: Uuid;
  readonly topic: string;
  readonly index: number;
  readonly leaderEpoch: number;
  readonly logStart: Offset;
  /** Everything below is durable. */
  readonly highWatermark: Offset;
  /** The first offset of the oldest open transaction, or the high watermark. */
  readonly lastStable: Offset;
  /** Bytes kept. */
  readonly bytes: number;
  /** Since this node opened the partition; metrics are taken from here when they are asked for. */
  readonly counts: PartitionCounts;

  /**
   * Appends one record batch (magic 2). The bytes are borrowed until the promise settles. Resolves when the batch is durable
   * and the high watermark has passed it. A rejection means that the node is failing: answer KAFKA_STORAGE_ERROR.
   */
  append(batch: Uint8Array, options: AppendOptions): Promise<AppendOutcome>;
  /**
   * Whole batches from the one that holds `from` on, bounded by the high watermark or the last stable offset. Rejects with
   * OperationFailed when the storage cannot give the first of them; its RangeUnreadable says that it never will.
   */
  read(request: PartitionRead): Promise<PartitionReadResult>;
  /**
   * Bytes that a read from `from` could return now, capped: for min_bytes of a waiting fetch. The cap itself where a read
   * would not wait for bytes: outside of the log, and once the partition is closed.
   */
  bytesAvailable(from: Offset, isolation: Isolation): number;
  /** Calls back once when the high watermark, the last stable offset or the log start moves, or the partition closes. */
  onAdvance(listener: () => void): Disposable;
  offsetFor(query: OffsetQuery, isolation: Isolation): Promise<OffsetAnswer>;
  /** KIP-320: the last epoch at or below the asked one and the offset at which it ends; undefined when there is none. */
  endOfEpoch(epoch: number): { readonly epoch: number; readonly endOffset: Offset } | undefined;
  /** Moves the log start; "high-watermark" stands for the end. */
  deleteRecords(before: Offset | "high-watermark"): Promise<DeleteRecordsOutcome>;
  /** Live producers, for DescribeProducers. */
  producers(): readonly ProducerInfo[];
  /** Why a marker would be refused now; undefined when it would not. */
  markerRefusal(marker: TransactionEnd): MarkerRefusal | undefined;
  /** Whether what a coordinator writes for a producer would be refused now: a newer epoch of it was there before. */
  isFenced(by: { readonly producerId: number; readonly producerEpoch: number }): boolean;
}

/** A marker, and what is said of it but not written. */
export interface TransactionEnd extends Marker {
  /**
   * From 2 on each transaction has an epoch of its own and its marker the next one (KIP-890): one whose epoch the open
   * transaction has is a copy of the marker before, come late, and must not end it.
   */
  readonly transactionVersion?: number;
}

/** A newer coordinator, or a newer epoch of the producer, was there before. */
export type MarkerRefusal = "coordinator-fenced" | "stale-producer-epoch";

export type DeleteRecordsOutcome =
  | { readonly kind: "moved"; readonly logStart: Offset }
  | { readonly kind: "out-of-range" }
  /** The topic is compacted and nothing else: its records go when newer ones replace them. */
  | { readonly kind: "compacted-only" }
  | { readonly kind: "closed" };

export type Isolation = "read-uncommitted" | "read-committed";

export interface PartitionCounts {
  readonly recordsIn: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Taken out by cleaning. */
  readonly bytesCleaned: number;
  readonly duplicateBatches: number;
  readonly rejectedBatches: number;
}

export interface AppendOptions {
  /** "client" batches are checked in full, as Kafka checks them; "coordinator" ones come from inside and may be control batches. */
  readonly origin: "client" | "coordinator";
  /** Produce version: decides whether zstd is allowed. */
  readonly apiVersion: number;
  /** How long the batch may wait for room before it is answered "busy"; the log has a bound of its own. */
  readonly waitMsMax?: number;
  /**
   * Of a batch of a transaction: settles before the batch is given an offset, and what it gives is asked in that very turn. False:
   * the transaction is not open, and the batch is rejected as "invalid-transaction-state". Never rejects.
   */
  readonly whileOpen?: Promise<() => boolean>;
  /** Of a batch of a transaction: each has an epoch of its own, so that a producer begins with sequence 0 where it is not known. */
  readonly beginsAtZero?: boolean;
  /** Of a coordinator's batch: asked in the turn in which it would be given an offset. False: it is rejected as "busy". */
  readonly isWanted?: () => boolean;
  /** Of a marker: as in TransactionEnd. */
  readonly transactionVersion?: number | undefined;
}

export type AppendOutcome =
  | {
      readonly kind: "appended";
      readonly baseOffset: Offset;
      /** -1 unless the topic stamps append time. */
      readonly appendTimestamp: number;
      readonly logStart: Offset;
    }
  | {
      readonly kind: "rejected";
      readonly reason: AppendRejection;
      readonly detail: string;
      readonly badRecords?: readonly { readonly index: number; readonly detail: string }[];
    };

export type AppendRejection =
  | "corrupt-message"
  | "invalid-record"
  | "invalid-timestamp"
  | "message-too-large"
  /** Larger than a segment may be. */
  | "record-list-too-large"
  | "unsupported-compression"
  | "unsupported-format"
  | "out-of-order-sequence"
  | "stale-producer-epoch"
  | "invalid-transaction-state"
  /** A marker of a transaction coordinator that was replaced. */
  | "coordinator-fenced"
  /** The node cannot take it now; the same batch may succeed later. Nothing was appended. */
  | "busy"
  | "closed";

export interface PartitionRead {
  readonly from: Offset;
  readonly bytesMax: number;
  /** Return the first batch even when it is larger than bytesMax (KIP-74). */
  readonly atLeastOne: boolean;
  readonly isolation: Isolation;
  /** As in ReadRequest of src/stream/storage.ts: without it the batches are the caller's for good. */
  readonly borrow?: DisposableStack | undefined;
}

export type PartitionReadResult =
  | {
      readonly kind: "batches";
      readonly batches: readonly Uint8Array[];
      readonly bytes: number;
      /** The offset after the last batch returned; equals `from` when none was. */
      readonly next: Offset;
      /** Only for read-committed; sorted by first offset. */
      readonly aborted: readonly { readonly producerId: number; readonly firstOffset: Offset }[];
      readonly highWatermark: Offset;
      readonly lastStable: Offset;
      readonly logStart: Offset;
    }
  | { readonly kind: "out-of-range" }
  | { readonly kind: "closed" };

export type OffsetQuery =
  | { readonly kind: "earliest" | "latest" | "max-timestamp" }
  | { readonly kind: "at-or-after"; readonly timestamp: number };

/** offset -1 and timestamp -1 when nothing matches. */
export interface OffsetAnswer {
  readonly offset: number;
  readonly timestamp: number;
  readonly leaderEpoch: number;
}

export interface ProducerInfo {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly lastSequence: number;
  readonly lastTimestamp: number;
  readonly coordinatorEpoch: number;
  /** -1 when no transaction is open. */
  readonly transactionStart: number;
}
