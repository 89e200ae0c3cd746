/**
 * AlterPartitionReassignments and ListPartitionReassignments. Every broker reaches the objects, so a partition has the one
 * replica that leads it and no reassignment is ever under way: what is asked for is either so already or cannot be.
 */
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { type ClusterView, partitionView } from "../cluster/cluster-view.ts";
import { clipped, clippedName } from "../error-text.ts";
import { code, type Handler } from "../handler.ts";
import { assignmentProblem, type Refused, refused } from "./topic-creation.ts";

export function alterPartitionReassignmentsHandler(
  view: ClusterView,
): Handler<RequestOf<"alterPartitionReassignments">, ResponseInputOf<"alterPartitionReassignments">> {
  return async ({ topics, allowReplicationFactorChange }) => ({
    // As Kafka: an empty request says nothing of it.
    allowReplicationFactorChange: allowReplicationFactorChange || topics.length === 0,
    errorCode: 0,
    errorMessage: topics.length === 0 ? "" : null, // As Kafka.
    responses: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, replicas }) => {
        const problem = reassignmentProblem(view, name, partitionIndex, replicas);
        return {
          partitionIndex,
          errorCode: code(problem?.error),
          errorMessage: problem === undefined ? null : clipped(problem.message),
        };
      }),
    })),
  });
}

function reassignmentProblem(
  view: ClusterView,
  name: string,
  index: number,
  replicas: readonly number[] | null,
): Refused | undefined {
  const topic = view.metadata.image.topicByName(name);
  if (topic === undefined)
    return refused("UNKNOWN_TOPIC_OR_PARTITION", `Unable to find a topic named ${clippedName(name)}.`);
  if (topic.partitions[index] === undefined) {
    return refused("UNKNOWN_TOPIC_OR_PARTITION", `Unable to find partition ${name}:${index}.`);
  }
  if (replicas === null) return refused("NO_REASSIGNMENT_IN_PROGRESS", "No partition reassignment is in progress.");
  const problem = assignmentProblem(view, [replicas]);
  if (problem !== undefined) return problem;
  if (replicas.length > 1) {
    const because = "the object store replicates, so that a partition has one replica, the broker that leads it.";
    return refused("INVALID_REPLICATION_FACTOR", `${replicas.length} replicas were asked for, but ${because}`);
  }
  const { leaderId } = partitionView(view, topic, index);
  if (replicas[0] === leaderId) return undefined;
  return refused("INVALID_REPLICA_ASSIGNMENT", `${name}-${index} is led by broker ${leaderId} and cannot be moved.`);
}

export function listPartitionReassignmentsHandler(): Handler<
  RequestOf<"listPartitionReassignments">,
  ResponseInputOf<"listPartitionReassignments">
> {
  return async () => ({ errorCode: 0, errorMessage: null, topics: [] });
}
