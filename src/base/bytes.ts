/** Big-endian reading and writing over Uint8Array, in the shapes that Kafka's protocol and our own formats use. */
import { assert, CorruptData } from "./errors.ts";
import { type Uuid, uuidFromBytes, writeUuid } from "./ids.ts";

const twoTo32 = 2 ** 32;

export interface ReaderOptions {
  /** Named in CorruptData: where the bytes came from. */
  readonly source: string;
  /** Array elements that may be read in all. A byte on the wire can become an object of a hundred in memory. */
  readonly elementsMax?: number;
}

const elementsMaxByDefault = 1_000_000;

/** Reads forward over borrowed bytes. Views it returns share their memory. Every overrun throws CorruptData. */
export class ByteReader {
  position = 0;
  readonly length: number;
  readonly #view: DataView;
  readonly #bytes: Buffer;
  readonly #source: string;
  #elementsLeft: number;

  constructor(bytes: Uint8Array, options: ReaderOptions) {
    this.length = bytes.length;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#source = options.source;
    this.#elementsLeft = options.elementsMax ?? elementsMaxByDefault;
  }

  get remaining(): number {
    return this.length - this.position;
  }

  /** Kafka's own reader takes every byte but 0 for true. */
  boolean(): boolean {
    return this.uint8() !== 0;
  }

  int8(): number {
    return this.#view.getInt8(this.#advance(1));
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  int16(): number {
    return this.#view.getInt16(this.#advance(2));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4));
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  /** A value beyond ±2^53 is corrupt: nothing that we count reaches it. */
  int64(): number {
    const value = this.#int64Rounded();
    if (!Number.isSafeInteger(value)) this.corrupt("an integer below 2^53", "a larger one");
    return value;
  }

  /** For legal values that may lie beyond 2^53 but mean "as far as it goes": they become the nearest safe integer. */
  int64Clamped(): number {
    const value = this.#int64Rounded();
    return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value));
  }

  int64Big(): bigint {
    return this.#view.getBigInt64(this.#advance(8));
  }

  float64(): number {
    return this.#view.getFloat64(this.#advance(8));
  }

  uuid(): Uuid {
    const at = this.#advance(16);
    return uuidFromBytes(this.#bytes.subarray(at, at + 16));
  }

  /** LEB128 of at most 32 bits. */
  uvarint(): number {
    let value = 0;
    let scale = 1; // Multiplied, since `2 ** n` calls the C library where n is not constant.
    for (let count = 0; count < 5; count += 1) {
      const byte = this.uint8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) {
        if (value >= twoTo32) break;
        return value;
      }
    }
    return this.corrupt("a varint of 32 bits", "a longer one");
  }

  /** Zigzag, 32 bits. */
  varint(): number {
    const raw = this.uvarint();
    return (raw >>> 1) ^ -(raw & 1);
  }

  /** Zigzag, 64 bits on the wire, beyond ±2^53 corrupt. */
  varlong(): number {
    const value = this.varlongRounded();
    if (!Number.isSafeInteger(value)) this.corrupt("a varlong below 2^53", "a larger one");
    return value;
  }

  /** Zigzag, 64 bits; beyond ±2^53 the nearest number, so that the caller can refuse the value and go on reading. */
  varlongRounded(): number {
    const first = this.uint8();
    let value = (first & 0x7e) / 2;
    let scale = 64;
    let byte = first;
    for (let count = 1; byte >= 0x80; count += 1) {
      if (count === 10) return this.corrupt("a varint of 64 bits", "a longer one");
      byte = this.uint8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
    }
    return (first & 1) === 1 ? -value - 1 : value;
  }

