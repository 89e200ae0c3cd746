/** ConsumerGroupHeartbeat and ConsumerGroupDescribe (KIP-848). */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { uuidRandom } from "../../base/ids.ts";
import { assignors } from "../../coordinator/consumer-assignors.ts";
import {
  type ConsumerGroup,
  type ConsumerGroupState,
  type CurrentAssignment,
  chosenAssignor,
  consumerGroupState,
  leavingEpoch,
  leavingForNowEpoch,
  type PartitionEpochs,
} from "../../coordinator/consumer-group-state.ts";
import type { GroupCoordinator } from "../../coordinator/group-coordinator.ts";
import { GroupShard } from "../../coordinator/group-shard.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import type { Handlers, RequestContext } from "../../protocol/dispatch.ts";
import { openOperations, operationsNotAsked } from "../cluster/cluster-view.ts";
import { clipped } from "../error-text.ts";
import { code, type Handler } from "../handler.ts";
import { fewOfEach } from "../repeated.ts";

export interface ConsumerGroupsOptions {
  readonly coordinator: GroupCoordinator;
  readonly metadata: Pick<MetadataClient, "image">;
  /** Whether the client may describe the topic; anybody may where no ACLs are enforced. */
  readonly maySee?: MaySee | undefined;
}

export type MaySee = (context: RequestContext) => (topic: string) => boolean;

export function consumerGroupHandlers(
  options: ConsumerGroupsOptions,
): Required<Pick<Handlers, "consumerGroupHeartbeat" | "consumerGroupDescribe">> {
  return {
    consumerGroupHeartbeat: heartbeatHandler(options),
    consumerGroupDescribe: describeHandler(options),
  };
}

type HeartbeatRequest = RequestOf<"consumerGroupHeartbeat">;

/** From here on members choose their ids themselves (KIP-1082). */
const memberIdRequiredSince = 1;

function heartbeatHandler({
  coordinator,
  maySee,
}: ConsumerGroupsOptions): Handler<HeartbeatRequest, ResponseInputOf<"consumerGroupHeartbeat">> {
  const refused = (error: ErrorName, detail: string | null = null): ResponseInputOf<"consumerGroupHeartbeat"> => ({
    errorCode: code(error),
    errorMessage: detail === null ? null : clipped(detail),
    memberEpoch: 0,
    heartbeatIntervalMs: 0,
  });
  return async (request, context) => {
    const { apiVersion, clientId, clientHost } = context;
    const invalid = requestProblem(request, apiVersion);
    if (invalid !== undefined) return refused("INVALID_REQUEST", invalid);
    if (request.serverAssignor !== null && !assignors.has(request.serverAssignor)) {
      const supported = [...assignors.keys()].join(", ");
      const detail = `ServerAssignor ${request.serverAssignor} is not supported. Supported assignors: ${supported}.`;
      return refused("UNSUPPORTED_ASSIGNOR", detail);
    }
    // As Kafka, which cannot write it.
    if (areTooMany(request.subscribedTopicNames, coordinator)) return refused("UNKNOWN_SERVER_ERROR", tooManyNames);
    const shard = await coordinator.shard(request.groupId);
    if (!(shard instanceof GroupShard)) return refused(shard);
    const beat = {
      memberId: request.memberId === "" ? uuidRandom(coordinator.runtime.random) : request.memberId,
      epoch: request.memberEpoch,
      instanceId: request.instanceId,
      rackId: request.rackId,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs,
      topics: request.subscribedTopicNames,
      pattern: request.subscribedTopicRegex,
      assignor: request.serverAssignor,
      owned:
        request.topicPartitions === null
          ? null
          : new Map(request.topicPartitions.map(({ topicId, partitions }) => [topicId, partitions])),
      clientId: clientId ?? "",
      clientHost: clientHost.startsWith("/") ? clientHost : `/${clientHost}`,
    };
    const reply = await shard.consumerHeartbeat(request.groupId, beat, maySee?.(context));
    if (reply.error !== "NONE") return refused(reply.error, reply.detail);
    const { heartbeatIntervalMs } = coordinator.consumerLimits(request.groupId);
    return {
      errorCode: 0,
      memberId: reply.memberId,
      memberEpoch: reply.epoch,
      heartbeatIntervalMs: reply.epoch < 0 ? 0 : heartbeatIntervalMs,
      assignment: reply.assignment === null ? null : { topicPartitions: heldPartitions(reply.assignment) },
    };
  };
}

export const tooManyNames = "The subscription is too large.";

/** A record holds what a member subscribes to. */
export function areTooMany(names: readonly string[] | null, { limits }: Pick<GroupCoordinator, "limits">): boolean {
  return (names ?? []).reduce((sum, name) => sum + name.length, 0) > limits.recordBytesMax;
}

