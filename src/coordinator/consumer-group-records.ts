/** Consumer groups as records of __consumer_offsets (schemas/kafka/consumer-group-records.ts): what changed, and back. */
import {
  consumerGroupCurrentMemberAssignmentKey,
  consumerGroupCurrentMemberAssignmentValue,
  consumerGroupMemberMetadataKey,
  consumerGroupMemberMetadataValue,
  consumerGroupMetadataKey,
  consumerGroupMetadataValue,
  consumerGroupPartitionMetadataKey,
  consumerGroupRegularExpressionKey,
  consumerGroupRegularExpressionValue,
  consumerGroupTargetAssignmentMemberKey,
  consumerGroupTargetAssignmentMemberValue,
  consumerGroupTargetAssignmentMetadataKey,
  consumerGroupTargetAssignmentMetadataValue,
  consumerRecordKeys as keys,
} from "../../schemas/kafka/consumer-group-records.ts";
import type { Infer, Message } from "../base/codec.ts";
import type { StateRecord } from "../log/state-log.ts";
import { decodeVersioned, encodeVersioned, versionOf } from "../protocol/versioned.ts";
import type { Partitions } from "./consumer-assignors.ts";
import {
  type ConsumerGroup,
  type ConsumerMember,
  type CurrentAssignment,
  emptyConsumerGroup,
  type MemberMetadata,
  type MemberState,
  newcomer,
  type PartitionEpochs,
  type PatternTopics,
} from "./consumer-group-state.ts";

/** As Kafka numbers them. */
const memberStates: readonly MemberState[] = ["stable", "unrevoked", "unreleased"];

/** Null on either side: there is no such group. What goes is written before what comes, as Kafka's replay wants it. */
export function consumerGroupChanges(
  group: string,
  before: ConsumerGroup | null,
  after: ConsumerGroup | null,
): readonly StateRecord[] {
  const was = before ?? emptyConsumerGroup;
  const is = after ?? emptyConsumerGroup;
  const records: StateRecord[] = [];
  const write = <I>(key: Uint8Array, message: Message<unknown, I>, value: I | null): void => {
    records.push({ key, value: value === null ? null : encodeVersioned(message, 0, value) });
  };
  for (const memberId of was.members.keys()) {
    if (is.members.has(memberId)) continue;
    for (const key of [currentKey, targetKey, memberKey]) records.push({ key: key(group, memberId), value: null });
  }
  for (const [memberId, { metadata }] of is.members) {
    if (was.members.get(memberId)?.metadata === metadata) continue;
    write(memberKey(group, memberId), consumerGroupMemberMetadataValue, memberValue(metadata));
  }
  for (const pattern of was.patterns.keys()) {
    if (!is.patterns.has(pattern)) records.push({ key: patternKey(group, pattern), value: null });
  }
  for (const [pattern, resolved] of is.patterns) {
    if (was.patterns.get(pattern) === resolved) continue;
    const value = { topics: resolved.topics, version: resolved.topicsVersion, timestamp: resolved.resolvedAt };
    write(patternKey(group, pattern), consumerGroupRegularExpressionValue, value);
  }
  const isOther = before === null || was.epoch !== is.epoch || was.topicsHash !== is.topicsHash;
  if (after !== null && isOther) {
    const value = { epoch: is.epoch, metadataHash: is.topicsHash };
    write(groupKey(group), consumerGroupMetadataValue, value);
  }
  for (const [memberId, target] of is.targets) {
    if (was.targets.get(memberId) === target) continue;
    const value = { topicPartitions: partitionLists(target) };
    write(targetKey(group, memberId), consumerGroupTargetAssignmentMemberValue, value);
  }
  const isRetargeted = before === null || was.targetEpoch !== is.targetEpoch;
  if (after !== null && isRetargeted) {
    const value = { assignmentEpoch: is.targetEpoch, assignmentTimestamp: is.targetsMadeAt };
    write(targetEpochKey(group), consumerGroupTargetAssignmentMetadataValue, value);
  }
  for (const [memberId, { current }] of is.members) {
    if (was.members.get(memberId)?.current === current) continue;
    write(currentKey(group, memberId), consumerGroupCurrentMemberAssignmentValue, currentValue(current));
  }
  if (before !== null && after === null) {
    for (const key of [targetEpochKey(group), groupKey(group)]) records.push({ key, value: null });
  }
  return records;
}

const groupKey = (group: string): Uint8Array => encodeVersioned(consumerGroupMetadataKey, keys.group, { group });
const targetEpochKey = (group: string): Uint8Array =>
  encodeVersioned(consumerGroupTargetAssignmentMetadataKey, keys.targetEpoch, { group });
