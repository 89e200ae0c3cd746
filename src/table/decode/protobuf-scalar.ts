/** Protobuf's scalars and enums into leaves, widened columns included. */
import { assert } from "../../base/errors.ts";
import type { ProtobufEnum, ProtobufScalar } from "../../registry/protobuf-schema.ts";
import { fixedBigintBytes } from "../iceberg/bounds.ts";
import type { BytesLeaf, Leaf } from "../translate/leaf.ts";
import { type ProtobufReader, wire } from "./protobuf-reader.ts";
import { putUtf8 } from "./put-text.ts";

/** One value at the reader: read it and put it, or put its default. */
export interface ScalarPut {
  /** Of one value that is not packed. */
  readonly wire: number;
  /** For strings and bytes the reader stands before the length. */
  put(reader: ProtobufReader, rep: number): void;
  zero(rep: number): void;
}

export function compileProtobufScalar(scalar: ProtobufScalar, leaf: Leaf): ScalarPut {
  const kind = scalarWire(scalar);
  switch (scalar) {
    case "string":
    case "bytes":
      assert(leaf.kind === "bytes", mismatch(scalar, leaf));
      return compileBytes(scalar, leaf);
    case "bool":
      assert(leaf.kind === "boolean", mismatch(scalar, leaf));
      return {
        wire: kind,
        put(reader, rep) {
          reader.readVarint();
          leaf.put(rep, (reader.low | reader.high) !== 0);
        },
        zero: (rep) => leaf.put(rep, false),
      };
    case "float":
      assert(leaf.kind === "float" || leaf.kind === "double", mismatch(scalar, leaf));
      return { wire: kind, put: (reader, rep) => leaf.put(rep, reader.readFloat()), zero: (rep) => leaf.put(rep, 0) };
    case "double":
      assert(leaf.kind === "double", mismatch(scalar, leaf));
      return { wire: kind, put: (reader, rep) => leaf.put(rep, reader.readDouble()), zero: (rep) => leaf.put(rep, 0) };
    case "uint64":
    case "fixed64": {
      assert(leaf.kind === "fixed", mismatch(scalar, leaf));
      const zero = fixedBigintBytes(0n, leaf.width);
      return {
        wire: kind,
        put(reader, rep) {
          readInteger(scalar, reader);
          leaf.put(rep, fixedBigintBytes(reader.unsigned, leaf.width), 0);
        },
        zero: (rep) => leaf.put(rep, zero, 0),
      };
    }
    case "int32":
    case "sint32":
    case "sfixed32":
    case "uint32":
    case "fixed32":
    case "int64":
    case "sint64":
    case "sfixed64":
      return compileInteger(scalar, leaf);
  }
}

function mismatch(type: string, leaf: Leaf): string {
  return `the mapping binds a Protobuf ${type} to a ${leaf.shape.type} column`;
}

export function scalarWire(scalar: ProtobufScalar): number {
  if (scalar === "string" || scalar === "bytes") return wire.length;
  if (scalar === "double" || scalar.endsWith("fixed64")) return wire.fixed64;
  return scalar === "float" || scalar.endsWith("fixed32") ? wire.fixed32 : wire.varint;
}

export type ProtobufInteger = Exclude<ProtobufScalar, "string" | "bytes" | "bool" | "float" | "double">;

/** Into the reader's low and high, sign or zeros extended to 64 bits; what is wider than the type is cut to it. */
export function readInteger(scalar: ProtobufInteger, reader: ProtobufReader): void {
  switch (scalar) {
    case "int32":
      reader.readVarint();
      reader.high = reader.low >> 31;
      return;
    case "sint32":
      reader.readVarint();
      reader.high = 0;
      reader.unzigzag();
      reader.high = reader.low >> 31;
      return;
    case "uint32":
      reader.readVarint();
      reader.high = 0;
      return;
    case "sfixed32":
      reader.low = reader.readFixed32();
      reader.high = reader.low >> 31;
      return;
    case "fixed32":
      reader.low = reader.readFixed32();
      reader.high = 0;
      return;
    case "int64":
    case "uint64":
      reader.readVarint();
      return;
    case "sint64":
      reader.readVarint();
      reader.unzigzag();
      return;
    case "fixed64":
    case "sfixed64":
      reader.readFixed64();
  }
}

function compileInteger(scalar: ProtobufInteger, leaf: Leaf): ScalarPut {
  const kind = scalarWire(scalar);
  if (leaf.kind === "int64") {
    return {
      wire: kind,
      put(reader, rep) {
        readInteger(scalar, reader);
        leaf.put(rep, reader.low, reader.high);
      },
      zero: (rep) => leaf.put(rep, 0, 0),
    };
  }
  assert(leaf.kind === "int32" || leaf.kind === "double", mismatch(scalar, leaf));
  return {
    wire: kind,
    put(reader, rep) {
      readInteger(scalar, reader);
      leaf.put(rep, reader.low);
    },
    zero: (rep) => leaf.put(rep, 0),
  };
}

const empty = new Uint8Array(0);

function compileBytes(scalar: "string" | "bytes", leaf: BytesLeaf): ScalarPut {
  const isText = scalar === "string";
  return {
    wire: wire.length,
    put(reader, rep) {
      const start = reader.takeLength();
      if (isText) putUtf8(leaf, rep, reader.bytes, start, reader.at);
      else leaf.put(rep, reader.bytes, start, reader.at);
    },
    zero: (rep) => leaf.put(rep, empty, 0, 0),
  };
}

/** By name; a number that the schema does not name yet is kept as its digits. */
export function compileProtobufEnum(type: ProtobufEnum, leaf: Leaf): ScalarPut {
  assert(leaf.kind === "bytes", mismatch("enum", leaf));
  const names = enumNames(type);
  const texts = new Map([...names].map(([number, name]) => [number, new TextEncoder().encode(name)]));
  const putNumber = (rep: number, number: number): void => {
    const text = texts.get(number);
    if (text === undefined) leaf.putString(rep, String(number));
    else leaf.put(rep, text, 0, text.length);
  };
  const first = type.values[0]?.number ?? 0;
  return {
    wire: wire.varint,
    put(reader, rep) {
      reader.readVarint();
      putNumber(rep, reader.low);
    },
    zero: (rep) => putNumber(rep, first),
  };
}

const namesOf = new WeakMap<ProtobufEnum, ReadonlyMap<number, string>>();

/** Of several names for one number the first. Kept, because whoever writes JSON asks for each value. */
export function enumNames(type: ProtobufEnum): ReadonlyMap<number, string> {
  const known = namesOf.get(type) ?? new Map(type.values.toReversed().map(({ name, number }) => [number, name]));
  namesOf.set(type, known);
  return known;
}
