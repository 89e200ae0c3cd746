/** What a group of the consumer protocol (KIP-848) is. The machine itself: consumer-group.ts. */
import { createHash } from "node:crypto";
import type { Uuid } from "../base/ids.ts";
import type { GroupError, GroupProtocol } from "./classic-group-state.ts";
import { defaultAssignor, type Partitions } from "./consumer-assignors.ts";
import type { Held } from "./held.ts";

/**
 * Three epochs: the group's grows when members, subscriptions or topics change; the targets' follows when an assignor has
 * answered to it; a member's follows when the member has given up what its target lacks. They never go back.
 */
export interface ConsumerGroup {
  readonly epoch: number;
  readonly targetEpoch: number;
  /** When the targets were made; 0 lets the next ones be made at once. */
  readonly targetsMadeAt: number;
  readonly members: ReadonlyMap<string, ConsumerMember>;
  /** What each member is to have. */
  readonly targets: ReadonlyMap<string, Partitions>;
  /** By regular expression, of those that members subscribe to. */
  readonly patterns: ReadonlyMap<string, PatternTopics>;
  /** Of the subscribed topics and their partition counts, as they were when the epoch last grew for them. */
  readonly topicsHash: number;
  /** The version of the topics that this group has looked at; 0 while an expression waits. Not kept: a loaded group looks again. */
  readonly topicsSeen: number;
}

/** The two halves change apart and are written apart; a half that did not change is the same object. */
export interface ConsumerMember {
  readonly id: string;
  readonly metadata: MemberMetadata;
  readonly current: CurrentAssignment;
}

export interface MemberMetadata {
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  /** Sorted, each once. */
  readonly topics: readonly string[];
  /** A regular expression; empty when there is none. */
  readonly pattern: string;
  readonly rebalanceTimeoutMs: number;
  readonly assignor: string | null;
  /** Of a member that speaks the classic protocol while its group is moved from one to the other. */
  readonly classic: { readonly sessionTimeoutMs: number; readonly protocols: readonly GroupProtocol[] } | null;
}

export interface CurrentAssignment {
  readonly state: MemberState;
  /** -2: a static member that said it will be back. */
  readonly epoch: number;
  /** The answer that brought the present epoch may have been lost. */
  readonly previousEpoch: number;
  readonly assigned: PartitionEpochs;
  /** Still held by the member, which has been told to give them up. */
  readonly revoking: PartitionEpochs;
}

export type PartitionEpochs = Held<Uuid>;

export type MemberState =
  /** Has all of its target, or the targets have not changed. */
  | "stable"
  /** Has to give up partitions first. */
  | "unrevoked"
  /** Waits for partitions that others have not given up. */
  | "unreleased";

export interface PatternTopics {
  readonly topics: readonly string[];
  readonly topicsVersion: number;
  readonly resolvedAt: number;
}

/** The topics of the cluster. */
export interface Topics {
  /** Grows when a topic is made, deleted or gets partitions. Never 0. */
  readonly version: number;
  byName(name: string): { readonly id: Uuid; readonly partitions: number } | undefined;
  nameOf(id: Uuid): string | undefined;
  names(): Iterable<string>;
}

export interface ConsumerLimits {
  readonly membersMax: number;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** Between two assignments, so that many joins cost one. */
  readonly assignmentIntervalMs: number;
}

/** Administrators may set a group's own. */
export type ConsumerLimitsOf = (groupId: string) => ConsumerLimits;

/** `texts` are the group's configs, checked when they were set: what cannot be read counts as not set. */
export function consumerLimits(texts: ReadonlyMap<string, string>, defaults: ConsumerLimits): ConsumerLimits {
  const number = (name: string, otherwise: number): number => {
    const value = Number(texts.get(name) ?? Number.NaN);
    return Number.isSafeInteger(value) ? value : otherwise;
  };
  return {
    membersMax: defaults.membersMax,
    sessionTimeoutMs: number("consumer.session.timeout.ms", defaults.sessionTimeoutMs),
    heartbeatIntervalMs: number("consumer.heartbeat.interval.ms", defaults.heartbeatIntervalMs),
    assignmentIntervalMs: number("consumer.assignment.interval.ms", defaults.assignmentIntervalMs),
  };
}

export interface Refusal {
  readonly error: Exclude<GroupError, "NONE">;
  readonly detail: string;
}

