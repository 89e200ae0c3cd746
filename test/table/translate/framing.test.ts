/** Proves: a record's schema is found wherever its serializer wrote which it is: before the data, in a header, as a number, a GUID or Glue's UUID. */
import { deflateSync } from "node:zlib";
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import type { NewRecord } from "../../../src/protocol/records.ts";
import type { SchemaId, SchemaText } from "../../../src/table/schema/schema-map.ts";
import type { TableSettings } from "../../../src/table/settings.ts";
import { InlineTranslator } from "../../../src/table/translate/translate-inline.ts";
import { readByHyparquet } from "../parquet-readers.ts";
import { rangeOf, roundLimits, tableSettings, translateAll, utf8, withSchemaId } from "../translate-fixtures.ts";

const guid = "00112233-4455-6677-8899-aabbccddeeff";
const other = "ffeeddcc-bbaa-9988-7766-554433221100";
const bytesOf = (uuid: string): Buffer => Buffer.from(uuid.replaceAll("-", ""), "hex");

const avro = (field: string, type: string): SchemaText => ({
  type: "AVRO",
  text: JSON.stringify({ type: "record", name: "R", fields: [{ name: field, type }] }),
});
const proto = `syntax = "proto3"; package p; message B { message C { int32 c = 1; } message A { int32 a = 1; } int32 b = 1; }`;

async function translated(
  schemas: Readonly<Record<string, SchemaText>>,
  records: readonly Partial<NewRecord>[],
  options: { readonly framing?: "glue"; readonly settings?: Partial<TableSettings> } = {},
) {
  const asked: SchemaId[] = [];
  await using translator = new InlineTranslator({
    limits: { ...roundLimits, ...(options.framing === undefined ? {} : { framing: options.framing }) },
    schemaById: async (id) => {
      asked.push(id);
      return schemas[String(id)];
    },
  });
  const settings = tableSettings("schema-id", { metadataColumns: ["offset"], ...options.settings });
  const { result } = await translateAll(translator, settings, [rangeOf(records)]);
  const rows = (await Promise.all(result.files.map(({ bytes }) => readByHyparquet(bytes)))).flat();
  const letters = result.deadLetterFile === undefined ? [] : await readByHyparquet(result.deadLetterFile.bytes);
  return {
    asked: new Set(asked),
    rows: rows.map(({ _kafka_partition, _kafka_offset, ...row }) => row),
    letters: letters.map(({ reason, schema_id: id }) => [reason, id]),
  };
}

const header = (name: string, ...value: readonly Uint8Array[]) => ({ key: utf8(name), value: Buffer.concat(value) });

describe("Confluent's", () => {
  const one = Uint8Array.of(1);
  const zero = Uint8Array.of(0);

  test("GUID in a header names the schema, and the value is data alone; the last header counts", async () => {
    const inHeader = [header("__value_schema_id", one, bytesOf(guid))];
    const { rows, asked } = await translated({ [guid]: avro("a", "int"), 7: avro("b", "int") }, [
      { value: Uint8Array.of(4), headers: inHeader },
      { value: withSchemaId(7, Uint8Array.of(6)), headers: [] },
      { value: Uint8Array.of(8), headers: [header("__value_schema_id", utf8("x")), header("other"), ...inHeader] },
      { value: Uint8Array.of(10), headers: [header("__value_schema_id", zero, Uint8Array.of(0, 0, 0, 7))] },
      { value: Buffer.concat([one, bytesOf(guid), Uint8Array.of(12)]) },
    ]);
    expect(rows).toEqual([
      { a: 2, b: null },
      { a: null, b: 3 },
      { a: 4, b: null },
      { a: null, b: 5 },
      { a: 6, b: null },
    ]);
    expect(asked).toEqual(new Set([guid, 7]));
  });

  test("headers of keys and values are told apart", async () => {
    const headers = [header("__key_schema_id", one, bytesOf(guid)), header("__value_schema_id", one, bytesOf(other))];
    const settings = { key: { decode: "schema-id" }, metadataColumns: ["key"] } as const;
    const record = { key: Uint8Array.of(2), value: Uint8Array.of(2, 97), headers };
    const { rows } = await translated({ [guid]: avro("a", "int"), [other]: avro("a", "string") }, [record], {
      settings,
    });
    expect(rows).toEqual([{ _kafka_key: { a: 1 }, a: "a" }]);
  });

  test("header of Protobuf holds the message's indexes too", async () => {
    const path = Uint8Array.of(4, 0, 2); // Two of them, zigzag: [0, 1].
    const { rows } = await translated({ [guid]: { type: "PROTOBUF", text: proto } }, [
      { value: Uint8Array.of(8, 5), headers: [header("__value_schema_id", one, bytesOf(guid), path)] },
      { value: Uint8Array.of(8, 6), headers: [header("__value_schema_id", one, bytesOf(guid), zero)] },
    ]);
    expect(rows).toEqual([
      { a: 5, b: null },
      { a: null, b: 6 },
    ]);
  });

  test("header that says nothing makes the record bad; an id that nobody knows too", async () => {
    const { letters } = await translated({}, [
      { value: withSchemaId(7, Uint8Array.of(4)), headers: [header("__value_schema_id", utf8("?"))] },
      { value: Uint8Array.of(4), headers: [header("__value_schema_id", one, bytesOf(guid))] },
      { value: withSchemaId(7, Uint8Array.of(4)) },
    ]);
    expect(letters).toEqual([
      ["no-schema-id", null],
      ["schema-refused", null],
      ["schema-refused", 7],
    ]);
  });
});

