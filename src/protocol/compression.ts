/**
 * The compressions of record batches. Nothing is inflated beyond a cap: what a format announces is checked before memory is
 * taken for it, and what announces nothing is stopped while it grows. Bytes that are malformed, or larger than the cap,
 * throw CorruptData.
 *
 * Each operation exists at once, for workers, aside, in the thread pool, and fairly: whichever of the two suits the size.
 */
import { createRequire } from "node:module";
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import type * as Lz4 from "lz4-napi";
import { CorruptData } from "../base/errors.ts";
import { KiB, MiB } from "../base/settings.ts";
import { lz4InflatedBytes } from "./lz4.ts";
import type { Compression } from "./record-batch.ts";
import { deflateSnappy, deflateSnappyAside, hasManySnappyBlocks, inflateSnappy, inflateSnappyAside } from "./snappy.ts";
import { hasManyZstdFrames, inflateZstd, inflateZstdAside } from "./zstd.ts";

export interface InflateLimits {
  /** Of the result. */
  readonly bytesMax: number;
}

export interface CompressOptions {
  /** Of gzip and zstd; default is the library's. */
  readonly level?: number;
}

export function compress(compression: Compression, bytes: Uint8Array, options: CompressOptions = {}): Uint8Array {
  return codecs[compression].compress(bytes, options);
}

export function compressAside(
  compression: Compression,
  bytes: Uint8Array,
  options: CompressOptions = {},
): Promise<Uint8Array> {
  return codecs[compression].compressAside(bytes, options);
}

/** The result may be the argument itself, when nothing was compressed. */
export function inflate(compression: Compression, bytes: Uint8Array, limits: InflateLimits): Uint8Array {
  try {
    return codecs[compression].inflate(bytes, limits.bytesMax);
  } catch (cause) {
    throw malformed(compression, bytes, limits, cause);
  }
}

export async function inflateAside(
  compression: Compression,
  bytes: Uint8Array,
  limits: InflateLimits,
): Promise<Uint8Array> {
  try {
    return await codecs[compression].inflateAside(bytes, limits.bytesMax);
  } catch (cause) {
    throw malformed(compression, bytes, limits, cause);
  }
}

/** Compressing or inflating more than this takes about a millisecond: it is done in the thread pool. */
const inlineBytesMax = 64 * KiB;
/** What a small batch may inflate to on the event loop; what inflates further is a bomb or rare, and goes to the pool. */
const inlineInflatedBytesMax = 1 * MiB;

/** On the event loop when that takes no longer than its other work, else in the thread pool. */
export function compressFairly(
  compression: Compression,
  bytes: Uint8Array,
  options: CompressOptions = {},
): Uint8Array | Promise<Uint8Array> {
  return compression === "none" || bytes.length <= inlineBytesMax
    ? compress(compression, bytes, options)
    : compressAside(compression, bytes, options);
}

/** On the event loop when that takes no longer than its other work, else in the thread pool. Throws and rejects CorruptData. */
export function inflateFairly(
  compression: Compression,
  bytes: Uint8Array,
  limits: InflateLimits,
): Uint8Array | Promise<Uint8Array> {
  if (compression === "none") return bytes;
  if (bytes.length > inlineBytesMax) return inflateAside(compression, bytes, limits);
  try {
    const hasManyParts =
      (compression === "snappy" && hasManySnappyBlocks(bytes)) || (compression === "zstd" && hasManyZstdFrames(bytes));
    if (hasManyParts) return inflateAside(compression, bytes, limits);
    return inflate(compression, bytes, { bytesMax: Math.min(inlineInflatedBytesMax, limits.bytesMax) });
  } catch (cause) {
    if (cause instanceof CorruptData) return inflateAside(compression, bytes, limits); // Or is it only larger than usual?
    throw cause;
  }
}

interface Codec {
  readonly compress: (bytes: Uint8Array, options: CompressOptions) => Uint8Array;
  readonly compressAside: (bytes: Uint8Array, options: CompressOptions) => Promise<Uint8Array>;
  readonly inflate: (bytes: Uint8Array, bytesMax: number) => Uint8Array;
  readonly inflateAside: (bytes: Uint8Array, bytesMax: number) => Promise<Uint8Array>;
}

const gzipAside = promisify<Uint8Array, zlib.ZlibOptions, Uint8Array>(zlib.gzip);
const gunzipAside = promisify<Uint8Array, zlib.ZlibOptions, Uint8Array>(zlib.gunzip);
const zstdAside = promisify<Uint8Array, zlib.ZstdOptions, Uint8Array>(zlib.zstdCompress);

const gzipOptions = ({ level }: CompressOptions): zlib.ZlibOptions => (level === undefined ? {} : { level });
const zstdOptions = ({ level }: CompressOptions): zlib.ZstdOptions =>
  level === undefined ? {} : { params: { [zlib.constants.ZSTD_c_compressionLevel]: level } };

/** Native and not always needed, so loaded when first used. */
let lz4Module: typeof Lz4 | undefined;
function lz4(): typeof Lz4 {
  lz4Module ??= createRequire(import.meta.url)("lz4-napi") as typeof Lz4;
  return lz4Module;
}

const codecs: Readonly<Record<Compression, Codec>> = {
  none: {
    compress: (bytes) => bytes,
    compressAside: async (bytes) => bytes,
    inflate: (bytes) => bytes,
    inflateAside: async (bytes) => bytes,
  },
  gzip: {
    compress: (bytes, options) => zlib.gzipSync(bytes, gzipOptions(options)),
    compressAside: (bytes, options) => gzipAside(bytes, gzipOptions(options)),
    inflate: (bytes, bytesMax) => zlib.gunzipSync(bytes, { maxOutputLength: bytesMax }),
    inflateAside: (bytes, bytesMax) => gunzipAside(bytes, { maxOutputLength: bytesMax }),
  },
  snappy: {
    compress: deflateSnappy,
    compressAside: deflateSnappyAside,
    inflate: inflateSnappy,
    inflateAside: inflateSnappyAside,
  },
  lz4: {
    compress: (bytes) => lz4().compressFrameSync(asBuffer(bytes)),
    compressAside: (bytes) => lz4().compressFrame(bytes),
    inflate: (bytes, bytesMax) => {
      lz4InflatedBytes(bytes, bytesMax);
      return lz4().decompressFrameSync(asBuffer(bytes));
    },
    inflateAside: async (bytes, bytesMax) => {
      lz4InflatedBytes(bytes, bytesMax);
      return await lz4().decompressFrame(bytes);
    },
  },
  zstd: {
    compress: (bytes, options) => zlib.zstdCompressSync(bytes, zstdOptions(options)),
    compressAside: (bytes, options) => zstdAside(bytes, zstdOptions(options)),
    inflate: inflateZstd,
    inflateAside: inflateZstdAside,
  },
};

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Libraries throw errors of their own for malformed input and for output beyond the cap. */
function malformed(compression: Compression, bytes: Uint8Array, limits: InflateLimits, cause: unknown): CorruptData {
  if (cause instanceof CorruptData) return cause;
  return new CorruptData({
    source: `${compression} data`,
    position: bytes.length,
    expected: `bytes that inflate to at most ${limits.bytesMax}`,
    found: cause instanceof Error ? cause.message : String(cause),
  });
}
