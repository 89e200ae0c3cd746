/**
 * One primitive column of a table, nested or not, as Dremel shreds it: a level pair for every slot, and the values that
 * are there, densely, as Parquet's PLAIN encoding wants them.
 *
 *   rows        [a, b]   null   []   [null, c]
 *   reps         0  1     0      0    0    1      0 starts a row
 *   defs         3  3     0      1    2    3      maxDef where a value is
 *   values       a  b                      c
 *
 * A column outside every list has one slot a row. Nothing here checks values: a put that starts also ends, so a row that
 * fails halfway is taken back by cutting all leaves to where the row began.
 */
import { isUtf8 } from "node:buffer";
import { type Layout, layoutOf } from "../iceberg/primitive.ts";
import type { PrimitiveType } from "../iceberg/types.ts";

export interface LeafShape {
  /** Iceberg field id; for a list's element or a map's key and value, theirs. */
  readonly id: number;
  /** Names from the top, as Parquet's path_in_schema. */
  readonly path: readonly string[];
  readonly type: PrimitiveType;
  readonly maxDef: number;
  readonly maxRep: number;
}

export type Leaf = BooleanLeaf | Int32Leaf | Int64Leaf | FloatLeaf | DoubleLeaf | BytesLeaf | FixedLeaf;

export function makeLeaf(shape: LeafShape): Leaf {
  const layout: Layout = layoutOf(shape.type);
  switch (layout.kind) {
    case "boolean":
      return new BooleanLeaf(shape);
    case "int32":
      return new Int32Leaf(shape);
    case "int64":
      return new Int64Leaf(shape);
    case "float":
      return new FloatLeaf(shape);
    case "double":
      return new DoubleLeaf(shape);
    case "bytes":
      return new BytesLeaf(shape);
    case "fixed":
      return new FixedLeaf(shape, layout.width);
  }
}

/** Small, because a wide table may have many partitions open, each with leaves of its own. */
const slotsMin = 64;

/** A class of its own and not a base of the leaves: code that is the same for all kinds of them then meets one kind of object. */
export class Levels {
  readonly maxDef: number;
  readonly maxRep: number;
  /** Valid in [0, slots). All 0 when maxDef is 0. */
  defs: Uint8Array = new Uint8Array(slotsMin);
  /** Valid in [0, slots) when maxRep is above 0, else empty. */
  reps: Uint8Array;
  slots = 0;
  /** Values that are there: slots whose def is maxDef. */
  count = 0;

  constructor({ maxDef, maxRep }: LeafShape) {
    this.maxDef = maxDef;
    this.maxRep = maxRep;
    this.reps = new Uint8Array(maxRep > 0 ? slotsMin : 0);
  }

  /** A slot without a value: `def` says which ancestor is missing or empty. */
  none(rep: number, def: number): void {
    const at = this.slots;
    if (at === this.defs.length) this.#grow();
    this.defs[at] = def;
    if (this.maxRep > 0) this.reps[at] = rep;
    this.slots = at + 1;
  }

  /** The slot of a value that is there; gives its index among the values. */
  some(rep: number): number {
    this.none(rep, this.maxDef);
    const index = this.count;
    this.count = index + 1;
    return index;
  }

  /** Forgets all slots from `slots` on, and their values. */
  cut(slots: number): void {
    for (let at = slots; at < this.slots; at += 1) if (this.defs[at] === this.maxDef) this.count -= 1;
    if (slots < this.slots) this.slots = slots;
  }

  clear(): void {
    this.slots = 0;
    this.count = 0;
  }

  #grow(): void {
    this.defs = grown(this.defs, this.defs.length * 2);
    if (this.maxRep > 0) this.reps = grown(this.reps, this.reps.length * 2);
  }
}

abstract class LeafCommon {
  readonly shape: LeafShape;
  readonly levels: Levels;

  constructor(shape: LeafShape) {
    this.shape = shape;
    this.levels = new Levels(shape);
  }

  get maxDef(): number {
    return this.levels.maxDef;
  }
  get maxRep(): number {
    return this.levels.maxRep;
  }
  get defs(): Uint8Array {
    return this.levels.defs;
  }
  get reps(): Uint8Array {
    return this.levels.reps;
  }
  get slots(): number {
    return this.levels.slots;
  }
  get count(): number {
    return this.levels.count;
  }
}

