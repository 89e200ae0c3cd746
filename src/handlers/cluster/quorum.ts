/**
 * What tools ask a quorum of controllers. The metadata log is kept by a store that they do not see (metadata/cas-log.ts), so it
 * is shown as what it amounts to: a log that every registered node proposes to and has read.
 */

import { uuidZero } from "../../base/ids.ts";
import type { Clock } from "../../base/runtime.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { clipped } from "../error-text.ts";
import { code, type Handler, quorumTopic } from "../handler.ts";
import { brokers, type ClusterView, clusterIdText, controllerId } from "./cluster-view.ts";

export interface QuorumOptions extends ClusterView {
  readonly clock: Clock;
}

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
    if (!isKnown) return { errorCode: 0, errorMessage: "", topics: topics.map(unknownTopic) };
    const partition = quorumPartition(options);
    return {
      errorCode: 0,
      errorMessage: "", // As Kafka: no error has an empty text.
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
    errorMessage: "",
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
      errorMessage: "The quorum has no such partition.",
      leaderId: 0,
      leaderEpoch: 0,
      highWatermark: 0,
      currentVoters: [],
      observers: [],
    })),
  };
}

type VoterChange = Pick<RequestOf<"addRaftVoter">, "clusterId" | "voterId" | "voterDirectoryId">;

interface Refusal {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

function voterProblem(
  options: ClusterView,
  { clusterId, voterId, voterDirectoryId }: VoterChange,
): Refusal | undefined {
  const own = clusterIdText(options.metadata.image.clusterId);
  if (clusterId !== null && clusterId !== own) {
    return { errorCode: code("INCONSISTENT_CLUSTER_ID"), errorMessage: clipped(`This is cluster ${own}.`) };
  }
  if (voterId >= 0 && voterDirectoryId === uuidZero) {
    return { errorCode: code("INVALID_REQUEST"), errorMessage: "Add/Remove requests must name the voter's directory." };
  }
  if (voterId >= 0) return undefined;
  return {
    errorCode: code("INVALID_REQUEST"),
    errorMessage: clipped(`Request included an invalid voter id: ${voterId}`),
  };
}

function isVoter(options: ClusterView, voterId: number): boolean {
  return brokers(options).some(({ nodeId }) => nodeId === voterId);
}

/** The voters are the nodes that are registered. They come and go with that, and by no other request. */
export function addRaftVoterHandler(
  options: ClusterView,
): Handler<RequestOf<"addRaftVoter">, ResponseInputOf<"addRaftVoter">> {
  return async (request) => {
    const problem = voterProblem(options, request);
    if (problem !== undefined) return problem;
    const { voterId } = request;
    if (isVoter(options, voterId)) {
      const errorMessage = `The voter id ${voterId} is already part of the set of voters.`;
      return { errorCode: code("DUPLICATE_VOTER"), errorMessage };
    }
    const errorMessage = `Node ${voterId} is not registered; it becomes a voter when it is started.`;
    return { errorCode: code("INVALID_REQUEST"), errorMessage };
  };
}

export function removeRaftVoterHandler(
  options: ClusterView,
): Handler<RequestOf<"removeRaftVoter">, ResponseInputOf<"removeRaftVoter">> {
  return async (request) => {
    const problem = voterProblem(options, request);
    if (problem !== undefined) return problem;
    const { voterId } = request;
    if (!isVoter(options, voterId)) {
      const errorMessage = `The voter id ${voterId} is not part of the set of voters.`;
      return { errorCode: code("VOTER_NOT_FOUND"), errorMessage };
    }
    const errorMessage = `Node ${voterId} is a voter for as long as it is registered.`;
    return { errorCode: code("INVALID_REQUEST"), errorMessage };
  };
}