  /** A view, not a copy. */
  view(length: number): Uint8Array {
    const at = this.#advance(length);
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, length);
  }

  /** UTF-8; what is not, becomes U+FFFD, as with every Kafka client. */
  utf8(length: number): string {
    const at = this.#advance(length);
    return length === 0 ? "" : this.#bytes.toString("utf8", at, at + length);
  }

  skip(length: number): void {
    this.#advance(length);
  }

  /**
   * Accepts an announced number of elements of at least `bytesMin` bytes each, or throws. Bounded twice: by what is left to
   * read, and by what this reader may allocate in all.
   */
  admit(count: number, bytesMin: number): void {
    if (count * bytesMin > this.remaining) this.corrupt(`at most ${this.remaining} bytes`, `${count} elements`);
    if (count > this.#elementsLeft) this.corrupt(`at most ${this.#elementsLeft} more elements`, `${count}`);
    this.#elementsLeft -= count;
  }

  corrupt(expected: string, found: string): never {
    throw new CorruptData({ source: this.#source, position: this.position, expected, found });
  }

  #advance(length: number): number {
    const at = this.position;
    if (length < 0 || length > this.length - at) this.corrupt(`${length} more bytes`, `${this.length - at}`);
    this.position = at + length;
    return at;
  }

  #int64Rounded(): number {
    const at = this.#advance(8);
    return this.#view.getInt32(at) * twoTo32 + this.#view.getUint32(at + 4);
  }
}

/** Views from this size on are passed by reference instead of being copied between small fields. */
const referencedBytesMin = 512;

/** Collects a list of views: small fields in chunks of its own, large byte strings by reference (no copy). */
export class ByteWriter {
  length = 0;
  readonly #done: Uint8Array[] = [];
  #chunk: Buffer;
  #view: DataView;
  /** Bytes of the chunk before this are in #done already. */
  #from = 0;
  #at = 0;

  constructor(bytesExpected = 256) {
    this.#chunk = Buffer.allocUnsafe(Math.max(16, bytesExpected));
    this.#view = viewOf(this.#chunk);
  }

  boolean(value: boolean): void {
    this.uint8(value ? 1 : 0);
  }

  int8(value: number): void {
    assert((value << 24) >> 24 === value, "not an int8");
    const at = this.#advance(1);
    this.#view.setInt8(at, value);
  }

  uint8(value: number): void {
    assert((value & 0xff) === value, "not a uint8");
    const at = this.#advance(1);
    this.#view.setUint8(at, value);
  }

  int16(value: number): void {
    assert((value << 16) >> 16 === value, "not an int16");
    const at = this.#advance(2);
    this.#view.setInt16(at, value);
  }

  uint16(value: number): void {
    assert((value & 0xffff) === value, "not a uint16");
    const at = this.#advance(2);
    this.#view.setUint16(at, value);
  }

  int32(value: number): void {
    assert((value | 0) === value, "not an int32");
    const at = this.#advance(4);
    this.#view.setInt32(at, value);
  }

  uint32(value: number): void {
    assert(value >>> 0 === value, "not a uint32");
    const at = this.#advance(4);
    this.#view.setUint32(at, value);
  }

  int64(value: number): void {
    assert(Number.isSafeInteger(value), "not a safe integer");
    const at = this.#advance(8);
    this.#view.setInt32(at, Math.floor(value / twoTo32));
    this.#view.setUint32(at + 4, value >>> 0); // ToUint32 takes the low 32 bits of any safe integer, negative ones too.
  }

  int64Big(value: bigint): void {
    assert(BigInt.asIntN(64, value) === value, "not an int64");
    const at = this.#advance(8);
    this.#view.setBigInt64(at, value);
  }

  float64(value: number): void {
    const at = this.#advance(8);
    this.#view.setFloat64(at, value);
  }

