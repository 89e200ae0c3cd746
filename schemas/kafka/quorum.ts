/** The metadata quorum and the features of the cluster. */
import {
  array,
  between,
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
  uint16,
  until,
  uuid,
} from "../../src/base/codec.ts";
import { uuidZero } from "../../src/base/ids.ts";

const replicaState = struct({
  replicaId: int32,
  replicaDirectoryId: since(2, uuid, uuidZero),
  logEndOffset: int64,
  lastFetchTimestamp: since(1, int64, -1),
  lastCaughtUpTimestamp: since(1, int64, -1),
});

const listener = struct({
  name: string,
  host: string,
  port: uint16,
});

export const describeQuorumRequest = message({
  name: "DescribeQuorumRequest",
  versions: [0, 2],
  flexible: 0,
  fields: {
    topics: array(
      struct({
        topicName: string,
        partitions: array(
          struct({
            partitionIndex: int32,
          }),
        ),
      }),
    ),
  },
});

export const describeQuorumResponse = message({
  name: "DescribeQuorumResponse",
  versions: [0, 2],
  flexible: 0,
  fields: {
    errorCode: int16,
    errorMessage: since(2, nullable(string), null),
    topics: array(
      struct({
        topicName: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            errorMessage: since(2, nullable(string), null),
            leaderId: int32,
            leaderEpoch: int32,
            highWatermark: int64,
            currentVoters: array(replicaState),
            observers: array(replicaState),
          }),
        ),
      }),
    ),
    nodes: since(
      2,
      array(
        struct({
          nodeId: int32,
          listeners: array(listener),
        }),
      ),
      [],
    ),
  },
});

export const updateFeaturesRequest = message({
  name: "UpdateFeaturesRequest",
  versions: [0, 2],
  flexible: 0,
  fields: {
    timeoutMs: optional(int32, 60_000),
    featureUpdates: array(
      struct({
        feature: string,
        /** 0 takes the feature away. */
        maxVersionLevel: int16,
        allowDowngrade: until(0, boolean, false),
        /** 1: upgrade; 2: safe downgrade; 3: unsafe downgrade. */
        upgradeType: since(1, int8, 1),
      }),
    ),
    validateOnly: since(1, boolean, false),
  },
});

export const updateFeaturesResponse = message({
  name: "UpdateFeaturesResponse",
  versions: [0, 2],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: nullable(string),
    results: between(
      0,
      1,
      array(
        struct({
          feature: string,
          errorCode: int16,
          errorMessage: nullable(string),
        }),
      ),
      [],
    ),
  },
});

export const addRaftVoterRequest = message({
  name: "AddRaftVoterRequest",
  versions: [0, 1],
  flexible: 0,
  fields: {
    clusterId: nullable(string),
    timeoutMs: int32,
    voterId: int32,
    voterDirectoryId: uuid,
    listeners: array(listener),
    ackWhenCommitted: since(1, boolean, true),
  },
});

export const addRaftVoterResponse = message({
  name: "AddRaftVoterResponse",
  versions: [0, 1],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: nullable(string),
  },
});

export const removeRaftVoterRequest = message({
  name: "RemoveRaftVoterRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    clusterId: nullable(string),
    voterId: int32,
    voterDirectoryId: uuid,
  },
});

export const removeRaftVoterResponse = message({
  name: "RemoveRaftVoterResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: nullable(string),
  },
});
