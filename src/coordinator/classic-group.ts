/**
 * The classic rebalance protocol as a pure machine: (group, event) → (group, effects).
 *
 *            join                all joined, or time is up             leader's assignment is durable
 *   empty ─────────▶ preparing ────────────────────────────▶ completing ────────────────────────────▶ stable
 *     ▲               │   ▲ ▲                                    │ a join with other protocols,         │ the same, or
 *     └───────────────┘   │ └────────────────────────────────────┘ a leave, a missed sync               │ a lost member
 *      nobody is left     └─────────────────────────────────────────────────────────────────────────────┘
 *
 * Every request that carries a ticket is answered exactly once, at once or when the rebalance it waits for moves on.
 */
import { unreachable } from "../base/errors.ts";
import {
  addMember,
  advanceJoins,
  answerJoin,
  close,
  completeJoins,
  currentGeneration,
  endGathering,
  evictUnsynced,
  type GroupStep,
  openStep,
  rebalance,
  removeMember,
  replaceInstance,
  startSessions,
  updateMember,
} from "./classic-group-rebalance.ts";
import {
  type ClassicGroup,
  type GroupEffect,
  type GroupError,
  type GroupEvent,
  type GroupLimits,
  hasSameProtocols,
  isCompatible,
  type JoinEvent,
  joinRefusal,
  memberProblem,
  type SyncEvent,
  selectProtocol,
  syncRefusal,
  type Written,
} from "./classic-group-state.ts";
import { protocolBytes } from "./group-members.ts";

export interface GroupTransition {
  readonly group: ClassicGroup;
  readonly effects: readonly GroupEffect[];
}

/** The group that is given goes into the one that comes out, and must not be used any more: a copy for each join would be quadratic. */
export function stepClassicGroup(
  group: ClassicGroup,
  event: GroupEvent,
  context: { readonly now: number; readonly limits: GroupLimits },
): GroupTransition {
  // The two events of a quiet group change nothing but a timer.
  if (event.kind === "heartbeat") return heartbeat(group, event);
  if (event.kind === "alive") return { group, effects: sessionEffects(group, event.memberId) };
  const step = openStep(group, context);
  act(step, event);
  return { group: step.group, effects: step.effects };
}

function act(step: GroupStep, event: Exclude<GroupEvent, { kind: "heartbeat" | "alive" }>): void {
  switch (event.kind) {
    case "join":
      join(step, event);
      return;
    case "sync":
      sync(step, event);
      return;
    case "leave":
      leave(step, event);
      return;
    case "timer":
      timerFired(step, event.timer);
      return;
    case "loaded":
      startSessions(step);
      return;
    case "rebalance":
      rebalance(step);
      return;
    case "close":
      close(step, event.error);
      return;
    case "assignment-written":
      assignmentWritten(step, event);
      return;
    case "static-member-written":
      staticMemberWritten(step, event);
      return;
    case "emptiness-written":
      return; // The next write says it again; until then a load would find a group whose members time out.
    default:
      unreachable(event);
  }
}

function heartbeat(group: ClassicGroup, event: Extract<GroupEvent, { kind: "heartbeat" }>): GroupTransition {
  const error = heartbeatAnswer(group, event);
  const isAlive = error === "NONE" || error === "REBALANCE_IN_PROGRESS";
  return {
    group,
    effects: [
      ...(isAlive ? sessionEffects(group, event.memberId) : []),
      { kind: "reply", ticket: event.ticket, reply: { kind: "heartbeat", error } },
    ],
  };
}

function heartbeatAnswer(group: ClassicGroup, event: Extract<GroupEvent, { kind: "heartbeat" }>): GroupError {
  if (group.state === "dead") return "COORDINATOR_NOT_AVAILABLE";
  const problem = memberProblem(group, event.memberId, event.instanceId);
  if (problem !== "NONE") return problem;
  if (event.generation !== group.generation) return "ILLEGAL_GENERATION";
  // While syncs are awaited a heartbeat is as good as any: its sender has just been told of this generation.
  return group.state === "preparing-rebalance" ? "REBALANCE_IN_PROGRESS" : "NONE";
}

