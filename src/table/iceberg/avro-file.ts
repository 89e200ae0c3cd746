/**
 * Avro object container files, as manifests and manifest lists are stored (Avro 1.12, "Object Container Files").
 *
 *   "Obj" 1 | metadata: map of name → bytes | sync, 16 bytes | block* ;  block = count | size | compressed values | sync
 *
 * Ours because Iceberg reads the file's metadata and the `field-id`s inside the schema verbatim, which libraries drop.
 */
import { createHash } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { AvroSchema } from "../../../schemas/iceberg.ts";
import { CorruptData } from "../../base/errors.ts";
import { inflateSnappy } from "../../protocol/snappy.ts";
import { inflateZstd } from "../../protocol/zstd.ts";
import { AvroReader, type AvroValue, AvroWriter, readAvro, writeAvro } from "./avro-value.ts";
import { isJsonObject, type Json, parseJson, renderJson } from "./json.ts";

const magic = Uint8Array.of(0x4f, 0x62, 0x6a, 0x01);

/** A block is closed when it holds this many bytes; the reference's default. */
const blockBytes = 64_000;

/** No block of an honest manifest is larger when inflated; a bomb is. */
const inflatedBytesMax = 256 * 1024 * 1024;

export interface AvroFile {
  readonly metadata: ReadonlyMap<string, string>;
  readonly schema: AvroSchema;
  readonly values: readonly AvroValue[];
}

/** `metadata` goes in verbatim, beside avro.schema and avro.codec. Deflate is what every reader knows (rule C11). */
export function writeAvroFile(
  schema: AvroSchema,
  values: Iterable<AvroValue>,
  metadata: ReadonlyMap<string, string>,
): Uint8Array {
  const text = JSON.stringify(schema);
  const blocks: { readonly count: number; readonly bytes: Uint8Array }[] = [];
  const writer = new AvroWriter();
  let count = 0;
  const close = (): void => {
    blocks.push({ count, bytes: deflateRawSync(writer.take()) });
    count = 0;
  };
  for (const value of values) {
    writeAvro(writer, schema, value);
    count += 1;
    if (writer.length >= blockBytes) close();
  }
  if (count > 0) close();
  // Any 16 bytes that are unlikely inside a block will do: these make equal content an equal file.
  const hash = createHash("sha256").update(text);
  for (const block of blocks) hash.update(block.bytes);
  const sync = hash.digest().subarray(0, 16);
  return assemble(new Map([...metadata, ["avro.codec", "deflate"], ["avro.schema", text]]), sync, blocks);
}

function assemble(
  metadata: ReadonlyMap<string, string>,
  sync: Uint8Array,
  blocks: readonly { readonly count: number; readonly bytes: Uint8Array }[],
): Uint8Array {
  const writer = new AvroWriter();
  writer.raw(magic);
  writer.long(metadata.size);
  for (const [name, value] of metadata) {
    writer.string(name);
    writer.string(value);
  }
  writer.long(0);
  writer.raw(sync);
  for (const block of blocks) {
    writer.long(block.count);
    writer.bytes(block.bytes);
    writer.raw(sync);
  }
  return writer.take();
}

export async function readAvroFile(bytes: Uint8Array, source: string): Promise<AvroFile> {
  const reader = new AvroReader(bytes, source);
  if (Buffer.compare(reader.raw(4), magic) !== 0) throw reader.corrupt("an Avro container file", "another magic");
  const metadata = new Map<string, string>();
  reader.blocks(() => metadata.set(reader.string(), reader.string()));
  const sync = reader.raw(16);
  const schema = parseSchema(metadata.get("avro.schema"), source);
  const inflate = codec(metadata.get("avro.codec") ?? "null", source);
  const values: AvroValue[] = [];
  while (!reader.atEnd) {
    const count = reader.length();
    const inflated = decompress(inflate, reader.bytes(), source);
    // An empty record takes no bytes: a block of billions of them would never end.
    if (count > Math.max(1, inflated.length)) throw reader.corrupt(`${inflated.length} values at most`, String(count));
    const block = new AvroReader(inflated, source);
    for (let index = 0; index < count; index += 1) values.push(readAvro(block, schema));
    if (!block.atEnd) throw reader.corrupt(`a block of ${count} values`, "bytes after them");
    if (Buffer.compare(reader.raw(16), sync) !== 0) throw reader.corrupt("the sync marker", "other bytes");
  }
  return { metadata, schema, values };
}

function parseSchema(text: string | undefined, source: string): AvroSchema {
  const schema = parseJson(text ?? "", source);
  requireSchema(schema, source);
  return schema as unknown as AvroSchema;
}

/** Readers walk the schema as it is: its parts must be what their types say. */
function requireSchema(json: Json | undefined, source: string): void {
  if (typeof json === "string") return;
  if (Array.isArray(json)) {
    for (const branch of json as readonly Json[]) requireSchema(branch, source);
    return;
  }
  const wrong = (): CorruptData =>
    new CorruptData({ source, position: 4, expected: "an Avro schema", found: renderJson(json ?? null).slice(0, 80) });
  if (!isJsonObject(json)) throw wrong();
  const { type, name, fields, items, values, size, symbols } = json;
  if (typeof type !== "string") return requireSchema(type, source);
  if (name !== undefined && typeof name !== "string") throw wrong();
  if (fields !== undefined) {
    if (!Array.isArray(fields)) throw wrong();
    for (const field of fields as readonly Json[]) {
      if (!isJsonObject(field) || typeof field["name"] !== "string") throw wrong();
      requireSchema(field["type"], source);
    }
  }
  if (items !== undefined) requireSchema(items, source);
  if (values !== undefined) requireSchema(values, source);
  if (size !== undefined && (typeof size !== "number" || size < 0)) throw wrong();
  if (symbols !== undefined && !Array.isArray(symbols)) throw wrong();
}

type Inflate = (bytes: Uint8Array) => Uint8Array;

function codec(name: string, source: string): Inflate {
  switch (name) {
    case "null":
      return (bytes) => bytes;
    case "deflate":
      return (bytes) => inflateRawSync(bytes, { maxOutputLength: inflatedBytesMax });
    case "zstandard":
      return (bytes) => inflateZstd(bytes, inflatedBytesMax);
    case "snappy":
      return (bytes) => inflateSnappy(bytes.subarray(0, -4), inflatedBytesMax); // A CRC-32 ends it.
    default:
      throw new CorruptData({ source, position: 4, expected: "a known codec", found: name });
  }
}

function decompress(inflate: Inflate, bytes: Uint8Array, source: string): Uint8Array {
  try {
    return inflate(bytes);
  } catch (cause) {
    throw new CorruptData({ source, position: 0, expected: "a compressed block", found: String(cause) });
  }
}
