/** Proves: what a person says of a key's columns holds in every format of keys, where they lie flat, nested, and identify rows. */
import avsc from "avsc";
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import type { ColumnOverrides } from "../../src/table/schema/column-overrides.ts";
import { spelled } from "../../src/table/schema/type-table.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { readRows } from "../support/iceberg-reader.ts";
import { Lake } from "../support/lake.ts";
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

  async drop(key: Uint8Array): Promise<void> {
    await this.lake.produce(this.#topic, 0, [{ key, value: null }]);
  }

  /** The key's columns, and the rows in them. */
  async table(overrides: ColumnOverrides, changes: Partial<TableSettings>) {
    const { compactor } = this.lake.open([tableSettings("string", { overrides, ...changes })]);
    try {
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
