/** Proves: values and keys lie flat or nested as the settings say, in all formats and modes, and a table keeps the layout it was made with. */
import { describe, expect, test } from "vitest";
import type { Uuid } from "../../src/base/ids.ts";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { readRows, type TableRow } from "../support/iceberg-reader.ts";
import { Lake } from "../support/lake.ts";
import { Registry, tableSettings, utf8, withSchemaId } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };

function nested(decode: "json" | "schema-id", changes: Partial<TableSettings> = {}): TableSettings {
  return tableSettings(decode, {
    value: { decode, subject: null, onTypeChange: "dead-letter", layout: "nested" },
    ...changes,
  });
}

class World {
  readonly lake: Lake;
  readonly #topic: Uuid;

  constructor(registry = new Registry()) {
    this.lake = new Lake(3);
    this.#topic = this.lake.topic("orders", 1);
    this.lake.schemaById = registry.schemaById;
  }

  async put(value: Uint8Array | null, key: Uint8Array | null = null): Promise<void> {
    await this.lake.produce(this.#topic, 0, [{ key, value }]);
  }

  async putJson(value: unknown, key: Uint8Array | null = null): Promise<void> {
    await this.put(value === null ? null : utf8(JSON.stringify(value)), key);
  }

  async flush(settings: TableSettings): Promise<void> {
    const { compactor } = this.lake.open([settings]);
    try {
      await compactor.flush("orders");
    } finally {
      await compactor[Symbol.asyncDispose]();
    }
  }

  async rows(settings: TableSettings): Promise<readonly TableRow[]> {
    await this.flush(settings);
    const rows = await readRows(this.lake.warehouse, await this.metadata());
    return [...rows].sort((a, b) => Number(a["_kafka_offset"]) - Number(b["_kafka_offset"]));
  }

  async metadata() {
    const loaded = await this.lake.foreign().load(orders);
    if (loaded === undefined) throw new Error("no table");
    return loaded.metadata;
  }

  async columns(): Promise<readonly string[]> {
    return currentSchema(await this.metadata()).fields.map((field) => field.name);
  }
}

describe("value.layout: nested", () => {
  test("JSON without a schema is one struct; what has no place is kept beside it", async () => {
    const world = new World();
    await world.putJson({ id: 1, _kafka_offset: "mine" });
    await world.putJson(null);
    await world.putJson({ id: "two", of: { a: [1] } });
    await world.putJson("no record");
    const rows = await world.rows(nested("json"));
    expect(rows.map((row) => [row["value"] ?? null, row["_extra"]])).toMatchObject([
      [{ id: 1, _kafka_offset: "mine" }, null],
      [null, null],
      [{ id: null, _kafka_offset: null, of: { a: [1] } }, '{"/id":"two"}'],
      [null, '{"":"no record"}'],
    ]);
    await world.putJson({ id: 5, later: true });
    expect((await world.rows(nested("json"))).map((row) => (row["value"] as TableRow | null)?.["later"])).toContain(
      true,
    );
    expect((await world.columns()).slice(-2)).toEqual(["_extra", "value"]);
  });

  test("a registered schema's fields are the struct's, and evolve there", async () => {
    const registry = new Registry();
    const record = (...fields: readonly object[]) => ({ type: "record", name: "Order", fields });
    const first = registry.register("AVRO", record({ name: "id", type: "int" }));
    const second = registry.register("AVRO", record({ name: "id", type: "long" }, { name: "note", type: "string" }));
    const world = new World(registry);
    await world.put(withSchemaId(first, Uint8Array.of(2)));
    await world.flush(nested("schema-id"));
    await world.put(withSchemaId(second, Uint8Array.of(4, 2, 97)));
    await world.put(withSchemaId(first, Uint8Array.of(6)));
    expect((await world.rows(nested("schema-id"))).map((row) => row["value"])).toEqual([
      { id: 1 },
      { id: 2n, note: "a" },
      { id: 3n, note: null },
    ]);
  });

  test("rows that the Kafka key identifies may be nested", async () => {
    const settings = nested("json", {
      key: { decode: "string" },
      mode: { write: "upsert", key: [], envelope: "none", opField: "op", tombstone: "delete" },
    });
    const world = new World();
    await world.putJson({ v: 1 }, utf8("a"));
    await world.putJson({ v: 2 }, utf8("b"));
    await world.flush(settings);
    await world.putJson({ v: 3 }, utf8("a"));
    await world.putJson(null, utf8("b"));
    expect((await world.rows(settings)).map((row) => [row["_kafka_key"], row["value"]])).toEqual([["a", { v: 3 }]]);
  });

  test("an op field and Debezium's row are found inside", async () => {
    const mode = { write: "cdc", key: [], opField: "op", tombstone: "delete" } as const;
    const byField = nested("json", { key: { decode: "string" }, mode: { ...mode, envelope: "op-field" } });
    const world = new World();
    await world.putJson({ op: "c", v: 1 }, utf8("a"));
    await world.putJson({ op: "c", v: 2 }, utf8("b"));
    await world.putJson({ op: "d", v: 2 }, utf8("b"));
    expect((await world.rows(byField)).map((row) => row["value"])).toEqual([{ op: "c", v: 1 }]);
    const debezium = nested("json", { key: { decode: "string" }, mode: { ...mode, envelope: "debezium" } });
    const other = new World();
    await other.putJson({ op: "c", before: null, after: { v: 1 } }, utf8("a"));
    await other.putJson({ op: "u", before: { v: 1 }, after: { v: 2 } }, utf8("a"));
    expect((await other.rows(debezium)).map((row) => row["value"])).toEqual([{ v: 2 }]);
  });

  test("a field inside may partition and sort the table", async () => {
    const settings = nested("json", {
      partitionBy: [{ column: "value.region", transform: "identity" }],
      sortBy: [{ column: "value.v", direction: "desc", nulls: "last" }],
    });
    const world = new World();
    await world.putJson({ region: "eu", v: 1 });
    await world.putJson({ region: "us", v: 2 });
    await world.putJson({ region: "eu", v: 3 });
    await world.flush(settings);
    const rows = await readRows(world.lake.warehouse, await world.metadata());
    expect(rows.map((row) => row["value"])).toEqual([
      { region: "eu", v: 3 },
      { region: "eu", v: 1 },
      { region: "us", v: 2 },
    ]);
    const files = await world.lake.files(orders);
    expect(files.map(({ file }) => file.partition)).toEqual([["eu"], ["us"]]);
  });

  test("a column that somebody dropped is not made again: what came since is in the extra column", async () => {
    const world = new World();
    await world.putJson({ id: 1 });
    await world.flush(nested("json"));
    const catalog = world.lake.foreign();
    const metadata = await world.metadata();
    const now = currentSchema(metadata);
    const fields = now.fields.filter((field) => field.name !== "value");
    const schema = { ...now, "schema-id": now["schema-id"] + 1, fields };
    await catalog.commit(
      orders,
      [],
      [
        { action: "add-schema", schema, "last-column-id": metadata["last-column-id"] },
        { action: "set-current-schema", "schema-id": -1 },
      ],
    );
    const { compactor } = world.lake.open([nested("json")]);
    await world.putJson({ id: 2 });
    await compactor.flush("orders"); // Its commit sees what became of the table.
    await world.putJson({ id: 3 });
    await compactor.flush("orders");
    await compactor[Symbol.asyncDispose]();
    const rows = await world.rows(nested("json"));
    expect(await world.columns()).not.toContain("value");
    expect(rows.at(-1)?.["_extra"]).toBe('{"/id":3}');
  });
});

describe("a layout is fixed once the table is made", () => {
  test("of values", async () => {
    const world = new World();
    await world.putJson({ id: 1 });
    await world.flush(nested("json"));
    await world.putJson({ id: 2 });
    const flat = tableSettings("json");
    await expect(world.flush(flat)).rejects.toThrow(/lie nested, and value.layout is now flat: put value.layout back/);
    await expect(world.flush(nested("json"))).rejects.toThrow(/paused/); // Until somebody says how to go on.
    const { compactor } = world.lake.open([nested("json")]);
    await compactor.resume("orders", "accept");
    await compactor[Symbol.asyncDispose]();
    expect(await world.rows(nested("json"))).toHaveLength(2);
  });

  test("of keys, and of what keys are", async () => {
    const world = new World();
    const key = utf8('{"id":1}');
    const settings = (columns: "flat" | "nested") => tableSettings("json", { key: { decode: "json", columns } });
    await world.putJson({ v: 1 }, key);
    await world.flush(settings("nested"));
    await world.putJson({ v: 2 }, key);
    await expect(world.flush(settings("flat"))).rejects.toThrow(/keys of the table lie nested, and key.columns is now/);
    const raw = new World();
    await raw.putJson({ v: 1 }, key);
    await raw.flush(tableSettings("json"));
    await raw.putJson({ v: 2 }, key);
    await expect(raw.flush(settings("nested"))).rejects.toThrow(/does not hold keys as key.decode: json makes them/);
    const flat = new World();
    await flat.putJson({ v: 1 }, key);
    await flat.flush(settings("flat"));
    await flat.putJson({ v: 2 }, key);
    await expect(flat.flush(tableSettings("json"))).rejects.toThrow(/no column for keys as key.decode: raw makes them/);
  });

  test.each([
    ["raw", "json"],
    ["string", "json"],
    ["schema-id", "json"],
    ["json", "raw"],
    ["json", "string"],
    ["string", "raw"],
    ["schema-id", "raw"],
  ] as const)("of values that were %s: %s ones would have no columns", async (before, after) => {
    const registry = new Registry();
    registry.register("AVRO", { type: "record", name: "R", fields: [{ name: "a", type: "int" }] });
    const world = new World(registry);
    const value = before === "schema-id" ? withSchemaId(1, Uint8Array.of(2)) : utf8('{"a":1}');
    await world.put(value);
    await world.flush(tableSettings(before));
    await world.putJson({ a: 2, b: "x" });
    const words = `the table has no columns for values as value.decode: ${after} makes them: put value.decode back`;
    await expect(world.flush(tableSettings(after))).rejects.toThrow(words);
    const { compactor } = world.lake.open([tableSettings(before)]);
    await compactor.resume("orders", "accept");
    await compactor[Symbol.asyncDispose]();
    await world.put(value);
    const rows = await world.rows(tableSettings(before));
    expect(rows.at(-1)).toMatchObject(before === "raw" || before === "string" ? { _kafka_offset: 2n } : { a: 1 });
  });

  test("values may become others that the table has columns for, and what they were again", async () => {
    const registry = new Registry();
    registry.register("AVRO", { type: "record", name: "R", fields: [{ name: "a", type: "int" }] });
    const world = new World(registry);
    await world.putJson("x");
    await world.flush(tableSettings("raw"));
    await world.put(withSchemaId(1, Uint8Array.of(2)));
    await world.flush(tableSettings("schema-id"));
    await world.putJson("y");
    const rows = await world.rows(tableSettings("raw"));
    expect(rows.map((row) => [row["a"] ?? null, row["value"]])).toEqual([
      [null, new Uint8Array(utf8('"x"'))],
      [1, null],
      [null, new Uint8Array(utf8('"y"'))],
    ]);
  });
});
