/** Where share groups are: read, moved and forgotten by administrators. */
import {
  array,
  int16,
  int32,
  int64,
  message,
  nullable,
  optional,
  since,
  string,
  struct,
  uuid,
} from "../../src/base/codec.ts";

/** Topics null: all of the group. */
export const describeShareGroupOffsetsRequest = message({
  name: "DescribeShareGroupOffsetsRequest",
  versions: [0, 1],
  flexible: 0,
  fields: {
    groups: array(
      struct({
        groupId: string,
        topics: nullable(array(struct({ topicName: string, partitions: array(int32) }))),
      }),
    ),
  },
});

export const describeShareGroupOffsetsResponse = message({
  name: "DescribeShareGroupOffsetsResponse",
  versions: [0, 1],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    groups: array(
      struct({
        groupId: string,
        topics: array(
          struct({
            topicName: string,
            topicId: uuid,
            partitions: array(
              struct({
                partitionIndex: int32,
                startOffset: int64,
                leaderEpoch: int32,
                lag: since(1, int64, -1),
                errorCode: optional(int16, 0),
                errorMessage: optional(nullable(string), null),
              }),
            ),
          }),
        ),
        errorCode: optional(int16, 0),
        errorMessage: optional(nullable(string), null),
      }),
    ),
  },
});

export const alterShareGroupOffsetsRequest = message({
  name: "AlterShareGroupOffsetsRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    groupId: string,
    topics: array(
      struct({
        topicName: string,
        partitions: array(struct({ partitionIndex: int32, startOffset: int64 })),
      }),
    ),
  },
});

export const alterShareGroupOffsetsResponse = message({
  name: "AlterShareGroupOffsetsResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: optional(nullable(string), null),
    responses: array(
      struct({
        topicName: string,
        topicId: uuid,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: optional(int16, 0),
            errorMessage: optional(nullable(string), null),
          }),
        ),
      }),
    ),
  },
});

export const deleteShareGroupOffsetsRequest = message({
  name: "DeleteShareGroupOffsetsRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    groupId: string,
    topics: array(struct({ topicName: string })),
  },
});

export const deleteShareGroupOffsetsResponse = message({
  name: "DeleteShareGroupOffsetsResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    errorMessage: optional(nullable(string), null),
    responses: array(
      struct({
        topicName: string,
        topicId: uuid,
        errorCode: optional(int16, 0),
        errorMessage: optional(nullable(string), null),
      }),
    ),
  },
});
