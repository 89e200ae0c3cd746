/** Which of the records that were read a member is given. Pure. */
import type { DeliveryState } from "./delivery.ts";
import { type Change, type InFlight, lengthOf, type Range, rewrite, type Span, settled } from "./in-flight.ts";

/** A batch of the log; one without records for a consumer (a marker, an aborted transaction) is archived instead of given out. */
export interface ReadBatch extends Range {
  readonly isDelivered: boolean;
}

export interface AcquireRequest {
  readonly memberId: string;
  readonly untilMs: number;
  /** Where the read began; the batches follow in order. What lies between is no longer in the log. */
  readonly from: number;
  readonly batches: readonly ReadBatch[];
  readonly recordsMax: number;
  /** Acquired ranges are cut at the first batch of the log at which they hold this many records, unless records are counted. */
  readonly batchSize: number;
  /** False: whole batches of the log are given, so that the limits may be exceeded to the end of one. */
  readonly isRecordLimited: boolean;
  readonly deliveryCountLimit: number;
  /** Offsets between the start and the end of the window. */
  readonly locksMax: number;
}

export interface AcquiredRange extends Range {
  readonly deliveryCount: number;
}

export interface Acquired extends Change {
  readonly ranges: readonly AcquiredRange[];
}

interface Taking {
  state: InFlight;
  readonly changed: Span[];
  readonly ranges: AcquiredRange[];
  records: number;
  isOver: boolean;
}

export function acquire(before: InFlight, request: AcquireRequest): Acquired {
  const taking: Taking = { state: before, changed: [], ranges: [], records: 0, isOver: false };
  let next = Math.max(request.from, before.start);
  for (const batch of request.batches) {
    if (batch.last < next) continue;
    if (isFull(taking, request, batch.first)) break;
    if (batch.first > next) vanish(taking, { first: next, last: batch.first - 1 });
    const range = { first: Math.max(batch.first, next), last: batch.last };
    if (batch.isDelivered) take(taking, request, range);
    else vanish(taking, range);
    if (taking.isOver) break;
    next = batch.last + 1;
  }
  return { state: settled(taking.state), changed: taking.changed, ranges: taking.ranges };
}

function isFull(taking: Taking, request: AcquireRequest, next: number): boolean {
  if (taking.records >= request.recordsMax) return true;
  const { start, end } = taking.state;
  return next >= end && end - start >= request.locksMax;
}

/** The log does not have these: nobody is to wait for them. */
function vanish(taking: Taking, range: Range): void {
  const result = rewrite(taking.state, range, (piece) =>
    piece.state === "available" ? { ...piece, state: "archived", lock: null } : piece,
  );
  if (result === undefined) return;
  taking.state = result.state;
  taking.changed.push(...result.changed);
}

function take(taking: Taking, request: AcquireRequest, batch: Range): void {
  const room = request.isRecordLimited ? Math.max(0, request.locksMax - (taking.state.end - taking.state.start)) : 0;
  const last = request.isRecordLimited
    ? Math.min(batch.last, Math.max(taking.state.end - 1 + room, batch.first))
    : batch.last;
  let isFirstOfBatch = true;
  const pieces: Range[] = [];
  // Looked at first, rewritten after: how much is taken of a piece may be less than the piece.
  for (const piece of piecesOf(taking.state, { first: batch.first, last })) {
    if (taking.isOver) break;
    if (piece.state !== "available") continue;
    const wanted = wantedOf(taking, request, piece);
    if (wanted === 0) {
      taking.isOver = true;
      break;
    }
    pieces.push({ first: piece.first, last: piece.first + wanted - 1 });
    addRange(
      taking,
      request,
      { first: piece.first, last: piece.first + wanted - 1, deliveryCount: piece.deliveryCount + 1 },
      isFirstOfBatch,
    );
    isFirstOfBatch = false;
    if (wanted < lengthOf(piece)) taking.isOver = true;
  }
  const lock = { memberId: request.memberId, untilMs: request.untilMs };
  for (const range of pieces) {
    const result = rewrite(taking.state, range, (piece) => ({
      ...piece,
      state: "acquired",
      deliveryCount: piece.deliveryCount + 1,
      lock,
    }));
    if (result !== undefined) taking.state = result.state; // Who holds what is of a moment: it is not written down.
  }
}

/** Pieces of the window in the range, and what lies beyond its end as one that was never given out. */
function* piecesOf(
  state: InFlight,
  range: Range,
): Iterable<Range & { readonly state: DeliveryState; readonly deliveryCount: number }> {
  for (const span of state.spans) {
    if (span.last < range.first) continue;
    if (span.first > range.last) return;
    yield { ...span, first: Math.max(span.first, range.first), last: Math.min(span.last, range.last) };
  }
  const first = Math.max(range.first, state.end);
  if (first <= range.last) yield { first, last: range.last, state: "available", deliveryCount: 0 };
}

/**
 * How many records of the piece. Those that failed often are given out alone and in ever smaller numbers, so that one record
 * which nobody can process does not take its neighbours to their delivery limit with it.
 */
function wantedOf(taking: Taking, request: AcquireRequest, piece: AcquiredRange): number {
  const suspectFrom = Math.max(2, Math.ceil(request.deliveryCountLimit / 2));
  const limit = request.isRecordLimited ? request.recordsMax - taking.records : Number.POSITIVE_INFINITY;
  if (piece.deliveryCount < suspectFrom) return Math.min(lengthOf(piece), limit);
  if (taking.records > 0) return 0;
  const halvings = Math.min(30, piece.deliveryCount - suspectFrom + 1);
  return Math.min(Math.max(1, lengthOf(piece) >> halvings), limit);
}

function addRange(taking: Taking, request: AcquireRequest, range: AcquiredRange, isFirstOfBatch: boolean): void {
  taking.records += lengthOf(range);
  const before = taking.ranges.at(-1);
  const continues = before?.last === range.first - 1 && before.deliveryCount === range.deliveryCount;
  const mayCut = isFirstOfBatch && !request.isRecordLimited;
  if (before !== undefined && continues && !(mayCut && lengthOf(before) >= request.batchSize)) {
    taking.ranges[taking.ranges.length - 1] = { ...before, last: range.last };
  } else taking.ranges.push({ ...range });
}
