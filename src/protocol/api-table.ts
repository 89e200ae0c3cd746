/** Every API we have words for: the one table behind ApiVersions, the frame decoder and the types of handlers. */

import {
  createAclsRequest,
  createAclsResponse,
  deleteAclsRequest,
  deleteAclsResponse,
  describeAclsRequest,
  describeAclsResponse,
} from "../../schemas/kafka/acls.ts";
import { apiVersionsRequest, apiVersionsResponse } from "../../schemas/kafka/api-versions.ts";
import {
  alterClientQuotasRequest,
  alterClientQuotasResponse,
  describeClientQuotasRequest,
  describeClientQuotasResponse,
} from "../../schemas/kafka/client-quotas.ts";
import {
  getTelemetrySubscriptionsRequest,
  getTelemetrySubscriptionsResponse,
  pushTelemetryRequest,
  pushTelemetryResponse,
} from "../../schemas/kafka/client-telemetry.ts";
import {
  alterConfigsRequest,
  alterConfigsResponse,
  describeConfigsRequest,
  describeConfigsResponse,
  incrementalAlterConfigsRequest,
  incrementalAlterConfigsResponse,
  listConfigResourcesRequest,
  listConfigResourcesResponse,
} from "../../schemas/kafka/configs.ts";
import {
  consumerGroupDescribeRequest,
  consumerGroupDescribeResponse,
  consumerGroupHeartbeatRequest,
  consumerGroupHeartbeatResponse,
} from "../../schemas/kafka/consumer-group.ts";
import {
  createDelegationTokenRequest,
  createDelegationTokenResponse,
  describeDelegationTokenRequest,
  describeDelegationTokenResponse,
  expireDelegationTokenRequest,
  expireDelegationTokenResponse,
  renewDelegationTokenRequest,
  renewDelegationTokenResponse,
} from "../../schemas/kafka/delegation-tokens.ts";
import { fetchRequest, fetchResponse } from "../../schemas/kafka/fetch.ts";
import { findCoordinatorRequest, findCoordinatorResponse } from "../../schemas/kafka/find-coordinator.ts";
import {
  deleteGroupsRequest,
  deleteGroupsResponse,
  describeGroupsRequest,
  describeGroupsResponse,
  listGroupsRequest,
  listGroupsResponse,
} from "../../schemas/kafka/group-admin.ts";
import {
  heartbeatRequest,
  heartbeatResponse,
  joinGroupRequest,
  joinGroupResponse,
  leaveGroupRequest,
  leaveGroupResponse,
  syncGroupRequest,
  syncGroupResponse,
} from "../../schemas/kafka/group-membership.ts";
import {
  offsetCommitRequest,
  offsetCommitResponse,
  offsetDeleteRequest,
  offsetDeleteResponse,
  offsetFetchRequest,
  offsetFetchResponse,
} from "../../schemas/kafka/group-offsets.ts";
import {
  listOffsetsRequest,
  listOffsetsResponse,
  offsetForLeaderEpochRequest,
  offsetForLeaderEpochResponse,
} from "../../schemas/kafka/list-offsets.ts";
import {
  describeClusterRequest,
  describeClusterResponse,
  describeTopicPartitionsRequest,
  describeTopicPartitionsResponse,
  metadataRequest,
  metadataResponse,
} from "../../schemas/kafka/metadata.ts";
import {
  initProducerIdRequest,
  initProducerIdResponse,
  produceRequest,
  produceResponse,
} from "../../schemas/kafka/produce.ts";
import {
  addRaftVoterRequest,
  addRaftVoterResponse,
  describeQuorumRequest,
  describeQuorumResponse,
  removeRaftVoterRequest,
  removeRaftVoterResponse,
  updateFeaturesRequest,
  updateFeaturesResponse,
} from "../../schemas/kafka/quorum.ts";
import {
  alterPartitionReassignmentsRequest,
  alterPartitionReassignmentsResponse,
  alterReplicaLogDirsRequest,
  alterReplicaLogDirsResponse,
  describeLogDirsRequest,
  describeLogDirsResponse,
  electLeadersRequest,
  electLeadersResponse,
  listPartitionReassignmentsRequest,
  listPartitionReassignmentsResponse,
} from "../../schemas/kafka/replicas.ts";
import {
  saslAuthenticateRequest,
  saslAuthenticateResponse,
  saslHandshakeRequest,
  saslHandshakeResponse,
} from "../../schemas/kafka/sasl.ts";
import {
  alterUserScramCredentialsRequest,
  alterUserScramCredentialsResponse,
  describeUserScramCredentialsRequest,
  describeUserScramCredentialsResponse,
} from "../../schemas/kafka/scram-credentials.ts";
import {
  shareAcknowledgeRequest,
  shareAcknowledgeResponse,
  shareFetchRequest,
  shareFetchResponse,
} from "../../schemas/kafka/share-fetch.ts";
import {
  shareGroupDescribeRequest,
  shareGroupDescribeResponse,
  shareGroupHeartbeatRequest,
  shareGroupHeartbeatResponse,
} from "../../schemas/kafka/share-group.ts";
import {
  alterShareGroupOffsetsRequest,
  alterShareGroupOffsetsResponse,
  deleteShareGroupOffsetsRequest,
  deleteShareGroupOffsetsResponse,
  describeShareGroupOffsetsRequest,
  describeShareGroupOffsetsResponse,
} from "../../schemas/kafka/share-offsets.ts";
import {
  deleteShareGroupStateRequest,
  deleteShareGroupStateResponse,
  initializeShareGroupStateRequest,
  initializeShareGroupStateResponse,
  readShareGroupStateRequest,
  readShareGroupStateResponse,
  readShareGroupStateSummaryRequest,
  readShareGroupStateSummaryResponse,
  writeShareGroupStateRequest,
  writeShareGroupStateResponse,
} from "../../schemas/kafka/share-state.ts";
import {
  streamsGroupDescribeRequest,
  streamsGroupDescribeResponse,
  streamsGroupHeartbeatRequest,
  streamsGroupHeartbeatResponse,
} from "../../schemas/kafka/streams-group.ts";
import {
  createPartitionsRequest,
  createPartitionsResponse,
  createTopicsRequest,
  createTopicsResponse,
  deleteRecordsRequest,
  deleteRecordsResponse,
  deleteTopicsRequest,
  deleteTopicsResponse,
} from "../../schemas/kafka/topics.ts";
import {
  describeProducersRequest,
  describeProducersResponse,
  describeTransactionsRequest,
  describeTransactionsResponse,
  listTransactionsRequest,
  listTransactionsResponse,
} from "../../schemas/kafka/transaction-admin.ts";
import {
  addOffsetsToTxnRequest,
  addOffsetsToTxnResponse,
  addPartitionsToTxnRequest,
  addPartitionsToTxnResponse,
  endTxnRequest,
  endTxnResponse,
  txnOffsetCommitRequest,
  txnOffsetCommitResponse,
  writeTxnMarkersRequest,
  writeTxnMarkersResponse,
} from "../../schemas/kafka/transactions.ts";
import { unregisterBrokerRequest, unregisterBrokerResponse } from "../../schemas/kafka/unregister-broker.ts";
import type { Infer, InferInput, Message } from "../base/codec.ts";
import { assert } from "../base/errors.ts";

