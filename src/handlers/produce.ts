/**
 * Produce. Checks in Kafka's order: transactional id, topic, partition, acks, then the log's own (src/log/batch-check.ts).
 * Acks 1 and -1 are the same here: a batch is acknowledged when it is durable. `min.insync.replicas` has no meaning where the
 * copies are the object store's.
 */
import type { ErrorName } from "../../schemas/kafka/errors.ts";
import { OperationFailed } from "../base/errors.ts";
import type { AppendOutcome, Log } from "../log/log.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { Topic } from "../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../protocol/api-table.ts";
import type { RequestContext } from "../protocol/dispatch.ts";
import { BatchView, batchHeaderBytes } from "../protocol/record-batch.ts";
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
} from "./handler.ts";

type Request = RequestOf<"produce">;
type Response = ResponseInputOf<"produce">;
type TopicData = Request["topicData"][number];
type PartitionData = TopicData["partitionData"][number];
type PartitionResponse = Response["responses"][number]["partitionResponses"][number];

export interface ProduceOptions {
  readonly log: Log;
  readonly metadata: Pick<MetadataClient, "image">;
}

/** Since KIP-951. */
const leaderHintVersionMin = 10;
/** What Kafka's admin tools call themselves; it alone may write to internal topics. */
const adminClientId = "__admin_client";

export function produceHandler(options: ProduceOptions): Handler<Request, Response> {
  return async (request, context) => {
    const refusal = refusalOfAll(request);
    const hints: LeaderHint[] = [];
    const responses = await Promise.all(
      request.topicData.map(async (topic) => ({
        name: topic.name,
        topicId: topic.topicId,
        partitionResponses: await produceTopic(options, request, topic, context, refusal, hints),
      })),
    );
    if (request.acks !== 0) {
      const nodeEndpoints = hints.length === 0 ? [] : endpointsOf(options.metadata.image, hints);
      return { responses, nodeEndpoints };
    }
    // Nobody reads an answer: closing the connection is the only way to tell of an error.
    const hasError = responses.some((topic) => topic.partitionResponses.some((each) => each.errorCode !== 0));
    return hasError ? "close" : "no-response";
  };
}

/** Transactional records need a transactional id, whatever partition they go to. */
function refusalOfAll(request: Request): ErrorName | undefined {
  if (request.transactionalId !== null) return undefined;
  const hasTransactional = request.topicData.some((topic) =>
    topic.partitionData.some(
      ({ records }) => records !== null && records.length >= batchHeaderBytes && new BatchView(records).isTransactional,
    ),
  );
  return hasTransactional ? "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" : undefined;
}

function produceTopic(
  options: ProduceOptions,
  request: Request,
  data: TopicData,
  context: RequestContext,
  refusal: ErrorName | undefined,
  hints: LeaderHint[],
): Promise<readonly PartitionResponse[]> {
  const topic = topicOf(options.metadata.image, data);
  const error = refusal ?? (typeof topic === "string" ? topic : topicRefusal(topic, request, context));
  if (typeof topic === "string" || error !== undefined) {
    return Promise.resolve(data.partitionData.map(({ index }) => failed(index, error ?? "UNKNOWN_SERVER_ERROR")));
  }
  return Promise.all(
    data.partitionData.map((partition) => producePartition(options.log, topic, partition, context, hints)),
  );
}

function topicRefusal(topic: Topic, request: Request, context: RequestContext): ErrorName | undefined {
  if (request.acks !== 0 && request.acks !== 1 && request.acks !== -1) return "INVALID_REQUIRED_ACKS";
  if (internalTopics.has(topic.name) && context.clientId !== adminClientId) return "INVALID_TOPIC_EXCEPTION";
  return undefined;
}

async function producePartition(
  log: Log,
  topic: Topic,
  data: PartitionData,
  context: RequestContext,
  hints: LeaderHint[],
): Promise<PartitionResponse> {
  if (data.records === null) return failed(data.index, "INVALID_RECORD", "the request holds no record batch");
  const partition = partitionOf(log, topic, data.index);
  if (!isPartition(partition)) {
    const hint = context.apiVersion >= leaderHintVersionMin ? leaderHint(partition) : undefined;
    if (hint === undefined) return failed(data.index, lookupErrors[partition.kind]);
    hints.push(hint);
    return { ...failed(data.index, lookupErrors[partition.kind]), currentLeader: hint };
  }
  try {
    const outcome = await partition.append(data.records, { origin: "client", apiVersion: context.apiVersion });
    return answer(data.index, outcome);
  } catch (cause) {
    // The log has reported the cause and the node is stopping; a wrong program is not this handler's to soften.
    if (!(cause instanceof OperationFailed)) throw cause;
    return failed(data.index, "KAFKA_STORAGE_ERROR");
  }
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
