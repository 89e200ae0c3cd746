/**
 * The share groups of one partition of __consumer_offsets at work: runs the pure machine, times sessions, makes and removes the states of
 * share-partitions, and writes what must be remembered. Lives in the shard that keeps all kinds of groups.
 */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { SingleFlight, sleep } from "../../base/async.ts";
import type { Uuid } from "../../base/ids.ts";
import type { Clock } from "../../base/runtime.ts";
import type { StateRecord } from "../../log/state-log.ts";
import { Timers } from "../timers.ts";
import type { ShareConfigOf } from "./share-config.ts";
import {
  emptyShareGroup,
  heartbeat,
  leave,
  type SharedTopic,
  type ShareGroup,
  type ShareHeartbeat,
  type ShareMember,
  type TopicView,
  uninitialized,
  withoutTopics,
  withTopics,
} from "./share-group.ts";
import { replayShareGroup, shareGroupRecords, shareGroupTombstones } from "./share-group-records.ts";
import type { SharePartitions } from "./share-partitions.ts";
import type { ShareStates } from "./share-states.ts";
import type { SharePartitionKey } from "./state-records.ts";

/** What share groups need beside the log of their shard. */
export interface ShareServices {
  readonly states: ShareStates;
  readonly partitions: SharePartitions;
  readonly configOf: ShareConfigOf;
  readonly topic: TopicView;
  readonly membersMax: number;
  /** Makes __share_group_state if there is none; false when that did not work. */
  readonly ensureStates: () => Promise<boolean>;
}

export interface ShareHeartbeatReply {
  readonly error: ErrorName;
  readonly member: ShareMember | undefined;
  readonly isTold: boolean;
}

export interface OffsetTarget {
  readonly topicId: Uuid;
  readonly name: string;
  /** Those that there are; perhaps none. */
  readonly partitions: readonly { readonly partition: number; readonly startOffset: number }[];
}

/**
 * How long the first members of a group wait for each other before they hear what is theirs. Who hears at once takes all the records that
 * there are before the next one, started with it, has come.
 */
const gatherMs = 100;

export class ShareGroups {
  readonly #clock: Clock;
  readonly #services: ShareServices;
  readonly #append: (records: readonly StateRecord[]) => Promise<ErrorName>;
  readonly #newGroupProblem: (groupId: string) => ErrorName;
  readonly #groups = new Map<string, ShareGroup>();
  readonly #sessions: Timers;
  readonly #initializing = new SingleFlight<string, void>();
  /** Of groups that had nobody a moment ago. */
  readonly #gathering = new Map<string, Promise<void>>();
  #isOpen = true;

