/** Groups and offsets as records of __consumer_offsets (schemas/kafka/offsets-topic.ts): the only place that knows both sides. */
import {
  groupMetadataKey,
  groupMetadataValue,
  offsetCommitKey,
  offsetCommitValue,
} from "../../schemas/kafka/offsets-topic.ts";
import type { StateRecord } from "../log/state-log.ts";
import { decodeVersioned, encodeVersioned, versionOf } from "../protocol/versioned.ts";
import {
  type Assignments,
  type ClassicGroup,
  emptyClassicGroup,
  type Member,
  metadataFor,
} from "./classic-group-state.ts";
import { type ConsumerRecord, decodeConsumerRecord } from "./consumer-group-records.ts";
import { GroupMembers } from "./group-members.ts";
import type { CommittedOffset } from "./group-offsets.ts";
import { decodeStreamsRecord, type StreamsRecord } from "./streams/streams-group-records.ts";

export type GroupRecord =
  | {
      readonly kind: "offset";
      readonly group: string;
      readonly topic: string;
      readonly partition: number;
      /** Null: forgotten. */
      readonly value: CommittedOffset | null;
    }
  | { readonly kind: "group"; readonly group: string; readonly value: ClassicGroup | null }
  | { readonly kind: "consumer"; readonly group: string; readonly record: ConsumerRecord }
  | { readonly kind: "streams"; readonly group: string; readonly record: StreamsRecord }
  /** Written by a newer or another kind of coordinator; kept in the log, not understood here. */
  | { readonly kind: "foreign" };

/** Version 1 of an offset is the only one with an expiry of its own, 4 the only one with the topic's id. */
const offsetKeyVersion = 1;
const groupKeyVersion = 2;
const expiringOffsetVersion = 1;
const offsetVersion = 4;
/** Of a group: what every tool since Kafka 2.3 reads. */
const groupVersion = 3;

export function offsetRecord(
  at: { readonly group: string; readonly topic: string; readonly partition: number },
  value: CommittedOffset | null,
): StateRecord {
  const key = encodeVersioned(offsetCommitKey, offsetKeyVersion, at);
  if (value === null) return { key, value: null };
  const version = value.expiresAt === null ? offsetVersion : expiringOffsetVersion;
  return {
    key,
    value: encodeVersioned(offsetCommitValue, version, {
      offset: value.offset,
      leaderEpoch: value.leaderEpoch,
      metadata: value.metadata,
      commitTimestamp: value.committedAt,
      expireTimestamp: value.expiresAt ?? -1,
      topicId: value.topicId,
    }),
  };
}

/** The group with the assignments that are about to hold. */
export function groupRecord(id: string, group: ClassicGroup, assignments: Assignments): StateRecord {
  const value = encodeVersioned(groupMetadataValue, groupVersion, {
    protocolType: group.protocolType ?? "",
    generation: group.generation,
    protocol: group.protocolName,
    leader: group.leader,
    currentStateTimestamp: group.changedAt,
    members: Array.from(group.members.values(), (member) => ({
      memberId: member.id,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeout: member.rebalanceTimeoutMs,
      sessionTimeout: member.sessionTimeoutMs,
      subscription: metadataFor(member, group.protocolName),
      assignment: assignments.get(member.id) ?? new Uint8Array(0),
    })),
  });
  return { key: groupKey(id), value };
}

export function groupTombstone(id: string): StateRecord {
  return { key: groupKey(id), value: null };
}

/** Throws CorruptData when the record is of a known kind and does not hold what it should. */
export function decodeGroupRecord(key: Uint8Array, value: Uint8Array | null): GroupRecord {
  const keyVersion = versionOf(key);
  if (keyVersion === 0 || keyVersion === offsetKeyVersion) {
    const at = decodeVersioned(offsetCommitKey, key);
    return { kind: "offset", ...at, value: value === null ? null : decodeOffset(value) };
  }
  if (keyVersion === groupKeyVersion) {
    const { group } = decodeVersioned(groupMetadataKey, key);
    return { kind: "group", group, value: value === null ? null : decodeGroup(value) };
  }
  const consumer = decodeConsumerRecord(key, value);
  if (consumer !== undefined) return { kind: "consumer", ...consumer };
  const streams = decodeStreamsRecord(key, value);
  return streams === undefined ? { kind: "foreign" } : { kind: "streams", ...streams };
}

function decodeOffset(value: Uint8Array): CommittedOffset {
  const decoded = decodeVersioned(offsetCommitValue, value);
  return {
    offset: decoded.offset,
    leaderEpoch: decoded.leaderEpoch,
    metadata: decoded.metadata,
    topicId: decoded.topicId,
    committedAt: decoded.commitTimestamp,
    expiresAt: decoded.expireTimestamp < 0 ? null : decoded.expireTimestamp,
  };
}

function decodeGroup(value: Uint8Array): ClassicGroup {
  const decoded = decodeVersioned(groupMetadataValue, value);
  const members = decoded.members.map(
    (member): Member => ({
      id: member.memberId,
      instanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      sessionTimeoutMs: member.sessionTimeout,
      rebalanceTimeoutMs: member.rebalanceTimeout < 0 ? member.sessionTimeout : member.rebalanceTimeout,
      // Only the chosen protocol is kept. A member that comes back names all of its own again.
      protocols: [{ name: decoded.protocol ?? "", metadata: Uint8Array.from(member.subscription) }],
      assignment: Uint8Array.from(member.assignment),
      joining: null,
      syncing: null,
      isNew: false,
    }),
  );
  return {
    ...emptyClassicGroup(Math.max(0, decoded.currentStateTimestamp)),
    state: members.length === 0 ? "empty" : "stable",
    generation: decoded.generation,
    protocolType: decoded.protocolType === "" ? null : decoded.protocolType,
    protocolName: decoded.protocol,
    leader: decoded.leader,
    members: GroupMembers.of(members),
    instances: new Map(members.flatMap(({ id, instanceId }) => (instanceId === null ? [] : [[instanceId, id]]))),
  };
}

function groupKey(id: string): Uint8Array {
  return encodeVersioned(groupMetadataKey, groupKeyVersion, { group: id });
}
