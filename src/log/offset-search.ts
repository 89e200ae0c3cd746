/**
 * Finds a record by its timestamp: the range that may hold it, the block of it (index), the batch (headers), the record
 * (decoded). Each knows its greatest timestamp only, and timestamps need not grow with offsets.
 */
import type { Offset } from "../base/ids.ts";
import { MiB } from "../base/settings.ts";
import { inflateFairly } from "../protocol/compression.ts";
import { BatchView } from "../protocol/record-batch.ts";
import { RecordCursor } from "../protocol/records.ts";
import type { OpenedStream, RangeSummary } from "../stream/storage.ts";
import type { OffsetAnswer, OffsetQuery } from "./log.ts";

export type TimeQuery = { readonly kind: "max-timestamp" } | Extract<OffsetQuery, { kind: "at-or-after" }>;

export interface SearchBounds {
  readonly logStart: Offset;
  /** Nothing at or above this is found. */
  readonly end: Offset;
  readonly inflatedBytesMax: number;
}

const nothing: OffsetAnswer = { offset: -1, timestamp: -1, leaderEpoch: -1 };
/** Bytes read at a time while looking at batch headers. */
const searchReadBytes = 1 * MiB;

type Searched = Pick<OpenedStream, "ranges" | "parts" | "read" | "readCached">;

export async function searchOffset(stream: Searched, query: TimeQuery, bounds: SearchBounds): Promise<OffsetAnswer> {
  return query.kind === "at-or-after"
    ? await firstAtOrAfter(stream, query.timestamp, bounds)
    : await greatestTimestamp(stream, bounds);
}

async function firstAtOrAfter(stream: Searched, timestamp: number, bounds: SearchBounds): Promise<OffsetAnswer> {
  for (const range of stream.ranges()) {
    if (range.maxTimestamp < timestamp || range.to <= bounds.logStart) continue;
    if (range.from >= bounds.end) break;
    for await (const batch of batchesSince(stream, range, timestamp, bounds)) {
      const found = await firstRecord(batch, timestamp, bounds);
      if (found !== undefined) return found;
    }
  }
  return nothing;
}

async function greatestTimestamp(stream: Searched, bounds: SearchBounds): Promise<OffsetAnswer> {
  const ranges = stream.ranges().filter((range) => range.to > bounds.logStart && range.from < bounds.end);
  // Greatest first, the earlier of equals first. A range may promise a timestamp that lies outside the bounds.
  ranges.sort((a, b) => b.maxTimestamp - a.maxTimestamp || a.from - b.from);
  let best: OffsetAnswer = nothing;
  for (const range of ranges) {
    if (range.maxTimestamp < 0 || range.maxTimestamp < best.timestamp) break;
    // What it promises may lie outside the bounds, or be gone: then all that may be greater than the best is looked at.
    best = await greatestIn(stream, range, range.maxTimestamp, bounds, best);
    if (best.timestamp < range.maxTimestamp) best = await greatestIn(stream, range, best.timestamp, bounds, best);
  }
  return best;
}

async function greatestIn(
  stream: Searched,
  range: RangeSummary,
  timestampMin: number,
  bounds: SearchBounds,
  bestBefore: OffsetAnswer,
): Promise<OffsetAnswer> {
  let best = bestBefore;
  for await (const batch of batchesSince(stream, range, Math.max(0, timestampMin), bounds)) {
    if (batch.maxTimestamp < best.timestamp) continue;
    const found = await greatestRecord(batch, bounds);
    if (found === undefined || found.timestamp < best.timestamp) continue;
    if (found.timestamp > best.timestamp || found.offset < best.offset) best = found;
  }
  return best;
}

/** The batches of the range that have a record at or after the timestamp. */
async function* batchesSince(
  stream: Searched,
  range: RangeSummary,
  timestamp: number,
  bounds: SearchBounds,
): AsyncIterable<BatchView> {
  for await (const part of stream.parts(range, timestamp)) {
    if (part.to <= bounds.logStart) continue;
    if (part.from >= bounds.end) return;
    for await (const batch of batchesOf(stream, part, bounds)) if (batch.maxTimestamp >= timestamp) yield batch;
  }
}

async function* batchesOf(stream: Searched, range: RangeSummary, bounds: SearchBounds): AsyncIterable<BatchView> {
  const to = Math.min(range.to, bounds.end) as Offset;
  for (let from = Math.max(range.from, bounds.logStart) as Offset; from < to; ) {
    const wanted = { from, to, bytesMax: searchReadBytes };
    const found = stream.readCached(wanted) ?? (await stream.read(wanted));
    for (const { bytes } of found.batches) yield new BatchView(bytes);
    if (found.next <= from) return;
    from = found.next;
  }
}

async function firstRecord(
  batch: BatchView,
  timestamp: number,
  bounds: SearchBounds,
): Promise<OffsetAnswer | undefined> {
  for (const record of await recordsOf(batch, bounds)) if (record.timestamp >= timestamp) return record;
  return undefined;
}

async function greatestRecord(batch: BatchView, bounds: SearchBounds): Promise<OffsetAnswer | undefined> {
  let greatest: OffsetAnswer | undefined;
  for (const record of await recordsOf(batch, bounds)) {
    if (record.timestamp > (greatest?.timestamp ?? -1)) greatest = record;
  }
  return greatest;
}

/** Offset and timestamp of the batch's records within the bounds. */
async function recordsOf(batch: BatchView, bounds: SearchBounds): Promise<Iterable<OffsetAnswer>> {
  const inflated = await inflateFairly(batch.compression ?? "none", batch.records, {
    bytesMax: bounds.inflatedBytesMax,
  });
  return within(batch, inflated, bounds);
}

function* within(batch: BatchView, inflated: Uint8Array, bounds: SearchBounds): Iterable<OffsetAnswer> {
  const { baseOffset, baseTimestamp, leaderEpoch, maxTimestamp } = batch;
  const isAppendTime = batch.timestampType === "append"; // Then the header's time is that of every record.
  const cursor = new RecordCursor(inflated, batch.recordCount);
  while (cursor.next()) {
    const offset = baseOffset + cursor.offsetDelta;
    if (offset < bounds.logStart) continue;
    if (offset >= bounds.end) return;
    yield { offset, timestamp: isAppendTime ? maxTimestamp : baseTimestamp + cursor.timestampDelta, leaderEpoch };
  }
}
