/**
 * Avro's binary encoding of values, driven by a schema (Avro 1.12 specification, "Binary Encoding"). Ours rather than a
 * library's because Iceberg needs 64-bit longs, and fields found by `field-id` instead of by name.
 *
 * A decoded record holds each field under its field id when the schema gives one, else under its name.
 */
import type { AvroField, AvroSchema } from "../../../schemas/iceberg.ts";
import { assert, CorruptData } from "../../base/errors.ts";

export type AvroValue = null | boolean | number | bigint | string | Uint8Array | readonly AvroValue[] | AvroObject;

export interface AvroObject {
  readonly [name: string]: AvroValue;
}

/** Named types that a schema defines once and then refers to by name. */
type Names = Map<string, Exclude<AvroSchema, string>>;

/** Gathers encoded bytes. */
export class AvroWriter {
  #bytes = Buffer.allocUnsafe(4096);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** A copy of what was written; the writer starts anew. */
  take(): Uint8Array {
    const taken = Uint8Array.prototype.slice.call(this.#bytes, 0, this.#length);
    this.#length = 0;
    return taken;
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  /** Zig-zag, then seven bits a byte, lowest first. */
  long(value: number | bigint): void {
    const wide = BigInt(value);
    assert(BigInt.asIntN(64, wide) === wide, "an Avro long has 64 bits");
    let rest = BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n));
    while (rest > 0x7fn) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest));
  }

  bytes(value: Uint8Array): void {
    this.long(value.length);
    this.raw(value);
  }

  string(value: string): void {
    this.bytes(Buffer.from(value, "utf8"));
  }

  float(value: number, size: 4 | 8): void {
    this.#reserve(size);
    if (size === 4) this.#bytes.writeFloatLE(value, this.#length);
    else this.#bytes.writeDoubleLE(value, this.#length);
    this.#length += size;
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + size));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Reads encoded bytes; what does not fit throws CorruptData. */
export class AvroReader {
  readonly #bytes: Buffer;
  readonly #source: string;
  #at = 0;

