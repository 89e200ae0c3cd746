/** Metadata: brokers, topics, leaders; and the door through which most topics are created. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { type ElementOf, madeFrom } from "../../base/elements.ts";
import { type Uuid, uuidZero } from "../../base/ids.ts";
import type { Topic } from "../../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import {
  brokers,
  type ClusterView,
  clusterIdText,
  controllerId,
  openOperations,
  operationsNotAsked,
  partitionView,
  topicsByName,
} from "../cluster/cluster-view.ts";
import { untilLed } from "../data/leader-wait.ts";
import { code, type Handler, internalTopics, quorumTopic } from "../handler.ts";
import { createTopic, defaultWish, planTopic, type TopicCreationOptions } from "./topic-creation.ts";
import { topicNameProblem } from "./topic-names.ts";

type Request = RequestOf<"metadata">;
type Response = ResponseInputOf<"metadata">;
type TopicResponse = ElementOf<Response["topics"]>;

export interface MetadataOptions extends TopicCreationOptions {
  readonly autoCreate: boolean;
}

/** Before it a topic could be named only by name, though version 10 has the field. */
const versionWithIds = 12;

export function metadataHandler(options: MetadataOptions): Handler<Request, Response> {
  return async (request, { apiVersion, listener }) => {
    const found = isAll(request, apiVersion) ? all(options) : await findAll(options, request, apiVersion);
    const include = request.includeTopicAuthorizedOperations;
    return {
      brokers: brokers(options, listener),
      clusterId: clusterIdText(options.metadata.image.clusterId),
      controllerId: controllerId(options),
      topics: madeFrom(found, ({ asked, topicId, error }) => {
        const topic = topicId === undefined ? undefined : options.metadata.image.topic(topicId);
        return topic === undefined ? missing(asked, error, apiVersion, include) : describe(options, topic, include);
      }),
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

interface Found {
  readonly asked: Asked;
  readonly topicId: Uuid | undefined;
  /** What to say when there is no such topic, or not any more. */
  readonly error: ErrorName;
}

function all({ metadata }: MetadataOptions): readonly Found[] {
  const error = "UNKNOWN_TOPIC_OR_PARTITION";
  return topicsByName(metadata.image).map(({ id: topicId, name }) => ({ asked: { name, topicId }, topicId, error }));
}

/** Null asks for all, an empty list for none; only version 0, which has no null, means all by it. */
function isAll(request: Request, apiVersion: number): boolean {
  return request.topics === null || (apiVersion === 0 && request.topics.length === 0);
}

/** By the id where there is one: it counts, whatever name stands beside it. */
function distinct(topics: readonly Asked[]): Iterable<Asked> {
  const keyOf = ({ name, topicId }: Asked): string => (topicId === uuidZero ? `name ${name}` : `id ${topicId}`);
  return new Map(topics.map((asked) => [keyOf(asked), asked])).values();
}

async function findAll(options: MetadataOptions, request: Request, apiVersion: number): Promise<readonly Found[]> {
  const answers: Found[] = [];
  const made: Uuid[] = [];
  for (const asked of distinct(request.topics ?? [])) {
    const found = find(options, asked, request, apiVersion);
    const answer = typeof found === "function" ? await found() : found;
    if (typeof found === "function" && answer.topicId !== undefined) made.push(answer.topicId);
    answers.push(answer);
  }
  await untilLed(options, made, options.limits.leaderWaitMs);
  return answers;
}

/** The answer, or how to come to one: by making the topic. */
function find(
  options: MetadataOptions,
  asked: Asked,
  request: Request,
  apiVersion: number,
): Found | (() => Promise<Found>) {
  const { image } = options.metadata;
  const absent = (error: ErrorName): Found => ({ asked, topicId: undefined, error });
  if (apiVersion < versionWithIds && (asked.name === null || asked.topicId !== uuidZero)) {
    return absent("INVALID_REQUEST");
  }
  if (asked.topicId !== uuidZero) return { asked, topicId: asked.topicId, error: "UNKNOWN_TOPIC_ID" };
  const name = asked.name ?? "";
  const known = image.topicByName(name);
  if (known !== undefined) return { asked, topicId: known.id, error: "UNKNOWN_TOPIC_OR_PARTITION" };
  if (topicNameProblem(name) !== undefined) return absent("INVALID_TOPIC_EXCEPTION");
  const isOurs = internalTopics.has(name) || name === quorumTopic;
  if (!options.autoCreate || !request.allowAutoTopicCreation || isOurs) return absent("UNKNOWN_TOPIC_OR_PARTITION");
  const plan = planTopic(options, defaultWish(name));
  if (plan.kind === "refused") return absent(plan.error);
  return async () => {
    const created = await createTopic(options, plan);
    // Whoever was faster made it for us. Partitions without a leader yet say so, and the client asks again.
    if (created.kind === "refused" && created.error !== "TOPIC_ALREADY_EXISTS") return absent(created.error);
    return { asked, topicId: options.metadata.image.topicByName(name)?.id, error: "LEADER_NOT_AVAILABLE" };
  };
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

function missing(asked: Asked, error: ErrorName, apiVersion: number, includeOperations: boolean): TopicResponse {
  return {
    errorCode: code(error),
    name: asked.name ?? (apiVersion < versionWithIds ? "" : null),
    topicId: asked.topicId,
    partitions: [],
    // What may be done with the name, whether or not there is such a topic.
    topicAuthorizedOperations: includeOperations && asked.name !== null ? openOperations.topic : operationsNotAsked,
  };
}
