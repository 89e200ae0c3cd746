/**
 * What share groups write down, as Kafka writes it.
 *
 *   __consumer_offsets    key | int16 what: 10 member, 11 group, 12 and 13 target assignment, 14 current assignment, 15 topics | fields |
 *   __share_group_state   key | int16 what: 0 snapshot, 1 update | group, topic id, partition |
 *   values                    | int16 version 0 | fields |         no value: a tombstone
 */
import {
  array,
  int8,
  int16,
  int32,
  int64,
  message,
  nullable,
  string,
  struct,
  tagged,
  uuid,
} from "../../src/base/codec.ts";

const groupFields = { groupId: string };
const memberFields = { groupId: string, memberId: string };

const plain = { flexible: undefined } as const;
const flexible = { versions: [0, 0], flexible: 0 } as const;

const topicPartitions = array(struct({ topicId: uuid, partitions: array(int32) }));

/** The first version a key knows is its kind, so the numbers double as versions. */
export const shareGroupMemberMetadataKey = message({
  name: "ShareGroupMemberMetadataKey",
  versions: [10, 10],
  ...plain,
  fields: memberFields,
});
export const shareGroupMetadataKey = message({
  name: "ShareGroupMetadataKey",
  versions: [11, 11],
  ...plain,
  fields: groupFields,
});
export const shareGroupTargetAssignmentMetadataKey = message({
  name: "ShareGroupTargetAssignmentMetadataKey",
  versions: [12, 12],
  ...plain,
  fields: groupFields,
});
export const shareGroupTargetAssignmentMemberKey = message({
  name: "ShareGroupTargetAssignmentMemberKey",
  versions: [13, 13],
  ...plain,
  fields: memberFields,
});
export const shareGroupCurrentMemberAssignmentKey = message({
  name: "ShareGroupCurrentMemberAssignmentKey",
  versions: [14, 14],
  ...plain,
  fields: memberFields,
});
export const shareGroupStatePartitionMetadataKey = message({
  name: "ShareGroupStatePartitionMetadataKey",
  versions: [15, 15],
  ...plain,
  fields: groupFields,
});

export const shareGroupMemberMetadataValue = message({
  name: "ShareGroupMemberMetadataValue",
  ...flexible,
  fields: {
    rackId: nullable(string),
    clientId: string,
    clientHost: string,
    subscribedTopicNames: array(string),
  },
});

export const shareGroupMetadataValue = message({
  name: "ShareGroupMetadataValue",
  ...flexible,
  fields: { epoch: int32, metadataHash: int64 },
});

export const shareGroupTargetAssignmentMetadataValue = message({
  name: "ShareGroupTargetAssignmentMetadataValue",
  ...flexible,
  fields: { assignmentEpoch: int32, assignmentTimestamp: tagged(0, 0, int64, 0) },
});

export const shareGroupTargetAssignmentMemberValue = message({
  name: "ShareGroupTargetAssignmentMemberValue",
  ...flexible,
  fields: { topicPartitions },
});

export const shareGroupCurrentMemberAssignmentValue = message({
  name: "ShareGroupCurrentMemberAssignmentValue",
  ...flexible,
  fields: { memberEpoch: int32, previousMemberEpoch: int32, state: int8, assignedPartitions: topicPartitions },
});

const topicPartitionsInfo = array(struct({ topicId: uuid, topicName: string, partitions: array(int32) }));

/** The topics whose share-partitions have a state, begin to have one, or lose it. */
export const shareGroupStatePartitionMetadataValue = message({
  name: "ShareGroupStatePartitionMetadataValue",
  ...flexible,
  fields: {
    initializingTopics: topicPartitionsInfo,
    initializedTopics: topicPartitionsInfo,
    deletingTopics: array(struct({ topicId: uuid, topicName: string })),
  },
});

const sharePartitionFields = { groupId: string, topicId: uuid, partition: int32 };

export const shareSnapshotKey = message({
  name: "ShareSnapshotKey",
  versions: [0, 0],
  ...plain,
  fields: sharePartitionFields,
});
export const shareUpdateKey = message({
  name: "ShareUpdateKey",
  versions: [1, 1],
  ...plain,
  fields: sharePartitionFields,
});

/** State: 0 available, 2 acknowledged, 4 archived. */
const stateBatches = array(
  struct({ firstOffset: int64, lastOffset: int64, deliveryState: int8, deliveryCount: int16 }),
);

export const shareSnapshotValue = message({
  name: "ShareSnapshotValue",
  ...flexible,
  fields: {
    snapshotEpoch: int32,
    stateEpoch: int32,
    leaderEpoch: int32,
    startOffset: int64,
    deliveryCompleteCount: tagged(0, 0, int32, -1),
    createTimestamp: int64,
    writeTimestamp: int64,
    stateBatches,
  },
});

/** Start offset -1: as it was. */
export const shareUpdateValue = message({
  name: "ShareUpdateValue",
  ...flexible,
  fields: {
    snapshotEpoch: int32,
    leaderEpoch: int32,
    startOffset: int64,
    deliveryCompleteCount: tagged(0, 0, int32, -1),
    stateBatches,
  },
});