export const leavingEpoch = -1;
export const leavingForNowEpoch = -2;

export const emptyConsumerGroup: ConsumerGroup = {
  epoch: 1, // As Kafka's: the first member makes it 2.
  targetEpoch: 0,
  targetsMadeAt: 0,
  members: new Map(),
  targets: new Map(),
  patterns: new Map(),
  topicsHash: 0,
  topicsSeen: 0,
};

export const newcomer: CurrentAssignment = {
  state: "stable",
  epoch: 0,
  previousEpoch: -1,
  assigned: new Map(),
  revoking: new Map(),
};

export type ConsumerGroupState = "empty" | "assigning" | "reconciling" | "stable";

export function consumerGroupState(group: ConsumerGroup): ConsumerGroupState {
  if (group.members.size === 0) return "empty";
  if (group.epoch > group.targetEpoch) return "assigning";
  for (const { current } of group.members.values()) {
    if (current.state !== "stable" || current.epoch !== group.targetEpoch) return "reconciling";
  }
  return "stable";
}

export function staticMember(group: ConsumerGroup, instanceId: string): ConsumerMember | undefined {
  for (const member of group.members.values()) if (member.metadata.instanceId === instanceId) return member;
  return undefined;
}

export function withMember(group: ConsumerGroup, member: ConsumerMember): ConsumerGroup {
  return { ...group, members: new Map(group.members).set(member.id, member) };
}

/** Names that the member reads; those of a regular expression that is not resolved yet are missing. */
export function subscribedNames(group: Pick<ConsumerGroup, "patterns">, metadata: MemberMetadata): ReadonlySet<string> {
  const matched = metadata.pattern === "" ? undefined : group.patterns.get(metadata.pattern);
  return new Set([...metadata.topics, ...(matched?.topics ?? [])]);
}

export function allSubscribedNames(group: ConsumerGroup): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { metadata } of group.members.values()) for (const name of metadata.topics) names.add(name);
  for (const { topics } of group.patterns.values()) for (const name of topics) names.add(name);
  return names;
}

/**
 * Regular expressions whose topics a heartbeat needs. Where a member gives a new one beside names, the names come first, as from
 * Kafka, which has not resolved the expression by then: the member hears of its topics with the next heartbeat.
 */
export function patternsNeeded(
  group: ConsumerGroup | null,
  beat: { readonly memberId: string; readonly topics: readonly string[] | null; readonly pattern: string | null },
): ReadonlySet<string> {
  const own = group?.members.get(beat.memberId)?.metadata;
  const needed = new Set(group?.patterns.keys());
  if (own !== undefined && own.pattern !== "") needed.add(own.pattern);
  const names = beat.topics ?? own?.topics ?? [];
  if (names.length === 0 && beat.pattern !== null && beat.pattern !== "") needed.add(beat.pattern);
  return needed;
}

/** The assignor that most members ask for. */
export function chosenAssignor(group: ConsumerGroup): string {
  const votes = new Map<string, number>();
  for (const { metadata } of group.members.values()) {
    if (metadata.assignor !== null) votes.set(metadata.assignor, (votes.get(metadata.assignor) ?? 0) + 1);
  }
  let winner = defaultAssignor;
  for (const [name, count] of votes) if (count > (votes.get(winner) ?? 0)) winner = name;
  return winner;
}

const hashBytes = 6; // A number holds 53 bits exactly.

/** Changes when a subscribed topic appears, goes, is made anew or grows. 0 without any. */
export function topicsHash(group: ConsumerGroup, topics: Topics): number {
  return hashOfTopics(allSubscribedNames(group), topics);
}

/** The same of any topics. */
export function hashOfTopics(names: Iterable<string>, topics: Pick<Topics, "byName">): number {
  const lines = [...names].sort().flatMap((name) => {
    const topic = topics.byName(name);
    return topic === undefined ? [] : [`${topic.id}:${topic.partitions}`];
  });
  if (lines.length === 0) return 0;
  return createHash("sha256").update(lines.join()).digest().readUIntBE(0, hashBytes);
}

export function isEveryoneClassic(group: ConsumerGroup): boolean {
  for (const { metadata } of group.members.values()) if (metadata.classic === null) return false;
  return group.members.size > 0;
}
