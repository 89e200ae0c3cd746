/**
 * Which of the records that were read a member is given. Pure.
 *
 * What was first taken together, an origin, is given together again: all of it that is available. Once some of it was given out
 * half as often as the group allows, the origin is suspect, and given in a delivery of its own; of as many records as it has,
 * available or not, half as many, then a quarter, and so on, and a record alone the last time that it may be given out: one record
 * that nobody can process is not to take its neighbours to their limit with it. The counts are those of Kafka.
 */
import type { DeliveryState } from "./delivery.ts";
import {
  type Change,
  deliveriesMax,
  type InFlight,
  isSameRange,
  lengthOf,
  type Range,
  rewrite,
  type Span,
  settled,
} from "./in-flight.ts";

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
  /** False: whole batches of the log, and whole origins, are given, so that the limits may be exceeded to the end of one. */
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
  readonly read: Range;
  readonly changed: Span[];
  readonly ranges: AcquiredRange[];
  records: number;
  /** Null while the records are new. */
  origin: OriginTaking | null;
  /** Origins of the new records. */
  readonly fresh: Range[];
  isOver: boolean;
}

interface OriginTaking {
  readonly range: Range;
  readonly isSuspect: boolean;
  records: number;
  /** How many of a suspect origin may be taken, as the first of its records that failed often says. */
  recordsMax: number | null;
}

interface Piece extends Range {
  readonly state: DeliveryState;
  readonly deliveryCount: number;
  readonly origin: Range | null;
}

export function acquire(before: InFlight, request: AcquireRequest): Acquired {
  const taking: Taking = {
    state: before,
    read: { first: request.batches[0]?.first ?? 0, last: request.batches.at(-1)?.last ?? -1 },
    changed: [],
    ranges: [],
    records: 0,
    origin: null,
    fresh: [],
    isOver: false,
  };
  let next = Math.max(request.from, before.start);
  for (const batch of request.batches) {
    if (batch.last < next) continue;
    if (isEnough(taking, request, batch.first)) break;
    if (batch.first > next) vanish(taking, { first: next, last: batch.first - 1 });
    const range = { first: Math.max(batch.first, next), last: batch.last };
    if (batch.isDelivered) take(taking, request, range);
    else vanish(taking, range);
    if (taking.isOver) break;
    next = batch.last + 1;
  }
  for (const origin of taking.fresh) originate(taking, origin);
  return { state: settled(taking.state), changed: taking.changed, ranges: taking.ranges };
}

