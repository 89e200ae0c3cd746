/**
 * The share-partitions of one partition of __share_group_state. A state is a snapshot and the updates after it:
 *
 *   S a │ U a │ S b │ U a │ U b │ ... │ S a │ U b          a snapshot follows every `updatesPerSnapshotMax` updates; what lies before the
 *       ◀── redundant ──▶                                  oldest snapshot that counts is cut off (the topic is not compacted)
 *
 * Memory is changed when a record is handed to the log and answers wait until it is durable; should an append fail, the shard
 * gives up and is loaded again.
 */
import type { Offset, Uuid } from "../../base/ids.ts";
import type { Clock } from "../../base/runtime.ts";
import type { StateLog, StateRecord } from "../../log/state-log.ts";
import type { Shard } from "../seats.ts";
import { overlay } from "./state-batches.ts";
import {
  decodeShareState,
  type SharePartitionKey,
  type ShareState,
  type ShareUpdate,
  snapshotRecord,
  snapshotTombstone,
  updateRecord,
} from "./state-records.ts";

export type StateError =
  | "NONE"
  | "FENCED_STATE_EPOCH"
  | "FENCED_LEADER_EPOCH"
  | "NOT_COORDINATOR"
  /** There is no room for another state. */
  | "INVALID_REQUEST";

export interface ShareStateLimits {
  readonly statesMax: number;
  readonly updatesPerSnapshotMax: number;
}

interface Entry {
  readonly key: SharePartitionKey;
  state: ShareState;
  /** Grows whenever a state is made anew here, under whatever epoch; 0: as it was read. */
  readonly making: number;
  updates: number;
  /** Of the newest snapshot that is durable. */
  snapshotAt: number;
}

/** A snapshot this many times its updates behind the end of the log is written again, so that the log before it can go. */
const snapshotsBehindMax = 20;

export class ShareStateShard implements Shard {
  readonly #log: StateLog;
  readonly #clock: Clock;
  readonly #limits: ShareStateLimits;
  readonly #trim: (before: Offset) => Promise<unknown>;
  readonly #gaveUp: (cause: unknown) => void;
  readonly #entries = new Map<string, Entry>();
  #end = 0;
  #trimmed = 0;
  #makings = 0;
  #isOpen = true;

