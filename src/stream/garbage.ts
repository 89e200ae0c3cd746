/**
 * Deletes objects that nobody can need: those that no stream names any more, after a grace period for readers, and the
 * rests of crashed uploads. An upload's rest is told by its name: its writer is this node, which knows what is on its way,
 * or a node epoch that has been fenced and so can never commit it. Slots of a WAL that nobody needs go the same way, but never
 * a seal: while it is there, its WAL has ended.
 */
import { Loop } from "../base/async.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Counter, Logger } from "../base/telemetry.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { Image } from "../metadata/image.ts";
import type { ObjectInfo, ObjectStore } from "../object-store/object-store.ts";
import type { GarbageLimits } from "./limits.ts";
import { objectPrefix, originOfKey } from "./object-name.ts";
import { slotHeadBytes, slotOfKey, slotPrefix } from "./slot-format.ts";

export interface GarbageOptions {
  readonly store: ObjectStore;
  readonly metadata: MetadataClient;
  readonly runtime: Runtime;
  readonly limits: GarbageLimits;
  readonly logger: Logger;
  readonly metrics: { readonly garbageObjects: Counter };
  /** Whether this process is uploading, or about to commit, the object. */
  readonly isPending: (key: string) => boolean;
}

export class GarbageCollector {
  readonly #options: GarbageOptions;
  /** Monotonic time at which an object was first seen to be unreferenced. A restart only makes the grace longer. */
  readonly #seenMs = new Map<string, number>();
  readonly #loop: Loop;
  #orphansLookedForMs: number;

  constructor(options: GarbageOptions) {
    this.#options = options;
    this.#orphansLookedForMs = options.runtime.clock.monotonic();
    this.#loop = new Loop({
      clock: options.runtime.clock,
      intervalMs: options.limits.garbageIntervalMs,
      turn: () => this.#turn(),
      failed: (cause) => options.logger.warn("garbage collection failed, trying again", { cause }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
  }

  async #turn(): Promise<void> {
    await this.collectUnreferenced();
    const { runtime, limits } = this.#options;
    // Listing the whole bucket is dear, and an orphan is in nobody's way.
    if (runtime.clock.monotonic() - this.#orphansLookedForMs < limits.orphanAgeMsMin / 4) return;
    this.#orphansLookedForMs = runtime.clock.monotonic();
    await this.collectOrphans();
  }

  async collectUnreferenced(): Promise<void> {
    const { metadata, store, limits, runtime } = this.#options;
    const nowMs = runtime.clock.monotonic();
    const found = new Set<string>();
    const due: string[] = [];
    for (const { object } of metadata.image.unreferenced()) {
      found.add(object);
      const seenMs = this.#seenMs.get(object) ?? nowMs;
      this.#seenMs.set(object, seenMs);
      const isOurs = metadata.image.object(object)?.node === metadata.nodeId;
      if (nowMs - seenMs >= limits.garbageGraceMs * (isOurs ? 1 : othersGraces)) due.push(object);
    }
    for (const object of this.#seenMs.keys()) if (!found.has(object)) this.#seenMs.delete(object);
    for (let first = 0; first < due.length; first += deletesMax) {
      const objects = due.slice(first, first + deletesMax);
      await store.delete(objects);
      this.#options.metrics.garbageObjects.add(objects.length, { because: "unnamed" });
      await metadata.propose([{ kind: "objects-deleted", objects }]); // What another has recorded before does no harm.
    }
  }

  async collectOrphans(): Promise<void> {
    const { metadata, isPending } = this.#options;
    await this.#collect(objectPrefix, (object) => !isPending(object.key) && isOrphan(object, metadata.image, metadata));
    await this.#collect(slotPrefix, (object) => isOrphanSlot(object, metadata.image));
  }

  async #collect(prefix: string, isGarbage: (object: ObjectInfo) => boolean): Promise<void> {
    const { store, limits, runtime, logger } = this.#options;
    let due: string[] = [];
    for await (const object of store.list(prefix)) {
      if (runtime.clock.now() - object.modifiedMs < limits.orphanAgeMsMin) continue;
      if (!isGarbage(object)) continue;
      due.push(object.key);
      if (due.length < deletesMax) continue;
      await this.#removeOrphans(due);
      due = [];
    }
    if (due.length === 0) return;
    logger.info("removing objects that nobody will name", { prefix, count: due.length });
    await this.#removeOrphans(due);
  }

  async #removeOrphans(keys: readonly string[]): Promise<void> {
    await this.#options.store.delete(keys);
    this.#options.metrics.garbageObjects.add(keys.length, { because: "orphan" });
  }
}

/** S3 deletes up to 1000 keys in a request. */
const deletesMax = 1000;

/** Each node cleans up after itself. What it has left lying for so many grace periods, others may take for it: it is gone. */
const othersGraces = 4;

function isOrphan(object: ObjectInfo, image: Image, self: MetadataClient): boolean {
  const origin = originOfKey(object.key);
  if (origin === undefined || image.object(object.key) !== undefined) return false;
  if (origin.node === self.nodeId) return origin.nodeEpoch <= self.nodeEpoch;
  for (const { id, epoch } of image.nodes()) if (id === origin.node) return origin.nodeEpoch < epoch;
  return false; // A node that the image does not know yet.
}

/** Below where the node's WALs begin, and not committed: trimmed, or never acked, or the late echo of one of these. */
export function isOrphanSlot(object: ObjectInfo, image: Image): boolean {
  const slot = slotOfKey(object.key);
  if (slot === undefined || object.size <= slotHeadBytes || image.object(object.key) !== undefined) return false;
  const wals = image.wals(slot.node);
  const wal = wals.find(({ epoch }) => epoch === slot.epoch);
  if (wal !== undefined) return slot.seq < wal.slot;
  const [oldest] = wals;
  return oldest !== undefined && slot.epoch < oldest.epoch;
}
