/** One row an API: a request, all that it takes to make it, and what is answered where one of these is missing. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import type { operations, ResourceKind } from "../../../src/access/acl.ts";
import { type Uuid, uuidZero } from "../../../src/base/ids.ts";
import type { ApiName, RequestInputOf, ResponseInputOf, ResponseOf } from "../../../src/protocol/api-table.ts";

export interface Need {
  readonly operation: keyof typeof operations;
  readonly kind: ResourceKind;
  readonly name: string;
  /** The answer to whoever has all the rest. */
  readonly denied: ErrorName;
}

interface Coded {
  readonly errorCode: number;
}

export type Row<Name extends ApiName> =
  | {
      readonly kind: "guarded";
      /** The newest where nothing is said. */
      readonly version?: number;
      /** `topicId` is of the topic `t`. */
      readonly request: (topicId: Uuid) => RequestInputOf<Name>;
      readonly needs: readonly Need[];
      readonly errors: (answer: ResponseOf<Name>) => readonly Coded[];
      /** The handler's answer to a request of which nothing is left. Without it the handler must not be asked at all. */
      readonly nothing?: ResponseInputOf<Name>;
    }
  | {
      /** Anybody may ask; the answer has what may be seen. */
      readonly kind: "filtered";
      readonly request: RequestInputOf<Name>;
      readonly answer: ResponseInputOf<Name>;
      readonly shown: (answer: ResponseOf<Name>) => readonly string[];
      readonly need: Omit<Need, "denied">;
    }
  /** The request reaches the handler as it is. */
  | { readonly kind: "open"; readonly why: string; readonly request: RequestInputOf<Name> };

export type Rows = { readonly [Name in ApiName]: readonly Row<Name>[] };

function need(operation: Need["operation"], kind: ResourceKind, name: string): Need {
  const denied: Readonly<Partial<Record<ResourceKind, ErrorName>>> = {
    topic: "TOPIC_AUTHORIZATION_FAILED",
    group: "GROUP_AUTHORIZATION_FAILED",
    cluster: "CLUSTER_AUTHORIZATION_FAILED",
    transactionalId: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
  };
  return { operation, kind, name, denied: denied[kind] as ErrorName };
}

const onCluster = (operation: Need["operation"]): Need => need(operation, "cluster", "kafka-cluster");
const itself = (answer: Coded): readonly Coded[] => [answer];
const stateResults = ({
  results,
}: {
  readonly results: readonly { readonly partitions: readonly Coded[] }[];
}): readonly Coded[] => results.flatMap(({ partitions }) => partitions);
const none = new Uint8Array(0);
const partitions = [{ partitionIndex: 0 }];
const readGroup = need("read", "group", "g");
const readTopic = need("read", "topic", "t");
const describeTopic = need("describe", "topic", "t");
const writeId = need("write", "transactionalId", "x");
const aclFilter = { resourceNameFilter: null, principalFilter: null, hostFilter: null };
const handlersOwn = "the handler knows whose it is";