export interface Api<Req, ReqInput, Res, ResInput> {
  readonly key: number;
  readonly request: Message<Req, ReqInput>;
  readonly response: Message<Res, ResInput>;
  /** What ApiVersions says; it differs from what is read only where clients need it to. */
  readonly advertised: readonly [min: number, max: number];
  readonly responseHeader: (version: number) => 0 | 1;
}

export const apis = {
  // librdkafka turns compression off unless 0 is advertised (KAFKA-18659); versions 0 to 2 are refused all the same.
  produce: api(0, produceRequest, produceResponse, { advertisedMin: 0 }),
  fetch: api(1, fetchRequest, fetchResponse),
  listOffsets: api(2, listOffsetsRequest, listOffsetsResponse),
  metadata: api(3, metadataRequest, metadataResponse),
  offsetCommit: api(8, offsetCommitRequest, offsetCommitResponse),
  offsetFetch: api(9, offsetFetchRequest, offsetFetchResponse),
  findCoordinator: api(10, findCoordinatorRequest, findCoordinatorResponse),
  joinGroup: api(11, joinGroupRequest, joinGroupResponse),
  heartbeat: api(12, heartbeatRequest, heartbeatResponse),
  leaveGroup: api(13, leaveGroupRequest, leaveGroupResponse),
  syncGroup: api(14, syncGroupRequest, syncGroupResponse),
  describeGroups: api(15, describeGroupsRequest, describeGroupsResponse),
  listGroups: api(16, listGroupsRequest, listGroupsResponse),
  saslHandshake: api(17, saslHandshakeRequest, saslHandshakeResponse),
  // A client that does not know the broker's version yet must be able to read the header: it never becomes flexible.
  apiVersions: api(18, apiVersionsRequest, apiVersionsResponse, { responseHeader: 0 }),
  createTopics: api(19, createTopicsRequest, createTopicsResponse),
  deleteTopics: api(20, deleteTopicsRequest, deleteTopicsResponse),
  deleteRecords: api(21, deleteRecordsRequest, deleteRecordsResponse),
  initProducerId: api(22, initProducerIdRequest, initProducerIdResponse),
  offsetForLeaderEpoch: api(23, offsetForLeaderEpochRequest, offsetForLeaderEpochResponse),
  addPartitionsToTxn: api(24, addPartitionsToTxnRequest, addPartitionsToTxnResponse),
  addOffsetsToTxn: api(25, addOffsetsToTxnRequest, addOffsetsToTxnResponse),
  endTxn: api(26, endTxnRequest, endTxnResponse),
  writeTxnMarkers: api(27, writeTxnMarkersRequest, writeTxnMarkersResponse),
  txnOffsetCommit: api(28, txnOffsetCommitRequest, txnOffsetCommitResponse),
  describeAcls: api(29, describeAclsRequest, describeAclsResponse),
  createAcls: api(30, createAclsRequest, createAclsResponse),
  deleteAcls: api(31, deleteAclsRequest, deleteAclsResponse),
  describeConfigs: api(32, describeConfigsRequest, describeConfigsResponse),
  alterConfigs: api(33, alterConfigsRequest, alterConfigsResponse),
  alterReplicaLogDirs: api(34, alterReplicaLogDirsRequest, alterReplicaLogDirsResponse),
  describeLogDirs: api(35, describeLogDirsRequest, describeLogDirsResponse),
  saslAuthenticate: api(36, saslAuthenticateRequest, saslAuthenticateResponse),
  createPartitions: api(37, createPartitionsRequest, createPartitionsResponse),
  createDelegationToken: api(38, createDelegationTokenRequest, createDelegationTokenResponse),
  renewDelegationToken: api(39, renewDelegationTokenRequest, renewDelegationTokenResponse),
  expireDelegationToken: api(40, expireDelegationTokenRequest, expireDelegationTokenResponse),
  describeDelegationToken: api(41, describeDelegationTokenRequest, describeDelegationTokenResponse),
  deleteGroups: api(42, deleteGroupsRequest, deleteGroupsResponse),
  electLeaders: api(43, electLeadersRequest, electLeadersResponse),
  incrementalAlterConfigs: api(44, incrementalAlterConfigsRequest, incrementalAlterConfigsResponse),
  alterPartitionReassignments: api(45, alterPartitionReassignmentsRequest, alterPartitionReassignmentsResponse),
  listPartitionReassignments: api(46, listPartitionReassignmentsRequest, listPartitionReassignmentsResponse),
  offsetDelete: api(47, offsetDeleteRequest, offsetDeleteResponse),
  describeClientQuotas: api(48, describeClientQuotasRequest, describeClientQuotasResponse),
  alterClientQuotas: api(49, alterClientQuotasRequest, alterClientQuotasResponse),
  describeUserScramCredentials: api(50, describeUserScramCredentialsRequest, describeUserScramCredentialsResponse),
  alterUserScramCredentials: api(51, alterUserScramCredentialsRequest, alterUserScramCredentialsResponse),
  describeQuorum: api(55, describeQuorumRequest, describeQuorumResponse),
  updateFeatures: api(57, updateFeaturesRequest, updateFeaturesResponse),
  describeCluster: api(60, describeClusterRequest, describeClusterResponse),
  describeProducers: api(61, describeProducersRequest, describeProducersResponse),
  unregisterBroker: api(64, unregisterBrokerRequest, unregisterBrokerResponse),
  describeTransactions: api(65, describeTransactionsRequest, describeTransactionsResponse),
  listTransactions: api(66, listTransactionsRequest, listTransactionsResponse),
  consumerGroupHeartbeat: api(68, consumerGroupHeartbeatRequest, consumerGroupHeartbeatResponse),
  consumerGroupDescribe: api(69, consumerGroupDescribeRequest, consumerGroupDescribeResponse),
  getTelemetrySubscriptions: api(71, getTelemetrySubscriptionsRequest, getTelemetrySubscriptionsResponse),
  pushTelemetry: api(72, pushTelemetryRequest, pushTelemetryResponse),
  listConfigResources: api(74, listConfigResourcesRequest, listConfigResourcesResponse),
  describeTopicPartitions: api(75, describeTopicPartitionsRequest, describeTopicPartitionsResponse),
  shareGroupHeartbeat: api(76, shareGroupHeartbeatRequest, shareGroupHeartbeatResponse),
  shareGroupDescribe: api(77, shareGroupDescribeRequest, shareGroupDescribeResponse),
  shareFetch: api(78, shareFetchRequest, shareFetchResponse),
  shareAcknowledge: api(79, shareAcknowledgeRequest, shareAcknowledgeResponse),
  initializeShareGroupState: api(83, initializeShareGroupStateRequest, initializeShareGroupStateResponse),
  readShareGroupState: api(84, readShareGroupStateRequest, readShareGroupStateResponse),
  writeShareGroupState: api(85, writeShareGroupStateRequest, writeShareGroupStateResponse),
  deleteShareGroupState: api(86, deleteShareGroupStateRequest, deleteShareGroupStateResponse),
  readShareGroupStateSummary: api(87, readShareGroupStateSummaryRequest, readShareGroupStateSummaryResponse),
  streamsGroupHeartbeat: api(88, streamsGroupHeartbeatRequest, streamsGroupHeartbeatResponse),
  streamsGroupDescribe: api(89, streamsGroupDescribeRequest, streamsGroupDescribeResponse),
  describeShareGroupOffsets: api(90, describeShareGroupOffsetsRequest, describeShareGroupOffsetsResponse),
  alterShareGroupOffsets: api(91, alterShareGroupOffsetsRequest, alterShareGroupOffsetsResponse),
  deleteShareGroupOffsets: api(92, deleteShareGroupOffsetsRequest, deleteShareGroupOffsetsResponse),
  addRaftVoter: api(80, addRaftVoterRequest, addRaftVoterResponse),
  removeRaftVoter: api(81, removeRaftVoterRequest, removeRaftVoterResponse),
} as const;

