/**
 * Turns closed generations into committed objects, one generation after another:
 *
 *   closed, durable ──▶ objects in the store ──▶ accepted by the metadata log ──▶ WAL trimmed, evictable
 *                   1                        2                               3
 *
 * A crash before 2 leaves objects that nobody names (garbage.ts), and the WAL still has the batches. A crash between 2 and
 * 3 leaves records in the WAL that the image has already: recovery drops them. Trouble with the store is waited out.
 * Where the WAL lies in the store itself, its slots are committed as they are, and step 1 is left with the sidecars.
 */
import { Gate, sleep, untilAborted } from "../base/async.ts";
import { Closed, OperationFailed } from "../base/errors.ts";
import type { Runtime } from "../base/runtime.ts";
import { MiB } from "../base/settings.ts";
import type { Gauge, Logger } from "../base/telemetry.ts";
import type { MetadataClient } from "../metadata/client.ts";
import type { NodeEvent } from "../metadata/events.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import type { Hedge } from "./hedge.ts";
import type { UploadLimits } from "./limits.ts";
import type { Generation } from "./log-cache.ts";
import { encodeObject, type ObjectOrigin, type StreamPart } from "./object-format.ts";
import type { ObjectNames } from "./object-name.ts";
import { writeObject } from "./object-writer.ts";
import { persist } from "./persist.ts";
import {
  areWorthReferring,
  commitEvents,
  type PlannedObject,
  planObjects,
  rangeOf,
  sidecarsOf,
  type UploadedObject,
} from "./upload-plan.ts";
import type { Wal } from "./wal.ts";

export interface ClosedGeneration {
  readonly generation: Generation;
  /**
   * What to upload, with sidecars as they were at the cut. Asked for when the upload begins, again after an OperationFailed:
   * what memory had no room for comes from the WAL.
   */
  readonly parts: () => Promise<readonly StreamPart[]>;
}

export interface UploaderOptions {
  readonly store: ObjectStore;
  readonly metadata: MetadataClient;
  readonly wal: Wal;
  readonly origin: ObjectOrigin;
  readonly names: ObjectNames;
  readonly hedge: Hedge;
  readonly runtime: Runtime;
  readonly limits: UploadLimits;
  readonly logger: Logger;
  /** Nothing is uploaded before this: the WAL is being recovered. */
  readonly ready: Promise<void>;
  /** Generations that wait or are being uploaded. */
  readonly backlog: Gauge;
  readonly committed: (generation: Generation) => void;
  /** The uploader has stopped for good: fenced, or refused what must be accepted. */
  readonly fatal: (cause: unknown) => void;
}

export class Uploader {
  readonly #options: UploaderOptions;
  readonly #gate: Gate;
  readonly #stop = new AbortController();
  /** Settles when everything queued so far is committed; rejects once and for all when the uploader has stopped. */
  #tail: Promise<void>;
  #queued = 0;
  /** Objects on their way, which garbage collection must not touch. */
  readonly #pending = new Set<string>();

  constructor(options: UploaderOptions) {
    this.#options = options;
    this.#gate = new Gate(options.limits.uploadsInFlightMax);
    this.#tail = options.ready;
    options.backlog.set(0);
  }

  /** Resolves when the generation, and all before it, are committed. Rejects when the uploader stops before. */
  enqueue(closed: ClosedGeneration): Promise<void> {
    this.#queued += 1;
    this.#options.backlog.set(this.#queued);
    this.#tail = this.#tail.then(() => this.#upload(closed));
    this.#tail.catch((cause: unknown) => {
      if (this.#stop.signal.aborted) return;
      this.#stop.abort(cause);
      this.#options.fatal(cause);
    });
    return this.#tail;
  }

  /** Generations that wait or are being uploaded. */
  get queued(): number {
    return this.#queued;
  }

  /** Everything enqueued so far. */
  get idle(): Promise<void> {
    return this.#tail;
  }

  isPending(key: string): boolean {
    return this.#pending.has(key);
  }

  /** Stops where it stands; what is not committed is in the WAL. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Closed("uploader"));
    await this.#tail.catch(() => undefined); // Its own end, or a failure that `fatal` has been told.
  }

  async #upload({ generation, parts }: ClosedGeneration): Promise<void> {
    await untilAborted(generation.durable, this.#stop.signal);
    const { wal, limits, metadata } = this.#options;
    const slots = wal.slots?.upTo(generation.walEnd) ?? [];
    const isReferred = areWorthReferring(slots, metadata.image, limits);
    const closed = await this.#persist("read the WAL", parts);
    const planned = planObjects(isReferred ? sidecarsOf(closed) : closed, limits);
    const uploaded = await Promise.all(planned.map((object) => this.#put(object)));
    const objects = isReferred ? [...slots, ...uploaded] : uploaded;
    await this.#commit(objects, () => wal.slots?.release(generation.walEnd) ?? []);
    for (const { key } of uploaded) this.#pending.delete(key);
    this.#queued -= 1;
    this.#options.backlog.set(this.#queued);
    this.#options.committed(generation);
    await wal.trim(generation.walEnd);
  }

  async #put(object: PlannedObject): Promise<UploadedObject> {
    const { store, names, limits, hedge } = this.#options;
    const key = names.next();
    this.#pending.add(key);
    const bytes = await this.#persist(`upload ${key}`, () =>
      writeObject(
        { key, bytes: object.bytes, pieces: this.#pieces(object) },
        { store, gate: this.#gate, uploadPartBytes: limits.uploadPartBytes, hedge },
      ),
    );
    return { key, bytes, kind: object.kind, ranges: object.parts.map(rangeOf) };
  }

  /** The encoded object, with a turn for others every few megabytes: encoding means checksums over all of it. */
  async *#pieces(object: PlannedObject): AsyncIterable<readonly Uint8Array[]> {
    let sinceTurn = 0;
    for (const piece of encodeObject(this.#options.origin, object.parts, this.#options.limits.blockBytesMax)) {
      for (const view of piece) sinceTurn += view.length;
      yield piece;
      if (sinceTurn < turnBytesMax) continue;
      sinceTurn = 0;
      await sleep(this.#options.runtime.clock, 0, this.#stop.signal);
    }
  }

  /**
   * All objects of a generation in one group: a reader sees all of them or none. With them goes what the WAL needs no more,
   * so that no slot is ever both committed and to be recovered.
   */
  async #commit(objects: readonly UploadedObject[], release: () => readonly NodeEvent[]): Promise<void> {
    const { metadata, logger } = this.#options;
    for (let refused = ""; ; ) {
      const events = [...commitEvents(objects, metadata.image, metadata.nodeId), ...release()];
      if (events.length === 0) return;
      // A stream was deleted, or opened under a new epoch, while the group was on its way: then the image says so by now.
      // The same group once more would be refused once more.
      const plan = JSON.stringify(events);
      if (plan === refused) throw new OperationFailed("the metadata log refuses a commit", { happened: "no" });
      const proposal = await untilAborted(metadata.propose(events), this.#stop.signal);
      if (proposal.kind === "accepted") return;
      logger.warn("the metadata log refused a commit", { refusal: proposal.refusal });
      refused = plan;
    }
  }

  #persist<T>(what: string, work: () => Promise<T>): Promise<T> {
    return persist(what, work, { ...this.#options, signal: this.#stop.signal });
  }
}

const turnBytesMax = 8 * MiB;
