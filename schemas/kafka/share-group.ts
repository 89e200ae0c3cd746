/** Members of share groups (KIP-932), and the groups seen from outside. */
import {
  array,
  boolean,
  int16,
  int32,
  message,
  nullable,
  optional,
  string,
  struct,
  uuid,
} from "../../src/base/codec.ts";

/** Epoch 0 joins, -1 leaves. Null: as in the last heartbeat. */
export const shareGroupHeartbeatRequest = message({
  name: "ShareGroupHeartbeatRequest",
  versions: [1, 1],
  flexible: 0,
  fields: {
    groupId: string,
    memberId: string,
    memberEpoch: int32,
    rackId: optional(nullable(string), null),
    subscribedTopicNames: optional(nullable(array(string)), null),
  },
});

export const shareGroupHeartbeatResponse = message({
  name: "ShareGroupHeartbeatResponse",
  versions: [1, 1],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: optional(nullable(string), null),
    memberId: optional(nullable(string), null),
    memberEpoch: int32,
    heartbeatIntervalMs: int32,
    assignment: optional(
      nullable(struct({ topicPartitions: array(struct({ topicId: uuid, partitions: array(int32) })) })),
      null,
    ),
  },
});

export const shareGroupDescribeRequest = message({
  name: "ShareGroupDescribeRequest",
  versions: [1, 1],
  flexible: 0,
  fields: {
    groupIds: array(string),
    includeAuthorizedOperations: boolean,
  },
});

export const shareGroupDescribeResponse = message({
  name: "ShareGroupDescribeResponse",
  versions: [1, 1],
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
            rackId: optional(nullable(string), null),
            memberEpoch: int32,
            clientId: string,
            clientHost: string,
            subscribedTopicNames: array(string),
            assignment: struct({
              topicPartitions: array(struct({ topicId: uuid, topicName: string, partitions: array(int32) })),
            }),
          }),
        ),
        authorizedOperations: optional(int32, -2147483648),
      }),
    ),
  },
});
