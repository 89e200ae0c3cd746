/**
 * Protobuf types as table types. Fields are bound by number, so that a renamed one keeps its column.
 *
 *   int32, sint32, sfixed32 → int · uint32, fixed32, int64, sint64, sfixed64 → long · uint64, fixed64 → decimal(20, 0)
 *   float, double, bool → boolean, string, bytes → binary, enum → string
 *   Timestamp → timestamptz · google.type.Date → date · TimeOfDay → time · wrappers → what they wrap
 *   Struct, Value, ListValue, Any → JSON text · any other message → struct · repeated → list · map → map (keys as text)
 *   confluent.type.Decimal of a field that says its scale → decimal, from rules 7 on
 *   a message inside itself, beyond recursionMax → JSON text
 */
import { CorruptData } from "../../base/errors.ts";
import {
  type ProtobufField,
  type ProtobufFile,
  type ProtobufMessage,
  type ProtobufScalar,
  type ProtobufType,
  parseProtobuf,
} from "../../registry/protobuf-schema.ts";
import { InvalidProtobuf } from "../../registry/protobuf-text.ts";
import type { PrimitiveType } from "../iceberg/types.ts";
import { connectDecimal } from "./connect-types.ts";
import { knowsAllConnectTypes } from "./mapping-rules.ts";
import type { SchemaText } from "./schema-map.ts";
import { isNothing, json, nestingMax, nothing, recursionMax, type SourceType, TypeBudget } from "./schema-map-types.ts";

/** Throws CorruptData when it is no .proto file. */
export function protobufFile({ text, references = [] }: SchemaText): ProtobufFile {
  try {
    return parseProtobuf(text, references);
  } catch (cause) {
    if (!(cause instanceof InvalidProtobuf)) throw cause;
    const expected = `a .proto file (${cause.message})`;
    throw new CorruptData({ source: "Protobuf schema", position: 0, expected, found: text.slice(0, 40) });
  }
}

/** A record's type. Its fields are bound under its name too: one topic may carry several messages. */
export function protobufSourceType(message: ProtobufMessage, rules = 1): SourceType {
  const site: Site = { above: [message], budget: new TypeBudget(), rules };
  return structOf(message, site, (number) => `${message.name}${protobufKey(number)}`);
}

/** As one value: what a message stands for, or its fields. */
export function protobufValueType(message: ProtobufMessage, rules = 1): SourceType {
  return convert(message, { above: [], budget: new TypeBudget(), rules });
}

/** The column of a field of Kafka Connect's decimals. Each value has a scale of its own: the field must say that of all. */
export function protobufDecimal({ type, label, params }: ProtobufField, rules: number): PrimitiveType | undefined {
  const isDecimal = type.kind === "message" && type.name === "confluent.type.Decimal" && label !== "map";
  if (!isDecimal || !knowsAllConnectTypes(rules)) return undefined;
  return connectDecimal({ scale: params?.get("scale"), precision: params?.get("precision") });
}

/** What a field is bound by. No name can begin like this. */
export function protobufKey(number: number): string {
  return `#${number}`;
}

interface Site {
  /** Messages on the way down, to see recursion and depth. */
  readonly above: readonly ProtobufMessage[];
  readonly budget: TypeBudget;
  readonly rules: number;
}

function structOf(message: ProtobufMessage, site: Site, key: (number: number) => string): SourceType {
  const fields = message.fields.map((field) => {
    const decimal = protobufDecimal(field, site.rules);
    const value: SourceType = decimal === undefined ? convert(field.type, site) : { kind: "primitive", type: decimal };
    const type: SourceType =
      field.label === "repeated"
        ? { kind: "list", element: value }
        : field.label === "map"
          ? { kind: "map", value }
          : value;
    return { name: field.name, key: key(field.number), type };
  });
  const struct: SourceType = { kind: "struct", fields };
  return isNothing(struct) ? nothing : struct;
}

function convert(type: ProtobufType, { above, budget, rules }: Site): SourceType {
  budget.take("Protobuf schema");
  if (type.kind === "scalar") return { kind: "primitive", type: protobufPrimitive(type.scalar) };
  if (type.kind === "enum") return { kind: "primitive", type: "string" };
  const special = protobufSpecial(type);
  switch (special?.kind) {
    case "json":
      return json;
    case "primitive":
      return { kind: "primitive", type: special.type };
    case "wrapper":
      return { kind: "primitive", type: protobufPrimitive(special.scalar) };
    case undefined:
  }
  if (above.length >= nestingMax || above.filter((other) => other === type).length > recursionMax) return json;
  return structOf(type, { above: [...above, type], budget, rules }, protobufKey);
}

export function protobufPrimitive(scalar: ProtobufScalar): PrimitiveType {
  switch (scalar) {
    case "int32":
    case "sint32":
    case "sfixed32":
      return "int";
    case "uint32":
    case "fixed32":
    case "int64":
    case "sint64":
    case "sfixed64":
      return "long";
    case "uint64":
    case "fixed64":
      return "decimal(20, 0)";
    case "bool":
      return "boolean";
    case "bytes":
      return "binary";
    case "float":
    case "double":
    case "string":
      return scalar;
  }
}

/** Messages that stand for a value of their own. */
export type ProtobufSpecial =
  | { readonly kind: "json" }
  | { readonly kind: "primitive"; readonly type: "timestamptz" | "date" | "time" }
  | { readonly kind: "wrapper"; readonly scalar: ProtobufScalar };

const wrappers: readonly (readonly [string, ProtobufScalar])[] = [
  ["DoubleValue", "double"],
  ["FloatValue", "float"],
  ["Int64Value", "int64"],
  ["UInt64Value", "uint64"],
  ["Int32Value", "int32"],
  ["UInt32Value", "uint32"],
  ["BoolValue", "bool"],
  ["StringValue", "string"],
  ["BytesValue", "bytes"],
];

const specials: ReadonlyMap<string, ProtobufSpecial> = new Map<string, ProtobufSpecial>([
  ["google.protobuf.Timestamp", { kind: "primitive", type: "timestamptz" }],
  ["google.type.Date", { kind: "primitive", type: "date" }],
  ["google.type.TimeOfDay", { kind: "primitive", type: "time" }],
  ["google.protobuf.Struct", { kind: "json" }],
  ["google.protobuf.Value", { kind: "json" }],
  ["google.protobuf.ListValue", { kind: "json" }],
  ["google.protobuf.Any", { kind: "json" }],
  ...wrappers.map(([name, scalar]): [string, ProtobufSpecial] => [
    `google.protobuf.${name}`,
    { kind: "wrapper", scalar },
  ]),
]);

export function protobufSpecial({ name }: ProtobufMessage): ProtobufSpecial | undefined {
  return specials.get(name);
}
