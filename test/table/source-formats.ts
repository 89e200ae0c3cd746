/** Kinds of sources: how each declares a type and encodes a value, written down apart from what reads them. */
import type { Random } from "../../src/base/runtime.ts";
import { int } from "../support/seeded.ts";
import { type Fields, type Kinds, pick, type Scalar, type Shape, type Value } from "./source-shapes.ts";
import { withSchemaId } from "./translate-fixtures.ts";

export interface Format extends Kinds {
  /** undefined: records carry no schema id. */
  readonly type: "AVRO" | "JSON" | "PROTOBUF" | undefined;
  declare(shape: Shape): string;
  encode(shape: Shape, value: Value, schemaId: number): Uint8Array;
}

type Make = (random: Random) => { readonly sent: unknown; readonly read: unknown };

const asIs =
  (...values: readonly unknown[]): Make =>
  (random) => {
    const value = pick(random, values);
    return { sent: value, read: value };
  };

const ints = asIs(0, 1, -1, 63, 64, 8191, 2 ** 31 - 1, -(2 ** 31));
const unsigned = asIs(0, 1, 2 ** 32 - 1);
const longs = asIs(0n, 1n, -1n, 2n ** 31n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n));
const floats = asIs(0, -0, 1.5, Math.fround(0.1), Number.NaN, Number.POSITIVE_INFINITY, 3.4028234663852886e38);
const doubles = asIs(0, -0, 0.1, Number.NaN, Number.NEGATIVE_INFINITY, 5e-324, 1.7976931348623157e308);
const texts = asIs("", "a", "é\u0000", "𝒳".repeat(20), "\u{10ffff}".repeat(17), "{}", "2020-02-29");
const booleans = asIs(true, false);

/** Sent otherwise than it is read. */
const pairs =
  (...values: readonly (readonly [unknown, unknown])[]): Make =>
  (random) => {
    const [sent, read] = pick(random, values);
    return { sent, read };
  };

const hex = (bytes: readonly number[]): string => `0x${Buffer.from(bytes).toString("hex")}`;
const binary: Make = (random) => {
  const bytes = pick(random, [[], [0], [255, 255], Array.from({ length: 20 }, () => 255)]);
  return { sent: bytes, read: hex(bytes) };
};
const uuidText = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
const uuids = pairs([uuidText, `0x${uuidText.replaceAll("-", "")}`]);

// ---- Avro ----

const logical = (type: string, logicalType: string, more: object = {}): object => ({ type, logicalType, ...more });
const decimals = (digits: number): Make => {
  const most = 10n ** BigInt(digits) - 1n;
  return (random) => {
    const read = pick(random, [0n, -1n, 127n, 128n, most, -most]);
    let width = 1;
    while (BigInt.asIntN(width * 8, read) !== read) width += 1;
    const bytes = Array.from({ length: width }, (_, at) => Number((read >> BigInt(8 * (width - 1 - at))) & 255n));
    return { sent: bytes, read };
  };
};

const avro: Format = {
  type: "AVRO",
  nestsFreely: true,
  hasEmpty: true,
  hasChoices: true,
  scalars: [
    { name: "boolean", declared: "boolean", make: booleans },
    { name: "int", declared: "int", make: ints },
    { name: "long", declared: "long", make: longs },
    { name: "float", declared: "float", make: floats },
    { name: "double", declared: "double", make: doubles },
    { name: "string", declared: "string", make: texts },
    { name: "bytes", declared: "bytes", make: binary },
    { name: "null", declared: "null", make: pairs([null, null]), isVoid: true },
    { name: "uuid", declared: logical("string", "uuid"), make: uuids },
    { name: "date", declared: logical("int", "date"), make: asIs(0, -719_162, 2_932_896) },
    { name: "time", declared: logical("int", "time-millis"), make: pairs([0, 0n], [86_399_999, 86_399_999_000n]) },
    {
      name: "timestamptz",
      declared: logical("long", "timestamp-millis"),
      make: pairs([-1n, -1000n], [10n ** 12n, 10n ** 15n]),
    },
    { name: "timestamp", declared: logical("long", "local-timestamp-micros"), make: asIs(0n, -1n, 10n ** 15n) },
    { name: "decimal9", declared: logical("bytes", "decimal", { precision: 9, scale: 2 }), make: decimals(9) },
    { name: "decimal18", declared: logical("bytes", "decimal", { precision: 18, scale: 2 }), make: decimals(18) },
    { name: "decimal30", declared: logical("bytes", "decimal", { precision: 30, scale: 2 }), make: decimals(30) },
    { name: "enum", declared: { type: "enum", symbols: ["X", "Y"] }, make: pairs([0, "X"], [1, "Y"]) },
    { name: "fixed3", declared: { type: "fixed", size: 3 }, make: pairs([{ fixed: [1, 2, 255] }, "0x0102ff"]) },
  ],
  declare: (shape) => JSON.stringify(avroType(shape, "R")),
  encode: (shape, value, schemaId) => withSchemaId(schemaId, Uint8Array.from(avroBytes(shape, value))),
};

