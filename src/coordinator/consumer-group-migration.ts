/**
 * Members of both protocols in one group, and the group's way from one protocol to the other while its members are restarted
 * one by one: the first that speaks the consumer protocol takes the group with it, and when the last one has left, those that
 * still speak the classic protocol have a classic group again.
 */
import { consumerProtocolAssignment, consumerProtocolSubscription } from "../../schemas/kafka/consumer-protocol.ts";
import type { Infer } from "../base/codec.ts";
import { CorruptData } from "../base/errors.ts";
import type { Uuid } from "../base/ids.ts";
import { decodeVersioned, encodeVersioned, versionOf } from "../protocol/versioned.ts";
import {
  type ClassicGroup,
  emptyClassicGroup,
  type GroupError,
  type JoinEvent,
  type Member,
  metadataFor,
  type SyncEvent,
  selectProtocol,
} from "./classic-group-state.ts";
import type { Partitions } from "./consumer-assignors.ts";
import { advance, type ConsumerContext, type ConsumerStep, identified, replaced } from "./consumer-group.ts";
import {
  type ConsumerGroup,
  type ConsumerMember,
  emptyConsumerGroup,
  type MemberMetadata,
  newcomer,
  type Refusal,
  staticMember,
  type Topics,
  topicsHash,
} from "./consumer-group-state.ts";
import { waitsForOthers } from "./consumer-reconcile.ts";
import { GroupMembers } from "./group-members.ts";

type Subscription = Infer<typeof consumerProtocolSubscription>;
type Untold<Event> = Omit<Event, "kind" | "ticket">;

export const classicProtocolType = "consumer";

/** The group as its members know it, with nothing decided anew: the join that asked for this brings the next epoch. */
export function consumerFromClassic(classic: ClassicGroup, topics: Topics): ConsumerGroup | Refusal {
  const refused = (why: string): Refusal => ({
    error: "GROUP_ID_NOT_FOUND",
    detail: `Cannot upgrade the classic group: ${why}.`,
  });
  if (classic.protocolType !== classicProtocolType) return refused("it does not use the consumer embedded protocol");
  const protocol = classic.protocolName ?? selectProtocol(classic.members.values());
  const members: ConsumerMember[] = [];
  for (const member of classic.members.values()) {
    const subscription = readSubscription(metadataFor(member, protocol));
    const assigned = readAssignment(member.assignment, topics);
    if (subscription === undefined || assigned === undefined) return refused("the embedded protocol is malformed");
    if (assigned === "custom") return refused("an assignor of its own keeps data that would be lost");
    members.push(migrated(member, { subscription, assigned, generation: classic.generation }));
  }
  const group: ConsumerGroup = {
    ...emptyConsumerGroup,
    epoch: classic.generation,
    targetEpoch: classic.generation,
    members: new Map(members.map((member) => [member.id, member])),
    targets: new Map(members.map(({ id, current }) => [id, numbersOf(current.assigned)])),
  };
  return { ...group, topicsHash: topicsHash(group, topics) };
}

function migrated(
  member: Member,
  has: { readonly subscription: Subscription; readonly assigned: Partitions; readonly generation: number },
): ConsumerMember {
  const { sessionTimeoutMs, protocols } = member;
  return {
    id: member.id,
    metadata: {
      instanceId: member.instanceId,
      rackId: has.subscription.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      topics: [...new Set(has.subscription.topics)].sort(),
      pattern: "",
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      assignor: null,
      classic: { sessionTimeoutMs, protocols },
    },
    current: {
      state: "stable",
      epoch: has.generation,
      previousEpoch: has.generation,
      assigned: new Map(
        [...has.assigned].map(([topic, numbers]) => [topic, new Map(numbers.map((at) => [at, has.generation]))]),
      ),
      revoking: new Map(),
    },
  };
}

/**
 * Whether the last change took the group to the classic protocol and nothing else with it: a static member is there again, and
 * each has all that is meant for it. Else a rebalance has to follow.
 */
export function isHandedOver(before: ConsumerGroup, after: ConsumerGroup): boolean {
  if (before.epoch !== after.epoch) return false;
  return [...after.members.values()].every(
    ({ current }) => current.state === "stable" && current.epoch === after.epoch,
  );
}

