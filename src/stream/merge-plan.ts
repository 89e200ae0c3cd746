/**
 * Decides what is merged. Pure.
 *
 *   stream-set objects   A{1 2 3} B{1 2 3} ... H{1 2}  ──▶  one with a range a stream; of a large stream, an object of its own
 *   ranges of a stream   |--|-|-|--|-|-|-|-|           ──▶  |------------|   one stream object
 *
 * The rule of both: a run of at least `mergeSourcesMin` neighbours, none of which is more than twice what the fewest would be on
 * average, nor more than half of all. So what moves moves into something several times as large, and a byte moves a logarithmic
 * number of times in its life.
 */
import { assert } from "../base/errors.ts";
import type { Offset, StreamId } from "../base/ids.ts";
import type { ReplacingRange, StreamEvent } from "../metadata/events.ts";
import type { CommittedRange, Image, ObjectEntry } from "../metadata/image.ts";
import type { MergeLimits } from "./limits.ts";

/** Neighbouring ranges of one stream, in offset order, that become one range. */
export interface MergePart {
  readonly stream: StreamId;
  readonly sources: readonly CommittedRange[];
}

/** One object that is to be made. */
export interface Merge {
  readonly kind: "stream-set" | "stream";
  /** In the order of their streams, each once. */
  readonly parts: readonly MergePart[];
  /** Of the batches, before what was trimmed is left out. */
  readonly bytes: number;
}

export type PlanLimits = MergeLimits & { readonly streamObjectBytesMin: number; readonly objectStreamsMax: number };

interface SetFacts extends Sized {
  readonly entry: ObjectEntry;
  bytes: number;
  ranges: number;
  maxTimestamp: number;
}

/** What a first look at all streams of this node finds: runs of ranges, and which stream-set objects to take apart. */
export class MergeSurvey {
  readonly streams: Merge[] = [];
  readonly #limits: PlanLimits;
  readonly #excluded: ReadonlySet<string>;
  /** For runs of ranges. The first may be larger alone: else it would never be done. */
  #bytesLeft: number;
  #rangesLeft: number;
  readonly #sets = new Map<string, SetFacts>();

  /** What is in the excluded objects stays where it is. */
  constructor(limits: PlanLimits, excluded: ReadonlySet<string>) {
    this.#limits = limits;
    this.#excluded = excluded;
    this.#bytesLeft = limits.mergeCycleBytesMax;
    this.#rangesLeft = limits.mergeCycleRangesMax;
  }

