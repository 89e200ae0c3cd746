/** Fetching records. */
import {
  array,
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
  tagged,
  until,
  uuid,
} from "../../src/base/codec.ts";
import { uuidZero } from "../../src/base/ids.ts";
import { leaderIdAndEpoch, nodeEndpoint, noLeader } from "./leader.ts";

/** Version 13 names topics by id. */
export const fetchRequest = message({
  name: "FetchRequest",
  versions: [4, 18],
  flexible: 12,
  fields: {
    clusterId: tagged(0, 12, nullable(string), null),
    /** At least 0 only between brokers: a client that says so is refused. */
    replicaId: until(14, int32, -1),
    replicaState: tagged(
      1,
      15,
      struct({
        replicaId: optional(int32, -1),
        replicaEpoch: optional(int64Clamped, -1),
      }),
      { replicaId: -1, replicaEpoch: -1 },
    ),
    maxWaitMs: int32,
    minBytes: int32,
    maxBytes: optional(int32, 0x7fff_ffff),
    isolationLevel: optional(int8, 0),
    sessionId: since(7, int32, 0),
    sessionEpoch: since(7, int32, -1),
    topics: array(
      struct({
        topic: until(12, string, ""),
        topicId: since(13, uuid, uuidZero),
        partitions: array(
          struct({
            partition: int32,
            currentLeaderEpoch: since(9, int32, -1),
            fetchOffset: int64Clamped,
            lastFetchedEpoch: since(12, int32, -1),
            logStartOffset: since(5, int64Clamped, -1),
            partitionMaxBytes: int32,
            replicaDirectoryId: tagged(0, 17, uuid, uuidZero),
            highWatermark: tagged(1, 18, int64Clamped, Number.MAX_SAFE_INTEGER),
          }),
        ),
      }),
    ),
    forgottenTopicsData: since(
      7,
      array(
        struct({
          topic: until(12, string, ""),
          topicId: since(13, uuid, uuidZero),
          partitions: array(int32),
        }),
      ),
      [],
    ),
    rackId: since(11, string, ""),
  },
});

export const fetchResponse = message({
  name: "FetchResponse",
  versions: [4, 18],
  flexible: 12,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: since(7, int16, 0),
    sessionId: since(7, int32, 0),
    responses: array(
      struct({
        topic: until(12, string, ""),
        topicId: since(13, uuid, uuidZero),
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            highWatermark: int64,
            lastStableOffset: optional(int64, -1),
            logStartOffset: since(5, int64, -1),
            divergingEpoch: tagged(
              0,
              12,
              struct({
                epoch: optional(int32, -1),
                endOffset: optional(int64, -1),
              }),
              { epoch: -1, endOffset: -1 },
            ),
            currentLeader: tagged(1, 12, leaderIdAndEpoch, noLeader),
            snapshotId: tagged(
              2,
              12,
              struct({
                endOffset: optional(int64, -1),
                epoch: optional(int32, -1),
              }),
              { endOffset: -1, epoch: -1 },
            ),
            /** Null when the request reads uncommitted. */
            abortedTransactions: nullable(
              array(
                struct({
                  producerId: int64,
                  firstOffset: int64,
                }),
              ),
            ),
            preferredReadReplica: since(11, int32, -1),
            records: nullable(recordViews),
          }),
        ),
      }),
    ),
    nodeEndpoints: tagged(0, 16, array(nodeEndpoint), []),
  },
});
