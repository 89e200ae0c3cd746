/** Streams groups as records of __consumer_offsets (schemas/kafka/streams-group-records.ts): what changed, and back. */
import {
  streamsRecordKeys as keys,
  streamsGroupCurrentMemberAssignmentKey,
  streamsGroupCurrentMemberAssignmentValue,
  streamsGroupMemberMetadataKey,
  streamsGroupMemberMetadataValue,
  streamsGroupMetadataKey,
  streamsGroupMetadataValue,
  streamsGroupTargetAssignmentMemberKey,
  streamsGroupTargetAssignmentMemberValue,
  streamsGroupTargetAssignmentMetadataKey,
  streamsGroupTargetAssignmentMetadataValue,
  streamsGroupTopologyKey,
  streamsGroupTopologyValue,
} from "../../../schemas/kafka/streams-group-records.ts";
import type { Infer, Message } from "../../base/codec.ts";
import type { StateRecord } from "../../log/state-log.ts";
import { decodeVersioned, encodeVersioned, versionOf } from "../../protocol/versioned.ts";
import type { MemberState } from "../consumer-group-state.ts";
import {
  type CurrentTasks,
  emptyStreamsGroup,
  newcomer,
  type StreamsGroup,
  type StreamsMetadata,
} from "./streams-group-state.ts";
import { byRole, type HeldTasks, type TaskRole, type Tasks, taskLists } from "./tasks.ts";
import type { StreamsTopology } from "./topology.ts";

/** As Kafka numbers them, from 1. */
const memberStates: readonly MemberState[] = ["stable", "unrevoked", "unreleased"];
const standbysConfig = "num.standby.replicas";

/** Null on either side: there is no such group. What goes is written before what comes, as Kafka's replay wants it. */
export function streamsGroupChanges(
  group: string,
  before: StreamsGroup | null,
  after: StreamsGroup | null,
): readonly StateRecord[] {
  const was = before ?? emptyStreamsGroup;
  const is = after ?? emptyStreamsGroup;
  const records: StateRecord[] = [];
  const write = <I>(key: Uint8Array, message: Message<unknown, I>, value: I): void => {
    records.push({ key, value: encodeVersioned(message, 0, value) });
  };
  for (const memberId of was.members.keys()) {
    if (is.members.has(memberId)) continue;
    for (const key of [currentKey, targetKey, memberKey]) records.push({ key: key(group, memberId), value: null });
  }
  for (const [memberId, { metadata }] of is.members) {
    if (was.members.get(memberId)?.metadata === metadata) continue;
    write(memberKey(group, memberId), streamsGroupMemberMetadataValue, { ...metadata, instanceId: null });
  }
  if (is.topology !== null && is.topology !== was.topology) {
    write(topologyKey(group), streamsGroupTopologyValue, is.topology);
  }
  const isOther =
    before === null ||
    was.epoch !== is.epoch ||
    was.topicsHash !== is.topicsHash ||
    was.validatedEpoch !== is.validatedEpoch ||
    was.standbys !== is.standbys;
  if (after !== null && isOther) write(groupKey(group), streamsGroupMetadataValue, groupValue(is));
  for (const [memberId, target] of is.targets) {
    if (was.targets.get(memberId) === target) continue;
    write(targetKey(group, memberId), streamsGroupTargetAssignmentMemberValue, targetValue(target));
  }
  if (after !== null && (before === null || was.targetEpoch !== is.targetEpoch)) {
    const value = { assignmentEpoch: is.targetEpoch, assignmentTimestamp: is.targetsMadeAt };
    write(targetEpochKey(group), streamsGroupTargetAssignmentMetadataValue, value);
  }
  for (const [memberId, { current }] of is.members) {
    if (was.members.get(memberId)?.current === current) continue;
    write(currentKey(group, memberId), streamsGroupCurrentMemberAssignmentValue, currentValue(current));
  }
  if (before !== null && after === null) {
    for (const key of [targetEpochKey, groupKey, topologyKey]) records.push({ key: key(group), value: null });
  }
  return records;
}

type GroupKey = (group: string) => Uint8Array;
type MemberKey = (group: string, memberId: string) => Uint8Array;

const groupKey: GroupKey = (group) => encodeVersioned(streamsGroupMetadataKey, keys.group, { group });
const targetEpochKey: GroupKey = (group) =>
  encodeVersioned(streamsGroupTargetAssignmentMetadataKey, keys.targetEpoch, { group });
