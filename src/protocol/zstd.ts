/**
 * Zstandard, of which a payload may hold several frames one after another. Node's own stops after the first, so they are told
 * apart here by their headers, without inflating anything.
 *
 *   frame      | 28 B5 2F FD | descriptor | [window] | [dictionary] | [content size] | blocks | [check, 4] |
 *   block      | 3 bytes: 1 bit last, 2 bits type, 21 bits size | data, which is 1 byte where a byte is repeated |
 *   skippable  | 5x 2A 4D 18 | uint32 length | anything |
 */
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { bytesOf, joined } from "../base/bytes.ts";
import { CorruptData } from "../base/errors.ts";

const frameMagic = 0xfd2fb528;
/** Sixteen of them: the last four bits are free. */
const skippableMagic = 0x184d2a50;
/** By the descriptor's bits. */
const dictionaryBytes = [0, 1, 2, 4] as const;
const contentSizeBytes = [0, 2, 4, 8] as const;
/** Magic, descriptor, window and one empty block. */
const frameBytesMin = 9;
const repeatedByte = 1;
const reservedType = 3;
/** Each has a context of its own, which takes some 20 µs; whoever writes several frames writes few. */
const framesMax = 1024;
const framesAtOnceMax = 64;

const unzstdAside = promisify<Uint8Array, zlib.ZstdOptions, Uint8Array>(zlib.zstdDecompress);

export function inflateZstd(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const [first, ...others] = zstdFrames(bytes);
  if (first === undefined) return bytes.subarray(0, 0);
  const parts = [inflateFrame(first, bytesMax)];
  for (const frame of others) parts.push(inflateFrame(frame, bytesMax - bytesOf(parts)));
  return oneOf(parts);
}

export async function inflateZstdAside(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  const [first, ...others] = zstdFrames(bytes);
  if (first === undefined) return bytes.subarray(0, 0);
  const parts = [await inflateFrameAside(first, bytesMax)];
  for (const frame of others) parts.push(await inflateFrameAside(frame, bytesMax - bytesOf(parts)));
  return oneOf(parts);
}

/** Whether there are too many frames to inflate them all without others having a turn. */
export function hasManyZstdFrames(bytes: Uint8Array): boolean {
  return bytes.length > framesAtOnceMax * frameBytesMin && zstdFrames(bytes).length > framesAtOnceMax;
}

/** The frames that may hold something. Throws CorruptData when there are too many, or one is cut, or none at all. */
function zstdFrames(bytes: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const frames: Uint8Array[] = [];
  for (let from = 0; from < bytes.length; ) {
    const magic = uintAt(view, from, 4);
    const isSkippable = (magic & ~0xf) >>> 0 === skippableMagic;
    if (!isSkippable && magic !== frameMagic) throw corrupt(from, "a frame", `magic number ${magic.toString(16)}`);
    const to = isSkippable ? from + 8 + uintAt(view, from + 4, 4) : frameEnd(view, from + 4);
    if (to > bytes.length) throw corrupt(from, `a frame of ${to - from} bytes`, `${bytes.length - from}`);
    if (!isSkippable) frames.push(bytes.subarray(from, to));
    if (frames.length > framesMax) throw corrupt(from, `at most ${framesMax} frames`, "more");
    from = to;
  }
  return frames;
}

/** `at` is where the descriptor is. */
function frameEnd(view: DataView, at: number): number {
  const descriptor = uintAt(view, at, 1);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionary = dictionaryBytes[descriptor & 3] as number;
  const contentSize = contentSizeBytes[descriptor >> 6] || Number(isSingleSegment);
  let next = at + 1 + Number(!isSingleSegment) + dictionary + contentSize;
  for (let isLast = false; !isLast; ) {
    const header = uintAt(view, next, 3);
    const type = (header >> 1) & 3;
    if (type === reservedType) throw corrupt(next, "a block of a known type", `${type}`);
    next += 3 + (type === repeatedByte ? 1 : header >> 3);
    isLast = (header & 1) === 1;
  }
  return next + ((descriptor & 4) === 0 ? 0 : 4);
}

function inflateFrame(frame: Uint8Array, bytesMax: number): Uint8Array {
  return bounded(zlib.zstdDecompressSync(frame, { maxOutputLength: Math.max(1, bytesMax) }), bytesMax);
}

async function inflateFrameAside(frame: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  return bounded(await unzstdAside(frame, { maxOutputLength: Math.max(1, bytesMax) }), bytesMax);
}

/** A library's bound is not 0, and what is left for an empty frame may be. */
function bounded(bytes: Uint8Array, bytesMax: number): Uint8Array {
  if (bytes.length > bytesMax) throw corrupt(0, `at most ${bytesMax} bytes inflated`, `${bytes.length}`);
  return bytes;
}

function oneOf(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : joined(parts);
}

/** Little-endian, of 1, 3 or 4 bytes. */
function uintAt(view: DataView, at: number, length: 1 | 3 | 4): number {
  if (at + length > view.byteLength) throw corrupt(at, `${length} more bytes`, `${Math.max(0, view.byteLength - at)}`);
  if (length === 4) return view.getUint32(at, true);
  return length === 1 ? view.getUint8(at) : view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
}

function corrupt(position: number, expected: string, found: string): CorruptData {
  return new CorruptData({ source: "zstd data", position, expected, found });
}
