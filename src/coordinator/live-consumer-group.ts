/**
 * A group of the consumer protocol at work: runs the pure machine, writes what changed, keeps the timers. Memory changes at once,
 * answers wait until what they rest on is durable.
 */
import type { Clock } from "../base/runtime.ts";
import type { StateRecord } from "../log/state-log.ts";
import {
  type GroupError,
  type JoinEvent,
  type JoinReply,
  joinRefusal,
  type LeaveReply,
  type SyncEvent,
  type SyncReply,
  syncRefusal,
} from "./classic-group-state.ts";
import {
  type ConsumerContext,
  type ConsumerHeartbeat,
  heartbeat,
  identified,
  withoutMembers,
} from "./consumer-group.ts";
import { heartbeatAsClassic, joinAsClassic, syncAsClassic } from "./consumer-group-migration.ts";
import { consumerGroupChanges } from "./consumer-group-records.ts";
import {
  type ConsumerGroup,
  type ConsumerLimitsOf,
  type ConsumerMember,
  isEveryoneClassic,
  type PartitionEpochs,
  type Topics,
} from "./consumer-group-state.ts";
import { Timers } from "./timers.ts";

type Untold<Event> = Omit<Event, "kind" | "ticket">;

export interface ConsumerHeartbeatReply {
  readonly error: GroupError;
  readonly detail: string | null;
  readonly memberId: string;
  readonly epoch: number;
  readonly assignment: PartitionEpochs | null;
}

export interface LiveConsumerOptions {
  readonly id: string;
  readonly group: ConsumerGroup;
  /** False when the group is new here: the first write holds all of it, after what it replaces. */
  readonly isWritten: boolean;
  readonly replaces: readonly StateRecord[];
  readonly clock: Clock;
  readonly limitsOf: ConsumerLimitsOf;
  readonly topics: Topics;
  /** Settles when the records are durable, and with them all that the group wrote before. */
  readonly write: (records: readonly StateRecord[]) => Promise<GroupError>;
  readonly written: () => Promise<GroupError>;
  /** All who are left speak the classic protocol: the group is to become a classic one. Called instead of a write. */
  readonly onlyClassicLeft: (before: ConsumerGroup, left: ConsumerGroup) => Promise<GroupError>;
}

type TimerKind = "session" | "rebalance" | "join" | "sync";

export class LiveConsumerGroup implements Disposable {
  readonly #options: LiveConsumerOptions;
  readonly #timers: Timers;
  #group: ConsumerGroup;
  #isWritten: boolean;
  #isOpen = true;

  constructor(options: LiveConsumerOptions) {
    this.#options = options;
    this.#group = options.group;
    this.#isWritten = options.isWritten;
    this.#timers = new Timers(options.clock, (name) => void this.#fence([name.slice(name.indexOf(" ") + 1)]));
    // Sessions begin anew: nobody is blamed for the time in which no one listened.
    for (const member of options.group.members.values()) {
      this.#startSession(member);
      if (mustRevoke(member)) this.#arm("rebalance", member.id, member.metadata.rebalanceTimeoutMs);
    }
  }

  get group(): ConsumerGroup {
    return this.#group;
  }

