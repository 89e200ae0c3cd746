/**
 * Whether everything that was acked is still there, and nothing else:
 *
 *   WAL chains ─▶ image (read after the WAL, so that what was committed meanwhile is known) ──▶ ranges, each offset once
 *        └ batches                └──▶ every named object: all its bytes against their checksums, its ranges ──▶ the bucket's list
 *
 * Memory: one WAL segment, then the image, then one block at a time.
 */
import type { Disk } from "../base/disk.ts";
import { CorruptData, OperationFailed } from "../base/errors.ts";
import type { NodeId, Offset, StreamId } from "../base/ids.ts";
import type { Runtime } from "../base/runtime.ts";
import type { CommittedRange, Image, ObjectEntry, StreamInfo } from "../metadata/image.ts";
import { ObjectMissing, type ObjectStore } from "../object-store/object-store.ts";
import type { IndexedStream } from "../stream/object-format.ts";
import { objectPrefix, originOfKey } from "../stream/object-name.ts";
import { slotPrefix } from "../stream/slot-format.ts";
import type { WalRecord } from "../stream/wal.ts";
import { judgeRanges, judgeWals, WalCoverage } from "./coverage.ts";
import { batchFaults, checkPart, type OpenedObject, openObject } from "./object.ts";
import type { StorageProblem } from "./problem.ts";
import { eachRecoverableSlot } from "./slots.ts";
import { recoverable } from "./wal.ts";

export interface StorageCounts {
  walSegments: number;
  /** Of a WAL in the object store. */
  walSlots: number;
  walRecords: number;
  metadataSeq: number;
  streams: number;
  ranges: number;
  objects: number;
  blocks: number;
  batches: number;
  bytes: number;
  /** Objects that no stream names any more, or the rests of crashed uploads: garbage collection removes them. */
  collectable: number;
}

export interface StorageReport {
  readonly counts: Readonly<StorageCounts>;
  readonly problems: readonly StorageProblem[];
  /** Problems beyond those that are listed. */
  readonly problemsLeftOut: number;
  /** Keys of collectable objects, the first few. */
  readonly collectable: readonly string[];
}

export interface VerifyOptions {
  readonly disk: Disk;
  readonly walDirectory: string;
  /** The WAL's. */
  readonly node: NodeId;
  /** The metadata as they are now. Throws CorruptData. */
  readonly readImage: () => Promise<Image>;
  readonly runtime: Runtime;
  readonly store: ObjectStore;
}

/** A report is for people: the first ones say what has happened. */
const problemsMax = 1000;
const keysListedMax = 20;

export async function verifyStorage(options: VerifyOptions): Promise<StorageReport> {
  const verification = new Verification(options);
  await verification.run();
  return verification.report;
}

