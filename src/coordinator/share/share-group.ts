/**
 * Who is in a share group and which partitions each member reads. Pure: a heartbeat gives the group as it is then.
 *
 *   epoch            grows with each change of members, subscriptions or topics
 *   assignmentEpoch  the epoch that the assignment was made for
 *   member epoch     the assignment epoch that the member was told last
 */
import type { Uuid } from "../../base/ids.ts";
import { javaHash } from "../seats.ts";
import { type Assignment, assignShared, isSameAssignment } from "./share-assignor.ts";

export interface ShareMember {
  readonly id: string;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly topics: readonly string[];
  readonly epoch: number;
  /** A member that did not hear of its newest epoch may still come with the one before. */
  readonly previousEpoch: number;
  readonly assignment: Assignment;
}

/** A topic whose share-partitions have a state. */
export interface SharedTopic {
  readonly topicId: Uuid;
  readonly name: string;
  /** In order. */
  readonly partitions: readonly number[];
}

export interface ShareGroup {
  readonly epoch: number;
  readonly metadataHash: number;
  readonly assignmentEpoch: number;
  readonly members: ReadonlyMap<string, ShareMember>;
  readonly target: ReadonlyMap<string, Assignment>;
  readonly topics: ReadonlyMap<Uuid, SharedTopic>;
}

export const emptyShareGroup: ShareGroup = {
  epoch: 1, // As Kafka's: the first member makes it 2.
  metadataHash: 0,
  assignmentEpoch: 0,
  members: new Map(),
  target: new Map(),
  topics: new Map(),
};

export interface ShareHeartbeat {
  readonly memberId: string;
  readonly memberEpoch: number;
  /** Null: unchanged. */
  readonly rackId: string | null;
  readonly topics: readonly string[] | null;
  readonly clientId: string;
  readonly clientHost: string;
}

export type HeartbeatProblem = "UNKNOWN_MEMBER_ID" | "FENCED_MEMBER_EPOCH" | "GROUP_MAX_SIZE_REACHED";

export type HeartbeatOutcome =
  | { readonly kind: "refused"; readonly error: HeartbeatProblem }
  | {
      readonly kind: "accepted";
      readonly group: ShareGroup;
      readonly member: ShareMember;
      /** Whether the member must be told what it has. */
      readonly isTold: boolean;
    };

export type TopicView = (name: string) => { readonly topicId: Uuid; readonly partitions: number } | undefined;

export function heartbeat(
  before: ShareGroup,
  beat: ShareHeartbeat,
  view: { readonly topic: TopicView; readonly membersMax: number },
): HeartbeatOutcome {
  const known = before.members.get(beat.memberId);
  const problem = heartbeatProblem(before, known, beat, view.membersMax);
  if (problem !== undefined) return { kind: "refused", error: problem };
  const joined: ShareMember = {
    ...(known ?? { id: beat.memberId, epoch: 0, previousEpoch: 0, assignment: [] }),
    rackId: beat.rackId ?? known?.rackId ?? null,
    clientId: beat.clientId,
    clientHost: beat.clientHost,
    topics: [...new Set(beat.topics ?? known?.topics ?? [])].sort(),
  };
  let group: ShareGroup = { ...before, members: new Map(before.members).set(joined.id, joined) };
  const metadataHash = hashOf(group, view.topic);
  const isChanged =
    known === undefined ||
    known.topics.join() !== joined.topics.join() ||
    metadataHash !== before.metadataHash ||
    lacksAssignment(group);
  if (isChanged) group = { ...group, epoch: group.epoch + 1, metadataHash };
  if (group.epoch > group.assignmentEpoch) group = assigned(group, view.topic);
  const member = told(joined, group);
  if (member !== joined) group = { ...group, members: new Map(group.members).set(member.id, member) };
  const isTold =
    beat.memberEpoch === 0 || beat.topics !== null || !isSameAssignment(member.assignment, known?.assignment ?? []);
  return { kind: "accepted", group, member, isTold };
}

/** The group without the member; undefined when it is not one. */
export function leave(before: ShareGroup, memberId: string, topic: TopicView): ShareGroup | undefined {
  if (!before.members.has(memberId)) return undefined;
  const members = new Map(before.members);
  const target = new Map(before.target);
  members.delete(memberId);
  target.delete(memberId);
  const group = { ...before, members, target, epoch: before.epoch + 1 };
  const assignmentEpoch = members.size === 0 ? group.epoch : before.assignmentEpoch;
  return { ...group, assignmentEpoch, metadataHash: hashOf(group, topic) };
}

