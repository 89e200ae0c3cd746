/**
 * Fetch: which partitions (fetch-session.ts), whether there is enough to answer (src/log/fetch-wait.ts), then whole
 * batches in request order up to the limits. Records go to the socket as the views that the log keeps: nothing is copied.
 */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { type Offset, uuidZero } from "../../base/ids.ts";
import type { FetchWait } from "../../log/fetch-wait.ts";
import type { Isolation, Log, Partition } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import type { RequestContext } from "../../protocol/dispatch.ts";
import { once } from "../guard/guard.ts";
import {
  code,
  endpointsOf,
  epochError,
  type Handler,
  isPartition,
  type LeaderHint,
  leaderHint,
  lookupErrors,
  partitionOf,
  topicOf,
} from "../handler.ts";
import { diverges, type FetchAnswer, type Found, readAll } from "./fetch-read.ts";
import {
  type FetchContext,
  type FetchedPartition,
  type FetchSessions,
  mustTell,
  type SessionRefusal,
} from "./fetch-session.ts";

type Request = RequestOf<"fetch">;
type Response = ResponseInputOf<"fetch">;
type TopicResponse = Response["responses"][number];
type PartitionResponse = TopicResponse["partitions"][number];

export interface FetchOptions {
  readonly log: Log;
  readonly metadata: Pick<MetadataClient, "image">;
  readonly sessions: FetchSessions;
  readonly wait: FetchWait;
  readonly limits: FetchLimits;
  /** Asked for each topic of each request: a session goes on when its user may not any more. Without it all may read. */
  readonly mayRead?: (topic: string, context: RequestContext) => boolean;
}

export interface FetchLimits {
  /** Of one response, whatever the client asks for; a first batch may exceed it. */
  readonly fetchBytesMax: number;
}

const topicIdVersionMin = 13;
/** Since KIP-951. */
const leaderHintVersionMin = 16;

const sessionErrors: Readonly<Record<SessionRefusal, ErrorName>> = {
  "session-not-found": "FETCH_SESSION_ID_NOT_FOUND",
  "wrong-session-epoch": "INVALID_FETCH_SESSION_EPOCH",
  "session-topic-ids": "FETCH_SESSION_TOPIC_ID_ERROR",
};

export function fetchHandler(all: FetchOptions): Handler<Request, Response> {
  return async (request, context) => {
    const { mayRead } = all;
    const options = mayRead === undefined ? all : { ...all, mayRead: once((topic) => mayRead(topic, context)) };
    const session = options.sessions.context(sessionRequest(request, context.apiVersion));
    if (session.kind === "refused") return { errorCode: code(sessionErrors[session.reason]), responses: [] };
    const wanted = [...session.partitions];
    const isolation: Isolation = request.isolationLevel === 1 ? "read-committed" : "read-uncommitted";
    await waitForBytes(options, request, context, wanted, isolation);
    if (context.signal.aborted) return "no-response";
    // Looked up again after the wait: ownership may have moved meanwhile.
    const found = wanted.map((each) => findPartition(options, request, context, each));
    const bytesWanted = Math.max(0, Math.min(request.maxBytes, options.limits.fetchBytesMax));
    const answers = await readAll(wanted, found, {
      isolation,
      bytesMax: context.grantAnswer?.(bytesWanted) ?? bytesWanted,
      borrow: context.borrow?.(),
    });
    return response(options, request, context, session, wanted, answers);
  };
}

function findPartition(
  options: FetchOptions,
  request: Request,
  context: RequestContext,
  wanted: FetchedPartition,
): Found {
  // Only a broker says that it is a replica, and no broker fetches from another here.
  const replicaId = context.apiVersion >= 15 ? request.replicaState.replicaId : request.replicaId;
  if (replicaId >= 0) return { error: "TOPIC_AUTHORIZATION_FAILED", hint: undefined };
  const usesIds = context.apiVersion >= topicIdVersionMin;
  const topic = topicOf(options.metadata.image, { name: wanted.topic, topicId: wanted.topicId }, usesIds);
  const name = typeof topic === "string" ? wanted.topic : topic.name;
  // Before whether it exists, which concerns only those who may read it. An id that nobody knows has no name.
  if (name !== "" && options.mayRead?.(name, context) === false) {
    return { error: "TOPIC_AUTHORIZATION_FAILED", hint: undefined };
  }
  if (typeof topic === "string") return { error: topic, hint: undefined };
  const partition = partitionOf(options.log, topic, wanted.partition);
  if (!isPartition(partition)) return { error: lookupErrors[partition.kind], hint: leaderHint(partition) };
  const fenced = epochError(wanted.currentLeaderEpoch, partition);
  return fenced === undefined ? partition : { error: fenced, hint: undefined };
}

