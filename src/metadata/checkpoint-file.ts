/** A checkpoint as one file or object; drawn in schemas/storage.ts. */
import { crc32c } from "@node-rs/crc32";
import { checkpointMagic, checkpointVersion, hashBytes } from "../../schemas/storage.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { Seq } from "../base/ids.ts";
import type { Checkpoint } from "./cas-log.ts";

export function encodeCheckpoint(checkpoint: Checkpoint): readonly Uint8Array[] {
  const head = new ByteWriter();
  head.utf8(checkpointMagic, checkpointMagic.length);
  head.uint32(checkpointVersion);
  head.int64(checkpoint.seq);
  head.bytes(checkpoint.hash);
  head.int64(checkpoint.image.length);
  head.uint32(checkpoint.imageCrc ?? crc32c(checkpoint.image));
  const bytes = head.toBytes();
  const crc = new ByteWriter(16);
  crc.uint32(crc32c(bytes));
  return [bytes, crc.toBytes(), checkpoint.image];
}

export function decodeCheckpoint(bytes: Uint8Array, source: string): Checkpoint {
  const reader = new ByteReader(bytes, { source });
  const magic = reader.utf8(checkpointMagic.length);
  if (magic !== checkpointMagic) reader.corrupt("a checkpoint", JSON.stringify(magic));
  const version = reader.uint32();
  if (version !== checkpointVersion) reader.corrupt(`version ${checkpointVersion}`, `version ${version}`);
  const seq = reader.int64() as Seq;
  const hash = reader.view(hashBytes).slice();
  const length = reader.int64();
  const imageCrc = reader.uint32();
  const headCrc = crc32c(bytes.subarray(0, reader.position));
  const storedCrc = reader.uint32();
  if (storedCrc !== headCrc) reader.corrupt(`CRC ${headCrc}`, `${storedCrc}`);
  if (length !== reader.remaining) reader.corrupt(`${length} bytes of image`, `${reader.remaining}`);
  const image = reader.view(length);
  if (crc32c(image) !== imageCrc) reader.corrupt(`an image with CRC ${imageCrc}`, "another");
  return { seq, hash, image };
}
