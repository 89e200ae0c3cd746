/** Proves: cleaning leaves of any log what a plain model says, changes nothing twice, and can be interrupted anywhere. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Slices } from "../../../src/base/async.ts";
import { OperationFailed } from "../../../src/base/errors.ts";
import type { Offset } from "../../../src/base/ids.ts";
import { markerOf } from "../../../src/log/batch-preparer.ts";
import { cleanPartition, type PassOutcome } from "../../../src/log/cleaning/cleaning-pass.ts";
import { type CleaningProgress, nothingCleaned } from "../../../src/log/cleaning/cleaning-plan.ts";
import { ProducerState } from "../../../src/log/producer-state.ts";
import { type BatchView, checkBatch, compressions, BatchView as View } from "../../../src/protocol/record-batch.ts";
import { buildBatch, buildMarker } from "../../../src/protocol/records.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { topicConfig } from "../../support/owned-partition.ts";
import { type ReadRecord, readCommitted, recordsOf, StoredLog } from "../../support/stored-log.ts";

const deleteRetentionMs = 100;

/** A log with its producers, as a partition keeps them. */
class World {
  readonly log = new StoredLog();
  readonly producers = new ProducerState({ producersMax: 100 });
  /** Every batch that was ever appended. */
  readonly written: BatchView[] = [];
  progress: CleaningProgress = nothingCleaned;
  /** No pass has looked at or above this. */
  touchedTo = 0;
  nowMs = 1000;
  readonly #sequences = new Map<number, number>();

  data(producerId: number, isTransactional: boolean, records: readonly Write[], compression: Compression): void {
    const baseSequence = producerId < 0 ? -1 : (this.#sequences.get(producerId) ?? 0);
    const bytes = buildBatch({
      baseOffset: this.log.end,
      leaderEpoch: 3,
      compression,
      isTransactional,
      producerId,
      producerEpoch: producerId < 0 ? -1 : 1,
      baseSequence,
      records: records.map(({ key, value, age }) => ({
        timestamp: this.nowMs - age,
        key: key === null ? null : Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
        headers: [{ key: Buffer.from("h"), value: null }],
      })),
    });
    if (producerId >= 0) {
      this.#sequences.set(producerId, baseSequence + records.length);
      this.producers.append(new View(bytes), this.log.end, this.nowMs);
    }
    this.#append(bytes);
  }

  end(producerId: number, outcome: "commit" | "abort"): void {
    const marker = { outcome, producerId, producerEpoch: 1, coordinatorEpoch: 0, timestamp: this.nowMs };
    const bytes = Uint8Array.from(buildMarker(marker));
    new DataView(bytes.buffer).setUint32(4, this.log.end); // Outside of the checksum.
    this.producers.end(marker, this.log.end, this.nowMs);
    this.#append(bytes);
  }

  #append(bytes: Uint8Array): void {
    this.log.append(bytes);
    this.written.push(new View(bytes));
  }

  get lastStable(): Offset {
    return (this.producers.firstUnstable(this.log.end) ?? this.log.end) as Offset;
  }

  get upTo(): Offset {
    return Math.min(this.lastStable, this.log.stored().at(-1)?.to ?? 0) as Offset;
  }

  async clean(limits: { readonly keysMax?: number; readonly bufferBytesMax?: number } = {}): Promise<PassOutcome> {
    const dirtyFrom = this.progress.cleanedTo;
    this.touchedTo = Math.max(this.touchedTo, this.upTo);
    const outcome = await cleanPartition({
      stream: this.log,
      start: 0 as Offset,
      plan: { dirtyFrom, upTo: Math.max(this.upTo, dirtyFrom) as Offset, dirtyRatio: 1 },
      config: { ...topicConfig(), deleteRetentionMs },
      aborted: this.producers.aborted(),
      isLastOfProducer: (batch) => this.isLastOfProducer(batch),
      nowMs: this.nowMs,
      limits: { keysMax: 1000, bufferBytesMax: 1_000_000, inflatedBytesMax: 1_000_000, ...limits },
      slices: new Slices({ clock: new ManualClock(), sliceMsMax: 5 }),
      admit: async () => undefined,
    });
    if (outcome.kind === "done") this.progress = outcome.progress;
    this.producers.forgetAborted(outcome.emptied);
    return outcome;
  }

