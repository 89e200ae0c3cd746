/**
 * The groups of one partition of __consumer_offsets, loaded by replay. Memory is changed when a record is handed to the log,
 * and answers wait until it is durable; should an append fail, memory is ahead of the log, so the whole shard gives up and
 * is loaded again.
 */
import { type Uuid, uuidRandom, uuidZero } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { MarkerRefusal, TransactionEnd } from "../log/log.ts";
import type { StateLog, StateRecord, TransactionOwner } from "../log/state-log.ts";
import type { Marker } from "../protocol/records.ts";
import {
  emptyClassicGroup,
  type GroupError,
  type GroupLimits,
  type JoinEvent,
  type JoinReply,
  joinRefusal,
} from "./classic-group-state.ts";
import type { ConsumerHeartbeat, PatternMatches } from "./consumer-group.ts";
import { ConsumerGroupReplay, consumerGroupChanges } from "./consumer-group-records.ts";
import { allSubscribedNames, patternsNeeded } from "./consumer-group-state.ts";
import { protocolBytes } from "./group-members.ts";
import {
  type CommittedOffset,
  expiredOffsets,
  expiredUnread,
  subscribedTopics,
  type TopicPartition,
} from "./group-offsets.ts";
import { decodeGroupRecord, type GroupRecord, groupTombstone, offsetRecord } from "./group-records.ts";
import { type ConsumerHeartbeatReply, heartbeatRefusal } from "./live-consumer-group.ts";
import { type ConsumerGroupOptions, LiveGroup, type OffsetCommitter, type StreamsGroupOptions } from "./live-group.ts";
import { isShareGroupKey } from "./share/share-group-records.ts";
import { ShareGroups, type ShareServices } from "./share/share-groups.ts";
import type { StreamsReply } from "./streams/live-streams-group.ts";
import { type StreamsHeartbeat, topicsRead } from "./streams/streams-group.ts";
import { StreamsGroupReplay, streamsGroupChanges } from "./streams/streams-group-records.ts";
import type { TopicPatterns } from "./topic-patterns.ts";

export interface OffsetCommit {
  readonly groupId: string;
  readonly memberId: string;
  readonly instanceId: string | null;
  /** Negative: the client assigns its partitions itself. */
  readonly generation: number;
  /** OffsetCommit v9+ names a missing group as such. */
  readonly knowsMissingGroup: boolean;
  readonly offsets: readonly (TopicPartition & { readonly value: CommittedOffset })[];
}

/** Groups whose end is written at a time: one after the other, thousands would take as many round trips to the WAL. */
const expiringMax = 256;
const tooManyGroups = "This coordinator has as many groups as it may have.";
/** A client's name may be as long as a string on the wire can be; a member id made from it must still fit. */
const memberPrefixCharactersMax = 249;

export class GroupShard {
  /** Undefined where there are no share groups. */
  readonly shares: ShareGroups | undefined;
  readonly #groups = new Map<string, LiveGroup>();
  /** Those with offsets that wait for a transaction's end, so that an end looks at these alone. */
  readonly #withPending = new Set<LiveGroup>();
  readonly #log: StateLog;
  readonly #runtime: Runtime;
  readonly #limits: GroupLimits & { readonly shardGroupsMax: number };
  readonly #consumer: ConsumerGroupOptions;
  readonly #streams: StreamsGroupOptions;
  readonly #patterns: TopicPatterns;
  readonly #gaveUp: (cause: unknown) => void;
  #isOpen = true;

  constructor(options: {
    readonly log: StateLog;
    readonly runtime: Runtime;
    readonly limits: GroupLimits & { readonly shardGroupsMax: number };
    readonly shareServices?: ShareServices | undefined;
    readonly consumer: ConsumerGroupOptions;
    readonly streams: StreamsGroupOptions;
    readonly patterns: TopicPatterns;
    /** The shard has closed itself; load a new one. */
    readonly gaveUp: (cause: unknown) => void;
  }) {
    this.#log = options.log;
    this.#runtime = options.runtime;
    this.#limits = options.limits;
    this.#consumer = options.consumer;
    this.#streams = options.streams;
    this.#patterns = options.patterns;
    this.#gaveUp = options.gaveUp;
    const { shareServices: services, runtime } = options;
    const write = (records: readonly StateRecord[]): Promise<GroupError> => this.#durable(this.#log.append(records));
    const newGroupProblem = (id: string): GroupError =>
      this.#groups.has(id) ? "GROUP_ID_NOT_FOUND" : this.#isFull ? "GROUP_MAX_SIZE_REACHED" : "NONE";
    const share = { clock: runtime.clock, write, newGroupProblem };
    this.shares = services === undefined ? undefined : new ShareGroups({ ...share, services });
  }

