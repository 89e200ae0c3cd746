/**
 * Merges small objects into large ones, in the background: one object at a time, and none while producers are held back.
 *
 *   plan ──▶ sources read ──▶ merged object in the store ──▶ accepted by the metadata log ──▶ sources are garbage
 *                                                      1                               2
 *
 * A crash before 1 or between 1 and 2 leaves an object that nobody names (garbage.ts). Whatever happens to a stream meanwhile (a
 * trim, a deletion, another writer), the fold lets the object take over only what is still as it was planned. Readers of the
 * sources have the grace period of the garbage collection.
 */
import { Gate, Loop, sleep } from "../base/async.ts";
import { CorruptData } from "../base/errors.ts";
import type { StreamId } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { Counter, Logger } from "../base/telemetry.ts";
import type { MetadataClient } from "../metadata/client.ts";
import { ObjectMissing, type ObjectStore } from "../object-store/object-store.ts";
import type { UploadLimits } from "./limits.ts";
import { type MergeInput, type OpenedPart, openMerge } from "./merge-input.ts";
import {
  type Merge,
  type MergedObject,
  type MergedRange,
  type PlanLimits,
  planMerges,
  replaceEvent,
} from "./merge-plan.ts";
import { framedBytes, ObjectEncoder, type ObjectIndex, type ObjectOrigin } from "./object-format.ts";
import { ObjectIo, type ObjectRef } from "./object-io.ts";
import type { ObjectNames } from "./object-name.ts";
import { writeObject } from "./object-writer.ts";
import type { Batch } from "./storage.ts";

export interface MergerOptions {
  readonly store: ObjectStore;
  readonly metadata: MetadataClient;
  readonly origin: ObjectOrigin;
  readonly names: ObjectNames;
  readonly runtime: Runtime;
  readonly limits: PlanLimits & UploadLimits;
  readonly logger: Logger;
  readonly metrics: { readonly mergedBytes: Counter };
  /** Whether producers are not held back. */
  readonly isAdmitting: () => boolean;
  /** Lets a simulation plant a fault. */
  readonly wrapBatches?: (batches: readonly Batch[]) => readonly Batch[];
}

export class Merger {
  readonly #options: MergerOptions;
  readonly #io: ObjectIo;
  readonly #gate = new Gate(1);
  readonly #loop: Loop;
  /** Objects on their way, which garbage collection must not touch. */
  readonly #pending = new Set<string>();
  /** Objects that cannot be read. What they hold stays where it is. */
  readonly #damaged = new Set<string>();
  /** Monotonic time from which on the next bytes may be read. */
  #readFromMs = 0;