  constructor(options: {
    readonly log: StateLog;
    readonly clock: Clock;
    readonly limits: ShareStateLimits;
    /** Cuts the log off below the offset. */
    readonly trim: (before: Offset) => Promise<unknown>;
    readonly gaveUp: (cause: unknown) => void;
  }) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#trim = options.trim;
    this.#gaveUp = options.gaveUp;
  }

  async load(): Promise<void> {
    for await (const { key, value, offset } of this.#log.replay()) {
      if (!this.#isOpen) return;
      this.#end = offset + 1;
      const record = decodeShareState(key, value);
      if (record.kind === "foreign") continue;
      const id = idOf(record.key);
      if (record.kind === "snapshot") {
        if (record.state === null) this.#entries.delete(id);
        else this.#entries.set(id, { key: record.key, state: record.state, making: 0, updates: 0, snapshotAt: offset });
        continue;
      }
      const entry = this.#entries.get(id);
      if (entry === undefined || record.update === null) continue; // Its snapshot was cut off: it is gone.
      entry.state = updated(entry.state, record.update);
      entry.updates += 1;
    }
  }

  /** How many states there are. */
  get states(): number {
    return this.#entries.size;
  }

  get(key: SharePartitionKey): ShareState | undefined {
    return this.#entries.get(idOf(key))?.state;
  }

  /** What a write must name that rests on the state as it is now. */
  making(key: SharePartitionKey): number {
    return this.#entries.get(idOf(key))?.making ?? 0;
  }

  /** A state from the offset on; -1 leaves it to the group's reset policy. One of the same epoch is made anew. */
  async initialize(
    key: SharePartitionKey,
    wanted: { readonly stateEpoch: number; readonly startOffset: number },
  ): Promise<StateError> {
    const before = this.get(key);
    if (before !== undefined && wanted.stateEpoch < before.stateEpoch) return "FENCED_STATE_EPOCH";
    if (before === undefined && this.#isFull) return "INVALID_REQUEST";
    const state: ShareState = {
      ...wanted,
      snapshotEpoch: (before?.snapshotEpoch ?? -1) + 1,
      leaderEpoch: before?.leaderEpoch ?? -1,
      deliveryCompleteCount: wanted.startOffset < 0 ? -1 : 0,
      createdAt: this.#clock.now(),
      batches: [],
    };
    this.#makings += 1;
    return await this.#snapshot(key, state, this.#makings);
  }

  async write(
    key: SharePartitionKey,
    at: { readonly stateEpoch: number; readonly making?: number },
    update: ShareUpdate,
  ): Promise<StateError> {
    const entry = this.#entries.get(idOf(key));
    const state = entry?.state ?? unheardOf(this.#clock.now());
    if (at.stateEpoch !== state.stateEpoch) return "FENCED_STATE_EPOCH";
    if (at.making !== undefined && at.making !== this.making(key)) return "FENCED_STATE_EPOCH";
    if (update.leaderEpoch < state.leaderEpoch) return "FENCED_LEADER_EPOCH";
    if (entry === undefined && this.#isFull) return "INVALID_REQUEST";
    const after = updated(state, update);
    if (entry === undefined || entry.updates >= this.#limits.updatesPerSnapshotMax) {
      return await this.#snapshot(key, { ...after, snapshotEpoch: state.snapshotEpoch + 1 });
    }
    entry.state = after;
    entry.updates += 1;
    return (await this.#append([updateRecord(key, after.snapshotEpoch, update)])) === undefined
      ? "NOT_COORDINATOR"
      : "NONE";
  }

  async remove(key: SharePartitionKey): Promise<StateError> {
    if (!this.#entries.delete(idOf(key))) return "NONE";
    return (await this.#append([snapshotTombstone(key)])) === undefined ? "NOT_COORDINATOR" : "NONE";
  }

  /** Removes the states of topics that there are no more. */
  async forget(isTopic: (topicId: Uuid) => boolean): Promise<void> {
    const gone = Array.from(this.#entries.values(), ({ key }) => key).filter(({ topicId }) => !isTopic(topicId));
    for (const key of gone) await this.remove(key);
  }

  /** Cuts off what no state needs. */
  async prune(): Promise<void> {
    const behind = this.#end - this.#limits.updatesPerSnapshotMax * snapshotsBehindMax;
    for (const { key, state, snapshotAt } of this.#entries.values()) {
      if (snapshotAt < behind) await this.#snapshot(key, { ...state, snapshotEpoch: state.snapshotEpoch + 1 });
    }
    if (!this.#isOpen) return;
    const needed = Array.from(this.#entries.values(), ({ snapshotAt }) => snapshotAt);
    const before = needed.reduce((least, each) => Math.min(least, each), this.#end);
    if (before <= this.#trimmed) return;
    this.#trimmed = before;
    await this.#trim(before as Offset);
  }

  close(): void {
    this.#isOpen = false;
  }

  get #isFull(): boolean {
    return this.#entries.size >= this.#limits.statesMax;
  }

  async #snapshot(key: SharePartitionKey, state: ShareState, making = this.making(key)): Promise<StateError> {
    const id = idOf(key);
    const before = this.#entries.get(id);
    // Until the new snapshot is durable the old one is needed.
    const entry: Entry = { key, state, making, updates: 0, snapshotAt: before?.snapshotAt ?? this.#end };
    this.#entries.set(id, entry);
    const offset = await this.#append([snapshotRecord(key, state, this.#clock.now())]);
    if (offset === undefined) return "NOT_COORDINATOR";
    entry.snapshotAt = offset;
    return "NONE";
  }

  async #append(records: readonly StateRecord[]): Promise<number | undefined> {
    if (!this.#isOpen) return undefined;
    try {
      const offset = await this.#log.append(records);
      this.#end = Math.max(this.#end, offset + records.length);
      return this.#isOpen ? offset : undefined;
    } catch (cause) {
      if (this.#isOpen) {
        this.close();
        this.#gaveUp(cause);
      }
      return undefined;
    }
  }
}

function updated(state: ShareState, update: ShareUpdate): ShareState {
  const startOffset = update.startOffset < 0 ? state.startOffset : update.startOffset;
  return {
    ...state,
    leaderEpoch: update.leaderEpoch,
    startOffset,
    deliveryCompleteCount: update.deliveryCompleteCount,
    batches: overlay(state.batches, update.batches, startOffset),
  };
}

/** A share-partition that is read before a coordinator has made its state begins like one that was just made. */
function unheardOf(now: number): ShareState {
  return {
    snapshotEpoch: -1,
    stateEpoch: 0,
    leaderEpoch: -1,
    startOffset: -1,
    deliveryCompleteCount: -1,
    createdAt: now,
    batches: [],
  };
}

function idOf({ groupId, topicId, partition }: SharePartitionKey): string {
  return `${topicId} ${partition} ${groupId}`;
}
