/** What every request handler is: a typed request in, a typed response out. Here, and in no layer below, Kafka's codes are chosen. */
import { type ErrorName, errorCode } from "../../schemas/kafka/errors.ts";
import type { Uuid } from "../base/ids.ts";
import { uuidZero } from "../base/ids.ts";
import type { AppendRejection, Log, Lookup, Partition } from "../log/log.ts";
import type { Image, Topic } from "../metadata/image.ts";
import type { Answer, RequestContext } from "../protocol/dispatch.ts";

/** Resolves with the answer, or with what happens instead of one. */
export type Handler<Request, Response> = (request: Request, context: RequestContext) => Promise<Answer<Response>>;

/** An append that was refused, as Kafka says it. */
export const appendErrors: Readonly<Record<AppendRejection, ErrorName>> = {
  "corrupt-message": "CORRUPT_MESSAGE",
  "invalid-record": "INVALID_RECORD",
  "invalid-timestamp": "INVALID_TIMESTAMP",
  "message-too-large": "MESSAGE_TOO_LARGE",
  "record-list-too-large": "RECORD_LIST_TOO_LARGE",
  "unsupported-compression": "UNSUPPORTED_COMPRESSION_TYPE",
  "unsupported-format": "UNSUPPORTED_FOR_MESSAGE_FORMAT",
  "out-of-order-sequence": "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "stale-producer-epoch": "INVALID_PRODUCER_EPOCH",
  "invalid-transaction-state": "INVALID_TXN_STATE",
  "coordinator-fenced": "TRANSACTION_COORDINATOR_FENCED",
  // Retriable, appended nowhere, and without a refresh of metadata: exactly what it says of a broker that cannot keep up.
  busy: "NOT_ENOUGH_REPLICAS",
  closed: "NOT_LEADER_OR_FOLLOWER",
};

/** A partition that is not served here, as Kafka says it. */
export const lookupErrors: Readonly<Record<Exclude<Lookup["kind"], "here">, ErrorName>> = {
  elsewhere: "NOT_LEADER_OR_FOLLOWER",
  opening: "NOT_LEADER_OR_FOLLOWER", // All clients ask again after it, some not after LEADER_NOT_AVAILABLE here.
  unknown: "UNKNOWN_TOPIC_OR_PARTITION",
};

/** Topics that clients must not write to or cut: the coordinators own them. */
export const internalTopics: ReadonlySet<string> = new Set([
  "__consumer_offsets",
  "__transaction_state",
  "__share_group_state",
]);

/** The log of Kafka's controllers: nobody may make it, and it is none of the topics. */
export const quorumTopic = "__cluster_metadata";

/** A topic as a request names it: by id from some version on, by name before. */
export interface TopicName {
  readonly name: string;
  readonly topicId: Uuid;
}

/** `usesIds`: of a version without ids, in which an empty name is a name that no topic has, false. */
export function topicOf(image: Image, asked: TopicName, usesIds = true): Topic | ErrorName {
  if (asked.topicId !== uuidZero) return image.topic(asked.topicId) ?? "UNKNOWN_TOPIC_ID";
  if (asked.name === "" && usesIds) return "UNKNOWN_TOPIC_ID"; // Versions with ids carry no name: the id was the zero one.
  return image.topicByName(asked.name) ?? "UNKNOWN_TOPIC_OR_PARTITION";
}

export function partitionOf(log: Log, topic: Topic, index: number): Partition | Exclude<Lookup, { kind: "here" }> {
  const lookup = log.partition(topic.id, index);
  return lookup.kind === "here" ? lookup.partition : lookup;
}

export function isPartition(found: Partition | Exclude<Lookup, { kind: "here" }>): found is Partition {
  return !("kind" in found);
}

/** KIP-320: whether the client and the partition agree on who leads. -1 means that the client does not say. */
export function epochError(asked: number, partition: Partition): ErrorName | undefined {
  if (asked === -1 || asked === partition.leaderEpoch) return undefined;
  return asked < partition.leaderEpoch ? "FENCED_LEADER_EPOCH" : "UNKNOWN_LEADER_EPOCH";
}

/** KIP-951: whom to turn to instead, spares the client a metadata request. */
export interface LeaderHint {
  readonly leaderId: number;
  readonly leaderEpoch: number;
}

export function leaderHint(lookup: Lookup): LeaderHint | undefined {
  if (lookup.kind !== "elsewhere" || lookup.node === undefined) return undefined;
  return { leaderId: lookup.node, leaderEpoch: lookup.leaderEpoch };
}

/** Addresses of the hinted leaders, each once. */
export function endpointsOf(
  image: Image,
  hints: Iterable<LeaderHint>,
): { readonly nodeId: number; readonly host: string; readonly port: number; readonly rack: string | null }[] {
  const ids = new Set(Array.from(hints, (hint) => hint.leaderId));
  return Array.from(image.nodes())
    .filter((node) => ids.has(node.id))
    .map((node) => ({ nodeId: node.id, host: node.host, port: node.port, rack: node.rack }));
}

export function code(name: ErrorName | undefined): number {
  return name === undefined ? 0 : errorCode[name];
}