  isLastOfProducer(batch: BatchView): boolean {
    return this.producers.isLastOfProducer(batch);
  }

  read(): readonly ReadRecord[] {
    return readCommitted(this.log.batches(), this.aborted());
  }

  /** As a read answers: those that have a batch in what is read. */
  aborted() {
    return this.producers.abortedIn(() => this.log.batches(), 0, this.log.end);
  }
}

type Compression = (typeof compressions)[number];
interface Write {
  readonly key: string | null;
  readonly value: string | null;
  readonly age: number;
}

type Step =
  | {
      readonly kind: "data";
      producer: number;
      isTransactional: boolean;
      records: readonly Write[];
      compression: Compression;
    }
  | { readonly kind: "end"; producer: number; outcome: "commit" | "abort" }
  | { readonly kind: "cut" }
  | {
      readonly kind: "clean";
      keysMax: number;
      bufferBytesMax: number;
      trouble: "none" | "stale" | "crash";
      after: number;
    }
  | { readonly kind: "wait"; ms: number };

const write: fc.Arbitrary<Write> = fc.record({
  key: fc.oneof({ weight: 20, arbitrary: fc.constantFrom("a", "b", "c", "d", "e") }, fc.constant(null)),
  value: fc.oneof({ weight: 2, arbitrary: fc.string({ maxLength: 12 }) }, fc.constant(null)),
  age: fc.integer({ min: 0, max: 50 }),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("data" as const),
      producer: fc.constantFrom(-1, 1, 2, 3),
      isTransactional: fc.boolean(),
      records: fc.array(write, { minLength: 1, maxLength: 6 }),
      compression: fc.constantFrom(...compressions),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      producer: fc.constantFrom(1, 2, 3),
      outcome: fc.constantFrom("commit" as const, "abort" as const),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ kind: "cut" as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("clean" as const),
      keysMax: fc.constantFrom(1, 2, 3, 1000),
      bufferBytesMax: fc.constantFrom(1, 300, 1_000_000),
      trouble: fc.constantFrom("none" as const, "none" as const, "stale" as const, "crash" as const),
      after: fc.integer({ min: 0, max: 2 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(1, 60, 150) }) },
);

async function take(world: World, each: Step, open: Set<number>): Promise<void> {
  switch (each.kind) {
    case "data": {
      // A producer is within a transaction or it is not; without an id there is none.
      const isTransactional = each.producer >= 0 && (open.has(each.producer) || each.isTransactional);
      if (isTransactional) open.add(each.producer);
      world.data(each.producer, isTransactional, each.records, each.compression);
      return;
    }
    case "end":
      open.delete(each.producer);
      world.end(each.producer, each.outcome);
      return;
    case "cut":
      world.log.cut();
      return;
    case "wait":
      world.nowMs += each.ms;
      return;
    case "clean": {
      let left = each.after;
      world.log.trouble = () => {
        if (each.trouble === "none" || left-- > 0) return undefined;
        return each.trouble === "stale" ? "stale" : new OperationFailed("the store is away", { happened: "no" });
      };
      try {
        await world.clean(each);
      } catch (cause) {
        if (!(cause instanceof OperationFailed)) throw cause;
      }
      world.log.trouble = () => undefined;
    }
  }
}

/** The newest value of each key, in the order of their offsets; a tombstone leaves nothing. */
function table(records: readonly ReadRecord[]): ReadonlyMap<string, ReadRecord> {
  const found = new Map<string, ReadRecord>();
  for (const record of records) {
    if (record.key === null) continue;
    found.delete(record.key);
    if (record.value !== null) found.set(record.key, record);
  }
  return found;
}