const memberKey = (group: string, memberId: string): Uint8Array =>
  encodeVersioned(consumerGroupMemberMetadataKey, keys.member, { group, memberId });
const targetKey = (group: string, memberId: string): Uint8Array =>
  encodeVersioned(consumerGroupTargetAssignmentMemberKey, keys.target, { group, memberId });
const currentKey = (group: string, memberId: string): Uint8Array =>
  encodeVersioned(consumerGroupCurrentMemberAssignmentKey, keys.current, { group, memberId });
const patternKey = (group: string, regularExpression: string): Uint8Array =>
  encodeVersioned(consumerGroupRegularExpressionKey, keys.pattern, { group, regularExpression });

function memberValue(metadata: MemberMetadata) {
  const { topics, pattern, assignor, classic, ...same } = metadata;
  return {
    ...same,
    subscribedTopicNames: topics,
    subscribedTopicRegex: pattern,
    serverAssignor: assignor,
    classicMemberMetadata:
      classic === null ? null : { sessionTimeoutMs: classic.sessionTimeoutMs, supportedProtocols: classic.protocols },
  };
}

function currentValue(current: CurrentAssignment) {
  return {
    memberEpoch: current.epoch,
    previousMemberEpoch: current.previousEpoch,
    state: memberStates.indexOf(current.state),
    assignedPartitions: heldLists(current.assigned),
    partitionsPendingRevocation: heldLists(current.revoking),
  };
}

function partitionLists(partitions: Partitions) {
  return Array.from(partitions, ([topicId, numbers]) => ({ topicId, partitions: numbers }));
}

function heldLists(held: PartitionEpochs) {
  return Array.from(held, ([topicId, epochs]) => ({
    topicId,
    partitions: [...epochs.keys()],
    assignmentEpochs: [...epochs.values()],
  }));
}

/** One record, read. A null value is a tombstone. */
export type ConsumerRecord =
  | { readonly kind: "group"; readonly value: { readonly epoch: number; readonly topicsHash: number } | null }
  | { readonly kind: "member"; readonly memberId: string; readonly value: MemberMetadata | null }
  | { readonly kind: "targets"; readonly value: { readonly epoch: number; readonly madeAt: number } | null }
  | { readonly kind: "target"; readonly memberId: string; readonly value: Partitions | null }
  | { readonly kind: "current"; readonly memberId: string; readonly value: CurrentAssignment | null }
  | {
      readonly kind: "pattern";
      readonly pattern: string;
      readonly value: Infer<typeof consumerGroupRegularExpressionValue> | null;
    }
  /** Kafka 4.0 kept partition counts here; a hash took their place. */
  | { readonly kind: "outdated" };

/** Undefined when the key is not of a consumer group. Throws CorruptData. */
export function decodeConsumerRecord(
  key: Uint8Array,
  value: Uint8Array | null,
): { readonly group: string; readonly record: ConsumerRecord } | undefined {
  switch (versionOf(key)) {
    case keys.group: {
      const { group } = decodeVersioned(consumerGroupMetadataKey, key);
      const read = value === null ? null : decodeVersioned(consumerGroupMetadataValue, value);
      const decoded = read === null ? null : { epoch: read.epoch, topicsHash: read.metadataHash };
      return { group, record: { kind: "group", value: decoded } };
    }
    case keys.partitionMetadata:
      return {
        group: decodeVersioned(consumerGroupPartitionMetadataKey, key).group,
        record: { kind: "outdated" },
      };
    case keys.member: {
      const { group, memberId } = decodeVersioned(consumerGroupMemberMetadataKey, key);
      return { group, record: { kind: "member", memberId, value: value === null ? null : decodeMember(value) } };
    }
    case keys.targetEpoch: {
      const { group } = decodeVersioned(consumerGroupTargetAssignmentMetadataKey, key);
      const read = value === null ? null : decodeVersioned(consumerGroupTargetAssignmentMetadataValue, value);
      const decoded = read === null ? null : { epoch: read.assignmentEpoch, madeAt: read.assignmentTimestamp };
      return { group, record: { kind: "targets", value: decoded } };
    }
    case keys.target: {
      const { group, memberId } = decodeVersioned(consumerGroupTargetAssignmentMemberKey, key);
      return { group, record: { kind: "target", memberId, value: value === null ? null : decodeTarget(value) } };
    }
    case keys.current: {
      const { group, memberId } = decodeVersioned(consumerGroupCurrentMemberAssignmentKey, key);
      return { group, record: { kind: "current", memberId, value: value === null ? null : decodeCurrent(value) } };
    }
    case keys.pattern: {
      const { group, regularExpression } = decodeVersioned(consumerGroupRegularExpressionKey, key);
      const decoded = value === null ? null : decodeVersioned(consumerGroupRegularExpressionValue, value);
      return { group, record: { kind: "pattern", pattern: regularExpression, value: decoded } };
    }
    default:
      return undefined;
  }
}