const topologyKey: GroupKey = (group) => encodeVersioned(streamsGroupTopologyKey, keys.topology, { group });
const memberKey: MemberKey = (group, memberId) =>
  encodeVersioned(streamsGroupMemberMetadataKey, keys.member, { group, memberId });
const targetKey: MemberKey = (group, memberId) =>
  encodeVersioned(streamsGroupTargetAssignmentMemberKey, keys.target, { group, memberId });
const currentKey: MemberKey = (group, memberId) =>
  encodeVersioned(streamsGroupCurrentMemberAssignmentKey, keys.current, { group, memberId });

function groupValue({ epoch, topicsHash, validatedEpoch, standbys }: StreamsGroup) {
  return {
    epoch,
    metadataHash: topicsHash,
    validatedTopologyEpoch: validatedEpoch,
    lastAssignmentConfigs: standbys === null ? [] : [{ key: standbysConfig, value: String(standbys) }],
  };
}

function targetValue({ active, standby, warmup }: Tasks) {
  const lists = (tasks: Tasks[TaskRole]) => taskLists(tasks, (numbers) => numbers);
  return { activeTasks: lists(active), standbyTasks: lists(standby), warmupTasks: lists(warmup) };
}

function currentValue({ state, epoch, previousEpoch, assigned, revoking }: CurrentTasks) {
  return {
    memberEpoch: epoch,
    previousMemberEpoch: previousEpoch,
    state: memberStates.indexOf(state) + 1,
    activeTasks: withEpochs(assigned.active),
    standbyTasks: withoutEpochs(assigned.standby),
    warmupTasks: withoutEpochs(assigned.warmup),
    activeTasksPendingRevocation: withEpochs(revoking.active),
    standbyTasksPendingRevocation: withoutEpochs(revoking.standby),
    warmupTasksPendingRevocation: withoutEpochs(revoking.warmup),
  };
}

function withEpochs(tasks: HeldTasks[TaskRole]) {
  return withoutEpochs(tasks).map(({ subtopologyId, partitions }) => ({
    subtopologyId,
    partitions,
    assignmentEpochs: partitions.map((number) => tasks.get(subtopologyId)?.get(number) ?? 0),
  }));
}

function withoutEpochs(tasks: HeldTasks[TaskRole]) {
  return taskLists(tasks, (epochs) => epochs.keys());
}

/** One record, read. A null value is a tombstone. */
export type StreamsRecord =
  | { readonly kind: "group"; readonly value: Infer<typeof streamsGroupMetadataValue> | null }
  | { readonly kind: "member"; readonly memberId: string; readonly value: StreamsMetadata | null }
  | { readonly kind: "topology"; readonly value: StreamsTopology | null }
  | { readonly kind: "targets"; readonly value: { readonly epoch: number; readonly madeAt: number } | null }
  | { readonly kind: "target"; readonly memberId: string; readonly value: Tasks | null }
  | { readonly kind: "current"; readonly memberId: string; readonly value: CurrentTasks | null };

/** Undefined when the key is not of a streams group. Throws CorruptData. */
export function decodeStreamsRecord(
  key: Uint8Array,
  value: Uint8Array | null,
): { readonly group: string; readonly record: StreamsRecord } | undefined {
  const read = <T, I>(message: Message<T, I>): T | null => (value === null ? null : decodeVersioned(message, value));
  switch (versionOf(key)) {
    case keys.group: {
      const { group } = decodeVersioned(streamsGroupMetadataKey, key);
      return { group, record: { kind: "group", value: read(streamsGroupMetadataValue) } };
    }
    case keys.topology: {
      const { group } = decodeVersioned(streamsGroupTopologyKey, key);
      return { group, record: { kind: "topology", value: read(streamsGroupTopologyValue) } };
    }
    case keys.targetEpoch: {
      const { group } = decodeVersioned(streamsGroupTargetAssignmentMetadataKey, key);
      const found = read(streamsGroupTargetAssignmentMetadataValue);
      const targets = found === null ? null : { epoch: found.assignmentEpoch, madeAt: found.assignmentTimestamp };
      return { group, record: { kind: "targets", value: targets } };
    }
    case keys.member: {
      const { group, memberId } = decodeVersioned(streamsGroupMemberMetadataKey, key);
      const found = read(streamsGroupMemberMetadataValue);
      return { group, record: { kind: "member", memberId, value: found === null ? null : memberOf(found) } };
    }
    case keys.target: {
      const { group, memberId } = decodeVersioned(streamsGroupTargetAssignmentMemberKey, key);
      const found = read(streamsGroupTargetAssignmentMemberValue);
      return { group, record: { kind: "target", memberId, value: found === null ? null : targetOf(found) } };
    }
    case keys.current: {
      const { group, memberId } = decodeVersioned(streamsGroupCurrentMemberAssignmentKey, key);
      const found = read(streamsGroupCurrentMemberAssignmentValue);
      return { group, record: { kind: "current", memberId, value: found === null ? null : currentOf(found) } };
    }
    default:
      return undefined;
  }
}

