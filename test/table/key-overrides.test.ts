/** Proves: what a person says of a key's columns holds in every format of keys, where they lie flat, nested, and identify rows. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import avsc from "avsc";
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import type { ColumnOverrides } from "../../src/table/schema/column-overrides.ts";
import { spelled } from "../../src/table/schema/type-table.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { readRows } from "../support/iceberg-reader.ts";
import { Lake } from "../support/lake.ts";
import { verified } from "../support/verified.ts";
import { Registry, tableSettings, utf8, withSchemaId } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const upsert = { write: "upsert", key: [], envelope: "none", opField: "op", tombstone: "delete" } as const;

class World {
  readonly registry = new Registry();
  readonly lake = new Lake(11);
  readonly #topic = this.lake.topic("orders", 1);

  constructor() {
    this.lake.schemaById = this.registry.schemaById;
  }

  async put(...keys: readonly Uint8Array[]): Promise<void> {
    const records = keys.map((key, at) => ({ key, value: utf8(`v${at}`) }));
    await this.lake.produce(this.#topic, 0, records);
  }

  async putValue(key: Uint8Array, value: unknown): Promise<void> {
    await this.lake.produce(this.#topic, 0, [{ key, value: json(value) }]);
  }

  async drop(key: Uint8Array): Promise<void> {
    await this.lake.produce(this.#topic, 0, [{ key, value: null }]);
  }

  async verdict(overrides: ColumnOverrides, changes: Partial<TableSettings>, directory: string): Promise<string> {
    const settings = tableSettings("string", { overrides, ...changes });
    const { compactor } = this.lake.open([settings]);
    try {
      return await verified(this.lake, compactor, { settings, directory });
    } finally {
      await compactor[Symbol.asyncDispose]();
    }
  }

  /** The key's columns, and the rows in them. */
  async table(overrides: ColumnOverrides, changes: Partial<TableSettings>, isAccepted = false) {
    const { compactor } = this.lake.open([tableSettings("string", { overrides, ...changes })]);
    try {
      if (isAccepted) await compactor.resume("orders", "accept");
      await compactor.flush("orders");
    } finally {
      await compactor[Symbol.asyncDispose]();
    }
    const metadata = (await this.lake.foreign().load(orders))?.metadata;
    if (metadata === undefined) throw new Error("no table");
    const fields = currentSchema(metadata).fields.filter(
      ({ id, name }) =>
        !/_(partition|offset|timestamp|timestamp_type|headers)$/.test(name) && id > 0 && name !== "value",
    );
    const rows = await readRows(this.lake.warehouse, metadata);
    const shown = rows.map((row) => fields.map(({ name }) => plain(row[name])));
    return {
      columns: fields.map(({ name, type, doc }) =>
        [name, spelled(type), ...(doc === undefined ? [] : [doc])].join(" "),
      ),
      rows: shown.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
      letters: (await this.lake.rows({ namespace: ["sales"], name: "orders_dlq" })).map((row) => row["reason"]),
    };
  }
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}

const json = (value: unknown) => utf8(JSON.stringify(value));
const said: ColumnOverrides = {
  "_kafka_key.id": { type: "string", comment: "of the shop" },
  "_kafka_key.region": { name: "land" },
  "_kafka_key.secret": { isExcluded: true },
};

