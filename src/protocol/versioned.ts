/** Messages that carry their version themselves, as an int16 before the fields: records of internal topics, and what
 *  consumers put into the group protocol. */
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { Message } from "../base/codec.ts";

export function encodeVersioned<T, I>(message: Message<T, I>, version: number, value: I): Uint8Array {
  const writer = new ByteWriter();
  writer.int16(version);
  message.write(writer, version, value);
  return writer.toBytes();
}

/**
 * Throws CorruptData. "newer-appends" reads a version newer than ours as our newest and ignores what follows, which is what
 * Kafka does where it promises that versions only append; "exact" refuses it.
 */
export function decodeVersioned<T, I>(
  message: Message<T, I>,
  bytes: Uint8Array,
  newer: "exact" | "newer-appends" = "exact",
): T {
  const reader = new ByteReader(bytes, { source: message.name });
  const version = reader.int16();
  const newest = message.versions[1];
  if (newer === "newer-appends" && version > newest) return message.read(reader, newest);
  const value = message.read(reader, version);
  if (reader.remaining > 0) reader.corrupt(`the end of ${message.name}`, `${reader.remaining} more bytes`);
  return value;
}

/**
 * Throws CorruptData. The fields of our oldest version, with which every newer one begins, whichever the bytes say that they
 * are of: what follows is not looked at.
 */
export function decodeOldest<T, I>(message: Message<T, I>, bytes: Uint8Array): T {
  const reader = new ByteReader(bytes, { source: message.name });
  reader.int16();
  return message.read(reader, message.versions[0]);
}

/** The version before the fields, which for keys of internal topics says what kind of record it is. */
export function versionOf(bytes: Uint8Array): number {
  return new ByteReader(bytes, { source: "versioned message" }).int16();
}
