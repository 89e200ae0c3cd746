/**
 * The consumer protocol as a pure machine: (group, request) → (group, answer). What has to be written, and which timers run, is
 * read off the difference between the two groups (consumer-group-records.ts, live-consumer-group.ts).
 *
 *   a heartbeat ─▶ member: who it is, what it reads ─▶ epoch + 1 when that, or the topics, changed
 *               ─▶ targets made again when they are older than the epoch ─▶ the member moved towards its own ─▶ answer
 */
import type { Uuid } from "../base/ids.ts";
import type { GroupError } from "./classic-group-state.ts";
import { type AssignedMember, assignors, type Partitions, uniform } from "./consumer-assignors.ts";
import {
  allSubscribedNames,
  type ConsumerGroup,
  type ConsumerLimits,
  type ConsumerMember,
  chosenAssignor,
  leavingEpoch,
  leavingForNowEpoch,
  type MemberMetadata,
  newcomer,
  type PartitionEpochs,
  type PatternTopics,
  type Refusal,
  staticMember,
  subscribedNames,
  type Topics,
  topicsHash,
  withMember,
} from "./consumer-group-state.ts";
import { type Owned, reconcile } from "./consumer-reconcile.ts";
import { hasSame, ownsOnly } from "./held.ts";

export interface ConsumerContext {
  readonly now: number;
  readonly limits: ConsumerLimits;
  readonly topics: Topics;
  /** Names that match, of each regular expression that members of the group name. Missing: not resolved yet. */
  readonly matches: PatternMatches;
}

export type PatternMatches = Pick<ReadonlyMap<string, readonly string[]>, "get" | "has">;

/** Null, and -1 for the timeout, mean: as before. */
export interface ConsumerHeartbeat {
  readonly memberId: string;
  readonly epoch: number;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly rebalanceTimeoutMs: number;
  readonly topics: readonly string[] | null;
  readonly pattern: string | null;
  /** Why it is no regular expression; null when it is one, or none is given. */
  readonly patternProblem: string | null;
  readonly assignor: string | null;
  readonly owned: Owned;
  readonly clientId: string;
  readonly clientHost: string;
}

export interface HeartbeatAnswer {
  readonly memberId: string;
  readonly epoch: number;
  /** Null: as the member knows it. */
  readonly assignment: PartitionEpochs | null;
}

export type ConsumerStep<Answer> =
  | { readonly kind: "done"; readonly group: ConsumerGroup; readonly answer: Answer }
  | ({ readonly kind: "refused" } & Refusal);

export function heartbeat(
  group: ConsumerGroup,
  request: ConsumerHeartbeat,
  context: ConsumerContext,
): ConsumerStep<HeartbeatAnswer> {
  if (request.epoch < 0) return leave(group, request, context);
  const found = request.epoch === 0 ? admitted(group, request, context.limits) : known(group, request);
  if ("error" in found) return { kind: "refused", ...found };
  if (request.patternProblem !== null)
    return { kind: "refused", error: "INVALID_REGULAR_EXPRESSION", detail: request.patternProblem };
  const before = found.member;
  const metadata = updated(before.metadata, request);
  const next = advance(found.group, { before, metadata, owned: request.owned }, context);
  const after = next.members.get(before.id)?.current ?? before.current;
  const isFull =
    request.rebalanceTimeoutMs !== -1 &&
    (request.topics !== null || request.pattern !== null) &&
    request.owned !== null;
  const isTold = request.epoch === 0 || isFull || !hasSame(before.current.assigned, after.assigned);
  const answer = { memberId: before.id, epoch: after.epoch, assignment: isTold ? after.assigned : null };
  return { kind: "done", group: next, answer };
}

