/**
 * Sets of row numbers as Roaring bitmaps of 64 bits in their portable format (RoaringFormatSpec, "extension for 64-bit
 * implementations"), as deletion vectors hold them. All numbers are little-endian.
 *
 *   set         count u64 │ key u32, bitmap │ key u32, bitmap │ ...        keys ascend: the upper 32 bits of row numbers
 *
 *   bitmap      cookie u32 = 12346, count u32                              no container is of runs
 *               cookie u16 = 12347, count - 1 u16, bits: which are runs    else
 *               key u16, cardinality - 1 u16 │ ...                         one a container: bits 16 to 31, ascending
 *               offset u32 │ ...                                           with cookie 12347 only from 4 containers on
 *               container │ ...
 *
 *   container   array   value u16 │ ...                                    up to 4096 values, ascending
 *               bits    8192 bytes                                         more than that
 *               runs    count u16 │ first u16, length - 1 u16 │ ...        where that is shorter
 *
 * Here a set is its row numbers in ascending order. Pure.
 */
import { CorruptData } from "../../base/errors.ts";

const cookieWithoutRuns = 12_346;
const cookieWithRuns = 12_347;
/** From this many containers on, a bitmap with runs says where each begins. */
const offsetsMin = 4;
const arrayCardinalityMax = 4096;
const bitsBytes = 8192;
const bitmapRange = 2 ** 32;

/** Row numbers, ascending, none twice. */
export function encodeRows(rows: Float64Array): Uint8Array {
  const bitmaps = groupsBy(rows, bitmapRange).map(({ key, values }) => ({ key, bytes: encodeBitmap(values) }));
  const bytes = new Uint8Array(8 + bitmaps.reduce((sum, each) => sum + 4 + each.bytes.length, 0));
  const view = viewOf(bytes);
  view.setBigUint64(0, BigInt(bitmaps.length), true);
  let at = 8;
  for (const bitmap of bitmaps) {
    view.setUint32(at, bitmap.key, true);
    bytes.set(bitmap.bytes, at + 4);
    at += 4 + bitmap.bytes.length;
  }
  return bytes;
}

/** `rowsMax`: of the file that the rows are of; a set that names others, or says more than it can hold, is damaged. */
export function decodeRows(bytes: Uint8Array, source: string, rowsMax: number): Float64Array {
  return new RowsReader(bytes, source, rowsMax).read();
}

interface Group {
  readonly key: number;
  /** What is left of the values below the key. */
  readonly values: Float64Array;
}

function groupsBy(values: Float64Array, range: number): readonly Group[] {
  const groups: Group[] = [];
  for (let from = 0; from < values.length; ) {
    const key = Math.floor((values[from] as number) / range);
    let to = from + 1;
    while (to < values.length && (values[to] as number) < (key + 1) * range) to += 1;
    groups.push({ key, values: values.subarray(from, to).map((value) => value - key * range) });
    from = to;
  }
  return groups;
}

interface Container {
  readonly key: number;
  readonly cardinality: number;
  readonly isRuns: boolean;
  readonly bytes: Uint8Array;
}

function encodeBitmap(values: Float64Array): Uint8Array {
  const containers = groupsBy(values, 2 ** 16).map(encodeContainer);
  const hasRuns = containers.some(({ isRuns }) => isRuns);
  const flagBytes = hasRuns ? Math.ceil(containers.length / 8) : 4;
  const hasOffsets = !hasRuns || containers.length >= offsetsMin;
  const head = 4 + flagBytes + containers.length * (hasOffsets ? 8 : 4);
  const bytes = new Uint8Array(head + containers.reduce((sum, each) => sum + each.bytes.length, 0));
  const view = viewOf(bytes);
  view.setUint32(0, hasRuns ? cookieWithRuns + (containers.length - 1) * 2 ** 16 : cookieWithoutRuns, true);
  if (!hasRuns) view.setUint32(4, containers.length, true);
  const [keysAt, offsetsAt] = [4 + flagBytes, 4 + flagBytes + containers.length * 4];
  let at = head;
  for (const [index, container] of containers.entries()) {
    if (container.isRuns) bytes[4 + (index >> 3)] = (bytes[4 + (index >> 3)] as number) | (1 << (index & 7));
    view.setUint16(keysAt + index * 4, container.key, true);
    view.setUint16(keysAt + index * 4 + 2, container.cardinality - 1, true);
    if (hasOffsets) view.setUint32(offsetsAt + index * 4, at, true);
    bytes.set(container.bytes, at);
    at += container.bytes.length;
  }
  return bytes;
}

function encodeContainer({ key, values }: Group): Container {
  const isArray = values.length <= arrayCardinalityMax;
  const plainBytes = isArray ? values.length * 2 : bitsBytes;
  const runs = runsOf(values);
  const isRuns = 2 + runs.length * 4 < plainBytes;
  const bytes = new Uint8Array(isRuns ? 2 + runs.length * 4 : plainBytes);
  const view = viewOf(bytes);
  if (isRuns) {
    view.setUint16(0, runs.length, true);
    for (const [index, { first, length }] of runs.entries()) {
      view.setUint16(2 + index * 4, first, true);
      view.setUint16(4 + index * 4, length - 1, true);
    }
  } else if (isArray) {
    for (const [index, value] of values.entries()) view.setUint16(index * 2, value, true);
  } else {
    for (const value of values) bytes[value >> 3] = (bytes[value >> 3] as number) | (1 << (value & 7));
  }
  return { key, cardinality: values.length, isRuns, bytes };
}

