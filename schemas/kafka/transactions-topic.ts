/**
 * Records of __transaction_state, as Kafka writes them.
 *
 *   key    | int16 0 | transactional id |
 *   value  | int16 version | fields |          no value: a tombstone, the id is forgotten
 */
import { array, int8, int16, int32, int64, message, nullable, string, struct, tagged } from "../../src/base/codec.ts";

export const transactionLogKey = message({
  name: "TransactionLogKey",
  versions: [0, 0],
  flexible: undefined,
  fields: {
    transactionalId: string,
  },
});

/** Partitions are null while no transaction is open. Ids and timestamps are -1 where there is none. */
export const transactionLogValue = message({
  name: "TransactionLogValue",
  versions: [0, 1],
  flexible: 1,
  fields: {
    producerId: int64,
    previousProducerId: tagged(0, 1, int64, -1),
    nextProducerId: tagged(1, 1, int64, -1),
    producerEpoch: int16,
    transactionTimeoutMs: int32,
    transactionStatus: int8,
    transactionPartitions: nullable(array(struct({ topic: string, partitionIds: array(int32) }))),
    transactionLastUpdateTimestampMs: int64,
    transactionStartTimestampMs: int64,
    clientTransactionVersion: tagged(2, 1, int16, 0),
  },
});

/** Numbers of the states, as they are stored. */
export const transactionStatus = {
  empty: 0,
  ongoing: 1,
  "prepare-commit": 2,
  "prepare-abort": 3,
  "complete-commit": 4,
  "complete-abort": 5,
  dead: 6,
  "prepare-epoch-fence": 7,
} as const;
