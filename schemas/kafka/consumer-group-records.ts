/**
 * Consumer groups in __consumer_offsets, as Kafka writes them. One record a fact, so that a heartbeat that changes one
 * member writes little.
 *
 *   key    | int16 what it is | group | member, or regular expression |
 *            3 group epoch · 4 partition metadata (Kafka 4.0 and older) · 5 member · 6 assignment epoch
 *            7 target of a member · 8 what a member has now · 16 topics of a regular expression
 *   value  | int16 version = 0 | fields |                            no value: a tombstone
 */
import {
  array,
  bytes,
  int8,
  int32,
  int64,
  int64Clamped,
  type Message,
  message,
  nullable,
  string,
  struct,
  tagged,
  uuid,
} from "../../src/base/codec.ts";

export const consumerRecordKeys = {
  group: 3,
  partitionMetadata: 4,
  member: 5,
  targetEpoch: 6,
  target: 7,
  current: 8,
  pattern: 16,
} as const;

export interface GroupKey {
  readonly group: string;
}

/** A key's number is its version. */
export function groupKey(name: string, version: number): Message<GroupKey> {
  return message({ name, versions: [version, version], flexible: undefined, fields: { group: string } });
}

export function memberKey(name: string, version: number): Message<GroupKey & { readonly memberId: string }> {
  return message({
    name,
    versions: [version, version],
    flexible: undefined,
    fields: { group: string, memberId: string },
  });
}

export const consumerGroupMetadataKey = groupKey("ConsumerGroupMetadataKey", consumerRecordKeys.group);
export const consumerGroupPartitionMetadataKey = groupKey(
  "ConsumerGroupPartitionMetadataKey",
  consumerRecordKeys.partitionMetadata,
);
export const consumerGroupMemberMetadataKey = memberKey("ConsumerGroupMemberMetadataKey", consumerRecordKeys.member);
export const consumerGroupTargetAssignmentMetadataKey = groupKey(
  "ConsumerGroupTargetAssignmentMetadataKey",
  consumerRecordKeys.targetEpoch,
);
export const consumerGroupTargetAssignmentMemberKey = memberKey(
  "ConsumerGroupTargetAssignmentMemberKey",
  consumerRecordKeys.target,
);
export const consumerGroupCurrentMemberAssignmentKey = memberKey(
  "ConsumerGroupCurrentMemberAssignmentKey",
  consumerRecordKeys.current,
);
export const consumerGroupRegularExpressionKey = message({
  name: "ConsumerGroupRegularExpressionKey",
  versions: [consumerRecordKeys.pattern, consumerRecordKeys.pattern],
  flexible: undefined,
  fields: { group: string, regularExpression: string },
});

export const consumerGroupMetadataValue = message({
  name: "ConsumerGroupMetadataValue",
  versions: [0, 0],
  flexible: 0,
  fields: {
    epoch: int32,
    /** Any 64 bits in Kafka's hand. Clamping them costs no more than one rebalance. */
    metadataHash: tagged(0, 0, int64Clamped, 0),
  },
});

export const consumerGroupMemberMetadataValue = message({
  name: "ConsumerGroupMemberMetadataValue",
  versions: [0, 0],
  flexible: 0,
  fields: {
    instanceId: nullable(string),
    rackId: nullable(string),
    clientId: string,
    clientHost: string,
    subscribedTopicNames: array(string),
    subscribedTopicRegex: nullable(string),
    rebalanceTimeoutMs: int32,
    serverAssignor: nullable(string),
    classicMemberMetadata: tagged(
      0,
      0,
      nullable(
        struct({
          sessionTimeoutMs: int32,
          supportedProtocols: array(struct({ name: string, metadata: bytes })),
        }),
      ),
      null,
    ),
  },
});

export const consumerGroupTargetAssignmentMetadataValue = message({
  name: "ConsumerGroupTargetAssignmentMetadataValue",
  versions: [0, 0],
  flexible: 0,
  fields: {
    assignmentEpoch: int32,
    assignmentTimestamp: tagged(0, 0, int64, 0),
  },
});

export const consumerGroupTargetAssignmentMemberValue = message({
  name: "ConsumerGroupTargetAssignmentMemberValue",
  versions: [0, 0],
  flexible: 0,
  fields: {
    topicPartitions: array(struct({ topicId: uuid, partitions: array(int32) })),
  },
});

/** The epoch in which each partition was assigned, in the order of `partitions`; null before Kafka 4.2. */
const heldPartitions = array(
  struct({
    topicId: uuid,
    partitions: array(int32),
    assignmentEpochs: tagged(0, 0, nullable(array(int32)), null),
  }),
);

export const consumerGroupCurrentMemberAssignmentValue = message({
  name: "ConsumerGroupCurrentMemberAssignmentValue",
  versions: [0, 0],
  flexible: 0,
  fields: {
    memberEpoch: int32,
    previousMemberEpoch: int32,
    state: int8,
    assignedPartitions: heldPartitions,
    partitionsPendingRevocation: heldPartitions,
  },
});

export const consumerGroupRegularExpressionValue = message({
  name: "ConsumerGroupRegularExpressionValue",
  versions: [0, 0],
  flexible: 0,
  fields: {
    topics: array(string),
    version: int64,
    timestamp: int64,
  },
});
