/**
 * Reads Protobuf's wire format from borrowed bytes.
 *
 *   message   (tag value)*         tag = varint of number << 3 | wire
 *   wire      0 varint · 1 eight bytes · 2 length and bytes · 3 group up to its 4 · 5 four bytes
 */
import { BadRecord } from "./bad-record.ts";

export const wire = { varint: 0, fixed64: 1, length: 2, group: 3, groupEnd: 4, fixed32: 5 } as const;

/** protoc's own bound on how deep groups and messages nest. */
export const messageDepthMax = 100;

export class ProtobufReader {
  bytes: Uint8Array = new Uint8Array(0);
  /** Of the whole buffer: records of one batch share it, and a view costs more than reading a number. */
  #view = new DataView(this.bytes.buffer);
  #base = 0;
  at = 0;
  end = 0;
  /** Words of the varint or eight bytes that were read last. */
  low = 0;
  high = 0;

  constructor(bytes: Uint8Array, start: number) {
    this.reset(bytes, start);
  }

  /** Stands at `start` of the bytes, which are borrowed until the next reset. */
  reset(bytes: Uint8Array, start: number): void {
    this.bytes = bytes;
    this.at = start;
    this.end = bytes.length;
    this.#base = bytes.byteOffset;
    if (bytes.buffer !== this.#view.buffer) this.#view = new DataView(bytes.buffer);
  }

  /** A varint of up to 64 bits, into `low` and `high`. */
  readVarint(): void {
    const bytes = this.bytes;
    let at = this.at;
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (at >= this.end) tooShort();
      const byte = bytes[at] as number;
      at += 1;
      const part = byte & 0x7f;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        high = part >>> 4;
      } else high |= part << (shift - 32); // Beyond 64 bits it is cut, as every implementation does.
      if (byte < 128) break;
      if (shift === 63) throw new BadRecord("malformed", "a varint is longer than ten bytes");
    }
    this.at = at;
    this.low = low;
    this.high = high;
  }

  /** Tags and lengths: unsigned, of 32 bits at most. */
  readUint32(): number {
    const byte = this.at < this.end ? (this.bytes[this.at] as number) : tooShort();
    if (byte < 128) {
      this.at += 1;
      return byte;
    }
    this.readVarint();
    if (this.high !== 0) throw new BadRecord("malformed", "a tag or length is wider than 32 bits");
    return this.low >>> 0;
  }

  /** Passes a length and what it counts; gives the position of the first byte. */
  takeLength(): number {
    return this.take(this.readUint32());
  }

  readFixed64(): void {
    const start = this.#base + this.take(8);
    this.low = this.#view.getInt32(start, true);
    this.high = this.#view.getInt32(start + 4, true);
  }

  readFixed32(): number {
    return this.#view.getInt32(this.#base + this.take(4), true);
  }

  readFloat(): number {
    return this.#view.getFloat32(this.#base + this.take(4), true);
  }

  readDouble(): number {
    return this.#view.getFloat64(this.#base + this.take(8), true);
  }

  take(count: number): number {
    const start = this.at;
    if (count > this.end - start) tooShort();
    this.at = start + count;
    return start;
  }

  /** Passes one value. Of a group it returns where its content ends, else where the value does. */
  skip(kind: number, number: number, depth = 0): number {
    switch (kind) {
      case wire.varint:
        while (this.at < this.end && (this.bytes[this.at] as number) > 127) this.at += 1;
        this.take(1);
        return this.at;
      case wire.fixed64:
        this.take(8);
        return this.at;
      case wire.length:
        this.takeLength();
        return this.at;
      case wire.group:
        return this.#skipGroup(number, depth);
      case wire.fixed32:
        this.take(4);
        return this.at;
      default:
        throw new BadRecord("malformed", `no value is of wire type ${kind}`);
    }
  }

  #skipGroup(number: number, depth: number): number {
    if (depth > messageDepthMax) throw new BadRecord("malformed", `groups nest deeper than ${messageDepthMax}`);
    for (;;) {
      const end = this.at;
      const tag = this.readTag();
      if ((tag & 7) === wire.groupEnd) {
        if (tag >>> 3 !== number) throw new BadRecord("malformed", "a group is ended by another's number");
        return end;
      }
      this.skip(tag & 7, tag >>> 3, depth + 1);
    }
  }

  readTag(): number {
    const tag = this.readUint32();
    if (tag >>> 3 === 0) throw new BadRecord("malformed", "no field has number 0");
    return tag;
  }

  /** The eight bytes or varint that were read last, as a signed number. */
  get long(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0);
  }

  get unsigned(): bigint {
    return BigInt.asUintN(64, this.long);
  }

  /** Undoes zigzag on what was read last. */
  unzigzag(): void {
    const sign = -(this.low & 1);
    const low = ((this.low >>> 1) | (this.high << 31)) ^ sign;
    this.high = (this.high >>> 1) ^ sign;
    this.low = low;
  }
}

function tooShort(): never {
  throw new BadRecord("malformed", "the bytes end inside a value");
}
