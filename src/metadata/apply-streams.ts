/**
 * What stream events do to the image.
 *
 *   object committed ──▶ live: streams hold ranges in it ──trim, delete-topic──▶ unreferenced ──objects-deleted──▶ gone
 */
import { type ApplyContext, refuse, type Verdict } from "./apply-context.ts";
import type { ObjectRange, StreamEvent } from "./events.ts";
import type { ImageState, ObjectState, StreamState } from "./image-state.ts";

export function applyStreamEvent(image: ImageState, event: StreamEvent, context: ApplyContext): Verdict {
  switch (event.kind) {
    case "open-streams":
      return applyOpenStreams(image, event, context);
    case "commit-object":
      return applyCommitObject(image, event, context);
    case "trim-streams":
      return applyTrimStreams(image, event, context);
    case "objects-deleted":
      return applyObjectsDeleted(image, event, context);
  }
}

type EventOf<K extends StreamEvent["kind"]> = Extract<StreamEvent, { readonly kind: K }>;

function applyOpenStreams(image: ImageState, event: EventOf<"open-streams">, context: ApplyContext): Verdict {
  for (const id of event.streams) {
    const stream = image.streamStates.get(id);
    if (stream === undefined) return refuse("missing", `stream ${id}`);
    context.undo.assign(stream, { epoch: stream.epoch + 1, node: context.nodeId });
  }
  return undefined;
}

function applyCommitObject(image: ImageState, event: EventOf<"commit-object">, context: ApplyContext): Verdict {
  if (event.object === "") return refuse("invalid", "an object without a key");
  if (image.objectsByKey.has(event.object)) return refuse("exists", `object ${event.object}`);
  if (event.bytes < 0) return refuse("invalid", `an object of ${event.bytes} bytes`);
  const object: ObjectState = {
    key: event.object,
    bytes: event.bytes,
    kind: event.objectKind,
    node: context.nodeId,
    committedAt: context.seq,
    number: image.nextObjectNumber,
    live: 0,
  };
  context.undo.assign(image, { nextObjectNumber: object.number + 1 });
  context.undo.set(image.objectsByKey, object.key, object);
  context.undo.set(image.objectsByNumber, object.number, object);
  for (const range of event.ranges) {
    const refusal = commitRange(image, object, range, context);
    if (refusal !== undefined) return refusal;
  }
  if (object.live === 0) context.undo.set(image.unreferencedSince, object.key, context.seq);
  return undefined;
}

function commitRange(image: ImageState, object: ObjectState, range: ObjectRange, context: ApplyContext): Verdict {
  const stream = image.streamStates.get(range.stream);
  if (stream === undefined) return refuse("missing", `stream ${range.stream}`);
  if (range.epoch !== stream.epoch)
    return refuse("stale-epoch", `stream ${stream.id} is at epoch ${stream.epoch}, not ${range.epoch}`);
  if (range.from < stream.end) return refuse("gap", `stream ${stream.id} ends at ${stream.end}, not ${range.from}`);
  if (range.to < range.from || range.bytes < 0) return refuse("invalid", `range of stream ${stream.id}`);
  context.undo.assign(stream, { end: range.to });
  context.undo.step(stream.ranges.remember());
  stream.ranges.push({ ...range, object: object.number });
  object.live += 1; // No undo: the object itself goes when the group is refused.
  dropTrimmed(image, stream, context);
  return undefined;
}

/** Only the stream's writer trims, and never backward. */
function applyTrimStreams(image: ImageState, event: EventOf<"trim-streams">, context: ApplyContext): Verdict {
  for (const { stream: id, start } of event.streams) {
    const stream = image.streamStates.get(id);
    if (stream === undefined) return refuse("missing", `stream ${id}`);
    if (stream.node !== context.nodeId) return refuse("stale-epoch", `stream ${id} has another writer`);
    if (start <= stream.start) continue;
    context.undo.assign(stream, { start });
    dropTrimmed(image, stream, context);
  }
  return undefined;
}

/**
 * Forgets the ranges below the start, save the newest: its sidecar may be all that is left of what the owner must remember
 * (a partition's producers outlive their records).
 */
function dropTrimmed(image: ImageState, stream: StreamState, context: ApplyContext): void {
  const count = Math.min(stream.ranges.firstEndingAfter(stream.start), stream.ranges.length - 1);
  if (count > 0) dropRanges(image, stream, count, context);
}

function applyObjectsDeleted(image: ImageState, event: EventOf<"objects-deleted">, context: ApplyContext): Verdict {
  for (const key of event.objects) {
    const object = image.objectsByKey.get(key);
    if (object === undefined) continue; // Recorded before: deleting again is no harm.
    if (object.live > 0) return refuse("invalid", `object ${key} is still named by streams`);
    context.undo.delete(image.unreferencedSince, key);
    context.undo.delete(image.objectsByKey, key);
    context.undo.delete(image.objectsByNumber, object.number);
  }
  return undefined;
}

/** Forgets the stream's first ranges, and notes the objects that no stream names any more. */
export function dropRanges(image: ImageState, stream: StreamState, count: number, context: ApplyContext): void {
  for (let index = 0; index < count; index++) {
    const object = image.objectByNumber(stream.ranges.at(index).object);
    context.undo.assign(object, { live: object.live - 1 });
    if (object.live === 0) context.undo.set(image.unreferencedSince, object.key, context.seq);
  }
  context.undo.step(stream.ranges.remember());
  stream.ranges.dropFirst(count);
}
