/**
 * The records of one share-partition that are between "not yet given out" and "done with", as intervals. Pure.
 *
 *      done with       |--------- spans, without a hole ---------|   not yet given out
 *   0 ------------- start                                       end ------------------▶
 *
 * Invariants: the spans cover [start, end) exactly, in order; the first is not terminal; neighbours that nothing tells apart are
 * one span, so that what is kept grows with the disorder of a group, not with its traffic. Origins do not overlap.
 */
import { assert } from "../../base/errors.ts";
import { type DeliveryEvent, type DeliveryState, delivered, isTerminal } from "./delivery.ts";

/** Offsets from `first` to `last`, both included, as Kafka counts batches of acknowledgements. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

export interface Lock {
  readonly memberId: string;
  /** On the monotonic clock. */
  readonly untilMs: number;
}

export interface Span extends Range {
  readonly state: DeliveryState;
  readonly deliveryCount: number;
  /** Of an acquired span and of no other. */
  readonly lock: Lock | null;
  /** The records with which these were first taken, whatever became of those since; null before that. */
  readonly origin: Range | null;
}

export interface InFlight {
  readonly start: number;
  readonly end: number;
  readonly spans: readonly Span[];
}

/** What is written down: the offsets whose state is now another, and where the window starts. */
export interface Change {
  readonly state: InFlight;
  readonly changed: readonly Span[];
}

const notGivenOut = { state: "available", deliveryCount: 0, lock: null, origin: null } as const;

export function emptyInFlight(start: number): InFlight {
  return { start, end: start, spans: [] };
}

/** From what was written: offsets of which nothing is said were given out without an end, or not at all; they are given out (again). */
export function restoreInFlight(start: number, kept: readonly Omit<Span, "lock" | "origin">[]): InFlight {
  const spans: Span[] = [];
  let next = start;
  for (const each of [...kept].sort((a, b) => a.first - b.first)) {
    if (each.last < next) continue;
    const first = Math.max(each.first, next);
    if (first > next) spans.push({ first: next, last: first - 1, ...notGivenOut });
    spans.push({ ...each, first, lock: null, origin: { first, last: each.last } });
    next = each.last + 1;
  }
  return settled({ start, end: next, spans });
}

/** Where the next records to give out begin: the first available ones, else those after the end. */
export function nextToAcquire(state: InFlight): number {
  return state.spans.find((span) => span.state === "available")?.first ?? state.end;
}

/** Offsets that are done with although an earlier one is not. */
export function completeCount(state: InFlight): number {
  return state.spans.reduce((sum, span) => sum + (isTerminal(span.state) ? lengthOf(span) : 0), 0);
}

/** How often the available records of an origin were given out, at most, as far as they lie in the range. */
export function deliveriesMax({ spans }: InFlight, origin: Range, range: Range): number {
  let most = 0;
  for (let at = firstAtOrAfter(spans, Math.max(origin.first, range.first)); at < spans.length; at += 1) {
    const span = spans[at] as Span;
    if (span.first > Math.min(origin.last, range.last)) break;
    if (span.state === "available") most = Math.max(most, span.deliveryCount);
  }
  return most;
}

/** When the first lock runs out; undefined without a lock. */
export function nextExpiry(state: InFlight): number | undefined {
  let earliest: number | undefined;
  for (const { lock } of state.spans) {
    if (lock !== null && (earliest === undefined || lock.untilMs < earliest)) earliest = lock.untilMs;
  }
  return earliest;
}

/** Everything that a member holds goes back, as when its session ends. */
export function releaseMember(state: InFlight, memberId: string, deliveryCountLimit: number): Change {
  return applyWhere(state, (span) => span.lock?.memberId === memberId, "release", deliveryCountLimit);
}

export function expireLocks(state: InFlight, nowMs: number, deliveryCountLimit: number): Change {
  return applyWhere(state, ({ lock }) => lock !== null && lock.untilMs <= nowMs, "expire", deliveryCountLimit);
}

/** The log begins later now: what was before is done with. */
export function advanceStart(state: InFlight, logStart: number): InFlight {
  if (logStart <= state.start) return state;
  const spans = state.spans.flatMap((span) => {
    if (span.last < logStart) return [];
    return [span.first >= logStart ? span : { ...span, first: logStart }];
  });
  return settled({ start: logStart, end: Math.max(state.end, logStart), spans });
}

/**
 * Replaces a range of the window by what `step` makes of each piece; undefined when `step` says so for one of them: then nothing
 * has happened. The window is grown first where the range goes beyond its end.
 */
export function rewrite(state: InFlight, range: Range, step: (piece: Span) => Span | undefined): Change | undefined {
  assert(range.first >= state.start, "a range begins in the window");
  const spans = state.spans.slice();
  if (range.last >= state.end) {
    spans.push({ first: state.end, last: range.last, ...notGivenOut });
  }
  const from = firstAtOrAfter(spans, range.first);
  const pieces: Span[] = [];
  const changed: Span[] = [];
  let to = from;
  for (; to < spans.length; to += 1) {
    const span = spans[to] as Span;
    if (span.first > range.last) break;
    const first = Math.max(span.first, range.first);
    const last = Math.min(span.last, range.last);
    const next = step({ ...span, first, last });
    if (next === undefined) return undefined;
    if (first > span.first) pieces.push({ ...span, last: first - 1 });
    pieces.push(next);
    if (last < span.last) pieces.push({ ...span, first: last + 1 });
    if (next.state !== span.state || next.deliveryCount !== span.deliveryCount) changed.push(next);
  }
  spans.splice(from, to - from, ...pieces);
  return { state: { start: state.start, end: Math.max(state.end, range.last + 1), spans }, changed };
}

/** Restores the invariants after a rewrite. */
export function settled(state: InFlight): InFlight {
  const live = state.spans.findIndex((span) => !isTerminal(span.state));
  if (live < 0) return emptyInFlight(state.end);
  const spans: Span[] = [];
  for (const span of live === 0 ? state.spans : state.spans.slice(live)) {
    const before = spans.at(-1);
    if (before !== undefined && isSame(before, span)) spans[spans.length - 1] = { ...before, last: span.last };
    else spans.push(span);
  }
  return { start: (spans[0] as Span).first, end: state.end, spans };
}

export function lengthOf({ first, last }: Range): number {
  return last - first + 1;
}

function applyWhere(
  state: InFlight,
  isMeant: (span: Span) => boolean,
  event: DeliveryEvent,
  deliveryCountLimit: number,
): Change {
  const changed: Span[] = [];
  const spans = state.spans.map((span) => {
    if (!isMeant(span)) return span;
    const next = delivered(span, event, deliveryCountLimit);
    assert(next !== undefined, `${event} does not fit ${span.state}`);
    const after: Span = { ...span, state: next, lock: null };
    changed.push(after);
    return after;
  });
  return changed.length === 0 ? { state, changed } : { state: settled({ ...state, spans }), changed };
}

/** The span that holds the offset, or the first after it. Spans are in order and without holes. */
function firstAtOrAfter(spans: readonly Span[], offset: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle] as Span).last < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Acquired spans stay as they were given out: their locks are renewed and run out together. */
function isSame(a: Span, b: Span): boolean {
  if (a.state !== b.state || a.lock !== null || b.lock !== null) return false;
  return a.deliveryCount === b.deliveryCount && (isTerminal(a.state) || isSameRange(a.origin, b.origin));
}

export function isSameRange(a: Range | null, b: Range | null): boolean {
  return a?.first === b?.first && a?.last === b?.last;
}
