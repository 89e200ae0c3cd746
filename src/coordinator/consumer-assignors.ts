/** Who should read what: pure functions from members and partition counts to a complete, disjoint assignment. */
import type { Uuid } from "../base/ids.ts";
import type { Numbers } from "./held.ts";

/** Partition numbers ascend. */
export type Partitions = Numbers<Uuid>;

export interface AssignedMember {
  readonly id: string;
  readonly instanceId: string | null;
  /** Topics that exist, each once. */
  readonly topics: readonly Uuid[];
  /** What the member was to have until now. */
  readonly previous: Partitions;
}

export interface AssignorInput {
  readonly members: readonly AssignedMember[];
  /** Partition counts of all topics that members name. */
  readonly partitions: ReadonlyMap<Uuid, number>;
}

/** An entry for each member, empty ones included. */
export type Assignor = (input: AssignorInput) => ReadonlyMap<string, Partitions>;

/** The first is what a group has that asks for none. */
export const assignors: ReadonlyMap<string, Assignor> = new Map([
  ["uniform", uniform],
  ["range", range],
]);
export const defaultAssignor = "uniform";

/**
 * Each topic by itself: its readers in a fixed order, each with a run of neighbouring partitions, so that topics with equally
 * many partitions meet at the same member. Static members come first, by the name that survives a restart.
 */
export function range({ members, partitions }: AssignorInput): ReadonlyMap<string, Partitions> {
  const result = new Map(members.map(({ id }) => [id, new Map<Uuid, readonly number[]>()]));
  const readersOf = new Map<Uuid, AssignedMember[]>();
  for (const member of [...members].sort(byRank)) {
    for (const topic of member.topics) {
      const others = readersOf.get(topic);
      if (others === undefined) readersOf.set(topic, [member]);
      else others.push(member);
    }
  }
  for (const [topic, count] of partitions) {
    const readers = readersOf.get(topic) ?? [];
    let next = 0;
    for (const [index, { id }] of readers.entries()) {
      const length = Math.floor(count / readers.length) + (index < count % readers.length ? 1 : 0);
      const run = Array.from({ length }, (_, at) => next + at);
      if (length > 0) result.get(id)?.set(topic, run);
      next += length;
    }
  }
  return result;
}

function byRank(a: AssignedMember, b: AssignedMember): number {
  if (a.instanceId !== null && b.instanceId !== null) return a.instanceId < b.instanceId ? -1 : 1;
  if (a.instanceId !== null || b.instanceId !== null) return a.instanceId !== null ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

/** As even as the subscriptions allow, and of what members had they keep what evenness does not take from them. */
export function uniform(input: AssignorInput): ReadonlyMap<string, Partitions> {
  const desks = desksOf(input);
  const isAlike = desks.every((desk) => desk.topics.size === input.partitions.size);
  if (desks.length > 0) {
    if (isAlike) spreadAlike(desks, input.partitions);
    else spreadMixed(desks, input.partitions);
  }
  return new Map(desks.map(({ id, held }) => [id, grouped(held)]));
}

interface Seat {
  readonly topic: Uuid;
  readonly partition: number;
}

/** A member while the assignment is made. */
interface Desk {
  readonly id: string;
  readonly topics: ReadonlySet<Uuid>;
  held: Seat[];
}

/** Each member with what it had and may keep: subscribed, existing, and not claimed by a member before it. */
function desksOf({ members, partitions }: AssignorInput): readonly Desk[] {
  const taken = new Map<Uuid, Set<number>>();
  return members.map(({ id, topics, previous }) => {
    const subscribed = new Set(topics);
    const held: Seat[] = [];
    for (const [topic, numbers] of previous) {
      if (!subscribed.has(topic)) continue;
      const count = partitions.get(topic) ?? 0;
      const others = taken.get(topic) ?? new Set();
      taken.set(topic, others);
      for (const partition of numbers) {
        if (partition >= count || others.has(partition)) continue;
        others.add(partition);
        held.push({ topic, partition });
      }
    }
    return { id, topics: subscribed, held };
  });
}

function unheld(desks: readonly Desk[], partitions: ReadonlyMap<Uuid, number>): Seat[] {
  const held = new Map([...partitions.keys()].map((topic) => [topic, new Set<number>()]));
  for (const desk of desks) for (const { topic, partition } of desk.held) held.get(topic)?.add(partition);
  return [...partitions].flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })).filter(
      ({ partition }) => held.get(topic)?.has(partition) !== true,
    ),
  );
}

/** All read the same topics: everybody gets the same number, some one more, first those who already have it. */
function spreadAlike(desks: readonly Desk[], partitions: ReadonlyMap<Uuid, number>): void {
  let total = 0;
  for (const count of partitions.values()) total += count;
  const base = Math.floor(total / desks.length);
  let extras = total % desks.length;
  const quotas = desks.map(({ held }) => (held.length > base && extras-- > 0 ? base + 1 : base));
  const given = desks.map((desk, index) => desk.held.splice(quotas[index] as number));
  if (given.length === 0) return;
  const free = unheld(desks, partitions);
  let next = 0;
  const fill = (desk: Desk, quota: number): void => {
    while (desk.held.length < quota && next < free.length) desk.held.push(free[next++] as Seat);
  };
  for (const desk of desks) {
    // One that has its base already counts among the extras only when it took one above.
    const isExtra = desk.held.length > base;
    if (!isExtra && extras > 0) {
      fill(desk, base + 1);
      extras -= 1;
    } else fill(desk, isExtra ? base + 1 : base);
  }
}

/** Subscriptions differ: the scarcest topics first to whoever has least, then single moves while one makes it more even. */
function spreadMixed(desks: readonly Desk[], partitions: ReadonlyMap<Uuid, number>): void {
  const readers = new Map(
    [...partitions.keys()].map((topic) => [topic, desks.filter(({ topics }) => topics.has(topic))]),
  );
  const readersOf = ({ topic }: Seat): readonly Desk[] => readers.get(topic) ?? [];
  const free = unheld(desks, partitions).sort((a, b) => readersOf(a).length - readersOf(b).length);
  for (const seat of free) leastLoaded(readersOf(seat))?.held.push(seat);
  // Each move takes at least 2 from the sum of squares of the loads, so it ends.
  for (let isMoved = true; isMoved; ) {
    isMoved = false;
    for (const desk of desks) {
      const kept = desk.held.slice();
      for (const seat of kept) {
        const to = leastLoaded(readersOf(seat));
        if (to === undefined || to.held.length + 1 >= desk.held.length) continue;
        desk.held.splice(desk.held.indexOf(seat), 1);
        to.held.push(seat);
        isMoved = true;
      }
    }
  }
}

function leastLoaded(desks: readonly Desk[]): Desk | undefined {
  let least: Desk | undefined;
  for (const desk of desks) if (least === undefined || desk.held.length < least.held.length) least = desk;
  return least;
}

function grouped(seats: readonly Seat[]): Partitions {
  const byTopic = new Map<Uuid, number[]>();
  for (const { topic, partition } of seats) {
    const numbers = byTopic.get(topic);
    if (numbers === undefined) byTopic.set(topic, [partition]);
    else numbers.push(partition);
  }
  for (const numbers of byTopic.values()) numbers.sort((a, b) => a - b);
  return byTopic;
}
