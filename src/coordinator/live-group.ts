/** One group at work: runs the pure machine, keeps its timers and the requests that wait, and writes what it must remember. */
import { assert } from "../base/errors.ts";
import type { Clock } from "../base/runtime.ts";
import type { StateRecord, TransactionOwner } from "../log/state-log.ts";
import { stepClassicGroup } from "./classic-group.ts";
import {
  type ClassicGroup,
  type GroupEffect,
  type GroupError,
  type GroupEvent,
  type GroupLimits,
  type GroupReply,
  type GroupTimer,
  type HeartbeatReply,
  type JoinEvent,
  type JoinReply,
  type LeaveReply,
  type SyncEvent,
  type SyncReply,
  type Ticket,
} from "./classic-group-state.ts";
import { GroupOffsets } from "./group-offsets.ts";
import { groupRecord } from "./group-records.ts";
import { PendingOffsets } from "./pending-offsets.ts";
import { Timers } from "./timers.ts";

/** Appends the records; resolves to NONE when they are durable, else to what the waiting clients are told. Never rejects. */
export type WriteRecords = (records: readonly StateRecord[], transaction?: TransactionOwner) => Promise<GroupError>;

type Untold<Event> = Omit<Event, "kind" | "ticket">;

export class LiveGroup {
  readonly id: string;
  readonly offsets = new GroupOffsets();
  readonly pending = new PendingOffsets();
  readonly #clock: Clock;
  readonly #limits: GroupLimits;
  readonly #append: WriteRecords;
  readonly #timers: Timers;
  readonly #waiting = new Map<Ticket, (reply: GroupReply) => void>();
  #classic: ClassicGroup;
  #ticketNext: Ticket = 1;
  #written: Promise<GroupError> = Promise.resolve("NONE");

  constructor(options: {
    readonly id: string;
    readonly classic: ClassicGroup;
    readonly clock: Clock;
    readonly limits: GroupLimits;
    readonly write: WriteRecords;
  }) {
    this.id = options.id;
    this.#classic = options.classic;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#append = options.write;
    this.#timers = new Timers(options.clock, (name) => this.feed({ kind: "timer", timer: timerOf(name) }));
  }

  get classic(): ClassicGroup {
    return this.#classic;
  }

  set classic(restored: ClassicGroup) {
    this.#classic = restored;
  }

  /** Nothing would be lost with it. */
  get isBlank(): boolean {
    const { state, generation, pending } = this.#classic;
    const hasOffsets = !this.offsets.isEmpty || !this.pending.isEmpty;
    return state === "empty" && generation === 0 && pending.size === 0 && !hasOffsets;
  }

  /** Settles when what this group wrote last is durable, and with it everything that it wrote before. */
  get written(): Promise<GroupError> {
    return this.#written;
  }

  join(event: Untold<JoinEvent>): Promise<JoinReply> {
    return this.#ask((ticket) => ({ kind: "join", ticket, ...event }));
  }

  sync(event: Untold<SyncEvent>): Promise<SyncReply> {
    return this.#ask((ticket) => ({ kind: "sync", ticket, ...event }));
  }

  heartbeat(event: Untold<Extract<GroupEvent, { kind: "heartbeat" }>>): Promise<HeartbeatReply> {
    return this.#ask((ticket) => ({ kind: "heartbeat", ticket, ...event }));
  }

  leave(event: Untold<Extract<GroupEvent, { kind: "leave" }>>): Promise<LeaveReply> {
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
    this.feed({ kind: "close", error });
    assert(this.#waiting.size === 0, "a closed group keeps nobody waiting");
    this.#timers[Symbol.dispose]();
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
    const error = await this.write([groupRecord(this.id, this.#classic, effect.assignments)]);
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
