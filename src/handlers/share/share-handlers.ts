/** Share groups put together: their states, their share-partitions at work, and the handlers of their requests. */
import type { Settings } from "../../../schemas/config.ts";
import type { Runtime } from "../../base/runtime.ts";
import type { GroupCoordinator } from "../../coordinator/group-coordinator.ts";
import { type ShareConfigOf, type ShareGroupConfig, shareGroupConfig } from "../../coordinator/share/share-config.ts";
import type { ShareServices } from "../../coordinator/share/share-groups.ts";
import { SharePartitions } from "../../coordinator/share/share-partitions.ts";
import { ShareStates } from "../../coordinator/share/share-states.ts";
import type { Log } from "../../log/log.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import type { Handlers } from "../../protocol/dispatch.ts";
import { factConfigs } from "../configs/config-facts.ts";
import { type InternalTopic, InternalTopics } from "../topics/internal-topics.ts";
import { shareAcknowledgeHandler } from "./share-acknowledge.ts";
import { shareFetchHandler } from "./share-fetch.ts";
import { shareGroupDescribeHandler, shareGroupHeartbeatHandler } from "./share-group.ts";
import {
  alterShareGroupOffsetsHandler,
  deleteShareGroupOffsetsHandler,
  describeShareGroupOffsetsHandler,
} from "./share-offsets.ts";
import { ShareSessions } from "./share-session.ts";
import { shareStateHandlers } from "./share-state.ts";

export interface ShareParts extends AsyncDisposable {
  /** What the coordinator of groups needs to keep share groups. */
  readonly services: ShareServices;
  readonly handlers: (coordinator: GroupCoordinator) => ShareHandlers;
}

type ShareHandlers = Required<
  Pick<
    Handlers,
    | "shareGroupHeartbeat"
    | "shareGroupDescribe"
    | "shareFetch"
    | "shareAcknowledge"
    | "describeShareGroupOffsets"
    | "alterShareGroupOffsets"
    | "deleteShareGroupOffsets"
    | "initializeShareGroupState"
    | "readShareGroupState"
    | "writeShareGroupState"
    | "deleteShareGroupState"
    | "readShareGroupStateSummary"
  >
>;

export interface SharePartsOptions {
  readonly settings: Settings;
  readonly metadata: MetadataClient;
  readonly log: Log;
  readonly runtime: Runtime;
  readonly advertised: { readonly host: string; readonly port: number };
  readonly failed: (cause: unknown) => void;
}

/** As Kafka makes it: records go when no state needs them, not when newer ones have their key. */
export function shareStateTopic(partitions: number): InternalTopic {
  return {
    name: "__share_group_state",
    partitions,
    configs: new Map([
      ["cleanup.policy", "delete"],
      ["compression.type", "uncompressed"],
      ["retention.ms", "-1"],
      ["segment.bytes", "104857600"],
    ]),
  };
}

export function openShare(options: SharePartsOptions): ShareParts {
  const { settings, metadata, log, runtime } = options;
  const { clock } = runtime;
  const configOf = shareConfigOf(settings, metadata);
  const states = openStates(options);
  const partitions = new SharePartitions({ log, clock, states, configOf });
  const services = shareServices(options, { states, partitions, configOf });
  const handlers = (coordinator: GroupCoordinator): ShareHandlers => {
    const sessions = new ShareSessions({
      sessionsMax: settings.shareSessionsMax,
      ended: ({ groupId, memberId, isLastOfGroup }) => {
        for (const live of partitions.of(groupId)) void live.release(memberId);
        if (isLastOfGroup) partitions.forget(groupId);
      },
    });
    const fetching = { metadata, partitions, sessions, configOf };
    const groups = { coordinator, metadata, configOf };
    const offsets = { coordinator, metadata, states, log };
    return {
      shareGroupHeartbeat: shareGroupHeartbeatHandler(groups),
      shareGroupDescribe: shareGroupDescribeHandler(groups),
      shareFetch: shareFetchHandler({ ...fetching, clock, limits: settings }),
      shareAcknowledge: shareAcknowledgeHandler(fetching),
      describeShareGroupOffsets: describeShareGroupOffsetsHandler(offsets),
      alterShareGroupOffsets: alterShareGroupOffsetsHandler(offsets),
      deleteShareGroupOffsets: deleteShareGroupOffsetsHandler(offsets),
      ...shareStateHandlers({ metadata, states, limits: settings }),
    };
  };
  return {
    services,
    handlers,
    async [Symbol.asyncDispose]() {
      partitions[Symbol.dispose]();
      await states[Symbol.asyncDispose]();
    },
  };
}

function openStates({ settings, metadata, log, runtime, failed }: SharePartsOptions): ShareStates {
  const { name } = shareStateTopic(settings.shareStatePartitions);
  return new ShareStates({
    log,
    failed,
    clock: runtime.clock,
    topic: () => {
      const topic = metadata.image.topicByName(name);
      return topic === undefined ? undefined : { topicId: topic.id, partitions: topic.partitions.length };
    },
    isTopic: (topicId) => metadata.image.topic(topicId) !== undefined,
    limits: {
      updatesPerSnapshotMax: settings.shareStateUpdatesMax,
      statesMax: settings.shareStatesMax,
      loadWaitMs: settings.groupLoadWaitMs,
      pruneIntervalMs: settings.shareStatePruneMs,
    },
    stateLog: {
      batchesInFlightMax: settings.stateLogBatchesInFlightMax,
      batchBytesMax: settings.stateLogBatchBytesMax,
      replayBytesMax: settings.stateLogReplayBytesMax,
      inflatedBytesMax: settings.logInflatedBytesMax,
    },
  });
}

function shareServices(
  { settings, metadata, runtime, advertised }: SharePartsOptions,
  parts: Pick<ShareServices, "states" | "partitions" | "configOf">,
): ShareServices {
  const internalTopics = new InternalTopics({
    metadata,
    advertised,
    ...runtime,
    limits: {
      partitionsByDefault: settings.topicPartitionsDefault,
      partitionsPerTopicMax: settings.topicPartitionsMax,
      partitionsMax: settings.partitionsMax,
      leaderWaitMs: settings.topicLeaderWaitMs,
    },
  });
  return {
    ...parts,
    membersMax: settings.shareMembersMax,
    topic: (topicName) => {
      const topic = metadata.image.topicByName(topicName);
      return topic === undefined ? undefined : { topicId: topic.id, partitions: topic.partitions.length };
    },
    ensureStates: async () =>
      (await internalTopics.ensure(shareStateTopic(settings.shareStatePartitions))) !== undefined,
  };
}

function shareConfigOf(settings: Settings, metadata: Pick<MetadataClient, "image">): ShareConfigOf {
  const defaults: ShareGroupConfig = {
    sessionTimeoutMs: settings.shareSessionMs,
    heartbeatIntervalMs: settings.shareHeartbeatMs,
    lockDurationMs: settings.shareLockMs,
    deliveryCountLimit: settings.shareDeliveriesMax,
    locksMax: settings.shareLocksMax,
    isRenewAllowed: true,
    isolation: "read-uncommitted",
    reset: { kind: "latest" },
  };
  return (groupId) => shareGroupConfig(factConfigs(metadata.image, "group-configs", groupId), defaults);
}
