/** What was written of a share-partition, put together: later words take the place of earlier ones. Pure. */
import type { DeliveryState } from "./delivery.ts";
import type { Range } from "./in-flight.ts";

export interface StateBatch extends Range {
  readonly state: DeliveryState;
  readonly deliveryCount: number;
}

/** In order, without overlap, and without what lies below `start`. */
export function overlay(
  kept: readonly StateBatch[],
  updates: readonly StateBatch[],
  start: number,
): readonly StateBatch[] {
  let result = kept;
  for (const update of updates) result = [...withoutRange(result, update), update].sort((a, b) => a.first - b.first);
  return joined(
    result.filter(({ last }) => last >= start).map((each) => (each.first >= start ? each : { ...each, first: start })),
  );
}

function withoutRange(batches: readonly StateBatch[], range: Range): readonly StateBatch[] {
  return batches.flatMap((batch) => {
    if (batch.last < range.first || batch.first > range.last) return [batch];
    const before = batch.first < range.first ? [{ ...batch, last: range.first - 1 }] : [];
    const after = batch.last > range.last ? [{ ...batch, first: range.last + 1 }] : [];
    return [...before, ...after];
  });
}

function joined(batches: readonly StateBatch[]): readonly StateBatch[] {
  const result: StateBatch[] = [];
  for (const batch of batches) {
    const before = result.at(-1);
    const continues =
      before?.last === batch.first - 1 && before.state === batch.state && before.deliveryCount === batch.deliveryCount;
    if (before !== undefined && continues) result[result.length - 1] = { ...before, last: batch.last };
    else result.push(batch);
  }
  return result;
}