  constructor(options: {
    readonly clock: Clock;
    readonly services: ShareServices;
    /** Resolves to NONE when the records are durable. Never rejects. */
    readonly write: (records: readonly StateRecord[]) => Promise<ErrorName>;
    /** Why a group of this name cannot be made, as the shard now is; NONE when it can. */
    readonly newGroupProblem: (groupId: string) => ErrorName;
  }) {
    this.#clock = options.clock;
    this.#services = options.services;
    this.#append = options.write;
    this.#newGroupProblem = options.newGroupProblem;
    this.#sessions = new Timers(options.clock, (name) => {
      const [groupId, memberId] = JSON.parse(name) as [string, string];
      void this.#leave(groupId, memberId);
    });
  }

  get(groupId: string): ShareGroup | undefined {
    return this.#groups.get(groupId);
  }

  get size(): number {
    return this.#groups.size;
  }

  all(): Iterable<readonly [groupId: string, group: ShareGroup]> {
    return this.#groups;
  }

  replay(key: Uint8Array, value: Uint8Array | null): void {
    const { groupId, group } = replayShareGroup(key, value, (id) => this.#groups.get(id));
    if (group === undefined) this.#groups.delete(groupId);
    else this.#groups.set(groupId, group);
  }

  /** Sessions begin anew: nobody is blamed for the time in which no one listened. */
  loaded(): void {
    for (const [groupId, { members }] of this.#groups) {
      for (const memberId of members.keys()) this.#startSession(groupId, memberId);
    }
  }

  close(): void {
    this.#isOpen = false;
    this.#sessions[Symbol.dispose]();
    this.#groups.clear();
  }

  async heartbeat(groupId: string, beat: ShareHeartbeat): Promise<ShareHeartbeatReply> {
    const isFirst = (this.#groups.get(groupId)?.members.size ?? 0) === 0;
    const first = this.#step(groupId, beat);
    if (first.kind === "refused") return { error: first.error, member: undefined, isTold: false };
    await this.#initialize(groupId, first.member.topics);
    const reply = await this.#beat(groupId, beat); // Asked again after the await: others may have come and gone.
    if (reply.error !== "NONE" || beat.memberEpoch !== 0) return reply;
    if (isFirst) this.#gather(groupId);
    const gathered = this.#gathering.get(groupId);
    if (gathered === undefined) return reply;
    await gathered;
    const isStillIn = this.#groups.get(groupId)?.members.has(beat.memberId) === true;
    return isStillIn ? await this.#beat(groupId, beat) : reply;
  }

  async #beat(groupId: string, beat: ShareHeartbeat): Promise<ShareHeartbeatReply> {
    if (!this.#isOpen) return { error: "NOT_COORDINATOR", member: undefined, isTold: false };
    const outcome = this.#step(groupId, beat);
    if (outcome.kind === "refused") return { error: outcome.error, member: undefined, isTold: false };
    this.#startSession(groupId, beat.memberId);
    const error = await this.#become(groupId, outcome.group);
    return { error, member: outcome.member, isTold: outcome.isTold };
  }

  #gather(groupId: string): void {
    if (this.#gathering.has(groupId)) return;
    const gathered = sleep(this.#clock, gatherMs).then(() => void this.#gathering.delete(groupId));
    this.#gathering.set(groupId, gathered);
  }

  async leave(groupId: string, memberId: string): Promise<ErrorName> {
    const group = this.#groups.get(groupId);
    if (group === undefined) return "GROUP_ID_NOT_FOUND";
    return group.members.has(memberId) ? await this.#leave(groupId, memberId) : "UNKNOWN_MEMBER_ID";
  }

  async deleteGroup(groupId: string): Promise<ErrorName> {
    const group = this.#groups.get(groupId);
    if (group === undefined) return "GROUP_ID_NOT_FOUND";
    if (group.members.size > 0) return "NON_EMPTY_GROUP";
    const removed = await this.#removeStates(groupId, [...group.topics.values()]);
    if (removed !== "NONE") return removed;
    if (this.#groups.get(groupId) !== group) return "NON_EMPTY_GROUP"; // Somebody joined meanwhile, and found the states gone.
    this.#groups.delete(groupId);
    return await this.#append(shareGroupTombstones(groupId));
  }

  /** Share-partitions begin at these offsets from now on. The group is made if there is none. */
  async alterOffsets(groupId: string, targets: readonly OffsetTarget[]): Promise<ErrorName> {
    const group = this.#groups.get(groupId) ?? emptyShareGroup;
    if (group.members.size > 0) return "NON_EMPTY_GROUP";
    if (targets.length === 0) return "NONE"; // As Kafka: nothing is made for topics that there are not.
    if (!(await this.#services.ensureStates())) return "COORDINATOR_NOT_AVAILABLE";
    const problem = this.#problem(groupId);
    if (problem !== "NONE") return problem;
    const current = this.#groups.get(groupId) ?? emptyShareGroup;
    if (current.members.size > 0) return "NON_EMPTY_GROUP";
    const { epoch } = current;
    const topics = targets
      .filter(({ partitions }) => partitions.length > 0)
      .map(({ partitions, ...topic }) => ({ ...topic, partitions: partitions.map(({ partition }) => partition) }));
    const written = await this.#become(groupId, withTopics({ ...current, epoch, assignmentEpoch: epoch }, topics));
    if (written !== "NONE") return written;
    this.#services.partitions.forget(groupId);
    for (const { topicId, partitions } of targets) {
      for (const { partition, startOffset } of partitions) {
        const error = await this.#begin({ groupId, topicId, partition }, { stateEpoch: epoch, startOffset });
        if (error !== "NONE") return error;
      }
    }
    return "NONE";
  }

  /** The group forgets where it is in these topics. */
  async deleteOffsets(groupId: string, topicIds: readonly Uuid[]): Promise<ErrorName> {
    const group = this.#groups.get(groupId);
    if (group === undefined) return "GROUP_ID_NOT_FOUND";
    if (group.members.size > 0) return "NON_EMPTY_GROUP";
    const gone = topicIds.flatMap((topicId) => group.topics.get(topicId) ?? []);
    const removed = await this.#removeStates(groupId, gone);
    const current = this.#groups.get(groupId);
    if (removed !== "NONE" || current === undefined) return removed;
    return await this.#become(groupId, withoutTopics(current, topicIds));
  }

  async forgetDeletedTopics(topicId: (name: string) => Uuid | undefined): Promise<void> {
    for (const [groupId, group] of this.#groups) {
      const gone = [...group.topics.values()].filter((topic) => topicId(topic.name) !== topic.topicId);
      if (gone.length === 0) continue;
      await this.#removeStates(groupId, gone);
      const current = this.#groups.get(groupId);
      const ids = gone.map((topic) => topic.topicId);
      if (current !== undefined) await this.#become(groupId, withoutTopics(current, ids));
    }
  }

  #step(
    groupId: string,
    beat: ShareHeartbeat,
  ): ReturnType<typeof heartbeat> | { readonly kind: "refused"; readonly error: ErrorName } {
    const group = this.#groups.get(groupId);
    if (group === undefined && beat.memberEpoch !== 0) return { kind: "refused", error: "GROUP_ID_NOT_FOUND" };
    const problem = this.#problem(groupId);
    if (problem !== "NONE") return { kind: "refused", error: problem };
    const { topic, membersMax } = this.#services;
    return heartbeat(group ?? emptyShareGroup, beat, { topic, membersMax });
  }

  /** Asked again after every await: another kind of group may have taken the name. */
  #problem(groupId: string): ErrorName {
    return this.#groups.has(groupId) ? "NONE" : this.#newGroupProblem(groupId);
  }

  /** Makes the states of what is to be read. What cannot be made now is assigned after a later heartbeat. */
  async #initialize(groupId: string, names: readonly string[]): Promise<void> {
    const missing = (): ReturnType<typeof uninitialized> =>
      uninitialized(this.#groups.get(groupId) ?? emptyShareGroup, names, this.#services.topic);
    while (missing().length > 0 && this.#isOpen) {
      let isDone = false;
      await this.#initializing.run(groupId, async () => {
        isDone = true; // This one looked after exactly what is missing; what another left is tried once more.
        if (await this.#services.ensureStates()) await this.#initializeTopics(groupId, missing());
      });
      if (isDone) return;
    }
  }

  async #initializeTopics(groupId: string, missing: ReturnType<typeof uninitialized>): Promise<void> {
    const stateEpoch = (this.#groups.get(groupId)?.epoch ?? 0) + 1;
    const done: SharedTopic[] = [];
    for (const { topicId, name, partitions, isKnown } of missing) {
      const startOffset = isKnown ? 0 : -1;
      const errors = await Promise.all(
        partitions.map((partition) => this.#begin({ groupId, topicId, partition }, { stateEpoch, startOffset })),
      );
      const begun = partitions.filter((_, index) => errors[index] === "NONE");
      // A new topic comes as a whole: what is missing of one that is known counts as grown later, and begins at its start.
      const isKept = isKnown ? begun.length > 0 : begun.length === partitions.length;
      if (isKept) done.push({ topicId, name, partitions: begun });
    }
    if (done.length === 0 || !this.#isOpen || this.#problem(groupId) !== "NONE") return;
    await this.#become(groupId, withTopics(this.#groups.get(groupId) ?? emptyShareGroup, done));
  }

  async #begin(
    key: SharePartitionKey,
    from: { readonly stateEpoch: number; readonly startOffset: number },
  ): Promise<ErrorName> {
    const shard = await this.#services.states.shard(key);
    return typeof shard === "string" ? shard : await shard.initialize(key, from);
  }

  async #removeStates(groupId: string, topics: readonly SharedTopic[]): Promise<ErrorName> {
    for (const { topicId, partitions } of topics) {
      this.#services.partitions.forget(groupId, topicId);
      for (const partition of partitions) {
        const key = { groupId, topicId, partition };
        const shard = await this.#services.states.shard(key);
        const error = typeof shard === "string" ? shard : await shard.remove(key);
        if (error !== "NONE") return error;
      }
    }
    return "NONE";
  }

  #leave(groupId: string, memberId: string): Promise<ErrorName> {
    this.#sessions.cancel(sessionName(groupId, memberId));
    const group = this.#groups.get(groupId);
    const after = group === undefined ? undefined : leave(group, memberId, this.#services.topic);
    return after === undefined ? Promise.resolve("NONE") : this.#become(groupId, after);
  }

  /** Holds at once; NONE when it is durable. */
  async #become(groupId: string, after: ShareGroup): Promise<ErrorName> {
    if (!this.#isOpen) return "NOT_COORDINATOR";
    const before = this.#groups.get(groupId) ?? emptyShareGroup;
    this.#groups.set(groupId, after);
    const records = shareGroupRecords(groupId, before, after, this.#clock.now());
    return records.length === 0 ? "NONE" : await this.#append(records);
  }

  #startSession(groupId: string, memberId: string): void {
    this.#sessions.set(sessionName(groupId, memberId), this.#services.configOf(groupId).sessionTimeoutMs);
  }
}

function sessionName(groupId: string, memberId: string): string {
  return JSON.stringify([groupId, memberId]);
}
