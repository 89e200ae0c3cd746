/**
 * What stream events do to the image.
 *
 *   object committed ──▶ live: streams hold ranges in it ──trim, replace, delete-topic──▶ unreferenced ──objects-deleted──▶ gone
 */
import { assert } from "../base/errors.ts";
import { uuidZero } from "../base/ids.ts";
import { type ApplyContext, refuse, type Verdict } from "./apply-context.ts";
import type { ObjectRange, ReplacingRange, StreamEvent } from "./events.ts";
import type { ImageState, StreamState } from "./image-state.ts";
import type { RangeRow } from "./packed-range.ts";

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
    if (isHeldByAnother(image, stream, context)) return refuse("stale-epoch", `stream ${id} has another writer`);
    context.undo.assign(stream, { epoch: stream.epoch + 1, node: context.nodeId });
  }
  return undefined;
}

/** Streams go to another only from a node that is fenced: what it has acked, and nobody has committed yet, would be lost. */
function isHeldByAnother(image: ImageState, { node }: StreamState, context: ApplyContext): boolean {
  if (node === undefined || node === context.nodeId) return false;
  const writer = image.nodeStates.get(node);
  return writer !== undefined && writer.incarnation !== uuidZero;
}

function applyCommitObject(image: ImageState, event: EventOf<"commit-object">, context: ApplyContext): Verdict {
  const refused = refuseObject(image, event);
  if (refused !== undefined) return refused;
  const object = addObject(image, event, context);
  for (const range of event.ranges) {
    const refusal = commitRange(image, object, range, context);
    if (refusal !== undefined) return refusal;
  }
  if (image.objectTable.live(object) === 0) context.undo.set(image.unreferencedSince, object, context.seq);
  return undefined;
}

function refuseObject(image: ImageState, event: { readonly object: string; readonly bytes: number }): Verdict {
  if (event.object === "") return refuse("invalid", "an object without a key");
  if (image.objectTable.find(event.object) !== 0) return refuse("exists", `object ${event.object}`);
  return event.bytes < 0 ? refuse("invalid", `an object of ${event.bytes} bytes`) : undefined;
}

/** Its row in the table. Not yet named by any stream. */
function addObject(
  { objectTable }: ImageState,
  event: EventOf<"commit-object" | "replace-ranges">,
  context: ApplyContext,
): number {
  const { object: key, bytes, objectKind: kind } = event;
  const object = objectTable.add({ key, bytes, kind, node: context.nodeId, committedAt: context.seq });
  context.undo.step(() => {
    objectTable.remove(object);
    objectTable.free(object);
  });
  return object;
}

/** One range more names the object, which is new: it goes itself when the group is refused. */
function hold({ objectTable }: ImageState, object: number): void {
  objectTable.setLive(object, objectTable.live(object) + 1);
}

function commitRange(image: ImageState, object: number, range: ObjectRange, context: ApplyContext): Verdict {
  const stream = image.streamStates.get(range.stream);
  if (stream === undefined) return refuse("missing", `stream ${range.stream}`);
  if (range.epoch !== stream.epoch)
    return refuse("stale-epoch", `stream ${stream.id} is at epoch ${stream.epoch}, not ${range.epoch}`);
  if (range.from < stream.end) return refuse("gap", `stream ${stream.id} ends at ${stream.end}, not ${range.from}`);
  if (range.to < range.from || !isCountable(range)) return refuse("invalid", `range of stream ${stream.id}`);
  context.undo.assign(stream, { end: range.to });
  stream.ranges.push({ ...range, object }, context.undo);
  hold(image, object);
  if (stream.ranges.length === 2) dropTrimmed(image, stream, context); // Only a newest that was alone may lie below the start.
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
function replaceRange(image: ImageState, object: number, range: ReplacingRange, context: ApplyContext): Verdict {
  const stream = image.streamStates.get(range.stream);
  if (stream === undefined) return refuse("missing", `stream ${range.stream}`);
  if (stream.node !== context.nodeId) return refuse("stale-epoch", `stream ${stream.id} has another writer`);
  if (!isCountable(range) || range.replaces.length === 0 || range.replaces.includes(image.objectTable.key(object)))
    return refuse("invalid", `range of stream ${stream.id}`);
  const found = findReplaced(image, stream, range);
  if (found === undefined)
    return refuse("stale-version", `stream ${stream.id} holds [${range.from}, ${range.to}) in other objects`);
  const { first, rows } = found;
  const { epoch } = rows.at(-1) as RangeRow;
  for (const row of rows) release(image, row.object, context);
  stream.ranges.replace(first, rows.length, { ...range, epoch, object }, context.undo);
  hold(image, object);
  return undefined;
}

/** The replaced ranges, and how many of the stream stand before them; undefined when they are not there just so. */
function findReplaced(
  image: ImageState,
  stream: StreamState,
  { from, to, replaces }: Pick<ReplacingRange, "from" | "to" | "replaces">,
): { readonly first: number; readonly rows: readonly RangeRow[] } | undefined {
  const { ranges } = stream;
  const cursor = ranges.cursor();
  // Ranges without any offset may stand before another that begins where they do.
  for (let has = cursor.seekFrom(from); has && cursor.row.from === from; has = cursor.next()) {
    const rows = ranges.rows(cursor.index, replaces.length);
    const isThere = rows.length === replaces.length && rows.at(-1)?.to === to;
    if (isThere && rows.every(({ object }, index) => image.objectTable.key(object) === replaces[index]))
      return { first: cursor.index, rows };
  }
  return undefined;
}

/** As packed ranges have them: a timestamp of -1 is unknown, and there is nothing below. */
function isCountable({ bytes, maxTimestamp }: Pick<ObjectRange, "bytes" | "maxTimestamp">): boolean {
  return bytes >= 0 && maxTimestamp >= -1;
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
  const count = Math.min(stream.ranges.countEndingBy(stream.start), stream.ranges.length - 1);
  if (count > 0) dropRanges(image, stream, count, context);
}

function applyObjectsDeleted(
  { objectTable, unreferencedSince }: ImageState,
  event: EventOf<"objects-deleted">,
  { undo }: ApplyContext,
): Verdict {
  for (const key of event.objects) {
    const object = objectTable.find(key);
    if (object === 0) continue; // Recorded before: deleting again is no harm.
    if (objectTable.live(object) > 0) return refuse("invalid", `object ${key} is still named by streams`);
    undo.delete(unreferencedSince, object);
    objectTable.remove(object);
    undo.step(() => objectTable.putBack(object));
    undo.whenAccepted(() => objectTable.free(object));
  }
  return undefined;
}

/** Forgets the stream's first ranges, and notes the objects that no stream names any more. */
export function dropRanges(image: ImageState, stream: StreamState, count: number, context: ApplyContext): void {
  for (const { object } of stream.ranges.rows(0, count)) release(image, object, context);
  stream.ranges.dropFirst(count, context.undo);
}

/** One range less names the object. */
function release({ objectTable, unreferencedSince }: ImageState, object: number, context: ApplyContext): void {
  const live = objectTable.live(object);
  assert(live > 0, "an object knows of every range that names it");
  objectTable.setLive(object, live - 1);
  context.undo.step(() => objectTable.setLive(object, live));
  if (live === 1) context.undo.set(unreferencedSince, object, context.seq);
}
