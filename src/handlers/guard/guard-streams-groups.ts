/** Who may be in a streams group (KIP-1071), and look at it. What its members have the broker make: streams-topics.ts. */
import { clusterName } from "../../access/acl.ts";
import type { Access } from "../../access/authorizer.ts";
import { requiredTopics } from "../../coordinator/streams/topology.ts";
import { code } from "../handler.ts";
import { isAnswer, once, type Rules, split } from "./guard.ts";

const groupDenied = { errorCode: code("GROUP_AUTHORIZATION_FAILED"), errorMessage: "Group authorization failed." };
const topicDenied = { errorCode: code("TOPIC_AUTHORIZATION_FAILED") };
const hidden = {
  ...topicDenied,
  errorMessage: "The described group uses topics that the client is not authorized to describe.",
};

/** As with CreateTopics: the right to make any topic, or this one. */
export function mayCreateTopic(access: Access, name: string): boolean {
  return access.could("create", "cluster", clusterName) || access.may("create", "topic", name);
}

export const guardStreamsGroups = {
  streamsGroupHeartbeat: async ({ request, access, next }) => {
    if (!access.may("read", "group", request.groupId)) return groupDenied;
    const { topology } = request;
    const sinks = topology?.subtopologies.flatMap(({ repartitionSinkTopics }) => repartitionSinkTopics) ?? [];
    const names = topology === null ? [] : [...new Set([...requiredTopics(topology), ...sinks])];
    const isAllowed = names.every((name) => access.may("describe", "topic", name));
    return isAllowed ? await next(request) : topicDenied;
  },

  streamsGroupDescribe: async ({ request, access, next }) => {
    const { allowed, denied } = split(request.groupIds, (groupId) => access.may("describe", "group", groupId));
    const answer = await next({ ...request, groupIds: allowed });
    if (!isAnswer(answer)) return answer;
    const mayDescribe = once((name) => access.could("describe", "topic", name));
    const nothing = { groupState: "", groupEpoch: 0, assignmentEpoch: 0, topology: null, members: [] };
    const groups = answer.groups.map((group) => {
      const topics = (group.topology?.subtopologies ?? []).flatMap((each) => [
        ...each.sourceTopics,
        ...each.repartitionSinkTopics,
        ...[...each.repartitionSourceTopics, ...each.stateChangelogTopics].map(({ name }) => name),
      ]);
      const shown = topics.every(mayDescribe) ? group : { ...group, ...nothing, ...hidden };
      if (!request.includeAuthorizedOperations) return shown;
      return { ...shown, authorizedOperations: access.operationsOn("group", group.groupId) };
    });
    const refusals = denied.map((groupId) => ({ ...groupDenied, groupId, ...nothing }));
    return { ...answer, groups: [...groups, ...refusals] };
  },
} satisfies Rules;
