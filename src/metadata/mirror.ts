/**
 * Keeps a copy of the metadata in the bucket, wherever the log itself is, so that the bucket alone makes a cluster again
 * (src/log/rebuild.ts).
 *
 *   meta/mirror/<cluster id>/log/00000000000000000871           entries 871 .., a segment (log-segment.ts)
 *   meta/mirror/<cluster id>/checkpoints/00000000000000000870   the image after entry 870
 *
 * The mirror follows the log by the interval, and at once when something was deleted: what comes back from an old copy
 * should lack new records rather than hold what somebody wanted gone. Every node mirrors; a segment's name is its first seq, made
 * with put-if-absent, so the nodes share the work, and whoever is slower goes on behind what is there. Entries never change,
 * so a segment that is written late, or twice, is only more of the same.
 */
import { Loop } from "../base/async.ts";
import { assert, CorruptData } from "../base/errors.ts";
import type { Seq } from "../base/ids.ts";
import type { Clock } from "../base/runtime.ts";
import { MiB } from "../base/settings.ts";
import type { Gauge, Logger } from "../base/telemetry.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { type CasLog, type Checkpoint, EntriesForgotten, type StoredEntry } from "./cas-log.ts";
import { encodeCheckpoint } from "./checkpoint-file.ts";
import type { MetadataClient } from "./client.ts";
import { encodeEntry, genesisHash, sameHash } from "./entry-format.ts";
import type { MetadataEvent } from "./events.ts";
import { encodeRecord, encodeSegmentHead } from "./log-segment.ts";
import { type MirrorNames, mirrorNames, readMirrorEnd, readSegment, seqsBelow } from "./mirror-files.ts";

export interface MirrorOptions {
  readonly log: CasLog;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: {
    /** What was appended is in the bucket after this long, if the bucket answers. */
    readonly intervalMs: number;
    readonly readEntriesMax: number;
  };
  /** Entries that the bucket does not hold yet. */
  readonly lag: Gauge;
}

/** A segment ends when it holds this much. */
const segmentBytesMax = 4 * MiB;

/** Of which a copy must not stay behind. */
const urgent: readonly MetadataEvent["kind"][] = ["delete-topic", "trim-streams"];

interface Place {
  readonly seq: Seq;
  readonly hash: Uint8Array;
}

export class Mirror implements AsyncDisposable {
  /** The same log, whose checkpoints go to the bucket too. */
  readonly log: CasLog;
  readonly #options: MirrorOptions;
  #following:
    | { readonly metadata: MetadataClient; readonly names: MirrorNames; readonly changes: Disposable }
    | undefined;
  #loop: Loop | undefined;
  /** Written to the log, not yet to the bucket. */
  #checkpoint: Checkpoint | undefined;
  /** The newest entry in the bucket; undefined before it was looked for. */
  #mirrored: Place | undefined;

  constructor(options: MirrorOptions) {
    this.#options = options;
    const { log } = options;
    options.lag.set(0);
    this.log = {
      append: (entry) => log.append(entry),
      read: (from, entriesMax) => log.read(from, entriesMax),
      readCheckpoint: () => log.readCheckpoint(),
      writeCheckpoint: async (checkpoint) => {
        await log.writeCheckpoint(checkpoint);
        this.#checkpoint = checkpoint;
      },
      [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
    };
  }

  /** Starts. Until then nothing is known of the cluster. */
  follow(metadata: MetadataClient): void {
    assert(this.#following === undefined, "a mirror follows one client");
    const changes = metadata.onChange((events) => {
      if (events.some(({ kind }) => urgent.includes(kind))) this.#loop?.wake();
    });
    this.#following = { metadata, names: mirrorNames(metadata.image.clusterId), changes };
    this.#loop = new Loop({
      clock: this.#options.clock,
      intervalMs: this.#options.limits.intervalMs,
      turn: () => this.#turn(),
      failed: (cause) => this.#failed(cause),
    });
    this.#loop.wake();
  }

