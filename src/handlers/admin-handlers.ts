/** The handlers of groups, topics, configs and cluster, made from one set of options. */
import type { Settings } from "../../schemas/config.ts";
import type { LogLevels } from "../base/log-levels.ts";
import type { Runtime } from "../base/runtime.ts";
import { consumerLimits } from "../coordinator/consumer-group-state.ts";
import type { GroupCoordinator, GroupCoordinatorOptions } from "../coordinator/group-coordinator.ts";
import { streamsLimits } from "../coordinator/streams/streams-group-state.ts";
import type { Log } from "../log/log.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { ApiName, RequestOf, ResponseInputOf } from "../protocol/api-table.ts";
import { apiVersionsHandler } from "./cluster/api-versions.ts";
import type { ClusterView } from "./cluster/cluster-view.ts";
import { describeClusterHandler } from "./cluster/describe-cluster.ts";
import { alterConfigsHandlers } from "./configs/alter-configs.ts";
import { factConfigs } from "./configs/config-facts.ts";
import { describeConfigsHandler } from "./configs/describe-configs.ts";
import { staticConfigs } from "./configs/static-configs.ts";
import { consumerGroupHandlers, type MaySee } from "./groups/consumer-groups.ts";
import { findCoordinatorHandler } from "./groups/find-coordinator.ts";
import { deleteGroupsHandler, describeGroupsHandler, listGroupsHandler } from "./groups/group-admin.ts";
import { heartbeatHandler, joinGroupHandler, leaveGroupHandler, syncGroupHandler } from "./groups/group-membership.ts";
import { offsetCommitHandler, offsetDeleteHandler, offsetFetchHandler } from "./groups/group-offsets.ts";
import { type MayCreate, streamsGroupHandlers } from "./groups/streams-groups.ts";
import type { Handler } from "./handler.ts";
import { shareStateTopic } from "./share/share-handlers.ts";
import { createPartitionsHandler } from "./topics/create-partitions.ts";
import { createTopicsHandler } from "./topics/create-topics.ts";
import { deleteTopicsHandler } from "./topics/delete-topics.ts";
import { describeTopicPartitionsHandler } from "./topics/describe-topic-partitions.ts";
import { InternalTopics, offsetsTopic, transactionsTopic } from "./topics/internal-topics.ts";
import { metadataHandler } from "./topics/metadata.ts";

export interface AdminHandlersOptions {
  readonly settings: Settings;
  readonly metadata: MetadataClient;
  readonly coordinator: GroupCoordinator;
  readonly runtime: Runtime;
  /** Where clients reach this broker: the port that was bound, not the one that was asked for. */
  readonly advertised: { readonly host: string; readonly port: number };
  readonly endpoints?: ClusterView["endpoints"];
  readonly logLevels: LogLevels;
  readonly mayCreate?: MayCreate | undefined;
  readonly maySee?: MaySee | undefined;
  /** Every API that has a handler, also those that are not made here. */
  readonly served: () => Iterable<ApiName>;
}

export type HandlerOf<Name extends ApiName> = Handler<RequestOf<Name>, ResponseInputOf<Name>>;

export function adminHandlers(options: AdminHandlersOptions) {
  const { settings, metadata, coordinator, runtime, advertised, endpoints, served, logLevels } = options;
  const view = { metadata, advertised, endpoints };
  const configView = { metadata, brokerStatic: staticConfigs(settings, advertised) };
  const creation = {
    ...view,
    ...runtime,
    limits: {
      partitionsByDefault: settings.topicPartitionsDefault,
      partitionsPerTopicMax: settings.topicPartitionsMax,
      partitionsMax: settings.partitionsMax,
      leaderWaitMs: settings.topicLeaderWaitMs,
    },
  };
  return {
    apiVersions: apiVersionsHandler({ metadata, served }),
    metadata: metadataHandler({ ...creation, autoCreate: settings.topicAutoCreate }),
    describeCluster: describeClusterHandler(view),
    describeTopicPartitions: describeTopicPartitionsHandler({
      ...view,
      limits: { partitionsPerPageMax: settings.topicPagePartitionsMax },
    }),
    createTopics: createTopicsHandler({ ...creation, ...configView }),
    deleteTopics: deleteTopicsHandler({ metadata, isEnabled: settings.topicDelete }),
    createPartitions: createPartitionsHandler(creation),
    describeConfigs: describeConfigsHandler({ ...configView, logLevels }),
    ...alterConfigsHandlers({ ...configView, logLevels, shareLockMsMin: settings.shareLockGroupMsMin }),
    findCoordinator: findCoordinatorHandler({
      ...view,
      internalTopics: new InternalTopics(creation),
      topics: {
        group: offsetsTopic(settings.groupOffsetsPartitions),
        transaction: transactionsTopic(settings.transactionStatePartitions),
        share: shareStateTopic(settings.shareStatePartitions),
      },
    }),
    joinGroup: joinGroupHandler(coordinator),
    syncGroup: syncGroupHandler(coordinator),
    heartbeat: heartbeatHandler(coordinator),
    leaveGroup: leaveGroupHandler(coordinator),
    offsetCommit: offsetCommitHandler({ coordinator, metadata }),
    offsetFetch: offsetFetchHandler({ coordinator, metadata }),
    offsetDelete: offsetDeleteHandler({ coordinator, metadata }),
    listGroups: listGroupsHandler(coordinator),
    describeGroups: describeGroupsHandler(coordinator),
    deleteGroups: deleteGroupsHandler(coordinator),
    ...consumerGroupHandlers({ coordinator, metadata, maySee: options.maySee }),
    ...streamsGroupHandlers({ coordinator, creation, mayCreate: options.mayCreate }),
  } satisfies { readonly [Name in ApiName]?: HandlerOf<Name> };
}

