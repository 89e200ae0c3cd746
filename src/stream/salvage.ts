/** Finds the objects in a bucket that an image does not name, and reads what they say about themselves. Only indexes are read. */
import { CorruptData } from "../base/errors.ts";
import type { NodeEpoch, NodeId, Uuid } from "../base/ids.ts";
import type { ObjectRange } from "../metadata/events.ts";
import type { Image } from "../metadata/image.ts";
import type { ObjectInfo, ObjectStore } from "../object-store/object-store.ts";
import { decodeHeader, headerBytes, type IndexedStream, type ObjectIndex } from "./object-format.ts";
import { ObjectIo } from "./object-io.ts";
import { objectPrefix } from "./object-name.ts";
import { slotHeadBytes, slotPrefix } from "./slot-format.ts";

export interface SalvagedObject {
  readonly key: string;
  readonly bytes: number;
  readonly cluster: Uuid;
  readonly node: NodeId;
  readonly nodeEpoch: NodeEpoch;
  readonly ranges: readonly SalvagedRange[];
}

export interface SalvagedRange extends ObjectRange {
  /** Of the stream, as the log wrote it. */
  readonly label: Uint8Array;
}

export interface Salvage {
  readonly objects: readonly SalvagedObject[];
  /** Objects that cannot be read, with the reason. */
  readonly unreadable: readonly { readonly key: string; readonly reason: string }[];
  /** All that are in the bucket, named by the image or not. */
  readonly keys: ReadonlySet<string>;
}

/** An index is asked for once. */
const ioLimits = { indexCacheBytesMax: 0, readsInFlightMax: 32 };

export async function salvage(store: ObjectStore, image: Image): Promise<Salvage> {
  const io = new ObjectIo({ store, ...ioLimits });
  const keys = new Set<string>();
  const objects: SalvagedObject[] = [];
  const unreadable: { key: string; reason: string }[] = [];
  for await (const { key, size } of objectsAndSlots(store)) {
    keys.add(key);
    const isSeal = key.startsWith(slotPrefix) && size <= slotHeadBytes;
    if (isSeal || image.object(key) !== undefined) continue;
    try {
      const header = decodeHeader(await store.get(key, { start: 0, end: Math.min(size, headerBytes) }), key);
      const index = await io.index({ key, bytes: size });
      objects.push({ key, bytes: size, ...header, ranges: [...index.streams()].map((part) => rangeOf(index, part)) });
    } catch (cause) {
      if (!(cause instanceof CorruptData)) throw cause;
      unreadable.push({ key, reason: cause.message });
    }
  }
  return { objects, unreadable, keys };
}

/** Slots of a WAL in the bucket are objects too. */
async function* objectsAndSlots(store: ObjectStore): AsyncIterable<ObjectInfo> {
  yield* store.list(objectPrefix);
  yield* store.list(slotPrefix);
}

function rangeOf(index: ObjectIndex, { stream, epoch, from, to, label }: IndexedStream): SalvagedRange {
  let bytes = 0;
  let maxTimestamp = -1;
  for (const block of index.blocks(stream, from)) {
    bytes += block.bytes;
    maxTimestamp = Math.max(maxTimestamp, block.maxTimestamp);
  }
  return { stream, epoch, from, to, bytes, maxTimestamp, label: label.slice() };
}
