/** The states of share-partitions: made, read, written and removed at their coordinator. Brokers ask each other; anyone may who can. */
import {
  array,
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
  uuid,
} from "../../src/base/codec.ts";
import type { Type } from "../../src/base/codec-shape.ts";

const outcome = { partition: int32, errorCode: optional(int16, 0), errorMessage: optional(nullable(string), null) };

const stateBatch = struct({ firstOffset: int64, lastOffset: int64, deliveryState: int8, deliveryCount: int16 });

function topicsOf<T, I>(partition: Type<T, I>) {
  return array(struct({ topicId: uuid, partitions: array(partition) }));
}

export const initializeShareGroupStateRequest = message({
  name: "InitializeShareGroupStateRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    groupId: string,
    topics: topicsOf(struct({ partition: int32, stateEpoch: int32, startOffset: int64 })),
  },
});

export const initializeShareGroupStateResponse = message({
  name: "InitializeShareGroupStateResponse",
  versions: [0, 0],
  flexible: 0,
  fields: { results: topicsOf(struct(outcome)) },
});

export const readShareGroupStateRequest = message({
  name: "ReadShareGroupStateRequest",
  versions: [0, 0],
  flexible: 0,
  fields: { groupId: string, topics: topicsOf(struct({ partition: int32, leaderEpoch: int32 })) },
});

export const readShareGroupStateResponse = message({
  name: "ReadShareGroupStateResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    results: topicsOf(
      struct({
        ...outcome,
        stateEpoch: optional(int32, 0),
        startOffset: optional(int64, 0),
        stateBatches: optional(array(stateBatch), []),
      }),
    ),
  },
});

export const writeShareGroupStateRequest = message({
  name: "WriteShareGroupStateRequest",
  versions: [0, 1],
  flexible: 0,
  fields: {
    groupId: string,
    topics: topicsOf(
      struct({
        partition: int32,
        stateEpoch: int32,
        leaderEpoch: int32,
        startOffset: int64,
        deliveryCompleteCount: since(1, int32, -1),
        stateBatches: array(stateBatch),
      }),
    ),
  },
});

export const writeShareGroupStateResponse = message({
  name: "WriteShareGroupStateResponse",
  versions: [0, 1],
  flexible: 0,
  fields: { results: topicsOf(struct(outcome)) },
});

export const deleteShareGroupStateRequest = message({
  name: "DeleteShareGroupStateRequest",
  versions: [0, 0],
  flexible: 0,
  fields: { groupId: string, topics: topicsOf(struct({ partition: int32 })) },
});

export const deleteShareGroupStateResponse = message({
  name: "DeleteShareGroupStateResponse",
  versions: [0, 0],
  flexible: 0,
  fields: { results: topicsOf(struct(outcome)) },
});

export const readShareGroupStateSummaryRequest = message({
  name: "ReadShareGroupStateSummaryRequest",
  versions: [0, 1],
  flexible: 0,
  fields: { groupId: string, topics: topicsOf(struct({ partition: int32, leaderEpoch: int32 })) },
});

export const readShareGroupStateSummaryResponse = message({
  name: "ReadShareGroupStateSummaryResponse",
  versions: [0, 1],
  flexible: 0,
  fields: {
    results: topicsOf(
      struct({
        ...outcome,
        stateEpoch: optional(int32, 0),
        leaderEpoch: optional(int32, 0),
        startOffset: optional(int64, 0),
        deliveryCompleteCount: since(1, int32, -1),
      }),
    ),
  },
});
