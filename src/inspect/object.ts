/** One object, read piece by piece: what its header and index say, and whether every block, sidecar and batch is what they say. */
import type { Offset, StreamId } from "../base/ids.ts";
import { KiB } from "../base/settings.ts";
import type { ObjectStore } from "../object-store/object-store.ts";
import { BatchView, checkBatch } from "../protocol/record-batch.ts";
import {
  checkSidecar,
  decodeBlock,
  decodeFooter,
  decodeHeader,
  footerBytes,
  type IndexedBlock,
  ObjectIndex,
  type ObjectOrigin,
} from "../stream/object-format.ts";
import type { Batch } from "../stream/storage.ts";

export interface OpenedObject {
  readonly key: string;
  readonly bytes: number;
  readonly origin: ObjectOrigin;
  readonly index: ObjectIndex;
}

/** Header, footer and index, all of them checked. Throws CorruptData and ObjectMissing. */
export async function openObject(store: ObjectStore, key: string, bytes: number): Promise<OpenedObject> {
  const origin = decodeHeader(await store.get(key, { start: 0, end: Math.min(bytes, headBytes) }), key);
  const tailStart = Math.max(0, bytes - footerBytes);
  const footer = decodeFooter(await store.get(key, { start: tailStart, end: bytes }), bytes, key);
  const index = await store.get(key, { start: footer.indexPosition, end: bytes - footerBytes });
  return { key, bytes, origin, index: new ObjectIndex(index, footer, key) };
}

/** More than a header takes. */
const headBytes = 1 * KiB;

/** The batches of one block, checked against the block's CRC. Throws CorruptData. */
export async function readBlock(
  store: ObjectStore,
  object: OpenedObject,
  stream: StreamId,
  block: IndexedBlock,
): Promise<readonly Batch[]> {
  const { position, bytes } = block;
  const found = await store.get(object.key, { start: position, end: position + bytes });
  return decodeBlock(found, { stream, position }, object.key);
}

export interface Checked {
  readonly blocks: number;
  readonly batches: number;
  readonly bytes: number;
}

/** Where in an object something is not as it should be. */
export interface ObjectFault {
  readonly stream: StreamId;
  readonly position: number;
  readonly detail: string;
}

/**
 * Reads all blocks and sidecars of a stream's part. Throws CorruptData where bytes are not what their checksum says; what
 * the checksums do not cover is told to `fault`.
 */
export async function checkPart(
  store: ObjectStore,
  object: OpenedObject,
  stream: StreamId,
  fault: (fault: ObjectFault) => void,
): Promise<Checked> {
  const part = object.index.stream(stream);
  if (part === undefined) return { blocks: 0, batches: 0, bytes: 0 };
  const sum = { blocks: 0, batches: 0, bytes: 0 };
  let end = part.from;
  for (const block of object.index.blocks(stream, 0 as Offset)) {
    const tell = (detail: string): void => fault({ stream, position: block.position, detail });
    if (block.from < end) tell(`offsets from ${block.from} on are there twice: the block before ends at ${end}`);
    if (block.to > part.to) tell(`the block ends at ${block.to}, its stream's part at ${part.to}`);
    end = block.to;
    const batches = await readBlock(store, object, stream, block);
    const first = batches[0]?.from ?? block.from;
    const last = batches.at(-1)?.to ?? block.to;
    if (first !== block.from || last !== block.to)
      tell(`the index says ${span(block)}, the block holds ${span({ from: first, to: last })}`);
    batchFaults(batches).forEach(tell);
    sum.blocks += 1;
    sum.batches += batches.length;
    sum.bytes += block.bytes;
  }
  const { sidecar } = part;
  if (sidecar === undefined) return sum;
  const { position, bytes } = sidecar;
  const found =
    bytes === 0 ? new Uint8Array() : await store.get(object.key, { start: position, end: position + bytes });
  checkSidecar(found, sidecar, object.key);
  return { ...sum, bytes: sum.bytes + bytes };
}

interface Unread {
  readonly from: Offset;
  readonly to: Offset;
  readonly bytes: Uint8Array;
}

/** What is wrong with batches that follow each other. */
export function batchFaults(batches: readonly Unread[]): readonly string[] {
  const found: string[] = [];
  let end = batches[0]?.from ?? 0;
  for (const { from, to, bytes } of batches) {
    if (from < end) found.push(`offsets from ${from} on are there twice: the batch before ends at ${end}`);
    end = to;
    const fault = checkBatch(bytes);
    if (fault !== undefined) {
      found.push(`batch ${span({ from, to })}: ${fault.detail}`);
      continue;
    }
    const { baseOffset, nextOffset } = new BatchView(bytes);
    if (baseOffset !== from || nextOffset !== to)
      found.push(`batch ${span({ from, to })} calls itself ${span({ from: baseOffset, to: nextOffset })}`);
  }
  return found;
}

function span({ from, to }: { readonly from: number; readonly to: number }): string {
  return `[${from}, ${to})`;
}
