/** Proves: keys have types of their own, of whatever format, in one column or in several, and identify rows in every write mode. */
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import type { NewRecord } from "../../src/protocol/records.ts";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import type { TableMapping } from "../../src/table/schema/schema-map.ts";
import type { TableSettings, WriteMode } from "../../src/table/settings.ts";
import { InlineTranslator } from "../../src/table/translate/translate-inline.ts";
import { readRows, type TableRow } from "../support/iceberg-reader.ts";
import { Lake } from "../support/lake.ts";
import { readByHyparquet } from "./parquet-readers.ts";
import {
  inlineTranslator,
  Registry,
  rangeOf,
  roundLimits,
  tableSettings,
  translateAll,
  utf8,
  withSchemaId,
} from "./translate-fixtures.ts";

const onlyKey = { metadataColumns: ["key"] } as const;

async function translated(
  settings: TableSettings,
  records: readonly Partial<NewRecord>[],
  registry = new Registry(),
): Promise<{ rows: readonly TableRow[]; letters: readonly unknown[]; mapping: TableMapping }> {
  await using translator = inlineTranslator(registry);
  const { result, mapping } = await translateAll(translator, settings, [rangeOf(records)]);
  const rows = (await Promise.all(result.files.map(({ bytes }) => readByHyparquet(bytes)))).flat();
  const letters = result.deadLetterFile === undefined ? [] : await readByHyparquet(result.deadLetterFile.bytes);
  return { rows, mapping, letters: letters.map(({ reason, detail }) => [reason, detail]) };
}

const jsonKeys = (...keys: readonly unknown[]) =>
  keys.map((key) => ({ key: key === null ? null : utf8(JSON.stringify(key)), value: utf8("v") }));

describe("JSON keys without a schema", () => {
  const nested = tableSettings("string", { key: { decode: "json" }, ...onlyKey });
  const flat = tableSettings("string", { key: { decode: "json", columns: "flat" }, ...onlyKey });

  test("are a struct under the reserved prefix, whole numbers as longs", async () => {
    const { rows, mapping } = await translated(nested, jsonKeys({ id: 1, of: { a: "x" } }, null, { id: 2, w: 1.5 }));
    expect(rows.map((row) => row["_kafka_key"] ?? null)).toMatchObject([
      { id: 1n, of: { a: "x" } },
      null,
      { id: 2n, w: 1.5 },
    ]);
    const key = mapping.schema.fields.find((field) => field.name === "_kafka_key");
    expect(key?.type).toMatchObject({ type: "struct", fields: [{ type: "long" }, { name: "of" }, { type: "double" }] });
  });

  test("are columns of the table where they are to lie flat, beside fields of the value by the same name", async () => {
    const settings = { ...flat, value: { ...flat.value, decode: "json" as const } };
    const records = [{ key: utf8('{"id":9007199254740993}'), value: utf8('{"id":"of the value"}') }];
    const { rows } = await translated(settings, records);
    expect(rows).toMatchObject([{ _kafka_key_id: 9007199254740993n, id: "of the value" }]);
  });

  test("of one value are one column", async () => {
    const { rows } = await translated(nested, jsonKeys(7, 8));
    expect(rows.map((row) => row["_kafka_key"])).toEqual([7n, 8n]);
  });

  test("lose nothing: what no column of theirs takes is a dead letter", async () => {
    const keys = jsonKeys({ id: 1 }, { id: "two" }, "three", { id: 4.5 }, { id: 5, empty: [] }, { id: 6 });
    const broken = { key: utf8("{"), value: utf8("v") };
    const { rows, letters } = await translated(nested, [...keys, broken]);
    expect(rows.map((row) => row["_kafka_key"])).toEqual([{ id: 1n }, { id: 6n }]);
    expect(letters.map((letter) => (letter as readonly unknown[])[0])).toEqual([
      "type-mismatch",
      "type-mismatch",
      "type-mismatch",
      "type-mismatch",
      "malformed",
    ]);
  });
});

describe("JSON keys that do not say what they are of", () => {
  test.each(["nested", "flat"] as const)("are dead letters, but for one without any value: %s", async (columns) => {
    const settings = tableSettings("string", { key: { decode: "json", columns }, ...onlyKey });
    const { rows, letters } = await translated(
      settings,
      jsonKeys([], [null], { id: [] }, { id: {} }, {}, { id: null }),
    );
    expect(rows.map((row) => row["_kafka_key"] ?? null)).toEqual([null, null]);
    expect(letters.map((letter) => (letter as readonly unknown[])[0])).toEqual(Array(4).fill("type-mismatch"));
  });

  test("are rows once there is a column that takes them", async () => {
    const settings = tableSettings("string", { key: { decode: "json" }, ...onlyKey });
    const { rows, letters } = await translated(settings, jsonKeys([1], [], [null]));
    expect(rows.map((row) => row["_kafka_key"])).toEqual([[1n], [], [null]]);
    expect(letters).toEqual([]);
  });
});

