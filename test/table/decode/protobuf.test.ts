/** Proves that what protobufjs encodes lands in columns as it was, for any schema and message, and that bad bytes are bad records, never more. */
import fc from "fast-check";
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { protobufMessageAt } from "../../../src/registry/protobuf-schema.ts";
import { BadRecord } from "../../../src/table/decode/bad-record.ts";
import { makeBound } from "../../../src/table/decode/bound.ts";
import { compileProtobuf } from "../../../src/table/decode/protobuf.ts";
import { ProtobufReader } from "../../../src/table/decode/protobuf-reader.ts";
import { Columns } from "../../../src/table/parquet/columns.ts";
import { ParquetWriter } from "../../../src/table/parquet/parquet.ts";
import { evolve, initialMapping, type TableMapping } from "../../../src/table/schema/schema-map.ts";
import { protobufFile } from "../../../src/table/schema/schema-map-protobuf.ts";
import type { Int32Leaf, Int64Leaf, Leaf } from "../../../src/table/translate/leaf.ts";
import { queryByDuckDb } from "../parquet-readers.ts";
import { plainDuckDb } from "../parquet-values.ts";
import { putRow, type Value } from "../rows.ts";
import { parquetOptions, tableSettings } from "../translate-fixtures.ts";

const settings = tableSettings("schema-id", { metadataColumns: [] });

function mappingOf(text: string, before?: TableMapping, schemaId = 1): TableMapping {
  const start = before ?? {
    ...initialMapping(settings),
    schema: { type: "struct" as const, "schema-id": 0, fields: [] },
    own: {},
  };
  const schema = { type: "PROTOBUF" as const, text };
  const evolution = evolve(start, { kind: "schema-id", part: "value", schemaId, schema, message: [0] }, settings);
  if (evolution.kind === "refused") throw new Error(evolution.reason);
  return evolution.mapping;
}

function decodeInto(mapping: TableMapping, text: string, messages: readonly Uint8Array[]): Columns {
  const columns = new Columns(mapping.schema);
  const message = protobufMessageAt(protobufFile({ type: "PROTOBUF", text }), [0]);
  if (message === undefined) throw new Error("the schema has no message");
  const put = compileProtobuf(message, columns.root, makeBound(mapping.bindings));
  for (const bytes of messages) {
    put(new ProtobufReader(bytes, 0));
    columns.endRow();
  }
  return columns;
}

/** Rows as DuckDB reads them from the written file. */
async function rowsOf(columns: Columns): Promise<readonly Record<string, unknown>[]> {
  const writer = new ParquetWriter(columns.schema, parquetOptions);
  writer.rowGroup(columns);
  const rows = await queryByDuckDb(writer.finish().bytes, "SELECT * FROM read_parquet($file)");
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plainDuckDb(value)])));
}

async function rowOf(text: string, bytes: Uint8Array): Promise<Record<string, unknown>> {
  const rows = await rowsOf(decodeInto(mappingOf(text), text, [bytes]));
  return rows[0] ?? {};
}

const proto3 = (...statements: readonly string[]): string => `syntax = "proto3"; ${statements.join("\n")}`;

test("every scalar lands in its column", async () => {
  const text = proto3(
    "message M { int32 a = 1; sint64 b = 2; uint32 c = 3; uint64 d = 4; fixed64 e = 5; string f = 6; bytes g = 7; bool h = 8; double i = 9; E j = 10; map<int32, string> k = 11; repeated int32 l = 12; optional int32 m = 13; }",
    "enum E { NONE = 0; SOME = 1; }",
  );
  const type = protobuf.parse(text).root.lookupType("M");
  const sent = { a: -1, b: "-5", c: 4294967295, d: "18446744073709551615", e: "7", f: "é", h: true, i: -0.5, j: 1 };
  const bytes = type.encode(type.fromObject({ ...sent, k: { 3: "x" }, l: [1, 2] })).finish();
  expect(await rowOf(text, bytes)).toEqual({
    a: -1,
    b: -5n,
    c: 4294967295n,
    d: 18446744073709551615n,
    e: 7n,
    f: "é",
    g: "0x",
    h: true,
    i: -0.5,
    j: "SOME",
    k: [["3", "x"]],
    l: [1, 2],
    m: null,
  });
});

