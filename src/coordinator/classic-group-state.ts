/** What a classic group is, what can happen to it, and what it then asks for. The machine itself: classic-group.ts. */
import type { ErrorName } from "../../schemas/kafka/errors.ts";
import { GroupMembers } from "./group-members.ts";

export interface ClassicGroup {
  readonly state: GroupState;
  /** Grows by one at each completed rebalance; 0 before the first, as in a group that only keeps offsets. */
  readonly generation: number;
  /** "consumer", "connect", ...: that of the first member; kept while the group is empty. */
  readonly protocolType: string | null;
  /** Chosen by the members' votes for the present generation. */
  readonly protocolName: string | null;
  readonly leader: string | null;
  /** In order of arrival, which breaks ties. */
  readonly members: ReadonlyMap<string, Member> & Pick<GroupMembers, "joining" | "protocolBytes" | "allSpeak">;
  /** Member id of each static member, by its instance id. */
  readonly instances: ReadonlyMap<string, string>;
  /** Ids handed out by MEMBER_ID_REQUIRED and not yet used. They hold a rebalance open. */
  readonly pending: ReadonlySet<string>;
  /** Members that were told of the present generation and have not synced yet. */
  readonly unsynced: ReadonlySet<string>;
  /** Only while an empty group gathers its first members. */
  readonly gathering: { readonly remainingMs: number; readonly newcomer: boolean } | null;
  /** When the state last changed. */
  readonly changedAt: number;
}

export type GroupState = "empty" | "preparing-rebalance" | "completing-rebalance" | "stable" | "dead";

export interface Member {
  readonly id: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocols: readonly GroupProtocol[];
  readonly assignment: Uint8Array;
  /** Requests that wait for an answer. */
  readonly joining: Ticket | null;
  readonly syncing: Ticket | null;
  /** Until its first join is answered, its client does not know its id and cannot send heartbeats. */
  readonly isNew: boolean;
}

export interface GroupProtocol {
  readonly name: string;
  readonly metadata: Uint8Array;
}

/** Names the request that waits; each gets exactly one reply. */
export type Ticket = number;

export interface GroupLimits {
  readonly initialRebalanceDelayMs: number;
  readonly newMemberJoinTimeoutMs: number;
  readonly membersMax: number;
  /** Of what members say of themselves and are assigned; a record holds all of a group. */
  readonly recordBytesMax: number;
}

export type GroupError = ErrorName;

export interface JoinEvent {
  readonly kind: "join";
  readonly ticket: Ticket;
  /** Empty when the client has none yet. */
  readonly memberId: string;
  /** The id that the client gets if it needs one; never used before. */
  readonly memberIdFresh: string;
  readonly instanceId: string | null;
  readonly protocolType: string;
  readonly protocols: readonly GroupProtocol[];
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly clientId: string;
  readonly clientHost: string;
  /** JoinGroup v4+: a dynamic member must come back with the id it was given before it counts (KIP-394). */
  readonly mustKnowId: boolean;
  /** JoinGroup v9+: a returning static leader may be told to leave the assignment as it is (KIP-814). */
  readonly canSkipAssignment: boolean;
}

export interface SyncEvent {
  readonly kind: "sync";
  readonly ticket: Ticket;
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
  /** Null before SyncGroup v5. */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignments: Assignments;
}

export type Assignments = ReadonlyMap<string, Uint8Array>;

export type GroupEvent =
  | JoinEvent
  | SyncEvent
  | {
      readonly kind: "heartbeat";
      readonly ticket: Ticket;
      readonly memberId: string;
      readonly instanceId: string | null;
      readonly generation: number;
    }
  /** A commit by a member counts as a heartbeat; nobody waits for this one. */
  | { readonly kind: "alive"; readonly memberId: string }
  | {
      readonly kind: "leave";
      readonly ticket: Ticket;
      readonly members: readonly { readonly memberId: string; readonly instanceId: string | null }[];
    }
  | { readonly kind: "timer"; readonly timer: GroupTimer }
  /** After a load: starts the session timers of the members that the log named. */
  | { readonly kind: "loaded" }
  /** All members have to join again: the group came back from another protocol. */
  | { readonly kind: "rebalance" }
  /** The group is gone from here, deleted or moved to another node: whoever waits is told why. */
  | { readonly kind: "close"; readonly error: GroupError }
  | Written;

/** The answer to a "persist" effect. */
export type Written =
  | {
      readonly kind: "assignment-written";
      readonly generation: number;
      readonly assignments: Assignments;
      readonly error: GroupError;
    }
  | {
      readonly kind: "static-member-written";
      readonly generation: number;
      readonly memberId: string;
      readonly ticket: Ticket;
      readonly leaderBefore: string;
      readonly canSkipAssignment: boolean;
      readonly error: GroupError;
    }
  | { readonly kind: "emptiness-written"; readonly error: GroupError };

export type GroupTimer =
  | { readonly kind: "session"; readonly memberId: string }
  /** Ends the gathering of joins; one a group. */
  | { readonly kind: "join" }
  /** Ends the wait for syncs; one a group. */
  | { readonly kind: "sync" };

export type GroupEffect =
  | { readonly kind: "reply"; readonly ticket: Ticket; readonly reply: GroupReply }
  /** Replaces the timer of the same name. */
  | { readonly kind: "set-timer"; readonly timer: GroupTimer; readonly afterMs: number }
  | { readonly kind: "cancel-timer"; readonly timer: GroupTimer }
  /** Write the group as it is now, with these assignments; feed `answer` back with the outcome in its `error`. */
  | { readonly kind: "persist"; readonly assignments: Assignments; readonly answer: Written };

