/** One group at work: runs the pure machine, keeps its timers and the requests that wait, and writes what it must remember. */
import { assert } from "../base/errors.ts";
import type { Uuid } from "../base/ids.ts";
import type { Clock } from "../base/runtime.ts";
import type { StateRecord, TransactionOwner } from "../log/state-log.ts";
import { stepClassicGroup } from "./classic-group.ts";
import {
  type ClassicGroup,
  commitProblem,
  emptyClassicGroup,
  type GroupEffect,
  type GroupError,
  type GroupEvent,
  type GroupLimits,
  type GroupReply,
  type GroupTimer,
  type HeartbeatReply,
  type JoinEvent,
  type JoinReply,
  joinRefusal,
  type LeaveReply,
  type SyncEvent,
  type SyncReply,
  type Ticket,
  transactionalCommitProblem,
} from "./classic-group-state.ts";
import { type ConsumerContext, type ConsumerHeartbeat, consumerCommitProblem } from "./consumer-group.ts";
import { classicFromConsumer, consumerFromClassic, isHandedOver } from "./consumer-group-migration.ts";
import { consumerGroupChanges } from "./consumer-group-records.ts";
import { type ConsumerGroup, emptyConsumerGroup } from "./consumer-group-state.ts";
import { GroupOffsets } from "./group-offsets.ts";
import { groupRecord, groupTombstone } from "./group-records.ts";
import {
  type ConsumerHeartbeatReply,
  heartbeatRefusal,
  LiveConsumerGroup,
  type LiveConsumerOptions,
} from "./live-consumer-group.ts";
import { PendingOffsets } from "./pending-offsets.ts";
import { LiveStreamsGroup, type LiveStreamsOptions, type StreamsReply } from "./streams/live-streams-group.ts";
import { type StreamsHeartbeat, streamsCommitProblem } from "./streams/streams-group.ts";
import { streamsGroupChanges } from "./streams/streams-group-records.ts";
import { emptyStreamsGroup, type StreamsGroup } from "./streams/streams-group-state.ts";
import { Timers } from "./timers.ts";

/** Appends the records; resolves to NONE when they are durable, else to what the waiting clients are told. Never rejects. */
export type WriteRecords = (records: readonly StateRecord[], transaction?: TransactionOwner) => Promise<GroupError>;

export type ConsumerGroupOptions = Pick<LiveConsumerOptions, "limitsOf" | "topics">;
export type StreamsGroupOptions = Pick<LiveStreamsOptions, "limitsOf" | "topics">;

export interface OffsetCommitter {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
  readonly knowsMemberEpochs: boolean;
  readonly partitions: Iterable<{ readonly topic: string; readonly topicId: Uuid; readonly partition: number }>;
}

type Untold<Event> = Omit<Event, "kind" | "ticket">;

export class LiveGroup {
  readonly id: string;
  readonly offsets = new GroupOffsets();
  readonly pending = new PendingOffsets();
  readonly #clock: Clock;
  readonly #limits: GroupLimits;
  readonly #consumerOptions: ConsumerGroupOptions;
  readonly #streamsOptions: StreamsGroupOptions;
  readonly #append: WriteRecords;
  readonly #timers: Timers;
  readonly #waiting = new Map<Ticket, (reply: GroupReply) => void>();
  #classic: ClassicGroup;
  #consumer: LiveConsumerGroup | null = null;
  #streams: LiveStreamsGroup | null = null;
  #ticketNext: Ticket = 1;
  #written: Promise<GroupError> = Promise.resolve("NONE");

  constructor(options: {
    readonly id: string;
    readonly classic: ClassicGroup;
    readonly clock: Clock;
    readonly limits: GroupLimits;
    readonly consumer: ConsumerGroupOptions;
    readonly streams: StreamsGroupOptions;
    readonly write: WriteRecords;
  }) {
    this.id = options.id;
    this.#classic = options.classic;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#consumerOptions = options.consumer;
    this.#streamsOptions = options.streams;
    this.#append = options.write;
    this.#timers = new Timers(options.clock, (name) => this.feed({ kind: "timer", timer: timerOf(name) }));
  }