export type ApiName = keyof typeof apis;
/** What decoding a request gives. */
export type RequestOf<Name extends ApiName> = Infer<(typeof apis)[Name]["request"]>;
/** What encoding a request takes: fields with a default may be left out. */
export type RequestInputOf<Name extends ApiName> = InferInput<(typeof apis)[Name]["request"]>;
/** What decoding a response gives. */
export type ResponseOf<Name extends ApiName> = Infer<(typeof apis)[Name]["response"]>;
/** What a handler answers: fields with a default may be left out. */
export type ResponseInputOf<Name extends ApiName> = InferInput<(typeof apis)[Name]["response"]>;

export const apiNames = Object.keys(apis) as readonly ApiName[];

const nameByKey = new Map(apiNames.map((name) => [apis[name].key, name]));
assert(nameByKey.size === apiNames.length, "two APIs have one key");

export function apiNameOf(key: number): ApiName | undefined {
  return nameByKey.get(key);
}

/** The body of an ApiVersions response: only what has a handler is spoken of. */
export function advertised(
  served: Iterable<ApiName>,
): readonly { readonly apiKey: number; readonly minVersion: number; readonly maxVersion: number }[] {
  return [...served]
    .map((name) => apis[name])
    .sort((a, b) => a.key - b.key)
    .map(({ key, advertised: [minVersion, maxVersion] }) => ({ apiKey: key, minVersion, maxVersion }));
}

function api<Req, ReqInput, Res, ResInput>(
  key: number,
  request: Message<Req, ReqInput>,
  response: Message<Res, ResInput>,
  exception: { readonly advertisedMin?: number; readonly responseHeader?: 0 } = {},
): Api<Req, ReqInput, Res, ResInput> {
  assert(request.versions.join() === response.versions.join(), `${request.name} and its response differ in versions`);
  const flexible = response.flexible ?? Number.POSITIVE_INFINITY;
  return {
    key,
    request,
    response,
    advertised: [exception.advertisedMin ?? request.versions[0], request.versions[1]],
    responseHeader: (version) => exception.responseHeader ?? (version >= flexible ? 1 : 0),
  };
}
