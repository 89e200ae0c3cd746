/**
 * The metadata image at scale: how much memory it takes, how fast events are folded into it, how long the event loop is held
 * when a checkpoint is written and read, and how long a node takes to have it. Then a day of uploads, with merges and garbage. Times are CPU times of the one thread that does it.
 *
 *   npm run bench -- image [partitions] [objects]
 */
import { PerformanceObserver } from "node:perf_hooks";
import { settingsTable } from "../schemas/config.ts";
import type { NodeEpoch, NodeId, Offset, Seq, StreamId, Uuid } from "../src/base/ids.ts";
import { GiB, KiB, MiB } from "../src/base/settings.ts";
import { decodeImageSteps, encodeImage } from "../src/metadata/checkpoint.ts";
import { chained } from "../src/metadata/entry-format.ts";
import { encodeGroups } from "../src/metadata/event-codec.ts";
import type { MetadataEvent, ObjectRange } from "../src/metadata/events.ts";
import { fold } from "../src/metadata/fold.ts";
import { ImageState } from "../src/metadata/image-state.ts";
import { type Merge, type PlanLimits, planMerges, replaceEvent, stillHeld } from "../src/stream/merge-plan.ts";
import { collectGarbage } from "../test/support/garbage.ts";

const node = 1 as NodeId;

/** One node's log, kept nowhere: only the fold counts. */
class Log {
  image = new ImageState();
  operations = 0;
  /** Of the fold alone. */
  foldMs = 0;
  readonly entryMs = new Float64Array(1_000_000);
  bytes = 0;

  propose(...groups: readonly (readonly MetadataEvent[])[]): void {
    this.operations += 1;
    const opId = `00000000-0000-4000-8000-${this.operations.toString(16).padStart(12, "0")}` as Uuid;
    const events = encodeGroups(groups);
    const nodeEpoch = this.image.nodeStates.get(node)?.epoch ?? (0 as NodeEpoch);
    const entry = chained({ nodeId: node, nodeEpoch, opId, events }, (this.image.seq + 1) as Seq, this.image.hash);
    this.bytes += events.length;
    const startMs = cpuMs();
    const folded = fold(this.image, entry);
    const ms = cpuMs() - startMs;
    this.foldMs += ms;
    this.entryMs[this.operations - 1] = ms;
    const refusal = folded?.decision.refusals.find((each) => each !== null);
    if (refusal !== undefined) throw new Error(`refused: ${JSON.stringify(refusal)}`);
  }

  /** What so large a share of all entries took at most. */
  entryMsAt(share: number): string {
    const ms = this.entryMs.slice(0, this.operations).sort();
    return (ms[Math.floor((ms.length - 1) * share)] as number).toFixed(1);
  }

  register(): void {
    const incarnation = "00000000-0000-4000-8000-0000000000ff" as Uuid;
    this.propose([{ kind: "register-node", nodeId: node, incarnation, host: "h", port: 9092, rack: null }]);
  }

  /** Opens the partitions of new topics. */
  createTopics(topics: number, partitions: number): StreamId[] {
    const made: StreamId[] = [];
    for (let number = 1; number <= topics; number += 1) {
      const topicId = `00000000-0000-4000-9000-${number.toString(16).padStart(12, "0")}` as Uuid;
      this.propose([{ kind: "create-topic", topicId, name: `topic-${number}`, partitions, configs: new Map() }]);
      const streams = this.image.topic(topicId)?.partitions ?? [];
      this.propose([{ kind: "open-streams", streams }]);
      made.push(...streams);
    }
    return made;
  }
}

let objects = 0;
function objectKey(): string {
  objects += 1;
  return `objects/00000000-0000-4000-8000-${objects.toString(16).padStart(12, "0")}-n1-e1-${objects}`;
}