  constructor(options: MergerOptions) {
    this.#options = options;
    const { store, runtime, limits, logger } = options;
    // Streams leave the same large objects one after another.
    const indexCacheBytesMax = limits.mergeMemoryBytesMax / 4;
    this.#io = new ObjectIo({ store, indexCacheBytesMax, readsInFlightMax: 1 });
    this.#loop = new Loop({
      clock: runtime.clock,
      intervalMs: limits.mergeIntervalMs,
      turn: (signal) => this.#cycle(signal),
      failed: (cause) => logger.warn("a merge failed, trying again", { cause }),
    });
  }

  isPending(key: string): boolean {
    return this.#pending.has(key);
  }

  /** Stops where it stands. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
  }

  async #cycle(signal: AbortSignal): Promise<void> {
    for (const merge of await this.#plan(signal)) await this.#merge(merge, signal);
  }

  /** In short turns with long rests between them. */
  async #plan(signal: AbortSignal): Promise<readonly Merge[]> {
    const { metadata, runtime, limits } = this.#options;
    const { clock } = runtime;
    const streams = ownStreams(metadata);
    const steps = planMerges({ image: () => metadata.image, streams, limits, excluded: this.#damaged });
    let turnBeganMs = clock.monotonic();
    let turnRanges = 0;
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done === true) return step.value;
      turnRanges += step.value;
      if (turnRanges < turnRangesMax) continue;
      await sleep(clock, restTurns * (clock.monotonic() - turnBeganMs), signal);
      turnBeganMs = clock.monotonic();
      turnRanges = 0;
    }
  }

  async #merge(merge: Merge, signal: AbortSignal): Promise<void> {
    const { metadata, names, store, limits, logger, metrics } = this.#options;
    const { mergeMemoryBytesMax } = limits;
    const key = names.next();
    this.#pending.add(key);
    try {
      const input = await openMerge(merge, metadata.image, {
        index: (object) => this.#index(object, signal),
        get: (object, start, end) => this.#get(object, { start, end }, signal),
        mergeMemoryBytesMax,
      });
      if (input === undefined) return;
      const ranges: MergedRange[] = [];
      const pieces = this.#pieces(input, ranges, signal);
      const uploadPartBytes = 2 * limits.uploadPartBytes; // Each is a request; and there is time to send one after another.
      const bytes = await writeObject(
        { key, bytes: merge.bytes, pieces },
        { store, gate: this.#gate, uploadPartBytes, isUnhurried: true },
      );
      const kind = ranges.length === 1 ? "stream" : "stream-set";
      await this.#commit({ key, bytes, kind, ranges });
      metrics.mergedBytes.add(bytes);
    } catch (cause) {
      if (!(cause instanceof CorruptData)) throw cause;
      this.#damaged.add(cause.source);
      logger.error("an object cannot be merged", { cause });
    } finally {
      this.#pending.delete(key); // Had a proposal been in doubt, this process would not go on.
    }
  }

  async *#pieces(
    input: MergeInput,
    ranges: MergedRange[],
    signal: AbortSignal,
  ): AsyncGenerator<readonly Uint8Array[], void> {
    const { origin } = this.#options;
    const encoder = new ObjectEncoder();
    yield [encoder.header(origin)];
    for (const part of input.parts) {
      encoder.stream(part);
      const { stream, from, to, sources } = part;
      let bytes = 0;
      let maxTimestamp = -1;
      for await (const batches of this.#blocks(input, part)) {
        for (const batch of batches) {
          bytes += batch.bytes.length;
          maxTimestamp = Math.max(maxTimestamp, batch.maxTimestamp);
        }
        yield encoder.block(batches);
      }
      ranges.push({ stream, from, to, sources, bytes, maxTimestamp });
      signal.throwIfAborted();
    }
    input.requireTaken();
    for (const [index, part] of input.parts.entries()) {
      if (part.hasSidecar) yield [encoder.sidecar(index, await input.sidecar(part))];
    }
    yield encoder.end();
  }

  /** The batches of the part, cut into blocks anew: small ones of many objects become large ones. */
  async *#blocks(input: MergeInput, part: OpenedPart): AsyncGenerator<readonly Batch[], void> {
    const { limits, wrapBatches = (batches) => batches } = this.#options;
    let block: Batch[] = [];
    let blockBytes = 0;
    for await (const batches of input.batches(part)) {
      for (const batch of wrapBatches(batches)) {
        const added = framedBytes(batch);
        if (block.length > 0 && blockBytes + added > limits.blockBytesMax) {
          yield block;
          block = [];
          blockBytes = 0;
        }
        block.push(batch);
        blockBytes += added;
      }
    }
    if (block.length > 0) yield block;
  }

  async #commit(object: MergedObject): Promise<void> {
    const { metadata, store, logger } = this.#options;
    for (let refused = ""; ; ) {
      const event = replaceEvent(object, metadata.image, metadata.nodeId);
      // The same once more would be refused once more.
      const plan = JSON.stringify(event);
      if (event === undefined || plan === refused) break;
      const proposal = await metadata.propose([event]);
      if (proposal.kind === "accepted") return;
      logger.info("streams have changed while they were merged", { refusal: proposal.refusal });
      refused = plan;
    }
    await store.delete([object.key]); // No proposal that names it is under way, and none will be.
  }

  async #index(object: ObjectRef, signal: AbortSignal): Promise<ObjectIndex> {
    await this.#turn(0, signal);
    return await this.#reading(object.key, () => this.#io.index(object));
  }

  async #get(
    object: string,
    range: { readonly start: number; readonly end: number },
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    await this.#turn(range.end - range.start, signal);
    return await this.#reading(object, () => this.#options.store.get(object, range));
  }

  /** Waits until producers are not held back, and until the bytes may be read. */
  async #turn(bytes: number, signal: AbortSignal): Promise<void> {
    const { runtime, limits, isAdmitting } = this.#options;
    const { clock } = runtime;
    while (!isAdmitting()) await sleep(clock, heldBackPollMs, signal);
    const nowMs = clock.monotonic();
    const readFromMs = Math.max(this.#readFromMs, nowMs);
    this.#readFromMs = readFromMs + (bytes / limits.mergeBytesPerSecondMax) * 1000;
    await sleep(clock, readFromMs - nowMs, signal);
  }

  async #reading<T>(object: string, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (cause) {
      if (!(cause instanceof ObjectMissing)) throw cause;
      // Deleted since, with what it held; if not, then it is lost, and must not stand in the way of others.
      if (this.#options.metadata.image.object(object) !== undefined) this.#damaged.add(object);
      throw cause;
    }
  }
}

/** In the order of their ids. */
function ownStreams({ image, nodeId }: MetadataClient): readonly StreamId[] {
  const ids: StreamId[] = [];
  for (const { id, node } of image.streams()) if (node === nodeId) ids.push(id);
  return ids.sort((a, b) => a - b);
}

/** About a millisecond of looking at ranges, and how many times as long nothing is looked at: planning takes a tenth of a core at most. */
const turnRangesMax = 1000;
const restTurns = 9;

const heldBackPollMs = 100;
