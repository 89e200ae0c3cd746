/**
 * What tools ask a quorum of controllers. The metadata log is kept by a store that they do not see (metadata/cas-log.ts), so it
 * is shown as what it amounts to: a log that every registered node proposes to and has read.
 */

import type { Clock } from "../base/runtime.ts";
import type { RequestOf, ResponseInputOf } from "../protocol/api-table.ts";
import { brokers, type ClusterView, clusterIdText, controllerId } from "./cluster-view.ts";
import { clipped } from "./error-text.ts";
import { code, type Handler } from "./handler.ts";

export interface QuorumOptions extends ClusterView {
  readonly clock: Clock;
}

const quorumTopic = "__cluster_metadata";
const int32Max = 2 ** 31 - 1;
/** Of a time that this node does not know. */
const timeUnknown = -1;

type Response = ResponseInputOf<"describeQuorum">;

export function describeQuorumHandler(options: QuorumOptions): Handler<RequestOf<"describeQuorum">, Response> {
  return async ({ topics }) => {
    const isKnown =
      topics.length === 1 &&
      topics[0]?.topicName === quorumTopic &&
      topics[0].partitions.length === 1 &&
      topics[0].partitions[0]?.partitionIndex === 0;
    if (!isKnown) return { errorCode: 0, errorMessage: null, topics: topics.map(unknownTopic) };
    const partition = quorumPartition(options);
    return {
      errorCode: 0,
      errorMessage: null,
      topics: [{ topicName: quorumTopic, partitions: [partition] }],
      nodes: brokers(options).map(({ nodeId, host, port }) => ({
        nodeId,
        listeners: [{ name: "PLAINTEXT", host, port }],
      })),
    };
  };
}

function quorumPartition(options: QuorumOptions): Response["topics"][number]["partitions"][number] {
  const { image, nodeId } = options.metadata;
  const now = options.clock.now();
  const logEndOffset = image.seq + 1;
  return {
    partitionIndex: 0,
    errorCode: 0,
    leaderId: controllerId(options),
    // An epoch of a node is a seq of the log; the field has 31 bits.
    leaderEpoch: (image.node(nodeId)?.epoch ?? 0) % int32Max,
    highWatermark: logEndOffset,
    currentVoters: brokers(options).map((broker) => {
      const at = broker.nodeId === nodeId ? now : timeUnknown;
      return { replicaId: broker.nodeId, logEndOffset, lastFetchTimestamp: at, lastCaughtUpTimestamp: at };
    }),
    observers: [],
  };
}

function unknownTopic({
  topicName,
  partitions,
}: RequestOf<"describeQuorum">["topics"][number]): Response["topics"][number] {
  return {
    topicName,
    partitions: partitions.map(({ partitionIndex }) => ({
      partitionIndex,
      errorCode: code("UNKNOWN_TOPIC_OR_PARTITION"),
      leaderId: 0,
      leaderEpoch: 0,
      highWatermark: 0,
      currentVoters: [],
      observers: [],
    })),
  };
}

type VoterChange = Pick<RequestOf<"addRaftVoter">, "clusterId" | "voterId">;

/** As a Kafka answers whose kraft.version is 0: its voters are what its configuration says. */
function voterChange(options: ClusterView, verb: "adding" | "removing", { clusterId, voterId }: VoterChange) {
  const own = clusterIdText(options.metadata.image.clusterId);
  if (clusterId !== null && clusterId !== own) {
    return { errorCode: code("INCONSISTENT_CLUSTER_ID"), errorMessage: null };
  }
  if (voterId < 0) {
    return {
      errorCode: code("INVALID_REQUEST"),
      errorMessage: clipped(`Request included an invalid voter id: ${voterId}`),
    };
  }
  const errorMessage = `Cluster doesn't support ${verb} voter because the kraft.version feature is 0`;
  return { errorCode: code("UNSUPPORTED_VERSION"), errorMessage };
}

export function addRaftVoterHandler(
  options: ClusterView,
): Handler<RequestOf<"addRaftVoter">, ResponseInputOf<"addRaftVoter">> {
  return async (request) => voterChange(options, "adding", request);
}

export function removeRaftVoterHandler(
  options: ClusterView,
): Handler<RequestOf<"removeRaftVoter">, ResponseInputOf<"removeRaftVoter">> {
  return async (request) => voterChange(options, "removing", request);
}
