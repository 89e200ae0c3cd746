/** Who may be in a share group, read by it, and move it. */

import type { Access } from "../../access/authorizer.ts";
import type { Uuid } from "../../base/ids.ts";
import { uuidZero } from "../../base/ids.ts";
import type { Image } from "../../metadata/image.ts";
import { code } from "../handler.ts";
import { type Guarded, isAnswer, once, type Rules, split } from "./guard.ts";

const groupDenied = { errorCode: code("GROUP_AUTHORIZATION_FAILED"), errorMessage: "Group authorization failed." };
const topicDenied = { errorCode: code("TOPIC_AUTHORIZATION_FAILED"), errorMessage: "Topic authorization failed." };

export const guardShare = {
  shareGroupHeartbeat: async ({ request, access, next }) => {
    const nobody = { memberEpoch: 0, heartbeatIntervalMs: 0 };
    if (!access.may("read", "group", request.groupId)) return { ...groupDenied, ...nobody };
    const topics = request.subscribedTopicNames ?? [];
    const isAllowed = topics.every((name) => access.may("describe", "topic", name));
    return isAllowed ? await next(request) : { ...topicDenied, ...nobody };
  },

  shareGroupDescribe: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.groupIds, (groupId) => access.may("describe", "group", groupId));
    const answer = await next({ ...request, groupIds: allowed });
    if (!isAnswer(answer)) return answer;
    const nothing = { groupState: "", groupEpoch: 0, assignmentEpoch: 0, assignorName: "", members: [] };
    const groups = answer.groups.map((group) => {
      const topics = group.members.flatMap(({ subscribedTopicNames }) => subscribedTopicNames);
      const isSeen = topics.every((name) => access.could("describe", "topic", name));
      const shown = isSeen ? group : { ...group, ...nothing, ...topicDenied };
      if (!request.includeAuthorizedOperations || (shown.errorCode ?? 0) !== 0) return shown;
      return { ...shown, authorizedOperations: access.operationsOn("group", group.groupId) };
    });
    return { ...answer, groups: [...groups, ...denied.map((groupId) => ({ ...groupDenied, groupId, ...nothing }))] };
  },

  shareFetch: async (guarded) => {
    const { request, access, image, next } = guarded;
    if (!access.may("read", "group", request.groupId ?? "")) return { ...groupDenied, responses: [] };
    const mayRead = readable(access, image);
    const { allowed, denied } = split(request.topics, ({ topicId }) => mayRead(topicId));
    const answer = await next({ ...request, topics: allowed });
    if (!isAnswer(answer)) return answer;
    // A session reads on what its request does not name. What was locked by this read is free again when its lock runs out.
    const responses = answer.responses.map((topic) =>
      mayRead(topic.topicId) ? topic : unread(topic.topicId, topic.partitions),
    );
    const refusals = denied.map(({ topicId, partitions }) => unread(topicId, partitions));
    return { ...answer, responses: [...responses, ...refusals] };
  },

  shareAcknowledge: async ({ request, access, image, next }: Guarded<"shareAcknowledge">) => {
    if (!access.may("read", "group", request.groupId ?? "")) return { ...groupDenied, responses: [] };
    const mayRead = readable(access, image);
    const { allowed, denied } = split(request.topics, ({ topicId }) => mayRead(topicId));
    const answer = await next({ ...request, topics: allowed });
    if (!isAnswer(answer)) return answer;
    const refusals = denied.map(({ topicId, partitions }) => ({
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, ...topicDenied })),
    }));
    return { ...answer, responses: [...answer.responses, ...refusals] };
  },

  describeShareGroupOffsets: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.groups, ({ groupId }) => access.may("describe", "group", groupId));
    const mayDescribe = once((name) => access.may("describe", "topic", name));
    const groups = allowed.map((group) => ({
      ...group,
      topics: group.topics?.filter(({ topicName }) => mayDescribe(topicName)) ?? null,
    }));
    const answer = await next({ ...request, groups });
    if (!isAnswer(answer)) return answer;
    // The handler answers in the order of the groups that it was asked for.
    const seen = answer.groups.map((group, at) => {
      const hidden = (allowed[at]?.topics ?? []).filter(({ topicName }) => !mayDescribe(topicName));
      const refusals = hidden.map(({ topicName, partitions }) => ({
        topicName,
        topicId: uuidZero,
        partitions: partitions.map((partitionIndex) => ({
          partitionIndex,
          startOffset: -1,
          leaderEpoch: 0,
          ...topicDenied,
        })),
      }));
      const topics = group.topics.filter(({ topicName }) => access.could("describe", "topic", topicName));
      return { ...group, topics: [...topics, ...refusals] };
    });
    return { ...answer, groups: [...seen, ...denied.map(({ groupId }) => ({ groupId, topics: [], ...groupDenied }))] };
  },

  alterShareGroupOffsets: async ({ request, access, next }) => {
    if (!access.may("read", "group", request.groupId)) return { ...groupDenied, responses: [] };
    const { allowed, denied } = split(request.topics, ({ topicName }) => access.may("read", "topic", topicName));
    const answer = await next({ ...request, topics: allowed });
    if (!isAnswer(answer) || answer.errorCode !== 0) return answer;
    const refusals = denied.map(({ topicName, partitions }) => ({
      topicName,
      topicId: uuidZero,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, ...topicDenied })),
    }));
    return { ...answer, responses: [...answer.responses, ...refusals] };
  },

  deleteShareGroupOffsets: async ({ request, access, next }) => {
    if (!access.may("delete", "group", request.groupId)) return { ...groupDenied, responses: [] };
    const { allowed, denied } = split(request.topics, ({ topicName }) => access.may("read", "topic", topicName));
    const answer = await next({ ...request, topics: allowed });
    if (!isAnswer(answer) || answer.errorCode !== 0) return answer;
    const refusals = denied.map(({ topicName }) => ({ topicName, topicId: uuidZero, ...topicDenied }));
    return { ...answer, responses: [...answer.responses, ...refusals] };
  },
} satisfies Rules;

/** An id that nobody knows: the handler says so. */
function readable(access: Access, image: Image): (topicId: Uuid) => boolean {
  const mayRead = once((name) => access.may("read", "topic", name));
  return (topicId) => {
    const name = image.topic(topicId)?.name;
    return name === undefined || mayRead(name);
  };
}

function unread(topicId: Uuid, partitions: readonly { readonly partitionIndex: number }[]) {
  return {
    topicId,
    partitions: partitions.map(({ partitionIndex }) => ({
      partitionIndex,
      ...topicDenied,
      records: [],
      acquiredRecords: [],
    })),
  };
}