function avroType(shape: Shape, name: string): unknown {
  switch (shape.kind) {
    case "scalar": {
      const { declared } = shape.scalar;
      return typeof declared === "object" && shape.scalar.name.match(/enum|fixed/) ? { ...declared, name } : declared;
    }
    case "struct":
      return {
        type: "record",
        name,
        fields: [...shape.fields].map(([field, of]) => ({ name: field, type: avroType(of, `${name}_${field}`) })),
      };
    case "list":
      return { type: "array", items: avroType(shape.of, `${name}_item`) };
    case "map":
      return { type: "map", values: avroType(shape.of, `${name}_value`) };
    case "optional":
      return ["null", avroType(shape.of, name)];
    case "choice":
      return [...shape.of].map(([field, of]) => avroType(of, `${name}_${field}`));
  }
}

function zigzag(value: bigint | number): number[] {
  const wide = BigInt(value);
  return varint(BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n)));
}

function varint(value: bigint | number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

function little(bytes: number, set: (view: DataView) => void): number[] {
  const view = new DataView(new ArrayBuffer(bytes));
  set(view);
  return [...new Uint8Array(view.buffer)];
}

const float = (value: number): number[] => little(4, (view) => view.setFloat32(0, value, true));
const double = (value: number): number[] => little(8, (view) => view.setFloat64(0, value, true));

function lengthAnd(bytes: readonly number[], length: (value: number) => number[]): number[] {
  return [...length(bytes.length), ...bytes];
}

function avroBytes(shape: Shape, value: Value): number[] {
  if (shape.kind === "optional") return value.kind === "absent" ? [0] : [2, ...avroBytes(shape.of, value)];
  switch (value.kind) {
    case "absent":
      throw new Error("only what is optional is absent");
    case "scalar":
      return avroScalar((shape as { readonly scalar: Scalar }).scalar, value.sent);
    case "fields": {
      if (shape.kind === "choice") {
        const [[name, only]] = [...value.fields] as [[string, Value]];
        return [...zigzag([...shape.of.keys()].indexOf(name)), ...avroBytes(shape.of.get(name) as Shape, only)];
      }
      const fields = [...(shape as { readonly fields: Fields }).fields];
      return fields.flatMap(([name, of]) => avroBytes(of, value.fields.get(name) as Value));
    }
    case "list":
    case "map": {
      const { of } = shape as { readonly of: Shape };
      const items =
        value.kind === "list"
          ? value.items.map((item) => avroBytes(of, item))
          : value.entries.map(([key, item]) => [...lengthAnd([...Buffer.from(key)], zigzag), ...avroBytes(of, item)]);
      // Each in a block of its own; every other one says its size.
      const blocks = items.map((item, at) =>
        at % 2 === 0 ? [...zigzag(1), ...item] : [...zigzag(-1), ...zigzag(item.length), ...item],
      );
      return [...blocks.flat(), 0];
    }
  }
}

function avroScalar({ name, declared }: Scalar, sent: unknown): number[] {
  if (name === "null") return [];
  if (typeof sent === "boolean") return [sent ? 1 : 0];
  if (typeof sent === "string") return lengthAnd([...Buffer.from(sent)], zigzag);
  if (Array.isArray(sent)) return lengthAnd(sent as number[], zigzag);
  if (typeof sent === "object") return (sent as { readonly fixed: number[] }).fixed;
  if (declared === "float") return float(sent as number);
  return declared === "double" ? double(sent as number) : zigzag(sent as number);
}

// ---- Protobuf ----

const seconds: Make = pairs([{ 1: 10n ** 9n }, 10n ** 15n], [{}, 0n]);

const protobuf: Format = {
  type: "PROTOBUF",
  nestsFreely: false,
  hasEmpty: true,
  hasChoices: false,
  scalars: [
    { name: "boolean", declared: "bool", make: booleans },
    { name: "int", declared: "int32", make: ints },
    { name: "int", declared: "sint32", make: ints },
    { name: "int", declared: "sfixed32", make: ints },
    { name: "long", declared: "uint32", make: unsigned },
    { name: "long", declared: "int64", make: longs },
    { name: "long", declared: "sint64", make: longs },
    { name: "decimal20", declared: "uint64", make: asIs(0n, 1n, 2n ** 64n - 1n) },
    { name: "float", declared: "float", make: floats },
    { name: "double", declared: "double", make: doubles },
    { name: "string", declared: "string", make: texts },
    { name: "bytes", declared: "bytes", make: binary },
    { name: "string", declared: "E", make: pairs([0, "X"], [1, "Y"]) },
    { name: "timestamptz", declared: "google.protobuf.Timestamp", make: seconds },
    { name: "long", declared: "google.protobuf.Int64Value", make: pairs([{ 1: 7n }, 7n], [{}, 0n]) },
  ],
  declare: (shape) => {
    const messages: string[] = [];
    protobufMessage(shape as { readonly fields: Fields }, "M", messages);
    const imports = ["timestamp", "wrappers"].map((name) => `import "google/protobuf/${name}.proto";`);
    return ['syntax = "proto3";', ...imports, ...messages, "enum E { X = 0; Y = 1; }"].join("\n");
  },
  encode: (shape, value, schemaId) => withSchemaId(schemaId, Uint8Array.from([0, ...protobufBytes(shape, value)])),
};

const numberOf = (name: string): number => name.charCodeAt(0) - 96;

function protobufMessage({ fields }: { readonly fields: Fields }, name: string, messages: string[]): void {
  const at = messages.push("") - 1; // Before those that are in it: the first message of a file is the record.
  const typeOf = (of: Shape, path: string): string => {
    switch (of.kind) {
      case "scalar":
        return String(of.scalar.declared);
      case "struct":
        protobufMessage(of, path, messages);
        return path;
      case "list":
        return `repeated ${typeOf(of.of, path)}`;
      case "map":
        return `map<string, ${typeOf(of.of, path)}>`;
      case "optional":
        return `optional ${typeOf(of.of, path)}`;
      case "choice":
        throw new Error("Protobuf has no unions");
    }
  };
  const lines = [...fields].map(([field, of]) => `  ${typeOf(of, `${name}_${field}`)} ${field} = ${numberOf(field)};`);
  messages[at] = `message ${name} {\n${lines.join("\n")}\n}`;
}

function protobufBytes(shape: Shape, value: Value): number[] {
  if (value.kind === "scalar") return protobufScalar((shape as { readonly scalar: Scalar }).scalar, value.sent).bytes;
  if (value.kind !== "fields" || shape.kind !== "struct") throw new Error(`a ${value.kind} is no content`);
  return [...value.fields].flatMap(([name, item]) => {
    const of = shape.fields.get(name) as Shape;
    return protobufField(numberOf(name), of, item);
  });
}

function protobufField(number: number, shape: Shape, value: Value): number[] {
  switch (value.kind) {
    case "absent":
      return [];
    case "list":
      return value.items.flatMap((item) => protobufField(number, (shape as { readonly of: Shape }).of, item));
    case "map":
      return value.entries.flatMap(([key, item]) => {
        const keyBytes = protobufField(
          1,
          { kind: "scalar", scalar: keyScalar },
          { kind: "scalar", sent: key, read: key },
        );
        const entry = [...keyBytes, ...protobufField(2, (shape as { readonly of: Shape }).of, item)];
        return [...varint(number * 8 + 2), ...lengthAnd(entry, varint)];
      });
    case "scalar":
    case "fields": {
      const of = shape.kind === "optional" ? shape.of : shape;
      const { wire, bytes } =
        of.kind === "scalar" && value.kind === "scalar"
          ? protobufScalar(of.scalar, value.sent)
          : { wire: 2, bytes: protobufBytes(of, value) };
      return [...varint(number * 8 + wire), ...(wire === 2 ? lengthAnd(bytes, varint) : bytes)];
    }
  }
}

const keyScalar: Scalar = { name: "string", declared: "string", make: texts };

function protobufScalar({ declared }: Scalar, sent: unknown): { readonly wire: number; readonly bytes: number[] } {
  if (typeof sent === "string") return { wire: 2, bytes: [...Buffer.from(sent)] };
  if (Array.isArray(sent)) return { wire: 2, bytes: sent as number[] };
  if (typeof sent === "object") {
    const { 1: first } = sent as { readonly 1?: bigint };
    return { wire: 2, bytes: first === undefined ? [] : [8, ...varint(first)] };
  }
  switch (declared) {
    case "float":
      return { wire: 5, bytes: float(sent as number) };
    case "double":
      return { wire: 1, bytes: double(sent as number) };
    case "sfixed32":
      return { wire: 5, bytes: little(4, (view) => view.setInt32(0, sent as number, true)) };
    case "sint32":
    case "sint64":
      return { wire: 0, bytes: zigzag(sent as bigint) };
    default:
      return { wire: 0, bytes: varint(BigInt(sent as number)) };
  }
}

// ---- JSON, with and without a schema ----

const anyJson = asIs(1, "x", true, [1, "x"], { k: [null, 1.5] }, [], {});
const jsonScalars: readonly Scalar[] = [
  { name: "string", declared: { type: "string" }, make: texts },
  { name: "string", declared: { enum: ["X", "Y"] }, make: asIs("X", "Y") },
  { name: "long", declared: { type: "integer" }, make: asIs(0, -1, 1e15, 2n ** 53n + 1n, 2n ** 63n - 1n) },
  { name: "double", declared: { type: "number" }, make: asIs(0, 0.1, -1e300, 7) },
  { name: "boolean", declared: { type: "boolean" }, make: booleans },
];

const jsonSchema: Format = {
  type: "JSON",
  nestsFreely: true,
  hasEmpty: false,
  hasChoices: false,
  scalars: [
    ...jsonScalars,
    {
      name: "timestamptz",
      declared: { type: "string", format: "date-time" },
      make: pairs(["1970-01-01T00:00:01Z", 10n ** 6n]),
    },
    { name: "date", declared: { type: "string", format: "date" }, make: pairs(["1970-01-02", 1]) },
    { name: "uuid", declared: { type: "string", format: "uuid" }, make: uuids },
    { name: "json", declared: {}, make: anyJson, isJson: true },
    { name: "json", declared: { anyOf: [{ type: "integer" }, { type: "string" }] }, make: asIs(1, "x"), isJson: true },
    { name: "null", declared: { type: "null" }, make: pairs([null, null]), isVoid: true },
  ],
  declare: (shape) => JSON.stringify(jsonType(shape)),
  encode: (shape, value, schemaId) => withSchemaId(schemaId, json.encode(shape, value, schemaId)),
};

const json: Format = {
  type: undefined,
  nestsFreely: true,
  hasEmpty: false,
  hasChoices: false,
  scalars: [
    ...jsonScalars,
    { name: "json", declared: {}, make: anyJson, isJson: true },
    { name: "null", declared: {}, make: pairs([null, null]), isVoid: true },
  ],
  declare: () => "",
  encode: (_shape, value) => new TextEncoder().encode(jsonText(jsonValue(value))),
};

function jsonType(shape: Shape): unknown {
  switch (shape.kind) {
    case "scalar":
      return shape.scalar.declared;
    case "struct":
      return {
        type: "object",
        properties: Object.fromEntries([...shape.fields].map(([name, of]) => [name, jsonType(of)])),
      };
    case "list":
      return { type: "array", items: jsonType(shape.of) };
    case "map":
      return { type: "object", additionalProperties: jsonType(shape.of) };
    case "optional":
      return { anyOf: [{ type: "null" }, jsonType(shape.of)] };
    case "choice":
      throw new Error("choices are JSON text");
  }
}

/** Integers beyond doubles stay bigint. */
export function jsonValue(value: Value): unknown {
  switch (value.kind) {
    case "absent":
      return null;
    case "scalar":
      return value.sent;
    case "fields":
      return Object.fromEntries([...value.fields].map(([name, item]) => [name, jsonValue(item)]));
    case "list":
      return value.items.map(jsonValue);
    case "map":
      return Object.fromEntries(value.entries.map(([name, item]) => [name, jsonValue(item)]));
  }
}

function jsonText(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map(jsonText).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, item]) => `${JSON.stringify(name)}:${jsonText(item)}`)
    .join()}}`;
}

export function readJsonText(text: string): unknown {
  const read = (_key: string, value: unknown, { source = "" }: { readonly source?: string } = {}): unknown =>
    typeof value === "number" && /^-?\d+$/.test(source) && !Number.isSafeInteger(value) ? BigInt(source) : value;
  return JSON.parse(text, read) as unknown;
}

export function randomFormat(random: Random): Format {
  return [avro, protobuf, jsonSchema, json][int(random, 4)] as Format;
}