  /** Brings the bucket up to date a last time; when it does not answer, the log still has everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop?.[Symbol.asyncDispose]();
    if (this.#following === undefined) return;
    this.#following.changes[Symbol.dispose]();
    await this.#turn().catch((cause: unknown) => this.#failed(cause));
  }

  #failed(cause: unknown): void {
    const says = cause instanceof CorruptData ? "holds another history, and is left as it is" : "is behind";
    this.#options.logger.warn(`the copy of the metadata in the bucket ${says}`, { cause });
    this.#showLag();
  }

  async #turn(): Promise<void> {
    const { log, limits } = this.#options;
    this.#mirrored ??= await this.#findEnd();
    for (;;) {
      await this.#mirrorCheckpoint();
      try {
        const entries = await log.read((this.#mirrored.seq + 1) as Seq, limits.readEntriesMax);
        for (const segment of segmentsOf(entries)) await this.#mirrorEntries(segment);
        if (entries.length < limits.readEntriesMax) break;
      } catch (cause) {
        if (!(cause instanceof EntriesForgotten)) throw cause;
        const checkpoint = await log.readCheckpoint();
        assert(checkpoint !== undefined, "entries are forgotten behind a checkpoint");
        this.#checkpoint = checkpoint; // Instead of the entries: it holds what they said.
        this.#mirrored = { seq: checkpoint.seq, hash: checkpoint.hash };
      }
    }
    this.#showLag();
  }

  #showLag(): void {
    const seq = this.#following?.metadata.image.seq ?? 0;
    this.#options.lag.set(Math.max(0, seq - (this.#mirrored?.seq ?? 0)));
  }

  get #names(): MirrorNames {
    assert(this.#following !== undefined, "the cluster is known");
    return this.#following.names;
  }

  /** Where this node, or another, has stopped. What is there must be what the log says. */
  async #findEnd(): Promise<Place> {
    const { store, log } = this.#options;
    const end = await readMirrorEnd(store, this.#names);
    if (end === undefined) return { seq: 0 as Seq, hash: genesisHash };
    try {
      const [entry] = await log.read(end.seq, 1);
      if (entry === undefined || !sameHash(entry.hash, end.hash)) throw this.#foreign(end.seq);
    } catch (cause) {
      if (!(cause instanceof EntriesForgotten)) throw cause; // Forgotten: a checkpoint will take its place.
    }
    return end;
  }

  async #mirrorEntries(entries: readonly StoredEntry[]): Promise<void> {
    const { store } = this.#options;
    const [first, last] = [entries[0], entries.at(-1)];
    const before = this.#mirrored;
    assert(first !== undefined && last !== undefined && before !== undefined, "a segment holds entries");
    if (first.seq !== before.seq + 1) return; // Another node wrote further than was read here.
    const body = [encodeSegmentHead({ firstSeq: first.seq, previousHash: before.hash })];
    let { hash } = before;
    for (const entry of entries) {
      body.push(...encodeRecord(encodeEntry(entry, entry.seq, hash)));
      hash = entry.hash;
    }
    let end: Place = last;
    if ((await store.putIfAbsent(this.#names.segment(first.seq), body)).kind === "exists") {
      const present = await readSegment(store, this.#names, first.seq);
      if (!sameHash((present[0] as Place).hash, first.hash)) throw this.#foreign(first.seq);
      end = present.at(-1) as Place;
    }
    this.#mirrored = { seq: end.seq, hash: end.hash };
  }

  async #mirrorCheckpoint(): Promise<void> {
    const checkpoint = this.#checkpoint;
    if (checkpoint === undefined) return;
    const { store } = this.#options;
    await store.putIfAbsent(this.#names.checkpoint(checkpoint.seq), encodeCheckpoint(checkpoint));
    if (this.#checkpoint === checkpoint) this.#checkpoint = undefined;
    // The two newest stay, with all entries after the older of them, as in the log itself.
    const checkpoints = await seqsBelow(store, this.#names.checkpoints);
    const keepAfter = checkpoints.at(-2) ?? 0;
    const segments = await seqsBelow(store, this.#names.log);
    const due = segments.filter((_, index) => (segments[index + 1] ?? Number.POSITIVE_INFINITY) <= keepAfter + 1);
    const keys = [
      ...checkpoints.slice(0, -2).map((seq) => this.#names.checkpoint(seq)),
      ...due.map((seq) => this.#names.segment(seq)),
    ];
    if (keys.length > 0) await store.delete(keys);
  }

  #foreign(seq: Seq): CorruptData {
    return new CorruptData({
      source: `${this.#options.store.url}/${this.#names.log}`,
      position: seq,
      expected: `entry ${seq} as the metadata log has it`,
      found: "another: the log was put back, or two clusters share the bucket",
    });
  }
}

function* segmentsOf(entries: readonly StoredEntry[]): Iterable<readonly StoredEntry[]> {
  let start = 0;
  let bytes = 0;
  for (const [index, entry] of entries.entries()) {
    bytes += entry.events.length;
    if (bytes < segmentBytesMax && index < entries.length - 1) continue;
    yield entries.slice(start, index + 1);
    start = index + 1;
    bytes = 0;
  }
}
