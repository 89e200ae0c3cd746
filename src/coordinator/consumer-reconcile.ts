/**
 * One member's way from what it has to what it is to have. A partition is given to nobody while another still holds it.
 *
 *               target lacks some of it                    it no longer reports them
 *    stable ─────────────────────────────▶ unrevoked ──────────────────────────────────▶ stable, or
 *      ▲     the member's epoch stays                     the epoch becomes the targets'  unreleased
 *      └──────────────────────────────────────────────────────────────────────────────────┘
 *                        the others have given up what it waits for
 */
import type { Uuid } from "../base/ids.ts";
import type { Partitions } from "./consumer-assignors.ts";
import {
  type ConsumerGroup,
  type ConsumerMember,
  type CurrentAssignment,
  type PartitionEpochs,
  subscribedNames,
  type Topics,
} from "./consumer-group-state.ts";
import { filtered, hasSame, holdsAny, type Numbers } from "./held.ts";

/** What the member says it owns; null when it says nothing. */
export type Owned = Numbers<Uuid> | null;

export interface Reconciliation {
  readonly topics: Topics;
  readonly owned: Owned;
  /** Topics that it no longer reads are taken from it at once, whatever its target says. */
  readonly hasSubscriptionChanged: boolean;
}

/** The same object when nothing changes. */
export function reconcile(group: ConsumerGroup, member: ConsumerMember, given: Reconciliation): CurrentAssignment {
  const { current } = member;
  switch (current.state) {
    case "stable":
      if (current.epoch !== group.targetEpoch) return approach(group, member, given);
      return given.hasSubscriptionChanged ? withoutUnsubscribed(group, member, given) : current;
    case "unrevoked":
      if (!holdsAny(given.owned, current.revoking)) return approach(group, member, given);
      return given.hasSubscriptionChanged ? withoutUnsubscribed(group, member, given) : current;
    case "unreleased":
      return approach(group, member, given);
  }
}

function approach(group: ConsumerGroup, member: ConsumerMember, given: Reconciliation): CurrentAssignment {
  const { current } = member;
  const target = subscribedTarget(group, member, given.topics);
  const kept = filtered(current.assigned, (topic, partition) => target.get(topic)?.has(partition) === true);
  const revoking = filtered(current.assigned, (topic, partition) => target.get(topic)?.has(partition) !== true);
  if (revoking.size > 0 && holdsAny(given.owned, revoking)) {
    return { state: "unrevoked", epoch: current.epoch, previousEpoch: current.epoch, assigned: kept, revoking };
  }
  const { assigned, isWaiting } = withReleased(group, member, { kept, target });
  const state = isWaiting ? "unreleased" : "stable";
  const isSame = current.state === state && current.epoch === group.targetEpoch && hasSame(current.assigned, assigned);
  if (isSame && current.revoking.size === 0) return current;
  return { state, epoch: group.targetEpoch, previousEpoch: current.epoch, assigned, revoking: new Map() };
}

function subscribedTarget(
  group: ConsumerGroup,
  member: ConsumerMember,
  topics: Topics,
): ReadonlyMap<Uuid, ReadonlySet<number>> {
  const isSubscribed = subscription(group, member, topics);
  const target: Partitions = group.targets.get(member.id) ?? new Map();
  return new Map([...target].filter(([topic]) => isSubscribed(topic)).map(([topic, list]) => [topic, new Set(list)]));
}

function subscription(group: ConsumerGroup, member: ConsumerMember, topics: Topics): (topic: Uuid) => boolean {
  const names = subscribedNames(group, member.metadata);
  return (topic) => {
    const name = topics.nameOf(topic);
    return name !== undefined && names.has(name);
  };
}

function withReleased(
  group: ConsumerGroup,
  member: ConsumerMember,
  { kept, target }: { readonly kept: PartitionEpochs; readonly target: ReadonlyMap<Uuid, ReadonlySet<number>> },
): { readonly assigned: PartitionEpochs; readonly isWaiting: boolean } {
  const missing = [...target].flatMap(([topic, partitions]) =>
    [...partitions].filter((at) => kept.get(topic)?.has(at) !== true).map((partition) => ({ topic, partition })),
  );
  if (missing.length === 0) return { assigned: kept, isWaiting: false };
  const assigned = new Map([...kept].map(([topic, partitions]) => [topic, new Map(partitions)]));
  const held = heldByOthers(group, member.id);
  let isWaiting = false;
  for (const { topic, partition } of missing) {
    if (held.get(topic)?.has(partition) === true) {
      isWaiting = true;
      continue;
    }
    const partitions = assigned.get(topic) ?? new Map<number, number>();
    assigned.set(topic, partitions.set(partition, group.targetEpoch));
  }
  return { assigned, isWaiting };
}

/** Whether a member in "unreleased" would still not get all that it lacks. */
export function waitsForOthers(group: ConsumerGroup, member: ConsumerMember): boolean {
  const held = heldByOthers(group, member.id);
  for (const [topic, partitions] of group.targets.get(member.id) ?? []) {
    const has = member.current.assigned.get(topic);
    for (const partition of partitions) {
      if (has?.has(partition) !== true && held.get(topic)?.has(partition) === true) return true;
    }
  }
  return false;
}

function heldByOthers(group: ConsumerGroup, memberId: string): ReadonlyMap<Uuid, ReadonlySet<number>> {
  const held = new Map<Uuid, Set<number>>();
  for (const { id, current } of group.members.values()) {
    if (id === memberId) continue;
    for (const [topic, partitions] of [...current.assigned, ...current.revoking]) {
      const numbers = held.get(topic) ?? new Set();
      held.set(topic, numbers);
      for (const partition of partitions.keys()) numbers.add(partition);
    }
  }
  return held;
}

function withoutUnsubscribed(group: ConsumerGroup, member: ConsumerMember, given: Reconciliation): CurrentAssignment {
  const { current } = member;
  const isSubscribed = subscription(group, member, given.topics);
  const assigned = filtered(current.assigned, isSubscribed);
  if (hasSame(assigned, current.assigned)) return current;
  const gone = filtered(current.assigned, (topic) => !isSubscribed(topic));
  const revoking = new Map([...current.revoking, ...gone].map(([topic]) => [topic, new Map<number, number>()]));
  for (const [topic, partitions] of [...current.revoking, ...gone])
    for (const [partition, epoch] of partitions) revoking.get(topic)?.set(partition, epoch);
  if (!holdsAny(given.owned, revoking)) return { ...current, assigned, previousEpoch: current.epoch };
  return { state: "unrevoked", epoch: current.epoch, previousEpoch: current.epoch, assigned, revoking };
}
