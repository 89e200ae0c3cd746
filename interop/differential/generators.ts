/** The table of generators: what the differential test can send. An API that is served and not here is not compared. */
import type { ApiName } from "../../src/protocol/api-table.ts";
import type { Generators, Story } from "./generator.ts";
import { alterConfigs } from "./generators/alter-configs.ts";
import { apiVersions } from "./generators/api-versions.ts";
import { getTelemetrySubscriptions, pushTelemetry } from "./generators/client-telemetry.ts";
import {
  addRaftVoter,
  alterClientQuotas,
  alterPartitionReassignments,
  alterReplicaLogDirs,
  alterUserScramCredentials,
  createAcls,
  deleteAcls,
  describeAcls,
  describeClientQuotas,
  describeLogDirs,
  describeQuorum,
  describeUserScramCredentials,
  electLeaders,
  listConfigResources,
  listPartitionReassignments,
  removeRaftVoter,
  saslAuthenticate,
  saslHandshake,
  unregisterBroker,
  updateFeatures,
} from "./generators/cluster-admin.ts";
import { consumerGroupDescribe, consumerGroupHeartbeat } from "./generators/consumer-groups.ts";
import { createPartitions } from "./generators/create-partitions.ts";
import { createTopics } from "./generators/create-topics.ts";
import {
  createDelegationToken,
  describeDelegationToken,
  expireDelegationToken,
  renewDelegationToken,
} from "./generators/delegation-tokens.ts";
import { deleteGroups } from "./generators/delete-groups.ts";
import { deleteRecords } from "./generators/delete-records.ts";
import { deleteTopics } from "./generators/delete-topics.ts";
import { describeCluster } from "./generators/describe-cluster.ts";
import { describeConfigs } from "./generators/describe-configs.ts";
import { describeGroups } from "./generators/describe-groups.ts";
import { describeTopicPartitions } from "./generators/describe-topic-partitions.ts";
import { fetch } from "./generators/fetch.ts";
import { findCoordinator } from "./generators/find-coordinator.ts";
import { heartbeat } from "./generators/heartbeat.ts";
import { incrementalAlterConfigs } from "./generators/incremental-alter-configs.ts";
import { initProducerId } from "./generators/init-producer-id.ts";
import { joinGroup } from "./generators/join-group.ts";
import { leaveGroup } from "./generators/leave-group.ts";
import { listGroups } from "./generators/list-groups.ts";
import { listOffsets } from "./generators/list-offsets.ts";
import { metadata } from "./generators/metadata.ts";
import { offsetCommit } from "./generators/offset-commit.ts";
import { offsetDelete } from "./generators/offset-delete.ts";
import { offsetFetch } from "./generators/offset-fetch.ts";
import { offsetForLeaderEpoch } from "./generators/offset-for-leader-epoch.ts";
import { produce } from "./generators/produce.ts";
import {
  alterShareGroupOffsets,
  deleteShareGroupOffsets,
  deleteShareGroupState,
  describeShareGroupOffsets,
  initializeShareGroupState,
  readShareGroupState,
  readShareGroupStateSummary,
  shareAcknowledge,
  shareFetch,
  shareGroupDescribe,
  shareGroupHeartbeat,
  writeShareGroupState,
} from "./generators/share-groups.ts";
import { sharePartitions } from "./generators/share-partitions.ts";
import { streamsGroupDescribe } from "./generators/streams-group-describe.ts";
import { streamsGroupHeartbeat } from "./generators/streams-group-heartbeat.ts";
import { syncGroup } from "./generators/sync-group.ts";
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  describeProducers,
  describeTransactions,
  endTxn,
  listTransactions,
  txnOffsetCommit,
  writeTxnMarkers,
} from "./generators/transactions.ts";

export const generators: Generators = {
  addOffsetsToTxn,
  addPartitionsToTxn,
  addRaftVoter,
  alterClientQuotas,
  alterConfigs,
  alterPartitionReassignments,
  alterReplicaLogDirs,
  alterShareGroupOffsets,
  alterUserScramCredentials,
  apiVersions,
  consumerGroupDescribe,
  consumerGroupHeartbeat,
  createAcls,
  createDelegationToken,
  createPartitions,
  createTopics,
  deleteAcls,
  deleteGroups,
  deleteRecords,
  deleteShareGroupOffsets,
  deleteTopics,
  deleteShareGroupState,
  describeAcls,
  describeClientQuotas,
  describeCluster,
  describeConfigs,
  describeDelegationToken,
  describeGroups,
  describeLogDirs,
  describeProducers,
  describeQuorum,
  describeShareGroupOffsets,
  describeTopicPartitions,
  describeTransactions,
  describeUserScramCredentials,
  electLeaders,
  endTxn,
  expireDelegationToken,
  fetch,
  findCoordinator,
  getTelemetrySubscriptions,
  heartbeat,
  incrementalAlterConfigs,
  initProducerId,
  initializeShareGroupState,
  joinGroup,
  leaveGroup,
  listConfigResources,
  listGroups,
  listOffsets,
  listPartitionReassignments,
  listTransactions,
  metadata,
  offsetCommit,
  offsetDelete,
  offsetFetch,
  offsetForLeaderEpoch,
  produce,
  pushTelemetry,
  readShareGroupState,
  readShareGroupStateSummary,
  removeRaftVoter,
  renewDelegationToken,
  saslAuthenticate,
  saslHandshake,
  shareAcknowledge,
  shareFetch,
  shareGroupDescribe,
  shareGroupHeartbeat,
  streamsGroupDescribe,
  streamsGroupHeartbeat,
  syncGroup,
  txnOffsetCommit,
  unregisterBroker,
  updateFeatures,
  writeShareGroupState,
  writeTxnMarkers,
};

