/**
 * The streams protocol as a pure machine: (group, request) → (group, answer), of the same shape as the consumer protocol
 * (consumer-group.ts). What has to be written, and which timers run, is read off the difference between the two groups.
 *
 *   a heartbeat ─▶ member ─▶ topology meets the topics ─▶ epoch + 1 when any of these changed
 *               ─▶ targets made again when they are older than the epoch ─▶ the member moved towards its own ─▶ answer
 */
import type { GroupError } from "../classic-group-state.ts";
import { hashOfTopics, type Refusal, type Topics } from "../consumer-group-state.ts";
import { configureTopology, type GroupStatus } from "./configure-topology.ts";
import { type EndpointPartitions, endpointPartitions } from "./endpoint-partitions.ts";
import { reconcile, type Target } from "./reconcile.ts";
import { stickyAssignment } from "./sticky-assignor.ts";
import {
  newcomer,
  noMetadata,
  type StreamsGroup,
  type StreamsLimits,
  type StreamsMember,
  type StreamsMetadata,
} from "./streams-group-state.ts";
import {
  type HeldTasks,
  hasEqualTasks,
  hasSameTasks,
  noTasks,
  type OwnedTasks,
  ownsOnlyTasks,
  taskRoles,
} from "./tasks.ts";
import {
  type InternalTopic,
  isSameTopology,
  readerOf,
  requiredTopics,
  type StreamsTopology,
  sourcesOf,
} from "./topology.ts";

export interface StreamsContext {
  readonly now: number;
  readonly limits: StreamsLimits;
  readonly topics: Topics;
}

/** Null: as before. */
export interface StreamsHeartbeat {
  readonly memberId: string;
  readonly epoch: number;
  /** What the member knows of the endpoints. */
  readonly endpointsEpoch: number;
  readonly metadata: { readonly [Key in keyof StreamsMetadata]: StreamsMetadata[Key] | null };
  readonly topology: StreamsTopology | null;
  readonly owned: OwnedTasks;
  readonly wantsShutdown: boolean;
}

export interface StreamsAnswer {
  readonly memberId: string;
  readonly epoch: number;
  /** Null: as the member knows them. */
  readonly tasks: HeldTasks | null;
  readonly statuses: readonly GroupStatus[];
  readonly endpointsEpoch: number;
  /** Null: as the member knows them. */
  readonly endpoints: readonly EndpointPartitions[] | null;
  /** Internal topics that the application needs and nobody has made yet. */
  readonly missing: readonly InternalTopic[];
}

export type StreamsStep =
  | { readonly kind: "done"; readonly group: StreamsGroup; readonly answer: StreamsAnswer }
  | ({ readonly kind: "refused" } & Refusal);

export function heartbeat(group: StreamsGroup, request: StreamsHeartbeat, context: StreamsContext): StreamsStep {
  if (request.epoch < 0) return leave(group, request);
  const before = request.epoch === 0 ? admitted(group, request, context.limits) : known(group, request);
  if ("error" in before) return { kind: "refused", ...before };
  const metadata = updated(before.metadata, request.metadata);
  const topology = agreed(group.topology, request.topology);
  if ("error" in topology) return { kind: "refused", ...topology };
  const isOther = !group.members.has(before.id) || metadata !== before.metadata;
  const joined = withMember({ ...group, topology }, { ...before, metadata });
  const ready = withTopics(joined, topology, { context, hasChanged: isOther });
  if ("error" in ready) return { kind: "refused", ...ready };
  const problem = ownedProblem(ready, request.owned);
  if (problem !== undefined) return { kind: "refused", error: "INVALID_REQUEST", detail: problem };
  const isFirst = group.members.size === 0 && context.limits.initialDelayMs > 0;
  const assigned = withTargets({ ...ready, isDelayed: ready.isDelayed || isFirst }, context);
  const { target, delay } = targetOf(assigned, before.id);
  const current = reconcile(group, { ...before, metadata }, { target, owned: request.owned });
  const shutdownBy = assigned.shutdownBy ?? (request.wantsShutdown ? before.id : null);
  const isTold = request.epoch === 0 || !hasSameTasks(before.current.assigned, current.assigned);
  const endpointsEpoch = assigned.endpointsEpoch + (isTold && metadata.userEndpoint !== null ? 1 : 0);
  const after = withMember({ ...assigned, shutdownBy, endpointsEpoch }, { ...before, metadata, current });
  const answer = {
    memberId: before.id,
    epoch: current.epoch,
    tasks: isTold ? current.assigned : null,
    statuses: statuses(after, metadata, delay),
    endpointsEpoch,
    endpoints: request.endpointsEpoch === endpointsEpoch ? null : endpointPartitions(after, context.topics),
    missing: after.configured?.missing ?? [],
  };
  return { kind: "done", group: after, answer };
}

function withMember(group: StreamsGroup, member: StreamsMember): StreamsGroup {
  return { ...group, members: new Map(group.members).set(member.id, member) };
}

