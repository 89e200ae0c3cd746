/** FindCoordinator: which broker keeps a group. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { coordinatorPartition } from "../../coordinator/seats.ts";
import type { RequestOf, ResponseInputOf } from "../../protocol/api-table.ts";
import { type Broker, brokers, type ClusterView, partitionView } from "../cluster/cluster-view.ts";
import { code, type Handler } from "../handler.ts";
import type { InternalTopic, InternalTopics } from "../topics/internal-topics.ts";

export interface FindCoordinatorOptions extends ClusterView {
  readonly internalTopics: InternalTopics;
  /** By key type. A kind of coordinator that this broker does not have is "not available". */
  readonly topics: {
    readonly group: InternalTopic;
    readonly transaction?: InternalTopic;
    readonly share?: InternalTopic;
  };
}

const keyTypes = ["group", "transaction", "share"] as const;
/** A group, a topic's id as Kafka writes it, and a partition. */
const shareKey = /^.+:[A-Za-z0-9_-]{22}:\d+$/;
const batchedSince = 4;
const nobody: Broker = { nodeId: -1, host: "", port: -1, rack: null };

export function findCoordinatorHandler(
  options: FindCoordinatorOptions,
): Handler<RequestOf<"findCoordinator">, ResponseInputOf<"findCoordinator">> {
  return async (request, { apiVersion, listener }) => {
    const keys = apiVersion >= batchedSince ? request.coordinatorKeys : [request.key];
    const found = await Promise.all(keys.map((key) => find(options, listener, request.keyType, key)));
    const coordinators = found.map(({ error, broker }, index) => ({
      key: keys[index] ?? "",
      nodeId: broker.nodeId,
      host: broker.host,
      port: broker.port,
      errorCode: code(error),
      // Kafka says "NONE" where there is one answer, and nothing where there are many.
      errorMessage: error === "NONE" ? (apiVersion >= batchedSince ? "" : error) : (messages[error] ?? ""),
    }));
    const [first] = coordinators;
    return apiVersion >= batchedSince || first === undefined ? { coordinators } : first;
  };
}

const messages: Partial<Record<ErrorName, string>> = {
  COORDINATOR_NOT_AVAILABLE: "The coordinator is not available.",
  INVALID_REQUEST: "The coordinator type is not known, or the key is none of its.",
};

async function find(
  options: FindCoordinatorOptions,
  listener: string,
  keyType: number,
  key: string,
): Promise<{ readonly error: ErrorName; readonly broker: Broker }> {
  const kind = keyTypes[keyType];
  if (kind === undefined || (kind === "share" && !shareKey.test(key)))
    return { error: "INVALID_REQUEST", broker: nobody };
  const wanted = options.topics[kind];
  const topic = wanted === undefined ? undefined : await options.internalTopics.ensure(wanted);
  if (topic === undefined) return { error: "COORDINATOR_NOT_AVAILABLE", broker: nobody };
  const { leaderId } = partitionView(options, topic, coordinatorPartition(key, topic.partitions.length));
  const broker = brokers(options, listener).find(({ nodeId }) => nodeId === leaderId);
  return broker === undefined ? { error: "COORDINATOR_NOT_AVAILABLE", broker: nobody } : { error: "NONE", broker };
}
