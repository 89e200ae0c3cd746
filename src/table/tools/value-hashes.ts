/**
 * Hashes of many values at once: MurmurHash3's step, with the constants of its 32-bit form and of its 128-bit one, so that
 * each value has two words.
 *
 *   hashes   a b | a b | a b      a pair is begun with seeds, fed with words, and finished
 *
 * A column is fed in one loop of its kind. Values take the form that widening does not change: integers as 64 bits, floats
 * as doubles.
 */
import { decimalShape } from "../iceberg/primitive.ts";
import type { BytesLeaf, DoubleLeaf, FixedLeaf, FloatLeaf, Leaf } from "../translate/leaf.ts";

/** Which pair takes which value: value `from + i` goes to pair `pairs[i]`. */
export interface Feed {
  readonly from: number;
  readonly count: number;
  readonly pairs: Uint32Array;
}

export function feedValues(hashes: Int32Array, leaf: Leaf, feed: Feed): void {
  switch (leaf.kind) {
    case "boolean":
      return each(feed, (pair, value) => feedWord(hashes, pair, leaf.values[value] as number));
    case "int32":
      return feedInt32(hashes, leaf.values, feed);
    case "int64":
      return feedInt64(hashes, leaf.words, feed);
    case "float":
    case "double":
      return feedReals(hashes, leaf, feed);
    case "bytes":
      return feedByteArrays(hashes, leaf, feed);
    case "fixed":
      return decimalShape(leaf.shape.type) === undefined
        ? feedFixed(hashes, leaf, feed)
        : each(feed, (pair, value) => feedDecimal(hashes, pair, leaf, value));
  }
}

export function feedWord(hashes: Int32Array, pair: number, word: number): void {
  const at = pair * 2;
  hashes[at] = stepA(hashes[at] as number, word);
  hashes[at + 1] = stepB(hashes[at + 1] as number, word);
}

export function feedWords(hashes: Int32Array, pair: number, low: number, high: number): void {
  const at = pair * 2;
  hashes[at] = stepA(stepA(hashes[at] as number, low), high);
  hashes[at + 1] = stepB(stepB(hashes[at + 1] as number, low), high);
}

/** Signed, as V8 keeps such a number in place; an unsigned one above 2^31 would be an object a hash. */
export function finished(hash: number): number {
  let mixing = hash ^ (hash >>> 16);
  mixing = Math.imul(mixing, 0x85ebca6b);
  mixing ^= mixing >>> 13;
  mixing = Math.imul(mixing, 0xc2b2ae35);
  return mixing ^ (mixing >>> 16);
}

function stepA(hash: number, word: number): number {
  const k = Math.imul(word, 0xcc9e2d51);
  const fed = hash ^ Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  return (Math.imul((fed << 13) | (fed >>> 19), 5) + 0xe6546b64) | 0;
}

function stepB(hash: number, word: number): number {
  const k = Math.imul(word, 0x239b961b);
  const fed = hash ^ Math.imul((k << 16) | (k >>> 16), 0xab0e9789);
  return (Math.imul((fed << 17) | (fed >>> 15), 5) + 0x561ccd1b) | 0;
}

function each({ from, count, pairs }: Feed, put: (pair: number, value: number) => void): void {
  for (let at = 0; at < count; at += 1) put(pairs[at] as number, from + at);
}

function feedInt32(hashes: Int32Array, values: Int32Array, { from, count, pairs }: Feed): void {
  for (let at = 0; at < count; at += 1) {
    const value = values[from + at] as number;
    feedWords(hashes, pairs[at] as number, value, value >> 31);
  }
}

function feedInt64(hashes: Int32Array, words: Int32Array, { from, count, pairs }: Feed): void {
  for (let at = 0; at < count; at += 1) {
    const value = (from + at) * 2;
    feedWords(hashes, pairs[at] as number, words[value] as number, words[value + 1] as number);
  }
}

const real = new Float64Array(1);
const realWords = new Int32Array(real.buffer);

/** All NaN are one; the two zeros are two. */
function feedReals(hashes: Int32Array, leaf: FloatLeaf | DoubleLeaf, { from, count, pairs }: Feed): void {
  for (let at = 0; at < count; at += 1) {
    const value = leaf.values[from + at] as number;
    real[0] = Number.isNaN(value) ? Number.NaN : value;
    feedWords(hashes, pairs[at] as number, realWords[0] as number, realWords[1] as number);
  }
}

function feedByteArrays(hashes: Int32Array, { data, offsets }: BytesLeaf, { from, count, pairs }: Feed): void {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let start = offsets[from] as number;
  for (let at = 0; at < count; at += 1) {
    const end = offsets[from + at + 1] as number;
    feedBytes(hashes, pairs[at] as number, view, start, end);
    start = end;
  }
}

function feedFixed(hashes: Int32Array, { data, width }: FixedLeaf, { from, count, pairs }: Feed): void {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < count; at += 1) {
    const start = (from + at) * width;
    feedBytes(hashes, pairs[at] as number, view, start, start + width);
  }
}

/** The length, then words; the last one holds what is left, padded with zeros. */
function feedBytes(hashes: Int32Array, pair: number, view: DataView, from: number, to: number): void {
  let a = stepA(hashes[pair * 2] as number, to - from);
  let b = stepB(hashes[pair * 2 + 1] as number, to - from);
  let at = from;
  for (; at + 4 <= to; at += 4) {
    const word = view.getInt32(at, true);
    a = stepA(a, word);
    b = stepB(b, word);
  }
  let rest = 0;
  for (let shift = 0; at < to; at += 1, shift += 8) rest |= view.getUint8(at) << shift;
  hashes[pair * 2] = stepA(a, rest);
  hashes[pair * 2 + 1] = stepB(b, rest);
}

/** Big-endian: without the leading bytes that only repeat the sign, and as 64 bits where they hold it. */
function feedDecimal(hashes: Int32Array, pair: number, { data, width }: FixedLeaf, index: number): void {
  const end = (index + 1) * width;
  let from = end - width;
  const sign = (data[from] as number) & 0x80 ? 0xff : 0;
  while (from < end - 1 && data[from] === sign && ((data[from + 1] as number) ^ sign) < 0x80) from += 1;
  if (end - from > 8) {
    feedBytes(hashes, pair, new DataView(data.buffer, data.byteOffset, data.byteLength), from, end);
    return;
  }
  let high = sign === 0 ? 0 : -1;
  let low = high;
  for (let at = from; at < end; at += 1) {
    high = (high << 8) | (low >>> 24);
    low = (low << 8) | (data[at] as number);
  }
  feedWords(hashes, pair, low, high);
}
