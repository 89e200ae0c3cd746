/** The moves of a rebalance, over a draft of the group that lives for one step. */
import {
  type ClassicGroup,
  type GroupEffect,
  type GroupError,
  type GroupLimits,
  type JoinEvent,
  type JoinReply,
  joinRefusal,
  type Member,
  metadataFor,
  rebalanceTimeoutMs,
  selectProtocol,
  syncRefusal,
} from "./classic-group-state.ts";
import { GroupMembers } from "./group-members.ts";

/** The group as this step changes it; its members are replaced, never changed. */
type Draft = {
  -readonly [Name in keyof ClassicGroup]: Name extends "members"
    ? GroupMembers
    : ClassicGroup[Name] extends ReadonlyMap<infer K, infer V>
      ? Map<K, V>
      : ClassicGroup[Name] extends ReadonlySet<infer T>
        ? Set<T>
        : ClassicGroup[Name];
};

export interface GroupStep {
  readonly group: Draft;
  readonly effects: GroupEffect[];
  readonly now: number;
  readonly limits: GroupLimits;
}

export function openStep(
  group: ClassicGroup,
  context: { readonly now: number; readonly limits: GroupLimits },
): GroupStep {
  return { group: { ...group } as Draft, effects: [], ...context };
}

export function addMember(step: GroupStep, event: JoinEvent, id: string): void {
  const { group, effects, limits } = step;
  if (group.members.size === 0) group.protocolType = event.protocolType;
  group.members.set(id, {
    id,
    instanceId: event.instanceId,
    clientId: event.clientId,
    clientHost: event.clientHost,
    sessionTimeoutMs: event.sessionTimeoutMs,
    rebalanceTimeoutMs: event.rebalanceTimeoutMs,
    protocols: event.protocols,
    assignment: new Uint8Array(0),
    joining: event.ticket,
    syncing: null,
    isNew: true,
  });
  if (event.instanceId !== null) group.instances.set(event.instanceId, id);
  group.pending.delete(id);
  group.leader ??= id;
  if (group.gathering !== null) group.gathering = { ...group.gathering, newcomer: true };
  // It cannot send heartbeats yet. Should its client give up and join again and again, this is what removes the leftovers.
  effects.push({
    kind: "set-timer",
    timer: { kind: "session", memberId: id },
    afterMs: limits.newMemberJoinTimeoutMs,
  });
  if (group.state === "preparing-rebalance") advanceJoins(step);
  else rebalance(step);
}

/** Takes over what the member now says of itself, and lets its request wait. */
export function updateMember({ group, effects }: GroupStep, id: string, event: JoinEvent): void {
  const member = group.members.get(id);
  if (member === undefined) return;
  if (member.joining !== null) {
    // The client sent the request again, most likely over a new connection.
    effects.push({ kind: "reply", ticket: member.joining, reply: joinRefusal("REBALANCE_IN_PROGRESS", id) });
  }
  const { protocols, sessionTimeoutMs, rebalanceTimeoutMs, clientId, clientHost, ticket } = event;
  group.members.set(id, {
    ...member,
    protocols,
    sessionTimeoutMs,
    rebalanceTimeoutMs,
    clientId,
    clientHost,
    joining: ticket,
  });
  effects.push({ kind: "set-timer", timer: { kind: "session", memberId: id }, afterMs: sessionTimeoutMs });
}

/** Gives the instance's place to a new member id. */
export function replaceInstance({ group, effects }: GroupStep, instanceId: string, id: string): void {
  const oldId = group.instances.get(instanceId);
  const old = oldId === undefined ? undefined : group.members.get(oldId);
  if (oldId === undefined || old === undefined) return;
  refuseWaiting(effects, old, "FENCED_INSTANCE_ID");
  effects.push({ kind: "cancel-timer", timer: { kind: "session", memberId: oldId } });
  const members = [...group.members.values()].map((member) =>
    member.id === oldId ? { ...member, id, joining: null, syncing: null } : member,
  );
  group.members = GroupMembers.of(members);
  group.instances.set(instanceId, id);
  if (group.leader === oldId) group.leader = id;
  if (group.unsynced.delete(oldId)) group.unsynced.add(id);
}

/** Also forgets an id that was handed out and never used. What it waited for is refused. */
export function removeMember({ group, effects }: GroupStep, id: string): void {
  const member = group.members.get(id);
  if (member === undefined && !group.pending.has(id)) return;
  effects.push({ kind: "cancel-timer", timer: { kind: "session", memberId: id } });
  group.pending.delete(id);
  if (member === undefined) return;
  refuseWaiting(effects, member, "UNKNOWN_MEMBER_ID");
  group.members.delete(id);
  group.unsynced.delete(id);
  if (member.instanceId !== null) group.instances.delete(member.instanceId);
  if (group.leader === id) group.leader = group.members.keys().next().value ?? null;
}

function refuseWaiting(effects: GroupEffect[], member: Member, error: GroupError): void {
  const memberId = error === "UNKNOWN_MEMBER_ID" ? "" : member.id; // One that was removed has no id any more.
  if (member.joining !== null)
    effects.push({ kind: "reply", ticket: member.joining, reply: joinRefusal(error, memberId) });
  if (member.syncing !== null) effects.push({ kind: "reply", ticket: member.syncing, reply: syncRefusal(error) });
}

