/** Who may be in a group of the consumer protocol (KIP-848), and look at it. */

import { code } from "../handler.ts";
import { isAnswer, type Rules, split } from "./guard.ts";

const groupDenied = { errorCode: code("GROUP_AUTHORIZATION_FAILED"), errorMessage: "Group authorization failed." };
const topicDenied = { errorCode: code("TOPIC_AUTHORIZATION_FAILED"), errorMessage: "Topic authorization failed." };

export const guardConsumerGroups = {
  consumerGroupHeartbeat: async ({ request, access, image, next }) => {
    const nobody = { memberEpoch: 0, heartbeatIntervalMs: 0 };
    if (!access.may("read", "group", request.groupId)) return { ...groupDenied, ...nobody };
    const isAllowed = (request.subscribedTopicNames ?? []).every((name) => access.may("describe", "topic", name));
    if (!isAllowed) return { ...topicDenied, ...nobody };
    const answer = await next(request);
    if (!isAnswer(answer) || answer.assignment === null || answer.assignment === undefined) return answer;
    // A pattern may have met topics that the member must not know of.
    const topicPartitions = answer.assignment.topicPartitions.filter(({ topicId }) => {
      const name = image.topic(topicId)?.name;
      return name === undefined || access.could("describe", "topic", name);
    });
    return { ...answer, assignment: { topicPartitions } };
  },

  consumerGroupDescribe: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.groupIds, (groupId) => access.may("describe", "group", groupId));
    const answer = await next({ ...request, groupIds: allowed });
    if (!isAnswer(answer)) return answer;
    const nothing = { groupState: "", groupEpoch: 0, assignmentEpoch: 0, assignorName: "", members: [] };
    const groups = answer.groups.map((group) => {
      const topics = group.members.flatMap(({ subscribedTopicNames, assignment, targetAssignment }) => [
        ...subscribedTopicNames,
        ...[assignment, targetAssignment].flatMap((each) => each.topicPartitions.map(({ topicName }) => topicName)),
      ]);
      const isSeen = topics.every((name) => access.could("describe", "topic", name));
      const shown = isSeen ? group : { ...group, ...nothing, ...topicDenied };
      if (!request.includeAuthorizedOperations) return shown;
      return { ...shown, authorizedOperations: access.operationsOn("group", group.groupId) };
    });
    return { ...answer, groups: [...groups, ...denied.map((groupId) => ({ ...groupDenied, groupId, ...nothing }))] };
  },
} satisfies Rules;