/** Of these nothing is waited for, and the others are waited for all the same: they may be wrong for long, and are asked for each time. */
const errorsThatLast: ReadonlySet<ErrorName> = new Set([
  "TOPIC_AUTHORIZATION_FAILED",
  "UNKNOWN_TOPIC_ID",
  "UNKNOWN_TOPIC_OR_PARTITION",
]);

/** As in Kafka: any other error, a bad offset or bytes enough end the wait before it begins. */
async function waitForBytes(
  options: FetchOptions,
  request: Request,
  context: RequestContext,
  wanted: readonly FetchedPartition[],
  isolation: Isolation,
): Promise<void> {
  if (request.minBytes <= 0 || request.maxWaitMs <= 0 || wanted.length === 0) return;
  const positions: { readonly partition: Partition; readonly from: Offset }[] = [];
  for (const each of wanted) {
    const partition = findPartition(options, request, context, each);
    if ("error" in partition && errorsThatLast.has(partition.error)) continue;
    if ("error" in partition || diverges(partition, each)) return;
    positions.push({ partition, from: each.fetchOffset as Offset });
  }
  if (positions.length === 0) return;
  await options.wait.wait({
    positions,
    isolation,
    bytesMin: Math.min(request.minBytes, request.maxBytes, options.limits.fetchBytesMax),
    waitMsMax: request.maxWaitMs,
    signal: context.signal,
  });
}

function sessionRequest(request: Request, version: number): Parameters<FetchSessions["context"]>[0] {
  return {
    sessionId: request.sessionId,
    epoch: request.sessionEpoch,
    usesTopicIds: version >= topicIdVersionMin,
    partitions: request.topics.flatMap(({ topic, topicId, partitions }) =>
      partitions.map((each) => ({
        topicId,
        topic,
        partition: each.partition,
        fetchOffset: each.fetchOffset,
        currentLeaderEpoch: Math.max(-1, each.currentLeaderEpoch), // In a fetch every negative epoch says nothing.
        lastFetchedEpoch: each.lastFetchedEpoch,
        bytesMax: each.partitionMaxBytes,
        toldHighWatermark: -1,
        toldLastStable: -1,
        toldLogStart: -1,
      })),
    ),
    forgotten: request.forgottenTopicsData.flatMap(({ topic, topicId, partitions }) =>
      partitions.map((partition) => ({ topicId, topic, partition })),
    ),
  };
}

function response(
  options: FetchOptions,
  request: Request,
  context: RequestContext,
  session: Exclude<FetchContext, { kind: "refused" }>,
  wanted: readonly FetchedPartition[],
  answers: readonly FetchAnswer[],
): Response {
  const isCommittedOnly = request.isolationLevel === 1;
  const hintsAllowed = context.apiVersion >= leaderHintVersionMin;
  const hints: LeaderHint[] = [];
  const served: FetchedPartition[] = [];
  const responses: { topic: string; topicId: TopicResponse["topicId"]; partitions: PartitionResponse[] }[] = [];
  for (const [at, answer] of answers.entries()) {
    const partition = wanted[at] as FetchedPartition;
    const isTold = mustTell(partition, {
      ...answer,
      hasError: answer.error !== undefined || answer.diverging !== undefined,
    });
    if (answer.bytes > 0) served.push(partition);
    if (session.kind === "incremental" && !isTold) continue;
    if (answer.hint !== undefined && hintsAllowed) hints.push(answer.hint);
    let last = responses.at(-1);
    if (last === undefined || last.topic !== partition.topic || last.topicId !== partition.topicId) {
      last = { topic: partition.topic, topicId: partition.topicId ?? uuidZero, partitions: [] };
      responses.push(last);
    }
    last.partitions.push(partitionResponse(partition.partition, answer, isCommittedOnly, hintsAllowed));
  }
  if (session.kind === "incremental") session.served(served);
  return {
    sessionId: session.sessionId,
    responses,
    nodeEndpoints: hints.length === 0 ? [] : endpointsOf(options.metadata.image, hints),
  };
}

function partitionResponse(
  partitionIndex: number,
  answer: FetchAnswer,
  isCommittedOnly: boolean,
  hintsAllowed: boolean,
): PartitionResponse {
  return {
    partitionIndex,
    errorCode: code(answer.error),
    highWatermark: answer.highWatermark,
    lastStableOffset: answer.lastStable,
    logStartOffset: answer.logStart,
    abortedTransactions: isCommittedOnly ? answer.aborted : null,
    records: answer.batches,
    ...(answer.diverging === undefined ? {} : { divergingEpoch: answer.diverging }),
    ...(answer.hint === undefined || !hintsAllowed ? {} : { currentLeader: answer.hint }),
  };
}
