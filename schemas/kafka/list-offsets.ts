/** Offsets by time, and where an epoch ended. */
import {
  array,
  int8,
  int16,
  int32,
  int64,
  int64Clamped,
  message,
  optional,
  since,
  string,
  struct,
} from "../../src/base/codec.ts";

export const listOffsetsRequest = message({
  name: "ListOffsetsRequest",
  versions: [1, 11],
  flexible: 6,
  fields: {
    replicaId: int32,
    isolationLevel: since(2, int8, 0),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            currentLeaderEpoch: since(4, int32, -1),
            /** Milliseconds, or what to look for: -1 latest, -2 earliest, -3 greatest timestamp, ... */
            timestamp: int64Clamped,
          }),
        ),
      }),
    ),
    timeoutMs: since(10, int32, 0),
  },
});

export const listOffsetsResponse = message({
  name: "ListOffsetsResponse",
  versions: [1, 11],
  flexible: 6,
  fields: {
    throttleTimeMs: since(2, int32, 0),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            timestamp: optional(int64, -1),
            offset: optional(int64, -1),
            leaderEpoch: since(4, int32, -1),
          }),
        ),
      }),
    ),
  },
});

export const offsetForLeaderEpochRequest = message({
  name: "OffsetForLeaderEpochRequest",
  versions: [2, 4],
  flexible: 4,
  fields: {
    replicaId: since(3, int32, -2),
    topics: array(
      struct({
        topic: string,
        partitions: array(
          struct({
            partition: int32,
            currentLeaderEpoch: optional(int32, -1),
            leaderEpoch: int32,
          }),
        ),
      }),
    ),
  },
});

export const offsetForLeaderEpochResponse = message({
  name: "OffsetForLeaderEpochResponse",
  versions: [2, 4],
  flexible: 4,
  fields: {
    throttleTimeMs: optional(int32, 0),
    topics: array(
      struct({
        topic: string,
        partitions: array(
          struct({
            errorCode: int16,
            partition: int32,
            leaderEpoch: optional(int32, -1),
            endOffset: optional(int64, -1),
          }),
        ),
      }),
    ),
  },
});
