/**
 * Parquet's encodings of one page: PLAIN, and the RLE / bit-packing hybrid of levels and of dictionary indexes.
 *
 *   hybrid  = run*
 *   run     = varint(length << 1)     value in ceil(width / 8) bytes      the same value, length times
 *           | varint(groups << 1 | 1) groups × width bytes, low bits first        8 × groups values
 */
import type { Leaf } from "../translate/leaf.ts";

/** A buffer that grows, and is used again for the next page. */
export class PageBuffer {
  bytes = new Uint8Array(64 * 1024);
  length = 0;

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.length + count, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length] = value;
    this.length += 1;
  }

  /** Copies the memory of a typed array's values [from, to). This machine is little-endian, as PLAIN is. */
  plainArray(values: Int32Array | Float32Array | Float64Array, from: number, to: number): void {
    const width = values.BYTES_PER_ELEMENT;
    this.copy(new Uint8Array(values.buffer, values.byteOffset + from * width, (to - from) * width));
  }

  copy(source: Uint8Array): void {
    this.reserve(source.length);
    this.bytes.set(source, this.length);
    this.length += source.length;
  }

  varint(value: number): void {
    let rest = value;
    while (rest > 127) {
      this.byte((rest & 127) | 128);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  setUint32(at: number, value: number): void {
    this.bytes[at] = value;
    this.bytes[at + 1] = value >>> 8;
    this.bytes[at + 2] = value >>> 16;
    this.bytes[at + 3] = value >>> 24;
  }
}

/** Bits that hold every number up to `max`. */
export function bitWidth(max: number): number {
  return 32 - Math.clz32(max);
}

/** A run shorter than this costs more than the packed group of eight that it would cut short. */
const runMin = 8;

/** Appends values [from, to) as hybrid runs of `width` bits, without a length. */
export function putHybrid(
  out: PageBuffer,
  values: Uint8Array | Uint32Array,
  from: number,
  to: number,
  width: number,
): void {
  let packedFrom = from;
  let at = from;
  while (at < to) {
    const value = values[at] as number;
    let end = at + 1;
    while (end < to && values[end] === value) end += 1;
    // A packed run holds whole groups: it takes what it lacks from the run of equals that follows it.
    const lacks = (8 - ((at - packedFrom) & 7)) & 7;
    if (end - at - lacks >= runMin) {
      putPacked(out, values, packedFrom, at + lacks, width);
      putRun(out, value, end - at - lacks, width);
      packedFrom = end;
    }
    at = end;
  }
  putPacked(out, values, packedFrom, to, width);
}

function putRun(out: PageBuffer, value: number, length: number, width: number): void {
  out.varint(length * 2);
  for (let shift = 0; shift < width; shift += 8) out.byte((value >>> shift) & 0xff);
}

function putPacked(out: PageBuffer, values: Uint8Array | Uint32Array, from: number, to: number, width: number): void {
  if (from === to) return;
  const groups = Math.ceil((to - from) / 8);
  out.varint(groups * 2 + 1);
  out.reserve(groups * width);
  const bytes = out.bytes;
  let position = out.length;
  let bits = 0;
  let held = 0; // At most 7 bits are held before `width` more come: 31 in all for the widest index.
  for (let at = from; at < to; at += 1) {
    bits |= (values[at] as number) << held;
    held += width;
    while (held >= 8) {
      bytes[position] = bits;
      position += 1;
      bits >>>= 8;
      held -= 8;
    }
  }
  if (held > 0) {
    bytes[position] = bits;
    position += 1;
  }
  out.length += groups * width;
  bytes.fill(0, position, out.length); // The last group is padded with zeros.
}

/** Levels as a V1 data page has them: the hybrid behind its length. */
export function putLevels(out: PageBuffer, levels: Uint8Array, from: number, to: number, max: number): void {
  const head = out.length;
  out.reserve(4);
  out.length += 4;
  putHybrid(out, levels, from, to, bitWidth(max));
  out.setUint32(head, out.length - head - 4);
}

/** Appends values [from, to) of the leaf as PLAIN. */
export function putPlain(out: PageBuffer, leaf: Leaf, from: number, to: number): void {
  switch (leaf.kind) {
    case "boolean":
      return putBooleans(out, leaf.values, from, to);
    case "int32":
    case "float":
    case "double":
      return out.plainArray(leaf.values, from, to);
    case "int64":
      return out.plainArray(leaf.words, from * 2, to * 2);
    case "fixed":
      return out.copy(leaf.data.subarray(from * leaf.width, to * leaf.width));
    case "bytes":
      for (let at = from; at < to; at += 1) putByteArray(out, leaf.data, leaf.offsets, at);
  }
}

/** Appends the chosen values of the leaf as PLAIN: a dictionary page. */
export function putPlainChosen(out: PageBuffer, leaf: Leaf, chosen: Uint32Array): void {
  switch (leaf.kind) {
    case "boolean":
      return; // Never behind a dictionary: one bit a value is less.
    case "int32":
    case "float":
    case "double":
      return putChosen(out, leaf.values, leaf.values.BYTES_PER_ELEMENT, chosen);
    case "int64":
      return putChosen(out, leaf.words, 8, chosen);
    case "fixed":
      return putChosen(out, leaf.data, leaf.width, chosen);
    case "bytes":
      for (const at of chosen) putByteArray(out, leaf.data, leaf.offsets, at);
  }
}

/** Values of `width` bytes each. */
function putChosen(out: PageBuffer, values: ArrayBufferView, width: number, chosen: Uint32Array): void {
  const source = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  out.reserve(chosen.length * width);
  const bytes = out.bytes;
  let into = out.length;
  for (let index = 0; index < chosen.length; index += 1) {
    const start = (chosen[index] as number) * width;
    for (let at = start; at < start + width; at += 1, into += 1) bytes[into] = source[at] as number;
  }
  out.length = into;
}

function putBooleans(out: PageBuffer, values: Uint8Array, from: number, to: number): void {
  const start = out.length;
  const size = (to - from + 7) >>> 3;
  out.reserve(size);
  out.bytes.fill(0, start, start + size);
  for (let at = from; at < to; at += 1) {
    const bit = at - from;
    const byte = start + (bit >>> 3);
    out.bytes[byte] = (out.bytes[byte] as number) | ((values[at] as number) << (bit & 7));
  }
  out.length += size;
}

/** As in leaf.ts: a short copy is faster as a loop than as a call. */
const copyLoopBytesMax = 48;

function putByteArray(out: PageBuffer, data: Uint8Array, offsets: Uint32Array, index: number): void {
  const start = offsets[index] as number;
  const end = offsets[index + 1] as number;
  const size = end - start;
  out.reserve(4 + size);
  const bytes = out.bytes;
  let into = out.length;
  out.setUint32(into, size);
  into += 4;
  if (size > copyLoopBytesMax) bytes.set(data.subarray(start, end), into);
  else for (let at = start; at < end; at += 1, into += 1) bytes[into] = data[at] as number;
  out.length += 4 + size;
}