/** Bytes by hand: what an encoder would not write. */
const tag = (number: number, kind: number): number => (number << 3) | kind;
const framed = (number: number, bytes: readonly number[]): number[] => [tag(number, 2), bytes.length, ...bytes];

const times = (count: number, bytes: readonly number[]): number[] => Array.from({ length: count }, () => bytes).flat();

describe("the wire", () => {
  test("of a singular field the last value counts", async () => {
    expect(await rowOf(proto3("message M { int32 a = 1; }"), Uint8Array.of(8, 1, 8, 2))).toEqual({ a: 2 });
  });

  test("pieces of a message are one message", async () => {
    const text = proto3("message M { N n = 1; } message N { int32 a = 1; int32 b = 2; repeated int32 c = 3; }");
    const bytes = Uint8Array.from([...framed(1, [8, 1, 24, 5]), ...framed(1, [16, 2, 24, 6])]);
    expect(await rowOf(text, bytes)).toEqual({ n: { a: 1, b: 2, c: [5, 6] } });
  });

  test("of a oneof the last member counts, and a member that comes back begins anew", async () => {
    const text = proto3("message M { oneof o { N n = 1; int32 i = 2; } } message N { int32 a = 1; int32 b = 2; }");
    expect(await rowOf(text, Uint8Array.from([...framed(1, [8, 1]), 16, 0]))).toEqual({ n: null, i: 0 });
    const back = Uint8Array.from([...framed(1, [8, 1]), 16, 0, ...framed(1, [16, 2])]);
    expect(await rowOf(text, back)).toEqual({ n: { a: 0, b: 2 }, i: null });
  });

  test("numbers may be packed or not", async () => {
    const text = proto3("message M { repeated int32 a = 1; repeated fixed32 b = 2 [packed = false]; }");
    const bytes = Uint8Array.from([8, 1, ...framed(1, [2, 3]), 8, 4, ...framed(1, []), ...framed(2, [5, 0, 0, 0])]);
    expect(await rowOf(text, bytes)).toEqual({ a: [1, 2, 3, 4], b: [5n] });
  });

  test("what the schema does not name is passed over, groups too, and so is a strange wire type", async () => {
    const group = [tag(9, 3), 8, 7, tag(3, 3), tag(3, 4), tag(9, 4)];
    const bytes = Uint8Array.from([
      ...group,
      ...framed(8, [1]),
      tag(7, 1),
      ...times(8, [0]),
      tag(1, 5),
      1,
      2,
      3,
      4,
      8,
      6,
    ]);
    expect(await rowOf(proto3("message M { int32 a = 1; }"), bytes)).toEqual({ a: 6 });
  });

  test("a declared group is a message", async () => {
    const text = 'syntax = "proto2"; message M { optional group G = 1 { optional int32 a = 1; } }';
    expect(await rowOf(text, Uint8Array.of(tag(1, 3), 8, 7, tag(1, 4)))).toEqual({ g: { a: 7 } });
  });

  test("of entries with one key the last counts, and what an entry leaves out is the default", async () => {
    const text = proto3("message M { map<bool, N> a = 1; } message N { int32 x = 1; }");
    const entry = (key: number, x: number): number[] => framed(1, [8, key, ...framed(2, [8, x])]);
    const bytes = Uint8Array.from([...entry(1, 5), ...entry(1, 6), ...framed(1, [])]);
    expect(await rowOf(text, bytes)).toEqual({
      a: [
        ["true", { x: 6 }],
        ["false", { x: 0 }],
      ],
    });
  });

  test.each([
    ["a field number 0", [0, 0]],
    ["an end of no group", [tag(1, 4)]],
    ["a group that another ends", [tag(2, 3), tag(3, 4)]],
    ["a length beyond the end", [tag(2, 2), 200, 1]],
    ["a varint of eleven bytes", [8, ...times(10, [255]), 1]],
    ["groups without end", times(5000, [tag(2, 3)])],
    ["text that is not UTF-8", framed(3, [255])],
  ])("%s is a bad record", (_, bytes) => {
    const text = proto3("message M { int32 a = 1; string s = 3; }");
    expect(() => decodeInto(mappingOf(text), text, [Uint8Array.from(bytes)])).toThrow(BadRecord);
  });

  test("few bytes cannot fill the memory", () => {
    const wide = Array.from({ length: 500 }, (_, at) => `int32 f${at} = ${at + 1};`).join(" ");
    const text = proto3(`message M { repeated N n = 1; } message N { ${wide} }`);
    const bytes = Uint8Array.from(times(20_000, [10, 0]));
    expect(() => decodeInto(mappingOf(text), text, [bytes])).toThrow(/cells/);
  });
});

