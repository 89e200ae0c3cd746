/**
 * One column of one row group: V1 pages, each compressed as a whole.
 *
 *   [header | distinct values]?  [header | rep levels | def levels | values or indexes]*
 */
import { constants, crc32, zstdCompressSync } from "node:zlib";
import type { Leaf } from "../translate/leaf.ts";
import { type Dictionary, findDictionary } from "./parquet-dictionary.ts";
import { bitWidth, type PageBuffer, putHybrid, putLevels, putPlain, putPlainChosen } from "./parquet-encoding.ts";
import { type Extremes, findExtremes } from "./parquet-statistics.ts";
import { ThriftWriter } from "./parquet-thrift.ts";

export interface PageLimits {
  /** Uncompressed bytes of values in a data page; one larger value gets a page of its own. */
  readonly pageBytesMax: number;
  readonly pageRowsMax: number;
  readonly dictionaryBytesMax: number;
  readonly zstdLevel: number;
}

export const encoding = { plain: 0, rle: 3, rleDictionary: 8 } as const;

export interface Chunk {
  readonly leaf: Leaf["shape"];
  /** Pages with their headers, to be written one after another. */
  readonly parts: readonly Uint8Array[];
  readonly slots: number;
  readonly values: number;
  /** With headers, as the footer counts them. */
  readonly bytes: number;
  readonly bytesUncompressed: number;
  /** Of the dictionary page with its header; 0 when there is none. */
  readonly dictionaryPageBytes: number;
  readonly dataPages: number;
  readonly extremes: Extremes;
}

export function encodeChunk(leaf: Leaf, limits: PageLimits, buffer: PageBuffer): Chunk {
  const dictionary = findDictionary(leaf, limits.dictionaryBytesMax);
  const pages = new Pages(limits);
  let dictionaryPageBytes = 0;
  if (dictionary !== undefined) {
    buffer.length = 0;
    putPlainChosen(buffer, leaf, dictionary.firsts);
    pages.dictionary(buffer, dictionary.firsts.length);
    dictionaryPageBytes = pages.bytes;
  }
  let dataPages = 0;
  let at: Position = { slot: 0, value: 0 };
  while (at.slot < leaf.slots) {
    const end = pageEnd(leaf, at, limits, dictionary !== undefined);
    buffer.length = 0;
    putDataPage(buffer, leaf, at, end, dictionary);
    pages.data(buffer, end.slot - at.slot, dictionary === undefined ? encoding.plain : encoding.rleDictionary);
    dataPages += 1;
    at = end;
  }
  return {
    leaf: leaf.shape,
    parts: pages.parts,
    slots: leaf.slots,
    values: leaf.count,
    bytes: pages.bytes,
    bytesUncompressed: pages.bytesUncompressed,
    dictionaryPageBytes,
    dataPages,
    extremes: findExtremes(leaf, dictionary?.firsts),
  };
}

interface Position {
  readonly slot: number;
  /** Values before the slot. */
  readonly value: number;
}

/** A page ends before a row, never inside one, so that a reader can skip rows by pages. */
function pageEnd(leaf: Leaf, from: Position, limits: PageLimits, isIndexed: boolean): Position {
  if (leaf.maxRep === 0) {
    const end = afterRows(leaf, from, limits.pageRowsMax);
    const bytes = isIndexed ? (end.value - from.value) * indexBytes : plainBytes(leaf, from.value, end.value);
    if (bytes <= limits.pageBytesMax) return end;
  }
  const { defs, reps, maxDef, maxRep, slots } = leaf;
  let slot = from.slot;
  let value = from.value;
  let rows = 0;
  let bytes = 0;
  let end = from; // Of the last whole row that fits.
  while (slot < slots) {
    if (maxRep === 0 || reps[slot] === 0) {
      if (rows === limits.pageRowsMax || (rows > 0 && bytes > limits.pageBytesMax)) break;
      end = { slot, value };
      rows += 1;
    }
    if (defs[slot] === maxDef) {
      bytes += isIndexed ? indexBytes : plainBytes(leaf, value, value + 1);
      value += 1;
    }
    slot += 1;
  }
  // The row that crossed the limit goes to the next page, unless the page would be empty without it.
  const isOver = bytes > limits.pageBytesMax && end.slot > from.slot;
  return isOver ? end : { slot, value };
}