function runsOf(values: Float64Array): readonly { readonly first: number; length: number }[] {
  const runs: { readonly first: number; length: number }[] = [];
  for (const value of values) {
    const run = runs.at(-1);
    if (run !== undefined && run.first + run.length === value) run.length += 1;
    else runs.push({ first: value, length: 1 });
  }
  return runs;
}

class RowsReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #source: string;
  readonly #rowsMax: number;
  readonly #chunks: Float64Array[] = [];
  #count = 0;
  #last = -1;
  #at = 0;

  constructor(bytes: Uint8Array, source: string, rowsMax: number) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#source = source;
    this.#rowsMax = rowsMax;
  }

  read(): Float64Array {
    this.#need(8);
    const bitmaps = this.#view.getBigUint64(0, true);
    this.#at = 8;
    // The loop ends where the bytes do: a bitmap takes some, whatever their number claims to be.
    for (let index = 0n; index < bitmaps; index += 1n) {
      const key = this.#u32();
      this.#bitmap(key * bitmapRange);
    }
    if (this.#at !== this.#bytes.length) throw this.#corrupt("the end of the set", `${this.#bytes.length} bytes`);
    const rows = new Float64Array(this.#count);
    let at = 0;
    for (const chunk of this.#chunks) {
      rows.set(chunk, at);
      at += chunk.length;
    }
    return rows;
  }

  #bitmap(base: number): void {
    const cookie = this.#u32();
    const hasRuns = (cookie & 0xffff) === cookieWithRuns;
    if (!hasRuns && cookie !== cookieWithoutRuns) throw this.#corrupt("a Roaring bitmap", `cookie ${cookie}`);
    const count = hasRuns ? (cookie >>> 16) + 1 : this.#u32();
    const flagsAt = this.#at;
    if (hasRuns) this.#skip(Math.ceil(count / 8));
    const keysAt = this.#at;
    // Offsets are for readers that jump: containers stand one after another.
    this.#skip(count * (!hasRuns || count >= offsetsMin ? 8 : 4));
    for (let index = 0; index < count; index += 1) {
      const key = this.#view.getUint16(keysAt + index * 4, true);
      const cardinality = this.#view.getUint16(keysAt + index * 4 + 2, true) + 1;
      const isRuns = hasRuns && ((this.#bytes[flagsAt + (index >> 3)] as number) & (1 << (index & 7))) !== 0;
      if (this.#count + cardinality > this.#rowsMax) throw this.#corrupt(`${this.#rowsMax} rows at most`, "more");
      const chunk = new Float64Array(cardinality);
      const filled = isRuns ? this.#runs(chunk) : this.#plain(chunk);
      if (filled !== cardinality) throw this.#corrupt(`${cardinality} rows`, String(filled));
      this.#keep(chunk, base + key * 2 ** 16);
    }
  }

  #keep(chunk: Float64Array, base: number): void {
    for (let index = 0; index < chunk.length; index += 1) {
      const row = base + (chunk[index] as number);
      if (row <= this.#last || row >= this.#rowsMax)
        throw this.#corrupt(`rows in order below ${this.#rowsMax}`, `${row}`);
      chunk[index] = row;
      this.#last = row;
    }
    this.#chunks.push(chunk);
    this.#count += chunk.length;
  }

  #plain(chunk: Float64Array): number {
    const from = this.#at;
    if (chunk.length <= arrayCardinalityMax) {
      this.#skip(chunk.length * 2);
      for (let index = 0; index < chunk.length; index += 1) chunk[index] = this.#view.getUint16(from + index * 2, true);
      return chunk.length;
    }
    this.#skip(bitsBytes);
    let filled = 0;
    for (let value = 0; value < bitsBytes * 8; value += 1) {
      if (((this.#bytes[from + (value >> 3)] as number) & (1 << (value & 7))) === 0) continue;
      if (filled < chunk.length) chunk[filled] = value;
      filled += 1;
    }
    return filled;
  }

  #runs(chunk: Float64Array): number {
    const count = this.#u16();
    const from = this.#at;
    this.#skip(count * 4);
    let filled = 0;
    for (let index = 0; index < count; index += 1) {
      const first = this.#view.getUint16(from + index * 4, true);
      const length = this.#view.getUint16(from + index * 4 + 2, true) + 1;
      if (filled + length > chunk.length) return filled + length;
      for (let value = first; value < first + length; value += 1) {
        chunk[filled] = value;
        filled += 1;
      }
    }
    return filled;
  }

  #u16(): number {
    const at = this.#at;
    this.#skip(2);
    return this.#view.getUint16(at, true);
  }

  #u32(): number {
    const at = this.#at;
    this.#skip(4);
    return this.#view.getUint32(at, true);
  }

  #skip(bytes: number): void {
    this.#need(bytes);
    this.#at += bytes;
  }

  #need(bytes: number): void {
    const left = this.#bytes.length - this.#at;
    if (left < bytes) throw this.#corrupt(`${bytes} bytes`, `${left}`);
  }

  #corrupt(expected: string, found: string): CorruptData {
    return new CorruptData({ source: this.#source, position: this.#at, expected, found });
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
