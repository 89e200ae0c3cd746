/** StreamsGroupHeartbeat and StreamsGroupDescribe (KIP-1071). */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import type { GroupCoordinator } from "../../coordinator/group-coordinator.ts";
import { GroupShard } from "../../coordinator/group-shard.ts";
import type { StatusKind } from "../../coordinator/streams/configure-topology.ts";
import type { EndpointPartitions } from "../../coordinator/streams/endpoint-partitions.ts";
import type { StreamsAnswer, StreamsHeartbeat } from "../../coordinator/streams/streams-group.ts";
import {
  type StreamsGroup,
  type StreamsGroupState,
  type StreamsMember,
  streamsGroupState,
} from "../../coordinator/streams/streams-group-state.ts";
import { type HeldTasks, noTasks, type Tasks, taskLists } from "../../coordinator/streams/tasks.ts";
import { requiredTopics, type Subtopology, topologyProblem } from "../../coordinator/streams/topology.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import type { Handlers, RequestContext } from "../../protocol/dispatch.ts";
import { openOperations, operationsNotAsked } from "../cluster/cluster-view.ts";
import { clipped } from "../error-text.ts";
import { code, type Handler, internalTopics } from "../handler.ts";
import { fewOfEach } from "../repeated.ts";
import type { TopicCreationOptions } from "../topics/topic-creation.ts";
import { topicNameProblem } from "../topics/topic-names.ts";
import { StreamsTopics } from "./streams-topics.ts";

export interface StreamsGroupsOptions {
  readonly coordinator: GroupCoordinator;
  readonly creation: TopicCreationOptions;
  /** Whether the client may make the topic; anybody may where no ACLs are enforced. */
  readonly mayCreate?: MayCreate | undefined;
}

export type MayCreate = (topic: string, context: RequestContext) => boolean;

export function streamsGroupHandlers(
  options: StreamsGroupsOptions,
): Required<Pick<Handlers, "streamsGroupHeartbeat" | "streamsGroupDescribe">> {
  return {
    streamsGroupHeartbeat: heartbeatHandler(options),
    streamsGroupDescribe: describeHandler(options.coordinator),
  };
}

type HeartbeatRequest = RequestOf<"streamsGroupHeartbeat">;
type HeartbeatResponse = ResponseInputOf<"streamsGroupHeartbeat">;

/** Numbers are those of the response. */
const statusCodes: Readonly<Record<StatusKind, number>> = {
  "stale-topology": 0,
  "missing-source-topics": 1,
  "incorrectly-partitioned-topics": 2,
  "missing-internal-topics": 3,
  "shutdown-application": 4,
  "assignment-delayed": 5,
};

function heartbeatHandler({
  coordinator,
  creation,
  mayCreate = () => true,
}: StreamsGroupsOptions): Handler<HeartbeatRequest, HeartbeatResponse> {
  const topics = new StreamsTopics(creation);
  const refused = (error: ErrorName, detail: string | null = null): HeartbeatResponse => ({
    errorCode: code(error),
    errorMessage: detail === null ? null : clipped(detail),
  });
  return async (request, context) => {
    const problem = requestProblem(request);
    if (problem !== undefined) return refused(problem.error, problem.detail);
    const shard = await coordinator.shard(request.groupId);
    if (!(shard instanceof GroupShard)) return refused(shard);
    const reply = await shard.streamsHeartbeat(request.groupId, heartbeatOf(request, context));
    if (reply.kind === "refused") return refused(reply.error, reply.detail);
    const { answer } = reply;
    // Members learn at a later heartbeat that the topics are there; now, why they are not.
    const trouble =
      answer.missing.length === 0 ? "" : await topics.make(answer.missing, (name) => mayCreate(name, context));
    const { heartbeatIntervalMs } = coordinator.streamsLimits(request.groupId);
    return answered(answer, { heartbeatIntervalMs: answer.epoch < 0 ? 0 : heartbeatIntervalMs, trouble });
  };
}

function heartbeatOf(request: HeartbeatRequest, { clientId, clientHost }: RequestContext): StreamsHeartbeat {
  const { activeTasks, standbyTasks, warmupTasks, topology, clientTags } = request;
  const isSaid = activeTasks !== null && standbyTasks !== null && warmupTasks !== null;
  const numbers = (lists: NonNullable<HeartbeatRequest["activeTasks"]>): Tasks["active"] =>
    new Map(lists.map(({ subtopologyId, partitions }) => [subtopologyId, partitions]));
  return {
    memberId: request.memberId,
    epoch: request.memberEpoch,
    endpointsEpoch: request.endpointInformationEpoch,
    metadata: {
      rackId: request.rackId,
      clientId: clientId ?? "",
      clientHost: clientHost.startsWith("/") ? clientHost : `/${clientHost}`,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs === -1 ? null : request.rebalanceTimeoutMs,
      topologyEpoch: topology?.epoch ?? null,
      processId: request.processId,
      userEndpoint: request.userEndpoint,
      clientTags: clientTags === null ? null : [...clientTags].sort((a, b) => (a.key < b.key ? -1 : 1)),
    },
    topology,
    owned: isSaid
      ? { active: numbers(activeTasks), standby: numbers(standbyTasks), warmup: numbers(warmupTasks) }
      : null,
    wantsShutdown: request.shutdownApplication,
  };
}

