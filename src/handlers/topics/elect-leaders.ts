/** ElectLeaders: a partition has one replica, the preferred one, so whoever leads is whom an election would choose. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { type ClusterView, partitionView } from "../cluster/cluster-view.ts";
import { clipped, clippedName } from "../error-text.ts";
import { code, type Handler } from "../handler.ts";

/** Numbers are those of the request. */
const electionTypes = { preferred: 0, unclean: 1 } as const;

type Request = RequestOf<"electLeaders">;
type Response = ResponseInputOf<"electLeaders">;

export function electLeadersHandler(view: ClusterView): Handler<Request, Response> {
  return async ({ electionType, topicPartitions }) => {
    const results = (topicPartitions ?? everyPartition(view)).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map((partitionId) => {
        const { error, message } = election(view, electionType, topic, partitionId);
        return { partitionId, errorCode: code(error), errorMessage: clipped(message) };
      }),
    }));
    // As Kafka: of no partitions nothing is wrong.
    const isFine = isKnown(electionType) || topicPartitions?.length === 0;
    const errorCode = code(isFine ? "NONE" : "INVALID_REQUEST");
    if (topicPartitions !== null) return { errorCode, replicaElectionResults: results };
    // Who asks for all is told of those that have no leader only.
    const unneeded = code("ELECTION_NOT_NEEDED");
    const told = results.map(({ topic, partitionResult }) => ({
      topic,
      partitionResult: partitionResult.filter(({ errorCode }) => errorCode !== unneeded),
    }));
    return { errorCode, replicaElectionResults: told.filter(({ partitionResult }) => partitionResult.length > 0) };
  };
}

function isKnown(electionType: number): boolean {
  return electionType === electionTypes.preferred || electionType === electionTypes.unclean;
}

function everyPartition({ metadata }: ClusterView): NonNullable<Request["topicPartitions"]> {
  return Array.from(metadata.image.topics(), ({ name, partitions }) => ({
    topic: name,
    partitions: [...partitions.keys()],
  }));
}

function election(
  view: ClusterView,
  electionType: number,
  name: string,
  index: number,
): { readonly error: ErrorName; readonly message: string } {
  if (!isKnown(electionType)) return { error: "INVALID_REQUEST", message: `Unknown election type ${electionType}` };
  const topic = view.metadata.image.topicByName(name);
  if (topic === undefined)
    return { error: "UNKNOWN_TOPIC_OR_PARTITION", message: `No such topic as ${clippedName(name)}` };
  if (topic.partitions[index] === undefined) {
    return { error: "UNKNOWN_TOPIC_OR_PARTITION", message: `No such partition as ${name}-${index}` };
  }
  if (partitionView(view, topic, index).leaderId >= 0) {
    return { error: "ELECTION_NOT_NEEDED", message: "Leader election not needed for topic partition." };
  }
  const error =
    electionType === electionTypes.preferred ? "PREFERRED_LEADER_NOT_AVAILABLE" : "ELIGIBLE_LEADERS_NOT_AVAILABLE";
  return { error, message: `No broker has opened ${name}-${index} yet.` };
}