  uuid(value: Uuid): void {
    const at = this.#advance(16);
    writeUuid(value, this.#chunk, at);
  }

  uvarint(value: number): void {
    assert(value >>> 0 === value, "not a uint32");
    let left = value;
    while (left >= 0x80) {
      const at = this.#advance(1);
      this.#view.setUint8(at, (left & 0x7f) | 0x80);
      left >>>= 7;
    }
    const at = this.#advance(1);
    this.#view.setUint8(at, left);
  }

  varint(value: number): void {
    assert((value | 0) === value, "not an int32");
    this.uvarint(((value << 1) ^ (value >> 31)) >>> 0);
  }

  varlong(value: number): void {
    assert(Number.isSafeInteger(value), "not a safe integer");
    // Zigzag needs 54 bits: the first byte takes the sign and 6 bits, the rest is safe again.
    let left = value < 0 ? -value - 1 : value;
    const first = (left % 64) * 2 + (value < 0 ? 1 : 0);
    left = Math.floor(left / 64);
    this.uint8(left > 0 ? first | 0x80 : first);
    while (left > 0) {
      const low = left % 128;
      left = Math.floor(left / 128);
      this.uint8(left > 0 ? low | 0x80 : low);
    }
  }

  /** Large bytes are kept by reference until the views of `finish` have been used: the caller must not change them before. */
  bytes(bytes: Uint8Array): void {
    if (bytes.length < referencedBytesMin) {
      const at = this.#advance(bytes.length);
      this.#chunk.set(bytes, at);
      return;
    }
    this.#cut();
    this.#done.push(bytes);
    this.length += bytes.length;
  }

  /** UTF-8 without a length. Its length is what utf8Length says. */
  utf8(text: string, length: number): void {
    if (length > 0) {
      const at = this.#advance(length);
      this.#chunk.write(text, at, length, "utf8");
    }
  }

  /** Everything that another writer holds. */
  append(other: ByteWriter): void {
    for (const view of other.finish()) this.bytes(view);
  }

  /** Overwrites four bytes near the start, for a length that is known at the end. */
  patchInt32(position: number, value: number): void {
    const first = this.#done[0] ?? this.#chunk.subarray(0, this.#at);
    assert(position + 4 <= first.length, "only the first chunk can be patched");
    viewOf(first).setInt32(position, value);
  }

  /** The views written so far, in order. */
  finish(): readonly Uint8Array[] {
    this.#cut();
    return this.#done;
  }

  /** Everything in one piece: a view when it is one already, else joined. */
  toBytes(): Uint8Array {
    const views = this.finish();
    return views.length === 1 ? (views[0] as Uint8Array) : joined(views, this.length);
  }

  /** Makes room and returns where. May change the chunk: call it before looking at #chunk or #view. */
  #advance(length: number): number {
    if (this.#at + length > this.#chunk.length) {
      this.#cut();
      this.#chunk = Buffer.allocUnsafe(Math.max(length, Math.min(2 * this.#chunk.length, 65_536)));
      this.#view = viewOf(this.#chunk);
      this.#from = 0;
      this.#at = 0;
    }
    const at = this.#at;
    this.#at = at + length;
    this.length += length;
    return at;
  }

  #cut(): void {
    if (this.#at > this.#from) this.#done.push(this.#chunk.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }
}

/** What `varlong` takes for the value. */
export function varlongBytes(value: number): number {
  let left = Math.floor((value < 0 ? -value - 1 : value) / 64);
  let bytes = 1;
  for (; left > 0; left = Math.floor(left / 128)) bytes += 1;
  return bytes;
}

export function utf8Length(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

/** A byte order mark at the beginning is a character like any other: without it the text would be another value. */
export function utf8Text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/**
 * As `target.set(source, at)`. Where one of them is shared memory, as slabs are, V8 copies word by word, or byte by byte when the two
 * lie differently to words: 3 GiB/s, not 70. Buffer's copy of a part of the source is the C library's.
 */
export function copyInto(target: Uint8Array, at: number, source: Uint8Array): void {
  if (source.length === 0) return;
  assert(at + source.length <= target.length, "no room for the copy");
  target[at] = source[0] as number;
  Buffer.prototype.copy.call(source, target, at + 1, 1);
}

/** One copy of all views, in order. */
export function joined(views: readonly Uint8Array[], length = bytesOf(views)): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const view of views) {
    copyInto(whole, at, view);
    at += view.length;
  }
  return whole;
}

export function bytesOf(views: readonly Uint8Array[]): number {
  let length = 0;
  for (const view of views) length += view.length;
  return length;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The same bytes in fewer views: those that lie one after another in memory become one. */
export function* joinNeighbours(views: Iterable<Uint8Array>): Iterable<Uint8Array> {
  let joined: Uint8Array | undefined;
  for (const view of views) {
    if (
      joined !== undefined &&
      joined.buffer === view.buffer &&
      joined.byteOffset + joined.length === view.byteOffset
    ) {
      joined = new Uint8Array(view.buffer, joined.byteOffset, joined.length + view.length);
      continue;
    }
    if (joined !== undefined) yield joined;
    joined = view;
  }
  if (joined !== undefined) yield joined;
}