function sessionEffects(group: ClassicGroup, memberId: string): readonly GroupEffect[] {
  const member = group.members.get(memberId);
  if (member === undefined) return [];
  return [{ kind: "set-timer", timer: { kind: "session", memberId }, afterMs: member.sessionTimeoutMs }];
}

function join(step: GroupStep, event: JoinEvent): void {
  const { group } = step;
  const refuse = (error: GroupError, memberId = event.memberId): void => {
    step.effects.push({ kind: "reply", ticket: event.ticket, reply: joinRefusal(error, memberId) });
  };
  if (group.state === "dead") return refuse("COORDINATOR_NOT_AVAILABLE");
  if (!hasRoom(step, event.memberId)) {
    removeMember(step, event.memberId);
    refuse("GROUP_MAX_SIZE_REACHED", "");
    if (group.state === "preparing-rebalance") advanceJoins(step);
    return;
  }
  const names = event.protocols.map(({ name }) => name);
  if (!isCompatible(group, event.protocolType, names)) return refuse("INCONSISTENT_GROUP_PROTOCOL");
  if (!fits(step, event)) return refuse("GROUP_MAX_SIZE_REACHED");
  if (event.memberId === "") return joinUnnamed(step, event);
  if (group.pending.has(event.memberId)) {
    // Ids are handed out to dynamic members only.
    if (event.instanceId !== null) return refuse("INVALID_REQUEST");
    return addMember(step, event, event.memberId);
  }
  const problem = memberProblem(group, event.memberId, event.instanceId);
  if (problem !== "NONE") return refuse(problem);
  rejoin(step, event);
}

/** During a rebalance those who wait are counted, so that the last to come back are the ones turned away. */
function hasRoom({ group, limits }: GroupStep, memberId: string): boolean {
  const known = group.members.get(memberId);
  switch (group.state) {
    case "empty":
    case "dead":
      return true;
    case "preparing-rebalance":
      return (known !== undefined && known.joining !== null) || group.members.joining < limits.membersMax;
    case "completing-rebalance":
    case "stable":
      return known !== undefined || group.members.size < limits.membersMax;
  }
}

/** Kafka notices when the leader has assigned, and all members begin again, for ever. */
function fits({ group, limits }: GroupStep, { memberId, protocols }: JoinEvent): boolean {
  const own = group.members.get(memberId)?.protocols ?? [];
  return group.members.protocolBytes - protocolBytes(own) + protocolBytes(protocols) <= limits.recordBytesMax;
}

function joinUnnamed(step: GroupStep, event: JoinEvent): void {
  if (event.instanceId !== null) {
    if (step.group.instances.has(event.instanceId)) returnStatic(step, event, event.instanceId);
    else addMember(step, event, event.memberIdFresh);
    return;
  }
  if (!event.mustKnowId) {
    addMember(step, event, event.memberIdFresh);
    return;
  }
  const memberId = event.memberIdFresh;
  if (step.group.pending.size >= step.limits.membersMax) {
    // Kafka sets no bound here; ids that are asked for and never used would fill the memory.
    step.effects.push({ kind: "reply", ticket: event.ticket, reply: joinRefusal("GROUP_MAX_SIZE_REACHED", "") });
    return;
  }
  step.group.pending.add(memberId);
  step.effects.push(
    { kind: "set-timer", timer: { kind: "session", memberId }, afterMs: event.sessionTimeoutMs },
    { kind: "reply", ticket: event.ticket, reply: joinRefusal("MEMBER_ID_REQUIRED", memberId) },
  );
}

