/** Encodes values of the types of docs/types.md into records, a field each. */
import avro from "avsc";
import protobuf from "protobufjs";
import type { SchemaText } from "../../src/table/schema/schema-map.ts";
import type { TypeSource } from "../../src/table/schema/type-table.ts";

export type Encode = (inputs: Readonly<Record<string, unknown>>) => Uint8Array;

export function encoderOf(source: TypeSource, schema: SchemaText | undefined): Encode {
  switch (source) {
    case "Avro":
      return avroEncoder(schema?.text ?? "");
    case "Protobuf":
      return protobufEncoder(schema?.text ?? "");
    case "JSON Schema":
    case "JSON without a schema":
      return (inputs) =>
        Buffer.from(
          `{${Object.entries(inputs)
            .map(([name, text]) => `${JSON.stringify(name)}:${String(text)}`)
            .join(",")}}`,
        );
  }
}

/** The schema in which every field may be missing. */
export function optional(source: TypeSource, { type, text }: SchemaText): SchemaText {
  if (source === "Protobuf")
    return { type, text: text.replaceAll(/^ {2}(?!repeated |map<)(?=[\w.]+ f\d+ = )/gm, "  optional ") };
  const record = JSON.parse(text) as { readonly fields: readonly { readonly name: string; readonly type: unknown }[] };
  const orNull = (each: unknown): unknown =>
    each === "null" ? each : ["null", ...[each].flat().filter((branch) => branch !== "null")];
  const fields = record.fields.map((field) => ({ ...field, type: orNull(field.type), default: null }));
  return { type, text: JSON.stringify({ ...record, fields }) };
}

/** 64 bits whole. */
const long = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer(value: bigint) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value: unknown) => typeof value === "bigint",
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
});

function avroEncoder(text: string): Encode {
  // Longs with a logical type are none of the registry's.
  const typeHook = (schema: unknown): avro.Type | undefined =>
    schema === "long" || (schema as { readonly type?: unknown }).type === "long" ? long : undefined;
  const type = avro.Type.forSchema(JSON.parse(text), { typeHook, wrapUnions: "always" });
  return (inputs) => type.toBuffer(inputs);
}

/** What the schema imports and protobufjs does not bring. */
const googleTypes = `syntax = "proto3"; package google.type;
message Date { int32 year = 1; int32 month = 2; int32 day = 3; }
message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }`;
const confluentTypes = `syntax = "proto3"; package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`;

function protobufEncoder(text: string): Encode {
  const root = new protobuf.Root();
  for (const name of ["timestamp", "duration", "wrappers", "struct", "any"])
    root.addJSON(protobuf.common.get(`google/protobuf/${name}.proto`)?.nested ?? {});
  for (const types of [googleTypes, confluentTypes]) protobuf.parse(types, root, { keepCase: true });
  protobuf.parse(text, root, { keepCase: true });
  const type = root.lookupType("All");
  const first = Uint8Array.of(0); // It is the file's first message.
  return (inputs) => {
    const present = Object.fromEntries(Object.entries(inputs).filter(([, value]) => value !== null));
    return Buffer.concat([first, type.encode(type.fromObject(present)).finish()]);
  };
}