export type GroupReply = JoinReply | SyncReply | HeartbeatReply | LeaveReply;

export interface JoinReply {
  readonly kind: "join";
  readonly error: GroupError;
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string;
  readonly skipAssignment: boolean;
  readonly memberId: string;
  /** Filled for the leader alone. */
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly metadata: Uint8Array;
  }[];
}

export interface SyncReply {
  readonly kind: "sync";
  readonly error: GroupError;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Uint8Array;
}

export interface HeartbeatReply {
  readonly kind: "heartbeat";
  readonly error: GroupError;
}

export interface LeaveReply {
  readonly kind: "leave";
  readonly error: GroupError;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly error: GroupError;
  }[];
}

const noBytes = new Uint8Array(0);

export function emptyClassicGroup(now: number): ClassicGroup {
  return {
    state: "empty",
    generation: 0,
    protocolType: null,
    protocolName: null,
    leader: null,
    members: new GroupMembers(),
    instances: new Map(),
    pending: new Set(),
    unsynced: new Set(),
    gathering: null,
    changedAt: now,
  };
}

export function joinRefusal(error: GroupError, memberId: string): JoinReply {
  return {
    kind: "join",
    error,
    generation: -1,
    protocolType: null,
    protocolName: null,
    leader: "",
    skipAssignment: false,
    memberId,
    members: [],
  };
}

export function syncRefusal(error: GroupError): SyncReply {
  return { kind: "sync", error, protocolType: null, protocolName: null, assignment: noBytes };
}

/** NONE when the request speaks for a member of the group. */
export function memberProblem(group: ClassicGroup, memberId: string, instanceId: string | null): GroupError {
  if (instanceId === null) return group.members.has(memberId) ? "NONE" : "UNKNOWN_MEMBER_ID";
  const owner = group.instances.get(instanceId);
  if (owner === undefined) return "UNKNOWN_MEMBER_ID";
  return owner === memberId ? "NONE" : "FENCED_INSTANCE_ID";
}

/** Whether a commit of offsets by this client is to be taken; it is when the error is NONE. */
export function commitProblem(
  group: ClassicGroup,
  by: { readonly memberId: string; readonly instanceId: string | null; readonly generation: number },
): GroupError {
  if (group.state === "dead") return "COORDINATOR_NOT_AVAILABLE";
  // A client that assigns its partitions itself, or an admin, speaks for an empty group without a generation.
  if (by.generation < 0 && group.state === "empty") return "NONE";
  if (by.generation < 0 && by.memberId === "" && by.instanceId === null) return "UNKNOWN_MEMBER_ID";
  const problem = memberProblem(group, by.memberId, by.instanceId);
  if (problem !== "NONE") return problem;
  if (by.generation !== group.generation) return "ILLEGAL_GENERATION";
  return group.state === "completing-rebalance" ? "REBALANCE_IN_PROGRESS" : "NONE";
}

/** A producer commits on behalf of a consumer, which it need not name; a rebalance is no reason to fail its transaction. */
export function transactionalCommitProblem(
  group: ClassicGroup,
  by: { readonly memberId: string; readonly instanceId: string | null; readonly generation: number },
): GroupError {
  if (group.state === "dead") return "COORDINATOR_NOT_AVAILABLE";
  if (by.generation < 0 && by.memberId === "" && by.instanceId === null) return "NONE";
  const problem = memberProblem(group, by.memberId, by.instanceId);
  if (problem !== "NONE") return problem;
  return by.generation === group.generation ? "NONE" : "ILLEGAL_GENERATION";
}

export function rebalanceTimeoutMs(group: ClassicGroup): number {
  let longest = 0;
  for (const member of group.members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs);
  return longest;
}

/** Whether a member with these protocols would leave the group at least one that all speak. */
export function isCompatible(group: ClassicGroup, type: string, names: readonly string[]): boolean {
  if (group.members.size === 0) return type !== "" && names.length > 0;
  return type === group.protocolType && names.some((name) => group.members.allSpeak(name));
}

/** Each member votes for the first of its protocols that all speak; most votes win, then order of arrival. */
export function selectProtocol(members: Iterable<Member>): string | null {
  const all = [...members];
  const common = commonProtocols(all);
  const votes = new Map<string, number>();
  for (const member of all) {
    const choice = member.protocols.find(({ name }) => common.has(name));
    if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1);
  }
  let winner: string | null = null;
  for (const [name, count] of votes) if (winner === null || count > (votes.get(winner) ?? 0)) winner = name;
  return winner;
}

function commonProtocols(members: Iterable<Member>): ReadonlySet<string> {
  let common: Set<string> | undefined;
  for (const { protocols } of members) {
    const names = new Set(protocols.map(({ name }) => name));
    common = common === undefined ? names : common.intersection(names);
  }
  return common ?? new Set();
}

export function hasSameProtocols(member: Member, protocols: readonly GroupProtocol[]): boolean {
  return (
    member.protocols.length === protocols.length &&
    member.protocols.every((own, index) => {
      const other = protocols[index];
      return other !== undefined && own.name === other.name && Buffer.compare(own.metadata, other.metadata) === 0;
    })
  );
}

export function metadataFor(member: Member, protocolName: string | null): Uint8Array {
  return member.protocols.find(({ name }) => name === protocolName)?.metadata ?? noBytes;
}