/** Joins, or joins again after it was fenced. */
function admitted(group: StreamsGroup, { memberId }: StreamsHeartbeat, limits: StreamsLimits): StreamsMember | Refusal {
  if (group.members.size >= limits.membersMax) {
    const detail = `The streams group has reached its maximum capacity of ${limits.membersMax} members.`;
    return { error: "GROUP_MAX_SIZE_REACHED", detail };
  }
  return group.members.get(memberId) ?? { id: memberId, metadata: noMetadata, current: newcomer };
}

function known(group: StreamsGroup, request: StreamsHeartbeat): StreamsMember | Refusal {
  const member = group.members.get(request.memberId);
  if (member === undefined)
    return { error: "UNKNOWN_MEMBER_ID", detail: `Member ${request.memberId} is not a member of the group.` };
  const { epoch, previousEpoch, assigned } = member.current;
  if (request.epoch === epoch) return member;
  const isRepeat = request.epoch < epoch && request.epoch === previousEpoch && ownsOnlyTasks(request.owned, assigned);
  if (isRepeat) return member;
  const side = request.epoch > epoch ? "greater" : "smaller";
  const detail = `The streams group member has a ${side} member epoch (${request.epoch}) than the one known by the group coordinator (${epoch}). The member must abandon all its partitions and rejoin.`;
  return { error: "FENCED_MEMBER_EPOCH", detail };
}

/** The same object when nothing changed. */
function updated(before: StreamsMetadata, given: StreamsHeartbeat["metadata"]): StreamsMetadata {
  const said = Object.entries(given).filter(([, value]) => value !== null);
  const next: StreamsMetadata = { ...before, ...Object.fromEntries(said) };
  return JSON.stringify(next) === JSON.stringify(before) ? before : next;
}

/** A member that is behind may stay, and is told so; one that is ahead, or differs, may not. */
function agreed(group: StreamsTopology | null, given: StreamsTopology | null): StreamsTopology | Refusal {
  if (group === null) return given ?? { error: "INVALID_REQUEST", detail: "The group has no topology yet." };
  if (given === null || given.epoch < group.epoch || isSameTopology(group, given)) return group;
  return { error: "INVALID_REQUEST", detail: "Topology updates are not supported yet." };
}

/** The topology meets the topics, if either is new here; and the epoch grows when that, the member or the configs changed. */
function withTopics(
  group: StreamsGroup,
  topology: StreamsTopology,
  { context, hasChanged }: { readonly context: StreamsContext; readonly hasChanged: boolean },
): StreamsGroup | Refusal {
  const { topics, limits } = context;
  const isSeen = group.configured !== null && group.topicsSeen === topics.version;
  const topicsHash = isSeen ? group.topicsHash : hashOfTopics(requiredTopics(topology), topics);
  const isKept = group.configured !== null && topicsHash === group.topicsHash;
  const configured = isKept ? group.configured : configureTopology(topology, topics, limits);
  if ("error" in configured) return configured;
  const validatedEpoch = configured.problem === null ? topology.epoch : -1;
  const isNextEpoch =
    hasChanged ||
    topicsHash !== group.topicsHash ||
    validatedEpoch !== group.validatedEpoch ||
    limits.standbys !== group.standbys;
  const looked = { ...group, configured, topicsSeen: topics.version };
  if (!isNextEpoch) return looked;
  return { ...looked, topicsHash, validatedEpoch, standbys: limits.standbys, epoch: group.epoch + 1 };
}

function ownedProblem({ configured }: StreamsGroup, owned: OwnedTasks): string | undefined {
  if (owned === null || configured?.problem !== null) return undefined;
  for (const role of taskRoles) {
    for (const [id, numbers] of owned[role]) {
      const tasks = configured.subtopologies.get(id)?.tasks;
      if (tasks === undefined) return `Subtopology ${id} does not exist in the topology.`;
      const wrong = numbers.find((number) => number < 0 || number >= tasks);
      if (wrong === undefined) continue;
      return `Task ${wrong} for subtopology ${id} is invalid. Number of tasks for this subtopology: ${tasks}`;
    }
  }
  return undefined;
}

function withTargets(group: StreamsGroup, context: StreamsContext): StreamsGroup {
  if (group.isDelayed || group.targetEpoch >= group.epoch) return group;
  const isTooSoon = context.now < group.targetsMadeAt + context.limits.assignmentIntervalMs;
  return group.targetsMadeAt !== 0 && isTooSoon ? group : targeted(group, context);
}

/** The group has waited long enough for more members. */
export function afterDelay(group: StreamsGroup, context: StreamsContext): StreamsGroup {
  const waited = { ...group, isDelayed: false };
  const hasNothingToDo = group.members.size === 0 || group.targetEpoch >= group.epoch || group.configured === null;
  return hasNothingToDo ? waited : targeted(waited, context);
}