/** In the order in which our own are, since they are compared as text. */
function memberOf(read: Infer<typeof streamsGroupMemberMetadataValue>): StreamsMetadata {
  return {
    rackId: read.rackId,
    clientId: read.clientId,
    clientHost: read.clientHost,
    rebalanceTimeoutMs: read.rebalanceTimeoutMs,
    topologyEpoch: read.topologyEpoch,
    processId: read.processId,
    userEndpoint: read.userEndpoint,
    clientTags: read.clientTags,
  };
}

function targetOf(read: Infer<typeof streamsGroupTargetAssignmentMemberValue>): Tasks {
  return byRole(
    (role) =>
      new Map(
        read[`${role}Tasks`].map(({ subtopologyId, partitions }) => [
          subtopologyId,
          [...partitions].sort((a, b) => a - b),
        ]),
      ),
  );
}

type ReadCurrent = Infer<typeof streamsGroupCurrentMemberAssignmentValue>;

function currentOf(read: ReadCurrent): CurrentTasks {
  // Before Kafka kept them, the epoch of an active task was that of the member.
  const held = (lists: ReadCurrent["activeTasks"]): HeldTasks[TaskRole] =>
    new Map(
      lists.map(({ subtopologyId, partitions, assignmentEpochs }) => [
        subtopologyId,
        new Map(partitions.map((number, index) => [number, assignmentEpochs?.[index] ?? read.memberEpoch])),
      ]),
    );
  return {
    state: memberStates[read.state - 1] ?? "unreleased", // One of a newer Kafka: it is led to its target like any other.
    epoch: read.memberEpoch,
    previousEpoch: read.previousMemberEpoch,
    assigned: byRole((role) => held(read[`${role}Tasks`])),
    revoking: byRole((role) => held(read[`${role}TasksPendingRevocation`])),
  };
}

/** A group while its records are read, in whatever order cleaning has left them. */
export class StreamsGroupReplay {
  #group: Infer<typeof streamsGroupMetadataValue> | null = null;
  #topology: StreamsTopology | null = null;
  #targets: { readonly epoch: number; readonly madeAt: number } | null = null;
  readonly #metadata = new Map<string, StreamsMetadata>();
  readonly #targetOf = new Map<string, Tasks>();
  readonly #current = new Map<string, CurrentTasks>();

  apply(record: StreamsRecord): void {
    switch (record.kind) {
      case "group":
        this.#group = record.value;
        return;
      case "topology":
        this.#topology = record.value;
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
    }
  }

  /** Null when the records say that there is none, or none any more. */
  group(): StreamsGroup | null {
    if (this.#group === null) return null;
    const { epoch, metadataHash, validatedTopologyEpoch, lastAssignmentConfigs } = this.#group;
    const standbys = Number(lastAssignmentConfigs?.find(({ key }) => key === standbysConfig)?.value ?? Number.NaN);
    return {
      ...emptyStreamsGroup,
      epoch,
      topicsHash: metadataHash,
      validatedEpoch: validatedTopologyEpoch,
      standbys: Number.isSafeInteger(standbys) ? standbys : null,
      topology: this.#topology,
      targetEpoch: this.#targets?.epoch ?? emptyStreamsGroup.targetEpoch,
      targetsMadeAt: this.#targets?.madeAt ?? 0,
      members: new Map(
        Array.from(this.#metadata, ([id, metadata]) => [
          id,
          { id, metadata, current: this.#current.get(id) ?? { ...newcomer } },
        ]),
      ),
      targets: new Map([...this.#targetOf].filter(([id]) => this.#metadata.has(id))),
    };
  }
}

function put<T>(map: Map<string, T>, key: string, value: T | null): void {
  if (value === null) map.delete(key);
  else map.set(key, value);
}