  /** All ranges of one stream. */
  visit(ranges: readonly CommittedRange[], image: Image): void {
    let settled: CommittedRange[] = [];
    for (const range of ranges) {
      const entry = image.object(range.object);
      assert(entry !== undefined, `the image names an object that it does not know: ${range.object}`);
      const isWhole = !this.#excluded.has(entry.key);
      if (entry.kind === "stream-set" && isWhole) this.#count(range, entry);
      if (this.#isSettled(entry) && isWhole) settled.push(range);
      else {
        this.#chooseRuns(settled, image);
        settled = [];
      }
    }
    this.#chooseRuns(settled, image);
  }

  /** The stream-set objects whose ranges move, all of them. */
  chooseSets(): ReadonlySet<string> {
    const sets = [...this.#sets.values()]
      .filter(({ entry, bytes }) => !this.#isSettled(entry) || 2 * bytes < entry.bytes)
      // Smallest last, and what is about as large with the oldest last: neighbours there are neighbours in their streams.
      .sort((a, b) => magnitude(b.bytes) - magnitude(a.bytes) || b.entry.committedAt - a.entry.committedAt);
    const [run] = chooseRuns(sets, this.#limits);
    const chosen = new Set<string>();
    if (run === undefined) return chosen;
    let ranges = 0;
    for (const set of sets.slice(run.first, run.end).reverse()) {
      ranges += set.ranges;
      if (chosen.size >= 2 && ranges > this.#limits.mergeCycleRangesMax) break; // Two are always better than none.
      chosen.add(set.entry.key);
    }
    return chosen;
  }

  #count(range: CommittedRange, entry: ObjectEntry): void {
    const facts = this.#sets.get(entry.key) ?? { entry, bytes: 0, ranges: 0, maxTimestamp: -1 };
    this.#sets.set(entry.key, facts);
    facts.bytes += range.bytes;
    facts.ranges += 1;
    facts.maxTimestamp = Math.max(facts.maxTimestamp, range.maxTimestamp);
  }

  /** Of one stream, or so large that it is not merged with others any more: its streams leave it one by one. */
  #isSettled(entry: ObjectEntry): boolean {
    return entry.kind === "stream" || entry.bytes > this.#limits.mergeObjectBytesMax / 2;
  }

  #chooseRuns(ranges: readonly CommittedRange[], image: Image): void {
    for (const { first, end } of chooseRuns(ranges, this.#limits)) {
      const sources = ranges.slice(first, end);
      const bytes = bytesOf(sources);
      const isWorthIt =
        bytes >= this.#limits.streamObjectBytesMin ||
        sources.every(({ object }) => image.object(object)?.kind === "stream");
      const isRoom = bytes <= this.#bytesLeft && sources.length <= this.#rangesLeft;
      if (!isWorthIt || !(isRoom || this.streams.length === 0)) continue;
      this.#bytesLeft -= bytes;
      this.#rangesLeft -= sources.length;
      const stream = (sources[0] as CommittedRange).stream;
      this.streams.push({ kind: "stream", parts: [{ stream, sources }], bytes });
    }
  }
}

/** A second look at all streams, for what they hold in the chosen stream-set objects. */
export class SetMerge {
  readonly #sets: ReadonlySet<string>;
  readonly #limits: PlanLimits;
  readonly #own: Merge[] = [];
  /** The n-th holds the n-th run of each stream that is not large enough for an object of its own. */
  readonly #shared: MergePart[][] = [];

  constructor(sets: ReadonlySet<string>, limits: PlanLimits) {
    this.#sets = sets;
    this.#limits = limits;
  }

  /** All ranges of one stream. Streams come in the order of their ids. */
  visit(ranges: readonly CommittedRange[]): void {
    let runs = 0;
    for (const sources of this.#runsOf(ranges)) {
      const { stream } = sources[0] as CommittedRange;
      const bytes = bytesOf(sources);
      const isInLargePieces = bytes >= sources.length * this.#limits.mergePieceBytesMin;
      if (bytes >= this.#limits.streamObjectBytesMin && isInLargePieces) {
        this.#own.push({ kind: "stream", parts: [{ stream, sources }], bytes });
        continue;
      }
      const shared = this.#shared[runs] ?? [];
      this.#shared[runs] = shared;
      shared.push({ stream, sources });
      runs += 1;
    }
  }

  merges(): readonly Merge[] {
    const shared = this.#shared.flatMap((parts) => this.#split(parts));
    // Otherwise their streams lie in them so scattered that as many objects would come out as go in.
    return 2 * shared.length <= this.#sets.size ? [...shared, ...this.#own] : this.#own;
  }

  /**
   * What lies in the chosen objects, together with what stands between it as far as that stays within the limits. The more objects
   * are read side by side, the smaller are the requests.
   */
  *#runsOf(ranges: readonly CommittedRange[]): Iterable<readonly CommittedRange[]> {
    let run: CommittedRange[] = [];
    let between: CommittedRange[] = [];
    for (const range of ranges) {
      if (!this.#sets.has(range.object)) {
        if (run.length > 0) between.push(range);
        continue;
      }
      const isLong = run.length + between.length >= this.#limits.mergeSourcesMax;
      if (isLong || bytesOf(run) + bytesOf(between) + range.bytes > this.#limits.mergeObjectBytesMax) {
        if (run.length > 0) yield run;
        run = [];
        between = [];
      }
      run.push(...between, range);
      between = [];
    }
    if (run.length > 0) yield run;
  }

  #split(parts: readonly MergePart[]): readonly Merge[] {
    const merges: Merge[] = [];
    let group: MergePart[] = [];
    let bytes = 0;
    const close = (): void => {
      if (group.length > 0) merges.push({ kind: group.length === 1 ? "stream" : "stream-set", parts: group, bytes });
      group = [];
      bytes = 0;
    };
    for (const part of parts) {
      const added = bytesOf(part.sources);
      if (group.length === this.#limits.objectStreamsMax || bytes + added > this.#limits.mergeObjectBytesMax) close();
      group.push(part);
      bytes += added;
    }
    close();
    return merges;
  }
}

interface Sized {
  readonly bytes: number;
  /** -1 when unknown. */
  readonly maxTimestamp: number;
}

export interface RunLimits {
  readonly mergeSourcesMin: number;
  readonly mergeSourcesMax: number;
  readonly mergeObjectBytesMax: number;
  readonly mergeSpanMsMax: number;
}

/** Runs [first, end) of neighbours to be merged, the newest, at the end, first. */
export function* chooseRuns(items: readonly Sized[], limits: RunLimits): Generator<{ first: number; end: number }> {
  for (let end = items.length; end >= limits.mergeSourcesMin; ) {
    const first = runStart(items, end, limits);
    const isLongEnough = end - first >= limits.mergeSourcesMin;
    if (isLongEnough) yield { first, end };
    end = isLongEnough ? first : end - 1;
  }
}

/** As far back as limits allow, and then forward again until no source is too large for what it would become. */
function runStart(items: readonly Sized[], end: number, limits: RunLimits): number {
  const newest = items[end - 1] as Sized;
  let first = end;
  let bytes = 0;
  while (first > 0 && end - first < limits.mergeSourcesMax) {
    const older = items[first - 1] as Sized;
    const isDated = older.maxTimestamp >= 0 && newest.maxTimestamp >= 0;
    const isApart = isDated && Math.abs(newest.maxTimestamp - older.maxTimestamp) > limits.mergeSpanMsMax;
    if (bytes + older.bytes > limits.mergeObjectBytesMax || isApart) break;
    bytes += older.bytes;
    first -= 1;
  }
  const growth = Math.max(2, limits.mergeSourcesMin / 2);
  for (;;) {
    const total = bytes;
    let tooLarge = end - 1;
    while (tooLarge >= first && (items[tooLarge] as Sized).bytes * growth <= total) tooLarge -= 1;
    if (tooLarge < first) return first;
    while (first <= tooLarge) {
      // A run is made of neighbours: what stands before it is left out too.
      bytes -= (items[first] as Sized).bytes;
      first += 1;
    }
  }
}

export interface MergedRange extends Omit<ReplacingRange, "replaces"> {
  readonly sources: readonly CommittedRange[];
}

export interface MergedObject {
  readonly key: string;
  readonly bytes: number;
  readonly kind: "stream-set" | "stream";
  readonly ranges: readonly MergedRange[];
}

type ReplaceRanges = Extract<StreamEvent, { readonly kind: "replace-ranges" }>;

/** Commits the object without the streams that were trimmed, deleted or taken over since; undefined when none is left. */
export function replaceEvent(
  { key, bytes, kind, ranges }: MergedObject,
  image: Image,
  node: ObjectEntry["node"],
): ReplaceRanges | undefined {
  const live: ReplacingRange[] = [];
  for (const { sources, ...range } of ranges) {
    if (image.stream(range.stream)?.node !== node || !areHeld(sources, image)) continue;
    live.push({ ...range, replaces: sources.map(({ object }) => object) });
  }
  if (live.length === 0) return undefined;
  return { kind: "replace-ranges", object: key, bytes, objectKind: kind, ranges: live };
}

/** Without what has changed since it was planned: also by another merge of the same plan. */
export function stillHeld(merge: Merge, image: Image): Merge {
  return { ...merge, parts: merge.parts.filter(({ sources }) => areHeld(sources, image)) };
}

function areHeld(sources: readonly CommittedRange[], image: Image): boolean {
  const { stream, from, object } = sources[0] as CommittedRange;
  const held = image.ranges(stream, (from - 1) as Offset); // A range without any offset ends where it begins.
  const first = held.findIndex((range) => range.object === object && range.from === from);
  return sources.every((source, index) => {
    const range = held[first + index];
    return first >= 0 && range?.object === source.object && range.from === source.from && range.to === source.to;
  });
}

function bytesOf(ranges: readonly { readonly bytes: number }[]): number {
  return ranges.reduce((sum, { bytes }) => sum + bytes, 0);
}

function magnitude(bytes: number): number {
  return Math.floor(Math.log2(bytes + 1));
}
