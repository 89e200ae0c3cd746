/** Brokers, topics and who leads what. */
import {
  array,
  between,
  boolean,
  int8,
  int16,
  int32,
  list,
  message,
  nullable,
  nullableSince,
  optional,
  since,
  string,
  struct,
  uuid,
} from "../../src/base/codec.ts";
import { uuidZero } from "../../src/base/ids.ts";

export const metadataRequest = message({
  name: "MetadataRequest",
  versions: [0, 13],
  flexible: 9,
  fields: {
    /** Null asks for all topics; so does an empty list in version 0, which in later ones asks for none. */
    topics: nullableSince(
      1,
      array(
        struct({
          topicId: since(10, uuid, uuidZero),
          name: nullableSince(10, string),
        }),
      ),
    ),
    allowAutoTopicCreation: since(4, boolean, true),
    includeClusterAuthorizedOperations: between(8, 10, boolean, false),
    includeTopicAuthorizedOperations: since(8, boolean, false),
  },
});

export const metadataResponse = message({
  name: "MetadataResponse",
  versions: [0, 13],
  flexible: 9,
  fields: {
    throttleTimeMs: since(3, int32, 0),
    brokers: array(
      struct({
        nodeId: int32,
        host: string,
        port: int32,
        rack: since(1, nullable(string), null),
      }),
    ),
    clusterId: since(2, nullable(string), null),
    controllerId: since(1, int32, -1),
    topics: list(
      struct({
        errorCode: int16,
        name: nullableSince(12, string),
        topicId: since(10, uuid, uuidZero),
        isInternal: since(1, boolean, false),
        partitions: array(
          struct({
            errorCode: int16,
            partitionIndex: int32,
            leaderId: int32,
            leaderEpoch: since(7, int32, -1),
            replicaNodes: array(int32),
            isrNodes: array(int32),
            offlineReplicas: since(5, array(int32), []),
          }),
        ),
        topicAuthorizedOperations: since(8, int32, -2147483648),
      }),
    ),
    clusterAuthorizedOperations: between(8, 10, int32, -2147483648),
    errorCode: since(13, int16, 0),
  },
});

export const describeClusterRequest = message({
  name: "DescribeClusterRequest",
  versions: [0, 2],
  flexible: 0,
  fields: {
    includeClusterAuthorizedOperations: boolean,
    endpointType: since(1, int8, 1),
    includeFencedBrokers: since(2, boolean, false),
  },
});

export const describeClusterResponse = message({
  name: "DescribeClusterResponse",
  versions: [0, 2],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: optional(nullable(string), null),
    endpointType: since(1, int8, 1),
    clusterId: string,
    controllerId: optional(int32, -1),
    brokers: array(
      struct({
        brokerId: int32,
        host: string,
        port: int32,
        rack: optional(nullable(string), null),
        isFenced: since(2, boolean, false),
      }),
    ),
    clusterAuthorizedOperations: optional(int32, -2147483648),
  },
});

export const describeTopicPartitionsRequest = message({
  name: "DescribeTopicPartitionsRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    topics: array(
      struct({
        name: string,
      }),
    ),
    responsePartitionLimit: optional(int32, 2000),
    cursor: optional(
      nullable(
        struct({
          topicName: string,
          partitionIndex: int32,
        }),
      ),
      null,
    ),
  },
});

export const describeTopicPartitionsResponse = message({
  name: "DescribeTopicPartitionsResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    topics: array(
      struct({
        errorCode: int16,
        name: nullable(string),
        topicId: uuid,
        isInternal: optional(boolean, false),
        partitions: array(
          struct({
            errorCode: int16,
            partitionIndex: int32,
            leaderId: int32,
            leaderEpoch: optional(int32, -1),
            replicaNodes: array(int32),
            isrNodes: array(int32),
            eligibleLeaderReplicas: optional(nullable(array(int32)), null),
            lastKnownElr: optional(nullable(array(int32)), null),
            offlineReplicas: array(int32),
          }),
        ),
        topicAuthorizedOperations: optional(int32, -2147483648),
      }),
    ),
    nextCursor: optional(
      nullable(
        struct({
          topicName: string,
          partitionIndex: int32,
        }),
      ),
      null,
    ),
  },
});
