/** One slot of a WAL in the object store as bytes (schemas/stream-format.ts draws it), without any I/O. */
import { createHash } from "node:crypto";
import { crc32c } from "@node-rs/crc32";
import { slotHeader, slotKinds, slotMagic, slotVersion } from "../../schemas/stream-format.ts";
import { CorruptData } from "../base/errors.ts";
import { type NodeEpoch, type NodeId, type Offset, type Uuid, uuidFromBytes, uuidZero } from "../base/ids.ts";
import { layout, type Values } from "./layout.ts";
import {
  decodeBlock,
  decodeFooter,
  encodeHeader,
  encodeObject,
  footerBytes,
  headerBytes,
  ObjectIndex,
  type ObjectOrigin,
  type StreamPart,
} from "./object-format.ts";
import { rangeOf, type UploadedObject } from "./upload-plan.ts";
import type { WalRecord } from "./wal.ts";

/** Slots live below this. */
export const slotPrefix = "wal/";

/** Where a slot lies. A name is never used for another slot: epochs are not given out twice, and a seq only grows. */
export interface SlotName {
  readonly node: NodeId;
  readonly epoch: NodeEpoch;
  readonly seq: number;
}

export function keyOfSlot({ node, epoch, seq }: SlotName): string {
  return `${slotPrefix}${node}/${epoch}/${seq.toString().padStart(20, "0")}`;
}

/** Undefined when the key is not a slot's. */
export function slotOfKey(key: string): SlotName | undefined {
  const match = /^wal\/(\d+)\/(\d+)\/(\d{20})$/.exec(key);
  if (match === null) return undefined;
  return { node: Number(match[1]) as NodeId, epoch: Number(match[2]) as NodeEpoch, seq: Number(match[3]) };
}

export interface SlotHead extends SlotName {
  readonly kind: (typeof slotKinds)[number];
  readonly id: Uuid;
  readonly previous: Uuid;
  readonly durable: number;
  /** What the next slot holds as `previous`. */
  readonly hash: Uuid;
}

/** What a slot takes from the slots before it. */
export interface SlotLink extends SlotName {
  readonly id: Uuid;
  readonly previous: Uuid;
  readonly durable: number;
}

export interface EncodedSlot {
  /** Borrowed from the records. */
  readonly views: readonly Uint8Array[];
  readonly object: UploadedObject;
  readonly hash: Uuid;
}

const header = layout(slotHeader);

/** Bytes at the start of a slot that tell what it is; a seal has no more. */
export const slotHeadBytes = headerBytes + header.bytes;

/** `parts` are sorted by stream. */
export function encodeSlot(
  origin: ObjectOrigin,
  link: SlotLink,
  parts: readonly StreamPart[],
  blockBytesMax: number,
): EncodedSlot {
  const head = new Uint8Array(header.bytes);
  const views = [...encodeObject(origin, parts, blockBytesMax, head)].flat();
  let bodyBytes = 0;
  let bodyCrc = 0;
  for (const view of views.slice(2)) {
    bodyBytes += view.length;
    bodyCrc = crc32c(view, bodyCrc);
  }
  writeHead(head, { ...link, kind: slotKinds.indexOf("records"), bodyBytes, bodyCrc });
  const key = keyOfSlot(link);
  const object = { key, bytes: slotHeadBytes + bodyBytes, kind: "stream-set", ranges: parts.map(rangeOf) } as const;
  return { views, object, hash: hashOf(head) };
}

export function encodeSeal(origin: ObjectOrigin, name: SlotName, id: Uuid): Uint8Array {
  const head = new Uint8Array(header.bytes);
  const kind = slotKinds.indexOf("seal");
  writeHead(head, { ...name, kind, id, previous: uuidZero, durable: 0, bodyBytes: 0, bodyCrc: 0 });
  return Buffer.concat([encodeHeader(origin), head]);
}

/** `bytes` hold at least the slot's head. Throws CorruptData when that is not the head of the slot of this name. */
export function decodeSlotHead(bytes: Uint8Array, name: SlotName): SlotHead {
  return headOf(readHead(bytes, name), bytes);
}

