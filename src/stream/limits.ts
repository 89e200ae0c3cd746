/** Every bound of S3Stream, by name; schemas/config.ts holds the defaults. The WAL's own are in file-wal.ts. */
import type { CatchupLimits } from "./catchup-share.ts";
import type { HedgeLimits } from "./hedge.ts";
import type { PaceLimits } from "./pace.ts";

export interface UploadLimits extends HedgeLimits {
  /** A generation is cut when it holds this many bytes, or a third of the log cache if that is less. */
  readonly uploadBytesMax: number;
  /** A generation is cut when its oldest batch is this old. */
  readonly uploadIntervalMsMax: number;
  /** Objects and parts of objects that are on their way at once. */
  readonly uploadsInFlightMax: number;
  /** Objects above twice this size go up in parts of it. S3 wants at least 5 MiB. */
  readonly uploadPartBytes: number;
  /** A stream with this many bytes in a generation gets an object of its own. */
  readonly streamObjectBytesMin: number;
  /** Streams that share one object. */
  readonly objectStreamsMax: number;
  readonly blockBytesMax: number;
  /** Slots of an object WAL that hold this much on average are committed as they are; smaller ones are uploaded again. */
  readonly walReferenceBytesMin: number;
  /** Between attempts on a store in trouble. Attempts go on for as long as the process lives: the data has no other home. */
  readonly uploadRetryDelayMsMin: number;
  readonly uploadRetryDelayMsMax: number;
}

export interface CacheLimits {
  /** Batches kept in memory. As much as is not uploaded may reach this; then appends are held back. */
  readonly logCacheBytesMax: number;
  readonly blockCacheBytesMax: number;
  readonly indexCacheBytesMax: number;
}

export interface ReadLimits extends PaceLimits, CatchupLimits {
  /** Neighbouring blocks are asked for in one request up to this size. */
  readonly readRequestBytesMax: number;
  /** A reader that goes on where it stopped is read ahead of: first by a block, then twice as far each time, up to this. */
  readonly readaheadBytesMax: number;
  readonly readsInFlightMax: number;
  /** Readers whose position is remembered. */
  readonly readCursorsMax: number;
}

export interface GarbageLimits {
  readonly garbageIntervalMs: number;
  /** How long an object that no stream names any more is kept for readers that still have its name. */
  readonly garbageGraceMs: number;
  /** Age at which an object that the metadata has never heard of is taken for the rest of a crashed upload. */
  readonly orphanAgeMsMin: number;
}

export interface MergeLimits {
  readonly mergeIntervalMs: number;
  /** Fewer objects, or ranges of a stream, are not worth a merge. */
  readonly mergeSourcesMin: number;
  readonly mergeSourcesMax: number;
  /**
   * A stream leaves the small objects that it shares with others when it lies in them in pieces of this size on average. Each is
   * read by a request of its own, of which a dozen cost as much as sending an object.
   */
  readonly mergePieceBytesMin: number;
  /** What is merged into one object is not larger together; an object of more than half of it is not merged with others. */
  readonly mergeObjectBytesMax: number;
  /** Records further apart are not merged: they would go only when the newest of them may. */
  readonly mergeSpanMsMax: number;
  /** Of runs of single streams that are merged in one cycle. */
  readonly mergeCycleBytesMax: number;
  /** That are replaced in one cycle: each may take a request. */
  readonly mergeCycleRangesMax: number;
  /** Held at once of the objects that are merged. */
  readonly mergeMemoryBytesMax: number;
  /** Read for merges, on average. */
  readonly mergeBytesPerSecondMax: number;
}

export type StreamLimits = UploadLimits & CacheLimits & ReadLimits & MergeLimits & GarbageLimits;
