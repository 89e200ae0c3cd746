/** What was written of a share-partition, put together. Pure. */
import { type DeliveryState, deliveryStateCodes } from "./delivery.ts";
import type { Range } from "./in-flight.ts";

export interface StateBatch extends Range {
  readonly state: DeliveryState;
  readonly deliveryCount: number;
}

/**
 * In order, without overlap, and without what lies below `start`. Where batches overlap the one that was delivered more often
 * counts, and of those the one that is further on, as in Kafka: a record never goes back.
 *
 *   kept      ├──── available, 1 ────┤
 *   updates         ├ archived, 2 ┤          ├ acknowledged, 1 ┤
 *   overlay   ├ a,1 ┤├ archived, 2 ┤├ a,1 ┤  ├ acknowledged, 1 ┤
 */
export function overlay(
  kept: readonly StateBatch[],
  updates: readonly StateBatch[],
  start: number,
): readonly StateBatch[] {
  const batches = [...kept, ...updates]
    .filter(({ last }) => last >= start)
    .map((each) => (each.first >= start ? each : { ...each, first: start }));
  const edges = batches.flatMap((batch) => [
    { at: batch.first, batch, isFirst: true },
    { at: batch.last + 1, batch, isFirst: false },
  ]);
  edges.sort((a, b) => a.at - b.at);
  const result: StateBatch[] = [];
  const covering = new Map<number, { readonly batch: StateBatch; count: number }>();
  let from = 0;
  for (const { at, batch, isFirst } of edges) {
    const winner = strongest(covering);
    if (winner !== undefined && at > from) append(result, { ...winner, first: from, last: at - 1 });
    from = at;
    const rank = rankOf(batch);
    const count = (covering.get(rank)?.count ?? 0) + (isFirst ? 1 : -1);
    if (count === 0) covering.delete(rank);
    else covering.set(rank, { batch, count });
  }
  return result;
}

/** Of a few: there are as many as delivery counts and states. */
function strongest(covering: ReadonlyMap<number, { readonly batch: StateBatch }>): StateBatch | undefined {
  let best = -1;
  for (const rank of covering.keys()) best = Math.max(best, rank);
  return covering.get(best)?.batch;
}

function rankOf({ state, deliveryCount }: StateBatch): number {
  return deliveryCount * ranksPerCount + deliveryStateCodes[state];
}

/** More than there are states. */
const ranksPerCount = 8;

function append(result: StateBatch[], batch: StateBatch): void {
  const before = result.at(-1);
  const continues =
    before?.last === batch.first - 1 && before.state === batch.state && before.deliveryCount === batch.deliveryCount;
  if (before !== undefined && continues) result[result.length - 1] = { ...before, last: batch.last };
  else result.push(batch);
}