export async function benchImage(partitions: number, objectCount: number): Promise<void> {
  const log = new Log();
  const before = heapBytes();
  log.register();
  const streams = log.createTopics(partitions / 100, 100);
  console.log(`${partitions} partitions: ${mib(heapBytes() - before)}, folded in ${log.foldMs.toFixed(0)} ms`);
  await commitMany(log, streams, objectCount);
  const size = heapBytes() - before;
  const rate = (objectCount / log.foldMs) * 1000;
  console.log(
    `and ${objectCount} objects: ${mib(size)}, ${Math.round(rate)} objects/s folded, entries of p99.9 ${log.entryMsAt(0.999)}, longest ${log.entryMsAt(1)} ms`,
  );
  await checkpoint(log.image);
  await survey(log.image, streams);
  log.image = new ImageState();
  day();
}

/** Four ranges an object: as many streams as there are, all with the same number of ranges. */
async function commitMany(log: Log, streams: readonly StreamId[], count: number): Promise<void> {
  const ends = new Map<StreamId, number>();
  let next = 0;
  for (let made = 0; made < count; ) {
    const groups: MetadataEvent[][] = [];
    for (let i = 0; i < 10 && made < count; i += 1, made += 1) {
      const ranges = Array.from({ length: 4 }, (_, k): ObjectRange => {
        const stream = streams[(next + k) % streams.length] as StreamId;
        const from = ends.get(stream) ?? 0;
        ends.set(stream, from + 1000);
        return range(stream, from, 1000, 64 * KiB);
      }).sort((a, b) => a.stream - b.stream);
      next = (next + 4) % streams.length;
      groups.push([{ kind: "commit-object", object: objectKey(), bytes: 256 * KiB, objectKind: "stream-set", ranges }]);
    }
    log.propose(...groups);
    if (made % 10_000 === 0) await new Promise(setImmediate);
  }
}

function range(stream: StreamId, from: number, length: number, bytes: number): ObjectRange {
  return { stream, epoch: 1, from: from as Offset, to: (from + length) as Offset, bytes, maxTimestamp: from };
}

async function checkpoint(image: ImageState): Promise<void> {
  const views: Uint8Array[] = [];
  const encoded = await sliced(encodeImage(image), (page) => views.push(...page));
  const bytes = Buffer.concat(views);
  console.log(`checkpoint of ${mib(bytes.length)}: encoded in ${told(encoded)}`);
  views.length = 0;
  const decoded = await sliced(decodeImageSteps(bytes, "bench"), () => undefined);
  console.log(`a node has it again after ${told(decoded)}`);
}

interface Slices {
  readonly totalMs: number;
  /** Ascending. */
  readonly ms: readonly number[];
  /** How long the garbage collector held them, all together and at most. */
  readonly gcMs: number;
  readonly gcMsMax: number;
}

function told({ totalMs, ms, gcMs, gcMsMax }: Slices): string {
  const at = (share: number): string => (ms[Math.floor((ms.length - 1) * share)] as number).toFixed(1);
  const slices = `slices of p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)} ms`;
  return `${totalMs.toFixed(0)} ms, ${slices}; in it garbage collection ${gcMs.toFixed(0)} ms, longest ${gcMsMax.toFixed(1)} ms`;
}

/** As src/metadata/metadata-client.ts has it. */
const sliceMs = 2;

async function sliced<T>(steps: Iterator<T, unknown>, take: (each: T) => void): Promise<Slices> {
  const pauses: number[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) pauses.push(duration);
  });
  observer.observe({ entryTypes: ["gc"] });
  const ms: number[] = [];
  for (let isDone = false; !isDone; ) {
    const startMs = cpuMs();
    const wallStartMs = performance.now();
    while (!isDone && performance.now() - wallStartMs < sliceMs) {
      const step = steps.next();
      if (step.done === true) isDone = true;
      else take(step.value);
    }
    ms.push(cpuMs() - startMs);
    await new Promise(setImmediate);
  }
  observer.disconnect();
  const sum = (all: readonly number[]): number => all.reduce((total, each) => total + each, 0);
  return {
    totalMs: sum(ms),
    ms: ms.toSorted((a, b) => a - b),
    gcMs: sum(pauses),
    gcMsMax: Math.max(0, ...pauses),
  };
}