describe("keys of the registry", () => {
  test("lose nothing that their JSON Schema does not name, in whatever they hold", async () => {
    const registry = new Registry();
    const record = { type: "object", properties: { id: { type: "integer" } } };
    const [one, several] = [
      registry.register("JSON", record),
      registry.register("JSON", { type: "array", items: record }),
    ];
    const settings = tableSettings("string", { ...onlyKey, key: { decode: "schema-id" } });
    const translate = (schemaId: number, keys: readonly unknown[]) =>
      translated(
        settings,
        keys.map((key) => ({ key: withSchemaId(schemaId, utf8(JSON.stringify(key))), value: utf8("v") })),
        registry,
      );
    const records = await translate(one, [{ id: 1 }, { id: 1, more: 2 }, { id: 1, more: null }]);
    expect(records.rows.map((row) => row["_kafka_key"])).toEqual([{ id: 1n }, { id: 1n }]);
    expect(records.letters).toEqual([["type-mismatch", 'the key has {"/more":2}, which no column takes']]);
    const lists = await translate(several, [[{ id: 1 }], [{ id: 1 }, { more: 2 }]]);
    expect(lists.rows.map((row) => row["_kafka_key"])).toEqual([[{ id: 1n }]]);
    expect(lists.letters).toEqual([["type-mismatch", 'the key has {"/1/more":2}, which no column takes']]);
  });

  test("without a prefix are of the latest version of their subject, values of theirs", async () => {
    const registry = new Registry();
    const field = (name: string, type: string) => ({ type: "record", name, fields: [{ name: "id", type }] });
    registry.register("AVRO", field("Key", "int"));
    registry.register("AVRO", field("Value", "string"));
    const asked: string[] = [];
    await using translator = new InlineTranslator({
      limits: roundLimits,
      schemaById: registry.schemaById,
      latestId: async (subject) => {
        asked.push(subject);
        return subject === "keys" ? 1 : 2;
      },
    });
    const settings = tableSettings("schema-id", {
      ...onlyKey,
      key: { decode: "schema-id", subject: "keys", latest: { message: null } },
      value: { decode: "schema-id", subject: null, onTypeChange: "dead-letter", latest: { message: null } },
    });
    const record = { key: Uint8Array.of(14), value: Uint8Array.of(2, 97) };
    const { result } = await translateAll(translator, settings, [rangeOf([record])]);
    const rows = (await Promise.all(result.files.map(({ bytes }) => readByHyparquet(bytes)))).flat();
    expect(rows).toMatchObject([{ _kafka_key: { id: 7 }, id: "a" }]);
    expect(new Set(asked)).toEqual(new Set(["keys", "orders-value"]));
  });

  test("of Avro, JSON Schema and Protobuf lie in one column or in several", async () => {
    const proto = 'syntax = "proto3"; message Key { int32 id = 1; }';
    const type = protobuf.parse(proto).root.lookupType("Key");
    const registry = new Registry();
    const avro = registry.register("AVRO", { type: "record", name: "Key", fields: [{ name: "id", type: "int" }] });
    const json = registry.register("JSON", { type: "object", properties: { id: { type: "integer" } } });
    const protobufId = registry.register("PROTOBUF", proto);
    const keys = [
      withSchemaId(avro, Uint8Array.of(14)),
      withSchemaId(json, utf8('{"id":7}')),
      withSchemaId(protobufId, Buffer.concat([Uint8Array.of(0), type.encode({ id: 7 }).finish()])),
    ];
    for (const key of keys) {
      for (const [columns, expected] of [
        ["nested", { _kafka_key: { id: 7 } }],
        ["flat", { _kafka_key_id: 7 }],
      ] as const) {
        const settings = tableSettings("string", { ...onlyKey, key: { decode: "schema-id", columns } });
        const { rows } = await translated(settings, [{ key, value: utf8("v") }], registry);
        const plain = JSON.parse(
          JSON.stringify(rows[0], (_, value) => (typeof value === "bigint" ? Number(value) : value)),
        );
        expect(plain).toMatchObject(expected);
      }
    }
  });
});

const mode = (changes: Partial<WriteMode>): WriteMode => ({
  write: "upsert",
  key: [],
  envelope: "none",
  opField: "op",
  tombstone: "delete",
  ...changes,
});

class World {
  readonly lake = new Lake(11);
  readonly #topic = this.lake.topic("orders", 1);
  readonly #compactor: ReturnType<Lake["open"]>["compactor"];

  constructor(settings: TableSettings, registry = new Registry()) {
    this.lake.schemaById = registry.schemaById;
    this.#compactor = this.lake.open([settings]).compactor;
  }

