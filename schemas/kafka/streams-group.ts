/** The streams group protocol (KIP-1071): one heartbeat carries joining, leaving, the topology and tasks; and groups seen from outside. */
import {
  array,
  boolean,
  int8,
  int16,
  int32,
  int64,
  message,
  nullable,
  optional,
  string,
  struct,
  uint16,
} from "../../src/base/codec.ts";

const keyValue = struct({ key: string, value: string });
const endpoint = struct({ host: string, port: uint16 });
const taskIds = struct({ subtopologyId: string, partitions: array(int32) });
const taskOffset = struct({ subtopologyId: string, partition: int32, offset: int64 });

/** Partitions 0: the broker decides. Replication factor 0: the default. */
const topicInfo = struct({
  name: string,
  partitions: int32,
  replicationFactor: int16,
  topicConfigs: array(keyValue),
});

/** The members of a copartition group are indexes into the lists of the subtopology. */
const requestedTopology = struct({
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
});

/** Null, and -1 for the timeout, mean: as in the last heartbeat. */
export const streamsGroupHeartbeatRequest = message({
  name: "StreamsGroupHeartbeatRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    groupId: string,
    memberId: string,
    /** 0 joins, -1 leaves, -2 leaves and promises that the instance comes back. */
    memberEpoch: int32,
    endpointInformationEpoch: optional(int32, 0),
    instanceId: optional(nullable(string), null),
    rackId: optional(nullable(string), null),
    rebalanceTimeoutMs: optional(int32, -1),
    topology: optional(nullable(requestedTopology), null),
    activeTasks: optional(nullable(array(taskIds)), null),
    standbyTasks: optional(nullable(array(taskIds)), null),
    warmupTasks: optional(nullable(array(taskIds)), null),
    processId: optional(nullable(string), null),
    userEndpoint: optional(nullable(endpoint), null),
    clientTags: optional(nullable(array(keyValue)), null),
    taskOffsets: optional(nullable(array(taskOffset)), null),
    taskEndOffsets: optional(nullable(array(taskOffset)), null),
    shutdownApplication: optional(boolean, false),
  },
});

const partitionsOfTopic = struct({ topic: string, partitions: array(int32) });

export const streamsGroupHeartbeatResponse = message({
  name: "StreamsGroupHeartbeatResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: optional(nullable(string), null),
    memberId: optional(string, ""),
    memberEpoch: optional(int32, 0),
    heartbeatIntervalMs: optional(int32, 0),
    acceptableRecoveryLag: optional(int32, 0),
    taskOffsetIntervalMs: optional(int32, 0),
    status: optional(nullable(array(struct({ statusCode: int8, statusDetail: string }))), []),
    activeTasks: optional(nullable(array(taskIds)), null),
    standbyTasks: optional(nullable(array(taskIds)), null),
    warmupTasks: optional(nullable(array(taskIds)), null),
    endpointInformationEpoch: optional(int32, 0),
    partitionsByUserEndpoint: optional(
      nullable(
        array(
          struct({
            userEndpoint: endpoint,
            activePartitions: array(partitionsOfTopic),
            standbyPartitions: array(partitionsOfTopic),
          }),
        ),
      ),
      null,
    ),
  },
});

export const streamsGroupDescribeRequest = message({
  name: "StreamsGroupDescribeRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    groupIds: array(string),
    includeAuthorizedOperations: optional(boolean, false),
  },
});

const describedAssignment = struct({
  activeTasks: array(taskIds),
  standbyTasks: array(taskIds),
  warmupTasks: array(taskIds),
});

export const streamsGroupDescribeResponse = message({
  name: "StreamsGroupDescribeResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    groups: array(
      struct({
        errorCode: int16,
        errorMessage: optional(nullable(string), null),
        groupId: string,
        groupState: string,
        groupEpoch: int32,
        assignmentEpoch: int32,
        topology: optional(
          nullable(
            struct({
              epoch: int32,
              subtopologies: nullable(
                array(
                  struct({
                    subtopologyId: string,
                    sourceTopics: array(string),
                    repartitionSinkTopics: array(string),
                    stateChangelogTopics: array(topicInfo),
                    repartitionSourceTopics: array(topicInfo),
                  }),
                ),
              ),
            }),
          ),
          null,
        ),
        members: array(
          struct({
            memberId: string,
            memberEpoch: int32,
            instanceId: optional(nullable(string), null),
            rackId: optional(nullable(string), null),
            clientId: string,
            clientHost: string,
            topologyEpoch: int32,
            processId: string,
            userEndpoint: optional(nullable(endpoint), null),
            clientTags: array(keyValue),
            taskOffsets: optional(array(taskOffset), []),
            taskEndOffsets: optional(array(taskOffset), []),
            assignment: describedAssignment,
            targetAssignment: describedAssignment,
            isClassic: optional(boolean, false),
          }),
        ),
        authorizedOperations: optional(int32, -2147483648),
      }),
    ),
  },
});
