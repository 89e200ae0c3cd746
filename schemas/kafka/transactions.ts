/** What a transactional producer asks of its coordinator, and what a coordinator asks of the partitions. */
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
  since,
  string,
  struct,
  until,
} from "../../src/base/codec.ts";

const topicPartitions = struct({ name: string, partitions: array(int32) });

const topicResult = struct({
  name: string,
  resultsByPartition: array(struct({ partitionIndex: int32, partitionErrorCode: int16 })),
});

/** Until version 3 clients ask for one transaction, from 4 on brokers for several. */
export const addPartitionsToTxnRequest = message({
  name: "AddPartitionsToTxnRequest",
  versions: [0, 5],
  flexible: 3,
  fields: {
    transactions: since(
      4,
      array(
        struct({
          transactionalId: string,
          producerId: int64Clamped,
          producerEpoch: int16,
          verifyOnly: boolean,
          topics: array(topicPartitions),
        }),
      ),
      [],
    ),
    transactionalId: until(3, string, ""),
    producerId: until(3, int64Clamped, -1),
    producerEpoch: until(3, int16, -1),
    topics: until(3, array(topicPartitions), []),
  },
});

export const addPartitionsToTxnResponse = message({
  name: "AddPartitionsToTxnResponse",
  versions: [0, 5],
  flexible: 3,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: since(4, int16, 0),
    resultsByTransaction: since(4, array(struct({ transactionalId: string, topicResults: array(topicResult) })), []),
    resultsByTopic: until(3, array(topicResult), []),
  },
});

export const addOffsetsToTxnRequest = message({
  name: "AddOffsetsToTxnRequest",
  versions: [0, 4],
  flexible: 3,
  fields: {
    transactionalId: string,
    producerId: int64Clamped,
    producerEpoch: int16,
    groupId: string,
  },
});

export const addOffsetsToTxnResponse = message({
  name: "AddOffsetsToTxnResponse",
  versions: [0, 4],
  flexible: 3,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
  },
});

/** From version 5 on (KIP-890) the answer names the epoch of the next transaction. */
export const endTxnRequest = message({
  name: "EndTxnRequest",
  versions: [0, 5],
  flexible: 3,
  fields: {
    transactionalId: string,
    producerId: int64Clamped,
    producerEpoch: int16,
    committed: boolean,
  },
});

export const endTxnResponse = message({
  name: "EndTxnResponse",
  versions: [0, 5],
  flexible: 3,
  fields: {
    throttleTimeMs: optional(int32, 0),
    errorCode: int16,
    producerId: since(5, int64, -1),
    producerEpoch: since(5, int16, -1),
  },
});

export const txnOffsetCommitRequest = message({
  name: "TxnOffsetCommitRequest",
  versions: [0, 5],
  flexible: 3,
  fields: {
    transactionalId: string,
    groupId: string,
    producerId: int64Clamped,
    producerEpoch: int16,
    generationId: since(3, int32, -1),
    memberId: since(3, string, ""),
    groupInstanceId: since(3, nullable(string), null),
    topics: array(
      struct({
        name: string,
        partitions: array(
          struct({
            partitionIndex: int32,
            committedOffset: int64Clamped,
            committedLeaderEpoch: since(2, int32, -1),
            committedMetadata: nullable(string),
          }),
        ),
      }),
    ),
  },
});

export const txnOffsetCommitResponse = message({
  name: "TxnOffsetCommitResponse",
  versions: [0, 5],
  flexible: 3,
  fields: {
    throttleTimeMs: optional(int32, 0),
    topics: array(
      struct({
        name: string,
        partitions: array(struct({ partitionIndex: int32, errorCode: int16 })),
      }),
    ),
  },
});

/** Also what an administrator ends a hanging transaction with. */
export const writeTxnMarkersRequest = message({
  name: "WriteTxnMarkersRequest",
  versions: [1, 2],
  flexible: 1,
  fields: {
    markers: array(
      struct({
        producerId: int64Clamped,
        producerEpoch: int16,
        transactionResult: boolean,
        topics: array(struct({ name: string, partitionIndexes: array(int32) })),
        coordinatorEpoch: int32,
        transactionVersion: since(2, int8, 0),
      }),
    ),
  },
});

export const writeTxnMarkersResponse = message({
  name: "WriteTxnMarkersResponse",
  versions: [1, 2],
  flexible: 1,
  fields: {
    markers: array(
      struct({
        producerId: int64,
        topics: array(struct({ name: string, partitions: array(struct({ partitionIndex: int32, errorCode: int16 })) })),
      }),
    ),
  },
});
