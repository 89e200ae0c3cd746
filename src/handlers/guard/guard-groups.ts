/** Who may be in a group, and look at it. */

import { clusterName } from "../../access/acl.ts";
import type { Access } from "../../access/authorizer.ts";
import { uuidZero } from "../../base/ids.ts";
import type { Image } from "../../metadata/image.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { operationsNotAsked } from "../cluster/cluster-view.ts";
import { code } from "../handler.ts";
import { isAnswer, once, type Rules, split } from "./guard.ts";
import { nameOf } from "./guard-data.ts";

const groupDenied = code("GROUP_AUTHORIZATION_FAILED");
const topicDenied = code("TOPIC_AUTHORIZATION_FAILED");
const groupsSince = 8;

export const guardGroups = {
  joinGroup: async ({ request, access, next }) => {
    if (access.may("read", "group", request.groupId)) return await next(request);
    const nobody = { generationId: -1, protocolName: "", leader: "", memberId: "", members: [] };
    return { errorCode: groupDenied, ...nobody };
  },
  syncGroup: async ({ request, access, next }) => {
    if (access.may("read", "group", request.groupId)) return await next(request);
    return { errorCode: groupDenied, assignment: new Uint8Array(0) };
  },
  heartbeat: async ({ request, access, next }) =>
    access.may("read", "group", request.groupId) ? await next(request) : { errorCode: groupDenied },
  leaveGroup: async ({ request, access, next }) =>
    access.may("read", "group", request.groupId) ? await next(request) : { errorCode: groupDenied },

  offsetCommit: async ({ request, access, image, next }) => {
    const mayCommit = access.may("read", "group", request.groupId);
    const mayRead = once((name) => access.may("read", "topic", name));
    const { allowed, denied } = split(request.topics, (topic) => {
      const name = nameOf(image, topic);
      return mayCommit && (name === undefined || mayRead(name));
    });
    if (mayCommit && denied.length === 0) return await next(request);
    const answer = allowed.length === 0 ? { topics: [] } : await next({ ...request, topics: allowed });
    if (!isAnswer(answer)) return answer;
    const errorCode = mayCommit ? topicDenied : groupDenied;
    const refusals = denied.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    }));
    return { ...answer, topics: [...answer.topics, ...refusals] };
  },

  offsetFetch: async ({ request, context, access, image, next }) => {
    const mayDescribe = once((name) => access.may("describe", "topic", name));
    if (context.apiVersion < groupsSince) {
      if (!access.may("describe", "group", request.groupId)) return fetchRefusal(request.topics, context.apiVersion);
      if (request.topics === null) {
        const answer = await next(request);
        if (!isAnswer(answer)) return answer;
        return { ...answer, topics: answer.topics?.filter(({ name }) => access.could("describe", "topic", name)) };
      }
      const { allowed, denied } = split(request.topics, ({ name }) => mayDescribe(name));
      const answer = await next({ ...request, topics: allowed });
      if (!isAnswer(answer) || (answer.errorCode ?? 0) !== 0) return answer;
      return { ...answer, topics: [...(answer.topics ?? []), ...denied.map((topic) => deniedOffsets(topic))] };
    }
    const { allowed, denied } = split(request.groups, ({ groupId }) => access.may("describe", "group", groupId));
    const seen = allowed.map(
      (group): ReturnType<typeof splitTopics> =>
        group.topics === null
          ? { group, denied: [] }
          : splitTopics(group, (topic) => {
              const name = nameOf(image, topic);
              return name === undefined || mayDescribe(name);
            }),
    );
    const answer = allowed.length === 0 ? {} : await next({ ...request, groups: seen.map(({ group }) => group) });
    if (!isAnswer(answer)) return answer;
    // The handler answers in the order of the groups that it was asked for.
    const groups = (answer.groups ?? []).map((group, at) => {
      const asked = seen[at];
      if ((group.errorCode ?? 0) !== 0 || asked === undefined) return group;
      if (asked.group.topics === null) return { ...group, topics: group.topics.filter(seesOffsets(access, image)) };
      return { ...group, topics: [...group.topics, ...asked.denied.map((topic) => deniedOffsets(topic))] };
    });
    return {
      ...answer,
      groups: [...groups, ...denied.map(({ groupId }) => ({ groupId, topics: [], errorCode: groupDenied }))],
    };
  },

  offsetDelete: async ({ request, access, next }) => {
    if (!access.may("delete", "group", request.groupId)) return { errorCode: groupDenied, topics: [] };
    const { allowed, denied } = split(request.topics, ({ name }) => access.may("read", "topic", name));
    const answer = await next({ ...request, topics: allowed });
    if (!isAnswer(answer) || answer.errorCode !== 0) return answer;
    const refusals = denied.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: topicDenied })),
    }));
    return { ...answer, topics: [...answer.topics, ...refusals] };
  },

  listGroups: async ({ request, access, next }) => {
    const answer = await next(request);
    if (!isAnswer(answer) || access.could("describe", "cluster", clusterName)) return answer;
    return { ...answer, groups: answer.groups.filter(({ groupId }) => access.could("describe", "group", groupId)) };
  },

  describeGroups: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.groups, (groupId) => access.may("describe", "group", groupId));
    const answer = await next({ ...request, groups: allowed });
    if (!isAnswer(answer)) return answer;
    const groups = request.includeAuthorizedOperations
      ? answer.groups.map((group) => ({ ...group, authorizedOperations: access.operationsOn("group", group.groupId) }))
      : answer.groups;
    const refusals = denied.map((groupId) => ({
      errorCode: groupDenied,
      groupId,
      groupState: "",
      protocolType: "",
      protocolData: "",
      members: [],
      authorizedOperations: operationsNotAsked,
    }));
    return { ...answer, groups: [...groups, ...refusals] };
  },

  deleteGroups: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.groupsNames, (groupId) => access.may("delete", "group", groupId));
    const answer = await next({ ...request, groupsNames: allowed });
    if (!isAnswer(answer)) return answer;
    const refusals = denied.map((groupId) => ({ groupId, errorCode: groupDenied }));
    return { ...answer, results: [...answer.results, ...refusals] };
  },
} satisfies Rules;

