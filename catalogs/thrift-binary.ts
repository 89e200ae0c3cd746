/**
 * Apache Thrift's binary protocol, strict (thrift/doc/specs/thrift-binary-protocol.md), without generated code: values carry
 * their types, so that a struct which somebody newer wrote is passed on whole, fields that we do not know included.
 *
 *   message   80 01 00 TT │ i32 name length │ name │ i32 seq id │ struct        TT: 1 call, 2 reply, 3 exception
 *   struct    ( i8 type │ i16 field id │ value )* │ 00
 *   string    i32 length │ bytes          list, set   i8 type │ i32 size │ values
 *   map       i8 key type │ i8 value type │ i32 size │ ( key │ value )*
 */
import { CorruptData } from "../src/base/errors.ts";

const types = {
  bool: 2,
  byte: 3,
  double: 4,
  i16: 6,
  i32: 8,
  i64: 10,
  string: 11,
  struct: 12,
  map: 13,
  set: 14,
  list: 15,
} as const;

type Kind = keyof typeof types;

const kinds: ReadonlyMap<number, Kind> = new Map(Object.entries(types).map(([kind, type]) => [type, kind as Kind]));

export type ThriftValue =
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "byte" | "i16" | "i32" | "double"; readonly value: number }
  | { readonly kind: "i64"; readonly value: bigint }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "struct"; readonly fields: ThriftStruct }
  | { readonly kind: "list" | "set"; readonly of: Kind; readonly items: readonly ThriftValue[] }
  | {
      readonly kind: "map";
      readonly keys: Kind;
      readonly values: Kind;
      readonly entries: readonly (readonly [ThriftValue, ThriftValue])[];
    };

/** By field id. */
export type ThriftStruct = ReadonlyMap<number, ThriftValue>;

export interface ThriftMessage {
  readonly type: number;
  readonly name: string;
  readonly seq: number;
  readonly body: ThriftStruct;
}

export const call = 1;
export const reply = 2;
export const exception = 3;

/** The message has not arrived whole. */
export class Incomplete extends Error {
  override readonly name = "Incomplete";
}

export function struct(fields: Readonly<Record<number, ThriftValue>>): ThriftValue {
  return { kind: "struct", fields: new Map(Object.entries(fields).map(([id, value]) => [Number(id), value])) };
}

export function text(value: string): ThriftValue {
  return { kind: "string", value };
}

export function i32(value: number): ThriftValue {
  return { kind: "i32", value };
}

export function i64(value: bigint): ThriftValue {
  return { kind: "i64", value };
}

export function bool(value: boolean): ThriftValue {
  return { kind: "bool", value };
}

export function list(of: Kind, items: readonly ThriftValue[]): ThriftValue {
  return { kind: "list", of, items };
}

export function textMap(entries: Iterable<readonly [string, string]>): ThriftValue {
  return {
    kind: "map",
    keys: "string",
    values: "string",
    entries: [...entries].map(([key, value]) => [text(key), text(value)]),
  };
}

/** The text at a field; undefined when there is none. */
export function textAt(fields: ThriftStruct, id: number): string | undefined {
  const value = fields.get(id);
  return value?.kind === "string" ? value.value : undefined;
}

export function structAt(fields: ThriftStruct, id: number): ThriftStruct | undefined {
  const value = fields.get(id);
  return value?.kind === "struct" ? value.fields : undefined;
}

export function textMapAt(fields: ThriftStruct, id: number): ReadonlyMap<string, string> {
  const value = fields.get(id);
  if (value?.kind !== "map") return new Map();
  return new Map(
    value.entries.flatMap(([key, member]) =>
      key.kind === "string" && member.kind === "string" ? [[key.value, member.value] as const] : [],
    ),
  );
}

export function encodeMessage(message: ThriftMessage): Uint8Array {
  const parts: Buffer[] = [];
  const head = Buffer.alloc(4);
  head.writeUInt32BE((version | message.type) >>> 0);
  parts.push(head);
  encodeValue(text(message.name), parts);
  encodeValue(i32(message.seq), parts);
  encodeValue({ kind: "struct", fields: message.body }, parts);
  return Buffer.concat(parts);
}

const version = 0x8001_0000;

