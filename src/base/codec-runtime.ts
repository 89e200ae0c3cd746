/** What compiled readers and writers call. Kept apart from them so that the compiler can pass the whole module in. */
import { type ByteReader, ByteWriter, bytesOf, utf8Length } from "./bytes.ts";
import { assert } from "./errors.ts";

/** Kafka's own bound, in compact form too: a longer name or id is an attack or a mistake. */
const stringBytesMax = 32_767;
/** A struct of ours has at most a handful. Twenty million empty ones in a header stopped Kafka brokers (CVE-2026-111115). */
const tagsMax = 128;

export const runtime = {
  readString,
  readBytes,
  readViews,
  arrayCount,
  tagCount,
  tagEnd,
  tagRead,
  skipTags,
  writeString,
  writeBytes,
  writeViews,
  writeCount,
  writeTag,
  newWriter,
  requireNullable,
  requireAll,
};

function readString(r: ByteReader, flexible: boolean, mayBeNull: boolean, key: string): string | null {
  const length = flexible ? r.uvarint() - 1 : r.int16();
  if (length < 0) return nullOr(r, length, mayBeNull, key);
  if (length > stringBytesMax) r.corrupt(`${key} of at most ${stringBytesMax} bytes`, `${length}`);
  const text = r.utf8(length);
  // A byte that is no UTF-8 becomes three, and whoever says the text again, in an answer, would say too much.
  if (length > stringBytesMax / 3 && utf8Length(text) > stringBytesMax)
    r.corrupt(`${key} of at most ${stringBytesMax} bytes of UTF-8`, "bytes that are none");
  return text;
}

function readBytes(r: ByteReader, flexible: boolean, mayBeNull: boolean, key: string): Uint8Array | null {
  const length = flexible ? r.uvarint() - 1 : r.int32();
  return length < 0 ? nullOr(r, length, mayBeNull, key) : r.view(length);
}

function readViews(r: ByteReader, flexible: boolean, mayBeNull: boolean, key: string): readonly Uint8Array[] | null {
  const view = readBytes(r, flexible, mayBeNull, key);
  if (view === null) return null;
  return view.length === 0 ? [] : [view];
}

/** -1 stands for null. */
function arrayCount(r: ByteReader, flexible: boolean, bytesMin: number, mayBeNull: boolean, key: string): number {
  const count = flexible ? r.uvarint() - 1 : r.int32();
  if (count < 0) {
    nullOr(r, count, mayBeNull, key);
    return -1;
  }
  r.admit(count, bytesMin);
  return count;
}

function tagCount(r: ByteReader): number {
  const count = r.uvarint();
  if (count > tagsMax) r.corrupt(`at most ${tagsMax} tagged fields`, `${count}`);
  return count;
}

/** The position at which the tagged field that begins here ends. */
function tagEnd(r: ByteReader): number {
  const size = r.uvarint();
  if (size > r.remaining) r.corrupt(`a tagged field of at most ${r.remaining} bytes`, `${size}`);
  return r.position + size;
}

function tagRead(r: ByteReader, end: number): void {
  if (r.position !== end) r.corrupt(`a tagged field that ends at ${end}`, `its value ends at ${r.position}`);
}

export function skipTags(r: ByteReader): void {
  for (let left = tagCount(r); left > 0; left -= 1) {
    r.uvarint();
    r.skip(tagEnd(r) - r.position);
  }
}

function writeString(w: ByteWriter, flexible: boolean, mayBeNull: boolean, text: string | null, path: string): void {
  if (text === null) requireNullable(mayBeNull, path);
  const length = text === null ? -1 : utf8Length(text);
  assert(length <= stringBytesMax, `${path} is longer than ${stringBytesMax} bytes`);
  if (flexible) w.uvarint(length + 1);
  else w.int16(length);
  if (text !== null) w.utf8(text, length);
}

function writeBytes(
  w: ByteWriter,
  flexible: boolean,
  mayBeNull: boolean,
  bytes: Uint8Array | null,
  path: string,
): void {
  writeLength(w, flexible, mayBeNull, bytes === null ? -1 : bytes.length, path);
  if (bytes !== null) w.bytes(bytes);
}

function writeViews(
  w: ByteWriter,
  flexible: boolean,
  mayBeNull: boolean,
  views: readonly Uint8Array[] | null,
  path: string,
): void {
  writeLength(w, flexible, mayBeNull, views === null ? -1 : bytesOf(views), path);
  if (views !== null) for (const view of views) w.bytes(view);
}

function writeCount(
  w: ByteWriter,
  flexible: boolean,
  mayBeNull: boolean,
  list: { readonly length: number } | null,
  path: string,
): void {
  writeLength(w, flexible, mayBeNull, list === null ? -1 : list.length, path);
}

function writeTag(w: ByteWriter, tag: number, value: ByteWriter): void {
  w.uvarint(tag);
  w.uvarint(value.length);
  w.append(value);
}

function newWriter(): ByteWriter {
  return new ByteWriter(64);
}

function requireNullable(mayBeNull: boolean, path: string): void {
  assert(mayBeNull, `${path} cannot be null in this version`);
}

/** Between two steps somebody could have changed the list, and the frame would announce what is not in it. */
function requireAll(left: number, path: string): void {
  assert(left === 0, `${path} is not as long as it was said to be`);
}

function writeLength(w: ByteWriter, flexible: boolean, mayBeNull: boolean, length: number, path: string): void {
  if (length < 0) requireNullable(mayBeNull, path);
  if (flexible) w.uvarint(length + 1);
  else w.int32(length);
}

function nullOr(r: ByteReader, length: number, mayBeNull: boolean, key: string): null {
  if (length !== -1) r.corrupt(`${key}'s length, or -1`, `${length}`);
  if (!mayBeNull) r.corrupt(`${key}, which is never null`, "null");
  return null;
}
