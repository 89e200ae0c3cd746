/** How administrators look at transactions and at the producers of a partition. */
import {
  array,
  int16,
  int32,
  int64,
  int64Clamped,
  message,
  nullable,
  optional,
  since,
  string,
  struct,
} from "../../src/base/codec.ts";

export const describeProducersRequest = message({
  name: "DescribeProducersRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    topics: array(struct({ name: string, partitionIndexes: array(int32) })),
  },
});

export const describeProducersResponse = message({
  name: "DescribeProducersResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            errorCode: int16,
            errorMessage: optional(nullable(string), null),
            activeProducers: array(
              struct({
                producerId: int64,
                producerEpoch: int32,
                lastSequence: int32,
                lastTimestamp: int64,
                coordinatorEpoch: int32,
                currentTxnStartOffset: int64,
              }),
            ),
          }),
        ),
      }),
    ),
  },
});

export const describeTransactionsRequest = message({
  name: "DescribeTransactionsRequest",
  versions: [0, 0],
  flexible: 0,
  fields: {
    transactionalIds: array(string),
  },
});

export const describeTransactionsResponse = message({
  name: "DescribeTransactionsResponse",
  versions: [0, 0],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    transactionStates: array(
      struct({
        errorCode: int16,
        transactionalId: string,
        transactionState: optional(string, ""),
        transactionTimeoutMs: optional(int32, 0),
        transactionStartTimeMs: optional(int64, 0),
        producerId: optional(int64, 0),
        producerEpoch: optional(int16, 0),
        topics: optional(array(struct({ topic: string, partitions: array(int32) })), []),
      }),
    ),
  },
});

/** Empty filters let everything through. */
export const listTransactionsRequest = message({
  name: "ListTransactionsRequest",
  versions: [0, 2],
  flexible: 0,
  fields: {
    stateFilters: array(string),
    producerIdFilters: array(int64Clamped),
    durationFilter: since(1, int64Clamped, -1),
    transactionalIdPattern: since(2, nullable(string), null),
  },
});

export const listTransactionsResponse = message({
  name: "ListTransactionsResponse",
  versions: [0, 2],
  flexible: 0,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    unknownStateFilters: optional(array(string), []),
    transactionStates: array(struct({ transactionalId: string, producerId: int64, transactionState: string })),
  },
});