class Verification {
  readonly #options: VerifyOptions;
  readonly #counts: StorageCounts = {
    walSegments: 0,
    walSlots: 0,
    walRecords: 0,
    metadataSeq: 0,
    streams: 0,
    ranges: 0,
    objects: 0,
    blocks: 0,
    batches: 0,
    bytes: 0,
    collectable: 0,
  };
  readonly #problems: StorageProblem[] = [];
  readonly #collectable: string[] = [];
  #left = 0;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  get report(): StorageReport {
    return {
      counts: this.#counts,
      problems: this.#problems,
      problemsLeftOut: this.#left,
      collectable: this.#collectable,
    };
  }

  async run(): Promise<void> {
    const files = await this.#checkWalFiles();
    const before = await this.#readImage();
    const slots = before === undefined ? new WalCoverage() : await this.#checkWalSlots(before);
    const image = before === undefined ? undefined : await this.#readImage();
    if (image === undefined) return; // Without it nothing says what should be there.
    const nameOf = (stream: StreamInfo): string => streamName(image, stream);
    for (const problem of judgeWals([files, slots], image, this.#options.node, nameOf)) this.#tell(problem);
    const ranges = this.#checkStreams(image);
    for (const object of image.objects()) await this.#checkObject(image, object, ranges.get(object.key) ?? 0);
    await this.#checkBucket(image);
  }

  #tell(problem: StorageProblem): void {
    if (this.#problems.length < problemsMax) this.#problems.push(problem);
    else this.#left += 1;
  }

  async #checkWalFiles(): Promise<WalCoverage> {
    const { disk, walDirectory } = this.#options;
    const coverage = new WalCoverage();
    try {
      const { segments } = await recoverable(disk, walDirectory, (record, end) => {
        this.#checkRecord(coverage, record, `the WAL before position ${end}`);
      });
      this.#counts.walSegments = segments.length;
    } catch (cause) {
      this.#tell(told(cause, { kind: "corrupt-wal", where: walDirectory, advice: advice.wal }));
    }
    return coverage;
  }

  /** Of a WAL in the object store; the bytes of one slot at a time. */
  async #checkWalSlots(image: Image): Promise<WalCoverage> {
    const coverage = new WalCoverage();
    try {
      await eachRecoverableSlot({ ...this.#options, image }, ({ object, records }) => {
        this.#counts.walSlots += 1;
        for (const record of records) this.#checkRecord(coverage, record, object.key);
      });
    } catch (cause) {
      this.#tell(told(cause, { kind: "corrupt-wal", where: slotPrefix, advice: advice.slots }));
    }
    return coverage;
  }

  #checkRecord(coverage: WalCoverage, record: WalRecord, where: string): void {
    coverage.add(record);
    this.#counts.walRecords += 1;
    for (const detail of batchFaults([record])) this.#tell({ kind: "bad-batch", where, detail, advice: advice.wal });
  }

  async #readImage(): Promise<Image | undefined> {
    try {
      const image = await this.#options.readImage();
      this.#counts.metadataSeq = image.seq;
      return image;
    } catch (cause) {
      this.#tell(told(cause, { kind: "corrupt-metadata", where: "the metadata log", advice: advice.metadata }));
      return undefined;
    }
  }

  /** How many ranges each object must hold: a number an object is what this may cost. */
  #checkStreams(image: Image): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const stream of image.streams()) {
      this.#counts.streams += 1;
      for (const problem of judgeRanges(image, stream, streamName(image, stream))) this.#tell(problem);
      for (const { object } of image.ranges(stream.id, 0 as Offset)) {
        this.#counts.ranges += 1;
        counts.set(object, (counts.get(object) ?? 0) + 1);
      }
    }
    return counts;
  }

  async #checkObject(image: Image, object: ObjectEntry, ranges: number): Promise<void> {
    if (ranges === 0) {
      this.#collect(object.key); // It may be deleted already, and the event that says so be on its way.
      return;
    }
    this.#counts.objects += 1;
    const { key } = object;
    const { store } = this.#options;
    try {
      const found = await store.head(key);
      if (found === undefined) throw new ObjectMissing(key);
      if (found.size !== object.bytes) {
        const detail = `${found.size} bytes, ${object.bytes} were committed`;
        this.#tell({ kind: "wrong-size", where: key, detail, advice: advice.object });
        return;
      }
      const opened = await openObject(store, key, object.bytes);
      const { cluster } = opened.origin;
      if (cluster !== image.clusterId) {
        const detail = `written by cluster ${cluster}, this one is ${image.clusterId}`;
        this.#tell({
          kind: "stranger",
          where: key,
          detail,
          advice: "the bucket's prefix is shared with another cluster",
        });
      }
      if (rangesHeld(image, opened) < ranges) {
        for (const range of rangesIn(image, key)) this.#checkRange(image, opened, range);
      }
      for (const { stream } of opened.index.streams()) await this.#checkPart(image, opened, stream);
    } catch (cause) {
      const lost = [...rangesIn(image, key)].map((range) => rangeName(image, range)).join(", ");
      const isMissing = cause instanceof ObjectMissing;
      const kind = isMissing ? "missing-object" : "corrupt-object";
      this.#tell(told(cause, { kind, where: key, advice: `${advice.object}; it holds ${lost}` }));
    }
  }

  #checkRange(image: Image, { key, index }: OpenedObject, range: CommittedRange): void {
    const part = index.stream(range.stream);
    if (part !== undefined && holds(part, range)) return;
    const found = part === undefined ? "nothing of this stream" : `[${part.from}, ${part.to})`;
    const detail = `the metadata expects ${rangeName(image, range)}, the index has ${found}`;
    this.#tell({ kind: "range-not-in-object", where: key, detail, advice: advice.object });
  }

  async #checkPart(image: Image, opened: OpenedObject, stream: StreamId): Promise<void> {
    const sum = await checkPart(this.#options.store, opened, stream, ({ position, detail }) => {
      const info = image.stream(stream);
      const name = info === undefined ? `deleted stream ${stream}` : streamName(image, info);
      const where = `${opened.key} at byte ${position}`;
      this.#tell({ kind: "bad-batch", where, detail: `${name}: ${detail}`, advice: advice.object });
    });
    for (const name of ["blocks", "batches", "bytes"] as const) this.#counts[name] += sum[name];
  }

  /** Every object below our prefix is named, or will be removed by somebody. */
  async #checkBucket(image: Image): Promise<void> {
    try {
      for await (const { key } of this.#options.store.list(objectPrefix)) {
        if (image.object(key) !== undefined) continue; // Looked at above.
        const reason = strangeness(image, key);
        if (reason === undefined) this.#collect(key);
        else this.#tell({ kind: "stranger", where: key, ...reason });
      }
    } catch (cause) {
      const where = this.#options.store.url;
      this.#tell(told(cause, { kind: "unreadable", where, advice: "the bucket cannot be listed: check its rights" }));
    }
  }

  #collect(key: string): void {
    this.#counts.collectable += 1;
    if (this.#collectable.length < keysListedMax) this.#collectable.push(key);
  }
}