/** A member as it now is: the group's epoch, the targets and the member itself follow. */
export function advance(
  group: ConsumerGroup,
  member: { readonly before: ConsumerMember; readonly metadata: MemberMetadata; readonly owned: Owned },
  context: ConsumerContext,
): ConsumerGroup {
  const { before, metadata } = member;
  const hasSubscriptionChanged =
    metadata.pattern !== before.metadata.pattern || metadata.topics.join() !== before.metadata.topics.join();
  const isNew = before.current === newcomer;
  let next = group;
  if (isNew || metadata !== before.metadata) next = withMember(group, { ...before, metadata });
  const isOtherAssignor =
    metadata.assignor !== before.metadata.assignor && chosenAssignor(next) !== chosenAssignor(group);
  const joinsToRead = isNew && (metadata.topics.length > 0 || metadata.pattern !== "");
  next = withTopics(next, context, joinsToRead || hasSubscriptionChanged || isOtherAssignor);
  next = withTargets(next, context);
  const current = reconcile(next, next.members.get(before.id) ?? before, {
    topics: context.topics,
    owned: member.owned,
    hasSubscriptionChanged,
  });
  return current === before.current ? next : withMember(next, { ...before, metadata, current });
}

type Found = { readonly group: ConsumerGroup; readonly member: ConsumerMember } | Refusal;

/** Joins, or joins again after it was fenced. */
function admitted(group: ConsumerGroup, request: ConsumerHeartbeat, limits: ConsumerLimits): Found {
  const { memberId, instanceId } = request;
  const holder = instanceId === null ? undefined : staticMember(group, instanceId);
  const own = group.members.get(memberId);
  if (holder === undefined && own === undefined && group.members.size >= limits.membersMax) {
    const detail = `The consumer group has reached its maximum capacity of ${limits.membersMax} members.`;
    return { error: "GROUP_MAX_SIZE_REACHED", detail };
  }
  if (holder === undefined) return { group, member: own ?? stranger(request) };
  if (holder.metadata.classic === null && holder.current.epoch !== leavingForNowEpoch) {
    const detail = `Static member ${memberId} with instance id ${instanceId} cannot join the group because the instance id is owned by ${holder.id} member.`;
    return { error: "UNRELEASED_INSTANCE_ID", detail };
  }
  return replaced(group, holder, memberId);
}

/** The instance goes on under a new member id, with what it had. */
export function replaced(
  group: ConsumerGroup,
  holder: ConsumerMember,
  memberId: string,
): { readonly group: ConsumerGroup; readonly member: ConsumerMember } {
  const member = { ...holder, id: memberId, current: { ...holder.current, epoch: 0, previousEpoch: 0 } };
  const members = new Map(group.members);
  members.delete(holder.id);
  members.set(memberId, member);
  const targets = new Map(group.targets);
  const target = targets.get(holder.id);
  targets.delete(holder.id);
  if (target !== undefined) targets.set(memberId, target);
  return { group: { ...group, members, targets }, member };
}

function stranger(request: ConsumerHeartbeat): ConsumerMember {
  const { memberId, instanceId, clientId, clientHost } = request;
  const metadata: MemberMetadata = {
    instanceId,
    clientId,
    clientHost,
    rackId: null,
    topics: [],
    pattern: "",
    rebalanceTimeoutMs: -1,
    assignor: null,
    classic: null,
  };
  return { id: memberId, metadata, current: newcomer };
}

function known(group: ConsumerGroup, request: ConsumerHeartbeat): Found {
  const member = identified(group, request);
  if ("error" in member) return member;
  const { epoch, previousEpoch, assigned } = member.current;
  if (request.epoch === epoch) return { group, member };
  const isRepeat = request.epoch < epoch && request.epoch === previousEpoch && ownsOnly(request.owned, assigned);
  if (isRepeat) return { group, member };
  const side = request.epoch > epoch ? "greater" : "smaller";
  const detail = `The consumer group member has a ${side} member epoch (${request.epoch}) than the one known by the group coordinator (${epoch}). The member must abandon all its partitions and rejoin.`;
  return { error: "FENCED_MEMBER_EPOCH", detail };
}

export function identified(
  group: ConsumerGroup,
  by: { readonly memberId: string; readonly instanceId: string | null },
): ConsumerMember | Refusal {
  if (by.instanceId === null) {
    const member = group.members.get(by.memberId);
    return member ?? { error: "UNKNOWN_MEMBER_ID", detail: `Member ${by.memberId} is not a member of the group.` };
  }
  const holder = staticMember(group, by.instanceId);
  if (holder === undefined) return { error: "UNKNOWN_MEMBER_ID", detail: `Instance id ${by.instanceId} is unknown.` };
  if (holder.id === by.memberId) return holder;
  const detail = `Static member ${by.memberId} with instance id ${by.instanceId} was fenced by member ${holder.id}.`;
  return { error: "FENCED_INSTANCE_ID", detail };
}