describe("a key's columns", () => {
  test("of JSON, flat", async () => {
    const world = new World();
    await world.put(json({ id: 1, region: "eu", secret: { a: 1 } }), json({ id: "b", region: "us" }));
    const { columns, rows, letters } = await world.table(said, { key: { decode: "json", columns: "flat" } });
    expect(columns).toEqual(["_kafka_key_id string of the shop", "land string"]);
    expect(rows).toEqual([
      ["1", "eu"],
      ["b", "us"],
    ]);
    expect(letters).toEqual([]);
  });

  test("of JSON, nested, with all digits of a number", async () => {
    const world = new World();
    await world.put(utf8('{"id":12345678901234567890.5,"region":"eu","secret":1}'), json({ id: "x", region: "eu" }));
    const overrides: ColumnOverrides = { ...said, "_kafka_key.id": { type: "decimal(38, 1)" } };
    const { columns, letters } = await world.table(overrides, { key: { decode: "json" } });
    expect(columns).toEqual(["_kafka_key struct<id: decimal(38, 1), land: string>"]);
    expect(letters).toEqual(["type-mismatch"]);
  });

  const fields = { id: 7, region: "eu", secret: "s" };
  const encoded: Readonly<Record<string, (registry: Registry) => Uint8Array>> = {
    Avro: (registry) => {
      const type = (name: string, of: string) => ({ name, type: of });
      const schema = {
        type: "record",
        name: "Key",
        fields: [type("id", "int"), type("region", "string"), type("secret", "string")],
      };
      return withSchemaId(registry.register("AVRO", schema), avsc.Type.forSchema(schema as never).toBuffer(fields));
    },
    "JSON Schema": (registry) => {
      const text = { type: "string" };
      const properties = { id: { type: "integer" }, region: text, secret: text };
      return withSchemaId(registry.register("JSON", { type: "object", properties }), json(fields));
    },
    Protobuf: (registry) => {
      const text = 'syntax = "proto3"; message Key { int32 id = 1; string region = 2; string secret = 3; }';
      const bytes = protobuf.parse(text).root.lookupType("Key").encode(fields).finish();
      return withSchemaId(registry.register("PROTOBUF", text), Buffer.from([0, ...bytes]));
    },
  };

  test.each(Object.keys(encoded))("of %s, flat and nested", async (format) => {
    for (const columns of ["flat", "nested"] as const) {
      const world = new World();
      await world.put((encoded[format] as (registry: Registry) => Uint8Array)(world.registry));
      const table = await world.table(said, { key: { decode: "schema-id", columns } });
      expect(table.letters).toEqual([]);
      expect(table.rows).toEqual(columns === "flat" ? [["7", "eu"]] : [[{ id: "7", land: "eu" }]]);
    }
  });

  test("of a schema that can never become the type is refused, with the path", async () => {
    const world = new World();
    const schema = { type: "record", name: "Key", fields: [{ name: "id", type: "boolean" }] };
    const id = world.registry.register("AVRO", schema);
    await world.put(withSchemaId(id, avsc.Type.forSchema(schema as never).toBuffer({ id: true })));
    const overrides: ColumnOverrides = { "_kafka_key.id": { type: "date" } };
    const { letters } = await world.table(overrides, { key: { decode: "schema-id" } });
    expect(letters).toEqual(["schema-refused"]);
    const [letter] = await world.lake.rows({ namespace: ["sales"], name: "orders_dlq" });
    expect(letter?.["detail"]).toContain("columns.overrides._kafka_key.id: a boolean cannot become a date");
  });

  test("identify rows by the type that was said", async () => {
    const world = new World();
    await world.put(json({ id: 1.5 }), json({ id: "1.50" }), json({ id: 2 }), json({ id: "2.0" }));
    await world.drop(json({ id: 2 }));
    const overrides: ColumnOverrides = { "_kafka_key.id": { type: "decimal(9, 2)", name: "shop" } };
    const { columns, rows, letters } = await world.table(overrides, { key: { decode: "json" }, mode: upsert });
    expect(columns).toEqual(["shop decimal(9, 2)"]);
    expect([rows.length, letters]).toEqual([1, []]);
  });

  test("keep the type that they were made with: another pauses the table", async () => {
    const world = new World();
    const key = { decode: "json", columns: "flat" } as const;
    await world.put(json({ id: 1 }));
    await world.table({ "_kafka_key.id": { type: "string" } }, { key });
    await world.put(json({ id: 2 }));
    await expect(world.table({ "_kafka_key.id": { type: "int" } }, { key })).rejects.toThrow(
      /columns.overrides._kafka_key.id.type was string when the column was made, and is now int/,
    );
  });
});

