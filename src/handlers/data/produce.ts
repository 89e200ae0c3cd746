/**
 * Produce. Checks in Kafka's order: transactional id, topic, partition, acks, then the log's own (src/log/batch-check.ts).
 * Acks 1 and -1 are the same here: a batch is acknowledged when it is durable. `min.insync.replicas` has no meaning where the
 * copies are the object store's.
 */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { Deadlines } from "../../base/deadlines.ts";
import { OperationFailed } from "../../base/errors.ts";
import type { Clock } from "../../base/runtime.ts";
import type { ProducerIdentity } from "../../coordinator/transaction-state.ts";
import type { AppendOutcome, Log } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Topic } from "../../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import type { RequestContext } from "../../protocol/dispatch.ts";
import { BatchView, batchHeaderBytes, isTransactionalBatch } from "../../protocol/record-batch.ts";
import {
  appendErrors,
  code,
  endpointsOf,
  type Handler,
  internalTopics,
  isPartition,
  type LeaderHint,
  leaderHint,
  lookupErrors,
  partitionOf,
  topicOf,
} from "../handler.ts";
import type { TransactionGate } from "../transactions/transaction-gate.ts";

type Request = RequestOf<"produce">;
type Response = ResponseInputOf<"produce">;
type TopicData = Request["topicData"][number];
type PartitionData = TopicData["partitionData"][number];
type PartitionResponse = Response["responses"][number]["partitionResponses"][number];

export interface ProduceOptions {
  readonly log: Log;
  readonly metadata: Pick<MetadataClient, "image">;
  readonly clock: Clock;
  /** The pause that producers are asked for now, because the storage is filling up. */
  readonly throttleMs: () => number;
  readonly transactions: TransactionGate;
}

/** Since KIP-951. */
const leaderHintVersionMin = 10;
const topicIdVersionMin = 13;
/** KIP-890: from here on a batch brings its partition into the transaction; before, the producer has added it. */
const addsPartitionsSince = 12;
/** Older producers do not know that error. */
const abortableSince = 11;
/** What Kafka's admin tools call themselves; it alone may write to internal topics. */
const adminClientId = "__admin_client";

export function produceHandler(options: ProduceOptions): Handler<Request, Response> {
  const deadlines = new Deadlines(options.clock);
  return async (request, context) => {
    const refusal = refusalOfAll(request);
    const hints: LeaderHint[] = [];
    const asked = { request, context, refusal, hints };
    const topics = request.topicData.map((topic) => ({
      name: topic.name,
      topicId: topic.topicId,
      waiting: produceTopic(options, topic, asked),
    }));
    const pending: Promise<void>[] = [];
    for (const { waiting } of topics) for (const { done } of waiting) pending.push(done);
    const all = Promise.all(pending);
    if (request.acks === 0) await all;
    else await within(deadlines, request.timeoutMs, all);
    const responses = topics.map(({ name, topicId, waiting }) => ({
      name,
      topicId,
      // What was not assigned by now never will be; what was may still become durable, as this error says.
      partitionResponses: waiting.map(({ index, answer: found }) => found ?? failed(index, "REQUEST_TIMED_OUT")),
    }));
    if (request.acks !== 0) {
      const nodeEndpoints = hints.length === 0 ? [] : endpointsOf(options.metadata.image, hints);
      return { responses, nodeEndpoints, throttleTimeMs: options.throttleMs() };
    }
    // Nobody reads an answer: closing the connection is the only way to tell of an error.
    const hasError = responses.some((topic) => topic.partitionResponses.some((each) => each.errorCode !== 0));
    return hasError ? "close" : "no-response";
  };
}

/** Nothing up to eight tenths; from there on a pause that grows to the longest. */
export function throttleMs(fullness: number, throttleMsMax: number): number {
  return Math.round(throttleMsMax * Math.min(1, Math.max(0, (fullness - throttledFrom) / (1 - throttledFrom))));
}

/** Of what admission allows. Below it, an upload that is a little late is nobody's concern. */
const throttledFrom = 0.8;

/** Transactional records need a transactional id, whatever partition they go to. */
function refusalOfAll(request: Request): ErrorName | undefined {
  if (request.transactionalId !== null) return undefined;
  const hasTransactional = request.topicData.some((topic) =>
    topic.partitionData.some(
      ({ records }) => records !== null && records.length >= batchHeaderBytes && isTransactionalBatch(records),
    ),
  );
  return hasTransactional ? "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" : undefined;
}

function produceTopic(options: ProduceOptions, data: TopicData, asked: Asked): readonly Waiting[] {
  const { context } = asked;
  const topic = topicOf(options.metadata.image, data, context.apiVersion >= topicIdVersionMin);
  const error = asked.refusal ?? (typeof topic === "string" ? topic : topicRefusal(topic, context));
  return data.partitionData.map((partition) => {
    const answer =
      typeof topic === "string" || error !== undefined
        ? Promise.resolve(failed(partition.index, error ?? "UNKNOWN_SERVER_ERROR"))
        : producePartition(options, topic, partition, asked);
    return waitingFor(partition.index, answer);
  });
}

function topicRefusal(topic: Topic, context: RequestContext): ErrorName | undefined {
  if (internalTopics.has(topic.name) && context.clientId !== adminClientId) return "INVALID_TOPIC_EXCEPTION";
  return undefined;
}

