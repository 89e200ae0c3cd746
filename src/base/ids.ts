import { assert } from "./errors.ts";
import type { Random } from "./runtime.ts";

declare const brand: unique symbol;
/** A value of type T that cannot be taken for another T. Made by a cast at the one place that checks it. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A stream of S3Stream. Given out by the metadata log, never reused. */
export type StreamId = Brand<number, "StreamId">;
/** Of a record in a stream. */
export type Offset = Brand<number, "Offset">;
/** Of an event group in the metadata log. The first is 1. */
export type Seq = Brand<number, "Seq">;
export type NodeId = Brand<number, "NodeId">;
/** The seq at which the node registered. A greater epoch fences every smaller one. */
export type NodeEpoch = Brand<number, "NodeEpoch">;
/** 16 bytes in lower-case hex with dashes. */
export type Uuid = Brand<string, "Uuid">;

/** Bytes whose memory nobody else writes or reuses, so that they may be kept. */
export type Owned = Brand<Uint8Array, "Owned">;

export const uuidZero = "00000000-0000-0000-0000-000000000000" as Uuid;

const uuidText = Buffer.alloc(uuidZero.length, "-");
const hexDigits = Buffer.from("0123456789abcdef", "latin1");
/** Of each byte's first digit in the text. */
const uuidPlaces = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;

/** One flat string of 36 bytes: joined from pieces it would take ten times as much, and be made flat by the first map that it is a key of. */
export function uuidFromBytes(bytes: Uint8Array): Uuid {
  for (let index = 0; index < uuidPlaces.length; index += 1) {
    const [place, byte] = [uuidPlaces[index] as number, bytes[index] as number];
    uuidText[place] = hexDigits[byte >> 4] as number;
    uuidText[place + 1] = hexDigits[byte & 0xf] as number;
  }
  return uuidText.toString("latin1") as Uuid;
}

export function uuidToBytes(uuid: Uuid): Uint8Array {
  const bytes = new Uint8Array(16);
  writeUuid(uuid, bytes, 0);
  return bytes;
}

export function writeUuid(uuid: Uuid, into: Uint8Array, at: number): void {
  assert(uuid.length === uuidZero.length, "not a uuid");
  for (let index = 0; index < uuidPlaces.length; index += 1) {
    const place = uuidPlaces[index] as number;
    into[at + index] = (digitOf(uuid.charCodeAt(place)) << 4) | digitOf(uuid.charCodeAt(place + 1));
  }
}

/** Of a hex digit's character code, in either case. */
function digitOf(code: number): number {
  const digit = code <= nineCode ? code - zeroCode : (code | lowerCaseBit) - letterACode + 10;
  assert(digit >= 0 && digit < 16, "not a uuid");
  return digit;
}

const zeroCode = 0x30;
const nineCode = 0x39;
const letterACode = 0x61;
const lowerCaseBit = 0x20;

/** A random UUID, version 4 (RFC 9562). */
export function uuidRandom(random: Random): Uuid {
  const bytes = random.fill(new Uint8Array(16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return uuidFromBytes(bytes);
}
