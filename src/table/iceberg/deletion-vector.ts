/**
 * A deletion vector: the numbers of a data file's rows that are deleted, a blob of a Puffin file (Puffin spec,
 * "deletion-vector-v1"). Length and checksum are big-endian, as Delta's are.
 *
 *   length u32 │ magic D1 D3 39 64 │ rows (roaring.ts) │ CRC-32 u32
 *              └───────── length, checksum ───────────┘
 */
import { crc32 } from "node:zlib";
import { CorruptData } from "../../base/errors.ts";
import { decodeRows, encodeRows } from "./roaring.ts";

const magic = 0xd1d33964;
const frameBytes = 4 + 4 + 4;

/** `rows`: ascending, none twice. */
export function encodeVector(rows: Float64Array): Uint8Array {
  const set = encodeRows(rows);
  const bytes = new Uint8Array(frameBytes + set.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 4 + set.length);
  view.setUint32(4, magic);
  bytes.set(set, 8);
  view.setUint32(8 + set.length, crc32(bytes.subarray(4, 8 + set.length)));
  return bytes;
}

/** `rowsMax`: of the data file. */
export function decodeVector(bytes: Uint8Array, source: string, rowsMax: number): Float64Array {
  const corrupt = (position: number, expected: string, found: string): CorruptData =>
    new CorruptData({ source, position, expected, found });
  if (bytes.length < frameBytes) throw corrupt(0, "a deletion vector", `${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(0);
  if (length !== bytes.length - 8) throw corrupt(0, `a length of ${bytes.length - 8}`, String(length));
  if (view.getUint32(4) !== magic) throw corrupt(4, "the magic of deletion vectors", view.getUint32(4).toString(16));
  const checksum = crc32(bytes.subarray(4, bytes.length - 4));
  const found = view.getUint32(bytes.length - 4);
  if (found !== checksum) throw corrupt(bytes.length - 4, `a checksum of ${checksum}`, String(found));
  return decodeRows(bytes.subarray(8, bytes.length - 4), source, rowsMax);
}
