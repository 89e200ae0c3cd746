/** Schemas that change at every depth: fields added in structs, in a list's elements and a map's values, and types widened there. */
import type { Cell } from "../canonical.ts";
import type { TypedRecord, TypedTopic } from "./typed-topic.ts";

const struct = (...cells: readonly Cell[]): Cell => ({ struct: cells });
const entry = (key: string, ...cells: readonly Cell[]): Cell => struct(key, struct(...cells));
const big = 2 ** 40;

/** A decimal of scale 2, in Avro's bytes. */
function cents(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

const decimal = (precision: number): object => ({ type: "bytes", logicalType: "decimal", precision, scale: 2 });
const record = (name: string, fields: Readonly<Record<string, unknown>>): object => ({
  type: "record",
  name,
  fields: Object.entries(fields).map(([field, type]) => ({
    name: field,
    type,
    ...(Array.isArray(type) && type[0] === "null" ? { default: null } : {}),
  })),
});

const avroBefore = record("All", {
  id: "int",
  s: record("S", { a: "int" }),
  l: { type: "array", items: record("L", { a: "int" }) },
  m: { type: "map", values: record("M", { a: "float" }) },
  d: decimal(9),
});
const avroAfter = record("All", {
  added: ["null", "long"],
  id: "long",
  d: decimal(20),
  s: record("S", { a: "long", deep: ["null", record("D", { x: "string" })] }),
  l: { type: "array", items: record("L", { a: "long", b: ["null", "string"] }) },
  m: { type: "map", values: record("M", { a: "double", b: ["null", "int"] }) },
});

const avroOld: TypedRecord = {
  inputs: { id: 1, s: { a: -1 }, l: [{ a: 1 }, { a: 2 }], m: { k: { a: 0.5 } }, d: cents(-199n) },
  cells: {
    id: 1n,
    s: struct(-1n, null),
    l: [struct(1n, null), struct(2n, null)],
    m: [entry("k", 0.5, null)],
    d: { decimal: "-1.99" },
  },
};
const avroNew: TypedRecord = {
  inputs: {
    added: { long: 5n },
    id: 2n ** 63n - 1n,
    d: cents(10n ** 17n),
    s: { a: BigInt(big), deep: { D: { x: "🦆" } } },
    l: [{ a: BigInt(big), b: { string: "" } }],
    m: { k: { a: 0.1, b: { int: -1 } } },
  },
  cells: {
    added: 5n,
    id: 2n ** 63n - 1n,
    d: { decimal: `1${"0".repeat(15)}` },
    s: struct(BigInt(big), struct("🦆")),
    l: [struct(BigInt(big), "")],
    m: [entry("k", 0.1, -1n)],
  },
};
const avroSparse: TypedRecord = {
  inputs: { added: null, id: 3n, d: cents(0n), s: { a: 0n, deep: null }, l: [], m: { k: { a: Number.NaN, b: null } } },
  cells: { added: null, id: 3n, d: { decimal: "0" }, s: struct(0n, null), l: [], m: [entry("k", Number.NaN, null)] },
};

const protoHead = 'syntax = "proto3";\n';
const protoBefore = `${protoHead}message All { S s = 1; repeated S l = 2; map<string, S> m = 3; }
message S { int32 a = 1; }`;
/** Fields are added, one is renamed. */
const protoAfter = `${protoHead}message All { S s = 1; repeated S l = 2; map<string, S> m = 3; int64 added = 4; }
message S { int32 renamed = 1; optional string b = 2; D deep = 3; }
message D { int64 x = 1; }`;

const jsonSchema = (s: object, more: object = {}): string =>
  JSON.stringify({
    type: "object",
    properties: {
      s: { type: "object", properties: s },
      l: { type: "array", items: { type: "object", properties: s } },
      m: { type: "object", additionalProperties: { type: "object", properties: s } },
      ...more,
    },
  });

const json = (value: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(value).map(([name, each]) => [name, JSON.stringify(each)]));

export const evolvedTopics: readonly TypedTopic[] = [
  {
    name: "evolved_avro",
    source: "Avro",
    types: [],
    steps: [
      { schema: { type: "AVRO", text: JSON.stringify(avroBefore) }, records: [avroOld] },
      { schema: { type: "AVRO", text: JSON.stringify(avroAfter) }, records: [avroNew, avroSparse] },
      { schema: { type: "AVRO", text: JSON.stringify(avroBefore) }, records: [avroOld] },
    ],
  },
  {
    name: "evolved_protobuf",
    source: "Protobuf",
    types: [],
    steps: [
      {
        schema: { type: "PROTOBUF", text: protoBefore },
        records: [
          {
            inputs: { s: { a: -1 }, l: [{ a: 1 }, {}], m: { k: { a: 7 } } },
            cells: {
              s: struct(-1n, null, null),
              l: [struct(1n, null, null), struct(0n, null, null)],
              m: [entry("k", 7n, null, null)],
            },
          },
        ],
      },
      {
        schema: { type: "PROTOBUF", text: protoAfter },
        records: [
          {
            inputs: {
              s: { renamed: 2, b: "", deep: { x: big } },
              l: [{ deep: {} }],
              m: { k: { b: "🦆" } },
              added: big,
            },
            cells: {
              s: struct(2n, "", struct(BigInt(big))),
              l: [struct(0n, null, struct(0n))],
              m: [entry("k", 0n, "🦆", null)],
              added: BigInt(big),
            },
          },
          { inputs: {}, cells: { s: null, l: [], m: [], added: 0n } },
        ],
      },
    ],
  },
  {
    name: "evolved_json_schema",
    source: "JSON Schema",
    types: [],
    steps: [
      {
        schema: { type: "JSON", text: jsonSchema({ a: { type: "integer" } }) },
        records: [
          {
            inputs: json({ s: { a: 1 }, l: [{ a: 2 }, {}], m: { k: { a: 3 } } }),
            cells: {
              s: struct(1n, null),
              l: [struct(2n, null), struct(null, null)],
              m: [entry("k", 3n, null)],
              _extra: null,
            },
          },
        ],
      },
      {
        schema: {
          type: "JSON",
          text: jsonSchema({ a: { type: "integer" }, b: { type: "string" } }, { added: { type: "boolean" } }),
        },
        records: [
          {
            inputs: json({ s: { b: "🦆" }, l: [{ a: big, b: "" }], m: { k: { b: "x" } }, added: true }),
            cells: {
              s: struct(null, "🦆"),
              l: [struct(BigInt(big), "")],
              m: [entry("k", null, "x")],
              added: true,
            },
          },
        ],
      },
    ],
  },
  {
    name: "evolved_json",
    source: "JSON without a schema",
    types: [],
    steps: [
      {
        schema: undefined,
        records: [
          {
            inputs: json({ s: { a: 1 }, l: [{ a: 2 }] }),
            cells: { s: struct(1, null), l: [struct(2, null)], _extra: null },
          },
        ],
      },
      {
        schema: undefined,
        records: [
          {
            inputs: json({ s: { b: true }, l: [{ b: "🦆" }, { a: "text" }], added: [1.5] }),
            cells: {
              s: struct(null, true),
              l: [struct(null, "🦆"), struct(null, null)],
              added: [1.5],
              _extra: '{"/l/1/a":"text"}',
            },
          },
        ],
      },
    ],
  },
];