/** Partitions that members want to read and that have no state yet. New ones of a topic that the group knows begin at its start. */
export function uninitialized(
  group: ShareGroup,
  names: readonly string[],
  topic: TopicView,
): readonly (SharedTopic & { readonly isKnown: boolean })[] {
  return names.flatMap((name) => {
    const found = topic(name);
    if (found === undefined) return [];
    const known = group.topics.get(found.topicId);
    const partitions = Array.from({ length: found.partitions }, (_, index) => index).filter(
      (index) => known?.partitions.includes(index) !== true,
    );
    return partitions.length === 0 ? [] : [{ topicId: found.topicId, name, partitions, isKnown: known !== undefined }];
  });
}

export function withTopics(group: ShareGroup, added: readonly SharedTopic[]): ShareGroup {
  const topics = new Map(group.topics);
  for (const { topicId, name, partitions } of added) {
    const all = new Set([...(topics.get(topicId)?.partitions ?? []), ...partitions]);
    topics.set(topicId, { topicId, name, partitions: [...all].sort((a, b) => a - b) });
  }
  return { ...group, topics };
}

export function withoutTopics(group: ShareGroup, gone: readonly Uuid[]): ShareGroup {
  const topics = new Map(group.topics);
  for (const topicId of gone) topics.delete(topicId);
  return { ...group, topics };
}

export function subscribedNames(group: ShareGroup): readonly string[] {
  return [...new Set(Array.from(group.members.values(), ({ topics }) => topics).flat())].sort();
}

function heartbeatProblem(
  group: ShareGroup,
  known: ShareMember | undefined,
  beat: ShareHeartbeat,
  membersMax: number,
): HeartbeatProblem | undefined {
  if (known === undefined) {
    if (beat.memberEpoch !== 0) return "UNKNOWN_MEMBER_ID";
    return group.members.size >= membersMax ? "GROUP_MAX_SIZE_REACHED" : undefined;
  }
  const { epoch, previousEpoch } = known;
  const isCurrent = beat.memberEpoch === 0 || beat.memberEpoch === epoch || beat.memberEpoch === previousEpoch;
  return isCurrent ? undefined : "FENCED_MEMBER_EPOCH";
}

/** Topics got their states after the assignment was made. */
function lacksAssignment(group: ShareGroup): boolean {
  if (group.epoch > group.assignmentEpoch) return false;
  const names = new Set(subscribedNames(group));
  const given = new Map<Uuid, Set<number>>();
  for (const assignment of group.target.values()) {
    for (const { topicId, partitions } of assignment) {
      given.set(topicId, new Set([...(given.get(topicId) ?? []), ...partitions]));
    }
  }
  return [...group.topics.values()].some(
    ({ topicId, name, partitions }) => names.has(name) && given.get(topicId)?.size !== partitions.length,
  );
}

function assigned(group: ShareGroup, topic: TopicView): ShareGroup {
  const partitions = new Map(Array.from(group.topics.values(), (each) => [each.topicId, each.partitions]));
  const target = assignShared(
    Array.from(group.members.values(), (member) => ({
      memberId: member.id,
      topicIds: member.topics.flatMap((name) => topic(name)?.topicId ?? []),
      assignment: group.target.get(member.id) ?? [],
    })),
    partitions,
  );
  return { ...group, target, assignmentEpoch: group.epoch };
}

/** There is nothing to wait for: several members may read a partition, so a member has its assignment at once. */
function told(member: ShareMember, group: ShareGroup): ShareMember {
  const assignment = group.target.get(member.id) ?? [];
  if (member.epoch === group.assignmentEpoch && isSameAssignment(member.assignment, assignment)) return member;
  return { ...member, assignment, epoch: group.assignmentEpoch, previousEpoch: member.epoch };
}

/** Equal as long as the topics that members read are the same and have as many partitions. */
function hashOf(group: ShareGroup, topic: TopicView): number {
  const texts = subscribedNames(group).flatMap((name) => {
    const found = topic(name);
    return found === undefined ? [] : [`${name} ${found.topicId} ${found.partitions}`];
  });
  return texts.length === 0 ? 0 : javaHash(texts.join("\n"));
}