  /** Reads the partition from its start. Sessions begin anew: nobody is blamed for the time in which no one listened. */
  async load(): Promise<void> {
    const consumers = new Map<string, ConsumerGroupReplay>();
    const streams = new Map<string, StreamsGroupReplay>();
    for await (const replayed of this.#log.replayAll()) {
      if (!this.#isOpen) return;
      if (replayed.kind === "marker") {
        this.#settle(replayed);
        continue;
      }
      const { key, value } = replayed;
      const record = decodeGroupRecord(key, value);
      if (record.kind === "foreign") {
        if (isShareGroupKey(key)) this.shares?.replay(key, value);
        continue;
      }
      if (record.kind === "group") this.#open(record.group).classic = record.value ?? emptyClassicGroup(0);
      else if (record.kind === "offset") this.#restoreOffset(record, replayed.transaction);
      else if (record.kind === "streams") {
        const replay = streams.get(record.group) ?? new StreamsGroupReplay();
        streams.set(record.group, replay);
        replay.apply(record.record);
      } else {
        const replay = consumers.get(record.group) ?? new ConsumerGroupReplay();
        consumers.set(record.group, replay);
        replay.apply(record.record);
      }
    }
    for (const [id, replay] of consumers) {
      const group = replay.group();
      if (group !== null) this.#open(id).restoreConsumer(group);
    }
    for (const [id, replay] of streams) {
      const group = replay.group();
      if (group !== null) this.#open(id).restoreStreams(group);
    }
    for (const group of this.#groups.values()) {
      if (group.isBlank) this.#groups.delete(group.id);
      else group.feed({ kind: "loaded" });
    }
    this.shares?.loaded();
  }

  group(id: string): LiveGroup | undefined {
    return this.#groups.get(id);
  }

  groups(): Iterable<LiveGroup> {
    return this.#groups.values();
  }

  /** Makes the group when a client without a member id is the first to ask for it. */
  async join(groupId: string, event: Omit<JoinEvent, "kind" | "ticket" | "memberIdFresh">): Promise<JoinReply> {
    if (!this.#isOpen) return joinRefusal("NOT_COORDINATOR", event.memberId);
    if (this.shares?.get(groupId) !== undefined) return joinRefusal("INCONSISTENT_GROUP_PROTOCOL", "");
    const known = this.#groups.get(groupId);
    if (known === undefined && event.memberId !== "") return joinRefusal("UNKNOWN_MEMBER_ID", event.memberId);
    const isTooLarge = protocolBytes(event.protocols) > this.#limits.recordBytesMax; // Of a group of any kind.
    if (isTooLarge || (known === undefined && this.#isFull)) {
      return joinRefusal("GROUP_MAX_SIZE_REACHED", event.memberId);
    }
    const group = known ?? this.#open(groupId);
    const prefix = (event.instanceId ?? event.clientId).slice(0, memberPrefixCharactersMax);
    const memberIdFresh = `${prefix}-${uuidRandom(this.#runtime.random)}`;
    const reply = group.join({ ...event, memberIdFresh });
    if (group.isBlank) this.#groups.delete(groupId); // It was refused, and nothing is left to remember.
    return await reply;
  }

  /** Makes the group when a member joins that there is not yet. `maySee`: whether the client may know of a topic. */
  async consumerHeartbeat(
    groupId: string,
    beat: Omit<ConsumerHeartbeat, "patternProblem">,
    maySee: (topic: string) => boolean = () => true,
  ): Promise<ConsumerHeartbeatReply> {
    const patternProblem = beat.pattern === null ? null : (this.#patterns.problem(beat.pattern) ?? null);
    const request: ConsumerHeartbeat = { ...beat, patternProblem };
    const needed = patternsNeeded(this.#groups.get(groupId)?.consumer ?? null, beat);
    const found = needed.size === 0 ? new Map<string, readonly string[]>() : await this.#patterns.matches(needed);
    const seen = new Map<string, boolean>(); // Expressions of one group mean much the same topics.
    const isSeen = (topic: string): boolean => {
      const known = seen.get(topic) ?? maySee(topic);
      seen.set(topic, known);
      return known;
    };
    // As Kafka: who has an expression looked at has it mean what that client may see, for all members that give the same one.
    const matches: PatternMatches = {
      has: (pattern) => found.has(pattern),
      get: (pattern) => found.get(pattern)?.filter(isSeen),
    };
    if (!this.#isOpen) return heartbeatRefusal(request, { error: "NOT_COORDINATOR" });
    const refuse = (detail: string) => heartbeatRefusal(request, { error: "GROUP_ID_NOT_FOUND", detail });
    if (this.shares?.get(groupId) !== undefined) return refuse(`Group ${groupId} is not a consumer group.`);
    const known = this.#groups.get(groupId);
    if (known === undefined && request.epoch !== 0) return refuse(`Consumer group ${groupId} not found.`);
    if (known === undefined && this.#isFull) {
      return heartbeatRefusal(request, { error: "GROUP_MAX_SIZE_REACHED", detail: tooManyGroups });
    }
    const group = known ?? this.#open(groupId);
    const reply = group.consumerHeartbeat(request, matches);
    if (group.isBlank) this.#groups.delete(groupId); // It was refused, and nothing is left to remember.
    return await reply;
  }

  /** Makes the group when a member joins that there is not yet. */
  async streamsHeartbeat(groupId: string, request: StreamsHeartbeat): Promise<StreamsReply> {
    if (!this.#isOpen) return { kind: "refused", error: "NOT_COORDINATOR", detail: null };
    const isMissing = request.epoch !== 0 && !this.#groups.has(groupId);
    const isShared = this.shares?.get(groupId) !== undefined;
    if (isMissing || isShared) {
      const detail = isShared ? `Group ${groupId} is not a streams group.` : `Streams group ${groupId} not found.`;
      return { kind: "refused", error: "GROUP_ID_NOT_FOUND", detail };
    }
    if (this.#isFull && !this.#groups.has(groupId)) {
      return { kind: "refused", error: "GROUP_MAX_SIZE_REACHED", detail: tooManyGroups };
    }
    const group = this.#open(groupId);
    const reply = group.streamsHeartbeat(request);
    if (group.isBlank) this.#groups.delete(groupId); // It was refused, and nothing is left to remember.
    return await reply;
  }

  /** One answer for all the offsets: they are written together. */
  async commit(commit: OffsetCommit): Promise<GroupError> {
    if (!this.#isOpen) return "NOT_COORDINATOR";
    if (this.shares?.get(commit.groupId) !== undefined) return "GROUP_ID_NOT_FOUND";
    const known = this.#groups.get(commit.groupId);
    if (known === undefined && commit.generation >= 0) {
      return commit.knowsMissingGroup ? "GROUP_ID_NOT_FOUND" : "ILLEGAL_GENERATION";
    }
    const problem = known === undefined ? "NONE" : known.commitProblem(committer(commit));
    if (problem !== "NONE") return problem;
    if (commit.memberId !== "") known?.feed({ kind: "alive", memberId: commit.memberId });
    if (commit.offsets.length === 0) return "NONE";
    if (known === undefined && this.#isFull) return "GROUP_MAX_SIZE_REACHED";
    const group = known ?? this.#open(commit.groupId);
    for (const at of commit.offsets) setOffset(group, at, at.value);
    return await group.write(offsetRecords(commit));
  }

  /** Offsets that count when the transaction commits. `isOpen` is asked in the turn in which they are written. */
  async commitInTransaction(
    commit: OffsetCommit & { readonly transaction: TransactionOwner },
    isOpen: () => boolean,
  ): Promise<GroupError | "INVALID_TXN_STATE"> {
    if (!this.#isOpen) return "NOT_COORDINATOR";
    if (this.shares?.get(commit.groupId) !== undefined) return "GROUP_ID_NOT_FOUND";
    const known = this.#groups.get(commit.groupId);
    if (known === undefined && commit.generation >= 0) return "ILLEGAL_GENERATION";
    const problem = known === undefined ? "NONE" : known.transactionalCommitProblem(committer(commit));
    if (problem !== "NONE") return problem;
    if (!isOpen()) return "INVALID_TXN_STATE";
    if (this.#log.isFenced(commit.transaction)) return "INVALID_PRODUCER_EPOCH"; // By a marker that an administrator wrote.
    if (commit.offsets.length === 0) return "NONE";
    if (known === undefined && this.#isFull) return "GROUP_MAX_SIZE_REACHED";
    const group = known ?? this.#open(commit.groupId);
    for (const at of commit.offsets) group.pending.add(commit.transaction.producerId, at, at.value);
    this.#withPending.add(group);
    return await group.write(offsetRecords(commit), commit.transaction);
  }

  /** A transaction of the producer ended: what it left pending counts now, or never. */
  async endTransaction(marker: TransactionEnd): Promise<GroupError | MarkerRefusal> {
    if (!this.#isOpen) return "NOT_COORDINATOR";
    const refusal = this.#log.endRefusal(marker); // Asked first: what the log refuses ends nothing.
    if (refusal !== undefined) return refusal;
    const touched = this.#settle(marker);
    const durable = this.#durable(this.#log.end(marker));
    for (const group of touched) void group.wrote(durable); // It settles for all, and never rejects.
    return await durable;
  }

  /** Forgets offsets; those of topics that the group reads are kept and named in the answer. */
  async deleteOffsets(
    groupId: string,
    wanted: readonly TopicPartition[],
  ): Promise<{ readonly error: GroupError; readonly subscribed: ReadonlySet<string> }> {
    const group = this.#groups.get(groupId);
    const none: ReadonlySet<string> = new Set();
    if (group === undefined || group.classic.state === "dead") return { error: "GROUP_ID_NOT_FOUND", subscribed: none };
    const ofMembers = subscribedByMembers(group);
    if (ofMembers !== undefined) {
      const subscribed = ofMembers;
      const gone = wanted.filter((at) => !subscribed.has(at.topic) && hasOffset(group, at));
      return { error: await this.#forget(group, gone), subscribed };
    }
    const { classic } = group;
    if (classic.state !== "empty" && classic.protocolType !== "consumer") {
      return { error: "NON_EMPTY_GROUP", subscribed: none };
    }
    const topics = new Set(wanted.map(({ topic }) => topic));
    const subscribed = classic.state === "empty" ? none : (subscribedTopics(classic) ?? topics);
    const gone = wanted.filter((at) => !subscribed.has(at.topic) && hasOffset(group, at));
    return { error: await this.#forget(group, gone), subscribed };
  }

  async deleteGroup(groupId: string): Promise<GroupError> {
    if (this.shares?.get(groupId) !== undefined) return await this.shares.deleteGroup(groupId);
    const group = this.#groups.get(groupId);
    if (group === undefined || group.classic.state === "dead") return "GROUP_ID_NOT_FOUND";
    if (!group.isEmpty) return "NON_EMPTY_GROUP";
    return await this.#remove(group);
  }

  /**
   * Offsets of topics that are gone must not meet a new topic of the same name. They are forgotten when this returns; the
   * promise settles when that is durable.
   */
  async forgetDeletedTopics(topicId: (name: string) => Uuid | undefined): Promise<void> {
    const isGone = (at: TopicPartition, offset: CommittedOffset | undefined): boolean => {
      const current = topicId(at.topic);
      return current === undefined || (offset?.topicId !== uuidZero && offset?.topicId !== current);
    };
    const forgetting = [...this.#groups.values()].map((group) => {
      const gone = [...group.offsets.all()].filter((at) => isGone(at, group.offsets.get(at)));
      const pending = [...group.pending.all()].filter((at) => at.value !== null && isGone(at, at.value));
      return this.#forget(group, [...gone, ...pending]);
    });
    await Promise.all([...forgetting, this.shares?.forgetDeletedTopics(topicId)]);
  }

  /** Forgets offsets that are too old, and empty groups that have none. */
  async expire(retentionMs: number): Promise<void> {
    const written: Promise<GroupError>[] = [];
    for (const group of this.#groups.values()) {
      const now = this.#runtime.clock.now();
      const subscribed = subscribedByMembers(group);
      const expired =
        subscribed === undefined
          ? expiredOffsets(group.classic, group.offsets, { now, retentionMs })
          : expiredUnread(subscribed, group.offsets, { now, retentionMs, unusedSince: null });
      // What an open transaction is about to move is in use.
      const unused = expired.filter((at) => !group.pending.has(at));
      if (unused.length > 0) written.push(this.#forget(group, unused));
      const hasOffsets = !group.offsets.isEmpty || !group.pending.isEmpty;
      const isLeftOver = !hasOffsets && group.isEmpty && group.classic.pending.size === 0;
      if (isLeftOver && this.#groups.get(group.id) === group) written.push(this.#remove(group));
      if (written.length >= expiringMax) await Promise.all(written.splice(0));
    }
    await Promise.all(written);
  }

  close(error: GroupError): void {
    this.#isOpen = false;
    for (const group of this.#groups.values()) group.close(error);
    this.#groups.clear();
    this.#withPending.clear();
    this.shares?.close();
  }

  async #forget(group: LiveGroup, gone: readonly TopicPartition[]): Promise<GroupError> {
    if (gone.length === 0) return "NONE";
    for (const at of gone) setOffset(group, at, null);
    if (group.isBlank) this.#groups.delete(group.id); // It was its offsets and nothing else; a reload would not find it.
    return await group.write(gone.map((at) => offsetRecord({ group: group.id, ...at }, null)));
  }

  #remove(group: LiveGroup): Promise<GroupError> {
    const tombstones = [...group.offsets.all(), ...group.pending.all()].map((at) =>
      offsetRecord({ group: group.id, ...at }, null),
    );
    const own = lastRecords(group);
    this.#groups.delete(group.id);
    group.close("COORDINATOR_NOT_AVAILABLE");
    return group.write([...tombstones, ...own]);
  }

  #restoreOffset(record: Extract<GroupRecord, { kind: "offset" }>, transaction: TransactionOwner | undefined): void {
    const group = this.#open(record.group);
    if (transaction === undefined) setOffset(group, record, record.value);
    else if (record.value !== null) {
      group.pending.add(transaction.producerId, record, record.value);
      this.#withPending.add(group);
    }
  }

  /** A shard takes no more groups than it could read again in time. Those that are there go on. */
  get #isFull(): boolean {
    return this.#groups.size + (this.shares?.size ?? 0) >= this.#limits.shardGroupsMax;
  }

  #open(id: string): LiveGroup {
    const known = this.#groups.get(id);
    if (known !== undefined) return known;
    const group = new LiveGroup({
      id,
      classic: emptyClassicGroup(0),
      clock: this.#runtime.clock,
      limits: this.#limits,
      consumer: this.#consumer,
      streams: this.#streams,
      write: (records, transaction) => this.#durable(this.#log.append(records, transaction)),
    });
    this.#groups.set(id, group);
    return group;
  }

  /** Gives the groups back whose offsets the producer's transaction may have moved. */
  #settle({ producerId, outcome }: Pick<Marker, "producerId" | "outcome">): readonly LiveGroup[] {
    const touched = [...this.#withPending].filter((group) => this.#groups.get(group.id) === group);
    this.#withPending.clear();
    for (const group of touched) {
      for (const at of group.pending.end(producerId, outcome)) group.offsets.set(at, at.value);
      if (group.isBlank) this.#groups.delete(group.id);
      if (!group.pending.isEmpty) this.#withPending.add(group);
    }
    return touched;
  }

  async #durable(append: Promise<unknown>): Promise<GroupError> {
    try {
      await append;
    } catch (cause) {
      if (this.#isOpen) {
        this.close("NOT_COORDINATOR");
        this.#gaveUp(cause);
      }
      return "NOT_COORDINATOR";
    }
    return this.#isOpen ? "NONE" : "NOT_COORDINATOR";
  }
}

/** Undefined of a classic group, where only its members know. */
function subscribedByMembers({ consumer, streams }: LiveGroup): ReadonlySet<string> | undefined {
  if (streams !== null) return topicsRead(streams);
  return consumer === null ? undefined : allSubscribedNames(consumer);
}

/** What says in the log that the group is gone. */
function lastRecords({ id, consumer, streams }: LiveGroup): readonly StateRecord[] {
  if (streams !== null) return streamsGroupChanges(id, streams, null);
  return consumer === null ? [groupTombstone(id)] : consumerGroupChanges(id, consumer, null);
}

function committer({ offsets, knowsMissingGroup, ...by }: OffsetCommit): OffsetCommitter {
  const partitions = offsets.map(({ topic, partition, value }) => ({ topic, topicId: value.topicId, partition }));
  return { ...by, partitions, knowsMemberEpochs: knowsMissingGroup }; // Both since version 9.
}

/** Also one that counts only when its transaction commits. */
function hasOffset({ offsets, pending }: LiveGroup, at: TopicPartition): boolean {
  return offsets.get(at) !== undefined || pending.has(at);
}

/** Whatever is said later than what a transaction left pending holds instead of it. */
function setOffset(group: LiveGroup, at: TopicPartition, value: CommittedOffset | null): void {
  group.offsets.set(at, value);
  if (value === null) group.pending.forget(at);
  else group.pending.supersede(at);
}

function offsetRecords({ groupId, offsets }: OffsetCommit): readonly StateRecord[] {
  return offsets.map(({ topic, partition, value }) => offsetRecord({ group: groupId, topic, partition }, value));
}
