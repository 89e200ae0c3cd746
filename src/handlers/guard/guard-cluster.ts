/** Who may look at and change what concerns the cluster as a whole: one operation on the cluster, all or nothing. */

import type { OperationName } from "../../access/acl.ts";
import type { ApiName, ResponseInputOf } from "../../protocol/api-table.ts";
import { code } from "../handler.ts";
import type { Rule, Rules } from "./guard.ts";

const errorCode = code("CLUSTER_AUTHORIZATION_FAILED");
const denied = { errorCode, errorMessage: "Cluster authorization failed." };

export const guardCluster = {
  describeLogDirs: onCluster("describe", { errorCode, results: [] }),
  describeQuorum: onCluster("describe", { ...denied, topics: [], nodes: [] }),
  listPartitionReassignments: onCluster("describe", { ...denied, topics: [] }),
  listConfigResources: onCluster("describeConfigs", { errorCode, configResources: [] }),
  // Version 0 has no error of the whole.
  electLeaders: async ({ request, access, next }) => {
    if (access.mayOnCluster("alter")) return await next(request);
    const replicaElectionResults = (request.topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map((partitionId) => ({ partitionId, ...denied })),
    }));
    return { errorCode, replicaElectionResults };
  },
  alterPartitionReassignments: onCluster("alter", { ...denied, responses: [] }),
  updateFeatures: onCluster("alter", { ...denied, results: [] }),
  addRaftVoter: onCluster("alter", denied),
  removeRaftVoter: onCluster("alter", denied),
  unregisterBroker: onCluster("alter", denied),
  alterReplicaLogDirs: async ({ request, access, next }) => {
    if (access.mayOnCluster("alter")) return await next(request);
    const topics = request.dirs.flatMap((dir) => dir.topics);
    const results = topics.map(({ name, partitions }) => ({
      topicName: name,
      partitions: partitions.map((partitionIndex) => ({ partitionIndex, errorCode })),
    }));
    return { results };
  },
  // What clients tell of themselves, and are asked to tell: theirs, whoever they are.
  getTelemetrySubscriptions: ({ request, next }) => next(request),
  pushTelemetry: ({ request, next }) => next(request),
} satisfies Rules;

function onCluster<Name extends ApiName>(operation: OperationName, refusal: ResponseInputOf<Name>): Rule<Name> {
  return async ({ request, access, next }) => (access.mayOnCluster(operation) ? await next(request) : refusal);
}
