/** Share groups as records of __consumer_offsets (schemas/kafka/share-records.ts): the only place that knows both sides. */
import {
  shareGroupCurrentMemberAssignmentKey,
  shareGroupCurrentMemberAssignmentValue,
  shareGroupMemberMetadataKey,
  shareGroupMemberMetadataValue,
  shareGroupMetadataKey,
  shareGroupMetadataValue,
  shareGroupStatePartitionMetadataKey,
  shareGroupStatePartitionMetadataValue,
  shareGroupTargetAssignmentMemberKey,
  shareGroupTargetAssignmentMemberValue,
  shareGroupTargetAssignmentMetadataKey,
  shareGroupTargetAssignmentMetadataValue,
} from "../../../schemas/kafka/share-records.ts";
import type { Message } from "../../base/codec.ts";
import type { StateRecord } from "../../log/state-log.ts";
import { decodeVersioned, encodeVersioned, versionOf } from "../../protocol/versioned.ts";
import { isSameAssignment } from "./share-assignor.ts";
import { emptyShareGroup, type ShareGroup, type ShareMember } from "./share-group.ts";

const kinds = { member: 10, group: 11, targetEpoch: 12, target: 13, current: 14, topics: 15 } as const;

/** The only state of a member that Kafka's share groups have. */
const stableState = 0;

/** What must be written for `before` to become `after`. In Kafka's order: what goes is removed from the inside out. */
export function shareGroupRecords(groupId: string, before: ShareGroup, after: ShareGroup, now: number): StateRecord[] {
  const records: StateRecord[] = [];
  for (const memberId of before.members.keys()) {
    if (after.members.has(memberId)) continue;
    const key = { groupId, memberId };
    records.push(
      tombstone(shareGroupCurrentMemberAssignmentKey, kinds.current, key),
      tombstone(shareGroupTargetAssignmentMemberKey, kinds.target, key),
      tombstone(shareGroupMemberMetadataKey, kinds.member, key),
    );
  }
  for (const member of after.members.values()) {
    if (!isSameSubscription(before.members.get(member.id), member)) records.push(memberRecord(groupId, member));
  }
  if (after.epoch !== before.epoch) {
    records.push({
      key: encodeVersioned(shareGroupMetadataKey, kinds.group, { groupId }),
      value: encodeVersioned(shareGroupMetadataValue, 0, { epoch: after.epoch, metadataHash: after.metadataHash }),
    });
  }
  records.push(...targetRecords(groupId, before, after, now));
  for (const member of after.members.values()) {
    const was = before.members.get(member.id);
    const isSame = was?.epoch === member.epoch && isSameAssignment(was.assignment, member.assignment);
    if (!isSame) records.push(currentRecord(groupId, member));
  }
  if (after.topics !== before.topics) records.push(topicsRecord(groupId, after));
  return records;
}

export function shareGroupTombstones(groupId: string): StateRecord[] {
  const key = { groupId };
  return [
    tombstone(shareGroupStatePartitionMetadataKey, kinds.topics, key),
    tombstone(shareGroupTargetAssignmentMetadataKey, kinds.targetEpoch, key),
    tombstone(shareGroupMetadataKey, kinds.group, key),
  ];
}

/** Whether a key of __consumer_offsets is one of a share group's. */
export function isShareGroupKey(key: Uint8Array): boolean {
  const version = versionOf(key);
  return version >= kinds.member && version <= kinds.topics;
}

export interface ReplayedShareGroup {
  readonly groupId: string;
  /** Undefined: the group is gone. */
  readonly group: ShareGroup | undefined;
}

/** One record further. Throws CorruptData when the record does not hold what it should. */
export function replayShareGroup(
  key: Uint8Array,
  value: Uint8Array | null,
  groupOf: (groupId: string) => ShareGroup | undefined,
): ReplayedShareGroup {
  const version = versionOf(key);
  const { groupId, memberId } = replayedKey(version, key);
  const before = groupOf(groupId);
  if (before === undefined && value === null) return { groupId, group: undefined };
  const group = before ?? emptyShareGroup;
  switch (version) {
    case kinds.member:
      return { groupId, group: withMember(group, memberId, value) };
    case kinds.group: {
      if (value === null) return { groupId, group: undefined };
      const { epoch, metadataHash } = decodeVersioned(shareGroupMetadataValue, value);
      return { groupId, group: { ...group, epoch, metadataHash } };
    }
    case kinds.targetEpoch: {
      const assignmentEpoch =
        value === null ? 0 : decodeVersioned(shareGroupTargetAssignmentMetadataValue, value).assignmentEpoch;
      return { groupId, group: { ...group, assignmentEpoch } };
    }
    case kinds.target: {
      const target = new Map(group.target);
      if (value === null) target.delete(memberId);
      else target.set(memberId, decodeVersioned(shareGroupTargetAssignmentMemberValue, value).topicPartitions);
      return { groupId, group: { ...group, target } };
    }
    case kinds.current:
      return { groupId, group: withCurrent(group, memberId, value) };
    default:
      return { groupId, group: { ...group, topics: replayedTopics(value) } };
  }
}