/** Before a batch of the log. */
function isEnough(taking: Taking, request: AcquireRequest, next: number): boolean {
  const { origin, state } = taking;
  if (origin !== null && next <= origin.range.last) return false; // It was begun before.
  if (origin?.isSuspect === true || taking.records >= request.recordsMax) return true;
  return next >= state.end && state.end - state.start >= request.locksMax;
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
  const pieces: Range[] = [];
  // Looked at first, rewritten after: how much is taken of a piece may be less than the piece.
  for (const piece of piecesOf(taking.state, batch)) {
    if (taking.isOver) break;
    if (piece.state !== "available") continue;
    const wanted = enters(taking, request, piece) ? wantedOf(taking, request, piece) : 0;
    if (wanted === 0) {
      taking.isOver = true;
      break;
    }
    const range = { first: piece.first, last: piece.first + wanted - 1 };
    const mayCut = pieces.length === 0 && !request.isRecordLimited;
    if (piece.origin === null) addFresh(taking, request, request.isRecordLimited ? piece : range, mayCut);
    addRange(taking, request, { ...range, deliveryCount: piece.deliveryCount + 1 }, mayCut);
    pieces.push(range);
    if (wanted < lengthOf(piece) || isLastOfOrigin(taking, request, piece)) taking.isOver = true;
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
function* piecesOf(state: InFlight, range: Range): Iterable<Piece> {
  for (const span of state.spans) {
    if (span.last < range.first) continue;
    if (span.first > range.last) return;
    yield { ...span, first: Math.max(span.first, range.first), last: Math.min(span.last, range.last) };
  }
  const first = Math.max(range.first, state.end);
  if (first <= range.last) yield { first, last: range.last, state: "available", deliveryCount: 0, origin: null };
}

/** Whether the piece may be in this delivery, of whose origin it is from now on. */
function enters(taking: Taking, request: AcquireRequest, { origin }: Piece): boolean {
  const before = taking.origin;
  if (before !== null && isSameRange(before.range, origin)) return true;
  const isSuspect =
    origin !== null && deliveriesMax(taking.state, origin, taking.read) >= suspectFrom(request.deliveryCountLimit);
  if (taking.records >= request.recordsMax || before?.isSuspect === true) return false;
  if (isSuspect && taking.records > 0) return false;
  taking.origin = origin === null ? null : { range: origin, isSuspect, records: 0, recordsMax: null };
  return true;
}

function suspectFrom(deliveryCountLimit: number): number {
  return Math.max(2, Math.ceil(deliveryCountLimit / 2));
}

/** How many records of the piece, all of which were given out as often. */
function wantedOf(taking: Taking, request: AcquireRequest, piece: Piece): number {
  const most = Math.min(lengthOf(piece), roomOf(taking, request, piece));
  const { origin } = taking;
  if (origin === null || !origin.isSuspect) return most;
  if (isLastTime(request, piece)) return origin.records === 0 ? Math.min(1, most) : 0;
  const over = piece.deliveryCount - suspectFrom(request.deliveryCountLimit);
  if (over >= 0) origin.recordsMax ??= Math.max(1, Math.floor(lengthOf(origin.range) / 2 ** (over + 1)));
  // Those before the first that failed often may be more than that already: then all are taken, as Kafka does.
  const left = (origin.recordsMax ?? 0) - origin.records;
  return left > 0 ? Math.min(most, left) : most;
}

function roomOf({ state, records }: Taking, request: AcquireRequest, piece: Piece): number {
  if (!request.isRecordLimited) return Number.POSITIVE_INFINITY;
  const window = piece.first < state.end ? Number.POSITIVE_INFINITY : request.locksMax - (state.end - state.start);
  return Math.max(0, Math.min(request.recordsMax - records, window));
}

/** Two deliveries are too few to find out anything. */
function isLastTime({ deliveryCountLimit }: AcquireRequest, { deliveryCount }: Piece): boolean {
  return deliveryCountLimit > 2 && deliveryCount === deliveryCountLimit - 1;
}

function isLastOfOrigin({ origin }: Taking, request: AcquireRequest, piece: Piece): boolean {
  if (origin === null || !origin.isSuspect) return false;
  return isLastTime(request, piece) || origin.records === origin.recordsMax;
}

function addRange(taking: Taking, request: AcquireRequest, range: AcquiredRange, mayCut: boolean): void {
  taking.records += lengthOf(range);
  if (taking.origin !== null) taking.origin.records += lengthOf(range);
  const before = taking.ranges.at(-1);
  const continues = before?.last === range.first - 1 && before.deliveryCount === range.deliveryCount;
  if (before !== undefined && continues && !(mayCut && lengthOf(before) >= request.batchSize)) {
    taking.ranges[taking.ranges.length - 1] = { ...before, last: range.last };
  } else taking.ranges.push({ ...range });
}

/** New records are one origin up to the batch size, unless others lie between; where they are counted, to the end of the log's batch. */
function addFresh(taking: Taking, request: AcquireRequest, { first, last }: Range, mayCut: boolean): void {
  const before = taking.fresh.at(-1);
  const isCut = before !== undefined && mayCut && first - before.first >= request.batchSize;
  if (before === undefined || isCut || isOriginBetween(taking.state, before.last, first)) {
    taking.fresh.push({ first, last });
  } else taking.fresh[taking.fresh.length - 1] = { first: before.first, last };
}

function isOriginBetween({ spans }: InFlight, before: number, after: number): boolean {
  for (let at = spans.length - 1; at >= 0; at -= 1) {
    const span = spans[at] as Span;
    if (span.first <= before) return false;
    if (span.last < after && span.origin !== null) return true;
  }
  return false;
}

/** The window grows to the end of the origin. */
function originate(taking: Taking, origin: Range): void {
  const result = rewrite(taking.state, origin, (piece) => (piece.origin === null ? { ...piece, origin } : piece));
  if (result !== undefined) taking.state = result.state;
}
