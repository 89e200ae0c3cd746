/** Decides which objects a generation becomes, and what of them can be committed. Pure. */
import type { NodeId } from "../base/ids.ts";
import type { ObjectRange, StreamEvent } from "../metadata/events.ts";
import type { Image } from "../metadata/image.ts";
import { framedBytes, type StreamPart } from "./object-format.ts";

export interface PlannedObject {
  readonly kind: "stream-set" | "stream";
  readonly parts: readonly StreamPart[];
  /** About what the object will be long. */
  readonly bytes: number;
}

export interface UploadedObject {
  readonly key: string;
  readonly bytes: number;
  readonly kind: "stream-set" | "stream";
  readonly ranges: readonly ObjectRange[];
}

type CommitObject = Extract<StreamEvent, { readonly kind: "commit-object" }>;

/** Large streams get an object of their own, so that it never has to be taken apart again; the others share. */
export function planObjects(
  parts: readonly StreamPart[],
  limits: { readonly streamObjectBytesMin: number; readonly objectStreamsMax: number },
): readonly PlannedObject[] {
  const sorted = [...parts].sort((a, b) => a.stream - b.stream);
  const own: PlannedObject[] = [];
  const shared: StreamPart[] = [];
  for (const part of sorted) {
    const bytes = partBytes(part);
    if (bytes >= limits.streamObjectBytesMin || sorted.length === 1) own.push({ kind: "stream", parts: [part], bytes });
    else shared.push(part);
  }
  for (let i = 0; i < shared.length; i += limits.objectStreamsMax) {
    const group = shared.slice(i, i + limits.objectStreamsMax);
    own.push({ kind: "stream-set", parts: group, bytes: group.reduce((sum, part) => sum + partBytes(part), 0) });
  }
  return own;
}

/**
 * Whether the slots of the WAL are committed as they are. That saves sending the bytes again, and costs an object and a range
 * a stream for each slot, and their merging later: many small slots are better uploaded once more, as one. Where the WAL was one of
 * two, uploads ended where they liked: of a slot that is committed in part the rest is uploaded.
 */
export function areWorthReferring(
  slots: readonly UploadedObject[],
  image: Image,
  limits: { readonly walReferenceBytesMin: number },
): boolean {
  const bytes = slots.reduce((sum, slot) => sum + slot.bytes, 0);
  const isLarge = slots.length > 0 && bytes >= slots.length * limits.walReferenceBytesMin;
  return isLarge && !slots.some(({ ranges }) => ranges.some((range) => isBegun(range, image)));
}

function isBegun({ stream, from, to }: ObjectRange, image: Image): boolean {
  const end = image.stream(stream)?.end;
  return end !== undefined && from < end && end < to;
}

/** What slots do not hold: the sidecars, each with the empty range at the end of what it speaks for. */
export function sidecarsOf(parts: readonly StreamPart[]): readonly StreamPart[] {
  return parts.filter(({ sidecar }) => sidecar !== undefined).map((part) => ({ ...part, from: part.to, batches: [] }));
}

export function rangeOf(part: StreamPart): ObjectRange {
  let bytes = 0;
  let maxTimestamp = -1;
  for (const batch of part.batches) {
    bytes += batch.bytes.length;
    maxTimestamp = Math.max(maxTimestamp, batch.maxTimestamp);
  }
  const { stream, epoch, from, to } = part;
  return { stream, epoch, from, to, bytes, maxTimestamp };
}

/** The events that commit the objects, without the streams that were deleted or taken over since; empty when none is left. */
export function commitEvents(objects: readonly UploadedObject[], image: Image, node: NodeId): readonly CommitObject[] {
  const events: CommitObject[] = [];
  for (const { key, bytes, kind, ranges } of objects) {
    const live: ObjectRange[] = [];
    for (const range of ranges) {
      const stream = image.stream(range.stream);
      if (stream === undefined || stream.node !== node) continue;
      if (range.from < stream.end && range.to <= stream.end) continue; // Another node had the stream in between.
      // The stream may have been opened again, by this same node, since its batches were enqueued.
      live.push({ ...range, epoch: stream.epoch });
    }
    if (live.length > 0) events.push({ kind: "commit-object", object: key, bytes, objectKind: kind, ranges: live });
  }
  return events;
}

function partBytes(part: StreamPart): number {
  let bytes = 0;
  for (const batch of part.batches) bytes += framedBytes(batch);
  return bytes;
}
