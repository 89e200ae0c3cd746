/** The states of share-partitions are the brokers' own: who asks for them must be one. */
import type { Uuid } from "../../base/ids.ts";
import { code } from "../handler.ts";
import type { Rules } from "./guard.ts";

export const guardShareState = {
  initializeShareGroupState: async ({ request, access, next }) =>
    access.mayOnCluster("clusterAction") ? await next(request) : denied(request),
  readShareGroupState: async ({ request, access, next }) =>
    access.mayOnCluster("clusterAction") ? await next(request) : denied(request),
  writeShareGroupState: async ({ request, access, next }) =>
    access.mayOnCluster("clusterAction") ? await next(request) : denied(request),
  deleteShareGroupState: async ({ request, access, next }) =>
    access.mayOnCluster("clusterAction") ? await next(request) : denied(request),
  readShareGroupStateSummary: async ({ request, access, next }) =>
    access.mayOnCluster("clusterAction") ? await next(request) : denied(request),
} satisfies Rules;

const refusal = { errorCode: code("CLUSTER_AUTHORIZATION_FAILED"), errorMessage: "Cluster authorization failed." };

function denied({
  topics,
}: {
  readonly topics: readonly {
    readonly topicId: Uuid;
    readonly partitions: readonly { readonly partition: number }[];
  }[];
}) {
  return {
    results: topics.map(({ topicId, partitions }) => ({
      topicId,
      partitions: partitions.map(({ partition }) => ({ partition, ...refusal })),
    })),
  };
}
