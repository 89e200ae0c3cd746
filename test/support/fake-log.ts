/** Partitions in memory, durable at once or when told: for what stands on the log and is not the log. */
import type { Offset, Uuid } from "../../src/base/ids.ts";
import type {
  AppendOutcome,
  Log,
  Lookup,
  OffsetAnswer,
  OffsetQuery,
  Partition,
  PartitionRead,
  PartitionReadResult,
} from "../../src/log/log.ts";
import { BatchView, patchBatch } from "../../src/protocol/record-batch.ts";

export class FakePartition implements Partition {
  readonly topicId: Uuid;
  readonly topic: string;
  readonly index: number;
  readonly leaderEpoch: number;
  logStart = 0 as Offset;
  highWatermark = 0 as Offset;
  readonly batches: Uint8Array[];
  /** While true, appends wait for `release`. */
  isHeld = false;
  /** While set, appends are refused with it. */
  refusal: "busy" | "closed" | undefined;
  readonly #held: (() => void)[] = [];
  readonly counts = { recordsIn: 0, bytesIn: 0, bytesOut: 0, bytesCleaned: 0, duplicateBatches: 0, rejectedBatches: 0 };

  constructor(topicId: Uuid, topic: string, index: number, leaderEpoch = 1, batches: Uint8Array[] = []) {
    this.topicId = topicId;
    this.topic = topic;
    this.index = index;
    this.leaderEpoch = leaderEpoch;
    this.batches = batches;
    this.highWatermark = this.#end;
  }

  get lastStable(): Offset {
    return this.highWatermark;
  }

  get bytes(): number {
    return this.batches.reduce((sum, batch) => sum + batch.length, 0);
  }

  get #end(): Offset {
    const last = this.batches.at(-1);
    return last === undefined ? (0 as Offset) : new BatchView(last).nextOffset;
  }

  async append(batch: Uint8Array): Promise<AppendOutcome> {
    if (this.refusal !== undefined) return { kind: "rejected", reason: this.refusal, detail: "told to" };
    const bytes = Uint8Array.from(batch);
    const baseOffset = this.#end;
    patchBatch(bytes, { baseOffset, leaderEpoch: this.leaderEpoch });
    this.batches.push(bytes);
    if (this.isHeld) await new Promise<void>((resolve) => this.#held.push(resolve));
    this.highWatermark = new BatchView(bytes).nextOffset;
    return { kind: "appended", baseOffset, appendTimestamp: -1, logStart: this.logStart };
  }

  release(): void {
    this.isHeld = false;
    for (const resolve of this.#held.splice(0)) resolve();
  }

  async read(request: PartitionRead): Promise<PartitionReadResult> {
    if (request.from < this.logStart || request.from > this.highWatermark) return { kind: "out-of-range" };
    const batch = this.batches.find((bytes) => new BatchView(bytes).nextOffset > request.from);
    const batches = batch === undefined ? [] : [batch];
    return {
      kind: "batches",
      batches,
      bytes: batch?.length ?? 0,
      next: batch === undefined ? request.from : new BatchView(batch).nextOffset,
      aborted: [],
      highWatermark: this.highWatermark,
      lastStable: this.highWatermark,
      logStart: this.logStart,
    };
  }

  bytesAvailable(): number {
    return 0;
  }

  onAdvance(): Disposable {
    return { [Symbol.dispose]: () => undefined };
  }

  /** By timestamp: of the first batch that has one so great, which may begin a little earlier. */
  offsetFor(query: OffsetQuery): Promise<OffsetAnswer> {
    const views = this.batches.map((batch) => new BatchView(batch));
    const found =
      query.kind === "at-or-after" ? views.find(({ maxTimestamp }) => maxTimestamp >= query.timestamp) : undefined;
    const offset = query.kind === "earliest" ? this.logStart : (found?.baseOffset ?? -1);
    return Promise.resolve({ offset, timestamp: -1, leaderEpoch: -1 });
  }

  endOfEpoch(): undefined {
    return undefined;
  }

  deleteRecords(): Promise<{ readonly kind: "out-of-range" }> {
    return Promise.resolve({ kind: "out-of-range" });
  }

  producers(): readonly [] {
    return [];
  }

  markerRefusal(): undefined {
    return undefined;
  }

  isFenced(): boolean {
    return false;
  }
}

export class FakeLog implements Log {
  readonly #partitions = new Map<string, FakePartition>();
  /** What lookups of partitions that are not here say. */
  otherwise: Exclude<Lookup, { kind: "here" }> = { kind: "unknown" };

  /** Partitions that are there stay. */
  add(topicId: Uuid, topic: string, partitions: number): void {
    for (let index = 0; index < partitions; index += 1) {
      const key = `${topicId} ${index}`;
      if (!this.#partitions.has(key)) this.#partitions.set(key, new FakePartition(topicId, topic, index));
    }
  }

  /** As after a restart: the same batches under the next leader epoch. */
  reopen(topicId: Uuid, index: number): FakePartition {
    const old = this.fake(topicId, index);
    const opened = new FakePartition(topicId, old.topic, index, old.leaderEpoch + 1, old.batches);
    this.#partitions.set(`${topicId} ${index}`, opened);
    return opened;
  }

  remove(topicId: Uuid, index: number): void {
    this.#partitions.delete(`${topicId} ${index}`);
  }

  fake(topicId: Uuid, index: number): FakePartition {
    const partition = this.#partitions.get(`${topicId} ${index}`);
    if (partition === undefined) throw new Error(`no partition ${topicId} ${index}`);
    return partition;
  }

  partition(topicId: Uuid, index: number): Lookup {
    const partition = this.#partitions.get(`${topicId} ${index}`);
    return partition === undefined ? this.otherwise : { kind: "here", partition };
  }

  partitions(): Iterable<Partition> {
    return this.#partitions.values();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
