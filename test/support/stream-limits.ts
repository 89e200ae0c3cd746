/** Limits of stream storage that small data reach. */
import type { StreamLimits } from "../../src/stream/limits.ts";

export const smallStreams: StreamLimits = {
  uploadBytesMax: 1_000_000,
  uploadIntervalMsMax: 1_000_000,
  uploadsInFlightMax: 2,
  uploadPartBytes: 1_000_000,
  streamObjectBytesMin: 10_000,
  objectStreamsMax: 100,
  blockBytesMax: 4096,
  walReferenceBytesMin: 0,
  uploadRetryDelayMsMin: 1,
  uploadRetryDelayMsMax: 2,
  logCacheBytesMax: 1_000_000,
  blockCacheBytesMax: 100_000,
  indexCacheBytesMax: 10_000,
  readRequestBytesMax: 10_000,
  readaheadBytesMax: 0,
  readsInFlightMax: 2,
  readCursorsMax: 4,
  garbageIntervalMs: 1000,
  garbageGraceMs: 5000,
  orphanAgeMsMin: 60_000,
};
