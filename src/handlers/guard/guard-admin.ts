/** Who may change topics, configs, ACLs and quotas. */

import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { clusterName, type OperationName } from "../../access/acl.ts";
import type { Access } from "../../access/authorizer.ts";
import { joinedElements } from "../../base/elements.ts";
import { uuidZero } from "../../base/ids.ts";
import { resourceTypes as configTypes } from "../configs/describe-configs.ts";
import { code } from "../handler.ts";
import { isAnswer, type Rules, split } from "./guard.ts";

const topicDenied = { errorCode: code("TOPIC_AUTHORIZATION_FAILED"), errorMessage: "Topic authorization failed." };
const clusterDenied = {
  errorCode: code("CLUSTER_AUTHORIZATION_FAILED"),
  errorMessage: "Cluster authorization failed.",
};

export const guardAdmin = {
  createTopics: async ({ request, access, next }) => {
    const mayAll = access.could("create", "cluster", clusterName);
    const { allowed, denied } = split(request.topics, ({ name }) => mayAll || access.may("create", "topic", name));
    const answer = await next({ ...request, topics: allowed });
    if (!isAnswer(answer)) return answer;
    const topics = answer.topics.map((topic) => {
      if (topic.errorCode !== 0 || access.could("describeConfigs", "topic", topic.name)) return topic;
      const { errorCode: topicConfigErrorCode } = topicDenied;
      return { ...topic, topicConfigErrorCode, numPartitions: -1, replicationFactor: -1, configs: null };
    });
    const refusals = denied.map(({ name }) => ({ name, ...topicDenied, configs: null }));
    return { ...answer, topics: [...topics, ...refusals] };
  },

  deleteTopics: async ({ request, access, image, next }) => {
    const mayAll = access.could("delete", "cluster", clusterName);
    const mayDelete = (name: string): boolean => mayAll || access.may("delete", "topic", name);
    const byName = split(request.topicNames, mayDelete);
    const { allowed, denied } = split(request.topics, ({ name, topicId }) => {
      const known = topicId === uuidZero ? name : name === null ? image.topic(topicId)?.name : undefined;
      // An id that nobody knows, or a name and an id at once: the handler says so.
      return known === undefined || known === null || mayDelete(known);
    });
    const answer = await next({ ...request, topics: allowed, topicNames: byName.allowed });
    if (!isAnswer(answer)) return answer;
    const refusals = denied.map(({ name, topicId }) => {
      const known = name ?? image.topic(topicId)?.name ?? null;
      const isSeen = name !== null || (known !== null && access.could("describe", "topic", known));
      return { name: isSeen ? known : null, topicId, ...topicDenied };
    });
    const named = byName.denied.map((name) => ({ name, topicId: uuidZero, ...topicDenied }));
    return { ...answer, responses: [...answer.responses, ...refusals, ...named] };
  },

  createPartitions: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.topics, ({ name }) => access.may("alter", "topic", name));
    const answer = await next({ ...request, topics: allowed });
    if (!isAnswer(answer)) return answer;
    return { ...answer, results: [...answer.results, ...denied.map(({ name }) => ({ name, ...topicDenied }))] };
  },

  describeConfigs: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.resources, (resource) =>
      mayOnConfigs(access, "describeConfigs", resource),
    );
    const answer = await next({ ...request, resources: allowed });
    if (!isAnswer(answer)) return answer;
    const refusals = denied.map((resource) => ({ ...configRefusal(resource), configs: [] }));
    return { ...answer, results: joinedElements(answer.results, refusals) };
  },
  alterConfigs: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.resources, (resource) => mayOnConfigs(access, "alterConfigs", resource));
    const answer = await next({ ...request, resources: allowed });
    if (!isAnswer(answer)) return answer;
    return { ...answer, responses: [...answer.responses, ...denied.map(configRefusal)] };
  },
  incrementalAlterConfigs: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.resources, (resource) => mayOnConfigs(access, "alterConfigs", resource));
    const answer = await next({ ...request, resources: allowed });
    if (!isAnswer(answer)) return answer;
    return { ...answer, responses: [...answer.responses, ...denied.map(configRefusal)] };
  },

  describeClientQuotas: async ({ request, access, next }) =>
    access.mayOnCluster("describeConfigs") ? await next(request) : { ...clusterDenied, entries: null },
  alterClientQuotas: async ({ request, access, next }) =>
    access.mayOnCluster("alterConfigs")
      ? await next(request)
      : { entries: request.entries.map(({ entity }) => ({ ...clusterDenied, entity })) },

  describeAcls: async ({ request, access, next }) =>
    access.mayOnCluster("describe") ? await next(request) : { ...clusterDenied, resources: [] },
  createAcls: async ({ request, access, next }) =>
    access.mayOnCluster("alter") ? await next(request) : { results: request.creations.map(() => clusterDenied) },
  deleteAcls: async ({ request, access, next }) =>
    access.mayOnCluster("alter")
      ? await next(request)
      : { filterResults: request.filters.map(() => ({ ...clusterDenied, matchingAcls: [] })) },
} satisfies Rules;

interface ConfigResource {
  readonly resourceType: number;
  readonly resourceName: string;
}

function mayOnConfigs(
  access: Access,
  operation: OperationName,
  { resourceType, resourceName }: ConfigResource,
): boolean {
  if (resourceType === configTypes.topic) return access.may(operation, "topic", resourceName);
  if (resourceType === configTypes.group) return access.may(operation, "group", resourceName);
  return access.mayOnCluster(operation);
}

function configRefusal({ resourceType, resourceName }: ConfigResource) {
  const errors: Readonly<Record<number, ErrorName>> = {
    [configTypes.topic]: "TOPIC_AUTHORIZATION_FAILED",
    [configTypes.group]: "GROUP_AUTHORIZATION_FAILED",
  };
  const errorCode = code(errors[resourceType] ?? "CLUSTER_AUTHORIZATION_FAILED");
  return { errorCode, errorMessage: null, resourceType, resourceName };
}