async function producePartition(
  { log, transactions }: ProduceOptions,
  topic: Topic,
  data: PartitionData,
  { request, context, hints }: Asked,
): Promise<PartitionResponse> {
  const partition = partitionOf(log, topic, data.index);
  if (!isPartition(partition)) {
    const hint = context.apiVersion >= leaderHintVersionMin ? leaderHint(partition) : undefined;
    if (hint === undefined) return failed(data.index, lookupErrors[partition.kind]);
    hints.push(hint);
    return { ...failed(data.index, lookupErrors[partition.kind]), currentLeader: hint };
  }
  if (data.records === null) return failed(data.index, "INVALID_RECORD", "the request holds no record batch");
  if (![0, 1, -1].includes(request.acks)) return failed(data.index, "INVALID_REQUIRED_ACKS");
  try {
    const { apiVersion } = context;
    const { transactionalId, timeoutMs: waitMsMax } = request;
    const plain = { origin: "client", apiVersion, waitMsMax } as const;
    const by = transactionalId === null ? undefined : transactionOf(data.records);
    if (transactionalId === null || by === undefined) {
      return answer(data.index, await partition.append(data.records, plain));
    }
    // Its end could not be written: readers of committed records would wait for it for ever.
    if (by.producerId < 0) return failed(data.index, "INVALID_RECORD", "a transactional batch names no producer");
    // Not awaited here: the batch takes its place in the lane before its transaction is looked up.
    const admission = transactions.admit({
      transactionalId,
      by,
      at: { topic: topic.name, partition: data.index },
      how: apiVersion >= addsPartitionsSince ? "add" : "verify",
    });
    const whileOpen = admission.then((pass) => (pass.kind === "open" ? pass.isOpen : () => false));
    const beginsAtZero = apiVersion >= addsPartitionsSince;
    const outcome = await partition.append(data.records, { ...plain, whileOpen, beginsAtZero });
    const pass = outcome.kind === "rejected" && outcome.reason === "invalid-transaction-state" && (await admission);
    if (pass === false || pass.kind === "open") return answer(data.index, outcome);
    const message = `the coordinator of the transaction refused the partition: ${pass.error}`;
    return failed(data.index, produceError(pass.error, apiVersion), message);
  } catch (cause) {
    // The log has reported the cause and the node is stopping; a wrong program is not this handler's to soften.
    if (!(cause instanceof OperationFailed)) throw cause;
    return failed(data.index, "KAFKA_STORAGE_ERROR");
  }
}

/** The producer of a batch that belongs to a transaction. What is no batch at all is the log's to refuse. */
function transactionOf(records: Uint8Array): ProducerIdentity | undefined {
  if (records.length < batchHeaderBytes) return undefined;
  const { isTransactional, producerId, producerEpoch } = new BatchView(records);
  return isTransactional ? { producerId, producerEpoch } : undefined;
}

/** As Kafka says it to producers: retriable is what every version of them repeats without asking for metadata. */
function produceError(error: ErrorName, apiVersion: number): ErrorName {
  if (error === "PRODUCER_FENCED") return "INVALID_PRODUCER_EPOCH";
  if (error === "TRANSACTION_ABORTABLE" && apiVersion < abortableSince) return "INVALID_TXN_STATE";
  return passing.has(error) ? "NOT_ENOUGH_REPLICAS" : error;
}

const passing: ReadonlySet<ErrorName> = new Set([
  "CONCURRENT_TRANSACTIONS",
  "NOT_COORDINATOR",
  "COORDINATOR_NOT_AVAILABLE",
  "COORDINATOR_LOAD_IN_PROGRESS",
]);

/** What all partitions of one request share. */
interface Asked {
  readonly request: Request;
  readonly context: RequestContext;
  readonly refusal: ErrorName | undefined;
  readonly hints: LeaderHint[];
}

/** One partition of a request. */
interface Waiting {
  readonly index: number;
  answer: PartitionResponse | undefined;
  done: Promise<void>;
}

function waitingFor(index: number, answer: Promise<PartitionResponse>): Waiting {
  const waiting: Waiting = { index, answer: undefined, done: Promise.resolve() };
  waiting.done = answer.then((response) => {
    waiting.answer = response;
  });
  return waiting;
}

/** Resolves with the work, or when the time is up. */
function within(deadlines: Deadlines, timeoutMs: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const deadline = deadlines.after(Math.max(0, timeoutMs), resolve);
    work.then(
      () => {
        deadline[Symbol.dispose]();
        resolve();
      },
      (cause: unknown) => {
        deadline[Symbol.dispose]();
        reject(cause);
      },
    );
  });
}

function answer(index: number, outcome: AppendOutcome): PartitionResponse {
  if (outcome.kind === "appended") {
    return {
      index,
      errorCode: 0,
      baseOffset: outcome.baseOffset,
      logAppendTimeMs: outcome.appendTimestamp,
      logStartOffset: outcome.logStart,
    };
  }
  const response = failed(index, appendErrors[outcome.reason], outcome.detail);
  if (outcome.badRecords === undefined) return response;
  const recordErrors = outcome.badRecords.map((bad) => ({ batchIndex: bad.index, batchIndexErrorMessage: bad.detail }));
  return { ...response, recordErrors };
}

function failed(index: number, error: ErrorName, errorMessage: string | null = null): PartitionResponse {
  return { index, errorCode: code(error), baseOffset: -1, errorMessage };
}
