/** ListConfigResources: what DescribeConfigs could be asked about. */
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { brokers, type ClusterView, topicsByName } from "../cluster/cluster-view.ts";
import { code, type Handler } from "../handler.ts";
import { factResources } from "./config-facts.ts";
import { resourceTypes } from "./describe-configs.ts";

const listed: Readonly<Record<number, (view: ClusterView) => readonly string[]>> = {
  [resourceTypes.group]: ({ metadata }) => factResources(metadata.image, "group-configs"),
  [resourceTypes.clientMetrics]: ({ metadata }) => factResources(metadata.image, "client-metrics"),
  [resourceTypes.brokerLogger]: (view) => brokers(view).map(({ nodeId }) => String(nodeId)),
  [resourceTypes.broker]: (view) => brokers(view).map(({ nodeId }) => String(nodeId)),
  [resourceTypes.topic]: ({ metadata }) => topicsByName(metadata.image).map(({ name }) => name),
};

export function listConfigResourcesHandler(
  view: ClusterView,
): Handler<RequestOf<"listConfigResources">, ResponseInputOf<"listConfigResources">> {
  return async (request, { apiVersion }) => {
    // Version 0 was called ListClientMetricsResources.
    const asked = apiVersion === 0 ? [resourceTypes.clientMetrics] : [...new Set(request.resourceTypes)];
    if (asked.some((type) => listed[type] === undefined)) {
      return { errorCode: code("UNSUPPORTED_VERSION"), configResources: [] };
    }
    const types = asked.length === 0 ? Object.keys(listed).map(Number) : asked;
    return {
      errorCode: 0,
      configResources: types.flatMap((resourceType) =>
        (listed[resourceType]?.(view) ?? []).map((resourceName) => ({ resourceName, resourceType })),
      ),
    };
  };
}
