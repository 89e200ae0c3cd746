/** The transaction coordinator and its handlers, made from one set of options. */
import type { Settings } from "../../../schemas/config.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { GroupCoordinator } from "../../coordinator/group-coordinator.ts";
import { coordinatorPartition } from "../../coordinator/seats.ts";
import { TransactionCoordinator } from "../../coordinator/transaction-coordinator.ts";
import { markerWriter } from "../../coordinator/transaction-markers.ts";
import type { Log } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Handlers } from "../../protocol/dispatch.ts";
import { offsetsTopic, transactionsTopic } from "../topics/internal-topics.ts";
import { initProducerIdHandler, ProducerIds } from "./init-producer-id.ts";
import {
  describeProducersHandler,
  describeTransactionsHandler,
  listTransactionsHandler,
  writeTxnMarkersHandler,
} from "./transaction-admin.ts";
import { type TransactionGate, transactionGate } from "./transaction-gate.ts";
import {
  addOffsetsToTxnHandler,
  addPartitionsToTxnHandler,
  endTxnHandler,
  txnOffsetCommitHandler,
} from "./transactions.ts";

export interface TransactionsDeps {
  readonly settings: Settings;
  readonly metadata: MetadataClient;
  readonly log: Log;
  readonly runtime: Runtime;
  /** Of the groups. */
  readonly coordinator: GroupCoordinator;
  readonly failed: (cause: unknown) => void;
}

export interface Transactions extends AsyncDisposable {
  /** For what producers append. */
  readonly gate: TransactionGate;
  readonly handlers: Pick<Handlers, TransactionApi>;
}

type TransactionApi =
  | "initProducerId"
  | "addPartitionsToTxn"
  | "addOffsetsToTxn"
  | "endTxn"
  | "txnOffsetCommit"
  | "writeTxnMarkers"
  | "describeProducers"
  | "describeTransactions"
  | "listTransactions";

export function openTransactions(deps: TransactionsDeps): Transactions {
  const { settings, metadata, log, coordinator } = deps;
  const ids = new ProducerIds({ metadata, blockSize: settings.producerIdBlockSize });
  const offsets = offsetsTopic(settings.groupOffsetsPartitions);
  const topicId = (name: string) => metadata.image.topicByName(name)?.id;
  const writeMarker = markerWriter({ log, topicId, groups: coordinator, offsetsTopic: offsets.name });
  const transactions = new TransactionCoordinator({ ...coordinatorOptions(deps, ids), writeMarker });
  const gate = transactionGate(transactions);
  const options = {
    transactions,
    gate,
    coordinator,
    metadata,
    offsetsPartition: (groupId: string) => ({
      topic: offsets.name,
      partition: coordinator.partitionOf(groupId) ?? coordinatorPartition(groupId, offsets.partitions),
    }),
  };
  return {
    gate,
    handlers: {
      initProducerId: initProducerIdHandler({ ids, transactions }),
      addPartitionsToTxn: addPartitionsToTxnHandler(options),
      addOffsetsToTxn: addOffsetsToTxnHandler(options),
      endTxn: endTxnHandler(options),
      txnOffsetCommit: txnOffsetCommitHandler(options),
      writeTxnMarkers: writeTxnMarkersHandler({ writeMarker, transactions }),
      describeProducers: describeProducersHandler({ log, metadata }),
      describeTransactions: describeTransactionsHandler(transactions),
      listTransactions: listTransactionsHandler(transactions),
    },
    [Symbol.asyncDispose]: () => transactions[Symbol.asyncDispose](),
  };
}

function coordinatorOptions({ settings, metadata, log, runtime, failed }: TransactionsDeps, ids: ProducerIds) {
  const { name } = transactionsTopic(settings.transactionStatePartitions);
  return {
    log,
    runtime,
    failed,
    topic: () => {
      const topic = metadata.image.topicByName(name);
      return topic === undefined ? undefined : { topicId: topic.id, partitions: topic.partitions.length };
    },
    producerId: () => ids.next(),
    limits: {
      timeoutMsMax: settings.transactionTimeoutMsMax,
      abortCheckIntervalMs: settings.transactionAbortCheckIntervalMs,
      endWaitMs: settings.transactionEndWaitMs,
      idsMax: settings.transactionalIdsMax,
      idRetentionMs: settings.transactionalIdRetentionMs,
      idCheckIntervalMs: settings.transactionalIdCheckIntervalMs,
      loadWaitMs: settings.groupLoadWaitMs,
    },
    stateLog: {
      batchesInFlightMax: settings.stateLogBatchesInFlightMax,
      batchBytesMax: settings.stateLogBatchBytesMax,
      replayBytesMax: settings.stateLogReplayBytesMax,
      inflatedBytesMax: settings.logInflatedBytesMax,
    },
  };
}
