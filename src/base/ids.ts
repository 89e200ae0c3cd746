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

export function uuidFromBytes(bytes: Uint8Array): Uuid {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Uuid;
}

export function uuidToBytes(uuid: Uuid): Uint8Array {
  return Buffer.from(uuid.replaceAll("-", ""), "hex");
}

/** A random UUID, version 4 (RFC 9562). */
export function uuidRandom(random: Random): Uuid {
  const bytes = random.fill(new Uint8Array(16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return uuidFromBytes(bytes);
}