interface Problem {
  readonly error: ErrorName;
  readonly detail: string;
}

/** What no group has to be asked for. The texts are Kafka's: administrators search for them. */
function requestProblem(request: HeartbeatRequest): Problem | undefined {
  const { memberEpoch, topology } = request;
  const detail = unsupported(request) ?? incomplete(request);
  const named = topology === null ? undefined : badTopicNames(topology);
  if (named !== undefined) return { error: "STREAMS_INVALID_TOPOLOGY", detail: named };
  if (detail !== undefined) return { error: "INVALID_REQUEST", detail };
  if (topology === null) return undefined;
  if (topology.epoch < 0) {
    return { error: "STREAMS_INVALID_TOPOLOGY_EPOCH", detail: "Topology epoch must be non-negative." };
  }
  if (memberEpoch !== 0) return undefined;
  const invalid = topologyProblem(topology);
  return invalid === undefined ? undefined : { error: "STREAMS_INVALID_TOPOLOGY", detail: invalid };
}

function badTopicNames(topology: NonNullable<HeartbeatRequest["topology"]>): string | undefined {
  const sinks = topology.subtopologies.flatMap(({ repartitionSinkTopics }) => repartitionSinkTopics);
  const names = [...new Set([...requiredTopics(topology), ...sinks])];
  const prohibited = names.filter((name) => internalTopics.has(name));
  if (prohibited.length > 0) {
    return `Use of Kafka internal topics ${prohibited.join(",")} in a Kafka Streams topology is prohibited.`;
  }
  const wrong = names.filter((name) => topicNameProblem(name) !== undefined);
  return wrong.length > 0 ? `Topic names ${wrong.join(",")} are not valid topic names.` : undefined;
}

/** What Kafka 4.3 has fields for, and no more. */
function unsupported({ instanceId, taskOffsets, taskEndOffsets, warmupTasks, topology }: HeartbeatRequest) {
  if (instanceId !== null) return "Static membership is not yet supported.";
  if (taskOffsets !== null) return "TaskOffsets are not supported yet.";
  if (taskEndOffsets !== null) return "TaskEndOffsets are not supported yet.";
  if (warmupTasks !== null && warmupTasks.length > 0) return "WarmupTasks are not supported yet.";
  const hasPattern = topology?.subtopologies.some(({ sourceTopicRegex }) => sourceTopicRegex.length > 0) === true;
  return hasPattern ? "Regular expressions for source topics are not supported yet." : undefined;
}

function incomplete(request: HeartbeatRequest): string | undefined {
  const { memberEpoch, activeTasks, standbyTasks, warmupTasks } = request;
  if (request.memberId.trim() === "") return "MemberId can't be empty.";
  if (request.groupId.trim() === "") return "GroupId can't be empty.";
  if (request.rackId?.trim() === "") return "RackId can't be empty.";
  if (memberEpoch === 0) {
    if (request.rebalanceTimeoutMs === -1) return "RebalanceTimeoutMs must be provided in first request.";
    if ((activeTasks?.length ?? 0) > 0) return "ActiveTasks must be empty when (re-)joining.";
    if ((standbyTasks?.length ?? 0) > 0) return "StandbyTasks must be empty when (re-)joining.";
    if (request.topology === null) return "Topology must be non-null when (re-)joining.";
  }
  if (memberEpoch === -2) return "InstanceId can't be null.";
  if (memberEpoch < -2) return `MemberEpoch is ${memberEpoch}, but must be greater than or equal to -2.`;
  const said = [activeTasks, standbyTasks, warmupTasks].filter((tasks) => tasks !== null).length;
  if (said !== 0 && said !== 3) return "If one task-type is non-null, all must be non-null.";
  return memberEpoch !== 0 && request.topology !== null
    ? "Topology can only be provided when (re-)joining."
    : undefined;
}

function answered(
  answer: StreamsAnswer,
  { heartbeatIntervalMs, trouble }: { readonly heartbeatIntervalMs: number; readonly trouble: string },
): HeartbeatResponse {
  const { tasks, endpoints } = answer;
  return {
    errorCode: 0,
    memberId: answer.memberId,
    memberEpoch: answer.epoch,
    heartbeatIntervalMs,
    status: answer.statuses.map(({ kind, detail }) => ({
      statusCode: statusCodes[kind],
      statusDetail: clipped(kind === "missing-internal-topics" ? detail + trouble : detail),
    })),
    ...(tasks === null ? {} : heldLists(tasks)),
    endpointInformationEpoch: answer.endpointsEpoch,
    partitionsByUserEndpoint: endpoints === null ? null : endpoints.map((each) => shownEndpoint(each)),
  };
}

