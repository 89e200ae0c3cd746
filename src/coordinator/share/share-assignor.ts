/**
 * Kafka's "simple" assignor: partitions are spread evenly, and shared where there are more members than partitions. What a member
 * has it keeps as far as that is fair. Pure.
 */
import type { Uuid } from "../../base/ids.ts";

export interface AssignedTopic {
  readonly topicId: Uuid;
  readonly partitions: readonly number[];
}

export type Assignment = readonly AssignedTopic[];

export interface AssignorMember {
  readonly memberId: string;
  readonly topicIds: readonly Uuid[];
  readonly assignment: Assignment;
}

/** `partitions`: what may be assigned of each topic. */
export function assignShared(
  members: readonly AssignorMember[],
  partitions: ReadonlyMap<Uuid, readonly number[]>,
): ReadonlyMap<string, Assignment> {
  const result = new Map(members.map(({ memberId }) => [memberId, new Set<string>()]));
  for (const group of alike(members)) shareOut(group, partitions, result);
  return new Map(Array.from(result, ([memberId, taken]) => [memberId, assignmentOf(taken)]));
}

/** Members that read the same topics share those among themselves; each of such sets is served in full. */
function alike(members: readonly AssignorMember[]): readonly (readonly AssignorMember[])[] {
  const sets = new Map<string, AssignorMember[]>();
  for (const member of members) {
    const key = [...member.topicIds].sort().join();
    const set = sets.get(key);
    if (set === undefined) sets.set(key, [member]);
    else set.push(member);
  }
  return [...sets.values()];
}

function shareOut(
  members: readonly AssignorMember[],
  partitions: ReadonlyMap<Uuid, readonly number[]>,
  result: ReadonlyMap<string, Set<string>>,
): void {
  const topicIds = members[0]?.topicIds ?? [];
  const targets = topicIds.flatMap((topicId) => (partitions.get(topicId) ?? []).map((index) => idOf(topicId, index)));
  if (targets.length === 0) return;
  /** Members a partition has, and partitions a member has, both as even as whole numbers allow. */
  const sharing = Math.ceil(members.length / targets.length);
  const perMember = (sharing * targets.length) / members.length;
  const quota = members.map((_, index) => Math.ceil(perMember * (index + 1)) - Math.ceil(perMember * index));
  const holders = new Map(targets.map((target) => [target, 0]));
  const taken = members.map(({ memberId }) => result.get(memberId) as Set<string>);
  for (const [index, member] of members.entries()) {
    for (const target of idsOf(member.assignment)) {
      const count = holders.get(target);
      if (count === undefined || count >= sharing || (taken[index] as Set<string>).size >= (quota[index] as number))
        continue;
      (taken[index] as Set<string>).add(target);
      holders.set(target, count + 1);
    }
  }
  for (const [target, count] of holders) {
    for (let missing = sharing - count; missing > 0; missing -= 1) {
      const index = neediest(taken, quota, target);
      if (index === undefined) break; // Whoever has room has this one already: a little uneven, and harmless.
      (taken[index] as Set<string>).add(target);
    }
  }
}

/** The member that lacks the most of its quota, of those without the target. */
function neediest(taken: readonly Set<string>[], quota: readonly number[], target: string): number | undefined {
  let best: number | undefined;
  let most = 0;
  for (const [index, set] of taken.entries()) {
    const lack = (quota[index] as number) - set.size;
    if (lack <= most || set.has(target)) continue;
    best = index;
    most = lack;
  }
  return best;
}

function idsOf(assignment: Assignment): readonly string[] {
  return assignment.flatMap(({ topicId, partitions }) => partitions.map((index) => idOf(topicId, index)));
}

function idOf(topicId: Uuid, index: number): string {
  return `${topicId} ${index}`;
}

function assignmentOf(ids: ReadonlySet<string>): Assignment {
  const topics = new Map<Uuid, number[]>();
  for (const id of ids) {
    const [topicId, index] = id.split(" ") as [Uuid, string];
    const partitions = topics.get(topicId) ?? [];
    partitions.push(Number(index));
    topics.set(topicId, partitions);
  }
  return Array.from(topics, ([topicId, partitions]) => ({
    topicId,
    partitions: partitions.sort((a, b) => a - b),
  })).sort((a, b) => (a.topicId < b.topicId ? -1 : 1));
}

export function isSameAssignment(a: Assignment, b: Assignment): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