function decodeMember(value: Uint8Array): MemberMetadata {
  const { subscribedTopicNames, subscribedTopicRegex, serverAssignor, classicMemberMetadata, ...same } =
    decodeVersioned(consumerGroupMemberMetadataValue, value);
  return {
    ...same,
    topics: [...new Set(subscribedTopicNames)].sort(),
    pattern: subscribedTopicRegex ?? "",
    assignor: serverAssignor,
    classic:
      classicMemberMetadata === null
        ? null
        : {
            sessionTimeoutMs: classicMemberMetadata.sessionTimeoutMs,
            protocols: classicMemberMetadata.supportedProtocols.map(({ name, metadata }) => ({
              name,
              metadata: Uint8Array.from(metadata),
            })),
          },
  };
}

function decodeTarget(value: Uint8Array): Partitions {
  const { topicPartitions } = decodeVersioned(consumerGroupTargetAssignmentMemberValue, value);
  return new Map(topicPartitions.map(({ topicId, partitions }) => [topicId, [...partitions].sort((a, b) => a - b)]));
}

function decodeCurrent(value: Uint8Array): CurrentAssignment {
  const read = decodeVersioned(consumerGroupCurrentMemberAssignmentValue, value);
  type Held = (typeof read.assignedPartitions)[number];
  // Without epochs any commit of a member that holds the partition counts, as it did before Kafka kept them.
  const held = (lists: readonly Held[]): PartitionEpochs =>
    new Map(
      lists.map(({ topicId, partitions, assignmentEpochs }) => [
        topicId,
        new Map(partitions.map((partition, index) => [partition, assignmentEpochs?.[index] ?? 0])),
      ]),
    );
  return {
    state: memberStates[read.state] ?? "unreleased", // One of a newer Kafka: it is led to its target like any other.
    epoch: read.memberEpoch,
    previousEpoch: read.previousMemberEpoch,
    assigned: held(read.assignedPartitions),
    revoking: held(read.partitionsPendingRevocation),
  };
}

/** A group while its records are read, in whatever order cleaning has left them. */
export class ConsumerGroupReplay {
  #epochs: { readonly epoch: number; readonly topicsHash: number } | null = null;
  #targets: { readonly epoch: number; readonly madeAt: number } | null = null;
  readonly #metadata = new Map<string, MemberMetadata>();
  readonly #targetOf = new Map<string, Partitions>();
  readonly #current = new Map<string, CurrentAssignment>();
  readonly #patterns = new Map<string, PatternTopics>();

  apply(record: ConsumerRecord): void {
    switch (record.kind) {
      case "group":
        this.#epochs = record.value;
        return;
      case "targets":
        this.#targets = record.value;
        return;
      case "member":
        put(this.#metadata, record.memberId, record.value);
        return;
      case "target":
        put(this.#targetOf, record.memberId, record.value);
        return;
      case "current":
        put(this.#current, record.memberId, record.value);
        return;
      case "pattern": {
        const { value } = record;
        const resolved =
          value === null ? null : { topics: value.topics, topicsVersion: value.version, resolvedAt: value.timestamp };
        put(this.#patterns, record.pattern, resolved);
        return;
      }
      case "outdated":
        return;
    }
  }

  /** Null when the records say that there is none, or none any more. */
  group(): ConsumerGroup | null {
    if (this.#epochs === null) return null;
    const members = Array.from(
      this.#metadata,
      ([id, metadata]): ConsumerMember => ({
        id,
        metadata,
        current: this.#current.get(id) ?? { ...newcomer },
      }),
    );
    return {
      epoch: this.#epochs.epoch,
      topicsHash: this.#epochs.topicsHash,
      targetEpoch: this.#targets?.epoch ?? 0,
      targetsMadeAt: this.#targets?.madeAt ?? 0,
      members: new Map(members.map((member) => [member.id, member])),
      targets: new Map([...this.#targetOf].filter(([id]) => this.#metadata.has(id))),
      patterns: this.#patterns,
      topicsSeen: 0,
    };
  }
}

function put<T>(map: Map<string, T>, key: string, value: T | null): void {
  if (value === null) map.delete(key);
  else map.set(key, value);
}
