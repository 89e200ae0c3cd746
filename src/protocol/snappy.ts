/**
 * Snappy as Kafka has it: raw, or in the framing of snappy-java, which Java clients write and everybody reads.
 *
 *   | 82 'SNAPPY' 00 | int32 version | int32 compatible | (int32 length | raw snappy)* |      one or more of these
 *
 * A raw block begins with its inflated length as a varint, so all memory is known before any is taken.
 */
import { createRequire } from "node:module";
import type * as Snappy from "snappy";
import { ByteReader, ByteWriter, joined } from "../base/bytes.ts";

const magic = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00);
/** Its first four bytes as a length. */
const magicHead = 0x82534e41 | 0;
const framingVersion = 1;
/** What snappy-java cuts by default; its reader takes any size. */
const blockBytes = 32_768;
/** A copy of 64 bytes takes 3: no honest block exceeds a ratio of 22. */
const ratioMax = 22;

export function deflateSnappy(bytes: Uint8Array): Uint8Array {
  return framed(blocksOf(bytes).map((block) => snappy().compressSync(block)));
}

export async function deflateSnappyAside(bytes: Uint8Array): Promise<Uint8Array> {
  return framed(await Promise.all(blocksOf(bytes).map((block) => snappy().compress(block))));
}

export function inflateSnappy(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const blocks = checkedBlocks(bytes, bytesMax);
  return oneOf(blocks.map((block) => snappy().uncompressSync(block, { asBuffer: true }) as Buffer));
}

export async function inflateSnappyAside(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  const blocks = checkedBlocks(bytes, bytesMax);
  const parts: Uint8Array[] = [];
  for (let from = 0; from < blocks.length; from += blocksAtOnceMax) {
    const some = blocks.slice(from, from + blocksAtOnceMax);
    parts.push(
      ...(await Promise.all(some.map((block) => snappy().uncompress(block, { asBuffer: true }) as Promise<Buffer>))),
    );
  }
  return oneOf(parts);
}

/** Each takes some microseconds, however small it is: a hostile text has one in five bytes. */
const blocksAtOnceMax = 64;

/** Whether there are too many blocks to inflate them all without others having a turn. */
export function hasManySnappyBlocks(bytes: Uint8Array): boolean {
  return bytes.length > 5 * blocksAtOnceMax && isFramed(bytes) && framedBlocks(bytes).length > blocksAtOnceMax;
}

let snappyModule: typeof Snappy | undefined;
/** Native and not always needed, so loaded when first used. */
function snappy(): typeof Snappy {
  snappyModule ??= createRequire(import.meta.url)("snappy") as typeof Snappy;
  return snappyModule;
}

function blocksOf(bytes: Uint8Array): readonly Uint8Array[] {
  const blocks: Uint8Array[] = [];
  for (let from = 0; from < bytes.length; from += blockBytes) blocks.push(bytes.subarray(from, from + blockBytes));
  return blocks;
}

function framed(blocks: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter();
  writer.bytes(magic);
  writer.int32(framingVersion);
  writer.int32(framingVersion);
  for (const block of blocks) {
    writer.int32(block.length);
    writer.bytes(block);
  }
  return writer.toBytes();
}

/** The raw blocks. Throws CorruptData when together they announce more than the cap, or more than snappy can mean. */
function checkedBlocks(bytes: Uint8Array, bytesMax: number): readonly Uint8Array[] {
  const blocks = isFramed(bytes) ? framedBlocks(bytes) : [bytes];
  let left = bytesMax;
  for (const block of blocks) {
    const reader = new ByteReader(block, { source: "snappy data" });
    const announced = reader.uvarint();
    if (announced > left) reader.corrupt(`at most ${left} more bytes inflated`, `${announced}`);
    if (announced > block.length * ratioMax) reader.corrupt(`at most ${block.length * ratioMax} bytes`, `${announced}`);
    left -= announced;
  }
  return blocks;
}

function isFramed(bytes: Uint8Array): boolean {
  return bytes.length >= magic.length && magic.every((byte, i) => bytes[i] === byte);
}

function framedBlocks(bytes: Uint8Array): readonly Uint8Array[] {
  const reader = new ByteReader(bytes, { source: "snappy data" });
  const blocks: Uint8Array[] = [];
  while (reader.remaining > 0) {
    const length = reader.int32();
    // No length is negative: another stream begins, as snappy-java has it.
    if (length === magicHead) reader.skip(magic.length + 8 - 4);
    else blocks.push(reader.view(length));
  }
  return blocks;
}

function oneOf(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : joined(parts);
}
