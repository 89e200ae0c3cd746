/**
 * A streams group at work: runs the pure machine, writes what changed, keeps the timers. Memory changes at once, answers wait
 * until what they rest on is durable.
 */
import type { Clock } from "../../base/runtime.ts";
import type { StateRecord } from "../../log/state-log.ts";
import type { GroupError } from "../classic-group-state.ts";
import type { Topics } from "../consumer-group-state.ts";
import { Timers } from "../timers.ts";
import {
  afterDelay,
  heartbeat,
  type StreamsAnswer,
  type StreamsContext,
  type StreamsHeartbeat,
  withoutMembers,
} from "./streams-group.ts";
import { streamsGroupChanges } from "./streams-group-records.ts";
import type { StreamsGroup, StreamsLimitsOf } from "./streams-group-state.ts";

export type StreamsReply =
  | { readonly kind: "done"; readonly answer: StreamsAnswer }
  | { readonly kind: "refused"; readonly error: GroupError; readonly detail: string | null };

export interface LiveStreamsOptions {
  readonly id: string;
  readonly group: StreamsGroup;
  /** False when the group is new here: the first write holds all of it, after what it replaces. */
  readonly isWritten: boolean;
  readonly replaces: readonly StateRecord[];
  readonly clock: Clock;
  readonly limitsOf: StreamsLimitsOf;
  /** What is longer is refused. */
  readonly recordBytesMax: number;
  readonly topics: Topics;
  /** Settles when the records are durable, and with them all that the group wrote before. */
  readonly write: (records: readonly StateRecord[]) => Promise<GroupError>;
  readonly written: () => Promise<GroupError>;
}

const delayTimer = "delay";
const tooLarge = {
  kind: "refused",
  error: "UNKNOWN_SERVER_ERROR",
  detail: "The topology, or what the member says of itself, is too large.",
} as const;

export class LiveStreamsGroup implements Disposable {
  readonly #options: LiveStreamsOptions;
  readonly #timers: Timers;
  #group: StreamsGroup;
  #isWritten: boolean;
  #isOpen = true;

  constructor(options: LiveStreamsOptions) {
    this.#options = options;
    this.#group = options.group;
    this.#isWritten = options.isWritten;
    this.#timers = new Timers(options.clock, (name) => this.#due(name));
    // Sessions begin anew: nobody is blamed for the time in which no one listened.
    for (const { id, metadata, current } of options.group.members.values()) {
      this.#startSession(id);
      if (current.state === "unrevoked") this.#arm(`rebalance ${id}`, metadata.rebalanceTimeoutMs);
    }
  }

  get group(): StreamsGroup {
    return this.#group;
  }

  /** Whether the heartbeat would be refused; nothing changes. */
  refusal(request: StreamsHeartbeat): StreamsReply | undefined {
    const step = this.#step(request);
    return step.kind === "refused" ? step : undefined;
  }

  async heartbeat(request: StreamsHeartbeat): Promise<StreamsReply> {
    const step = this.#step(request);
    if (step.kind === "refused") return step;
    const written = this.#become(step.group, step.records);
    if (request.epoch >= 0) this.#startSession(request.memberId);
    const error = await written;
    return error === "NONE" ? { kind: "done", answer: step.answer } : { kind: "refused", error, detail: null };
  }

  [Symbol.dispose](): void {
    this.#isOpen = false;
    this.#timers[Symbol.dispose]();
  }

  #context(): StreamsContext {
    const { id, clock, limitsOf, topics } = this.#options;
    return { now: clock.now(), limits: limitsOf(id), topics };
  }

  /** With what it writes. Nothing changes yet: as in Kafka, nobody else suffers from a topology that no record holds. */
  #step(request: StreamsHeartbeat) {
    const step = heartbeat(this.#group, request, this.#context());
    if (step.kind === "refused") return step;
    const records = this.#changes(step.group);
    const isTooLarge = records.some(({ value }) => (value?.length ?? 0) > this.#options.recordBytesMax);
    return isTooLarge ? tooLarge : { ...step, records };
  }

  #changes(next: StreamsGroup): readonly StateRecord[] {
    const { id, replaces } = this.#options;
    return this.#isWritten
      ? streamsGroupChanges(id, this.#group, next)
      : [...replaces, ...streamsGroupChanges(id, null, next)];
  }

  /** No await before the write is handed over: the next request must meet the group as it is written. */
  #become(next: StreamsGroup, records = this.#changes(next)): Promise<GroupError> {
    const before = this.#group;
    this.#group = next;
    this.#follow(before, next);
    this.#isWritten = true;
    return records.length === 0 ? this.#options.written() : this.#options.write(records);
  }

  #follow(before: StreamsGroup, next: StreamsGroup): void {
    if (next.isDelayed && !before.isDelayed) this.#arm(delayTimer, this.#context().limits.initialDelayMs);
    for (const id of before.members.keys()) {
      if (next.members.has(id)) continue;
      for (const kind of ["session", "rebalance"]) this.#timers.cancel(`${kind} ${id}`);
    }
    for (const { id, metadata, current } of next.members.values()) {
      if (before.members.get(id)?.current === current) continue;
      if (current.state === "unrevoked") this.#arm(`rebalance ${id}`, metadata.rebalanceTimeoutMs);
      else this.#timers.cancel(`rebalance ${id}`);
    }
  }

  /** A member that fell silent, or does not give up what it must, is gone. */
  #due(name: string): void {
    const next =
      name === delayTimer
        ? afterDelay(this.#group, this.#context())
        : withoutMembers(this.#group, new Set([name.slice(name.indexOf(" ") + 1)]));
    void this.#become(next); // Whoever asks next waits for it; a write that fails closes the shard.
  }

  #startSession(memberId: string): void {
    this.#arm(`session ${memberId}`, this.#options.limitsOf(this.#options.id).sessionTimeoutMs);
  }

  #arm(name: string, afterMs: number): void {
    if (this.#isOpen) this.#timers.set(name, afterMs);
  }
}
