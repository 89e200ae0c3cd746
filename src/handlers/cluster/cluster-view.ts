/** What clients are told of brokers and partitions. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { type Uuid, uuidToBytes } from "../../base/ids.ts";
import type { MetadataClient } from "../../metadata/client.ts";
import { type Image, leaderEpochOf, type NodeInfo, type Topic } from "../../metadata/image.ts";

export interface ClusterView {
  readonly metadata: Pick<MetadataClient, "image" | "nodeId" | "propose">;
  /** Where clients reach this broker. The others said it when they registered. */
  readonly advertised: { readonly host: string; readonly port: number };
  /** The same by name of the listener; one that is not here has `advertised`. */
  readonly endpoints?: ReadonlyMap<string, { readonly host: string; readonly port: number }> | undefined;
}

export interface Broker {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

/** As the clients of a listener reach them; without one, where only their ids count. */
export function brokers({ metadata, advertised, endpoints }: ClusterView, listener = ""): readonly Broker[] {
  const { host, port } = endpoints?.get(listener) ?? advertised;
  const own: Broker = {
    nodeId: metadata.nodeId,
    host,
    port,
    rack: metadata.image.node(metadata.nodeId)?.rack ?? null,
  };
  const nodes = registeredNodes(metadata.image).filter(({ id }) => id !== own.nodeId);
  const others = nodes.map(({ id, host, port, rack }) => ({ nodeId: id, host, port, rack }));
  return [own, ...others].sort((a, b) => a.nodeId - b.nodeId);
}

/** Those that clients are told of, this one among them once it is registered. */
export function registeredNodes(image: Image): readonly NodeInfo[] {
  return [...image.nodes()].filter(({ port }) => port > 0);
}

/** Every broker takes admin requests, and this one is certainly alive. */
export function controllerId({ metadata }: ClusterView): number {
  return metadata.nodeId;
}

/** Kafka writes cluster ids as 22 characters of base64. */
export function clusterIdText(id: Uuid): string {
  return Buffer.from(uuidToBytes(id)).toString("base64url");
}

export interface PartitionView {
  readonly error: ErrorName;
  readonly index: number;
  readonly leaderId: number;
  readonly leaderEpoch: number;
  /** The object store replicates, so a partition has the one replica that leads it. */
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}

export function partitionView({ metadata }: ClusterView, topic: Topic, index: number): PartitionView {
  const streamId = topic.partitions[index];
  const stream = streamId === undefined ? undefined : metadata.image.stream(streamId);
  if (stream?.node === undefined) {
    const replicas = [metadata.nodeId];
    return { error: "LEADER_NOT_AVAILABLE", index, leaderId: -1, leaderEpoch: -1, replicas, inSync: [] };
  }
  const { node } = stream;
  return { error: "NONE", index, leaderId: node, leaderEpoch: leaderEpochOf(stream), replicas: [node], inSync: [node] };
}

export function replicationFactorMax({ metadata }: ClusterView): number {
  return Math.max(1, registeredNodes(metadata.image).length);
}

/** A client that goes from page to page asks for them again and again. */
const ordered = new WeakMap<Image, { readonly seq: Image["seq"]; readonly topics: readonly Topic[] }>();

export function topicsByName(image: Image): readonly Topic[] {
  const before = ordered.get(image);
  if (before?.seq === image.seq) return before.topics;
  const topics = [...image.topics()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  ordered.set(image, { seq: image.seq, topics });
  return topics;
}

/** Bits of AclOperation, as "authorized operations" carry them. */
const operations = {
  read: 1 << 3,
  write: 1 << 4,
  create: 1 << 5,
  delete: 1 << 6,
  alter: 1 << 7,
  describe: 1 << 8,
  clusterAction: 1 << 9,
  describeConfigs: 1 << 10,
  alterConfigs: 1 << 11,
  idempotentWrite: 1 << 12,
} as const;

/** What everybody may do where no ACLs are enforced. */
export const openOperations = {
  topic:
    operations.read |
    operations.write |
    operations.create |
    operations.delete |
    operations.alter |
    operations.describe |
    operations.describeConfigs |
    operations.alterConfigs,
  group:
    operations.read | operations.delete | operations.describe | operations.describeConfigs | operations.alterConfigs,
  cluster:
    operations.create |
    operations.alter |
    operations.describe |
    operations.clusterAction |
    operations.describeConfigs |
    operations.alterConfigs |
    operations.idempotentWrite,
} as const;

/** "Not asked for", which is not 0: that would mean "nothing is allowed". */
export const operationsNotAsked = -2147483648;