function replayedKey(version: number, key: Uint8Array): { readonly groupId: string; readonly memberId: string } {
  switch (version) {
    case kinds.member:
      return decodeVersioned(shareGroupMemberMetadataKey, key);
    case kinds.target:
      return decodeVersioned(shareGroupTargetAssignmentMemberKey, key);
    case kinds.current:
      return decodeVersioned(shareGroupCurrentMemberAssignmentKey, key);
    case kinds.group:
      return { ...decodeVersioned(shareGroupMetadataKey, key), memberId: "" };
    case kinds.targetEpoch:
      return { ...decodeVersioned(shareGroupTargetAssignmentMetadataKey, key), memberId: "" };
    default:
      return { ...decodeVersioned(shareGroupStatePartitionMetadataKey, key), memberId: "" };
  }
}

const unknownMember: Omit<ShareMember, "id"> = {
  rackId: null,
  clientId: "",
  clientHost: "",
  topics: [],
  epoch: 0,
  previousEpoch: 0,
  assignment: [],
};

function withMember(group: ShareGroup, memberId: string, value: Uint8Array | null): ShareGroup {
  const members = new Map(group.members);
  if (value === null) {
    members.delete(memberId);
    return { ...group, members };
  }
  const { rackId, clientId, clientHost, subscribedTopicNames } = decodeVersioned(shareGroupMemberMetadataValue, value);
  const known = members.get(memberId) ?? { id: memberId, ...unknownMember };
  members.set(memberId, { ...known, rackId, clientId, clientHost, topics: subscribedTopicNames });
  return { ...group, members };
}

function withCurrent(group: ShareGroup, memberId: string, value: Uint8Array | null): ShareGroup {
  const known = group.members.get(memberId);
  // Written after the member, so a current assignment without one is of a member whose record was cleaned away with it.
  if (known === undefined) return group;
  const members = new Map(group.members);
  if (value === null) members.set(memberId, { ...known, epoch: 0, previousEpoch: 0, assignment: [] });
  else {
    const decoded = decodeVersioned(shareGroupCurrentMemberAssignmentValue, value);
    const { memberEpoch: epoch, previousMemberEpoch: previousEpoch, assignedPartitions: assignment } = decoded;
    members.set(memberId, { ...known, epoch, previousEpoch, assignment });
  }
  return { ...group, members };
}

function replayedTopics(value: Uint8Array | null): ShareGroup["topics"] {
  if (value === null) return new Map();
  const { initializedTopics } = decodeVersioned(shareGroupStatePartitionMetadataValue, value);
  return new Map(
    initializedTopics.map(({ topicId, topicName, partitions }) => [
      topicId,
      { topicId, name: topicName, partitions: [...partitions].sort((a, b) => a - b) },
    ]),
  );
}

function memberRecord(groupId: string, { id, rackId, clientId, clientHost, topics }: ShareMember): StateRecord {
  return {
    key: encodeVersioned(shareGroupMemberMetadataKey, kinds.member, { groupId, memberId: id }),
    value: encodeVersioned(shareGroupMemberMetadataValue, 0, {
      rackId,
      clientId,
      clientHost,
      subscribedTopicNames: topics,
    }),
  };
}

function targetRecords(groupId: string, before: ShareGroup, after: ShareGroup, now: number): StateRecord[] {
  const records: StateRecord[] = [];
  for (const [memberId, topicPartitions] of after.target) {
    const was = before.target.get(memberId);
    if (was !== undefined && isSameAssignment(was, topicPartitions)) continue;
    records.push({
      key: encodeVersioned(shareGroupTargetAssignmentMemberKey, kinds.target, { groupId, memberId }),
      value: encodeVersioned(shareGroupTargetAssignmentMemberValue, 0, { topicPartitions }),
    });
  }
  if (after.assignmentEpoch !== before.assignmentEpoch) {
    records.push({
      key: encodeVersioned(shareGroupTargetAssignmentMetadataKey, kinds.targetEpoch, { groupId }),
      value: encodeVersioned(shareGroupTargetAssignmentMetadataValue, 0, {
        assignmentEpoch: after.assignmentEpoch,
        assignmentTimestamp: now,
      }),
    });
  }
  return records;
}

function currentRecord(groupId: string, member: ShareMember): StateRecord {
  return {
    key: encodeVersioned(shareGroupCurrentMemberAssignmentKey, kinds.current, { groupId, memberId: member.id }),
    value: encodeVersioned(shareGroupCurrentMemberAssignmentValue, 0, {
      memberEpoch: member.epoch,
      previousMemberEpoch: member.previousEpoch,
      state: stableState,
      assignedPartitions: member.assignment,
    }),
  };
}

function topicsRecord(groupId: string, group: ShareGroup): StateRecord {
  return {
    key: encodeVersioned(shareGroupStatePartitionMetadataKey, kinds.topics, { groupId }),
    value: encodeVersioned(shareGroupStatePartitionMetadataValue, 0, {
      initializingTopics: [],
      initializedTopics: Array.from(group.topics.values(), ({ topicId, name, partitions }) => ({
        topicId,
        topicName: name,
        partitions,
      })),
      deletingTopics: [],
    }),
  };
}

function tombstone<T, I>(message: Message<T, I>, kind: number, key: I): StateRecord {
  return { key: encodeVersioned(message, kind, key), value: null };
}

function isSameSubscription(a: ShareMember | undefined, b: ShareMember): boolean {
  if (a === undefined || a.rackId !== b.rackId || a.clientId !== b.clientId || a.clientHost !== b.clientHost)
    return false;
  return a.topics.join() === b.topics.join();
}