/** APIs whose states meet, each often enough in one sequence to matter; or what is told of them together. */
export const themes = {
  topics: [
    "createTopics",
    "deleteTopics",
    "createPartitions",
    "metadata",
    "describeTopicPartitions",
    "describeConfigs",
  ],
  configs: ["createTopics", "describeConfigs", "alterConfigs", "incrementalAlterConfigs", "incrementalAlterConfigs"],
  data: [
    "produce",
    "produce",
    "fetch",
    "fetch",
    "listOffsets",
    "deleteRecords",
    "initProducerId",
    "offsetForLeaderEpoch",
  ],
  members: ["joinGroup", "joinGroup", "syncGroup", "heartbeat", "leaveGroup", "offsetCommit", "describeGroups"],
  offsets: ["offsetCommit", "offsetCommit", "offsetFetch", "offsetDelete", "joinGroup", "deleteGroups"],
  streams: [
    "createTopics",
    "streamsGroupHeartbeat",
    "streamsGroupHeartbeat",
    "streamsGroupHeartbeat",
    "streamsGroupDescribe",
    "listGroups",
    "deleteGroups",
    "joinGroup",
  ],
  cluster: [
    "apiVersions",
    "describeCluster",
    "findCoordinator",
    "listGroups",
    "metadata",
    "describeGroups",
    "joinGroup",
  ],
  transactions: [
    "addPartitionsToTxn",
    "addPartitionsToTxn",
    "endTxn",
    "addOffsetsToTxn",
    "txnOffsetCommit",
    "offsetFetch",
    "fetch",
    "listOffsets",
    "describeProducers",
    "describeTransactions",
    "listTransactions",
    "initProducerId",
    "writeTxnMarkers",
  ],
  consumers: [
    "consumerGroupHeartbeat",
    "consumerGroupHeartbeat",
    "consumerGroupHeartbeat",
    "consumerGroupDescribe",
    "listGroups",
    "createPartitions",
    "joinGroup",
    "deleteGroups",
  ],
  shares: [
    "shareGroupHeartbeat",
    "shareGroupHeartbeat",
    "shareGroupDescribe",
    "describeShareGroupOffsets",
    "alterShareGroupOffsets",
    "deleteShareGroupOffsets",
    "shareFetch",
    "shareAcknowledge",
    "deleteGroups",
    "listGroups",
  ],
  tokens: [
    "createDelegationToken",
    "createDelegationToken",
    "renewDelegationToken",
    "expireDelegationToken",
    "describeDelegationToken",
  ],
  shareSessions: ["shareFetch", "shareFetch", "shareAcknowledge"],
  sharePartitions: [sharePartitions],
  limits: [
    "alterClientQuotas",
    "describeClientQuotas",
    "alterUserScramCredentials",
    "describeUserScramCredentials",
    "describeAcls",
    "createAcls",
    "deleteAcls",
    "createDelegationToken",
    "renewDelegationToken",
    "expireDelegationToken",
    "describeDelegationToken",
    "saslHandshake",
    "saslAuthenticate",
  ],
  replicas: [
    "alterReplicaLogDirs",
    "describeLogDirs",
    "electLeaders",
    "alterPartitionReassignments",
    "listPartitionReassignments",
    "updateFeatures",
    "describeQuorum",
    "addRaftVoter",
    "removeRaftVoter",
    "listConfigResources",
    "unregisterBroker",
  ],
  telemetry: ["getTelemetrySubscriptions", "getTelemetrySubscriptions", "pushTelemetry", "pushTelemetry"],
  states: [
    "initializeShareGroupState",
    "initializeShareGroupState",
    "readShareGroupState",
    "writeShareGroupState",
    "writeShareGroupState",
    "writeShareGroupState",
    "deleteShareGroupState",
    "readShareGroupStateSummary",
    "deleteTopics",
  ],
} as const satisfies Readonly<Record<string, readonly (ApiName | Story)[]>>;