  /** Whether the heartbeat would be refused; nothing changes. */
  refusal(request: ConsumerHeartbeat, matches: ConsumerContext["matches"]): ConsumerHeartbeatReply | undefined {
    const step = heartbeat(this.#group, request, this.#context(matches));
    return step.kind === "refused" ? heartbeatRefusal(request, step) : undefined;
  }

  async heartbeat(request: ConsumerHeartbeat, matches: ConsumerContext["matches"]): Promise<ConsumerHeartbeatReply> {
    const step = heartbeat(this.#group, request, this.#context(matches));
    if (step.kind === "refused") return heartbeatRefusal(request, step);
    const error = await this.#become(step.group, request.epoch < 0 ? null : request.memberId);
    return error === "NONE" ? { error, detail: null, ...step.answer } : heartbeatRefusal(request, { error });
  }

  async join(event: Untold<JoinEvent>): Promise<JoinReply> {
    const isUnnamed = event.memberId === "" && event.instanceId === null;
    if (isUnnamed && event.mustKnowId) return joinRefusal("MEMBER_ID_REQUIRED", event.memberIdFresh);
    const step = joinAsClassic(this.#group, event, this.#context(new Map()));
    if (step.kind === "refused") return joinRefusal(step.error, ""); // As Kafka: a group of another kind knows nobody by it.
    const { memberId, generation, protocolName } = step.answer;
    this.#timers.cancel(`join ${memberId}`);
    const written = this.#become(step.group, memberId);
    this.#arm("sync", memberId, event.rebalanceTimeoutMs);
    const error = await written;
    if (error !== "NONE") return joinRefusal(error, memberId);
    return { ...joinRefusal("NONE", memberId), generation, protocolType: event.protocolType, protocolName };
  }

  async sync(event: Untold<SyncEvent>): Promise<SyncReply> {
    const answer = syncAsClassic(this.#group, event, this.#options.topics);
    if (typeof answer === "string") {
      if (answer === "REBALANCE_IN_PROGRESS") this.#awaitJoin(event.memberId);
      return syncRefusal(answer);
    }
    this.#timers.cancel(`sync ${event.memberId}`);
    this.#alive(event.memberId);
    const error = await this.#options.written();
    if (error !== "NONE") return syncRefusal(error);
    return { kind: "sync", error, protocolType: event.protocolType, ...answer };
  }

  classicHeartbeat(event: Parameters<typeof heartbeatAsClassic>[1]): GroupError {
    const error = heartbeatAsClassic(this.#group, event);
    if (error === "NONE" || error === "REBALANCE_IN_PROGRESS") this.#alive(event.memberId);
    if (error === "REBALANCE_IN_PROGRESS") this.#awaitJoin(event.memberId);
    return error;
  }

  /** Also by an administrator, who names static members by their instance alone. */
  async leave(
    members: readonly { readonly memberId: string; readonly instanceId: string | null }[],
  ): Promise<LeaveReply> {
    const gone: string[] = [];
    const answers = members.map(({ memberId, instanceId }) => {
      const found = identified(this.#group, { memberId, instanceId });
      const isNamedByInstance = memberId === "" && instanceId !== null;
      const named = isNamedByInstance ? this.#byInstance(instanceId) : undefined;
      const id = named?.id ?? ("error" in found ? undefined : found.id);
      if (id !== undefined) gone.push(id);
      const error: GroupError = id !== undefined ? "NONE" : "error" in found ? found.error : "NONE";
      return { memberId, instanceId, error };
    });
    const error = await this.#fence(gone);
    return { kind: "leave", error, members: error === "NONE" ? answers : [] };
  }

  [Symbol.dispose](): void {
    this.#isOpen = false;
    this.#timers[Symbol.dispose]();
  }

  #byInstance(instanceId: string): ConsumerMember | undefined {
    return [...this.#group.members.values()].find(({ metadata }) => metadata.instanceId === instanceId);
  }

  #context(matches: ConsumerContext["matches"]): ConsumerContext {
    const { id, clock, limitsOf, topics } = this.#options;
    return { now: clock.now(), limits: limitsOf(id), topics, matches };
  }

  /** No await before the write is handed over: the next request must meet the group as it is written. */
  #become(next: ConsumerGroup, alive: string | null): Promise<GroupError> {
    const before = this.#group;
    this.#group = next;
    this.#followMembers(before, next);
    if (alive !== null) this.#alive(alive);
    if (isEveryoneClassic(next)) return this.#options.onlyClassicLeft(before, next);
    const { id, replaces } = this.#options;
    const records = this.#isWritten
      ? consumerGroupChanges(id, before, next)
      : [...replaces, ...consumerGroupChanges(id, null, next)];
    this.#isWritten = true;
    return records.length === 0 ? this.#options.written() : this.#options.write(records);
  }

  #followMembers(before: ConsumerGroup, next: ConsumerGroup): void {
    for (const id of before.members.keys()) {
      if (next.members.has(id)) continue;
      for (const kind of ["session", "rebalance", "join", "sync"] satisfies TimerKind[])
        this.#timers.cancel(`${kind} ${id}`);
    }
    for (const member of next.members.values()) {
      const { id, metadata, current } = member;
      if (before.members.get(id)?.current === current) continue;
      if (mustRevoke(member)) this.#arm("rebalance", id, metadata.rebalanceTimeoutMs);
      else this.#timers.cancel(`rebalance ${id}`);
    }
  }

  async #fence(ids: readonly string[]): Promise<GroupError> {
    const gone = new Set(ids.filter((id) => this.#group.members.has(id)));
    if (gone.size === 0) return "NONE";
    return await this.#become(withoutMembers(this.#group, gone, this.#options), null);
  }

  #alive(memberId: string): void {
    const member = this.#group.members.get(memberId);
    if (member !== undefined) this.#startSession(member);
  }

  #startSession({ id, metadata }: ConsumerMember): void {
    const { sessionTimeoutMs } = metadata.classic ?? this.#options.limitsOf(this.#options.id);
    this.#arm("session", id, sessionTimeoutMs);
  }

  #awaitJoin(memberId: string): void {
    const member = this.#group.members.get(memberId);
    if (member === undefined || this.#timers.has(`join ${memberId}`)) return;
    this.#arm("join", memberId, member.metadata.rebalanceTimeoutMs);
  }

  #arm(kind: TimerKind, memberId: string, afterMs: number): void {
    if (this.#isOpen) this.#timers.set(`${kind} ${memberId}`, afterMs);
  }
}

/** Members of the classic protocol have the time to join again instead, and those that left for now have given up what they were to. */
function mustRevoke({ metadata, current }: ConsumerMember): boolean {
  return current.state === "unrevoked" && current.epoch >= 0 && metadata.classic === null;
}

export function heartbeatRefusal(
  { memberId }: ConsumerHeartbeat,
  { error, detail }: { readonly error: GroupError; readonly detail?: string },
): ConsumerHeartbeatReply {
  return { error, detail: detail ?? null, memberId, epoch: 0, assignment: null };
}