export const rows: Rows = {
  produce: [
    {
      kind: "guarded",
      version: 12,
      request: () => ({
        transactionalId: "x",
        acks: -1,
        timeoutMs: 1,
        topicData: [{ name: "t", partitionData: [{ index: 0, records: none }] }],
      }),
      needs: [writeId, need("write", "topic", "t")],
      errors: ({ responses }) => responses.flatMap(({ partitionResponses }) => partitionResponses),
    },
    {
      kind: "guarded",
      request: (topicId) => ({
        acks: -1,
        timeoutMs: 1,
        topicData: [{ topicId, partitionData: [{ index: 0, records: none }] }],
      }),
      needs: [need("write", "topic", "t")],
      errors: ({ responses }) => responses.flatMap(({ partitionResponses }) => partitionResponses),
    },
  ],
  fetch: [
    {
      kind: "open",
      why: "a session remembers what a request does not name: fetch.test.ts",
      request: { maxWaitMs: 0, minBytes: 0, topics: [] },
    },
  ],
  listOffsets: [
    {
      kind: "guarded",
      request: () => ({
        replicaId: -1,
        isolationLevel: 0,
        topics: [{ name: "t", partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
        timeoutMs: 1,
      }),
      needs: [describeTopic],
      errors: ({ topics }) => topics.flatMap((topic) => topic.partitions),
      nothing: { topics: [] },
    },
  ],
  metadata: [
    {
      kind: "guarded",
      request: () => ({ topics: [{ name: "t" }] }),
      needs: [describeTopic],
      errors: ({ topics }) => topics,
      nothing: { brokers: [], controllerId: 1, topics: [] },
    },
    {
      kind: "guarded",
      request: (topicId) => ({ topics: [{ topicId, name: null }] }),
      needs: [describeTopic],
      errors: ({ topics }) => topics,
      nothing: { brokers: [], controllerId: 1, topics: [] },
    },
    {
      kind: "filtered",
      request: { topics: null },
      answer: {
        brokers: [],
        controllerId: 1,
        topics: [{ errorCode: 0, name: "t", topicId: uuidZero, isInternal: false, partitions: [] }],
      },
      shown: ({ topics }) => topics.map(({ name }) => name ?? ""),
      need: describeTopic,
    },
  ],
  offsetCommit: [
    {
      kind: "guarded",
      version: 9,
      request: () => ({
        groupId: "g",
        memberId: "",
        topics: [{ name: "t", partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }] }],
      }),
      needs: [readGroup, readTopic],
      errors: ({ topics }) => topics.flatMap((topic) => topic.partitions),
    },
    {
      kind: "guarded",
      request: (topicId) => ({
        groupId: "g",
        memberId: "",
        topics: [{ topicId, partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }] }],
      }),
      needs: [readGroup, readTopic],
      errors: ({ topics }) => topics.flatMap((topic) => topic.partitions),
    },
  ],
  offsetFetch: [
    {
      kind: "guarded",
      version: 1,
      request: () => ({ groupId: "g", topics: [{ name: "t", partitionIndexes: [0] }] }),
      needs: [need("describe", "group", "g"), describeTopic],
      errors: ({ topics }) => (topics ?? []).flatMap((topic) => topic.partitions),
      nothing: { topics: [] },
    },
    {
      kind: "guarded",
      version: 7,
      request: () => ({ groupId: "g", topics: null }),
      needs: [need("describe", "group", "g")],
      errors: itself,
    },
    {
      kind: "guarded",
      request: () => ({ groups: [{ groupId: "g", topics: null }] }),
      needs: [need("describe", "group", "g")],
      errors: ({ groups }) => groups,
    },
    {
      kind: "guarded",
      version: 9,
      request: () => ({ groups: [{ groupId: "g", topics: [{ name: "t", partitionIndexes: [0] }] }] }),
      needs: [describeTopic, need("describe", "group", "g")],
      errors: ({ groups }) => groups.flatMap((group) => [group, ...group.topics.flatMap((topic) => topic.partitions)]),
      nothing: { groups: [{ groupId: "g", topics: [] }] },
    },
  ],
  findCoordinator: [
    {
      kind: "guarded",
      request: () => ({ keyType: 0, coordinatorKeys: ["g"] }),
      needs: [need("describe", "group", "g")],
      errors: ({ coordinators }) => coordinators,
    },
    {
      kind: "guarded",
      version: 3,
      request: () => ({ keyType: 1, key: "x" }),
      needs: [need("describe", "transactionalId", "x")],
      errors: itself,
    },
    {
      kind: "guarded",
      request: () => ({ keyType: 2, coordinatorKeys: ["g:AAAAAAAAAAAAAAAAAAAAAA:0"] }),
      needs: [onCluster("clusterAction")],
      errors: ({ coordinators }) => coordinators,
    },
  ],
  joinGroup: [
    {
      kind: "guarded",
      request: () => ({ groupId: "g", sessionTimeoutMs: 1, memberId: "", protocolType: "consumer", protocols: [] }),
      needs: [readGroup],
      errors: itself,
    },
  ],
  heartbeat: [
    {
      kind: "guarded",
      request: () => ({ groupId: "g", generationId: 1, memberId: "m" }),
      needs: [readGroup],
      errors: itself,
    },
  ],
  leaveGroup: [{ kind: "guarded", request: () => ({ groupId: "g", members: [] }), needs: [readGroup], errors: itself }],
  syncGroup: [
    {
      kind: "guarded",
      request: () => ({ groupId: "g", generationId: 1, memberId: "m", assignments: [] }),
      needs: [readGroup],
      errors: itself,
    },
  ],
  describeGroups: [
    {
      kind: "guarded",
      request: () => ({ groups: ["g"], includeAuthorizedOperations: true }),
      needs: [need("describe", "group", "g")],
      errors: ({ groups }) => groups,
      nothing: { groups: [] },
    },
  ],
  listGroups: [
    {
      kind: "filtered",
      request: {},
      answer: { errorCode: 0, groups: [{ groupId: "g", protocolType: "consumer" }] },
      shown: ({ groups }) => groups.map(({ groupId }) => groupId),
      need: need("describe", "group", "g"),
    },
    {
      kind: "filtered",
      request: {},
      answer: { errorCode: 0, groups: [{ groupId: "g", protocolType: "consumer" }] },
      shown: ({ groups }) => groups.map(({ groupId }) => groupId),
      need: onCluster("describe"),
    },
  ],
  saslHandshake: [{ kind: "open", why: "the way in", request: { mechanism: "PLAIN" } }],
  apiVersions: [{ kind: "open", why: "the way in", request: { clientSoftwareName: "a", clientSoftwareVersion: "1" } }],
  createTopics: [
    {
      kind: "guarded",
      request: () => ({
        topics: [{ name: "new", numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
      }),
      needs: [need("create", "topic", "new")],
      errors: ({ topics }) => topics,
      nothing: { topics: [] },
    },
  ],
  deleteTopics: [
    {
      kind: "guarded",
      request: () => ({ topics: [{ name: "t", topicId: uuidZero }], timeoutMs: 1 }),
      needs: [need("delete", "topic", "t")],
      errors: ({ responses }) => responses,
      nothing: { responses: [] },
    },
    {
      kind: "guarded",
      request: (topicId) => ({ topics: [{ name: null, topicId }], timeoutMs: 1 }),
      needs: [need("delete", "topic", "t")],
      errors: ({ responses }) => responses,
      nothing: { responses: [] },
    },
    {
      kind: "guarded",
      version: 5,
      request: () => ({ topicNames: ["t"], timeoutMs: 1 }),
      needs: [need("delete", "topic", "t")],
      errors: ({ responses }) => responses,
      nothing: { responses: [] },
    },
    {
      kind: "guarded",
      request: (topicId) => ({ topics: [{ name: null, topicId }], timeoutMs: 1 }),
      needs: [{ ...onCluster("delete"), denied: "TOPIC_AUTHORIZATION_FAILED" }],
      errors: ({ responses }) => responses,
      nothing: { responses: [] },
    },
    {
      kind: "guarded",
      version: 5,
      request: () => ({ topicNames: ["t"], timeoutMs: 1 }),
      needs: [{ ...onCluster("delete"), denied: "TOPIC_AUTHORIZATION_FAILED" }],
      errors: ({ responses }) => responses,
      nothing: { responses: [] },
    },
  ],
  deleteRecords: [
    {
      kind: "guarded",
      request: () => ({ topics: [{ name: "t", partitions: [{ partitionIndex: 0, offset: 1 }] }], timeoutMs: 1 }),
      needs: [need("delete", "topic", "t")],
      errors: ({ topics }) => topics.flatMap((topic) => topic.partitions),
      nothing: { topics: [] },
    },
  ],
  initProducerId: [
    {
      kind: "guarded",
      request: () => ({ transactionalId: "x", transactionTimeoutMs: 1 }),
      needs: [writeId],
      errors: itself,
    },
    {
      kind: "guarded",
      request: () => ({ transactionalId: null, transactionTimeoutMs: 1 }),
      needs: [onCluster("idempotentWrite")],
      errors: itself,
    },
    {
      kind: "guarded",
      request: () => ({ transactionalId: null, transactionTimeoutMs: 1 }),
      needs: [{ ...need("write", "topic", "any"), denied: "CLUSTER_AUTHORIZATION_FAILED" }],
      errors: itself,
    },
  ],
  offsetForLeaderEpoch: [
    {
      kind: "guarded",
      request: () => ({ topics: [{ topic: "t", partitions: [{ partition: 0, leaderEpoch: 0 }] }] }),
      needs: [describeTopic],
      errors: ({ topics }) => topics.flatMap((topic) => topic.partitions),
      nothing: { topics: [] },
    },
    {
      kind: "guarded",
      request: () => ({ topics: [{ topic: "t", partitions: [{ partition: 0, leaderEpoch: 0 }] }] }),
      needs: [{ ...onCluster("clusterAction"), denied: "TOPIC_AUTHORIZATION_FAILED" }],
      errors: ({ topics }) => topics.flatMap((topic) => topic.partitions),
      nothing: { topics: [] },
    },
  ],
  addPartitionsToTxn: [
    {
      kind: "guarded",
      version: 3,
      request: () => ({
        transactionalId: "x",
        producerId: 1,
        producerEpoch: 0,
        topics: [{ name: "t", partitions: [0] }],
      }),
      needs: [writeId, need("write", "topic", "t")],
      errors: ({ resultsByTopic }) =>
        resultsByTopic.flatMap(({ resultsByPartition }) =>
          resultsByPartition.map(({ partitionErrorCode }) => ({ errorCode: partitionErrorCode })),
        ),
    },
    {
      kind: "guarded",
      request: () => ({ transactions: [] }),
      needs: [onCluster("clusterAction")],
      errors: itself,
    },
  ],
  addOffsetsToTxn: [
    {
      kind: "guarded",
      request: () => ({ transactionalId: "x", producerId: 1, producerEpoch: 0, groupId: "g" }),
      needs: [writeId, readGroup],
      errors: itself,
    },
  ],
  endTxn: [
    {
      kind: "guarded",
      request: () => ({ transactionalId: "x", producerId: 1, producerEpoch: 0, committed: true }),
      needs: [writeId],
      errors: itself,
    },
  ],
  writeTxnMarkers: [
    {
      kind: "guarded",
      version: 1,
      request: () => ({
        markers: [
          {
            producerId: 1,
            producerEpoch: 0,
            transactionResult: false,
            topics: [{ name: "t", partitionIndexes: [0] }],
            coordinatorEpoch: 0,
          },
        ],
      }),
      needs: [onCluster("clusterAction")],
      errors: ({ markers }) => markers.flatMap(({ topics }) => topics.flatMap((topic) => topic.partitions)),
    },
    {
      kind: "guarded",
      version: 1,
      request: () => ({
        markers: [
          {
            producerId: 1,
            producerEpoch: 0,
            transactionResult: false,
            topics: [{ name: "t", partitionIndexes: [0] }],
            coordinatorEpoch: 0,
          },
        ],
      }),
      needs: [onCluster("alter")],
      errors: ({ markers }) => markers.flatMap(({ topics }) => topics.flatMap((topic) => topic.partitions)),
    },
  ],
  txnOffsetCommit: [
    {
      kind: "guarded",
      request: () => ({
        transactionalId: "x",
        groupId: "g",
        producerId: 1,
        producerEpoch: 0,
        topics: [{ name: "t", partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: null }] }],
      }),
      needs: [writeId, readGroup, readTopic],
      errors: ({ topics }) => topics.flatMap((topic) => topic.partitions),
    },
  ],
  describeAcls: [
    {
      kind: "guarded",
      request: () => ({ ...aclFilter, resourceTypeFilter: 1, patternTypeFilter: 1, operation: 1, permissionType: 1 }),
      needs: [onCluster("describe")],
      errors: itself,
    },
  ],
  createAcls: [
    {
      kind: "guarded",
      request: () => ({
        creations: [
          {
            resourceType: 2,
            resourceName: "t",
            resourcePatternType: 3,
            principal: "User:a",
            host: "*",
            operation: 3,
            permissionType: 3,
          },
        ],
      }),
      needs: [onCluster("alter")],
      errors: ({ results }) => results,
    },
  ],
  deleteAcls: [
    {
      kind: "guarded",
      request: () => ({
        filters: [{ ...aclFilter, resourceTypeFilter: 1, patternTypeFilter: 1, operation: 1, permissionType: 1 }],
      }),
      needs: [onCluster("alter")],
      errors: ({ filterResults }) => filterResults,
    },
  ],
  describeConfigs: [
    {
      kind: "guarded",
      request: () => ({ resources: [{ resourceType: 2, resourceName: "t", configurationKeys: null }] }),
      needs: [need("describeConfigs", "topic", "t")],
      errors: ({ results }) => results,
      nothing: { results: [] },
    },
    {
      kind: "guarded",
      request: () => ({ resources: [{ resourceType: 4, resourceName: "1", configurationKeys: null }] }),
      needs: [onCluster("describeConfigs")],
      errors: ({ results }) => results,
      nothing: { results: [] },
    },
    {
      kind: "guarded",
      request: () => ({ resources: [{ resourceType: 32, resourceName: "g", configurationKeys: null }] }),
      needs: [need("describeConfigs", "group", "g")],
      errors: ({ results }) => results,
      nothing: { results: [] },
    },
  ],
  alterConfigs: [
    {
      kind: "guarded",
      request: () => ({ resources: [{ resourceType: 2, resourceName: "t", configs: [] }], validateOnly: false }),
      needs: [need("alterConfigs", "topic", "t")],
      errors: ({ responses }) => responses,
      nothing: { responses: [] },
    },
  ],
  incrementalAlterConfigs: [
    {
      kind: "guarded",
      request: () => ({ resources: [{ resourceType: 4, resourceName: "1", configs: [] }], validateOnly: false }),
      needs: [onCluster("alterConfigs")],
      errors: ({ responses }) => responses,
      nothing: { responses: [] },
    },
    {
      kind: "guarded",
      request: () => ({ resources: [{ resourceType: 32, resourceName: "g", configs: [] }], validateOnly: false }),
      needs: [need("alterConfigs", "group", "g")],
      errors: ({ responses }) => responses,
      nothing: { responses: [] },
    },
  ],
  alterReplicaLogDirs: [
    {
      kind: "guarded",
      request: () => ({ dirs: [{ path: "/", topics: [{ name: "t", partitions: [0] }] }] }),
      needs: [onCluster("alter")],
      errors: ({ results }) => results.flatMap((topic) => topic.partitions),
    },
  ],
  describeLogDirs: [
    { kind: "guarded", request: () => ({ topics: null }), needs: [onCluster("describe")], errors: itself },
  ],
  saslAuthenticate: [{ kind: "open", why: "the way in", request: { authBytes: none } }],
  createPartitions: [
    {
      kind: "guarded",
      request: () => ({
        topics: [{ name: "t", count: 5, assignments: null }],
        timeoutMs: 1,
        validateOnly: false,
      }),
      needs: [need("alter", "topic", "t")],
      errors: ({ results }) => results,
      nothing: { results: [] },
    },
  ],
  createDelegationToken: [{ kind: "open", why: handlersOwn, request: { renewers: [], maxLifetimeMs: 1 } }],
  renewDelegationToken: [{ kind: "open", why: handlersOwn, request: { hmac: none, renewPeriodMs: 1 } }],
  expireDelegationToken: [{ kind: "open", why: handlersOwn, request: { hmac: none, expiryTimePeriodMs: 1 } }],
  describeDelegationToken: [{ kind: "open", why: handlersOwn, request: { owners: null } }],
  deleteGroups: [
    {
      kind: "guarded",
      request: () => ({ groupsNames: ["g"] }),
      needs: [need("delete", "group", "g")],
      errors: ({ results }) => results,
      nothing: { results: [] },
    },
  ],
  electLeaders: [
    {
      kind: "guarded",
      request: () => ({ electionType: 0, topicPartitions: null, timeoutMs: 1 }),
      needs: [onCluster("alter")],
      errors: itself,
    },
  ],
  alterPartitionReassignments: [
    {
      kind: "guarded",
      request: () => ({ timeoutMs: 1, topics: [] }),
      needs: [onCluster("alter")],
      errors: itself,
    },
  ],
  listPartitionReassignments: [
    {
      kind: "guarded",
      request: () => ({ timeoutMs: 1, topics: null }),
      needs: [onCluster("describe")],
      errors: itself,
    },
  ],
  offsetDelete: [
    {
      kind: "guarded",
      request: () => ({ groupId: "g", topics: [{ name: "t", partitions }] }),
      needs: [need("delete", "group", "g"), readTopic],
      errors: (answer) => [answer, ...answer.topics.flatMap((topic) => topic.partitions)],
      nothing: { errorCode: 0, topics: [] },
    },
  ],
  describeClientQuotas: [
    {
      kind: "guarded",
      request: () => ({ components: [], strict: false }),
      needs: [onCluster("describeConfigs")],
      errors: itself,
    },
  ],
  alterClientQuotas: [
    {
      kind: "guarded",
      request: () => ({
        entries: [{ entity: [{ entityType: "user", entityName: "a" }], ops: [] }],
        validateOnly: true,
      }),
      needs: [onCluster("alterConfigs")],
      errors: ({ entries }) => entries,
    },
  ],
  describeUserScramCredentials: [
    { kind: "guarded", request: () => ({ users: null }), needs: [onCluster("describe")], errors: itself },
  ],
  alterUserScramCredentials: [
    {
      kind: "guarded",
      request: () => ({ deletions: [{ name: "a", mechanism: 1 }], upsertions: [] }),
      needs: [onCluster("alter")],
      errors: ({ results }) => results,
    },
  ],
  describeQuorum: [
    { kind: "guarded", request: () => ({ topics: [] }), needs: [onCluster("describe")], errors: itself },
  ],
  updateFeatures: [
    { kind: "guarded", request: () => ({ featureUpdates: [] }), needs: [onCluster("alter")], errors: itself },
  ],
  describeCluster: [
    {
      kind: "open",
      why: "clients find brokers by it; operations that are asked for: guard.test.ts",
      request: { includeClusterAuthorizedOperations: false },
    },
  ],
  describeProducers: [
    {
      kind: "guarded",
      request: () => ({ topics: [{ name: "t", partitionIndexes: [0] }] }),
      needs: [readTopic],
      errors: ({ topics }) => topics.flatMap((topic) => topic.partitions),
      nothing: { topics: [] },
    },
  ],
  describeTransactions: [
    {
      kind: "guarded",
      request: () => ({ transactionalIds: ["x"] }),
      needs: [need("describe", "transactionalId", "x")],
      errors: ({ transactionStates }) => transactionStates,
      nothing: { transactionStates: [] },
    },
  ],
  listTransactions: [
    {
      kind: "filtered",
      request: { stateFilters: [], producerIdFilters: [] },
      answer: {
        errorCode: 0,
        unknownStateFilters: [],
        transactionStates: [{ transactionalId: "x", producerId: 1, transactionState: "Empty" }],
      },
      shown: ({ transactionStates }) => transactionStates.map(({ transactionalId }) => transactionalId),
      need: need("describe", "transactionalId", "x"),
    },
  ],
  consumerGroupHeartbeat: [
    {
      kind: "guarded",
      request: () => ({ groupId: "g", memberId: "m", memberEpoch: 0, subscribedTopicNames: ["t"] }),
      needs: [readGroup, describeTopic],
      errors: itself,
    },
  ],
  consumerGroupDescribe: [
    {
      kind: "guarded",
      request: () => ({ groupIds: ["g"], includeAuthorizedOperations: false }),
      needs: [need("describe", "group", "g")],
      errors: ({ groups }) => groups,
      nothing: { groups: [] },
    },
  ],
  getTelemetrySubscriptions: [
    { kind: "open", why: "clients speak of themselves", request: { clientInstanceId: uuidZero } },
  ],
  pushTelemetry: [
    {
      kind: "open",
      why: "clients speak of themselves",
      request: { clientInstanceId: uuidZero, subscriptionId: 1, terminating: false, compressionType: 0, metrics: none },
    },
  ],
  listConfigResources: [
    { kind: "guarded", request: () => ({ resourceTypes: [] }), needs: [onCluster("describeConfigs")], errors: itself },
  ],
  describeTopicPartitions: [
    {
      kind: "guarded",
      request: () => ({ topics: [{ name: "t" }], responsePartitionLimit: 10, cursor: null }),
      needs: [describeTopic],
      errors: ({ topics }) => topics,
    },
  ],
  shareGroupHeartbeat: [
    {
      kind: "guarded",
      request: () => ({ groupId: "g", memberId: "m", memberEpoch: 0, subscribedTopicNames: ["t"] }),
      needs: [readGroup, describeTopic],
      errors: itself,
    },
  ],
  shareGroupDescribe: [
    {
      kind: "guarded",
      request: () => ({ groupIds: ["g"], includeAuthorizedOperations: false }),
      needs: [need("describe", "group", "g")],
      errors: ({ groups }) => groups,
      nothing: { groups: [] },
    },
  ],
  shareFetch: [
    {
      kind: "guarded",
      request: (topicId) => ({
        groupId: "g",
        memberId: "m",
        shareSessionEpoch: 0,
        maxWaitMs: 0,
        minBytes: 0,
        maxBytes: 1,
        maxRecords: 1,
        batchSize: 1,
        topics: [{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches: [] }] }],
        forgottenTopicsData: [],
      }),
      needs: [readGroup, readTopic],
      errors: (answer) => [answer, ...answer.responses.flatMap((topic) => topic.partitions)],
      nothing: { errorCode: 0, responses: [] },
    },
  ],
  shareAcknowledge: [
    {
      kind: "guarded",
      request: (topicId) => ({
        groupId: "g",
        memberId: "m",
        shareSessionEpoch: 1,
        topics: [{ topicId, partitions: [{ partitionIndex: 0, acknowledgementBatches: [] }] }],
      }),
      needs: [readGroup, readTopic],
      errors: (answer) => [answer, ...answer.responses.flatMap((topic) => topic.partitions)],
      nothing: { errorCode: 0, responses: [] },
    },
  ],
  addRaftVoter: [
    {
      kind: "guarded",
      request: () => ({
        clusterId: null,
        timeoutMs: 1,
        voterId: 1,
        voterDirectoryId: uuidZero,
        listeners: [],
      }),
      needs: [onCluster("alter")],
      errors: itself,
    },
  ],
  removeRaftVoter: [
    {
      kind: "guarded",
      request: () => ({ clusterId: null, voterId: 1, voterDirectoryId: uuidZero }),
      needs: [onCluster("alter")],
      errors: itself,
    },
  ],
  unregisterBroker: [
    { kind: "guarded", request: () => ({ brokerId: 9 }), needs: [onCluster("alter")], errors: itself },
  ],
  initializeShareGroupState: [
    {
      kind: "guarded",
      request: (topicId) => ({
        groupId: "g",
        topics: [{ topicId, partitions: [{ partition: 0, stateEpoch: 0, startOffset: 0 }] }],
      }),
      needs: [onCluster("clusterAction")],
      errors: stateResults,
    },
  ],
  readShareGroupState: [
    {
      kind: "guarded",
      request: (topicId) => ({ groupId: "g", topics: [{ topicId, partitions: [{ partition: 0, leaderEpoch: 0 }] }] }),
      needs: [onCluster("clusterAction")],
      errors: stateResults,
    },
  ],
  writeShareGroupState: [
    {
      kind: "guarded",
      request: (topicId) => ({
        groupId: "g",
        topics: [
          {
            topicId,
            partitions: [
              {
                partition: 0,
                stateEpoch: 0,
                leaderEpoch: 0,
                startOffset: 0,
                deliveryCompleteCount: 0,
                stateBatches: [],
              },
            ],
          },
        ],
      }),
      needs: [onCluster("clusterAction")],
      errors: stateResults,
    },
  ],
  deleteShareGroupState: [
    {
      kind: "guarded",
      request: (topicId) => ({ groupId: "g", topics: [{ topicId, partitions: [{ partition: 0 }] }] }),
      needs: [onCluster("clusterAction")],
      errors: stateResults,
    },
  ],
  readShareGroupStateSummary: [
    {
      kind: "guarded",
      request: (topicId) => ({ groupId: "g", topics: [{ topicId, partitions: [{ partition: 0, leaderEpoch: 0 }] }] }),
      needs: [onCluster("clusterAction")],
      errors: stateResults,
    },
  ],
  streamsGroupHeartbeat: [
    {
      kind: "guarded",
      request: () => ({
        groupId: "g",
        memberId: "m",
        memberEpoch: 0,
        topology: {
          epoch: 0,
          subtopologies: [
            {
              subtopologyId: "0",
              sourceTopics: ["t"],
              sourceTopicRegex: [],
              stateChangelogTopics: [],
              repartitionSinkTopics: [],
              repartitionSourceTopics: [],
              copartitionGroups: [],
            },
          ],
        },
      }),
      needs: [readGroup, describeTopic],
      errors: itself,
    },
  ],
  streamsGroupDescribe: [
    {
      kind: "guarded",
      request: () => ({ groupIds: ["g"] }),
      needs: [need("describe", "group", "g")],
      errors: ({ groups }) => groups,
      nothing: { groups: [] },
    },
  ],
  describeShareGroupOffsets: [
    {
      kind: "guarded",
      request: () => ({ groups: [{ groupId: "g", topics: [{ topicName: "t", partitions: [0] }] }] }),
      needs: [describeTopic, need("describe", "group", "g")],
      errors: ({ groups }) => groups.flatMap((group) => [group, ...group.topics.flatMap((topic) => topic.partitions)]),
      nothing: { groups: [{ groupId: "g", topics: [] }] },
    },
  ],
  alterShareGroupOffsets: [
    {
      kind: "guarded",
      request: () => ({
        groupId: "g",
        topics: [{ topicName: "t", partitions: [{ partitionIndex: 0, startOffset: 1 }] }],
      }),
      needs: [readGroup, readTopic],
      errors: (answer) => [answer, ...answer.responses.flatMap((topic) => topic.partitions)],
      nothing: { errorCode: 0, responses: [] },
    },
  ],
  deleteShareGroupOffsets: [
    {
      kind: "guarded",
      request: () => ({ groupId: "g", topics: [{ topicName: "t" }] }),
      needs: [need("delete", "group", "g"), readTopic],
      errors: (answer) => [answer, ...answer.responses],
      nothing: { errorCode: 0, responses: [] },
    },
  ],
};
