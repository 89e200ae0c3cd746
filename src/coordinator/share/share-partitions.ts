/** The share-partitions that are at work on this node: opened when a group first asks, closed when its last session ends. */
import { SingleFlight } from "../../base/async.ts";
import type { Uuid } from "../../base/ids.ts";
import type { Clock } from "../../base/runtime.ts";
import type { Log, Lookup, Partition } from "../../log/log.ts";
import type { NotSeated } from "../seats.ts";
import { LiveSharePartition } from "./live-partition.ts";
import type { ShareConfigOf } from "./share-config.ts";
import type { ShareStates } from "./share-states.ts";
import type { SharePartitionKey } from "./state-records.ts";
import type { StateError } from "./state-shard.ts";

export interface SharePartitionsOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly states: ShareStates;
  readonly configOf: ShareConfigOf;
}

export type ShareLookup = LiveSharePartition | Exclude<Lookup, { readonly kind: "here" }> | NotSeated | StateError;

export class SharePartitions implements Disposable {
  readonly #options: SharePartitionsOptions;
  readonly #groups = new Map<string, Map<string, LiveSharePartition>>();
  readonly #opening = new SingleFlight<string, ShareLookup>();

  constructor(options: SharePartitionsOptions) {
    this.#options = options;
  }

  /** The share-partition when it is here, opened if need be. */
  async open(key: SharePartitionKey): Promise<ShareLookup> {
    const lookup = this.#options.log.partition(key.topicId, key.partition);
    if (lookup.kind !== "here") {
      this.#close(key);
      return lookup;
    }
    const known = this.at(key);
    if (known?.partition === lookup.partition) return known;
    this.#close(key); // The same partition under a later epoch: another node may have given records out.
    return await this.#opening.run(`${idOf(key)} ${key.groupId}`, () => this.#open(key, lookup.partition));
  }

  /** The share-partition when it is at work already. */
  at(key: SharePartitionKey): LiveSharePartition | undefined {
    return this.#groups.get(key.groupId)?.get(idOf(key));
  }

  /** The group's share-partitions that are at work. */
  of(groupId: string): readonly LiveSharePartition[] {
    return [...(this.#groups.get(groupId)?.values() ?? [])];
  }

  /** Nobody reads the group any more, or its offsets were set: what is known is read anew by the next who comes. */
  forget(groupId: string, topicId?: Uuid): void {
    const group = this.#groups.get(groupId);
    for (const live of group?.values() ?? []) {
      if (topicId === undefined || live.key.topicId === topicId) this.#close(live.key);
    }
  }

  [Symbol.dispose](): void {
    for (const groupId of this.#groups.keys()) this.forget(groupId);
  }

  async #open(key: SharePartitionKey, partition: Partition): Promise<ShareLookup> {
    const { states, clock, configOf } = this.#options;
    const shard = await states.shard(key);
    if (typeof shard === "string") return shard;
    const live = await LiveSharePartition.open({
      key,
      partition,
      shard,
      clock,
      config: () => configOf(key.groupId),
      gaveUp: () => this.#close(key),
    });
    if (typeof live === "string") return live;
    let group = this.#groups.get(key.groupId);
    if (group === undefined) {
      group = new Map();
      this.#groups.set(key.groupId, group);
    }
    group.set(idOf(key), live);
    return live;
  }

  #close(key: SharePartitionKey): void {
    const group = this.#groups.get(key.groupId);
    const live = group?.get(idOf(key));
    if (group === undefined || live === undefined) return;
    group.delete(idOf(key));
    if (group.size === 0) this.#groups.delete(key.groupId);
    live.close();
  }
}

function idOf({ topicId, partition }: SharePartitionKey): string {
  return `${topicId} ${partition}`;
}
