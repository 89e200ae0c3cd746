/** JoinGroup, SyncGroup, Heartbeat and LeaveGroup: what a member of a group says. */
import { type GroupError, joinRefusal, syncRefusal } from "../../coordinator/classic-group-state.ts";
import type { GroupCoordinator } from "../../coordinator/group-coordinator.ts";
import { GroupShard } from "../../coordinator/group-shard.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, type Handler } from "../handler.ts";

export type GroupApi = "joinGroup" | "syncGroup" | "heartbeat" | "leaveGroup";
type GroupHandler<Name extends GroupApi> = Handler<RequestOf<Name>, ResponseInputOf<Name>>;

/** KIP-394: from here on a new dynamic member is first told its id. */
const joinMustKnowIdSince = 4;
const joinNullProtocolSince = 7;
const joinCanSkipSince = 9;
const syncNamesProtocolSince = 5;
const leaveBatchedSince = 3;

export function joinGroupHandler(coordinator: GroupCoordinator): GroupHandler<"joinGroup"> {
  return async (request, context) => {
    const shard = await usableShard(coordinator, request.groupId);
    const isTimely =
      request.sessionTimeoutMs >= coordinator.limits.sessionTimeoutMsMin &&
      request.sessionTimeoutMs <= coordinator.limits.sessionTimeoutMsMax;
    const reply = !isTimely
      ? joinRefusal(request.groupId === "" ? "INVALID_GROUP_ID" : "INVALID_SESSION_TIMEOUT", request.memberId)
      : !(shard instanceof GroupShard)
        ? joinRefusal(shard, request.memberId)
        : await shard.join(request.groupId, {
            memberId: request.memberId,
            instanceId: request.groupInstanceId,
            protocolType: request.protocolType,
            // The request's bytes are borrowed; a member keeps its metadata.
            protocols: request.protocols.map(({ name, metadata }) => ({ name, metadata: Uint8Array.from(metadata) })),
            sessionTimeoutMs: request.sessionTimeoutMs,
            rebalanceTimeoutMs: request.rebalanceTimeoutMs > 0 ? request.rebalanceTimeoutMs : request.sessionTimeoutMs,
            clientId: context.clientId ?? "",
            clientHost: context.clientHost.startsWith("/") ? context.clientHost : `/${context.clientHost}`,
            mustKnowId: context.apiVersion >= joinMustKnowIdSince,
            canSkipAssignment: context.apiVersion >= joinCanSkipSince,
          });
    return {
      errorCode: code(reply.error),
      generationId: reply.generation,
      protocolType: reply.protocolType,
      protocolName: context.apiVersion < joinNullProtocolSince ? (reply.protocolName ?? "") : reply.protocolName,
      leader: reply.leader,
      skipAssignment: reply.skipAssignment,
      memberId: reply.memberId,
      members: reply.members.map(({ memberId, instanceId, metadata }) => ({
        memberId,
        groupInstanceId: instanceId,
        metadata,
      })),
    };
  };
}

export function syncGroupHandler(coordinator: GroupCoordinator): GroupHandler<"syncGroup"> {
  return async (request, { apiVersion }) => {
    const { groupId, memberId, groupInstanceId, generationId, protocolType, protocolName } = request;
    const isUnnamed = apiVersion >= syncNamesProtocolSince && (protocolType === null || protocolName === null);
    const shard = isUnnamed ? "INCONSISTENT_GROUP_PROTOCOL" : await usableShard(coordinator, groupId);
    const reply =
      shard instanceof GroupShard
        ? ((await shard.group(groupId)?.sync({
            memberId,
            instanceId: groupInstanceId,
            generation: generationId,
            protocolType,
            protocolName,
            assignments: new Map(
              request.assignments.map((assigned) => [assigned.memberId, Uint8Array.from(assigned.assignment)]),
            ),
          })) ?? syncRefusal("UNKNOWN_MEMBER_ID"))
        : syncRefusal(shard);
    return {
      errorCode: code(reply.error),
      protocolType: reply.protocolType,
      protocolName: reply.protocolName,
      assignment: reply.assignment,
    };
  };
}

export function heartbeatHandler(coordinator: GroupCoordinator): GroupHandler<"heartbeat"> {
  return async ({ groupId, memberId, groupInstanceId, generationId }) => {
    const shard = await usableShard(coordinator, groupId);
    if (!(shard instanceof GroupShard)) return { errorCode: code(shard) };
    const event = { memberId, instanceId: groupInstanceId, generation: generationId };
    const reply = await shard.group(groupId)?.heartbeat(event);
    return { errorCode: code(reply?.error ?? "UNKNOWN_MEMBER_ID") };
  };
}

export function leaveGroupHandler(coordinator: GroupCoordinator): GroupHandler<"leaveGroup"> {
  return async (request, { apiVersion }) => {
    const isBatched = apiVersion >= leaveBatchedSince;
    const leaving = isBatched
      ? request.members.map(({ memberId, groupInstanceId }) => ({ memberId, instanceId: groupInstanceId }))
      : [{ memberId: request.memberId, instanceId: null }];
    const shard = await usableShard(coordinator, request.groupId);
    if (!(shard instanceof GroupShard)) return { errorCode: code(shard) };
    const reply = (await shard.group(request.groupId)?.leave({ members: leaving })) ?? {
      error: "NONE" as const,
      members: leaving.map((member) => ({ ...member, error: "UNKNOWN_MEMBER_ID" as const })),
    };
    const members = reply.members.map(({ memberId, instanceId, error }) => ({
      memberId,
      groupInstanceId: instanceId,
      errorCode: code(error),
    }));
    if (isBatched) return { errorCode: code(reply.error), members };
    return { errorCode: reply.error === "NONE" ? (members[0]?.errorCode ?? 0) : code(reply.error) };
  };
}

async function usableShard(coordinator: GroupCoordinator, groupId: string): Promise<GroupShard | GroupError> {
  return groupId === "" ? "INVALID_GROUP_ID" : await coordinator.shard(groupId);
}
