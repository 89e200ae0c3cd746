/** Looking at transactions, at the producers of partitions, and ending a transaction that hangs. */
import type { RE2JS } from "re2js";
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { Slices } from "../../base/async.ts";
import { compilePattern } from "../../base/patterns.ts";
import type { TransactionCoordinator } from "../../coordinator/transaction-coordinator.ts";
import type { MarkerOutcome, WriteMarker } from "../../coordinator/transaction-markers.ts";
import type { Transaction, TransactionState } from "../../coordinator/transaction-state.ts";
import type { Log } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, type Handler, isPartition, lookupErrors, partitionOf } from "../handler.ts";
import { fewOfEach } from "../repeated.ts";
import { topicNameProblem } from "../topics/topic-names.ts";

/** As tools show them. */
const stateNames: Readonly<Record<TransactionState, string>> = {
  empty: "Empty",
  ongoing: "Ongoing",
  "prepare-commit": "PrepareCommit",
  "prepare-abort": "PrepareAbort",
  "complete-commit": "CompleteCommit",
  "complete-abort": "CompleteAbort",
  dead: "Dead",
  "prepare-epoch-fence": "PrepareEpochFence",
};
/** Of one turn of the event loop. */
const sliceMsMax = 5;
const knownStates = new Set(Object.values(stateNames));

export function describeProducersHandler(options: {
  readonly log: Log;
  readonly metadata: Pick<MetadataClient, "image">;
}): Handler<RequestOf<"describeProducers">, ResponseInputOf<"describeProducers">> {
  return (request) => {
    const topics = fewOfEach(request.topics, ({ name }) => name).map(({ name, partitionIndexes }) => {
      const topic = options.metadata.image.topicByName(name);
      const partitions = fewOfEach(partitionIndexes, (index) => index).map((partitionIndex) => {
        if (topicNameProblem(name) !== undefined) return noProducers(partitionIndex, "INVALID_TOPIC_EXCEPTION");
        if (topic === undefined) return noProducers(partitionIndex, "UNKNOWN_TOPIC_OR_PARTITION");
        const found = partitionOf(options.log, topic, partitionIndex);
        if (!isPartition(found)) return noProducers(partitionIndex, lookupErrors[found.kind]);
        const activeProducers = found.producers().map(({ transactionStart, ...producer }) => ({
          ...producer,
          currentTxnStartOffset: transactionStart,
        }));
        return { partitionIndex, errorCode: 0, activeProducers };
      });
      return { name, partitions };
    });
    return Promise.resolve({ topics });
  };
}

const producerProblems: { readonly [Error in ErrorName]?: string } = {
  INVALID_TOPIC_EXCEPTION: "A topic cannot have this name.",
  UNKNOWN_TOPIC_OR_PARTITION: "There is no such topic or partition.",
  NOT_LEADER_OR_FOLLOWER: "Another broker leads the partition.",
};

function noProducers(partitionIndex: number, error: ErrorName) {
  return { partitionIndex, errorCode: code(error), errorMessage: producerProblems[error] ?? null, activeProducers: [] };
}

export function describeTransactionsHandler(
  transactions: TransactionCoordinator,
): Handler<RequestOf<"describeTransactions">, ResponseInputOf<"describeTransactions">> {
  return async (request) => ({
    transactionStates: await Promise.all(
      fewOfEach(request.transactionalIds, (id) => id).map(async (transactionalId) => {
        if (transactionalId === "") return { transactionalId, errorCode: code("INVALID_REQUEST") };
        const shard = await transactions.shard(transactionalId);
        if (typeof shard === "string") return { transactionalId, errorCode: code(shard) };
        const found = shard.get(transactionalId);
        if (found === undefined) return { transactionalId, errorCode: code("TRANSACTIONAL_ID_NOT_FOUND") };
        return { transactionalId, errorCode: 0, ...described(found) };
      }),
    ),
  });
}

