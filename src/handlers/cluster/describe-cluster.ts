/** DescribeCluster: Metadata without topics. */
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { code, type Handler } from "../handler.ts";
import {
  brokers,
  type ClusterView,
  clusterIdText,
  controllerId,
  openOperations,
  operationsNotAsked,
} from "./cluster-view.ts";

const brokerEndpoint = 1;
const controllerEndpoint = 2;

export function describeClusterHandler(
  view: ClusterView,
): Handler<RequestOf<"describeCluster">, ResponseInputOf<"describeCluster">> {
  return async ({ endpointType, includeClusterAuthorizedOperations }, { listener }) => {
    const clusterId = clusterIdText(view.metadata.image.clusterId);
    if (endpointType !== brokerEndpoint) {
      const error = endpointType === controllerEndpoint ? "MISMATCHED_ENDPOINT_TYPE" : "UNSUPPORTED_ENDPOINT_TYPE";
      const errorMessage = "The request was sent to an endpoint of type BROKER.";
      return { errorCode: code(error), errorMessage, clusterId: "", brokers: [] };
    }
    return {
      errorCode: 0,
      clusterId,
      controllerId: controllerId(view),
      brokers: brokers(view, listener).map(({ nodeId, ...broker }) => ({ brokerId: nodeId, ...broker })),
      clusterAuthorizedOperations: includeClusterAuthorizedOperations ? openOperations.cluster : operationsNotAsked,
    };
  };
}
