/** Reads Avro's binary encoding from borrowed bytes. 64-bit integers come as two 32-bit words, so that no bigint is made. */
import { BadRecord } from "./bad-record.ts";

/** Reads one value at the cursor and writes it into columns at the repetition level. */
export type AvroPut = (cursor: Cursor, rep: number) => void;

/** Items of a record beyond one a byte: those that take none (null, an empty record) could be announced by the billion. */
const emptyItemsMax = 100_000;

export class Cursor {
  bytes: Uint8Array = new Uint8Array(0);
  /** Of the whole buffer: records of one batch share it, and a view costs more than reading a number. */
  #view = new DataView(this.bytes.buffer);
  #base = 0;
  at = 0;
  end = 0;
  /** Words of the integer that readLong read last. */
  low = 0;
  high = 0;
  #itemsLeft = 0;

  /** Stands at `start` of the bytes, which are borrowed until the next reset. */
  reset(bytes: Uint8Array, start: number): void {
    this.bytes = bytes;
    this.end = bytes.length;
    this.again(start);
    this.#base = bytes.byteOffset;
    if (bytes.buffer !== this.#view.buffer) this.#view = new DataView(bytes.buffer);
  }

  /** Stands at `start` of the same bytes, which may have been read before. */
  again(start: number): void {
    this.at = start;
    this.#itemsLeft = this.end - start + emptyItemsMax;
  }

  /** A zigzag varint of 64 bits, into `low` and `high`. */
  readLong(): void {
    const bytes = this.bytes;
    let at = this.at;
    let byte = at < this.end ? (bytes[at] as number) : tooShort();
    at += 1;
    let low = byte & 0x7f;
    let high = 0;
    let shift = 7;
    while (byte > 127) {
      byte = at < this.end ? (bytes[at] as number) : tooShort();
      at += 1;
      const part = byte & 0x7f;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        high = part >>> 4;
      } else if (shift < 63) high |= part << (shift - 32);
      else if (shift === 63 && part <= 1) high |= part << 31;
      else throw new BadRecord("malformed", "a varint is longer than 64 bits");
      shift += 7;
    }
    this.at = at;
    const sign = -(low & 1);
    this.low = ((low >>> 1) | (high << 31)) ^ sign;
    this.high = (high >>> 1) ^ sign;
  }

  /** A zigzag varint that must fit 32 bits. */
  readInt(): number {
    const at = this.at;
    // One byte is by far the most common: union branches, lengths, small numbers.
    if (at < this.end) {
      const byte = this.bytes[at] as number;
      if (byte < 128) {
        this.at = at + 1;
        return (byte >>> 1) ^ -(byte & 1);
      }
    }
    this.readLong();
    if (this.high !== this.low >> 31) throw new BadRecord("malformed", "an integer is wider than 32 bits");
    return this.low;
  }

  /** A length or count: not negative, and never more than the bytes that are left. */
  readLength(): number {
    const length = this.readInt();
    if (length < 0 || length > this.end - this.at) {
      throw new BadRecord("malformed", `length ${length} where ${this.end - this.at} bytes are left`);
    }
    return length;
  }

  /** Items in the next block of an array or map; 0 ends it. */
  readBlockCount(): number {
    this.readLong();
    if (this.high === 0 && this.low >= 0) return this.#checkedCount(this.low);
    const count = this.long < 0n ? -this.long : this.long;
    if (this.high < 0) this.readLong(); // The block's size in bytes, for readers that pass over it.
    return Number(this.#checkedCount(count));
  }

  #checkedCount<T extends number | bigint>(count: T): T {
    this.#itemsLeft -= Number(count);
    if (this.#itemsLeft < 0) {
      throw new BadRecord("malformed", `${count} items where ${this.end - this.at} bytes are left`);
    }
    return count;
  }

  readBoolean(): boolean {
    const byte = this.bytes[this.take(1)];
    if (byte !== 0 && byte !== 1) throw new BadRecord("malformed", `a boolean is ${byte}`);
    return byte === 1;
  }

  readFloat(): number {
    return this.#view.getFloat32(this.#base + this.take(4), true);
  }

  readDouble(): number {
    return this.#view.getFloat64(this.#base + this.take(8), true);
  }

  /** Passes `count` bytes and gives the position of the first. */
  take(count: number): number {
    const start = this.at;
    if (count > this.end - start) tooShort();
    this.at = start + count;
    return start;
  }

  /** The integer that readLong read last. */
  get long(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0);
  }
}

function tooShort(): never {
  throw new BadRecord("malformed", "the bytes end inside a value");
}