const advice = {
  object:
    "restore the object under this key from a copy of the bucket (versioning, a replica); without one its records are lost",
  wal: "do not start a broker on this directory, it would refuse; copy it, look at `inlet inspect wal`, and restore the disk",
  slots:
    "do not start a broker of this node, it would refuse; restore the slot from a copy of the bucket (versioning, a replica)",
  metadata: "do not start a broker on this log; copy it, look at `inlet inspect metadata`, and restore or rebuild it",
} as const;

/** Why nobody will ever remove the object; undefined when somebody will. */
function strangeness(image: Image, key: string): { readonly detail: string; readonly advice: string } | undefined {
  const origin = originOfKey(key);
  const foreign = "not an object of this cluster: move it out of the prefix, or delete it";
  if (origin === undefined) return { detail: "no broker gives such a name", advice: foreign };
  const node = image.node(origin.node as NodeId);
  if (node === undefined) return { detail: `node ${origin.node} has never registered`, advice: foreign };
  if (origin.nodeEpoch <= node.epoch) return undefined;
  return {
    detail: `written in epoch ${origin.nodeEpoch} of node ${node.id}, which the metadata log knows up to ${node.epoch} only`,
    advice: "the metadata log has lost its end (a restored copy?): restore its newest state before a broker starts",
  };
}

/** How many of the ranges that name the object are in its index. */
function rangesHeld(image: Image, { key, index }: OpenedObject): number {
  let held = 0;
  for (const part of index.streams()) {
    for (const range of rangesWithin(image, part)) if (range.object === key && holds(part, range)) held += 1;
  }
  return held;
}

/** Not all ranges of the stream: it may have one of each object. */
function* rangesWithin(image: Image, part: IndexedStream): Iterable<CommittedRange> {
  for (const range of image.ranges(part.stream, part.from)) {
    if (range.from >= part.to && range.from > part.from) return;
    yield range;
  }
}

/** By looking at all streams: for when something is wrong. */
function* rangesIn(image: Image, key: string): Iterable<CommittedRange> {
  for (const { id } of image.streams()) {
    for (const range of image.ranges(id, 0 as Offset)) if (range.object === key) yield range;
  }
}

function holds(part: { readonly from: Offset; readonly to: Offset }, range: CommittedRange): boolean {
  return part.from <= range.from && part.to >= range.to;
}

function told(cause: unknown, problem: Omit<StorageProblem, "detail">): StorageProblem {
  // A wrong program is not the storage's fault, and must not look like it.
  if (!(cause instanceof CorruptData) && !(cause instanceof OperationFailed)) throw cause;
  const isDamage = cause instanceof CorruptData || cause instanceof ObjectMissing;
  return { ...problem, kind: isDamage ? problem.kind : "unreadable", detail: cause.message };
}

function streamName(image: Image, stream: StreamInfo): string {
  return `${image.topic(stream.topicId)?.name ?? stream.topicId}-${stream.partition}`;
}

function rangeName(image: Image, { stream, from, to }: CommittedRange): string {
  const info = image.stream(stream);
  return `${info === undefined ? `stream ${stream}` : streamName(image, info)} [${from}, ${to})`;
}