export interface DecodedSlot {
  readonly head: SlotHead;
  readonly object: UploadedObject;
  /** Sorted by stream, as views of the slot's bytes; of one stream in the order in which they were appended. */
  readonly parts: readonly StreamPart[];
  readonly records: readonly WalRecord[];
}

/** Throws CorruptData unless all of it is as it was written. */
export function decodeSlot(bytes: Uint8Array, name: SlotName): DecodedSlot {
  const key = keyOfSlot(name);
  const values = readHead(bytes, name);
  const body = bytes.subarray(slotHeadBytes);
  if (body.length !== values.bodyBytes) refuse(key, slotHeadBytes, `${values.bodyBytes} bytes`, body.length);
  const crc = crc32c(body);
  if (crc !== values.bodyCrc) refuse(key, slotHeadBytes, `body CRC ${values.bodyCrc}`, crc);
  const head = headOf(values, bytes);
  const parts = head.kind === "seal" ? [] : partsOf(bytes, key);
  const object = { key, bytes: bytes.length, kind: "stream-set", ranges: parts.map(rangeOf) } as const;
  return { head, object, parts, records: parts.flatMap(recordsOf) };
}

type Head = Values<typeof slotHeader>;

function writeHead(into: Uint8Array, values: Omit<Head, "magic" | "version" | "headerCrc">): void {
  const fixed = { magic: slotMagic, version: slotVersion };
  header.write(into, 0, { ...fixed, ...values, headerCrc: 0 });
  const headerCrc = crc32c(into.subarray(0, header.bytes - 4));
  header.write(into, 0, { ...fixed, ...values, headerCrc });
}

function readHead(bytes: Uint8Array, name: SlotName): Head {
  const source = keyOfSlot(name);
  const values = header.read(bytes, headerBytes, source);
  const corrupt = (expected: string, found: unknown): never => refuse(source, headerBytes, expected, found);
  if (values.magic !== slotMagic) corrupt(`slot magic ${slotMagic}`, values.magic);
  const crc = crc32c(bytes.subarray(headerBytes, slotHeadBytes - 4));
  if (crc !== values.headerCrc) corrupt(`header CRC ${values.headerCrc}`, crc);
  if (values.version !== slotVersion) corrupt(`version ${slotVersion}`, values.version);
  const found = keyOfSlot(values as SlotName & Head);
  if (found !== source) corrupt("the slot of this name", found);
  return values;
}

function headOf(values: Head, bytes: Uint8Array): SlotHead {
  const { id, previous, durable, seq } = values;
  const kind = slotKinds[values.kind] ?? refuse(`slot ${seq}`, headerBytes, "a kind of slot", values.kind);
  const name = { node: values.node as NodeId, epoch: values.epoch as NodeEpoch, seq };
  return { ...name, kind, id, previous, durable, hash: hashOf(bytes.subarray(headerBytes, slotHeadBytes)) };
}

function hashOf(head: Uint8Array): Uuid {
  return uuidFromBytes(createHash("sha256").update(head).digest());
}

function partsOf(bytes: Uint8Array, key: string): readonly StreamPart[] {
  const footer = decodeFooter(bytes, bytes.length, key);
  const end = bytes.length - footerBytes;
  if (footer.indexPosition < slotHeadBytes)
    refuse(key, footer.indexPosition, "an index behind the heads", "one before");
  const index = new ObjectIndex(bytes.subarray(footer.indexPosition, end), footer, key);
  return [...index.streams()].map(({ stream, epoch, from, to, label }) => {
    const batches = [...index.blocks(stream, 0 as Offset)].flatMap(({ position, bytes: length }) => [
      ...decodeBlock(bytes.subarray(position, position + length), { stream, position }, key),
    ]);
    return { stream, epoch, from, to, label, sidecar: undefined, batches };
  });
}

/** A part holds a run of batches without another in between: each follows on the one before. */
function recordsOf({ stream, epoch, from, batches }: StreamPart): readonly WalRecord[] {
  return batches.map((batch, i) => ({ ...batch, stream, epoch, after: batches[i - 1]?.to ?? from }));
}

function refuse(source: string, position: number, expected: string, found: unknown): never {
  throw new CorruptData({ source, position, expected, found: String(found) });
}