function encodeValue(value: ThriftValue, parts: Buffer[]): void {
  switch (value.kind) {
    case "bool":
      parts.push(Buffer.from([value.value ? 1 : 0]));
      return;
    case "byte":
    case "i16":
    case "i32":
      parts.push(integer(value.value, widths[value.kind]));
      return;
    case "double": {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleBE(value.value);
      parts.push(bytes);
      return;
    }
    case "i64": {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64BE(value.value);
      parts.push(bytes);
      return;
    }
    case "string": {
      const bytes = Buffer.from(value.value, "utf8");
      parts.push(integer(bytes.length, 4), bytes);
      return;
    }
    case "struct":
      for (const [id, field] of value.fields) {
        parts.push(Buffer.from([types[field.kind]]), integer(id, 2));
        encodeValue(field, parts);
      }
      parts.push(Buffer.from([0]));
      return;
    case "list":
    case "set":
      parts.push(Buffer.from([types[value.of]]), integer(value.items.length, 4));
      for (const item of value.items) encodeValue(item, parts);
      return;
    case "map":
      parts.push(Buffer.from([types[value.keys], types[value.values]]), integer(value.entries.length, 4));
      for (const entry of value.entries) for (const member of entry) encodeValue(member, parts);
      return;
  }
}

const widths = { byte: 1, i16: 2, i32: 4 } as const;

function integer(value: number, width: 1 | 2 | 4): Buffer {
  const bytes = Buffer.alloc(width);
  bytes.writeIntBE(value, 0, width);
  return bytes;
}

/** Throws Incomplete when more bytes must come, CorruptData when none could help. */
export function decodeMessage(bytes: Uint8Array, source: string): ThriftMessage & { readonly bytes: number } {
  const reader = new Reader(bytes, source);
  const head = reader.integer(4) >>> 0;
  const type = head & 0xff;
  if ((head & 0xffff_0000) >>> 0 !== version) throw reader.corrupt("a strict message", head.toString(16));
  const name = reader.text();
  const seq = reader.integer(4);
  const body = reader.struct(0);
  return { type, name, seq, body, bytes: reader.position };
}

/** Structs in structs: a table has five. */
const depthMax = 32;

class Reader {
  readonly #bytes: Buffer;
  readonly #source: string;
  position = 0;

  constructor(bytes: Uint8Array, source: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#source = source;
  }

  integer(width: 1 | 2 | 4): number {
    return this.#bytes.readIntBE(this.#take(width), width);
  }

  text(): string {
    const length = this.#size();
    const from = this.#take(length);
    return this.#bytes.toString("utf8", from, from + length);
  }

  struct(depth: number): ThriftStruct {
    const fields = new Map<number, ThriftValue>();
    for (;;) {
      const type = this.integer(1);
      if (type === 0) return fields;
      const id = this.integer(2);
      fields.set(id, this.#value(this.#kind(type), depth + 1));
    }
  }

  corrupt(expected: string, found: unknown): CorruptData {
    return new CorruptData({ source: this.#source, position: this.position, expected, found: String(found) });
  }

  #value(kind: Kind, depth: number): ThriftValue {
    if (depth > depthMax) throw this.corrupt(`at most ${depthMax} levels`, "more");
    switch (kind) {
      case "bool":
        return { kind, value: this.integer(1) !== 0 };
      case "byte":
      case "i16":
      case "i32":
        return { kind, value: this.integer(widths[kind]) };
      case "double":
        return { kind, value: this.#bytes.readDoubleBE(this.#take(8)) };
      case "i64":
        return { kind, value: this.#bytes.readBigInt64BE(this.#take(8)) };
      case "string":
        return { kind, value: this.text() };
      case "struct":
        return { kind, fields: this.struct(depth) };
      case "list":
      case "set": {
        const of = this.integer(1);
        const size = this.#size();
        return {
          kind,
          of: this.#kindOf(of, size),
          items: this.#many(size, () => this.#value(this.#kind(of), depth + 1)),
        };
      }
      case "map": {
        const [keys, values] = [this.integer(1), this.integer(1)];
        const size = this.#size();
        return {
          kind,
          keys: this.#kindOf(keys, size),
          values: this.#kindOf(values, size),
          entries: this.#many(size, () => {
            const key = this.#value(this.#kind(keys), depth + 1);
            return [key, this.#value(this.#kind(values), depth + 1)] as const;
          }),
        };
      }
    }
  }

  /** Each takes a byte at least, so what is announced and does not come ends in Incomplete. */
  #many<T>(size: number, read: () => T): readonly T[] {
    const items: T[] = [];
    while (items.length < size) items.push(read());
    return items;
  }

  #kind(type: number): Kind {
    const kind = kinds.get(type);
    if (kind === undefined) throw this.corrupt("a type", type);
    return kind;
  }

  /** Of an empty collection some writers leave the types out. */
  #kindOf(type: number, size: number): Kind {
    return size === 0 && type === 0 ? "string" : this.#kind(type);
  }

  #size(): number {
    const size = this.integer(4);
    if (size < 0) throw this.corrupt("a size", size);
    return size;
  }

  #take(length: number): number {
    const from = this.position;
    if (from + length > this.#bytes.length) throw new Incomplete(`${this.#source} goes on`);
    this.position += length;
    return from;
  }
}