/** The most that an index takes. */
const indexBytes = 4;

/** Of a leaf outside of lists, where each row has one slot. */
function afterRows({ defs, maxDef, slots }: Leaf, from: Position, rows: number): Position {
  const end = Math.min(slots, from.slot + rows);
  let { value } = from;
  for (let slot = from.slot; slot < end; slot += 1) if (defs[slot] === maxDef) value += 1;
  return { slot: end, value };
}

function plainBytes(leaf: Leaf, from: number, to: number): number {
  const count = to - from;
  switch (leaf.kind) {
    case "boolean":
      return count / 8;
    case "int32":
    case "float":
      return count * 4;
    case "int64":
    case "double":
      return count * 8;
    case "fixed":
      return count * leaf.width;
    case "bytes":
      return count * 4 + (leaf.offsets[to] as number) - (leaf.offsets[from] as number);
  }
}

function putDataPage(
  buffer: PageBuffer,
  leaf: Leaf,
  from: Position,
  to: Position,
  dictionary: Dictionary | undefined,
): void {
  if (leaf.maxRep > 0) putLevels(buffer, leaf.reps, from.slot, to.slot, leaf.maxRep);
  if (leaf.maxDef > 0) putLevels(buffer, leaf.defs, from.slot, to.slot, leaf.maxDef);
  if (dictionary === undefined) {
    putPlain(buffer, leaf, from.value, to.value);
    return;
  }
  const width = bitWidth(dictionary.firsts.length - 1);
  buffer.byte(width);
  putHybrid(buffer, dictionary.indexes, from.value, to.value, width);
}

/** Compresses pages and puts their headers before them. */
class Pages {
  readonly parts: Uint8Array[] = [];
  bytes = 0;
  bytesUncompressed = 0;
  readonly #params: Record<number, number>;

  constructor(limits: PageLimits) {
    this.#params = { [constants.ZSTD_c_compressionLevel]: limits.zstdLevel };
  }

  dictionary(buffer: PageBuffer, values: number): void {
    this.#page(buffer, 2, (header) => {
      header.struct(7, () => {
        header.i32(1, values);
        header.i32(2, encoding.plain);
      });
    });
  }

  data(buffer: PageBuffer, slots: number, valueEncoding: number): void {
    this.#page(buffer, 0, (header) => {
      header.struct(5, () => {
        header.i32(1, slots);
        header.i32(2, valueEncoding);
        header.i32(3, encoding.rle);
        header.i32(4, encoding.rle);
      });
    });
  }

  #page(buffer: PageBuffer, type: number, describe: (header: ThriftWriter) => void): void {
    const raw = buffer.bytes.subarray(0, buffer.length);
    const packed = this.#compressed(raw);
    const header = new ThriftWriter();
    header.i32(1, type);
    header.i32(2, raw.length);
    header.i32(3, packed.length);
    header.i32(4, crc32(packed) | 0);
    describe(header);
    const head = header.finish();
    // A small result would keep all of the memory that was made for it.
    this.parts.push(head, packed.byteLength * 2 < packed.buffer.byteLength ? Uint8Array.from(packed) : packed);
    this.bytes += head.length + packed.length;
    this.bytesUncompressed += head.length + raw.length;
  }

  /** Told of the size, zstd makes no tables larger than it needs; most pages are small. */
  #compressed(raw: Uint8Array): Uint8Array {
    const chunkSize = Math.max(chunkBytesMin, raw.length + (raw.length >>> 8) + 64); // All in one piece, nothing to be joined.
    return zstdCompressSync(raw, { params: this.#params, pledgedSrcSize: raw.length, chunkSize });
  }
}

/** What zstd adds to bytes that it cannot compress, and more. */
const chunkBytesMin = 1024;
