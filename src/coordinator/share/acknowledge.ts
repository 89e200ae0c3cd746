/** What a member says of the records that it was given: all of it holds, or nothing. Pure. */
import { type AcknowledgeType, type DeliveryEvent, delivered } from "./delivery.ts";
import { type Change, type InFlight, type Range, rewrite, type Span, settled } from "./in-flight.ts";

export interface Acknowledgement extends Range {
  /** One for all the offsets, or one for each. */
  readonly types: readonly AcknowledgeType[];
}

export interface AcknowledgeRequest {
  readonly memberId: string;
  readonly batches: readonly Acknowledgement[];
  readonly nowMs: number;
  /** Until when renewed locks hold; undefined where the group does not allow it. */
  readonly renewedUntilMs: number | undefined;
  readonly deliveryCountLimit: number;
}

export type Acknowledged = (Change & { readonly kind: "done" }) | { readonly kind: "not-given-out" | "not-held" };

export function acknowledge(before: InFlight, request: AcknowledgeRequest): Acknowledged {
  let state = before;
  const changed: Span[] = [];
  for (const batch of request.batches) {
    if (batch.last < state.start) continue; // The log has moved on: nobody needs the answer.
    if (batch.last >= state.end) return { kind: "not-given-out" };
    for (const run of runsOf(batch)) {
      if (run.last < state.start) continue;
      const range = { first: Math.max(run.first, state.start), last: run.last };
      const result = rewrite(state, range, (piece) => step(piece, run.type, request));
      if (result === undefined) return { kind: "not-held" };
      state = result.state;
      changed.push(...result.changed);
    }
  }
  return { kind: "done", state: settled(state), changed };
}

function step(piece: Span, event: DeliveryEvent, request: AcknowledgeRequest): Span | undefined {
  if (piece.lock?.memberId !== request.memberId || piece.lock.untilMs <= request.nowMs) return undefined;
  const state = delivered(piece, event, request.deliveryCountLimit);
  if (state === undefined) return undefined;
  if (state !== "acquired") return { ...piece, state, lock: null };
  if (request.renewedUntilMs === undefined) return undefined;
  return { ...piece, lock: { memberId: request.memberId, untilMs: request.renewedUntilMs } };
}

/** Neighbouring offsets with the same answer, together. */
function* runsOf({ first, last, types }: Acknowledgement): Iterable<Range & { readonly type: AcknowledgeType }> {
  let from = 0;
  while (from < types.length) {
    const type = types[from] as AcknowledgeType;
    let to = from + 1;
    while (to < types.length && types[to] === type) to += 1;
    yield { type, first: first + from, last: types.length === 1 ? last : first + to - 1 };
    from = to;
  }
}