function rejoin(step: GroupStep, event: JoinEvent): void {
  const { group } = step;
  const member = group.members.get(event.memberId);
  const isSame = member !== undefined && hasSameProtocols(member, event.protocols);
  const isLeader = group.leader === event.memberId;
  // A leader that joins a stable group asks for a rebalance: it has seen a change that the members' metadata do not show.
  const isRepeat = isSame && (group.state === "completing-rebalance" || (group.state === "stable" && !isLeader));
  if (isRepeat) {
    step.effects.push({ kind: "reply", ticket: event.ticket, reply: currentGeneration(group, event.memberId) });
    return;
  }
  updateMember(step, event.memberId, event);
  if (group.state === "preparing-rebalance") advanceJoins(step);
  else rebalance(step);
}

/** A static member is back under a new member id: whoever still uses the old one is fenced. */
function returnStatic(step: GroupStep, event: JoinEvent, instanceId: string): void {
  const { group } = step;
  const leaderBefore = group.leader ?? "";
  const memberId = event.memberIdFresh;
  replaceInstance(step, instanceId, memberId);
  updateMember(step, memberId, event);
  const isUndisturbed = group.state === "stable" && selectProtocol(group.members.values()) === group.protocolName;
  if (!isUndisturbed) {
    // After the joins the leader may be assigning to the old id right now, so only a new rebalance reaches the new one.
    if (group.state === "preparing-rebalance") advanceJoins(step);
    else rebalance(step);
    return;
  }
  step.effects.push({
    kind: "persist",
    assignments: new Map([...group.members.values()].map((member) => [member.id, member.assignment])),
    answer: {
      kind: "static-member-written",
      generation: group.generation,
      memberId,
      ticket: event.ticket,
      leaderBefore,
      canSkipAssignment: event.canSkipAssignment,
      error: "NONE",
    },
  });
}

function staticMemberWritten(step: GroupStep, event: Extract<Written, { kind: "static-member-written" }>): void {
  const member = step.group.members.get(event.memberId);
  if (member?.joining !== event.ticket) return; // Answered or replaced meanwhile.
  if (step.group.state !== "stable" || step.group.generation !== event.generation) return; // The rebalance will answer.
  if (event.error !== "NONE") {
    answerJoin(step, event.memberId, joinRefusal(event.error, event.memberId));
    return;
  }
  const reply = currentGeneration(step.group, event.memberId);
  // Without KIP-814 a client that sees itself as the leader would assign anew, so it is told of its own former id.
  answerJoin(
    step,
    event.memberId,
    event.canSkipAssignment
      ? { ...reply, skipAssignment: step.group.leader === event.memberId }
      : { ...reply, leader: event.leaderBefore, members: [] },
  );
}

function sync(step: GroupStep, event: SyncEvent): void {
  const { group } = step;
  const refuse = (error: GroupError): void => {
    step.effects.push({ kind: "reply", ticket: event.ticket, reply: syncRefusal(error) });
  };
  if (group.state === "dead") return refuse("COORDINATOR_NOT_AVAILABLE");
  const problem = memberProblem(group, event.memberId, event.instanceId);
  if (problem !== "NONE") return refuse(problem);
  if (event.generation !== group.generation) return refuse("ILLEGAL_GENERATION");
  const isOther = (given: string | null, own: string | null): boolean => given !== null && given !== own;
  if (isOther(event.protocolType, group.protocolType) || isOther(event.protocolName, group.protocolName)) {
    return refuse("INCONSISTENT_GROUP_PROTOCOL");
  }
  if (group.state === "empty") return refuse("UNKNOWN_MEMBER_ID");
  if (group.state === "preparing-rebalance") return refuse("REBALANCE_IN_PROGRESS");
  const member = group.members.get(event.memberId);
  if (member === undefined) return refuse("UNKNOWN_MEMBER_ID");
  synced(step, event.memberId);
  if (group.state === "stable") {
    answerSync(step, event.ticket, member.assignment);
    step.effects.push(...sessionEffects(group, member.id));
    return;
  }
  if (member.syncing !== null) {
    step.effects.push({ kind: "reply", ticket: member.syncing, reply: syncRefusal("REBALANCE_IN_PROGRESS") });
  }
  group.members.set(member.id, { ...member, syncing: event.ticket });
  if (group.leader === member.id) persistAssignment(step, event.assignments);
}

