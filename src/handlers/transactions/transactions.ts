/** What a transactional producer asks for: partitions and offsets in its transaction, and the end of it. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { uuidZero } from "../../base/ids.ts";
import type { GroupCoordinator } from "../../coordinator/group-coordinator.ts";
import type { CommittedOffset, TopicPartition } from "../../coordinator/group-offsets.ts";
import { GroupShard } from "../../coordinator/group-shard.ts";
import type { TransactionCoordinator } from "../../coordinator/transaction-coordinator.ts";
import type { ProducerIdentity } from "../../coordinator/transaction-state.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Image, Topic } from "../../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { noteProblem } from "../groups/group-offsets.ts";
import { code, type Handler } from "../handler.ts";
import type { TransactionGate } from "./transaction-gate.ts";

export interface TransactionsOptions {
  readonly transactions: TransactionCoordinator;
  readonly gate: TransactionGate;
  readonly coordinator: GroupCoordinator;
  readonly metadata: Pick<MetadataClient, "image">;
  /** Where a group's offsets are, also before the topic exists. */
  readonly offsetsPartition: (groupId: string) => TopicPartition;
}

/** Until this version of each a fenced producer knows one error only. */
const fencedIsNamedSince = 2;
const batchedSince = 4;
/** KIP-890: every end bumps the epoch. */
const bumpsEpochSince = 5;
const addsOffsetsSince = 5;
/** Older producers do not know that error. */
const abortableSince = 4;

type AddRequest = RequestOf<"addPartitionsToTxn">;
type Topics = AddRequest["topics"];

interface AddedTransaction {
  readonly transactionalId: string;
  readonly by: ProducerIdentity;
  readonly isVerifyOnly: boolean;
  readonly topics: Topics;
}

export function addPartitionsToTxnHandler(
  options: TransactionsOptions,
): Handler<AddRequest, ResponseInputOf<"addPartitionsToTxn">> {
  return async (request, { apiVersion }) => {
    if (apiVersion < batchedSince) {
      const { transactionalId, producerId, producerEpoch, topics } = request;
      const by = { producerId, producerEpoch };
      const errors = await addPartitions(options, { transactionalId, by, isVerifyOnly: false, topics });
      return { resultsByTopic: topicResults(topics, (at) => renamed(errors(at), apiVersion)) };
    }
    const resultsByTransaction = await Promise.all(
      request.transactions.map(async ({ transactionalId, producerId, producerEpoch, verifyOnly, topics }) => {
        const by = { producerId, producerEpoch };
        const errors = await addPartitions(options, { transactionalId, by, isVerifyOnly: verifyOnly, topics });
        return { transactionalId, topicResults: topicResults(topics, errors) };
      }),
    );
    return { resultsByTransaction };
  };
}

type ErrorAt = (at: TopicPartition) => ErrorName;

/** All or nothing: with one unknown partition the others are not attempted. */
async function addPartitions(options: TransactionsOptions, asked: AddedTransaction): Promise<ErrorAt> {
  const { transactionalId, by, isVerifyOnly, topics } = asked;
  if (transactionalId === "") return () => "INVALID_REQUEST";
  const { image } = options.metadata;
  const partitions = topics.flatMap(({ name, partitions: indexes }) =>
    indexes.map((partition) => ({ topic: name, partition })),
  );
  const isMissing = (at: TopicPartition): boolean => !hasPartition(image, at);
  if (partitions.some(isMissing)) {
    return (at) => (isMissing(at) ? "UNKNOWN_TOPIC_OR_PARTITION" : "OPERATION_NOT_ATTEMPTED");
  }
  const shard = await options.transactions.shard(transactionalId);
  if (typeof shard === "string") return () => shard;
  if (isVerifyOnly) return (at) => shard.verify(transactionalId, by, at) ?? "NONE";
  const reply = await shard.add(transactionalId, by, partitions);
  const error = reply.kind === "done" ? "NONE" : reply.error;
  return () => error;
}

function hasPartition(image: Image, { topic, partition }: TopicPartition): boolean {
  return partition >= 0 && partition < (image.topicByName(topic)?.partitions.length ?? 0);
}

function topicResults(topics: Topics, errorAt: ErrorAt) {
  return topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map((partition) => ({
      partitionIndex: partition,
      partitionErrorCode: code(errorAt({ topic: name, partition })),
    })),
  }));
}

export function addOffsetsToTxnHandler(
  options: TransactionsOptions,
): Handler<RequestOf<"addOffsetsToTxn">, ResponseInputOf<"addOffsetsToTxn">> {
  return async (request, { apiVersion }) => {
    const { transactionalId, producerId, producerEpoch, groupId } = request;
    if (transactionalId === "") return { errorCode: code("INVALID_REQUEST") };
    const shard = await options.transactions.shard(transactionalId);
    if (typeof shard === "string") return { errorCode: code(shard) };
    const reply = await shard.add(transactionalId, { producerId, producerEpoch }, [options.offsetsPartition(groupId)]);
    return { errorCode: code(renamed(reply.kind === "done" ? "NONE" : reply.error, apiVersion)) };
  };
}

