/** Records of share groups (KIP-932): given out, and answered. */
import {
  array,
  boolean,
  int8,
  int16,
  int32,
  int64,
  int64Clamped,
  message,
  nullable,
  optional,
  recordViews,
  since,
  string,
  struct,
  uuid,
} from "../../src/base/codec.ts";
import { leaderIdAndEpoch, nodeEndpoint, noLeader } from "./leader.ts";

/** Types: 0 gap, 1 accept, 2 release, 3 reject, 4 renew; one for the whole batch, or one an offset. */
const acknowledgementBatches = array(
  struct({
    firstOffset: int64Clamped,
    lastOffset: int64Clamped,
    acknowledgeTypes: array(int8),
  }),
);

/** Session epoch 0 opens, -1 closes. Acquire mode 0 gives whole batches, 1 counts records. */
export const shareFetchRequest = message({
  name: "ShareFetchRequest",
  versions: [1, 2],
  flexible: 0,
  fields: {
    groupId: optional(nullable(string), null),
    memberId: nullable(string),
    shareSessionEpoch: int32,
    maxWaitMs: int32,
    minBytes: int32,
    maxBytes: optional(int32, 0x7fff_ffff),
    maxRecords: int32,
    batchSize: int32,
    shareAcquireMode: since(2, int8, 0),
    isRenewAck: since(2, boolean, false),
    topics: array(
      struct({
        topicId: uuid,
        partitions: array(struct({ partitionIndex: int32, acknowledgementBatches })),
      }),
    ),
    forgottenTopicsData: array(struct({ topicId: uuid, partitions: array(int32) })),
  },
});

export const shareFetchResponse = message({
  name: "ShareFetchResponse",
  versions: [1, 2],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: optional(nullable(string), null),
    acquisitionLockTimeoutMs: optional(int32, 0),
    responses: array(
      struct({
        topicId: uuid,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: optional(int16, 0),
            errorMessage: optional(nullable(string), null),
            acknowledgeErrorCode: optional(int16, 0),
            acknowledgeErrorMessage: optional(nullable(string), null),
            currentLeader: optional(leaderIdAndEpoch, noLeader),
            records: recordViews,
            acquiredRecords: array(struct({ firstOffset: int64, lastOffset: int64, deliveryCount: int16 })),
          }),
        ),
      }),
    ),
    nodeEndpoints: optional(array(nodeEndpoint), []),
  },
});

export const shareAcknowledgeRequest = message({
  name: "ShareAcknowledgeRequest",
  versions: [1, 2],
  flexible: 0,
  fields: {
    groupId: optional(nullable(string), null),
    memberId: nullable(string),
    shareSessionEpoch: int32,
    isRenewAck: since(2, boolean, false),
    topics: array(
      struct({
        topicId: uuid,
        partitions: array(struct({ partitionIndex: int32, acknowledgementBatches })),
      }),
    ),
  },
});

export const shareAcknowledgeResponse = message({
  name: "ShareAcknowledgeResponse",
  versions: [1, 2],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: optional(nullable(string), null),
    acquisitionLockTimeoutMs: since(2, int32, 0),
    responses: array(
      struct({
        topicId: uuid,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: optional(int16, 0),
            errorMessage: optional(nullable(string), null),
            currentLeader: optional(leaderIdAndEpoch, noLeader),
          }),
        ),
      }),
    ),
    nodeEndpoints: optional(array(nodeEndpoint), []),
  },
});