function persistAssignment(step: GroupStep, given: SyncEvent["assignments"]): void {
  const { group } = step;
  const assignments = new Map([...group.members.keys()].map((id) => [id, given.get(id) ?? new Uint8Array(0)]));
  step.effects.push({
    kind: "persist",
    assignments,
    answer: { kind: "assignment-written", generation: group.generation, assignments, error: "NONE" },
  });
}

function assignmentWritten(step: GroupStep, event: Extract<Written, { kind: "assignment-written" }>): void {
  const { group } = step;
  // Someone may have joined or left while the write was under way; then the next generation is already being made.
  if (group.state !== "completing-rebalance" || group.generation !== event.generation) return;
  if (event.error !== "NONE") {
    rebalance(step, event.error);
    return;
  }
  for (const member of group.members.values()) {
    const assignment = event.assignments.get(member.id) ?? new Uint8Array(0);
    group.members.set(member.id, { ...member, assignment, syncing: null });
    if (member.syncing === null) continue;
    answerSync(step, member.syncing, assignment);
    step.effects.push(...sessionEffects(group, member.id));
  }
  group.state = "stable";
  group.changedAt = step.now;
}

function answerSync({ group, effects }: GroupStep, ticket: number, assignment: Uint8Array): void {
  const { protocolType, protocolName } = group;
  effects.push({
    kind: "reply",
    ticket,
    reply: { kind: "sync", error: "NONE", protocolType, protocolName, assignment },
  });
}

function synced({ group, effects }: GroupStep, memberId: string): void {
  if (group.unsynced.delete(memberId) && group.unsynced.size === 0) {
    effects.push({ kind: "cancel-timer", timer: { kind: "sync" } });
  }
}

function leave(step: GroupStep, event: Extract<GroupEvent, { kind: "leave" }>): void {
  const { group, effects } = step;
  if (group.state === "dead") {
    const reply = { kind: "leave", error: "COORDINATOR_NOT_AVAILABLE", members: [] } as const;
    effects.push({ kind: "reply", ticket: event.ticket, reply });
    return;
  }
  let removed = 0;
  const members = event.members.map(({ memberId, instanceId }) => {
    // An admin removes a static member without knowing its id.
    const id = memberId === "" && instanceId !== null ? (group.instances.get(instanceId) ?? "") : memberId;
    const error = group.pending.has(id) ? "NONE" : memberProblem(group, id, instanceId);
    if (error === "NONE") {
      removeMember(step, id);
      removed += 1;
    }
    return { memberId, instanceId, error };
  });
  effects.push({ kind: "reply", ticket: event.ticket, reply: { kind: "leave", error: "NONE", members } });
  if (removed > 0) afterLoss(step);
}

function afterLoss(step: GroupStep): void {
  const { state } = step.group;
  if (state === "preparing-rebalance") advanceJoins(step);
  else if (state === "stable" || state === "completing-rebalance") rebalance(step);
}

function timerFired(step: GroupStep, timer: Extract<GroupEvent, { kind: "timer" }>["timer"]): void {
  const { group } = step;
  switch (timer.kind) {
    case "session": {
      const member = group.members.get(timer.memberId);
      if (member === undefined && !group.pending.has(timer.memberId)) return;
      // Whoever waits for us is not to blame for its silence; a new member is, since it may have gone away unseen.
      if (member !== undefined && !member.isNew && (member.joining !== null || member.syncing !== null)) return;
      removeMember(step, timer.memberId);
      if (member !== undefined || group.state === "preparing-rebalance") afterLoss(step);
      return;
    }
    case "join":
      if (group.state !== "preparing-rebalance") return;
      if (group.gathering === null) completeJoins(step);
      else endGathering(step);
      return;
    case "sync":
      if (group.state === "completing-rebalance" || group.state === "stable") evictUnsynced(step);
      return;
    default:
      unreachable(timer);
  }
}