/** Whether the member may commit what it holds: in its own epoch, or in one no older than each partition's assignment. */
export function consumerCommitProblem(
  group: ConsumerGroup,
  by: { readonly memberId: string; readonly generation: number },
  partitions: Iterable<{ readonly topicId: Uuid; readonly partition: number }>,
): GroupError {
  if (by.generation < 0 && group.members.size === 0) return "NONE";
  const member = group.members.get(by.memberId);
  if (member === undefined) return "UNKNOWN_MEMBER_ID";
  const { epoch, assigned, revoking } = member.current;
  if (by.generation === epoch) return "NONE";
  const stale = member.metadata.classic === null ? "STALE_MEMBER_EPOCH" : "ILLEGAL_GENERATION";
  if (by.generation > epoch) return stale;
  for (const { topicId, partition } of partitions) {
    const since = assigned.get(topicId)?.get(partition) ?? revoking.get(topicId)?.get(partition);
    if (since === undefined || by.generation < since) return stale;
  }
  return "NONE";
}

/** Whether a member may read the group's offsets; administrators, who are no members, may. */
export function consumerFetchProblem(
  group: ConsumerGroup,
  by: { readonly memberId: string | null; readonly memberEpoch: number },
): GroupError {
  if (by.memberId === null && by.memberEpoch < 0) return "NONE";
  const member = group.members.get(by.memberId ?? "");
  if (member === undefined) return "UNKNOWN_MEMBER_ID";
  if (by.memberEpoch === member.current.epoch) return "NONE";
  return member.metadata.classic === null ? "STALE_MEMBER_EPOCH" : "ILLEGAL_GENERATION";
}

function updated(metadata: MemberMetadata, request: ConsumerHeartbeat): MemberMetadata {
  const topics = request.topics === null ? metadata.topics : [...new Set(request.topics)].sort();
  const next: MemberMetadata = {
    instanceId: request.instanceId ?? metadata.instanceId,
    rackId: request.rackId ?? metadata.rackId,
    clientId: request.clientId,
    clientHost: request.clientHost,
    topics,
    pattern: request.pattern ?? metadata.pattern,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs === -1 ? metadata.rebalanceTimeoutMs : request.rebalanceTimeoutMs,
    assignor: request.assignor ?? metadata.assignor,
    classic: null,
  };
  const isSame = (Object.keys(next) as (keyof MemberMetadata)[]).every((key) =>
    key === "topics" ? topics.join() === metadata.topics.join() : next[key] === metadata[key],
  );
  return isSame ? metadata : next;
}

/** The epoch grows when the caller says so, or when the topics that members read are not those they were. */
function withTopics(group: ConsumerGroup, context: ConsumerContext, hasChanged: boolean): ConsumerGroup {
  const { topics } = context;
  if (!hasChanged && group.topicsSeen === topics.version) return group;
  const patterns = resolvedPatterns(group, context);
  const isWhole = [...group.members.values()].every(
    ({ metadata }) => metadata.pattern === "" || context.matches.has(metadata.pattern),
  );
  const looked = { ...group, patterns, topicsSeen: isWhole ? topics.version : 0 };
  const hash = topicsHash(looked, topics);
  // What one expression matches may change without the topics of all: others read them already.
  const isSame = hash === group.topicsHash && [...patterns].every(([pattern, now]) => isAsBefore(group, pattern, now));
  if (!hasChanged && isSame) return looked;
  return { ...looked, topicsHash: hash, epoch: group.epoch + 1 };
}

function isAsBefore(group: ConsumerGroup, pattern: string, { topics }: PatternTopics): boolean {
  return topics.join() === (group.patterns.get(pattern)?.topics ?? []).join();
}

