/**
 * What the log writes beside a stream's id into objects, so that a bucket explains itself without the metadata.
 *
 *   | uint8 version = 1 | 16 bytes topic id | int32 partition | topic name, UTF-8, to the end |
 */
import { ByteReader, ByteWriter, utf8Length } from "../base/bytes.ts";
import type { Uuid } from "../base/ids.ts";

export interface StreamLabel {
  readonly topicId: Uuid;
  readonly partition: number;
  readonly topic: string;
}

const version = 1;

export function encodeStreamLabel(label: StreamLabel): Uint8Array {
  const writer = new ByteWriter();
  writer.uint8(version);
  writer.uuid(label.topicId);
  writer.int32(label.partition);
  writer.utf8(label.topic, utf8Length(label.topic));
  return writer.toBytes();
}

/** Throws CorruptData. */
export function decodeStreamLabel(bytes: Uint8Array): StreamLabel {
  const reader = new ByteReader(bytes, { source: "stream label" });
  const found = reader.uint8();
  if (found !== version) reader.corrupt(`label version ${version}`, `${found}`);
  return { topicId: reader.uuid(), partition: reader.int32(), topic: reader.utf8(reader.remaining) };
}
