/** Committed offsets of groups. */
import {
  array,
  between,
  boolean,
  int16,
  int32,
  int64,
  int64Clamped,
  message,
  nullable,
  nullableSince,
  optional,
  since,
  string,
  struct,
  until,
  uuid,
} from "../../src/base/codec.ts";
import { uuidZero } from "../../src/base/ids.ts";

export const offsetCommitRequest = message({
  name: "OffsetCommitRequest",
  versions: [2, 10],
  flexible: 8,
  fields: {
    groupId: string,
    generationIdOrMemberEpoch: optional(int32, -1),
    memberId: string,
    groupInstanceId: since(7, nullable(string), null),
    retentionTimeMs: until(4, int64Clamped, -1),
    topics: array(
      struct({
        name: until(9, string, ""),
        topicId: since(10, uuid, uuidZero),
        partitions: array(
          struct({
            partitionIndex: int32,
            committedOffset: int64Clamped,
            committedLeaderEpoch: since(6, int32, -1),
            committedMetadata: nullable(string),
          }),
        ),
      }),
    ),
  },
});

export const offsetCommitResponse = message({
  name: "OffsetCommitResponse",
  versions: [2, 10],
  flexible: 8,
  fields: {
    throttleTimeMs: since(3, int32, 0),
    topics: array(
      struct({
        name: until(9, string, ""),
        topicId: since(10, uuid, uuidZero),
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

export const offsetFetchRequest = message({
  name: "OffsetFetchRequest",
  versions: [1, 10],
  flexible: 6,
  fields: {
    groupId: until(7, string, ""),
    topics: until(
      7,
      nullableSince(
        2,
        array(
          struct({
            name: string,
            partitionIndexes: array(int32),
          }),
        ),
      ),
      [],
    ),
    groups: since(
      8,
      array(
        struct({
          groupId: string,
          memberId: since(9, nullable(string), null),
          memberEpoch: since(9, int32, -1),
          topics: nullable(
            array(
              struct({
                name: until(9, string, ""),
                topicId: since(10, uuid, uuidZero),
                partitionIndexes: array(int32),
              }),
            ),
          ),
        }),
      ),
      [],
    ),
    requireStable: since(7, boolean, false),
  },
});

export const offsetFetchResponse = message({
  name: "OffsetFetchResponse",
  versions: [1, 10],
  flexible: 6,
  fields: {
    throttleTimeMs: since(3, int32, 0),
    topics: until(
      7,
      array(
        struct({
          name: string,
          partitions: array(
            struct({
              partitionIndex: int32,
              committedOffset: int64,
              committedLeaderEpoch: since(5, int32, -1),
              metadata: nullable(string),
              errorCode: int16,
            }),
          ),
        }),
      ),
      [],
    ),
    errorCode: between(2, 7, int16, 0),
    groups: since(
      8,
      array(
        struct({
          groupId: string,
          topics: array(
            struct({
              name: until(9, string, ""),
              topicId: since(10, uuid, uuidZero),
              partitions: array(
                struct({
                  partitionIndex: int32,
                  committedOffset: int64,
                  committedLeaderEpoch: optional(int32, -1),
                  metadata: nullable(string),
                  errorCode: int16,
                }),
              ),
            }),
          ),
          errorCode: optional(int16, 0),
        }),
      ),
      [],
    ),
  },
});

export const offsetDeleteRequest = message({
  name: "OffsetDeleteRequest",
  versions: [0, 0],
  flexible: undefined,
  fields: {
    groupId: string,
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
          }),
        ),
      }),
    ),
  },
});

export const offsetDeleteResponse = message({
  name: "OffsetDeleteResponse",
  versions: [0, 0],
  flexible: undefined,
  fields: {
    errorCode: int16,
    throttleTimeMs: optional(int32, 0),
    topics: array(
      struct({
        name: string,
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
