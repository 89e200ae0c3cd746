/**
 * Streams groups in __consumer_offsets, as Kafka writes them. One record a fact, as with consumer groups
 * (consumer-group-records.ts).
 *
 *   key    | int16 what it is | group | member |
 *            17 group epoch · 19 member · 20 assignment epoch · 21 target of a member · 22 what a member has now · 23 topology
 *   value  | int16 version = 0 | fields |                            no value: a tombstone
 */
import {
  array,
  int8,
  int16,
  int32,
  int64,
  int64Clamped,
  message,
  nullable,
  string,
  struct,
  tagged,
  uint16,
} from "../../src/base/codec.ts";
import { groupKey, memberKey } from "./consumer-group-records.ts";

export const streamsRecordKeys = {
  group: 17,
  member: 19,
  targetEpoch: 20,
  target: 21,
  current: 22,
  topology: 23,
} as const;

export const streamsGroupMetadataKey = groupKey("StreamsGroupMetadataKey", streamsRecordKeys.group);
export const streamsGroupMemberMetadataKey = memberKey("StreamsGroupMemberMetadataKey", streamsRecordKeys.member);
export const streamsGroupTargetAssignmentMetadataKey = groupKey(
  "StreamsGroupTargetAssignmentMetadataKey",
  streamsRecordKeys.targetEpoch,
);
export const streamsGroupTargetAssignmentMemberKey = memberKey(
  "StreamsGroupTargetAssignmentMemberKey",
  streamsRecordKeys.target,
);
export const streamsGroupCurrentMemberAssignmentKey = memberKey(
  "StreamsGroupCurrentMemberAssignmentKey",
  streamsRecordKeys.current,
);
export const streamsGroupTopologyKey = groupKey("StreamsGroupTopologyKey", streamsRecordKeys.topology);

const keyValue = struct({ key: string, value: string });

export const streamsGroupMetadataValue = message({
  name: "StreamsGroupMetadataValue",
  versions: [0, 0],
  flexible: 0,
  fields: {
    epoch: int32,
    /** Any 64 bits in Kafka's hand. Clamping them costs no more than one rebalance. */
    metadataHash: int64Clamped,
    validatedTopologyEpoch: tagged(0, 0, int32, -1),
    lastAssignmentConfigs: tagged(1, 0, nullable(array(keyValue)), null),
  },
});

export const streamsGroupMemberMetadataValue = message({
  name: "StreamsGroupMemberMetadataValue",
  versions: [0, 0],
  flexible: 0,
  fields: {
    instanceId: nullable(string),
    rackId: nullable(string),
    clientId: string,
    clientHost: string,
    rebalanceTimeoutMs: int32,
    topologyEpoch: int32,
    processId: string,
    userEndpoint: nullable(struct({ host: string, port: uint16 })),
    clientTags: array(keyValue),
  },
});

export const streamsGroupTargetAssignmentMetadataValue = message({
  name: "StreamsGroupTargetAssignmentMetadataValue",
  versions: [0, 0],
  flexible: 0,
  fields: {
    assignmentEpoch: int32,
    assignmentTimestamp: tagged(0, 0, int64, 0),
  },
});

const taskIds = array(struct({ subtopologyId: string, partitions: array(int32) }));

export const streamsGroupTargetAssignmentMemberValue = message({
  name: "StreamsGroupTargetAssignmentMemberValue",
  versions: [0, 0],
  flexible: 0,
  fields: { activeTasks: taskIds, standbyTasks: taskIds, warmupTasks: taskIds },
});

/** The epoch in which each active task was assigned, in the order of `partitions`; null of other tasks. */
const heldTasks = array(
  struct({
    subtopologyId: string,
    partitions: array(int32),
    assignmentEpochs: tagged(0, 0, nullable(array(int32)), null),
  }),
);

export const streamsGroupCurrentMemberAssignmentValue = message({
  name: "StreamsGroupCurrentMemberAssignmentValue",
  versions: [0, 0],
  flexible: 0,
  fields: {
    memberEpoch: int32,
    previousMemberEpoch: int32,
    state: int8,
    activeTasks: heldTasks,
    standbyTasks: heldTasks,
    warmupTasks: heldTasks,
    activeTasksPendingRevocation: heldTasks,
    standbyTasksPendingRevocation: heldTasks,
    warmupTasksPendingRevocation: heldTasks,
  },
});

const topicInfo = struct({
  name: string,
  partitions: int32,
  replicationFactor: int16,
  topicConfigs: array(keyValue),
});

export const streamsGroupTopologyValue = message({
  name: "StreamsGroupTopologyValue",
  versions: [0, 0],
  flexible: 0,
  fields: {
    epoch: int32,
    subtopologies: array(
      struct({
        subtopologyId: string,
        sourceTopics: array(string),
        sourceTopicRegex: array(string),
        stateChangelogTopics: array(topicInfo),
        repartitionSinkTopics: array(string),
        repartitionSourceTopics: array(topicInfo),
        copartitionGroups: array(
          struct({
            sourceTopics: array(int16),
            sourceTopicRegex: array(int16),
            repartitionSourceTopics: array(int16),
          }),
        ),
      }),
    ),
  },
});
