/**
 * Ranges of one stream as bytes, each told by how it differs from the one before it; in memory (range-cells.ts) and in checkpoints.
 *
 *   | from - the end before, signed | to - from | bytes | maxTimestamp, signed | epoch, signed | object, signed |
 *                                                        ╰── less that of the one before; of the first, all of it ──╯
 *
 *   unsigned   LEB128, so 7 bits a byte, lowest first
 *   signed     | more 1 | magnitude, lowest 6 bits | is negative 1 |, then the rest of the magnitude as unsigned when there is more
 */
import type { Offset } from "../base/ids.ts";

export interface RangeRow {
  readonly from: Offset;
  readonly to: Offset;
  readonly bytes: number;
  /** At least -1, so that two of them differ by less than 2^53 + 1, which a number holds. */
  readonly maxTimestamp: number;
  readonly epoch: number;
  /** Its row in the table of objects, or in a checkpoint its place among the objects. */
  readonly object: number;
}

/** Of six numbers below 2^53. */
export const packedRangeBytesMax = 6 * 8;

/** Apart from the reader that holds it, which goes on. */
export function copyRange({ from, to, bytes, maxTimestamp, epoch, object }: RangeRow): RangeRow {
  return { from, to, bytes, maxTimestamp, epoch, object };
}

/** Packs row after row, each against the one before. */
export class RangePacker {
  #to = 0 as Offset;
  #maxTimestamp = 0;
  #epoch = 0;
  #object = 0;

  /** Where the last row ended, or the first is known to begin. */
  get to(): Offset {
    return this.#to;
  }

  begin(from: Offset): void {
    this.#to = from;
    this.#maxTimestamp = 0;
    this.#epoch = 0;
    this.#object = 0;
  }

  /** The row was packed before: the next one follows it. */
  follow({ to, maxTimestamp, epoch }: Omit<RangeRow, "object">, object: number): void {
    this.#to = to;
    this.#maxTimestamp = maxTimestamp;
    this.#epoch = epoch;
    this.#object = object;
  }

  /** Returns where the row ends. It names this object, whatever its own says. */
  pack(into: Uint8Array, start: number, row: Omit<RangeRow, "object">, object: number): number {
    let at = packSigned(into, start, row.from - this.#to);
    at = packUnsigned(into, at, row.to - row.from);
    at = packUnsigned(into, at, row.bytes);
    at = packSigned(into, at, row.maxTimestamp - this.#maxTimestamp);
    at = packSigned(into, at, row.epoch - this.#epoch);
    at = packSigned(into, at, object - this.#object);
    this.follow(row, object);
    return at;
  }
}

/** Reads row after row, of bytes that hold them or, past their end, of zeros. Its fields are those of the row read last. */
export class RangeReader implements RangeRow {
  from = 0 as Offset;
  to = 0 as Offset;
  bytes = 0;
  maxTimestamp = 0;
  epoch = 0;
  object = 0;
  /** Where the next row begins. */
  at = 0;
  #packed: Uint8Array = noBytes;

  begin(packed: Uint8Array, at: number, from: Offset): void {
    this.#packed = packed;
    this.at = at;
    this.to = from;
    this.maxTimestamp = 0;
    this.epoch = 0;
    this.object = 0;
  }

  read(): void {
    this.from = (this.to + this.#signed()) as Offset;
    this.to = (this.from + this.#unsigned()) as Offset;
    this.bytes = this.#unsigned();
    this.maxTimestamp += this.#signed();
    this.epoch += this.#signed();
    this.object += this.#signed();
  }

  #byte(): number {
    const byte = this.#packed[this.at] ?? 0;
    this.at += 1;
    return byte;
  }

  #unsigned(): number {
    let byte = this.#byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let scale = 0x80; byte >= 0x80 && scale < scaleEnd; scale *= 0x80) {
      byte = this.#byte();
      value += (byte & 0x7f) * scale;
    }
    return value;
  }

  #signed(): number {
    const byte = this.#byte();
    const low = (byte >> 1) & 0x3f;
    const magnitude = byte < 0x80 ? low : low + 0x40 * this.#unsigned();
    return (byte & 1) === 0 ? magnitude : -magnitude;
  }
}

/** Eight bytes hold what is below 2^56. */
const scaleEnd = 2 ** 56;
const noBytes = new Uint8Array(0);

function packUnsigned(into: Uint8Array, start: number, value: number): number {
  let at = start;
  let left = value;
  for (; left >= 2 ** 31; at += 1) {
    into[at] = (left % 0x80) | 0x80;
    left = Math.floor(left / 0x80);
  }
  for (; left >= 0x80; at += 1) {
    into[at] = (left & 0x7f) | 0x80;
    left >>= 7;
  }
  into[at] = left;
  return at + 1;
}

function packSigned(into: Uint8Array, at: number, value: number): number {
  const magnitude = Math.abs(value);
  const low = ((magnitude % 0x40) << 1) | (value < 0 ? 1 : 0);
  into[at] = magnitude < 0x40 ? low : low | 0x80;
  return magnitude < 0x40 ? at + 1 : packUnsigned(into, at + 1, Math.floor(magnitude / 0x40));
}