function shownEndpoint({ endpoint, active, standby }: EndpointPartitions) {
  return { userEndpoint: endpoint, activePartitions: active, standbyPartitions: standby };
}

function heldLists(tasks: HeldTasks) {
  const lists = (held: HeldTasks["active"]) => taskLists(held, (epochs) => epochs.keys());
  return { activeTasks: lists(tasks.active), standbyTasks: lists(tasks.standby), warmupTasks: lists(tasks.warmup) };
}

function targetLists(tasks: Tasks) {
  const lists = (numbers: Tasks["active"]) => taskLists(numbers, (each) => each);
  return { activeTasks: lists(tasks.active), standbyTasks: lists(tasks.standby), warmupTasks: lists(tasks.warmup) };
}

export const streamsStateNames: Readonly<Record<StreamsGroupState, string>> = {
  empty: "Empty",
  "not-ready": "NotReady",
  assigning: "Assigning",
  reconciling: "Reconciling",
  stable: "Stable",
};

type DescribeResponse = ResponseInputOf<"streamsGroupDescribe">;
type DescribedGroup = DescribeResponse["groups"][number];

function describeHandler(coordinator: GroupCoordinator): Handler<RequestOf<"streamsGroupDescribe">, DescribeResponse> {
  return async ({ groupIds, includeAuthorizedOperations }) => {
    const authorizedOperations = includeAuthorizedOperations ? openOperations.group : operationsNotAsked;
    const describe = async (groupId: string): Promise<DescribedGroup> => {
      if (groupId === "") return absent(groupId, "INVALID_GROUP_ID", null);
      const shard = await coordinator.shard(groupId);
      if (!(shard instanceof GroupShard)) return absent(groupId, shard, null);
      const live = shard.group(groupId);
      const isOther = live !== undefined || shard.shares?.get(groupId) !== undefined;
      const why = isOther ? `Group ${groupId} is not a streams group.` : `Streams group ${groupId} not found.`;
      if (live === undefined || live.streams === null) return absent(groupId, "GROUP_ID_NOT_FOUND", why);
      const answer = { ...described(groupId, live.streams), authorizedOperations };
      const error = await live.written; // What is told must not be taken back.
      return error === "NONE" ? answer : absent(groupId, error, null);
    };
    return { groups: await Promise.all(fewOfEach(groupIds, (groupId) => groupId).map(describe)) };
  };
}

function absent(groupId: string, error: ErrorName, detail: string | null): DescribedGroup {
  return {
    errorCode: code(error),
    errorMessage: detail === null ? null : clipped(detail),
    groupId,
    groupState: "",
    groupEpoch: 0,
    assignmentEpoch: 0,
    members: [],
  };
}

function described(groupId: string, group: StreamsGroup): DescribedGroup {
  return {
    errorCode: 0,
    groupId,
    groupState: streamsStateNames[streamsGroupState(group)],
    groupEpoch: group.epoch,
    assignmentEpoch: group.targetEpoch,
    topology: describedTopology(group),
    members: Array.from(group.members.values(), (member) => describedMember(member, group.targets.get(member.id))),
  };
}

/** With the numbers of partitions as they are, once the topics are as they must be; before, as the application asks. */
function describedTopology({ topology, configured }: StreamsGroup): DescribedGroup["topology"] {
  if (topology === null) return null;
  const isReady = configured?.problem === null;
  const subtopologies = isReady
    ? Array.from(configured.subtopologies.values(), ({ subtopology }) => subtopology)
    : [...topology.subtopologies].sort((a, b) => (a.subtopologyId < b.subtopologyId ? -1 : 1));
  return { epoch: topology.epoch, subtopologies: subtopologies.map((each) => describedSubtopology(each)) };
}

function describedSubtopology(subtopology: Subtopology) {
  const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);
  return {
    subtopologyId: subtopology.subtopologyId,
    sourceTopics: [...subtopology.sourceTopics].sort(),
    repartitionSinkTopics: [...subtopology.repartitionSinkTopics].sort(),
    stateChangelogTopics: [...subtopology.stateChangelogTopics].sort(byName),
    repartitionSourceTopics: [...subtopology.repartitionSourceTopics].sort(byName),
  };
}

function describedMember({ id, metadata, current }: StreamsMember, target: Tasks = noTasks) {
  const { rebalanceTimeoutMs: _, ...shown } = metadata;
  return {
    ...shown,
    memberId: id,
    memberEpoch: current.epoch,
    assignment: heldLists(current.assigned),
    targetAssignment: targetLists(target),
  };
}