/** Every member speaks the classic protocol; each keeps what was meant for it. */
export function classicFromConsumer(group: ConsumerGroup, topics: Topics, now: number): ClassicGroup {
  const members = Array.from(group.members.values(), ({ id, metadata }): Member => {
    const { classic } = metadata;
    return {
      id,
      instanceId: metadata.instanceId,
      clientId: metadata.clientId,
      clientHost: metadata.clientHost,
      sessionTimeoutMs: classic?.sessionTimeoutMs ?? 0,
      rebalanceTimeoutMs: metadata.rebalanceTimeoutMs,
      protocols: classic?.protocols ?? [],
      assignment: writeAssignment(metadata, group.targets.get(id) ?? new Map(), topics),
      joining: null,
      syncing: null,
      isNew: false,
    };
  });
  return {
    ...emptyClassicGroup(now),
    state: members.length === 0 ? "empty" : "stable",
    generation: group.epoch,
    protocolType: classicProtocolType,
    protocolName: selectProtocol(members),
    leader: members[0]?.id ?? null,
    members: GroupMembers.of(members),
    instances: new Map(members.flatMap(({ id, instanceId }) => (instanceId === null ? [] : [[instanceId, id]]))),
  };
}

export interface ClassicJoin {
  readonly memberId: string;
  readonly generation: number;
  readonly protocolName: string;
}

/** A classic member joins: it is reconciled like the others, but learns its assignment from its sync. */
export function joinAsClassic(
  group: ConsumerGroup,
  event: Untold<JoinEvent>,
  context: ConsumerContext,
): ConsumerStep<ClassicJoin> {
  const refuse = (error: Refusal["error"], detail: string): ConsumerStep<ClassicJoin> => ({
    kind: "refused",
    error,
    detail,
  });
  const [protocol] = event.protocols;
  if (protocol === undefined || event.protocolType !== classicProtocolType || !speaksWithAll(group, event)) {
    return refuse("INCONSISTENT_GROUP_PROTOCOL", "The member's protocols are not supported.");
  }
  const subscription = readSubscription(protocol.metadata);
  if (subscription === undefined) return refuse("INCONSISTENT_GROUP_PROTOCOL", "The subscription cannot be read.");
  const found = classicMember(group, event, context);
  if ("error" in found) return { kind: "refused", ...found };
  const before = found.member;
  const metadata: MemberMetadata = {
    instanceId: event.instanceId ?? before.metadata.instanceId,
    rackId: subscription.rackId ?? before.metadata.rackId,
    clientId: event.clientId,
    clientHost: event.clientHost,
    topics: [...new Set(subscription.topics)].sort(),
    pattern: "",
    rebalanceTimeoutMs: event.rebalanceTimeoutMs,
    assignor: before.metadata.assignor,
    classic: { sessionTimeoutMs: event.sessionTimeoutMs, protocols: event.protocols },
  };
  const owned = new Map(
    subscription.ownedPartitions.flatMap(({ topic, partitions }) => {
      const known = context.topics.byName(topic);
      return known === undefined ? [] : [[known.id, partitions] as const];
    }),
  );
  const next = advance(found.group, { before, metadata, owned }, context);
  const generation = next.members.get(before.id)?.current.epoch ?? 0;
  return { kind: "done", group: next, answer: { memberId: before.id, generation, protocolName: protocol.name } };
}

/** At least one protocol that every classic member has. */
function speaksWithAll(group: ConsumerGroup, { protocols }: Untold<JoinEvent>): boolean {
  const classic = [...group.members.values()].flatMap(({ metadata }) => metadata.classic ?? []);
  return protocols.some(({ name }) => classic.every((other) => other.protocols.some((own) => own.name === name)));
}

function classicMember(
  group: ConsumerGroup,
  event: Untold<JoinEvent>,
  { limits }: ConsumerContext,
): { readonly group: ConsumerGroup; readonly member: ConsumerMember } | Refusal {
  const memberId = event.memberId === "" ? event.memberIdFresh : event.memberId;
  const holder = event.instanceId === null ? undefined : staticMember(group, event.instanceId);
  if (holder !== undefined && event.memberId === "") return replaced(group, holder, memberId);
  if (event.instanceId !== null && event.memberId !== "") {
    const own = identified(group, event);
    return "error" in own ? own : { group, member: own };
  }
  const own = group.members.get(memberId);
  if (own !== undefined) return { group, member: own };
  if (group.members.size >= limits.membersMax) return { error: "GROUP_MAX_SIZE_REACHED", detail: "The group is full." };
  const metadata: MemberMetadata = {
    instanceId: event.instanceId,
    rackId: null,
    clientId: event.clientId,
    clientHost: event.clientHost,
    topics: [],
    pattern: "",
    rebalanceTimeoutMs: event.rebalanceTimeoutMs,
    assignor: null,
    classic: null,
  };
  return { group, member: { id: memberId, metadata, current: newcomer } };
}

