/** Protobuf's scalars and enums into columns whose type a person gave. */
import type { ProtobufMessage, ProtobufType } from "../../registry/protobuf-schema.ts";
import type { Leaf } from "../translate/leaf.ts";
import { castable, compileCast, floatText } from "./cast.ts";
import { protobufScalarJson } from "./protobuf-json.ts";
import { wire } from "./protobuf-reader.ts";
import { type ScalarPut, scalarWire } from "./protobuf-scalar.ts";

export function compileProtobufCast(type: Exclude<ProtobufType, ProtobufMessage>, leaf: Leaf): ScalarPut {
  const put = compileCast(leaf);
  const isText = type.kind === "enum" || type.scalar === "string" || type.scalar === "bytes";
  const isFloat = type.kind === "scalar" && type.scalar === "float";
  return {
    wire: type.kind === "enum" ? wire.varint : scalarWire(type.scalar),
    put(reader, rep) {
      if (isFloat) put({ text: floatText(reader.readFloat()), isText }, rep);
      else put(castable(protobufScalarJson(type, reader), isText), rep);
    },
    // A text that is not on the wire is empty, which most types have no value for; a number is zero.
    zero(rep) {
      if (isText) leaf.levels.none(rep, leaf.maxDef - 1);
      else put({ text: type.kind === "scalar" && type.scalar === "bool" ? "false" : "0", isText }, rep);
    },
  };
}
