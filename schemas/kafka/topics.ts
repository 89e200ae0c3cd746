/** Topics: their life, their growth, their beginning. */
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
  nullableSince,
  optional,
  since,
  string,
  struct,
  tagged,
  until,
  uuid,
} from "../../src/base/codec.ts";
import { uuidZero } from "../../src/base/ids.ts";

export const createTopicsRequest = message({
  name: "CreateTopicsRequest",
  versions: [2, 7],
  flexible: 5,
  fields: {
    topics: array(
      struct({
        name: string,
        numPartitions: int32,
        replicationFactor: int16,
        assignments: array(
          struct({
            partitionIndex: int32,
            brokerIds: array(int32),
          }),
        ),
        configs: array(
          struct({
            name: string,
            value: nullable(string),
          }),
        ),
      }),
    ),
    timeoutMs: optional(int32, 60000),
    validateOnly: optional(boolean, false),
  },
});

export const createTopicsResponse = message({
  name: "CreateTopicsResponse",
  versions: [2, 7],
  flexible: 5,
  fields: {
    throttleTimeMs: optional(int32, 0),
    topics: array(
      struct({
        name: string,
        topicId: since(7, uuid, uuidZero),
        errorCode: int16,
        errorMessage: nullable(string),
        topicConfigErrorCode: tagged(0, 5, int16, 0),
        numPartitions: since(5, int32, -1),
        replicationFactor: since(5, int16, -1),
        configs: since(
          5,
          nullable(
            array(
              struct({
                name: string,
                value: nullable(string),
                readOnly: boolean,
                configSource: optional(int8, -1),
                isSensitive: boolean,
              }),
            ),
          ),
          [],
        ),
      }),
    ),
  },
});

export const deleteTopicsRequest = message({
  name: "DeleteTopicsRequest",
  versions: [1, 6],
  flexible: 4,
  fields: {
    topics: since(
      6,
      array(
        struct({
          name: optional(nullable(string), null),
          topicId: uuid,
        }),
      ),
      [],
    ),
    topicNames: until(5, array(string), []),
    timeoutMs: int32,
  },
});

export const deleteTopicsResponse = message({
  name: "DeleteTopicsResponse",
  versions: [1, 6],
  flexible: 4,
  fields: {
    throttleTimeMs: optional(int32, 0),
    responses: array(
      struct({
        name: nullableSince(6, string),
        topicId: since(6, uuid, uuidZero),
        errorCode: int16,
        errorMessage: since(5, nullable(string), null),
      }),
    ),
  },
});

export const createPartitionsRequest = message({
  name: "CreatePartitionsRequest",
  versions: [0, 3],
  flexible: 2,
  fields: {
    topics: array(
      struct({
        name: string,
        count: int32,
        assignments: nullable(
          array(
            struct({
              brokerIds: array(int32),
            }),
          ),
        ),
      }),
    ),
    timeoutMs: int32,
    validateOnly: boolean,
  },
});

export const createPartitionsResponse = message({
  name: "CreatePartitionsResponse",
  versions: [0, 3],
  flexible: 2,
  fields: {
    throttleTimeMs: optional(int32, 0),
    results: array(
      struct({
        name: string,
        errorCode: int16,
        errorMessage: optional(nullable(string), null),
      }),
    ),
  },
});

export const deleteRecordsRequest = message({
  name: "DeleteRecordsRequest",
  versions: [0, 2],
  flexible: 2,
  fields: {
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            /** -1 stands for the high watermark. */
            offset: int64Clamped,
          }),
        ),
      }),
    ),
    timeoutMs: int32,
  },
});

export const deleteRecordsResponse = message({
  name: "DeleteRecordsResponse",
  versions: [0, 2],
  flexible: 2,
  fields: {
    throttleTimeMs: optional(int32, 0),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            lowWatermark: int64,
            errorCode: int16,
          }),
        ),
      }),
    ),
  },
});