function described(transaction: Transaction) {
  return {
    transactionState: stateNames[transaction.state],
    transactionTimeoutMs: transaction.timeoutMs,
    transactionStartTimeMs: transaction.startedAt,
    producerId: transaction.producerId,
    producerEpoch: transaction.producerEpoch,
    topics: Array.from(transaction.partitions, ([topic, partitions]) => ({ topic, partitions: [...partitions] })),
  };
}

export function listTransactionsHandler(
  transactions: TransactionCoordinator,
): Handler<RequestOf<"listTransactions">, ResponseInputOf<"listTransactions">> {
  return async (request) => {
    const pattern = compiled(request.transactionalIdPattern);
    if (pattern === "invalid") return { errorCode: code("INVALID_REGULAR_EXPRESSION"), transactionStates: [] };
    const { shards, isComplete } = await transactions.allShards();
    if (!isComplete) return { errorCode: code("COORDINATOR_LOAD_IN_PROGRESS"), transactionStates: [] };
    const unknownStateFilters = request.stateFilters.filter((state) => !knownStates.has(state));
    const states = new Set(request.stateFilters);
    const producerIds = new Set(request.producerIdFilters);
    const startedBefore = transactions.runtime.clock.now() - request.durationFilter;
    const isWanted = ({ state, producerId, startedAt }: Transaction): boolean =>
      (states.size === 0 || states.has(stateNames[state])) &&
      (producerIds.size === 0 || producerIds.has(producerId)) &&
      (request.durationFilter < 0 || (startedAt >= 0 && startedAt < startedBefore));
    const all = shards.flatMap((shard) => [...shard.all()]);
    const wanted = function* (): Generator<void, ListedTransaction[], void> {
      const listed: ListedTransaction[] = [];
      for (const [transactionalId, transaction] of all) {
        const { producerId, state } = transaction;
        if (isWanted(transaction) && (pattern?.matches(transactionalId) ?? true)) {
          listed.push({ transactionalId, producerId, transactionState: stateNames[state] });
        }
        yield;
      }
      return listed;
    };
    const slices = new Slices({ clock: transactions.runtime.clock, sliceMsMax });
    return { errorCode: 0, unknownStateFilters, transactionStates: await slices.run(wanted()) };
  };
}

type ListedTransaction = ResponseInputOf<"listTransactions">["transactionStates"][number];

/** Undefined lets every id through. */
function compiled(pattern: string | null): RE2JS | "invalid" | undefined {
  if (pattern === null || pattern === "") return undefined;
  const compiled = compilePattern(pattern);
  return "problem" in compiled ? "invalid" : compiled;
}

const markerErrors: Readonly<Record<MarkerOutcome, ErrorName>> = {
  written: "NONE",
  "fenced-coordinator": "TRANSACTION_COORDINATOR_FENCED",
  "fenced-producer": "INVALID_PRODUCER_EPOCH",
  missing: "UNKNOWN_TOPIC_OR_PARTITION",
  elsewhere: "NOT_LEADER_OR_FOLLOWER",
  busy: "NOT_ENOUGH_REPLICAS",
};

export function writeTxnMarkersHandler(options: {
  readonly writeMarker: WriteMarker;
  readonly transactions: TransactionCoordinator;
}): Handler<RequestOf<"writeTxnMarkers">, ResponseInputOf<"writeTxnMarkers">> {
  return async (request) => ({
    markers: await Promise.all(
      request.markers.map(async ({ transactionResult, topics, ...ended }) => {
        const { producerId } = ended;
        const outcome = transactionResult ? "commit" : "abort";
        const timestamp = options.transactions.runtime.clock.now();
        const marker = { ...ended, outcome, timestamp } as const;
        const write = async (topic: string, partitionIndex: number) => {
          const written = await options.writeMarker({ topic, partition: partitionIndex }, marker);
          return { partitionIndex, errorCode: code(markerErrors[written]) };
        };
        const results = topics.map(async ({ name, partitionIndexes }) => ({
          name,
          partitions: await Promise.all(partitionIndexes.map((index) => write(name, index))),
        }));
        return { producerId, topics: await Promise.all(results) };
      }),
    ),
  });
}
