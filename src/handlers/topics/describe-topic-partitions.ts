/** DescribeTopicPartitions: topics page by page, in order of name. */

import { uuidZero } from "../../base/ids.ts";
import type { Topic } from "../../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { type ClusterView, openOperations, partitionView, topicsByName } from "../cluster/cluster-view.ts";
import { code, type Handler, internalTopics } from "../handler.ts";
import { topicNameProblem } from "./topic-names.ts";

type Request = RequestOf<"describeTopicPartitions">;
type Response = ResponseInputOf<"describeTopicPartitions">;
type TopicResponse = Response["topics"][number];

export interface DescribeTopicPartitionsOptions extends ClusterView {
  readonly limits: { readonly partitionsPerPageMax: number };
}

export function describeTopicPartitionsHandler(options: DescribeTopicPartitionsOptions): Handler<Request, Response> {
  return async (request) => {
    const { cursor } = request;
    if (cursor !== null && !isValidCursor(request, cursor)) return refused(request);
    let left = Math.max(1, Math.min(request.responsePartitionLimit, options.limits.partitionsPerPageMax));
    const topics: TopicResponse[] = [];
    for (const [name, topic] of wanted(options, request)) {
      if (cursor !== null && name < cursor.topicName) continue;
      if (left === 0) return { topics, nextCursor: { topicName: name, partitionIndex: 0 } };
      if (topic === undefined) {
        topics.push(missing(name));
        continue;
      }
      const from = cursor?.topicName === name ? Math.max(0, cursor.partitionIndex) : 0;
      const to = Math.min(topic.partitions.length, from + left);
      topics.push(describe(options, topic, from, to));
      left -= Math.max(0, to - from);
      if (to < topic.partitions.length) return { topics, nextCursor: { topicName: name, partitionIndex: to } };
    }
    return { topics };
  };
}

/** A cursor goes on with one of the topics that are asked for, all of them being the exception. */
export function isValidCursor({ topics }: Request, cursor: NonNullable<Request["cursor"]>): boolean {
  const isAsked = topics.length === 0 || topics.some(({ name }) => name === cursor.topicName);
  return isAsked && cursor.partitionIndex >= 0;
}

/** There is no error of the whole: each topic that was asked for gets it. */
function refused({ topics }: Request): Response {
  const errorCode = code("INVALID_REQUEST");
  return { topics: topics.map(({ name }) => ({ errorCode, name, topicId: uuidZero, partitions: [] })) };
}

/** All topics when none is named; what the cursor's topic was may be gone, then the next in order follows. */
function wanted(options: ClusterView, request: Request): Iterable<readonly [name: string, topic: Topic | undefined]> {
  const { image } = options.metadata;
  if (request.topics.length === 0) return topicsByName(image).map((topic) => [topic.name, topic]);
  const names = [...new Set(request.topics.map(({ name }) => name))].sort();
  return names.map((name) => [name, image.topicByName(name)]);
}

function missing(name: string): TopicResponse {
  const error = topicNameProblem(name) === undefined ? "UNKNOWN_TOPIC_OR_PARTITION" : "INVALID_TOPIC_EXCEPTION";
  return {
    errorCode: code(error),
    name,
    topicId: uuidZero,
    isInternal: false,
    partitions: [],
    topicAuthorizedOperations: openOperations.topic, // What may be done with the name, as in Kafka.
  };
}

function describe(view: ClusterView, topic: Topic, from: number, to: number): TopicResponse {
  const partitions = [];
  for (let index = from; index < to; index += 1) {
    const partition = partitionView(view, topic, index);
    partitions.push({
      errorCode: code(partition.error),
      partitionIndex: index,
      leaderId: partition.leaderId,
      leaderEpoch: partition.leaderEpoch,
      replicaNodes: partition.replicas,
      isrNodes: partition.inSync,
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
      offlineReplicas: [],
    });
  }
  return {
    errorCode: 0,
    name: topic.name,
    topicId: topic.id,
    isInternal: internalTopics.has(topic.name),
    partitions,
    topicAuthorizedOperations: openOperations.topic,
  };
}