  async put(key: Uint8Array | null, value: unknown): Promise<void> {
    const bytes = value === null ? null : utf8(JSON.stringify(value));
    await this.lake.produce(this.#topic, 0, [{ key, value: bytes }]);
  }

  async rows(): Promise<readonly TableRow[]> {
    await this.#compactor.flush("orders");
    const loaded = await this.lake.foreign().load({ namespace: ["sales"], name: "orders" });
    if (loaded === undefined) throw new Error("no table");
    return await readRows(this.lake.warehouse, loaded.metadata);
  }

  async identifiers(): Promise<readonly string[]> {
    const loaded = await this.lake.foreign().load({ namespace: ["sales"], name: "orders" });
    if (loaded === undefined) throw new Error("no table");
    const { fields, ...schema } = currentSchema(loaded.metadata);
    const ids = schema["identifier-field-ids"] ?? [];
    return ids.map((id) => fields.find((field) => field.id === id)?.name ?? `field ${id}`);
  }

  async letters(): Promise<readonly unknown[]> {
    const rows = await this.lake.rows({ namespace: ["sales"], name: "orders_dlq" });
    return rows.map((row) => [row["reason"], row["detail"]]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#compactor[Symbol.asyncDispose]();
  }
}

describe("JSON keys identify rows", () => {
  test("by the fields of the first key; keys of other fields are dead letters", async () => {
    await using world = new World(tableSettings("json", { key: { decode: "json" }, mode: mode({}) }));
    const key = (value: unknown) => utf8(JSON.stringify(value));
    await world.put(key({ id: 1, region: "eu" }), { v: 1 });
    await world.put(key({ id: 2, region: "eu" }), { v: 2 });
    await world.put(key({ id: 1 }), { v: 8 });
    await world.put(key({ id: 1, region: "eu", more: 1 }), { v: 8 });
    await world.put(key({ region: "eu", id: 1 }), { v: 3 });
    expect((await world.rows()).map((row) => [row["_kafka_key_id"], row["v"]])).toEqual([
      [2n, 2],
      [1n, 3],
    ]);
    expect(await world.identifiers()).toEqual(["_kafka_key_id", "_kafka_key_region"]);
    expect(await world.letters()).toEqual([
      ["no-key", "_kafka_key_region is null"],
      ["type-mismatch", 'the key has {"/more":1}, which no column takes'],
    ]);
    await world.put(key({ id: 2, region: "eu" }), null);
    expect((await world.rows()).map((row) => row["_kafka_key_id"])).toEqual([1n]);
  });

  test("but not by what cannot be compared", async () => {
    await using world = new World(tableSettings("json", { key: { decode: "json" }, mode: mode({}) }));
    await world.put(utf8("1.5"), { v: 1 });
    await world.put(utf8('{"a":[1]}'), { v: 2 });
    await world.put(utf8('"good"'), { v: 3 });
    expect((await world.rows()).map((row) => [row["_kafka_key"], row["v"]])).toEqual([["good", 3]]);
    expect((await world.letters()).map((letter) => (letter as readonly unknown[])[0])).toEqual(["no-key", "no-key"]);
  });
});

describe("a tombstone's key says which columns of the value it means", () => {
  const settings = (decode: "json" | "schema-id") =>
    tableSettings("json", { key: { decode }, mode: mode({ key: ["id", "region"] }) });
  const row = (id: number) => ({ id, region: "eu", v: id });
  const remaining = async (world: World, keyOf: (id: number) => Uint8Array): Promise<readonly unknown[]> => {
    for (const id of [1, 2, 3]) await world.put(keyOf(id), row(id));
    await world.rows();
    await world.put(keyOf(2), null);
    return (await world.rows()).map(({ id }) => id);
  };

  test("in JSON without a schema", async () => {
    await using world = new World(settings("json"));
    const keyOf = (id: number) => utf8(JSON.stringify({ region: "eu", id, extra: true }));
    expect(await remaining(world, keyOf)).toEqual([1n, 3n]);
    await world.put(utf8("1"), null);
    await world.put(utf8('{"id":1}'), null);
    await world.rows();
    expect((await world.letters()).map((letter) => (letter as readonly unknown[])[0])).toEqual(["no-key", "no-key"]);
  });

  test("in JSON Schema", async () => {
    const registry = new Registry();
    const properties = { id: { type: "integer" }, region: { type: "string" } };
    const schemaId = registry.register("JSON", { type: "object", properties });
    await using world = new World(settings("schema-id"), registry);
    const keyOf = (id: number) => withSchemaId(schemaId, utf8(JSON.stringify({ id, region: "eu" })));
    expect(await remaining(world, keyOf)).toEqual([1n, 3n]);
  });

  test("in Protobuf, by the names of its fields", async () => {
    const proto = 'syntax = "proto3"; message Key { string region = 4; int64 id = 9; }';
    const type = protobuf.parse(proto).root.lookupType("Key");
    const registry = new Registry();
    const schemaId = registry.register("PROTOBUF", proto);
    await using world = new World(settings("schema-id"), registry);
    const keyOf = (id: number) =>
      withSchemaId(schemaId, Buffer.concat([Uint8Array.of(0), type.encode({ id, region: "eu" }).finish()]));
    expect(await remaining(world, keyOf)).toEqual([1n, 3n]);
  });
});