export class BooleanLeaf extends LeafCommon {
  readonly kind = "boolean";
  /** 0 or 1. */
  values = new Uint8Array(slotsMin);

  put(rep: number, value: boolean): void {
    const at = this.levels.some(rep);
    if (at === this.values.length) this.values = grown(this.values, at * 2);
    this.values[at] = value ? 1 : 0;
  }
  copy(from: BooleanLeaf, index: number, rep: number): void {
    this.put(rep, from.values[index] === 1);
  }
  get bytes(): number {
    return this.count + this.slots;
  }
}

export class Int32Leaf extends LeafCommon {
  readonly kind = "int32";
  values = new Int32Array(slotsMin);

  put(rep: number, value: number): void {
    const at = this.levels.some(rep);
    if (at === this.values.length) this.values = grown(this.values, at * 2);
    this.values[at] = value;
  }
  copy(from: Int32Leaf, index: number, rep: number): void {
    this.put(rep, from.values[index] as number);
  }
  get bytes(): number {
    return this.count * 4 + this.slots;
  }
}

/** 64-bit integers as two words each, low word first: no bigint is made, and the memory is what PLAIN wants. */
export class Int64Leaf extends LeafCommon {
  readonly kind = "int64";
  words = new Int32Array(slotsMin * 2);

  put(rep: number, low: number, high: number): void {
    const at = this.levels.some(rep) * 2;
    if (at === this.words.length) this.words = grown(this.words, at * 2);
    this.words[at] = low;
    this.words[at + 1] = high;
  }
  /** An integer within ±2^53. */
  putNumber(rep: number, value: number): void {
    this.put(rep, value | 0, Math.floor(value / 4294967296) | 0);
  }
  putBigInt(rep: number, value: bigint): void {
    this.put(rep, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }
  at(index: number): bigint {
    const low = BigInt((this.words[index * 2] as number) >>> 0);
    return (BigInt(this.words[index * 2 + 1] as number) << 32n) | low;
  }
  copy(from: Int64Leaf, index: number, rep: number): void {
    this.put(rep, from.words[index * 2] as number, from.words[index * 2 + 1] as number);
  }
  get bytes(): number {
    return this.count * 8 + this.slots;
  }
}

export class FloatLeaf extends LeafCommon {
  readonly kind = "float";
  values = new Float32Array(slotsMin);
  /** The same memory: a NaN keeps its payload only as bits. */
  bits = new Int32Array(this.values.buffer);

  put(rep: number, value: number): void {
    const at = this.levels.some(rep);
    if (at === this.values.length) this.#grow();
    this.values[at] = value;
  }
  putBits(rep: number, bits: number): void {
    const at = this.levels.some(rep);
    if (at === this.values.length) this.#grow();
    this.bits[at] = bits;
  }
  copy(from: FloatLeaf, index: number, rep: number): void {
    this.putBits(rep, from.bits[index] as number);
  }
  get bytes(): number {
    return this.count * 4 + this.slots;
  }

  #grow(): void {
    this.values = grown(this.values, this.values.length * 2);
    this.bits = new Int32Array(this.values.buffer);
  }
}

export class DoubleLeaf extends LeafCommon {
  readonly kind = "double";
  values = new Float64Array(slotsMin);
  /** The same memory in words, low word first: a NaN keeps its payload only as bits. */
  bits = new Int32Array(this.values.buffer);

  put(rep: number, value: number): void {
    const at = this.levels.some(rep);
    if (at === this.values.length) this.#grow();
    this.values[at] = value;
  }
  putBits(rep: number, low: number, high: number): void {
    const at = this.levels.some(rep);
    if (at === this.values.length) this.#grow();
    this.bits[at * 2] = low;
    this.bits[at * 2 + 1] = high;
  }
  copy(from: DoubleLeaf, index: number, rep: number): void {
    this.putBits(rep, from.bits[index * 2] as number, from.bits[index * 2 + 1] as number);
  }
  get bytes(): number {
    return this.count * 8 + this.slots;
  }

  #grow(): void {
    this.values = grown(this.values, this.values.length * 2);
    this.bits = new Int32Array(this.values.buffer);
  }
}

/** Below this a loop beats a call into the runtime, which costs as much as copying some fifty bytes. */
const copyLoopBytesMax = 48;

/** string and binary. Value i is data[offsets[i], offsets[i + 1]). */
export class BytesLeaf extends LeafCommon {
  readonly kind = "bytes";
  offsets = new Uint32Array(slotsMin + 1);
  data: Uint8Array = new Uint8Array(slotsMin * 8);

