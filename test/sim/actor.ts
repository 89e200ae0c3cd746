/** What the users of the simulated broker share: each is a loop that writes down what it did and what it was told. */
import { errorName } from "../../schemas/kafka/errors.ts";
import type { History, PartitionName } from "./history.ts";
import type { SimNode } from "./node.ts";

export interface ActorWorld {
  readonly history: History;
  /** False when the actors shall finish what they have begun. */
  readonly isBusy: () => boolean;
  /** The life that serves, if one does. */
  readonly node: () => SimNode | undefined;
  /** Wall-clock time of the clients. */
  readonly now: () => number;
  readonly violated: (what: string) => void;
}

export interface TopicPartition {
  readonly topic: string;
  readonly index: number;
}

export function nameOf({ topic, index }: TopicPartition): PartitionName {
  return `${topic}-${index}`;
}

export function errorText(code: number): string {
  return errorName(code) ?? `error ${code}`;
}

/** What a broker may say that cannot do it for now. */
export const retriableErrors: ReadonlySet<string> = new Set([
  "NETWORK_EXCEPTION",
  "NOT_LEADER_OR_FOLLOWER",
  "NOT_ENOUGH_REPLICAS",
  "KAFKA_STORAGE_ERROR",
]);
