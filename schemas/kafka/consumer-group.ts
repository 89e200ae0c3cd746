/** The consumer group protocol (KIP-848): one heartbeat carries joining, leaving, subscriptions and assignments. */
import {
  array,
  boolean,
  int8,
  int16,
  int32,
  message,
  nullable,
  optional,
  since,
  string,
  struct,
  uuid,
} from "../../src/base/codec.ts";

const partitionsOfTopic = struct({
  topicId: uuid,
  partitions: array(int32),
});

/** Null, and -1 for the timeout, mean: as in the last heartbeat. */
export const consumerGroupHeartbeatRequest = message({
  name: "ConsumerGroupHeartbeatRequest",
  versions: [0, 1],
  flexible: 0,
  fields: {
    groupId: string,
    memberId: string,
    /** 0 joins, -1 leaves, -2 leaves and promises that the instance comes back. */
    memberEpoch: int32,
    instanceId: optional(nullable(string), null),
    rackId: optional(nullable(string), null),
    rebalanceTimeoutMs: optional(int32, -1),
    subscribedTopicNames: optional(nullable(array(string)), null),
    subscribedTopicRegex: since(1, nullable(string), null),
    serverAssignor: optional(nullable(string), null),
    topicPartitions: optional(nullable(array(partitionsOfTopic)), null),
  },
});

export const consumerGroupHeartbeatResponse = message({
  name: "ConsumerGroupHeartbeatResponse",
  versions: [0, 1],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: optional(nullable(string), null),
    memberId: optional(nullable(string), null),
    memberEpoch: int32,
    heartbeatIntervalMs: int32,
    assignment: optional(nullable(struct({ topicPartitions: array(partitionsOfTopic) })), null),
  },
});

export const consumerGroupDescribeRequest = message({
  name: "ConsumerGroupDescribeRequest",
  versions: [0, 1],
  flexible: 0,
  fields: {
    groupIds: array(string),
    includeAuthorizedOperations: optional(boolean, false),
  },
});

const describedAssignment = struct({
  topicPartitions: array(
    struct({
      topicId: uuid,
      topicName: string,
      partitions: array(int32),
    }),
  ),
});

export const consumerGroupDescribeResponse = message({
  name: "ConsumerGroupDescribeResponse",
  versions: [0, 1],
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
        assignorName: string,
        members: array(
          struct({
            memberId: string,
            instanceId: nullable(string),
            rackId: nullable(string),
            memberEpoch: int32,
            clientId: string,
            clientHost: string,
            subscribedTopicNames: array(string),
            subscribedTopicRegex: nullable(string),
            assignment: describedAssignment,
            targetAssignment: describedAssignment,
            /** 0 speaks the classic protocol, 1 this one. */
            memberType: since(1, int8, -1),
          }),
        ),
        authorizedOperations: optional(int32, -2147483648),
      }),
    ),
  },
});
