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
import type { Offset, StreamId } from "../base/ids.ts";
import type { ReplacingRange, StreamEvent } from "../metadata/events.ts";
import type { CommittedRange, Image, ObjectEntry } from "../metadata/image.ts";
import type { MergeLimits } from "./limits.ts";
import { MergeSurvey } from "./merge-survey.ts";
import { SetMerge } from "./set-merge.ts";

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

export interface PlanRequest {
  /** Asked anew at every step: the image changes between them. */
  readonly image: () => Image;
  /** In the order of their ids. */
  readonly streams: readonly StreamId[];
  readonly limits: PlanLimits;
  /** What is in these objects stays where it is. */
  readonly excluded: ReadonlySet<string>;
}

/** Looks at all streams, in steps that each say how much was looked at. What comes out may not be held any more: `stillHeld` tells. */
export function* planMerges({ image, streams, limits, excluded }: PlanRequest): Generator<number, readonly Merge[]> {
  const first = image();
  const survey = new MergeSurvey(limits, excluded);
  for (const id of streams) {
    if (image() !== first) return []; // Another one, from a checkpoint, whose rows are others.
    yield 1 + survey.visit(id, first);
  }
  const sets = yield* survey.chooseSets(first);
  if (sets.size === 0) return survey.streams;
  const merge = new SetMerge(sets, limits);
  for (const id of streams) {
    if (image() !== first) return [];
    yield 1 + merge.visit(id, first);
  }
  return [...merge.merges(), ...survey.streams];
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