const limits = Object.fromEntries(
  Object.entries(settingsTable).map(([name, row]) => [name, row.default]),
) as unknown as PlanLimits;

async function survey(image: ImageState, streams: readonly StreamId[]): Promise<void> {
  let merges: readonly Merge[] = [];
  function* steps(): Generator<number, void> {
    merges = yield* planSteps(image, streams);
  }
  const looked = await sliced(steps(), () => undefined);
  const moved = merges.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(`${merges.length} merges of ${mib(moved)} planned in ${told(looked)}`);
}

function planSteps(image: ImageState, streams: readonly StreamId[]): Generator<number, readonly Merge[]> {
  return planMerges({ image: () => image, streams, limits, excluded: new Set() });
}

function planned(image: ImageState, streams: readonly StreamId[]): readonly Merge[] {
  for (const steps = planSteps(image, streams); ; ) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** 1,000 partitions, each with 10 KiB in each of a day's uploads, and what merges and the garbage collection make of it. */
function day(): void {
  const log = new Log();
  log.register();
  const streams = log.createTopics(10, 100);
  const sum = { moved: 0, written: 0, merges: 0, reads: 0 };
  console.log("hour  objects   ranges   image MiB  fold ms/min");
  for (let minute = 0; minute < 24 * 60; minute += 1) {
    const bytes = streams.length * 10 * KiB;
    sum.written += bytes;
    const ranges = streams.map((stream) => range(stream, minute * 10, 10, 10 * KiB));
    log.propose([{ kind: "commit-object", object: objectKey(), bytes, objectKind: "stream-set", ranges }]);
    for (const each of planned(log.image, streams)) {
      const merge = stillHeld(each, log.image);
      if (merge.parts.length === 0) continue;
      sum.moved += merge.bytes;
      sum.merges += 1;
      sum.reads += merge.parts.reduce((count, { sources }) => count + sources.length, 0);
      apply(log, merge);
    }
    const garbage = [...log.image.unreferenced()].map(({ object }) => object);
    if (garbage.length > 0) log.propose([{ kind: "objects-deleted", objects: garbage }]);
    if ((minute + 1) % 180 === 0) showHour(log, streams, minute);
  }
  const amplification = (sum.moved / sum.written).toFixed(2);
  console.log(
    `${(sum.written / GiB).toFixed(1)} GiB in a day, moved ${amplification} times by ${sum.merges} merges of ${sum.reads} ranges; longest entry ${log.entryMsAt(1)} ms`,
  );
}

function apply(log: Log, merge: Merge): void {
  const ranges = merge.parts.map(({ stream, sources }) => {
    const [first, last] = [sources[0], sources.at(-1)] as [ObjectRange, ObjectRange];
    const bytes = sources.reduce((sum, source) => sum + source.bytes, 0);
    return { stream, from: first.from, to: last.to, bytes, maxTimestamp: last.maxTimestamp, sources };
  });
  const event = replaceEvent({ key: objectKey(), bytes: merge.bytes, kind: merge.kind, ranges }, log.image, node);
  if (event === undefined) throw new Error("a merge of what is not there");
  log.propose([event]);
}

function showHour(log: Log, streams: readonly StreamId[], minute: number): void {
  const ranges = streams.reduce((sum, id) => sum + log.image.ranges(id, 0 as Offset).length, 0);
  let bytes = 0;
  for (const page of encodeImage(log.image)) for (const view of page) bytes += view.length;
  const columns = [
    String((minute + 1) / 60).padStart(4),
    String(log.image.objectTable.size).padStart(8),
    String(ranges).padStart(8),
    (bytes / MiB).toFixed(1).padStart(11),
    (log.foldMs / (minute + 1)).toFixed(2).padStart(12),
  ];
  console.log(columns.join(" "));
}

/** Of this thread: on a machine that others use too, time on the wall says nothing. */
function cpuMs(): number {
  process.cpuUsage(); // Linux brings the thread's times up to date when it sums them; without it they are some milliseconds old.
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function heapBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function mib(bytes: number): string {
  return `${(bytes / MiB).toFixed(0)} MiB`;
}
