/** The offsets of one group, and when they are old enough to be forgotten. */
import { consumerProtocolSubscription } from "../../schemas/kafka/consumer-protocol.ts";
import { CorruptData } from "../base/errors.ts";
import type { Uuid } from "../base/ids.ts";
import { decodeOldest } from "../protocol/versioned.ts";
import type { ClassicGroup } from "./classic-group-state.ts";

export interface CommittedOffset {
  readonly offset: number;
  /** -1 when the client did not say. */
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** Of the topic as it was: one of the same name that was made later has none of its offsets. uuidZero: not told. */
  readonly topicId: Uuid;
  readonly committedAt: number;
  /** Asked for by clients older than Kafka 2.1; null leaves it to the broker's retention. */
  readonly expiresAt: number | null;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export class GroupOffsets {
  readonly #topics = new Map<string, Map<number, CommittedOffset>>();

  get isEmpty(): boolean {
    return this.#topics.size === 0;
  }

  get({ topic, partition }: TopicPartition): CommittedOffset | undefined {
    return this.#topics.get(topic)?.get(partition);
  }

  set({ topic, partition }: TopicPartition, value: CommittedOffset | null): void {
    const partitions = this.#topics.get(topic);
    if (value !== null) {
      if (partitions === undefined) this.#topics.set(topic, new Map([[partition, value]]));
      else partitions.set(partition, value);
      return;
    }
    if (partitions?.delete(partition) === true && partitions.size === 0) this.#topics.delete(topic);
  }

  topics(): Iterable<string> {
    return this.#topics.keys();
  }

  partitions(topic: string): Iterable<readonly [partition: number, offset: CommittedOffset]> {
    return this.#topics.get(topic) ?? [];
  }

  *all(): Iterable<TopicPartition> {
    for (const [topic, partitions] of this.#topics)
      for (const partition of partitions.keys()) yield { topic, partition };
  }
}

/**
 * Offsets that nobody has used for the retention: of an empty group since it became empty, of a group of consumers that
 * assign themselves since each commit, of a live group since the commit and only for topics that it no longer reads.
 */
export function expiredOffsets(
  group: ClassicGroup,
  offsets: GroupOffsets,
  at: { readonly now: number; readonly retentionMs: number },
): readonly TopicPartition[] {
  const isLive = group.state !== "empty" && group.state !== "dead";
  const subscribed = isLive ? subscribedTopics(group) : new Set<string>();
  if (isLive && (group.state !== "stable" || subscribed === undefined)) return [];
  const isEmptied = group.state === "empty" && group.protocolType !== null && group.changedAt > 0;
  return expiredUnread(subscribed ?? new Set(), offsets, { ...at, unusedSince: isEmptied ? group.changedAt : null });
}

/** Of topics that nobody in the group reads; those of an emptied group are as old as its emptiness. */
export function expiredUnread(
  subscribed: ReadonlySet<string>,
  offsets: GroupOffsets,
  at: { readonly now: number; readonly retentionMs: number; readonly unusedSince: number | null },
): readonly TopicPartition[] {
  const expired: TopicPartition[] = [];
  for (const topic of offsets.topics()) {
    if (subscribed.has(topic)) continue;
    for (const [partition, offset] of offsets.partitions(topic)) {
      const since = at.unusedSince ?? offset.committedAt;
      const isExpired = offset.expiresAt === null ? at.now - since >= at.retentionMs : at.now >= offset.expiresAt;
      if (isExpired) expired.push({ topic, partition });
    }
  }
  return expired;
}

/** Undefined when it cannot be known: another kind of group, or members that no one here understands. */
export function subscribedTopics(group: ClassicGroup): ReadonlySet<string> | undefined {
  if (group.protocolType !== "consumer") return undefined;
  const topics = new Set<string>();
  for (const member of group.members.values()) {
    for (const { name, metadata } of member.protocols) {
      if (group.protocolName !== null && name !== group.protocolName) continue;
      const subscription = subscriptionTopics(metadata);
      if (subscription === undefined) return undefined;
      for (const topic of subscription) topics.add(topic);
    }
  }
  return topics;
}

/**
 * The metadata comes from the client and is not the broker's to judge: what cannot be read says nothing. As Kafka, no further
 * than the topics: @platformatic/kafka says version 1 and writes version 0.
 */
function subscriptionTopics(metadata: Uint8Array): readonly string[] | undefined {
  try {
    return decodeOldest(consumerProtocolSubscription, metadata).topics;
  } catch (cause) {
    if (cause instanceof CorruptData) return undefined;
    throw cause;
  }
}