describe("messages with a meaning of their own", () => {
  const text = proto3(
    'import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";',
    'import "google/protobuf/duration.proto"; import "google/type/date.proto"; import "google/type/timeofday.proto"; import "google/protobuf/any.proto";',
    "message M { google.protobuf.Timestamp at = 1; google.protobuf.UInt64Value w = 2; google.protobuf.Struct s = 3;",
    "google.protobuf.Duration d = 4; google.type.Date day = 5; google.type.TimeOfDay time = 6; google.protobuf.Any any = 7; }",
  );

  test("are values", async () => {
    const minusOne = [...times(9, [255]), 1];
    const value = framed(1, [...framed(1, [97]), ...framed(2, [32, 1])]);
    const bytes = Uint8Array.from([
      ...framed(1, [8, ...minusOne, 16, 208, 15]),
      ...framed(2, []),
      ...framed(3, value),
      ...framed(4, [8, 3]),
      ...framed(5, [8, 178, 15, 16, 2, 24, 1]),
      ...framed(6, [8, 1]),
      ...framed(7, framed(1, [120])),
    ]);
    const row = await rowOf(text, bytes);
    expect(row).toMatchObject({ w: 0n, s: '{"a":true}', d: { seconds: 3n, nanos: 0 }, any: '{"type_url":"x"}' });
    const leaves = decodeInto(mappingOf(text), text, [bytes]).leaves;
    const leaf = (name: string): unknown => leaves.find(({ shape }) => shape.path[0] === name);
    expect((leaf("at") as Int64Leaf).at(0)).toBe(-999_998n);
    expect((leaf("time") as Int64Leaf).at(0)).toBe(3_600_000_000n);
    expect((leaf("day") as Int32Leaf).values[0]).toBe(31);
  });

  test("are null when they are not there, and out of range when no calendar has them", async () => {
    expect(await rowOf(text, new Uint8Array(0))).toEqual({
      at: null,
      w: null,
      s: null,
      d: null,
      day: null,
      time: null,
      any: null,
    });
    for (const bytes of [framed(5, [8, 1]), framed(6, [8, 30]), framed(1, [8, ...times(8, [255]), 127])])
      expect(() => decodeInto(mappingOf(text), text, [Uint8Array.from(bytes)])).toThrow(BadRecord);
  });

  test("inside themselves become JSON text where the columns end", async () => {
    const tree = proto3("message M { int64 id = 1; M child = 2; repeated M more = 3; }");
    const node = (id: number, inside: readonly number[]): number[] => [8, id, ...framed(2, inside)];
    const bytes = Uint8Array.from(node(1, node(2, node(3, node(4, [8, 5, ...framed(3, [])])))));
    const row = JSON.stringify(await rowOf(tree, bytes), (_, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    expect(row).toContain('{\\"id\\":\\"4\\",\\"child\\":{\\"id\\":\\"5\\",\\"more\\":[{}]}}');
  });
});

describe("evolution", () => {
  test("a renamed field keeps its column, an added one gets one, a removed one is null", async () => {
    const before = proto3("message M { int32 a = 1; string gone = 2; N n = 3; } message N { int32 x = 1; }");
    const after = proto3("message M { int64 b = 1; N n = 3; bool c = 4; } message N { int32 y = 1; int32 x = 2; }");
    const mapping = mappingOf(after, mappingOf(before), 2);
    const bytes = Uint8Array.from([8, 7, ...framed(3, [8, 1, 16, 2]), 32, 1]);
    expect(await rowsOf(decodeInto(mapping, after, [bytes]))).toEqual([
      { a: 7n, gone: null, n: { x: 1, x_2: 2 }, c: true },
    ]);
    expect(mappingOf(after, mapping, 2)).toBe(mapping);
  });
});

describe("any message of any schema", () => {
  test("lands in columns as it was", () => {
    fc.assert(
      fc.property(schemaWithMessages(), ({ text, rows }) => {
        const type = protobuf.parse(text, { keepCase: true }).root.lookupType("M");
        const mapping = mappingOf(text);
        const encoded = rows.map(({ sent }) => type.encode(type.fromObject(sent)).finish());
        const expected = new Columns(mapping.schema);
        for (const { row } of rows) putRow(expected, row);
        expect(decodeInto(mapping, text, encoded).leaves.map(dumpOf)).toEqual(expected.leaves.map(dumpOf));
      }),
      { numRuns: 150 },
    );
  });

  test("is a row or a bad record when its bytes are cut or changed", () => {
    fc.assert(
      fc.property(
        schemaWithMessages(),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(),
        ({ text, rows }, changes, cut) => {
          const type = protobuf.parse(text, { keepCase: true }).root.lookupType("M");
          const whole = type.encode(type.fromObject(rows[0]?.sent ?? {})).finish();
          const bytes = Uint8Array.from(whole).subarray(0, whole.length - (cut % (whole.length + 1)));
          for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
          expectRowOrBadRecord(text, bytes);
        },
      ),
      { numRuns: 150 },
    );
  });
});

function expectRowOrBadRecord(text: string, bytes: Uint8Array): void {
  try {
    const columns = decodeInto(mappingOf(text), text, [bytes]);
    for (const leaf of columns.leaves) if (leaf.maxRep === 0) expect(leaf.slots).toBe(1);
  } catch (cause) {
    expect(cause).toBeInstanceOf(BadRecord);
  }
}

/** What a leaf holds, without what its arrays have in reserve. */
function dumpOf(leaf: Leaf): unknown {
  const values =
    leaf.kind === "int64" || leaf.kind === "bytes" || leaf.kind === "fixed"
      ? Array.from({ length: leaf.count }, (_, at) => String(leaf.at(at)))
      : [...leaf.values.subarray(0, leaf.count)];
  return { path: leaf.shape.path, defs: [...leaf.defs.subarray(0, leaf.slots)], reps: repsOf(leaf), values };
}

function repsOf(leaf: Leaf): readonly number[] {
  return leaf.maxRep === 0 ? [] : [...leaf.reps.subarray(0, leaf.slots)];
}

/** One field: how it is spelled, and its values as protobufjs takes them and as the row holds them. */
interface Shape {
  readonly type: string;
  readonly label: "" | "optional " | "repeated " | "map" | "oneof";
  readonly value: fc.Arbitrary<Sent>;
  /** What stands for a singular value that is not on the wire. */
  readonly zero: Value;
  readonly nested: string;
}

interface Sent {
  readonly sent: unknown;
  readonly row: Value;
}

const same = <T extends Value>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<Sent> =>
  arbitrary.map((value) => ({ sent: value, row: value }));
const long = (arbitrary: fc.Arbitrary<bigint>): fc.Arbitrary<Sent> =>
  arbitrary.map((value) => ({ sent: String(value), row: value }));

type Scalar = readonly [type: string, value: fc.Arbitrary<Sent>, zero: Value];
const int32 = fc.integer();
const uint32 = fc.nat(2 ** 32 - 1).map((value) => ({ sent: value, row: BigInt(value) }));
const int64 = long(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
const uint64 = long(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const scalars: readonly Scalar[] = [
  ...["int32", "sint32", "sfixed32"].map((type): Scalar => [type, same(int32), 0]),
  ...["uint32", "fixed32"].map((type): Scalar => [type, uint32, 0n]),
  ...["int64", "sint64", "sfixed64"].map((type): Scalar => [type, int64, 0n]),
  ...["uint64", "fixed64"].map((type): Scalar => [type, uint64, 0n]),
  ["float", same(fc.float({ noNaN: true }).map((value) => value)), 0],
  ["double", same(fc.double({ noNaN: true })), 0],
  ["bool", same(fc.boolean()), false],
  ["string", same(fc.string({ unit: "grapheme" })), ""],
  ["bytes", same(fc.uint8Array({ maxLength: 9 })), new Uint8Array(0)],
  ["E", fc.constantFrom(0, 1, 5).map((sent) => ({ sent, row: ["ZERO", "ONE"][sent] ?? String(sent) })), "ZERO"],
];

const labels = ["", "optional ", "repeated ", "map", "oneof"] as const;

function shape(depth: number): fc.Arbitrary<Shape> {
  const scalar = fc.constantFrom(...scalars).map(([type, value, zero]) => ({ type, value, zero, nested: "" }));
  const nested = (): fc.Arbitrary<Omit<Shape, "label">> =>
    fields(depth - 1).map(({ body, value }) => ({ type: "", value, zero: null, nested: body }));
  const kind = depth > 0 ? fc.oneof({ weight: 4, arbitrary: scalar }, { weight: 1, arbitrary: nested() }) : scalar;
  return fc.tuple(kind, fc.constantFrom(...labels)).map(([base, label]) => ({ ...base, label }));
}

/** A message's body, and its values. */
function fields(depth: number): fc.Arbitrary<{ readonly body: string; readonly value: fc.Arbitrary<Sent> }> {
  return fc.tuple(fc.array(shape(depth), { minLength: 1, maxLength: 6 }), fc.boolean()).map(([shapes, isSparse]) => {
    const number = (at: number): number => (isSparse ? at * 300 + 7 : at + 1);
    const members = shapes.flatMap(({ label }, at) => (label === "oneof" ? [at] : []));
    const body = shapes.map((each, at) => spelled(each, at, number(at)));
    const oneof = members.length === 0 ? "" : `oneof o { ${members.map((at) => body[at]).join(" ")} }`;
    const types = shapes.map(({ nested }, at) => (nested === "" ? "" : `message N${at} { ${nested} }`));
    const rest = body.filter((_, at) => !members.includes(at));
    const chosen = members.length === 0 ? fc.constant(-1) : fc.constantFrom(-1, ...members);
    const value = chosen.chain((member) =>
      fc.tuple(...shapes.map((each, at) => valueOf(each, at === member))).map((parts) => ({
        sent: Object.fromEntries(parts.flatMap(({ sent }, at) => (sent === undefined ? [] : [[`f${at}`, sent]]))),
        row: Object.fromEntries(parts.map(({ row }, at) => [`f${at}`, row])),
      })),
    );
    return { body: [...types, ...rest, oneof].join(" "), value };
  });
}

function spelled({ type, label, nested }: Shape, at: number, number: number): string {
  const name = nested === "" ? type : `N${at}`;
  if (label === "map") return `map<string, ${name}> f${at} = ${number};`;
  return `${label === "oneof" ? "" : label}${name} f${at} = ${number};`;
}

function valueOf({ label, value, zero }: Shape, isMember: boolean): fc.Arbitrary<Sent> {
  switch (label) {
    case "":
      return fc.option(value, { nil: { sent: undefined, row: zero } });
    case "optional ":
      return fc.option(value, { nil: { sent: undefined, row: null } });
    case "oneof":
      return isMember ? value : fc.constant({ sent: undefined, row: null });
    case "repeated ":
      return fc
        .array(value, { maxLength: 4 })
        .map((items) => ({ sent: items.map(({ sent }) => sent), row: items.map(({ row }) => row) }));
    case "map":
      return fc
        .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z]{1,4}$/), value), { maxLength: 3, selector: ([key]) => key })
        .map((items) => ({
          sent: Object.fromEntries(items.map(([key, { sent }]) => [key, sent])),
          row: items.map(([key, { row }]) => [key, row]),
        }));
  }
}

function schemaWithMessages(): fc.Arbitrary<{
  readonly text: string;
  readonly rows: readonly {
    readonly sent: Record<string, unknown>;
    readonly row: { readonly [name: string]: Value };
  }[];
}> {
  return fields(2).chain(({ body, value }) =>
    fc.array(value, { minLength: 1, maxLength: 4 }).map((rows) => ({
      text: proto3(`message M { ${body} }`, "enum E { ZERO = 0; ONE = 1; }"),
      rows: rows as never,
    })),
  );
}
