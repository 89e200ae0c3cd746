/** Where replicas are and who leads: the requests that tools send to balance a cluster. */
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
  since,
  string,
  struct,
} from "../../src/base/codec.ts";

export const alterReplicaLogDirsRequest = message({
  name: "AlterReplicaLogDirsRequest",
  versions: [1, 2],
  flexible: 2,
  fields: {
    dirs: array(
      struct({
        path: string,
        topics: array(
          struct({
            name: string,
            partitions: array(int32),
          }),
        ),
      }),
    ),
  },
});

export const alterReplicaLogDirsResponse = message({
  name: "AlterReplicaLogDirsResponse",
  versions: [1, 2],
  flexible: 2,
  fields: {
    throttleTimeMs: optional(int32, 0),
    results: array(
      struct({
        topicName: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
          }),
        ),
      }),
    ),
  },
});

export const describeLogDirsRequest = message({
  name: "DescribeLogDirsRequest",
  versions: [1, 5],
  flexible: 2,
  fields: {
    /** Null asks for all. */
    topics: nullable(
      array(
        struct({
          topic: string,
          partitions: array(int32),
        }),
      ),
    ),
  },
});

export const describeLogDirsResponse = message({
  name: "DescribeLogDirsResponse",
  versions: [1, 5],
  flexible: 2,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: since(3, int16, 0),
    results: array(
      struct({
        errorCode: int16,
        logDir: string,
        topics: array(
          struct({
            name: string,
            partitions: array(
              struct({
                partitionIndex: int32,
                partitionSize: int64,
                offsetLag: int64,
                isFutureKey: boolean,
              }),
            ),
          }),
        ),
        totalBytes: since(4, int64, -1),
        usableBytes: since(4, int64, -1),
        isCordoned: since(5, boolean, false),
      }),
    ),
  },
});

export const electLeadersRequest = message({
  name: "ElectLeadersRequest",
  versions: [0, 2],
  flexible: 2,
  fields: {
    /** 0: the preferred leader; 1: any replica, in sync or not. */
    electionType: since(1, int8, 0),
    /** Null asks for all. */
    topicPartitions: nullable(
      array(
        struct({
          topic: string,
          partitions: array(int32),
        }),
      ),
    ),
    timeoutMs: optional(int32, 60_000),
  },
});

export const electLeadersResponse = message({
  name: "ElectLeadersResponse",
  versions: [0, 2],
  flexible: 2,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: since(1, int16, 0),
    replicaElectionResults: array(
      struct({
        topic: string,
        partitionResult: array(
          struct({
            partitionId: int32,
            errorCode: int16,
            errorMessage: nullable(string),
          }),
        ),
      }),
    ),
  },
});

export const alterPartitionReassignmentsRequest = message({
  name: "AlterPartitionReassignmentsRequest",
  versions: [0, 1],
  flexible: 0,
  fields: {
    timeoutMs: optional(int32, 60_000),
    allowReplicationFactorChange: since(1, boolean, true),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            /** Null takes back a reassignment that is under way. */
            replicas: optional(nullable(array(int32)), null),
          }),
        ),
      }),
    ),
  },
});

export const alterPartitionReassignmentsResponse = message({
  name: "AlterPartitionReassignmentsResponse",
  versions: [0, 1],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    allowReplicationFactorChange: since(1, boolean, true),
    errorCode: int16,
    errorMessage: nullable(string),
    responses: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            errorMessage: nullable(string),
          }),
        ),
      }),
    ),
  },
});

export const listPartitionReassignmentsRequest = message({
  name: "ListPartitionReassignmentsRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    timeoutMs: optional(int32, 60_000),
    /** Null asks for all. */
    topics: optional(
      nullable(
        array(
          struct({
            name: string,
            partitionIndexes: array(int32),
          }),
        ),
      ),
      null,
    ),
  },
});

export const listPartitionReassignmentsResponse = message({
  name: "ListPartitionReassignmentsResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: nullable(string),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            replicas: array(int32),
            addingReplicas: array(int32),
            removingReplicas: array(int32),
          }),
        ),
      }),
    ),
  },
});