  constructor(bytes: Uint8Array, source: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#source = source;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  raw(length: number): Uint8Array {
    const left = this.#bytes.length - this.#at;
    if (length > left) throw this.corrupt(`${length} bytes`, `${left} left`);
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  byte(): number {
    return this.raw(1)[0] as number;
  }

  /** A number when it is a safe integer, else a bigint. */
  long(): number | bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        const unzigged = BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
        const small = Number(unzigged);
        return Number.isSafeInteger(small) ? small : unzigged;
      }
    }
    throw this.corrupt("a long of at most 10 bytes", "more");
  }

  int(): number {
    const value = this.long();
    if (typeof value === "number") return value;
    throw this.corrupt("a small integer", String(value));
  }

  length(): number {
    const value = this.int();
    if (value < 0) throw this.corrupt("a length", String(value));
    return value;
  }

  bytes(): Uint8Array {
    return this.raw(this.length());
  }

  string(): string {
    return Buffer.from(this.bytes()).toString("utf8");
  }

  float(size: 4 | 8): number {
    const bytes = this.raw(size) as Buffer;
    return size === 4 ? bytes.readFloatLE(0) : bytes.readDoubleLE(0);
  }

  /** Calls `member` for each member of an array or a map, which come in counted blocks that end with an empty one. */
  blocks(member: () => void): void {
    for (let count = this.int(); count !== 0; count = this.int()) {
      if (count < 0) {
        this.length(); // A negative count is followed by the block's size in bytes, for readers that skip.
        count = -count;
      }
      if (count > this.#bytes.length - this.#at) {
        // Items of nothing take no bytes; no file of Iceberg's has such, and billions of them would fill the memory.
        throw this.corrupt(`at most ${this.#bytes.length - this.#at} members`, String(count));
      }
      for (let index = 0; index < count; index += 1) {
        if (this.atEnd) throw this.corrupt(`${count} members`, `the end after ${index}`);
        member();
      }
    }
  }

  corrupt(expected: string, found: string): CorruptData {
    return new CorruptData({ source: this.#source, position: this.#at, expected, found });
  }
}

export function writeAvro(writer: AvroWriter, schema: AvroSchema, value: AvroValue, names: Names = new Map()): void {
  const type = resolve(schema, names);
  if (Array.isArray(type)) {
    const branches = type as readonly AvroSchema[];
    const index = branches.findIndex((branch) => (branch === "null") === (value === null));
    assert(index >= 0, "the value fits no branch of the union");
    writer.long(index);
    writeAvro(writer, branches[index] as AvroSchema, value, names);
    return;
  }
  const node = type as Exclude<AvroSchema, string | readonly AvroSchema[]>;
  switch (node.type) {
    case "null":
      return;
    case "boolean":
      writer.byte(value === true ? 1 : 0);
      return;
    case "int":
    case "long":
      writer.long(value as number | bigint);
      return;
    case "float":
    case "double":
      writer.float(value as number, node.type === "float" ? 4 : 8);
      return;
    case "string":
      writer.string(value as string);
      return;
    case "bytes":
      writer.bytes(value as Uint8Array);
      return;
  }
  writeComplex(writer, node, value, names);
}

function writeComplex(
  writer: AvroWriter,
  node: Exclude<AvroSchema, string | readonly AvroSchema[]>,
  value: AvroValue,
  names: Names,
): void {
  if ("fields" in node) {
    for (const field of node.fields) {
      const member = (value as AvroObject)[field.name];
      writeAvro(writer, field.type, member ?? null, names);
    }
  } else if ("size" in node) {
    assert((value as Uint8Array).length === node.size, `${node.name} holds ${node.size} bytes`);
    writer.raw(value as Uint8Array);
  } else if ("items" in node) {
    const members = value as readonly AvroValue[];
    if (members.length > 0) {
      writer.long(members.length);
      for (const member of members) writeAvro(writer, node.items, member, names);
    }
    writer.long(0);
  } else {
    throw new TypeError(`Iceberg's files hold no Avro ${node.type}`);
  }
}

/** Values inside values: Iceberg's own are five deep. A record that holds itself never ends. */
const depthMax = 100;

export function readAvro(reader: AvroReader, schema: AvroSchema, names: Names = new Map(), depth = 0): AvroValue {
  if (depth > depthMax) throw reader.corrupt(`values at most ${depthMax} deep`, "deeper ones");
  const type = resolve(schema, names);
  if (Array.isArray(type)) {
    const branches = type as readonly AvroSchema[];
    const branch = branches[reader.length()];
    if (branch === undefined) throw reader.corrupt(`one of ${branches.length} branches`, "another");
    return readAvro(reader, branch, names, depth + 1);
  }
  const node = type as Exclude<AvroSchema, string | readonly AvroSchema[]>;
  switch (node.type) {
    case "null":
      return null;
    case "boolean":
      return reader.byte() !== 0;
    case "int":
      return reader.int();
    case "long":
      return reader.long();
    case "float":
      return reader.float(4);
    case "double":
      return reader.float(8);
    case "string":
      return reader.string();
    case "bytes":
      return reader.bytes();
  }
  return readComplex(reader, node, names, depth);
}

function readComplex(
  reader: AvroReader,
  node: Exclude<AvroSchema, string | readonly AvroSchema[]>,
  names: Names,
  depth: number,
): AvroValue {
  if ("fields" in node) {
    const record: Record<string, AvroValue> = {};
    for (const field of node.fields) record[memberName(field)] = readAvro(reader, field.type, names, depth + 1);
    return record;
  }
  if ("items" in node) {
    const members: AvroValue[] = [];
    reader.blocks(() => members.push(readAvro(reader, node.items, names, depth + 1)));
    return members;
  }
  if ("values" in node) {
    const map: Record<string, AvroValue> = {};
    reader.blocks(() => {
      map[reader.string()] = readAvro(reader, node.values, names, depth + 1);
    });
    return map;
  }
  if ("size" in node) return reader.raw(node.size);
  if ("symbols" in node) return node.symbols[reader.length()] ?? null;
  throw reader.corrupt("an Avro type", JSON.stringify(node.type));
}

function memberName(field: AvroField): string {
  return field["field-id"] === undefined ? field.name : String(field["field-id"]);
}

const primitives = new Set(["null", "boolean", "int", "long", "float", "double", "string", "bytes"]);

/** The type that a name stands for; a named type is remembered at its definition. */
function resolve(schema: AvroSchema, names: Names): Exclude<AvroSchema, string> {
  if (typeof schema === "string") {
    if (primitives.has(schema)) return { type: schema };
    const named = names.get(schema);
    if (named !== undefined) return named;
    throw new CorruptData({ source: "Avro schema", position: 0, expected: "a defined type", found: schema });
  }
  // {"type": {"type": "long", …}} and {"type": ["null", …]} stand for what they hold.
  if (!Array.isArray(schema) && typeof (schema as { readonly type: unknown }).type === "object") {
    return resolve((schema as { readonly type: AvroSchema }).type, names);
  }
  if ("name" in schema) names.set(schema.name, schema);
  return schema;
}