  /** Copies source[start, end). */
  put(rep: number, source: Uint8Array, start: number, end: number): void {
    const from = this.#begin(end - start);
    if (end - start <= copyLoopBytesMax) {
      const data = this.data;
      for (let at = start, into = from; at < end; at += 1, into += 1) data[into] = source[at] as number;
    } else {
      this.data.set(source.subarray(start, end), from);
    }
    this.#end(rep, from + end - start);
  }
  /** As put, in one pass over short texts. False for what is not UTF-8, of which nothing is put. */
  putText(rep: number, source: Uint8Array, start: number, end: number): boolean {
    if (end - start > copyLoopBytesMax) {
      if (!isUtf8(source.subarray(start, end))) return false;
      this.put(rep, source, start, end);
      return true;
    }
    const from = this.#begin(end - start);
    const data = this.data;
    let seen = 0;
    for (let at = start, into = from; at < end; at += 1, into += 1) {
      const byte = source[at] as number;
      data[into] = byte;
      seen |= byte;
    }
    if (seen > 127 && !isUtf8(source.subarray(start, end))) return false;
    this.#end(rep, from + end - start);
    return true;
  }
  putString(rep: number, text: string): void {
    const room = text.length * 3; // A UTF-16 unit becomes three bytes of UTF-8 at most.
    const from = this.#begin(room);
    const written = this.#putAscii(from, text) ?? utf8.encodeInto(text, this.data.subarray(from, from + room)).written;
    this.#end(rep, from + written);
  }
  /** Where the next value's bytes go, of which there is room for `room`. */
  #begin(room: number): number {
    const from = this.offsets[this.levels.count] as number;
    if (from + room > this.data.length) this.data = grown(this.data, Math.max(from + room, this.data.length * 2));
    return from;
  }
  /** The value whose bytes have been written ends at `to`. */
  #end(rep: number, to: number): void {
    const next = this.levels.some(rep) + 1;
    if (next === this.offsets.length) this.offsets = grown(this.offsets, next * 2);
    this.offsets[next] = to;
  }
  /** Its length, of a short text that is ASCII; others are left to the encoder. */
  #putAscii(from: number, text: string): number | undefined {
    if (text.length > copyLoopBytesMax) return undefined;
    const data = this.data;
    for (let at = 0; at < text.length; at += 1) {
      const unit = text.charCodeAt(at);
      if (unit >= 128) return undefined;
      data[from + at] = unit;
    }
    return text.length;
  }
  /** A view; do not keep it. */
  at(index: number): Uint8Array {
    return this.data.subarray(this.offsets[index], this.offsets[index + 1]);
  }
  copy(from: BytesLeaf, index: number, rep: number): void {
    this.put(rep, from.data, from.offsets[index] as number, from.offsets[index + 1] as number);
  }
  get bytes(): number {
    return (this.offsets[this.count] as number) + this.count * 4 + this.slots;
  }
}

/** fixed, uuid and decimals beyond 18 digits: `width` bytes a value, big-endian where it is a number. */
export class FixedLeaf extends LeafCommon {
  readonly kind = "fixed";
  readonly width: number;
  data: Uint8Array;

  constructor(shape: LeafShape, width: number) {
    super(shape);
    this.width = width;
    this.data = new Uint8Array(slotsMin * width);
  }

  /** Copies `width` bytes from source[start]. */
  put(rep: number, source: Uint8Array, start: number): void {
    const from = this.levels.some(rep) * this.width;
    if (from + this.width > this.data.length) this.data = grown(this.data, this.data.length * 2);
    for (let at = 0; at < this.width; at += 1) this.data[from + at] = source[start + at] as number;
  }
  /** A view; do not keep it. */
  at(index: number): Uint8Array {
    return this.data.subarray(index * this.width, (index + 1) * this.width);
  }
  copy(from: FixedLeaf, index: number, rep: number): void {
    this.put(rep, from.data, index * this.width);
  }
  get bytes(): number {
    return this.count * this.width + this.slots;
  }
}

const utf8 = new TextEncoder();

type Growable = Uint8Array | Uint32Array | Int32Array | Float32Array | Float64Array;

function grown<T extends Growable>(array: T, length: number): T {
  const larger = new (array.constructor as new (length: number) => T)(length);
  larger.set(array);
  return larger;
}