/** The same object for a regular expression that matches what it did: nothing is written for it. */
function resolvedPatterns(group: ConsumerGroup, context: ConsumerContext): ReadonlyMap<string, PatternTopics> {
  const patterns = new Map<string, PatternTopics>();
  for (const { metadata } of group.members.values()) {
    const { pattern } = metadata;
    if (pattern === "" || patterns.has(pattern)) continue;
    const before = group.patterns.get(pattern);
    const isLookedAt = before !== undefined && group.topicsSeen === context.topics.version; // As Kafka: not for each who joins.
    const names = isLookedAt ? undefined : context.matches.get(pattern);
    if (names === undefined || names.join() === before?.topics.join()) {
      if (before !== undefined) patterns.set(pattern, before);
      continue;
    }
    patterns.set(pattern, { topics: names, topicsVersion: context.topics.version, resolvedAt: context.now });
  }
  return patterns;
}

function withTargets(group: ConsumerGroup, context: ConsumerContext): ConsumerGroup {
  if (group.epoch === group.targetEpoch) return group;
  const isTooSoon = context.now < group.targetsMadeAt + context.limits.assignmentIntervalMs;
  if (group.targetsMadeAt !== 0 && isTooSoon) return group;
  const partitions = new Map<Uuid, number>();
  const ids = new Map<string, Uuid>();
  for (const name of allSubscribedNames(group)) {
    const topic = context.topics.byName(name);
    if (topic === undefined) continue;
    partitions.set(topic.id, topic.partitions);
    ids.set(name, topic.id);
  }
  const members = Array.from(
    group.members.values(),
    ({ id, metadata }): AssignedMember => ({
      id,
      instanceId: metadata.instanceId,
      topics: [...subscribedNames(group, metadata)].flatMap((name) => ids.get(name) ?? []),
      previous: group.targets.get(id) ?? new Map(),
    }),
  );
  const made = (assignors.get(chosenAssignor(group)) ?? uniform)({ members, partitions });
  const targets = new Map([...made].map(([id, target]) => [id, sameOr(group.targets.get(id), target)]));
  return { ...group, targets, targetEpoch: group.epoch, targetsMadeAt: context.now };
}

function sameOr(before: Partitions | undefined, after: Partitions): Partitions {
  if (before?.size !== after.size) return after;
  for (const [topic, numbers] of after) if (before.get(topic)?.join() !== numbers.join()) return after;
  return before;
}

function leave(
  group: ConsumerGroup,
  request: ConsumerHeartbeat,
  context: ConsumerContext,
): ConsumerStep<HeartbeatAnswer> {
  const member = identified(group, request);
  if ("error" in member) return { kind: "refused", ...member };
  const answer = { memberId: request.memberId, epoch: request.epoch, assignment: null };
  if (request.instanceId === null || request.epoch === leavingEpoch) {
    return { kind: "done", group: withoutMembers(group, new Set([member.id]), context), answer };
  }
  // Its partitions wait for the instance, whose next member id is to be able to commit for them.
  const assigned = new Map(
    [...member.current.assigned].map(([topic, partitions]) => [
      topic,
      new Map([...partitions.keys()].map((partition) => [partition, 0])),
    ]),
  );
  const current = { ...member.current, epoch: leavingForNowEpoch, assigned, revoking: new Map() };
  return { kind: "done", group: withMember(group, { ...member, current }), answer };
}

/** They are gone: what they had is free, and the next heartbeat of another gives it away. */
export function withoutMembers(
  group: ConsumerGroup,
  gone: ReadonlySet<string>,
  context: Pick<ConsumerContext, "topics">,
): ConsumerGroup {
  if (gone.size === 0) return group;
  const members = new Map([...group.members].filter(([id]) => !gone.has(id)));
  const targets = new Map([...group.targets].filter(([id]) => !gone.has(id)));
  const used = new Set(Array.from(members.values(), ({ metadata }) => metadata.pattern));
  const patterns = new Map([...group.patterns].filter(([pattern]) => used.has(pattern)));
  const epoch = group.epoch + 1;
  const left = { ...group, members, targets, patterns, epoch };
  const next = { ...left, topicsHash: topicsHash(left, context.topics) };
  return members.size > 0 ? next : { ...next, targetEpoch: epoch, targetsMadeAt: 0 };
}
