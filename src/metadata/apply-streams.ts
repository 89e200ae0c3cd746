/**
 * What stream events do to the image.
 *
 *   object committed ──▶ live: streams hold ranges in it ──trim, replace, delete-topic──▶ unreferenced ──objects-deleted──▶ gone
 */
import { type ApplyContext, refuse, type Verdict } from "./apply-context.ts";
import type { ObjectRange, ReplacingRange, StreamEvent } from "./events.ts";
import type { ImageState, ObjectState, StreamState } from "./image-state.ts";

export function applyStreamEvent(image: ImageState, event: StreamEvent, context: ApplyContext): Verdict {
  switch (event.kind) {
    case "open-streams":
      return applyOpenStreams(image, event, context);
    case "commit-object":
      return applyCommitObject(image, event, context);
    case "replace-ranges":
      return applyReplaceRanges(image, event, context);
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
  const refused = refuseObject(image, event);
  if (refused !== undefined) return refused;
  const object = addObject(image, event, context);
  for (const range of event.ranges) {
    const refusal = commitRange(image, object, range, context);
    if (refusal !== undefined) return refusal;
  }
  if (object.live === 0) context.undo.set(image.unreferencedSince, object.key, context.seq);
  return undefined;
}

function refuseObject(image: ImageState, event: { readonly object: string; readonly bytes: number }): Verdict {
  if (event.object === "") return refuse("invalid", "an object without a key");
  if (image.objectsByKey.has(event.object)) return refuse("exists", `object ${event.object}`);
  return event.bytes < 0 ? refuse("invalid", `an object of ${event.bytes} bytes`) : undefined;
}

/** Not yet named by any stream. */
function addObject(
  image: ImageState,
  event: EventOf<"commit-object" | "replace-ranges">,
  context: ApplyContext,
): ObjectState {
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
  return object;
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

function applyReplaceRanges(image: ImageState, event: EventOf<"replace-ranges">, context: ApplyContext): Verdict {
  const refused = refuseObject(image, event);
  if (refused !== undefined) return refused;
  if (event.ranges.length === 0) return refuse("invalid", `object ${event.object} replaces nothing`);
  const object = addObject(image, event, context);
  for (const range of event.ranges) {
    const refusal = replaceRange(image, object, range, context);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** Only the stream's writer replaces: what it has in its plans is what the stream then holds. */
function replaceRange(image: ImageState, object: ObjectState, range: ReplacingRange, context: ApplyContext): Verdict {
  const stream = image.streamStates.get(range.stream);
  if (stream === undefined) return refuse("missing", `stream ${range.stream}`);
  if (stream.node !== context.nodeId) return refuse("stale-epoch", `stream ${stream.id} has another writer`);
  if (range.bytes < 0 || range.replaces.length === 0 || range.replaces.includes(object.key))
    return refuse("invalid", `range of stream ${stream.id}`);
  const first = findReplaced(image, stream, range);
  if (first === undefined)
    return refuse("stale-version", `stream ${stream.id} holds [${range.from}, ${range.to}) in other objects`);
  const last = first + range.replaces.length - 1;
  const { epoch } = stream.ranges.at(last);
  for (let index = first; index <= last; index++) release(image, stream.ranges.at(index).object, context);
  context.undo.step(stream.ranges.remember());
  stream.ranges.replace(first, range.replaces.length, { ...range, epoch, object: object.number });
  object.live += 1; // No undo: the object itself goes when the group is refused.
  return undefined;
}

/** Where in the stream's ranges the replaced ones begin; undefined when they are not there just so. */
function findReplaced(
  image: ImageState,
  stream: StreamState,
  range: Pick<ReplacingRange, "from" | "to" | "replaces">,
): number | undefined {
  const { ranges } = stream;
  const { from, to, replaces } = range;
  const isAt = (first: number): boolean =>
    ranges.at(first).from === from &&
    first + replaces.length <= ranges.length &&
    ranges.at(first + replaces.length - 1).to === to &&
    replaces.every((key, index) => image.objectByNumber(ranges.at(first + index).object).key === key);
  // Ranges without any offset may stand before another that begins where they do.
  for (let first = ranges.firstFrom(from); first < ranges.length && ranges.at(first).from === from; first++)
    if (isAt(first)) return first;
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
  for (let index = 0; index < count; index++) release(image, stream.ranges.at(index).object, context);
  context.undo.step(stream.ranges.remember());
  stream.ranges.dropFirst(count);
}

/** One range less names the object. */
function release(image: ImageState, number: number, context: ApplyContext): void {
  const object = image.objectByNumber(number);
  context.undo.assign(object, { live: object.live - 1 });
  if (object.live === 0) context.undo.set(image.unreferencedSince, object.key, context.seq);
}