/** What no group has to be asked for. The texts are Kafka's: administrators search for them. */
function requestProblem(request: HeartbeatRequest, apiVersion: number): string | undefined {
  const { memberEpoch } = request;
  const mustNameMember = apiVersion >= memberIdRequiredSince || memberEpoch !== 0;
  if (mustNameMember && request.memberId === "") return "MemberId can't be empty.";
  if (request.groupId.trim() === "") return "GroupId can't be empty.";
  if (request.instanceId?.trim() === "") return "InstanceId can't be empty.";
  if (request.rackId?.trim() === "") return "RackId can't be empty.";
  if (memberEpoch > 0 || memberEpoch === leavingEpoch) return undefined;
  if (memberEpoch === leavingForNowEpoch) return request.instanceId === null ? "InstanceId can't be null." : undefined;
  if (memberEpoch < 0) return `MemberEpoch is ${memberEpoch}, but must be greater than or equal to -2.`;
  if (request.rebalanceTimeoutMs === -1) return "RebalanceTimeoutMs must be provided in first request.";
  if (request.topicPartitions === null || request.topicPartitions.length > 0) {
    return "TopicPartitions must be empty when (re-)joining.";
  }
  if (request.subscribedTopicNames === null && request.subscribedTopicRegex === null) {
    return "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.";
  }
  return undefined;
}

function heldPartitions(held: PartitionEpochs) {
  return Array.from(held, ([topicId, epochs]) => ({ topicId, partitions: [...epochs.keys()].sort((a, b) => a - b) }));
}

export const consumerStateNames: Readonly<Record<ConsumerGroupState, string>> = {
  empty: "Empty",
  assigning: "Assigning",
  reconciling: "Reconciling",
  stable: "Stable",
};

type DescribedGroup = ResponseInputOf<"consumerGroupDescribe">["groups"][number];

const memberTypes = { classic: 0, consumer: 1 } as const;

function describeHandler({
  coordinator,
  metadata,
}: ConsumerGroupsOptions): Handler<RequestOf<"consumerGroupDescribe">, ResponseInputOf<"consumerGroupDescribe">> {
  return async ({ groupIds, includeAuthorizedOperations }) => {
    const nameOf: NameOf = (id) => metadata.image.topic(id)?.name;
    const authorizedOperations = includeAuthorizedOperations ? openOperations.group : operationsNotAsked;
    const describe = async (groupId: string): Promise<DescribedGroup> => {
      if (groupId === "") return absent(groupId, "INVALID_GROUP_ID", null);
      const shard = await coordinator.shard(groupId);
      if (!(shard instanceof GroupShard)) return absent(groupId, shard, null);
      const live = shard.group(groupId);
      const group = live?.consumer ?? null;
      if (live === undefined) return absent(groupId, "GROUP_ID_NOT_FOUND", `Group ${groupId} not found.`);
      if (group === null) return absent(groupId, "GROUP_ID_NOT_FOUND", `Group ${groupId} is not a consumer group.`);
      const answer = { ...described(groupId, group, nameOf), authorizedOperations };
      const error = await live.written; // What is told must not be taken back.
      return error === "NONE" ? answer : absent(groupId, error, null);
    };
    return { groups: await Promise.all(fewOfEach(groupIds, (groupId) => groupId).map(describe)) };
  };
}

type NameOf = (id: Parameters<MetadataClient["image"]["topic"]>[0]) => string | undefined;

function absent(groupId: string, error: ErrorName, detail: string | null): DescribedGroup {
  return {
    errorCode: code(error),
    errorMessage: detail === null ? null : clipped(detail),
    groupId,
    groupState: "",
    groupEpoch: 0,
    assignmentEpoch: 0,
    assignorName: "",
    members: [],
  };
}

function described(groupId: string, group: ConsumerGroup, nameOf: NameOf): DescribedGroup {
  return {
    errorCode: 0,
    groupId,
    groupState: consumerStateNames[consumerGroupState(group)],
    groupEpoch: group.epoch,
    assignmentEpoch: group.targetEpoch,
    assignorName: chosenAssignor(group),
    members: Array.from(group.members.values(), ({ id, metadata, current }) => ({
      memberId: id,
      instanceId: metadata.instanceId,
      rackId: metadata.rackId,
      memberEpoch: current.epoch,
      clientId: metadata.clientId,
      clientHost: metadata.clientHost,
      subscribedTopicNames: metadata.topics,
      subscribedTopicRegex: metadata.pattern,
      assignment: named(heldPartitions(stillHeld(current)), nameOf),
      targetAssignment: named(
        Array.from(group.targets.get(id) ?? [], ([topicId, partitions]) => ({ topicId, partitions })),
        nameOf,
      ),
      memberType: metadata.classic === null ? memberTypes.consumer : memberTypes.classic,
    })),
  };
}

/** What a member was asked to give up is its own until it has done so. */
function stillHeld({ assigned, revoking }: Pick<CurrentAssignment, "assigned" | "revoking">): PartitionEpochs {
  const held = new Map(assigned);
  for (const [topicId, partitions] of revoking)
    held.set(topicId, new Map([...(held.get(topicId) ?? []), ...partitions]));
  return held;
}

/** Topics that were deleted meanwhile have no name any more and are left out. */
function named(
  lists: readonly { readonly topicId: Parameters<NameOf>[0]; readonly partitions: readonly number[] }[],
  nameOf: NameOf,
) {
  return {
    topicPartitions: lists.flatMap((list) => {
      const topicName = nameOf(list.topicId);
      return topicName === undefined ? [] : [{ ...list, topicName }];
    }),
  };
}