describe("any log", () => {
  test("keeps the newest record of each key, and every promise about the rest", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const world = new World();
        const open = new Set<number>();
        for (const each of steps) {
          await take(world, each, open);
          check(world);
        }
        await world.clean();
        check(world);
        await world.clean(); // Markers of which the first one took the data away get their horizon now.
        const { replaced } = world.log;
        await world.clean();
        expect(world.log.replaced).toBe(replaced); // What is clean is left alone.
        world.nowMs += 2 * deleteRetentionMs;
        await world.clean();
        check(world);
        checkRipe(world);
      }),
      { numRuns: 300 },
    );
  });
});

function check(world: World): void {
  const wrote = readCommitted(world.written, allAborted(world.written));
  const read = world.read();
  const { cleanedTo } = world.progress;
  const { touchedTo } = world;
  expect(table(read)).toEqual(table(wrote));
  const byOffset = new Map(wrote.map((record) => [record.offset, record]));
  for (const record of read) expect(byOffset.get(record.offset)).toEqual(record);
  expect(read.filter(({ offset }) => offset >= touchedTo)).toEqual(wrote.filter(({ offset }) => offset >= touchedTo));
  const newest = new Map(wrote.filter(({ offset }) => offset < cleanedTo).map(({ key, offset }) => [key, offset]));
  for (const { key, offset } of read) {
    if (offset < cleanedTo) expect([newest.get(key), key === null]).toEqual([offset, false]);
  }
  const before = new Map(world.written.map((batch) => [batch.baseOffset, batch]));
  for (const batch of world.log.batches()) checkKept(batch, before.get(batch.baseOffset) as BatchView);
  checkProducers(world);
  const last = world.log.batches().at(-1);
  expect(last?.nextOffset).toBe(world.written.at(-1)?.nextOffset);
}

function checkKept(batch: BatchView, original: BatchView): void {
  const identity = (view: BatchView) => ({
    lastOffset: view.lastOffset,
    leaderEpoch: view.leaderEpoch,
    producerId: view.producerId,
    producerEpoch: view.producerEpoch,
    baseSequence: view.baseSequence,
    isControl: view.isControl,
    isTransactional: view.isTransactional,
  });
  expect(checkBatch(batch.bytes)).toBeUndefined();
  expect(identity(batch)).toEqual(identity(original));
  if (batch.recordCount > 0) {
    expect(batch.compression).toBe(original.compression);
    expect(batch.maxTimestamp).toBe(Math.max(...recordsOf(batch).map(({ timestamp }) => timestamp)));
  }
}

/** The last batch of each producer is there; and the marker of each transaction of which a batch is there. */
function checkProducers(world: World): void {
  const batches = world.log.batches();
  for (const { window } of world.producers.producers()) {
    const last = [...window.batches()].at(-1);
    if (last !== undefined) expect(batches.map(({ baseOffset }) => baseOffset)).toContain(last[2]);
  }
  for (const batch of batches) {
    if (batch.isControl || !batch.isTransactional) continue;
    const marker = world.written.find(
      (each) => each.isControl && each.producerId === batch.producerId && each.baseOffset > batch.baseOffset,
    );
    if (marker === undefined) continue;
    const kept = batches.find(({ baseOffset }) => baseOffset === marker.baseOffset);
    expect(kept === undefined ? undefined : markerOf(kept)?.outcome).toBe(markerOf(marker)?.outcome);
    expect(kept?.deleteHorizonMs).toBeUndefined(); // Its time has not begun.
  }
}

/** Everything was cleaned, and after that the horizon has passed. */
function checkRipe(world: World): void {
  for (const { offset, value, key } of world.read()) {
    if (offset >= world.progress.cleanedTo) continue;
    expect(key).not.toBeNull();
    expect(value).not.toBeNull();
  }
}

function allAborted(batches: readonly BatchView[]) {
  const state = new ProducerState({ producersMax: 100 });
  for (const batch of batches) {
    const marker = markerOf(batch);
    if (marker !== undefined) state.end(marker, batch.baseOffset, 0);
    else if (batch.producerId >= 0) state.append(batch, batch.baseOffset, 0);
  }
  return state.aborted();
}
