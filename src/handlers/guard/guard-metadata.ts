/** Who may see the cluster, and which topics there are. Whoever may not describe a topic is not told that there is one of its name. */
import { clusterName } from "../../access/acl.ts";
import type { Access } from "../../access/authorizer.ts";
import { type ElementOf, joinedElements, madeFrom } from "../../base/elements.ts";
import { uuidZero } from "../../base/ids.ts";
import type { Image } from "../../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import type { Answer } from "../../protocol/dispatch.ts";
import { operationsNotAsked, topicsByName } from "../cluster/cluster-view.ts";
import { code } from "../handler.ts";
import { isValidCursor } from "../topics/describe-topic-partitions.ts";
import { type Guarded, isAnswer, type Rules, split } from "./guard.ts";

type AskedTopics = NonNullable<RequestOf<"metadata">["topics"]>;
type MetadataTopic = ElementOf<ResponseInputOf<"metadata">["topics"]>;

export const guardMetadata = {
  apiVersions: ({ request, next }) => next(request),

  metadata: async (guarded) => {
    const { request, context, access, image, next } = guarded;
    const wantsAll = request.topics === null || (context.apiVersion === 0 && request.topics.length === 0);
    const { allowed, refusals } = wantsAll ? allSeen(guarded) : splitNamed(guarded);
    const allowAutoTopicCreation = request.allowAutoTopicCreation && !wantsAll;
    const answer = await next({ ...request, topics: allowed, allowAutoTopicCreation });
    if (!isAnswer(answer)) return answer;
    const found = allowed.length === 0 ? [] : answer.topics; // In version 0 an empty list asks for all.
    const topics = request.includeTopicAuthorizedOperations
      ? madeFrom(found, (topic) => withOperations(topic, access, image))
      : found;
    const clusterAuthorizedOperations = request.includeClusterAuthorizedOperations
      ? clusterOperations(access)
      : operationsNotAsked;
    return { ...answer, topics: joinedElements(topics, refusals), clusterAuthorizedOperations };
  },

  describeCluster: async ({ request, access, next }) => {
    const answer = await next(request);
    if (!isAnswer(answer) || answer.errorCode !== 0 || !request.includeClusterAuthorizedOperations) return answer;
    return { ...answer, clusterAuthorizedOperations: clusterOperations(access) };
  },

  describeTopicPartitions: async (guarded) => {
    const { request, access, image, next } = guarded;
    const { cursor } = request;
    if (cursor !== null && !isValidCursor(request, cursor)) return await next(request);
    // Named one by one, so that neither a page nor the cursor to the next one speaks of what is hidden.
    const isForAll = request.topics.length === 0;
    const names = isForAll
      ? topicsByName(image).map(({ name }) => name)
      : [...new Set(request.topics.map(({ name }) => name))];
    const left = cursor === null ? names : names.filter((name) => name >= cursor.topicName);
    const { allowed, denied } = split(left, (name) =>
      isForAll ? access.could("describe", "topic", name) : access.may("describe", "topic", name),
    );
    // What the cursor's topic was may be gone, or hidden: the page begins with the next one then.
    const from = cursor !== null && allowed.includes(cursor.topicName) ? cursor : null;
    const answer: Answer<ResponseInputOf<"describeTopicPartitions">> =
      allowed.length === 0
        ? { topics: [] }
        : await next({ ...request, cursor: from, topics: allowed.map((name) => ({ name })) });
    if (!isAnswer(answer)) return answer;
    const topics = answer.topics.map((topic) =>
      topic.errorCode === 0 && typeof topic.name === "string"
        ? { ...topic, topicAuthorizedOperations: access.operationsOn("topic", topic.name) }
        : topic,
    );
    const refusals = (isForAll ? [] : denied).map((name) => ({
      errorCode: code("TOPIC_AUTHORIZATION_FAILED"),
      name,
      topicId: uuidZero,
      isInternal: false,
      partitions: [],
    }));
    return { ...answer, topics: [...topics, ...refusals] };
  },

  findCoordinator: async ({ request, context, access, next }) => {
    const isBatched = context.apiVersion >= 4;
    const keys = isBatched ? request.coordinatorKeys : [request.key];
    const { allowed, denied } = split(keys, (key) => mayFind(access, request.keyType, key));
    if (denied.length === 0) return await next(request);
    const refusals = denied.map((key) => ({
      key,
      nodeId: -1,
      host: "",
      port: -1,
      errorCode: code(coordinatorErrors[request.keyType] ?? "CLUSTER_AUTHORIZATION_FAILED"),
      errorMessage: "",
    }));
    if (!isBatched) return refusals[0] ?? { coordinators: [] };
    const answer = allowed.length === 0 ? {} : await next({ ...request, coordinatorKeys: allowed });
    if (!isAnswer(answer)) return answer;
    return { ...answer, coordinators: [...(answer.coordinators ?? []), ...refusals] };
  },
} satisfies Rules;

const coordinatorErrors = ["GROUP_AUTHORIZATION_FAILED", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"] as const;

function mayFind(access: Access, keyType: number, key: string): boolean {
  if (keyType === 0) return access.may("describe", "group", key);
  if (keyType === 1) return access.may("describe", "transactionalId", key);
  return access.mayOnCluster("clusterAction"); // Where the state of shares is kept concerns brokers alone.
}

function clusterOperations(access: Access): number {
  return access.could("describe", "cluster", clusterName) ? access.operationsOn("cluster", clusterName) : 0;
}

function withOperations(topic: MetadataTopic, access: Access, image: Image): MetadataTopic {
  const name = topic.name ?? (topic.topicId === undefined ? undefined : image.topic(topic.topicId)?.name);
  if (name === undefined) return topic;
  return { ...topic, topicAuthorizedOperations: access.operationsOn("topic", name) };
}

interface SplitTopics {
  readonly allowed: AskedTopics;
  readonly refusals: readonly MetadataTopic[];
}

/** Named one by one: how long the answer is says nothing of what is hidden. */
function allSeen({ access, image }: Guarded<"metadata">): SplitTopics {
  const seen = topicsByName(image).filter(({ name }) => access.could("describe", "topic", name));
  return { allowed: seen.map(({ name }) => ({ name, topicId: uuidZero })), refusals: [] };
}

function splitNamed({ request, access, image, createsTopics }: Guarded<"metadata">): SplitTopics {
  const refusals: MetadataTopic[] = [];
  const allowed = (request.topics ?? []).filter(({ name, topicId }) => {
    const isById = topicId !== uuidZero;
    const known = isById ? image.topic(topicId)?.name : (name ?? "");
    if (known === undefined) return true; // An id that nobody knows: the handler says so.
    const mayCreate = (): boolean =>
      image.topicByName(known) !== undefined ||
      !createsTopics ||
      !request.allowAutoTopicCreation ||
      access.could("create", "cluster", clusterName) ||
      access.may("create", "topic", known);
    if (access.may("describe", "topic", known) && mayCreate()) return true;
    // Of an id, as Kafka: that there is such a topic is no secret, its name is.
    const errorCode = code("TOPIC_AUTHORIZATION_FAILED");
    refusals.push({ errorCode, name, topicId, isInternal: false, partitions: [] });
    return false;
  });
  return { allowed, refusals };
}
