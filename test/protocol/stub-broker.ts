/** Answers that satisfy a stock client: one topic "t" of one partition and one group "g", whose state is a few variables.
 *  It proves that real clients read what we encode; it proves nothing about a broker. */

import type { Offset, Uuid } from "../../src/base/ids.ts";
import { advertised, apiNames } from "../../src/protocol/api-table.ts";
import type { Handlers } from "../../src/protocol/dispatch.ts";
import { BatchView, patchBatch, splitBatches } from "../../src/protocol/record-batch.ts";

export interface StubOptions {
  readonly address: () => { readonly host: string; readonly port: number };
  /** Advertises each API up to so many versions below its newest, so that clients speak older ones. */
  readonly versionsBelow: number;
}

const topicId = "0a0b0c0d-0000-4000-8000-000000000001" as Uuid;
const nodeId = 1;

export function stubHandlers({ address, versionsBelow }: StubOptions): Handlers {
  const batches: Uint8Array[] = [];
  let end = 0;
  let committed = -1;
  let generation = 0;
  let memberCount = 0;
  const offsetsCommitted = { partitionIndex: 0, committedLeaderEpoch: -1, metadata: "", errorCode: 0 };
  const members = new Map<string, Uint8Array>();
  const assignments = new Map<string, Uint8Array>();
  const named = { name: "t", topicId };

  return {
    apiVersions: async () => ({
      errorCode: 0,
      apiKeys: advertised(apiNames).map((api) => ({
        ...api,
        maxVersion: api.apiKey === 18 ? api.maxVersion : Math.max(api.minVersion, api.maxVersion - versionsBelow),
      })),
    }),
    metadata: async () => ({
      brokers: [{ nodeId, ...address() }],
      clusterId: "stub",
      controllerId: nodeId,
      topics: [
        {
          ...named,
          errorCode: 0,
          partitions: [
            {
              errorCode: 0,
              partitionIndex: 0,
              leaderId: nodeId,
              leaderEpoch: 0,
              replicaNodes: [nodeId],
              isrNodes: [nodeId],
            },
          ],
        },
      ],
    }),
    describeCluster: async () => ({
      errorCode: 0,
      clusterId: "stub",
      controllerId: nodeId,
      brokers: [{ brokerId: nodeId, ...address() }],
    }),
    describeTopicPartitions: async () => ({ topics: [] }),
    initProducerId: async () => ({ errorCode: 0, producerId: 7, producerEpoch: 0 }),
    produce: async (request) => {
      for (const { records } of request.topicData.flatMap((topic) => topic.partitionData)) {
        const batch = Uint8Array.from(splitBatches(records ?? new Uint8Array(0))[0] as Uint8Array);
        patchBatch(batch, { baseOffset: end as Offset, leaderEpoch: 0 });
        batches.push(batch);
        end = new BatchView(batch).nextOffset;
      }
      if (request.acks === 0) return "no-response";
      return { responses: [{ ...named, partitionResponses: [{ index: 0, errorCode: 0, baseOffset: end - 1 }] }] };
    },
    fetch: async (request) => {
      const from = request.topics[0]?.partitions[0]?.fetchOffset ?? 0;
      const records = batches.filter((batch) => new BatchView(batch).nextOffset > from);
      const partition = {
        partitionIndex: 0,
        errorCode: 0,
        highWatermark: end,
        lastStableOffset: end,
        logStartOffset: 0,
      };
      return {
        responses: [{ topic: "t", topicId, partitions: [{ ...partition, abortedTransactions: null, records }] }],
      };
    },
    listOffsets: async (request) => ({
      topics: request.topics.map((topic) => ({
        name: topic.name,
        partitions: topic.partitions.map(({ partitionIndex, timestamp }) => ({
          partitionIndex,
          errorCode: 0,
          offset: timestamp === -2 ? 0 : end,
        })),
      })),
    }),
    offsetForLeaderEpoch: async () => ({
      topics: [{ topic: "t", partitions: [{ errorCode: 0, partition: 0, leaderEpoch: 0, endOffset: end }] }],
    }),
    findCoordinator: async (request) => ({
      nodeId,
      ...address(),
      errorCode: 0,
      coordinators: request.coordinatorKeys.map((key) => ({
        key,
        nodeId,
        ...address(),
        errorCode: 0,
        errorMessage: null,
      })),
    }),
    joinGroup: async (request) => {
      const memberId = request.memberId === "" ? `member-${memberCount++}` : request.memberId;
      const [protocol] = request.protocols;
      members.clear();
      members.set(memberId, Uint8Array.from(protocol?.metadata ?? []));
      generation += 1;
      return {
        errorCode: 0,
        generationId: generation,
        protocolType: request.protocolType,
        protocolName: protocol?.name ?? "",
        leader: memberId,
        memberId,
        members: Array.from(members, ([id, metadata]) => ({ memberId: id, metadata })),
      };
    },
    syncGroup: async (request) => {
      for (const { memberId, assignment } of request.assignments)
        assignments.set(memberId, Uint8Array.from(assignment));
      const { protocolType, protocolName } = request;
      return {
        errorCode: 0,
        protocolType,
        protocolName,
        assignment: assignments.get(request.memberId) ?? new Uint8Array(0),
      };
    },
    heartbeat: async () => ({ errorCode: 0 }),
    leaveGroup: async (request) => {
      members.clear();
      return {
        errorCode: 0,
        members: request.members.map(({ memberId }) => ({ memberId, groupInstanceId: null, errorCode: 0 })),
      };
    },
    offsetCommit: async (request) => {
      committed = request.topics[0]?.partitions[0]?.committedOffset ?? committed;
      return { topics: [{ ...named, partitions: [{ partitionIndex: 0, errorCode: 0 }] }] };
    },
    offsetFetch: async (request) => {
      const topics = [{ ...named, partitions: [{ ...offsetsCommitted, committedOffset: committed }] }];
      return { topics, groups: request.groups.map(({ groupId }) => ({ groupId, topics })) };
    },
    offsetDelete: async (request) => ({
      errorCode: 0,
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: 0 })),
      })),
    }),
    listGroups: async () => ({
      errorCode: 0,
      groups: [{ groupId: "g", protocolType: "consumer", groupState: "Empty", groupType: "classic" }],
    }),
    describeGroups: async (request) => ({
      groups: request.groups.map((groupId) => ({
        errorCode: 0,
        groupId,
        groupState: "Empty",
        protocolType: "consumer",
        protocolData: "",
        members: [],
      })),
    }),
    deleteGroups: async (request) => ({
      results: request.groupsNames.map((groupId) => ({ groupId, errorCode: 0 })),
    }),
    createTopics: async (request) => ({
      topics: request.topics.map(({ name }) => ({
        name,
        topicId,
        errorCode: 0,
        errorMessage: null,
        numPartitions: 1,
        replicationFactor: 1,
        configs: [],
      })),
    }),
    deleteTopics: async (request) => ({
      responses: [...request.topicNames, ...request.topics.map(({ name }) => name)].map((name) => ({
        name,
        topicId,
        errorCode: 0,
      })),
    }),
    createPartitions: async (request) => ({ results: request.topics.map(({ name }) => ({ name, errorCode: 0 })) }),
    deleteRecords: async (request) => ({
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, lowWatermark: 0, errorCode: 0 })),
      })),
    }),
    describeConfigs: async (request) => ({
      results: request.resources.map(({ resourceType, resourceName }) => ({
        errorCode: 0,
        errorMessage: null,
        resourceType,
        resourceName,
        configs: [
          {
            name: "cleanup.policy",
            value: "delete",
            readOnly: false,
            configSource: 5,
            isSensitive: false,
            synonyms: [],
            configType: 7,
            documentation: null,
          },
        ],
      })),
    }),
    alterConfigs: async (request) => ({ responses: request.resources.map(altered) }),
    incrementalAlterConfigs: async (request) => ({ responses: request.resources.map(altered) }),
  };
}

function altered({ resourceType, resourceName }: { readonly resourceType: number; readonly resourceName: string }) {
  return { errorCode: 0, errorMessage: null, resourceType, resourceName };
}
