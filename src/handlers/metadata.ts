/** Metadata: brokers, topics, leaders; and the door through which most topics are created. */
import type { ErrorName } from "../../schemas/kafka/errors.ts";
import { type Uuid, uuidZero } from "../base/ids.ts";
import type { Topic } from "../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../protocol/api-table.ts";
import {
  brokers,
  type ClusterView,
  clusterIdText,
  controllerId,
  openOperations,
  operationsNotAsked,
  partitionView,
  topicsByName,
} from "./cluster-view.ts";
import { code, type Handler, internalTopics } from "./handler.ts";
import { createTopic, defaultWish, planTopic, type TopicCreationOptions } from "./topic-creation.ts";
import { topicNameProblem } from "./topic-names.ts";

type Request = RequestOf<"metadata">;
type Response = ResponseInputOf<"metadata">;
type TopicResponse = Response["topics"][number];

export interface MetadataOptions extends TopicCreationOptions {
  readonly autoCreate: boolean;
}

/** Before it a topic could be named only by name, though version 10 has the field. */
const versionWithIds = 12;

export function metadataHandler(options: MetadataOptions): Handler<Request, Response> {
  return async (request, { apiVersion }) => {
    const include = request.includeTopicAuthorizedOperations;
    const topics: TopicResponse[] = [];
    if (isAll(request, apiVersion)) {
      for (const topic of topicsByName(options.metadata.image)) topics.push(describe(options, topic, include));
    } else {
      for (const asked of distinct(request.topics ?? [])) {
        const found = await find(options, asked, request, apiVersion);
        topics.push(typeof found === "string" ? missing(asked, found, apiVersion) : describe(options, found, include));
      }
    }
    return {
      brokers: brokers(options),
      clusterId: clusterIdText(options.metadata.image.clusterId),
      controllerId: controllerId(options),
      topics,
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? openOperations.cluster
        : operationsNotAsked,
    };
  };
}

interface Asked {
  readonly name: string | null;
  readonly topicId: Uuid;
}

/** Null asks for all, an empty list for none; only version 0, which has no null, means all by it. */
function isAll(request: Request, apiVersion: number): boolean {
  return request.topics === null || (apiVersion === 0 && request.topics.length === 0);
}

function distinct(topics: readonly Asked[]): Iterable<Asked> {
  return new Map(topics.map((asked) => [`${asked.name} ${asked.topicId}`, asked])).values();
}

async function find(
  options: MetadataOptions,
  asked: Asked,
  request: Request,
  apiVersion: number,
): Promise<Topic | ErrorName> {
  if (apiVersion < versionWithIds && (asked.name === null || asked.topicId !== uuidZero)) return "INVALID_REQUEST";
  const { metadata } = options;
  if (asked.topicId !== uuidZero) return metadata.image.topic(asked.topicId) ?? "UNKNOWN_TOPIC_ID";
  const name = asked.name ?? "";
  const known = metadata.image.topicByName(name);
  if (known !== undefined) return known;
  if (topicNameProblem(name) !== undefined) return "INVALID_TOPIC_EXCEPTION";
  const mayCreate = options.autoCreate && request.allowAutoTopicCreation && !internalTopics.has(name);
  if (!mayCreate) return "UNKNOWN_TOPIC_OR_PARTITION";
  const plan = planTopic(options, defaultWish(name));
  if (plan.kind === "refused") return plan.error;
  const created = await createTopic(options, plan);
  // Whoever was faster made it for us. Partitions without a leader yet say so, and the client asks again.
  if (created.kind === "refused" && created.error !== "TOPIC_ALREADY_EXISTS") return created.error;
  return metadata.image.topicByName(name) ?? "LEADER_NOT_AVAILABLE";
}

function describe(view: ClusterView, topic: Topic, includeOperations: boolean): TopicResponse {
  return {
    errorCode: 0,
    name: topic.name,
    topicId: topic.id,
    isInternal: internalTopics.has(topic.name),
    partitions: topic.partitions.map((_, index) => {
      const partition = partitionView(view, topic, index);
      return {
        errorCode: code(partition.error),
        partitionIndex: index,
        leaderId: partition.leaderId,
        leaderEpoch: partition.leaderEpoch,
        replicaNodes: partition.replicas,
        isrNodes: partition.inSync,
      };
    }),
    topicAuthorizedOperations: includeOperations ? openOperations.topic : operationsNotAsked,
  };
}

function missing(asked: Asked, error: ErrorName, apiVersion: number): TopicResponse {
  return {
    errorCode: code(error),
    name: asked.name ?? (apiVersion < versionWithIds ? "" : null),
    topicId: asked.topicId,
    partitions: [],
  };
}