describe("AWS Glue's", () => {
  const head = (compression: number, id: string) => Buffer.concat([Uint8Array.of(3, compression), bytesOf(id)]);
  const glue = { framing: "glue" } as const;

  test("UUID stands before the data, which may be deflated", async () => {
    const { rows, letters } = await translated(
      { [guid]: avro("a", "string"), [other]: { type: "JSON", text: '{"properties":{"j":{"type":"integer"}}}' } },
      [
        { value: Buffer.concat([head(0, guid), Uint8Array.of(2, 97)]) },
        { value: Buffer.concat([head(5, guid), deflateSync(Uint8Array.of(2, 98))]) },
        { value: Buffer.concat([head(5, other), deflateSync(utf8('{"j":9223372036854775807}'))]) },
        { value: Buffer.concat([head(5, guid), utf8("not deflated")]) },
        { value: Buffer.concat([head(4, guid), Uint8Array.of(2, 97)]) },
        { value: withSchemaId(1, Uint8Array.of(2, 97)) },
      ],
      glue,
    );
    expect(rows.map(({ a, j }) => a ?? j)).toEqual(["a", "b", 9223372036854775807n]);
    expect(letters.map(([reason]) => reason)).toEqual(["malformed", "malformed", "no-schema-id"]);
  });

  test("data does not inflate beyond the bound", async () => {
    const bomb = deflateSync(Buffer.alloc(roundLimits.inflateBytesMax + 1));
    const { letters } = await translated(
      { [guid]: avro("a", "string") },
      [{ value: Buffer.concat([head(5, guid), bomb]) }],
      glue,
    );
    expect(letters).toEqual([["malformed", null]]);
  });

  test("Protobuf's messages are counted by their full names", async () => {
    // B = 0, B.A = 1, B.C = 2, as MessageIndexFinder of Glue's serializers counts them.
    const type = protobuf.parse(proto).root.lookupType("p.B.A");
    const put = (index: number, value: object) => ({
      value: Buffer.concat([head(0, guid), Uint8Array.of(index), type.encode(value).finish()]),
    });
    const { rows, letters } = await translated(
      { [guid]: { type: "PROTOBUF", text: proto } },
      [put(1, { a: 1 }), put(2, { a: 2 }), put(0, { a: 3 }), put(3, {})],
      glue,
    );
    expect(rows.map(({ a, b, c }) => ({ a, b, c }))).toEqual([
      { a: 1, b: null, c: null },
      { a: null, b: null, c: 2 },
      { a: null, b: 3, c: null },
    ]);
    expect(letters.map(([reason]) => reason)).toEqual(["malformed"]);
  });
});
