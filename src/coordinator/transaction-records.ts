/** Transactions as records of __transaction_state (schemas/kafka/transactions-topic.ts): the only place that knows both sides. */
import { transactionLogKey, transactionLogValue, transactionStatus } from "../../schemas/kafka/transactions-topic.ts";
import { CorruptData } from "../base/errors.ts";
import type { StateRecord } from "../log/state-log.ts";
import { decodeVersioned, encodeVersioned } from "../protocol/versioned.ts";
import type { Transaction, TransactionState } from "./transaction-state.ts";

/** With tags, since Kafka 4.0. */
const valueVersion = 1;
const stateByStatus = new Map(
  (Object.keys(transactionStatus) as TransactionState[]).map((state) => [transactionStatus[state], state]),
) as ReadonlyMap<number, TransactionState>;

export function transactionRecord(transactionalId: string, transaction: Transaction): StateRecord {
  const isOpen = transaction.partitions.size > 0;
  return {
    key: transactionKey(transactionalId),
    value: encodeVersioned(transactionLogValue, valueVersion, {
      producerId: transaction.producerId,
      previousProducerId: transaction.previousProducerId,
      nextProducerId: transaction.nextProducerId,
      producerEpoch: transaction.producerEpoch,
      transactionTimeoutMs: transaction.timeoutMs,
      transactionStatus: transactionStatus[transaction.state],
      transactionPartitions: isOpen
        ? Array.from(transaction.partitions, ([topic, partitions]) => ({ topic, partitionIds: [...partitions] }))
        : null,
      transactionLastUpdateTimestampMs: transaction.updatedAt,
      transactionStartTimestampMs: transaction.startedAt,
      clientTransactionVersion: transaction.clientVersion,
    }),
  };
}

export function transactionTombstone(transactionalId: string): StateRecord {
  return { key: transactionKey(transactionalId), value: null };
}

/** Throws CorruptData. The epoch before the last is not stored: after a reload it is unknown, as in Kafka. */
export function decodeTransactionRecord(
  key: Uint8Array,
  value: Uint8Array | null,
): { readonly transactionalId: string; readonly transaction: Transaction | null } {
  const { transactionalId } = decodeVersioned(transactionLogKey, key);
  if (value === null) return { transactionalId, transaction: null };
  const stored = decodeVersioned(transactionLogValue, value, "newer-appends");
  const state = stateByStatus.get(stored.transactionStatus);
  if (state === undefined) {
    throw new CorruptData({
      source: "TransactionLogValue",
      position: 0,
      expected: "a status of a transaction",
      found: String(stored.transactionStatus),
    });
  }
  return {
    transactionalId,
    transaction: {
      producerId: stored.producerId,
      producerEpoch: stored.producerEpoch,
      lastProducerEpoch: -1,
      previousProducerId: stored.previousProducerId,
      nextProducerId: stored.nextProducerId,
      timeoutMs: stored.transactionTimeoutMs,
      state,
      partitions: new Map((stored.transactionPartitions ?? []).map((at) => [at.topic, new Set(at.partitionIds)])),
      startedAt: stored.transactionStartTimestampMs,
      updatedAt: stored.transactionLastUpdateTimestampMs,
      clientVersion: stored.clientTransactionVersion,
    },
  };
}

function transactionKey(transactionalId: string): Uint8Array {
  return encodeVersioned(transactionLogKey, 0, { transactionalId });
}