describe("a key that is one value", () => {
  const whole = (said: ColumnOverrides[string]): ColumnOverrides => ({ _kafka_key: said });
  const avro = (registry: Registry, schema: unknown, value: unknown) =>
    withSchemaId(registry.register("AVRO", schema), avsc.Type.forSchema(schema as never).toBuffer(value));
  const wrapper = (registry: Registry, name: string, value: object) => {
    const text = `syntax = "proto3"; package google.protobuf; message ${name} { ${name === "StringValue" ? "string" : "int64"} value = 1; }`;
    const bytes = protobuf.parse(text).root.lookupType(`google.protobuf.${name}`).encode(value).finish();
    return withSchemaId(registry.register("PROTOBUF", text), Buffer.from([0, ...bytes]));
  };
  const uuid = "9b2c3a4e-0000-4000-8000-0123456789ab";
  /** What a producer sends, the type that is said, and what is in the column. */
  const kinds: Readonly<
    Record<
      string,
      readonly [
        decode: TableSettings["key"]["decode"],
        type: NonNullable<ColumnOverrides[string]["type"]>,
        encode: (registry: Registry) => Uint8Array,
        shown: unknown,
      ]
    >
  > = {
    "text as a long": ["string", "long", () => utf8("7"), 7],
    "text as a uuid": ["string", "uuid", () => utf8(uuid), uuid],
    "a JSON number as text": ["json", "string", () => utf8("7"), "7"],
    "JSON text as a decimal": ["json", "decimal(9, 2)", () => utf8('"1.50"'), 1.5],
    "an Avro string as a uuid": ["schema-id", "uuid", (registry) => avro(registry, "string", uuid), uuid],
    "an Avro long as text": ["schema-id", "string", (registry) => avro(registry, ["null", "long"], 7), "7"],
    "a string of JSON Schema as an int": [
      "schema-id",
      "int",
      (registry) => withSchemaId(registry.register("JSON", { type: "string" }), json("7")),
      7,
    ],
    "a number of JSON Schema as text": [
      "schema-id",
      "string",
      (registry) => withSchemaId(registry.register("JSON", { type: "integer" }), json(7)),
      "7",
    ],
    "Protobuf's StringValue as a long": [
      "schema-id",
      "long",
      (registry) => wrapper(registry, "StringValue", { value: "7" }),
      7,
    ],
    "Protobuf's Int64Value as text": [
      "schema-id",
      "string",
      (registry) => wrapper(registry, "Int64Value", { value: 7 }),
      "7",
    ],
  };

  test.each(Object.keys(kinds))("%s: beside the rows, and to tell them apart", async (kind) => {
    const [decode, type, encode, shown] = kinds[kind] as (typeof kinds)[string];
    const overrides = whole({ type, name: "customer", comment: "who buys" });
    for (const columns of ["flat", "nested"] as const) {
      const world = new World();
      await world.put(encode(world.registry));
      const table = await world.table(overrides, { key: { decode, columns } });
      expect(table).toEqual({ columns: [`customer ${type} who buys`], rows: [[shown]], letters: [] });
    }
    const world = new World();
    const [key, same] = [encode(world.registry), encode(world.registry)];
    await world.put(key, same);
    const table = await world.table(overrides, { key: { decode }, mode: upsert });
    expect(table).toEqual({ columns: [`customer ${type} who buys`], rows: [[shown]], letters: [] });
    await world.drop(key);
    expect((await world.table(overrides, { key: { decode }, mode: upsert })).rows).toEqual([]);
  });

  test("of bytes has a name and a comment", async () => {
    const world = new World();
    await world.put(utf8("a"));
    const { columns } = await world.table(whole({ name: "customer", comment: "who buys" }), {});
    expect(columns).toEqual(["customer binary who buys"]);
  });

  test("takes no other column's name", async () => {
    for (const name of ["value", "_kafka_headers", "_FILE", "_kafka_offset"]) {
      const world = new World();
      await world.put(utf8("a"));
      await world.table(whole({ name }), {});
      const metadata = (await world.lake.foreign().load(orders))?.metadata;
      const names =
        metadata === undefined ? [] : currentSchema(metadata).fields.map((field) => field.name.toLowerCase());
      expect(new Set(names).size).toBe(names.length);
      expect(names).not.toContain("_file");
      expect(names).toContain("value");
    }
  });

  test("is all of the key: one with fields is JSON text, or no value of the type", async () => {
    const record = { type: "record", name: "Key", fields: [{ name: "id", type: "int" }] };
    const message = 'syntax = "proto3"; message Key { int32 id = 1; }';
    const keys: readonly (readonly [TableSettings["key"]["decode"], (registry: Registry) => Uint8Array])[] = [
      ["json", () => json({ id: 7 })],
      ["schema-id", (registry) => avro(registry, record, { id: 7 })],
      [
        "schema-id",
        (registry) => {
          const properties = { id: { type: "integer" } };
          return withSchemaId(registry.register("JSON", { type: "object", properties }), json({ id: 7 }));
        },
      ],
      ["schema-id", (registry) => withSchemaId(registry.register("PROTOBUF", message), Uint8Array.of(0, 8, 7))],
    ];
    for (const [decode, encode] of keys) {
      for (const columns of ["flat", "nested"] as const) {
        const world = new World();
        await world.put(encode(world.registry));
        expect(await world.table(whole({ type: "string" }), { key: { decode, columns } })).toEqual({
          columns: ["_kafka_key string"],
          rows: [['{"id":7}']],
          letters: [],
        });
      }
      const other = new World();
      await other.put(encode(other.registry));
      const { rows, letters } = await other.table(whole({ type: "long" }), { key: { decode } });
      expect(rows).toEqual([]);
      expect(letters).toEqual([decode === "json" ? "type-mismatch" : "schema-refused"]);
      const keyed = new World();
      await keyed.put(encode(keyed.registry));
      const told = await keyed.table(whole({ type: "string" }), { key: { decode }, mode: upsert });
      expect(told.letters).toEqual([decode === "json" ? "no-key" : "schema-refused"]);
    }
  });

  test("of JSON that once was one value does not identify rows by text of a record", async () => {
    const world = new World();
    await world.put(json(7), json({ id: 7 }), json([7]), json([]));
    const { rows, letters } = await world.table(whole({ type: "string" }), { key: { decode: "json" }, mode: upsert });
    expect(rows).toEqual([["7"]]);
    expect(letters).toEqual(["no-key", "no-key", "no-key"]);
  });

  test("tells rows apart by the type that was said, and verification knows", async () => {
    const directory = mkdtempSync(join(tmpdir(), "inlet-key-"));
    const world = new World();
    await world.put(json(1.5), json("1.50"), json(2), json("2.0"), json("x"));
    await world.drop(json("2"));
    const settings = { key: { decode: "json" }, mode: upsert } as const;
    const overrides = whole({ type: "decimal(9, 2)" });
    expect(await world.table(overrides, settings)).toMatchObject({ rows: [[1.5]], letters: ["type-mismatch"] });
    expect(await world.verdict(overrides, settings, directory)).toBe("equal");
    rmSync(directory, { recursive: true });
  });

  test("that its column cannot take is a dead letter, with all digits of others kept", async () => {
    const world = new World();
    await world.put(utf8("12345678901234567890.5"), json("x"), json([]), utf8("1.55"));
    const { rows, letters } = await world.table(whole({ type: "decimal(38, 1)" }), { key: { decode: "json" } });
    expect(rows).toHaveLength(1);
    expect(letters).toEqual(["type-mismatch", "type-mismatch", "out-of-range"]);
    const text = new World();
    await text.put(utf8("x"), Uint8Array.of(0xff), utf8("8"));
    const of = await text.table(whole({ type: "long" }), { key: { decode: "string" } });
    expect(of.rows).toEqual([[8]]);
    expect(of.letters).toEqual(["type-mismatch", "invalid-utf8"]);
  });

  test("holds its fields where it has some and they nest: they are in the column of that name", async () => {
    const world = new World();
    await world.put(json({ id: 7 }));
    const { columns } = await world.table(whole({ name: "customer" }), { key: { decode: "json" } });
    expect(columns).toEqual(["customer struct<id: long>"]);
  });

  test("but has no column where its fields lie flat: the table waits, and says so", async () => {
    const world = new World();
    await world.put(json({ id: 7 }));
    const key = { decode: "json", columns: "flat" } as const;
    await expect(world.table(whole({ name: "customer" }), { key })).rejects.toThrow(
      /columns.overrides._kafka_key is of the whole key, .* say it of them, _kafka_key.<field>/,
    );
    expect(await world.table({ "_kafka_key.id": { comment: "late" } }, { key }, true)).toMatchObject({
      columns: ["_kafka_key_id long"],
      rows: [[7]],
    });
  });

  test("keeps the type that it was made with", async () => {
    for (const decode of ["json", "string"] as const) {
      const world = new World();
      const key = { decode };
      await world.put(utf8("1"));
      await world.table({}, { key });
      await world.put(utf8("2"));
      await expect(world.table(whole({ type: "int" }), { key })).rejects.toThrow(
        /columns.overrides._kafka_key.type was not said when the column was made, and is now int/,
      );
    }
  });

  test("is left out, and comes back, as columns.metadata.include says", async () => {
    for (const decode of ["json", "string", "raw"] as const) {
      const world = new World();
      const key = { decode };
      await world.put(utf8("1"));
      await world.table({}, { key });
      await world.put(utf8("2"));
      await world.table({}, { key, metadataColumns: ["timestamp"] });
      await world.put(utf8("3"));
      expect((await world.table({}, { key })).rows).toHaveLength(3);
      const rows = await world.lake.rows(orders);
      const places = rows.map((row) => [Number(row["_kafka_offset"]), row["_kafka_key"] ?? null]);
      expect(places.filter(([, value]) => value === null)).toEqual([[1, null]]);
    }
  });

  test("partitions and sorts a table by the name of before too", async () => {
    const world = new World();
    await world.put(utf8("8"), utf8("7"));
    const { rows } = await world.table(whole({ type: "long", name: "customer" }), {
      key: { decode: "string" },
      partitionBy: [{ column: "_kafka_key", transform: "identity" }],
      sortBy: [{ column: "_kafka_key", direction: "asc", nulls: "first" }],
    });
    expect(rows).toEqual([[7], [8]]);
    const [file, ...more] = await world.lake.files(orders);
    expect(more).toHaveLength(1);
    expect(file?.file.partition).toHaveLength(1);
  });
});