/** From empty, completing or stable: everybody has to join again. Those who wait for an assignment get the error. */
export function rebalance(step: GroupStep, error: GroupError = "REBALANCE_IN_PROGRESS"): void {
  const { group, effects, limits } = step;
  const wasEmpty = group.state === "empty";
  if (group.state === "completing-rebalance") withdrawAssignments(step, error);
  effects.push({ kind: "cancel-timer", timer: { kind: "sync" } });
  group.unsynced.clear();
  group.state = "preparing-rebalance";
  group.changedAt = step.now;
  if (wasEmpty) {
    const remainingMs = Math.max(0, rebalanceTimeoutMs(group) - limits.initialRebalanceDelayMs);
    group.gathering = { remainingMs, newcomer: false };
    effects.push({ kind: "set-timer", timer: { kind: "join" }, afterMs: limits.initialRebalanceDelayMs });
    return;
  }
  effects.push({ kind: "set-timer", timer: { kind: "join" }, afterMs: rebalanceTimeoutMs(group) });
  advanceJoins(step);
}

function withdrawAssignments({ group, effects }: GroupStep, error: GroupError): void {
  for (const member of group.members.values()) {
    if (member.syncing !== null) {
      effects.push({ kind: "reply", ticket: member.syncing, reply: syncRefusal(error) });
      effects.push({
        kind: "set-timer",
        timer: { kind: "session", memberId: member.id },
        afterMs: member.sessionTimeoutMs,
      });
    }
    group.members.set(member.id, { ...member, assignment: new Uint8Array(0), syncing: null });
  }
}

/** Completes the joins when nobody is missing, unless the group still gathers its first members. */
export function advanceJoins(step: GroupStep): void {
  const { group } = step;
  if (group.gathering !== null || group.pending.size > 0) return;
  if (group.members.joining === group.members.size) completeJoins(step);
}

/** The initial delay is over. It is prolonged while members arrive, within the rebalance timeout. */
export function endGathering(step: GroupStep): void {
  const { group, effects, limits } = step;
  const gathering = group.gathering;
  if (gathering === null) return;
  if (!gathering.newcomer || gathering.remainingMs === 0) {
    completeJoins(step);
    return;
  }
  const delayMs = Math.min(limits.initialRebalanceDelayMs, gathering.remainingMs);
  group.gathering = { remainingMs: Math.max(0, gathering.remainingMs - delayMs), newcomer: false };
  effects.push({ kind: "set-timer", timer: { kind: "join" }, afterMs: delayMs });
}

export function completeJoins(step: GroupStep): void {
  const { group, effects } = step;
  // Static members are given until their session ends to come back.
  for (const member of group.members.values()) {
    if (member.joining === null && member.instanceId === null) removeMember(step, member.id);
  }
  if (!electJoined(group)) {
    effects.push({ kind: "set-timer", timer: { kind: "join" }, afterMs: rebalanceTimeoutMs(group) });
    return;
  }
  effects.push({ kind: "cancel-timer", timer: { kind: "join" } });
  group.gathering = null;
  group.generation += 1;
  group.changedAt = step.now;
  group.unsynced.clear();
  if (group.members.size === 0) {
    group.state = "empty";
    group.protocolName = null;
    group.leader = null;
    effects.push({ kind: "persist", assignments: new Map(), answer: { kind: "emptiness-written", error: "NONE" } });
    return;
  }
  group.protocolName = selectProtocol(group.members.values());
  group.state = "completing-rebalance";
  for (const { id, sessionTimeoutMs } of group.members.values()) {
    answerJoin(step, id, currentGeneration(group, id));
    effects.push({ kind: "set-timer", timer: { kind: "session", memberId: id }, afterMs: sessionTimeoutMs });
    group.unsynced.add(id);
  }
  effects.push({ kind: "set-timer", timer: { kind: "sync" }, afterMs: rebalanceTimeoutMs(group) });
}

/** False when there are members and none has joined: then the group waits on. */
function electJoined(group: Draft): boolean {
  if (group.members.size === 0) return true;
  const leader = group.leader === null ? undefined : group.members.get(group.leader);
  if (leader !== undefined && leader.joining !== null) return true;
  for (const member of group.members.values()) {
    if (member.joining === null) continue;
    group.leader = member.id;
    return true;
  }
  return false;
}

/** Members that were told of the generation and did not come for their assignment are dropped. */
export function evictUnsynced(step: GroupStep): void {
  const { group } = step;
  if (group.unsynced.size === 0) return;
  for (const id of group.unsynced) removeMember(step, id);
  rebalance(step);
}

export function answerJoin({ group, effects }: GroupStep, id: string, reply: JoinReply): void {
  const member = group.members.get(id);
  if (member === undefined) return;
  group.members.set(id, { ...member, joining: null, isNew: false });
  if (member.joining !== null) effects.push({ kind: "reply", ticket: member.joining, reply });
}

export function currentGeneration(group: ClassicGroup, memberId: string): JoinReply {
  const isLeader = group.leader === memberId;
  return {
    kind: "join",
    error: "NONE",
    generation: group.generation,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leader: group.leader ?? "",
    skipAssignment: false,
    memberId,
    members: isLeader
      ? [...group.members.values()].map((member) => ({
          memberId: member.id,
          instanceId: member.instanceId,
          metadata: metadataFor(member, group.protocolName),
        }))
      : [],
  };
}

export function startSessions({ group, effects }: GroupStep): void {
  for (const { id, sessionTimeoutMs } of group.members.values()) {
    effects.push({ kind: "set-timer", timer: { kind: "session", memberId: id }, afterMs: sessionTimeoutMs });
  }
}

export function close({ group, effects, now }: GroupStep, error: GroupError): void {
  for (const member of group.members.values()) refuseWaiting(effects, member, error);
  group.members.clear();
  group.instances.clear();
  group.pending.clear();
  group.unsynced.clear();
  group.gathering = null;
  group.leader = null;
  group.state = "dead";
  group.changedAt = now;
}