  get classic(): ClassicGroup {
    return this.#classic;
  }

  set classic(restored: ClassicGroup) {
    this.#classic = restored;
  }

  /** While there is one, the classic group is an empty one. */
  get consumer(): ConsumerGroup | null {
    return this.#consumer?.group ?? null;
  }

  /** While there is one, the classic group is an empty one. */
  get streams(): StreamsGroup | null {
    return this.#streams?.group ?? null;
  }

  /** As it was read from the log. */
  restoreStreams(group: StreamsGroup): void {
    this.#streams = this.#liveStreams(group, { isWritten: true, replaces: [] });
  }

  /** As it was read from the log. */
  restoreConsumer(group: ConsumerGroup): void {
    this.#consumer = this.#liveConsumer(group, { isWritten: true, replaces: [] });
  }

  get isEmpty(): boolean {
    const members = (this.#consumer ?? this.#streams)?.group.members;
    return members === undefined ? this.#classic.state === "empty" : members.size === 0;
  }

  /** Nothing would be lost with it. */
  get isBlank(): boolean {
    if (this.#consumer !== null || this.#streams !== null) return false;
    const { state, generation, pending } = this.#classic;
    const hasOffsets = !this.offsets.isEmpty || !this.pending.isEmpty;
    return state === "empty" && generation === 0 && pending.size === 0 && !hasOffsets;
  }

  /** Settles when what this group wrote last is durable, and with it everything that it wrote before. */
  get written(): Promise<GroupError> {
    return this.#written;
  }

  /** The first one of a member turns a group that is empty, or of consumers that speak the classic protocol, into one of this kind. */
  consumerHeartbeat(request: ConsumerHeartbeat, matches: ConsumerContext["matches"]): Promise<ConsumerHeartbeatReply> {
    if (this.#consumer !== null) return this.#consumer.heartbeat(request, matches);
    const refuse = (detail: string): Promise<ConsumerHeartbeatReply> =>
      Promise.resolve(heartbeatRefusal(request, { error: "GROUP_ID_NOT_FOUND", detail }));
    if (request.epoch !== 0 || this.#streams !== null) return refuse(`Group ${this.id} is not a consumer group.`);
    const isEmpty = this.#classic.state === "empty";
    const start = isEmpty ? emptyConsumerGroup : consumerFromClassic(this.#classic, this.#consumerOptions.topics);
    if ("error" in start) return refuse(start.detail);
    const replaces = isEmpty && this.#classic.generation === 0 ? [] : [groupTombstone(this.id)];
    const live = this.#liveConsumer(start, { isWritten: false, replaces });
    const refusal = live.refusal(request, matches);
    if (refusal !== undefined) {
      live[Symbol.dispose]();
      return Promise.resolve(refusal);
    }
    this.#leaveClassic();
    this.#consumer = live;
    return live.heartbeat(request, matches);
  }

  /** The first one of a member turns a group that is empty into one of this kind. */
  streamsHeartbeat(request: StreamsHeartbeat): Promise<StreamsReply> {
    if (this.#streams !== null) return this.#streams.heartbeat(request);
    if (request.epoch !== 0 || this.#consumer !== null || this.#classic.state !== "empty") {
      const detail = `Group ${this.id} is not a streams group.`;
      return Promise.resolve({ kind: "refused", error: "GROUP_ID_NOT_FOUND", detail });
    }
    const replaces = this.#classic.generation === 0 ? [] : [groupTombstone(this.id)];
    const live = this.#liveStreams(emptyStreamsGroup, { isWritten: false, replaces });
    const refusal = live.refusal(request);
    if (refusal !== undefined) {
      live[Symbol.dispose]();
      return Promise.resolve(refusal);
    }
    this.#leaveClassic();
    this.#streams = live;
    return live.heartbeat(request);
  }

  /** NONE when this client may commit for the group. */
  commitProblem(by: OffsetCommitter): GroupError {
    // Before version 9 a commit carries no member epoch.
    if (this.#streams !== null) {
      const { group } = this.#streams;
      if (group.members.has(by.memberId) && !by.knowsMemberEpochs) return "UNSUPPORTED_VERSION";
      return streamsCommitProblem(group, by, by.partitions);
    }
    if (this.#consumer === null) return commitProblem(this.#classic, by);
    const { group } = this.#consumer;
    const member = group.members.get(by.memberId);
    if (member?.metadata.classic === null && !by.knowsMemberEpochs) return "UNSUPPORTED_VERSION";
    return consumerCommitProblem(group, by, by.partitions);
  }

  transactionalCommitProblem(by: OffsetCommitter): GroupError {
    if (this.#consumer === null && this.#streams === null) return transactionalCommitProblem(this.#classic, by);
    if (by.generation < 0 && by.memberId === "" && by.instanceId === null) return "NONE";
    const problem =
      this.#consumer === null
        ? streamsCommitProblem(this.#streams?.group ?? emptyStreamsGroup, by, by.partitions)
        : consumerCommitProblem(this.#consumer.group, by, by.partitions);
    return problem === "STALE_MEMBER_EPOCH" ? "ILLEGAL_GENERATION" : problem; // The only word that producers have for it.
  }

  join(event: Untold<JoinEvent>): Promise<JoinReply> {
    if (this.#consumer !== null && this.#consumer.group.members.size === 0) {
      void this.write(consumerGroupChanges(this.id, this.#consumer.group, null)); // The join waits for a later write.
      this.#consumer[Symbol.dispose]();
      this.#consumer = null;
    }
    if (this.#streams !== null && this.#streams.group.members.size === 0) {
      void this.write(streamsGroupChanges(this.id, this.#streams.group, null)); // The join waits for a later write.
      this.#streams[Symbol.dispose]();
      this.#streams = null;
    }
    if (this.#streams !== null) return Promise.resolve(joinRefusal("INCONSISTENT_GROUP_PROTOCOL", ""));
    if (this.#consumer !== null) return this.#consumer.join(event);
    return this.#ask((ticket) => ({ kind: "join", ticket, ...event }));
  }

  sync(event: Untold<SyncEvent>): Promise<SyncReply> {
    if (this.#consumer !== null) return this.#consumer.sync(event);
    return this.#ask((ticket) => ({ kind: "sync", ticket, ...event }));
  }

  heartbeat(event: Untold<Extract<GroupEvent, { kind: "heartbeat" }>>): Promise<HeartbeatReply> {
    if (this.#consumer !== null) {
      return Promise.resolve({ kind: "heartbeat", error: this.#consumer.classicHeartbeat(event) });
    }
    return this.#ask((ticket) => ({ kind: "heartbeat", ticket, ...event }));
  }

  leave(event: Untold<Extract<GroupEvent, { kind: "leave" }>>): Promise<LeaveReply> {
    if (this.#consumer !== null) return this.#consumer.leave(event.members);
    return this.#ask((ticket) => ({ kind: "leave", ticket, ...event }));
  }

  feed(event: GroupEvent): void {
    const { group, effects } = stepClassicGroup(this.#classic, event, { now: this.#clock.now(), limits: this.#limits });
    this.#classic = group;
    for (const effect of effects) this.#perform(effect);
  }

  write(records: readonly StateRecord[], transaction?: TransactionOwner): Promise<GroupError> {
    return this.wrote(this.#append(records, transaction));
  }

  /** Something was written of this group besides: who reads it waits for that too. */
  wrote(durable: Promise<GroupError>): Promise<GroupError> {
    this.#written = durable;
    return durable;
  }

  /** Tells everybody who waits, and stops the timers. */
  close(error: GroupError): void {
    this.#consumer?.[Symbol.dispose]();
    this.#streams?.[Symbol.dispose]();
    this.feed({ kind: "close", error });
    assert(this.#waiting.size === 0, "a closed group keeps nobody waiting");
    this.#timers[Symbol.dispose]();
  }

  #liveConsumer(group: ConsumerGroup, log: Pick<LiveConsumerOptions, "isWritten" | "replaces">): LiveConsumerGroup {
    return new LiveConsumerGroup({
      ...this.#consumerOptions,
      ...log,
      id: this.id,
      group,
      clock: this.#clock,
      write: (records) => this.write(records),
      written: () => this.#written,
      onlyClassicLeft: (before, left) => this.#becomeClassic(before, left),
    });
  }

  #liveStreams(group: StreamsGroup, log: Pick<LiveStreamsOptions, "isWritten" | "replaces">): LiveStreamsGroup {
    return new LiveStreamsGroup({
      ...this.#streamsOptions,
      recordBytesMax: this.#limits.recordBytesMax,
      ...log,
      id: this.id,
      group,
      clock: this.#clock,
      write: (records) => this.write(records),
      written: () => this.#written,
    });
  }

  /** Another protocol takes over: whoever waits in the classic one comes again. */
  #leaveClassic(): void {
    this.feed({ kind: "close", error: "REBALANCE_IN_PROGRESS" });
    this.#timers[Symbol.dispose]();
    this.#classic = emptyClassicGroup(0);
  }

  #becomeClassic(before: ConsumerGroup, left: ConsumerGroup): Promise<GroupError> {
    this.#consumer?.[Symbol.dispose]();
    this.#consumer = null;
    this.#classic = classicFromConsumer(left, this.#consumerOptions.topics, this.#clock.now());
    const assignments = new Map([...this.#classic.members].map(([id, { assignment }]) => [id, assignment]));
    const written = this.write([
      ...consumerGroupChanges(this.id, before, null),
      groupRecord(this.id, this.#classic, assignments),
    ]);
    this.feed({ kind: "loaded" });
    if (!isHandedOver(before, left)) this.feed({ kind: "rebalance" });
    return written;
  }

  #ask<Reply extends GroupReply>(event: (ticket: Ticket) => GroupEvent): Promise<Reply> {
    return new Promise((resolve) => {
      const ticket = this.#ticketNext++;
      this.#waiting.set(ticket, resolve as (reply: GroupReply) => void); // The machine answers each kind in its own words.
      this.feed(event(ticket));
    });
  }

  #perform(effect: GroupEffect): void {
    switch (effect.kind) {
      case "reply": {
        const resolve = this.#waiting.get(effect.ticket);
        assert(resolve !== undefined, `ticket ${effect.ticket} of group ${this.id} is answered once`);
        this.#waiting.delete(effect.ticket);
        resolve(effect.reply);
        return;
      }
      case "set-timer":
        this.#timers.set(timerName(effect.timer), effect.afterMs);
        return;
      case "cancel-timer":
        this.#timers.cancel(timerName(effect.timer));
        return;
      case "persist":
        void this.#persist(effect);
        return;
    }
  }

  async #persist(effect: Extract<GroupEffect, { kind: "persist" }>): Promise<void> {
    // As Kafka: what is too large to be written is an error to who waits for it, and to nobody else.
    let bytes = 0;
    for (const assignment of effect.assignments.values()) bytes += assignment.length;
    const error =
      bytes > this.#limits.recordBytesMax
        ? "UNKNOWN_SERVER_ERROR"
        : await this.write([groupRecord(this.id, this.#classic, effect.assignments)]);
    this.feed({ ...effect.answer, error });
  }
}

function timerName(timer: GroupTimer): string {
  return timer.kind === "session" ? `session ${timer.memberId}` : timer.kind;
}

function timerOf(name: string): GroupTimer {
  return name === "join" || name === "sync"
    ? { kind: name }
    : { kind: "session", memberId: name.slice("session ".length) };
}