/** The assignment of a classic member that has joined, or why it gets none. */
export function syncAsClassic(
  group: ConsumerGroup,
  event: Untold<SyncEvent>,
  topics: Topics,
): { readonly assignment: Uint8Array; readonly protocolName: string } | GroupError {
  const member = classicSpeaker(group, event);
  if (typeof member === "string") return member;
  const protocolName = member.metadata.classic?.protocols[0]?.name ?? "";
  if (event.protocolType !== null && event.protocolType !== classicProtocolType) return "INCONSISTENT_GROUP_PROTOCOL";
  if (event.protocolName !== null && event.protocolName !== protocolName) return "INCONSISTENT_GROUP_PROTOCOL";
  // One that has to revoke has joined already; it will be told to join again when it has.
  if (group.targetEpoch > member.current.epoch && member.current.state !== "unrevoked") return "REBALANCE_IN_PROGRESS";
  return { assignment: writeAssignment(member.metadata, numbersOf(member.current.assigned), topics), protocolName };
}

/** What a classic member's heartbeat is told. */
export function heartbeatAsClassic(
  group: ConsumerGroup,
  event: { readonly memberId: string; readonly instanceId: string | null; readonly generation: number },
): GroupError {
  const member = classicSpeaker(group, event);
  if (typeof member === "string") return member;
  const { state, epoch } = member.current;
  const mustJoin =
    epoch < group.targetEpoch || state === "unrevoked" || (state === "unreleased" && !waitsForOthers(group, member));
  return mustJoin ? "REBALANCE_IN_PROGRESS" : "NONE";
}

function classicSpeaker(
  group: ConsumerGroup,
  event: { readonly memberId: string; readonly instanceId: string | null; readonly generation: number },
): ConsumerMember | GroupError {
  const member = identified(group, event);
  if ("error" in member) return member.error;
  if (member.metadata.classic === null) return "UNKNOWN_MEMBER_ID";
  return member.current.epoch === event.generation ? member : "ILLEGAL_GENERATION";
}

/** The metadata come from clients and are not the broker's to judge: what cannot be read says nothing. */
function readSubscription(metadata: Uint8Array): Subscription | undefined {
  return unlessCorrupt(() => decodeVersioned(consumerProtocolSubscription, metadata, "newer-appends"));
}

function readAssignment(bytes: Uint8Array, topics: Topics): Partitions | "custom" | undefined {
  if (bytes.length === 0) return new Map(); // It joined and has never synced.
  const read = unlessCorrupt(() => decodeVersioned(consumerProtocolAssignment, bytes, "newer-appends"));
  if (read === undefined) return undefined;
  if (read.userData !== null && read.userData.length > 0) return "custom";
  const known = read.assignedPartitions.flatMap(({ topic, partitions }): [Uuid, readonly number[]][] => {
    const found = topics.byName(topic);
    return found === undefined ? [] : [[found.id, [...partitions].sort((a, b) => a - b)]];
  });
  return new Map(known);
}

function unlessCorrupt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof CorruptData) return undefined;
    throw cause;
  }
}

/** In the version of the member's own subscription. */
function writeAssignment(metadata: MemberMetadata, partitions: Partitions, topics: Topics): Uint8Array {
  const asked = metadata.classic?.protocols[0]?.metadata;
  const newest = consumerProtocolAssignment.versions[1];
  const version = asked === undefined ? newest : Math.min(newest, Math.max(0, versionOf(asked)));
  const assignedPartitions = [...partitions].flatMap(([id, numbers]) => {
    const topic = topics.nameOf(id);
    return topic === undefined ? [] : [{ topic, partitions: numbers }];
  });
  return encodeVersioned(consumerProtocolAssignment, version, { assignedPartitions });
}

function numbersOf(held: ConsumerMember["current"]["assigned"]): Partitions {
  return new Map([...held].map(([topic, epochs]) => [topic, [...epochs.keys()].sort((a, b) => a - b)]));
}