/** Nobody is to have anything before the topics are as they must be. */
function targeted(group: StreamsGroup, { now }: StreamsContext): StreamsGroup {
  const { configured } = group;
  const subtopologies =
    configured?.problem === null
      ? Array.from(configured.subtopologies, ([id, { tasks, isStateful }]) => ({ id, tasks, isStateful }))
      : [];
  const members = Array.from(group.members.values(), ({ id, metadata }) => ({
    id,
    processId: metadata.processId,
    previous: group.targets.get(id) ?? noTasks,
  }));
  const made = stickyAssignment({ members, subtopologies, standbys: group.standbys ?? 0 });
  const targets = new Map(
    Array.from(made, ([id, tasks]) => {
      const before = group.targets.get(id);
      return [id, before !== undefined && hasEqualTasks(before, tasks) ? before : tasks];
    }),
  );
  return { ...group, targets, targetEpoch: group.epoch, targetsMadeAt: now };
}

function targetOf(group: StreamsGroup, memberId: string): { readonly target: Target; readonly delay: GroupStatus[] } {
  const { targetEpoch: epoch, isDelayed } = group;
  const tasks = isDelayed ? noTasks : (group.targets.get(memberId) ?? noTasks);
  if (!isDelayed && epoch >= group.epoch) return { target: { epoch, tasks }, delay: [] };
  const reason = isDelayed ? "initial rebalance delay" : "assignment interval";
  const detail = `Assignment delayed due to the configured ${reason}.`;
  return { target: { epoch, tasks }, delay: [{ kind: "assignment-delayed", detail }] };
}

function statuses(
  { topology, configured, shutdownBy }: StreamsGroup,
  { topologyEpoch }: StreamsMetadata,
  delay: readonly GroupStatus[],
): readonly GroupStatus[] {
  const found: GroupStatus[] = [];
  if (topology !== null && topologyEpoch < topology.epoch) {
    const detail = `The member's topology epoch ${topologyEpoch} is behind the group's topology epoch ${topology.epoch}.`;
    found.push({ kind: "stale-topology", detail });
  }
  found.push(...delay);
  if (configured !== null && configured.problem !== null) found.push(configured.problem);
  if (shutdownBy !== null) {
    const detail = `Streams group member ${shutdownBy} encountered a fatal error and requested a shutdown for the entire application.`;
    found.push({ kind: "shutdown-application", detail });
  }
  return found;
}

function leave(group: StreamsGroup, { memberId, epoch, wantsShutdown }: StreamsHeartbeat): StreamsStep {
  if (!group.members.has(memberId)) {
    return { kind: "refused", error: "UNKNOWN_MEMBER_ID", detail: `Member ${memberId} is not a member of the group.` };
  }
  const shutdownBy = group.shutdownBy ?? (wantsShutdown ? memberId : null);
  const left = withoutMembers({ ...group, shutdownBy }, new Set([memberId]));
  const nothing = { tasks: null, statuses: [], endpointsEpoch: 0, endpoints: null, missing: [] };
  return { kind: "done", group: left, answer: { memberId, epoch, ...nothing } };
}

/** They are gone: what they had is free, and the next heartbeat of another gives it away. */
export function withoutMembers(group: StreamsGroup, gone: ReadonlySet<string>): StreamsGroup {
  if (![...gone].some((id) => group.members.has(id))) return group;
  const members = new Map([...group.members].filter(([id]) => !gone.has(id)));
  const targets = new Map([...group.targets].filter(([id]) => !gone.has(id)));
  const shutdownBy = members.size === 0 ? null : group.shutdownBy;
  return { ...group, members, targets, shutdownBy, epoch: group.epoch + 1 };
}

/** Whether the member may commit what it reads: in its own epoch, or in one no older than each task's assignment. */
export function streamsCommitProblem(
  group: StreamsGroup,
  by: { readonly memberId: string; readonly generation: number },
  partitions: Iterable<{ readonly topic: string; readonly partition: number }>,
): GroupError {
  if (by.generation < 0 && group.members.size === 0) return "NONE";
  const member = group.members.get(by.memberId);
  if (member === undefined) return "UNKNOWN_MEMBER_ID";
  const { epoch, assigned, revoking } = member.current;
  if (by.generation === epoch) return "NONE";
  if (by.generation > epoch) return "STALE_MEMBER_EPOCH";
  for (const { topic, partition } of partitions) {
    const id = group.topology === null ? undefined : readerOf(group.topology, topic)?.subtopologyId;
    if (id === undefined) return "STALE_MEMBER_EPOCH";
    const since = assigned.active.get(id)?.get(partition) ?? revoking.active.get(id)?.get(partition);
    if (since === undefined || by.generation < since) return "STALE_MEMBER_EPOCH";
  }
  return "NONE";
}

/** Whether a member may read the group's offsets; administrators, who are no members, may. */
export function streamsFetchProblem(
  group: StreamsGroup,
  by: { readonly memberId: string | null; readonly memberEpoch: number },
): GroupError {
  if (by.memberId === null && by.memberEpoch < 0) return "NONE";
  const member = group.members.get(by.memberId ?? "");
  if (member === undefined) return "UNKNOWN_MEMBER_ID";
  return by.memberEpoch === member.current.epoch ? "NONE" : "STALE_MEMBER_EPOCH";
}

/** Topics that members read; a group without members reads none. */
export function topicsRead({ members, topology }: StreamsGroup): ReadonlySet<string> {
  if (members.size === 0 || topology === null) return new Set();
  return new Set(topology.subtopologies.flatMap(sourcesOf));
}