describe("a tombstone's key is brought to the type", () => {
  const byId = { ...upsert, key: ["id"] } as const;
  const remaining = async (
    world: World,
    tombstone: Uint8Array,
    overrides: ColumnOverrides,
    decode: TableSettings["key"]["decode"],
  ): Promise<readonly unknown[]> => {
    const value = { decode: "json", subject: null, onTypeChange: "dead-letter" } as const;
    for (const id of [6, 7]) await world.putValue(tombstone, { id });
    const changes: Partial<TableSettings> = { value, key: { decode }, mode: byId, metadataColumns: [] };
    await world.table(overrides, changes);
    await world.drop(tombstone);
    const { letters, rows } = await world.table(overrides, changes);
    expect(letters).toEqual([]);
    return rows.map((row) => row.at(-1));
  };

  test.each<
    readonly [string, ColumnOverrides, TableSettings["key"]["decode"], (registry: Registry) => Uint8Array, unknown]
  >([
    ["text, of the key's", { _kafka_key: { type: "long" } }, "string", () => utf8("7"), 6],
    ["text, of the value's", { id: { type: "decimal(9, 0)" } }, "string", () => utf8("7"), 6],
    ["JSON, whole", { id: { type: "string" } }, "json", () => json(7), "6"],
    ["JSON, by its fields", { id: { type: "string" } }, "json", () => json({ id: 7 }), "6"],
    ["JSON text, of the key's field", { "_kafka_key.id": { type: "long" } }, "json", () => json({ id: "7" }), 6],
    [
      "Avro, whole",
      { id: { type: "string" } },
      "schema-id",
      (registry) => withSchemaId(registry.register("AVRO", "long"), Uint8Array.of(14)),
      "6",
    ],
    [
      "JSON Schema, by its fields",
      { id: { type: "string" } },
      "schema-id",
      (registry) => {
        const properties = { id: { type: "integer" } };
        return withSchemaId(registry.register("JSON", { type: "object", properties }), json({ id: 7 }));
      },
      "6",
    ],
    [
      "Protobuf, by its fields",
      { id: { type: "string" } },
      "schema-id",
      (registry) => {
        const text = 'syntax = "proto3"; message Key { int64 id = 1; }';
        return withSchemaId(registry.register("PROTOBUF", text), Uint8Array.of(0, 8, 7));
      },
      "6",
    ],
  ])("that was said: %s", async (_, overrides, decode, encode, left) => {
    const world = new World();
    const tombstone = encode(world.registry);
    expect(await remaining(world, tombstone, overrides, decode)).toEqual([left]);
  });

  test("or is a dead letter that says what to say", async () => {
    const world = new World();
    await world.putValue(utf8("7"), { id: 7 });
    await world.drop(utf8("7"));
    const value = { decode: "json", subject: null, onTypeChange: "dead-letter" } as const;
    await world.table({}, { value, key: { decode: "string" }, mode: byId });
    const [letter] = await world.lake.rows({ namespace: ["sales"], name: "orders_dlq" });
    expect(letter?.["detail"]).toContain("columns.overrides._kafka_key: { type: long }");
  });
});
