/**
 * How much an LZ4 frame inflates to, found by walking it without inflating: the format need not announce it.
 *
 *   | 04 22 4D 18 | flags | block size | [content size, 8] | header check | blocks | 00 00 00 00 | [check, 4] |
 *   block: | uint32 length, top bit: not compressed | data | [check, 4] |
 *   data:  ( token: 4 bits literals, 4 bits match | [more literals] | literals | offset, 2 | [more match] )*
 */
import { CorruptData } from "../base/errors.ts";

const magic = 0x184d2204;
/** Of the flags. */
const independentBlocks = 0x20;
const storedBit = 0x8000_0000;
/** The largest block that the format allows. */
const blockBytesMax = 4 * 1024 * 1024;
/** A match of length 0 still copies 4 bytes. */
const matchBytesMin = 4;

/** Throws CorruptData when the frame is malformed or inflates to more than `bytesMax`. */
export function lz4InflatedBytes(bytes: Uint8Array, bytesMax: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = frameFlags(view);
  let at = 7 + (flags.hasContentSize ? 8 : 0);
  let inflated = 0;
  for (;;) {
    const word = uint32(view, at);
    at += 4;
    if (word === 0) break;
    const length = word & ~storedBit;
    if (length > blockBytesMax) throw corrupt(at, `a block of at most ${blockBytesMax} bytes`, `${length}`);
    if (length > bytes.length - at) throw corrupt(at, `${length} more bytes`, `${bytes.length - at}`);
    inflated += word >= storedBit ? length : blockInflatedBytes(bytes, at, at + length);
    if (inflated > bytesMax) throw corrupt(at, `at most ${bytesMax} bytes inflated`, `${inflated}`);
    at += length + (flags.hasBlockCheck ? 4 : 0);
  }
  at += flags.hasContentCheck ? 4 : 0;
  if (at !== bytes.length) throw corrupt(at, "the end of the frame", `byte ${at} of ${bytes.length}`);
  return inflated;
}

/** Whether blocks may refer to those before them. Kafka's own readers take no such frame, whatever is in it. */
export function hasLinkedLz4Blocks(bytes: Uint8Array): boolean {
  return bytes.length > 4 && ((bytes[4] as number) & independentBlocks) === 0;
}

function frameFlags(view: DataView): {
  readonly hasBlockCheck: boolean;
  readonly hasContentSize: boolean;
  readonly hasContentCheck: boolean;
} {
  if (uint32(view, 0) !== magic) throw corrupt(0, "an LZ4 frame", "another magic number");
  if (view.byteLength < 7) throw corrupt(4, "a frame header", "the end");
  const flags = view.getUint8(4);
  if (flags >> 6 !== 1) throw corrupt(4, "frame version 1", `${flags >> 6}`);
  if ((flags & 1) !== 0) throw corrupt(4, "no dictionary", "one");
  return {
    hasBlockCheck: (flags & 0x10) !== 0,
    hasContentSize: (flags & 0x08) !== 0,
    hasContentCheck: (flags & 0x04) !== 0,
  };
}

/** Takes time in proportion to the compressed bytes: each step reads at least one. */
function blockInflatedBytes(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  let inflated = 0;
  const lengthFrom = (nibble: number): number => {
    let length = nibble;
    if (nibble < 15) return length;
    for (let more = 255; more === 255; ) {
      if (at >= end) throw corrupt(at, "more of a length", "the end of the block");
      more = bytes[at] as number;
      at += 1;
      length += more;
    }
    return length;
  };
  while (at < end) {
    const token = bytes[at] as number;
    at += 1;
    const literals = lengthFrom(token >> 4);
    at += literals;
    inflated += literals;
    if (at > end) throw corrupt(at, "literals inside the block", "its end");
    if (at === end) break; // The last sequence has literals only.
    at += 2;
    if (at > end) throw corrupt(at, "a match's offset", "the end of the block");
    inflated += lengthFrom(token & 15) + matchBytesMin;
  }
  return inflated;
}

function uint32(view: DataView, at: number): number {
  if (at + 4 > view.byteLength) throw corrupt(at, "4 more bytes", `${Math.max(0, view.byteLength - at)}`);
  return view.getUint32(at, true);
}

function corrupt(position: number, expected: string, found: string): CorruptData {
  return new CorruptData({ source: "lz4 data", position, expected, found });
}