export function endTxnHandler({
  transactions,
}: TransactionsOptions): Handler<RequestOf<"endTxn">, ResponseInputOf<"endTxn">> {
  return async (request, { apiVersion }) => {
    const { transactionalId, producerId, producerEpoch, committed } = request;
    if (transactionalId === "") return { errorCode: code("INVALID_REQUEST") };
    const shard = await transactions.shard(transactionalId);
    if (typeof shard === "string") return { errorCode: code(shard) };
    const reply = await shard.end(
      transactionalId,
      { producerId, producerEpoch },
      { outcome: committed ? "commit" : "abort", clientVersion: apiVersion >= bumpsEpochSince ? 2 : 0 },
    );
    if (reply.kind === "refused") return { errorCode: code(renamed(reply.error, apiVersion)) };
    return { errorCode: 0, ...reply.producer };
  };
}

function renamed(error: ErrorName, apiVersion: number): ErrorName {
  return error === "PRODUCER_FENCED" && apiVersion < fencedIsNamedSince ? "INVALID_PRODUCER_EPOCH" : error;
}

type CommitRequest = RequestOf<"txnOffsetCommit">;

export function txnOffsetCommitHandler(
  options: TransactionsOptions,
): Handler<CommitRequest, ResponseInputOf<"txnOffsetCommit">> {
  return async (request, { apiVersion }) => {
    const { groupId, transactionalId, producerId, producerEpoch } = request;
    const admission =
      groupId === ""
        ? ({ kind: "refused", error: "INVALID_GROUP_ID" } as const)
        : await options.gate.admit({
            transactionalId,
            by: { producerId, producerEpoch },
            at: options.offsetsPartition(groupId),
            how: apiVersion >= addsOffsetsSince ? "add" : "verify",
          });
    const shard = await options.coordinator.shard(groupId); // Which topic a name means is asked in the turn that commits.
    const asked = askedOffsets(options, request);
    let answer: ErrorName;
    if (admission.kind === "refused") answer = commitError(admission.error, apiVersion);
    else if (shard instanceof GroupShard) {
      const commit = {
        groupId,
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        generation: request.generationId,
        knowsMissingGroup: false,
        transaction: { producerId, producerEpoch },
        offsets: asked.flatMap(({ offsets }) => offsets),
      };
      answer = await shard.commitInTransaction(commit, admission.isOpen);
    } else answer = shard;
    return {
      topics: asked.map(({ name, problems }) => ({
        name,
        partitions: problems.map(([partitionIndex, problem]) => {
          // As Kafka: notes are looked at last.
          const isOwn = problem !== "OFFSET_METADATA_TOO_LARGE" || answer === "NONE";
          return { partitionIndex, errorCode: code(isOwn ? (problem ?? answer) : answer) };
        }),
      })),
    };
  };
}

interface AskedOffsets {
  readonly name: string;
  /** What is wrong with each partition by itself. */
  readonly problems: readonly (readonly [partition: number, problem: ErrorName | undefined])[];
  readonly offsets: readonly (TopicPartition & { readonly value: CommittedOffset })[];
}

function askedOffsets(options: TransactionsOptions, request: CommitRequest): readonly AskedOffsets[] {
  const committedAt = options.coordinator.runtime.clock.now();
  return request.topics.map(({ name, partitions }) => {
    const topic: Topic | undefined = options.metadata.image.topicByName(name);
    const problem = ({ partitionIndex, committedMetadata }: (typeof partitions)[number]): ErrorName | undefined =>
      topic?.partitions[partitionIndex] === undefined
        ? "UNKNOWN_TOPIC_OR_PARTITION"
        : noteProblem(options, committedMetadata);
    const offsets = partitions
      .filter((partition) => problem(partition) === undefined)
      .map((partition) => ({
        topic: name,
        partition: partition.partitionIndex,
        value: {
          offset: partition.committedOffset,
          leaderEpoch: partition.committedLeaderEpoch,
          metadata: partition.committedMetadata ?? "",
          topicId: topic?.id ?? uuidZero,
          committedAt,
          expiresAt: null,
        },
      }));
    return { name, offsets, problems: partitions.map((each) => [each.partitionIndex, problem(each)] as const) };
  });
}

/** As Kafka says it of a commit; "not available" is what every version of the producer repeats. */
function commitError(error: ErrorName, apiVersion: number): ErrorName {
  if (error === "PRODUCER_FENCED") return "INVALID_PRODUCER_EPOCH";
  if (error === "TRANSACTION_ABORTABLE" && apiVersion < abortableSince) return "INVALID_TXN_STATE";
  const isPassing = error === "CONCURRENT_TRANSACTIONS" || error === "NOT_COORDINATOR";
  return isPassing ? "COORDINATOR_NOT_AVAILABLE" : error;
}