type AskedGroup = RequestOf<"offsetFetch">["groups"][number];

interface AskedOffsets {
  readonly name: string;
  readonly topicId?: Parameters<Image["topic"]>[0];
  readonly partitionIndexes: readonly number[];
}

function deniedOffsets({ name, topicId, partitionIndexes }: AskedOffsets, errorCode = topicDenied) {
  return {
    name,
    topicId: topicId ?? uuidZero,
    partitions: partitionIndexes.map((partitionIndex) => ({
      partitionIndex,
      committedOffset: -1,
      metadata: "",
      errorCode,
    })),
  };
}

/** Version 1 has no room for an error of the group. */
function fetchRefusal(topics: readonly AskedOffsets[] | null, apiVersion: number): ResponseInputOf<"offsetFetch"> {
  if (apiVersion > 1) return { topics: [], errorCode: groupDenied };
  return { topics: (topics ?? []).map((topic) => deniedOffsets(topic, groupDenied)) };
}

function splitTopics(
  group: AskedGroup,
  isAllowed: (topic: NonNullable<AskedGroup["topics"]>[number]) => boolean,
): { readonly group: AskedGroup; readonly denied: readonly AskedOffsets[] } {
  const { allowed, denied } = split(group.topics ?? [], isAllowed);
  return { group: { ...group, topics: allowed }, denied };
}

function seesOffsets(access: Access, image: Image) {
  return (topic: {
    readonly name?: string | undefined;
    readonly topicId?: Parameters<Image["topic"]>[0] | undefined;
  }): boolean => {
    const name = nameOf(image, { name: topic.name ?? "", topicId: topic.topicId ?? uuidZero });
    return name !== undefined && access.could("describe", "topic", name);
  };
}