/** The coordinator's options, as the settings and the node give them. */
export function groupCoordinatorOptions(options: {
  readonly settings: Settings;
  readonly metadata: Pick<MetadataClient, "image">;
  readonly log: Log;
  readonly runtime: Runtime;
  readonly failed: (cause: unknown) => void;
}): GroupCoordinatorOptions {
  const { settings, metadata, log, runtime, failed } = options;
  const { name } = offsetsTopic(settings.groupOffsetsPartitions);
  const consumerDefaults = {
    membersMax: settings.groupMembersMax,
    sessionTimeoutMs: settings.groupConsumerSessionMs,
    heartbeatIntervalMs: settings.groupConsumerHeartbeatIntervalMs,
    assignmentIntervalMs: settings.groupConsumerAssignmentIntervalMs,
  };
  const streamsDefaults = {
    membersMax: settings.groupMembersMax,
    tasksMax: settings.groupStreamsTasksMax,
    sessionTimeoutMs: settings.groupStreamsSessionMs,
    heartbeatIntervalMs: settings.groupStreamsHeartbeatIntervalMs,
    assignmentIntervalMs: settings.groupStreamsAssignmentIntervalMs,
    initialDelayMs: settings.groupStreamsInitialRebalanceDelayMs,
    standbys: settings.groupStreamsStandbys,
  };
  return {
    log,
    runtime,
    failed,
    topic: () => {
      const topic = metadata.image.topicByName(name);
      return topic === undefined ? undefined : { topicId: topic.id, partitions: topic.partitions.length };
    },
    topics: {
      byName: (topicName) => {
        const topic = metadata.image.topicByName(topicName);
        return topic === undefined ? undefined : { id: topic.id, partitions: topic.partitions.length };
      },
      nameOf: (id) => metadata.image.topic(id)?.name,
      names: () => Array.from(metadata.image.topics(), (topic) => topic.name),
    },
    limits: {
      initialRebalanceDelayMs: settings.groupInitialRebalanceDelayMs,
      newMemberJoinTimeoutMs: settings.groupNewMemberJoinMsMax,
      membersMax: settings.groupMembersMax,
      recordBytesMax: settings.groupRecordBytesMax,
      shardGroupsMax: settings.groupShardGroupsMax,
      sessionTimeoutMsMin: settings.groupSessionMsMin,
      sessionTimeoutMsMax: settings.groupSessionMsMax,
      offsetMetadataBytesMax: settings.groupOffsetMetadataBytesMax,
      offsetsRetentionMs: settings.groupOffsetsRetentionMs,
      offsetsCheckIntervalMs: settings.groupOffsetsCheckIntervalMs,
      loadWaitMs: settings.groupLoadWaitMs,
    },
    consumerLimits: (groupId) =>
      consumerLimits(factConfigs(metadata.image, "group-configs", groupId), consumerDefaults),
    streamsLimits: (groupId) => streamsLimits(factConfigs(metadata.image, "group-configs", groupId), streamsDefaults),
    stateLog: {
      batchesInFlightMax: settings.stateLogBatchesInFlightMax,
      batchBytesMax: settings.stateLogBatchBytesMax,
      replayBytesMax: settings.stateLogReplayBytesMax,
      inflatedBytesMax: settings.logInflatedBytesMax,
    },
  };
}
