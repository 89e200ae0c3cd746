/** ShareGroupHeartbeat and ShareGroupDescribe: members of share groups, and the groups seen from outside. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import type { GroupCoordinator } from "../../coordinator/group-coordinator.ts";
import { GroupShard } from "../../coordinator/group-shard.ts";
import type { ShareConfigOf } from "../../coordinator/share/share-config.ts";
import type { ShareGroup } from "../../coordinator/share/share-group.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { openOperations, operationsNotAsked } from "../cluster/cluster-view.ts";
import { clipped } from "../error-text.ts";
import { areTooMany, tooManyNames } from "../groups/consumer-groups.ts";
import { code, type Handler } from "../handler.ts";
import { fewOfEach } from "../repeated.ts";
import { isMemberId } from "./share-acknowledge.ts";

export interface ShareGroupOptions {
  readonly coordinator: GroupCoordinator;
  readonly metadata: Pick<MetadataClient, "image">;
  readonly configOf: ShareConfigOf;
}

type Beat = RequestOf<"shareGroupHeartbeat">;
type BeatResponse = ResponseInputOf<"shareGroupHeartbeat">;
type DescribeResponse = ResponseInputOf<"shareGroupDescribe">;
type DescribedGroup = DescribeResponse["groups"][number];

const leaveEpoch = -1;
const assignorName = "simple";

export function shareGroupHeartbeatHandler({ coordinator, configOf }: ShareGroupOptions): Handler<Beat, BeatResponse> {
  return async (request, context) => {
    const { groupId, memberId, memberEpoch } = request;
    const problem = requestProblem(request);
    if (problem !== undefined) return refusedBeat("INVALID_REQUEST", problem);
    if (areTooMany(request.subscribedTopicNames, coordinator)) return refusedBeat("UNKNOWN_SERVER_ERROR", tooManyNames);
    const shard = await coordinator.shard(groupId);
    if (!(shard instanceof GroupShard)) return refusedBeat(shard);
    const { shares } = shard;
    if (shares === undefined || shard.group(groupId) !== undefined)
      return refusedBeat("GROUP_ID_NOT_FOUND", `Group ${groupId} is not a share group.`);
    if (memberEpoch === leaveEpoch) {
      const error = await shares.leave(groupId, memberId);
      if (error !== "NONE") return refusedBeat(error, beatProblems[error] ?? null);
      return { errorCode: 0, memberId, memberEpoch, heartbeatIntervalMs: 0 };
    }
    const { error, member, isTold } = await shares.heartbeat(groupId, {
      memberId,
      memberEpoch,
      rackId: request.rackId,
      topics: request.subscribedTopicNames,
      clientId: context.clientId ?? "",
      clientHost: context.clientHost.startsWith("/") ? context.clientHost : `/${context.clientHost}`,
    });
    if (error !== "NONE" || member === undefined) return refusedBeat(error, beatProblems[error] ?? null);
    return {
      errorCode: 0,
      memberId,
      memberEpoch: member.epoch,
      heartbeatIntervalMs: configOf(groupId).heartbeatIntervalMs,
      assignment: isTold ? { topicPartitions: member.assignment } : null,
    };
  };
}

/** Undefined when the request is one. */
function requestProblem({
  groupId,
  memberId,
  memberEpoch,
  rackId,
  subscribedTopicNames: topics,
}: Beat): string | undefined {
  if (!isMemberId(memberId)) return "Invalid member id in the request.";
  if (groupId === "") return "GroupId can't be empty.";
  if (memberEpoch < leaveEpoch) return "MemberEpoch is invalid.";
  if (rackId === "") return "RackId can't be empty.";
  if (memberEpoch !== 0) return undefined;
  return topics === null || topics.length === 0 ? "SubscribedTopicNames must be set in first request." : undefined;
}

const beatProblems: { readonly [Error in ErrorName]?: string } = {
  GROUP_ID_NOT_FOUND: "There is no such share group.",
  UNKNOWN_MEMBER_ID: "The member is not in the group.",
  FENCED_MEMBER_EPOCH: "The member's epoch is not the one that the group gave it.",
  GROUP_MAX_SIZE_REACHED: "The group has as many members as it may have.",
};

function refusedBeat(error: ErrorName, message: string | null = null): BeatResponse {
  const errorMessage = message === null ? null : clipped(message);
  return { errorCode: code(error), errorMessage, memberEpoch: 0, heartbeatIntervalMs: 0 };
}

export function shareGroupDescribeHandler(
  options: ShareGroupOptions,
): Handler<RequestOf<"shareGroupDescribe">, DescribeResponse> {
  return async ({ groupIds, includeAuthorizedOperations }) => ({
    groups: await Promise.all(
      fewOfEach(groupIds, (groupId) => groupId).map(async (groupId): Promise<DescribedGroup> => {
        const authorizedOperations = includeAuthorizedOperations ? openOperations.group : operationsNotAsked;
        const shard = groupId === "" ? "INVALID_GROUP_ID" : await options.coordinator.shard(groupId);
        if (!(shard instanceof GroupShard)) return absent(groupId, shard);
        const group = shard.shares?.get(groupId);
        if (group !== undefined) return { ...described(options, groupId, group), authorizedOperations };
        return { ...absent(groupId, "GROUP_ID_NOT_FOUND"), errorMessage: clipped(`Group ${groupId} not found.`) };
      }),
    ),
  });
}

export function shareGroupState({ members }: ShareGroup): string {
  return members.size === 0 ? "Empty" : "Stable";
}

function described({ metadata }: ShareGroupOptions, groupId: string, group: ShareGroup): DescribedGroup {
  return {
    errorCode: 0,
    groupId,
    groupState: shareGroupState(group),
    groupEpoch: group.epoch,
    assignmentEpoch: group.assignmentEpoch,
    assignorName,
    members: Array.from(group.members.values(), (member) => ({
      memberId: member.id,
      rackId: member.rackId,
      memberEpoch: member.epoch,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedTopicNames: member.topics,
      assignment: {
        topicPartitions: member.assignment.flatMap(({ topicId, partitions }) => {
          const topic = metadata.image.topic(topicId);
          return topic === undefined ? [] : [{ topicId, topicName: topic.name, partitions }];
        }),
      },
    })),
  };
}

function absent(groupId: string, error: ErrorName): DescribedGroup {
  return {
    errorCode: code(error),
    groupId,
    groupState: "",
    groupEpoch: 0,
    assignmentEpoch: 0,
    assignorName: "",
    members: [],
    authorizedOperations: operationsNotAsked,
  };
}
