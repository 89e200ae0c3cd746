/** Proves: a table in upsert mode holds exactly one row a key, the newest, whatever way keys, deletes and envelopes come. */
import { describe, expect, test } from "vitest";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import { readJsonEnvelope } from "../../src/table/decode/debezium-json.ts";
import type { TableMetadata } from "../../src/table/iceberg/metadata.ts";
import type { TableSettings, WriteMode } from "../../src/table/settings.ts";
import { readRows, type TableRow } from "../support/iceberg-reader.ts";
import { Lake } from "../support/lake.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const letters = { namespace: ["sales"], name: "orders_dlq" };

function mode(changes: Partial<WriteMode>): WriteMode {
  return { write: "upsert", key: [], envelope: "none", opField: "op", tombstone: "delete", ...changes };
}

class World {
  readonly lake: Lake;
  readonly topic: ReturnType<Lake["topic"]>;
  readonly settings: TableSettings;
  readonly #compactor: ReturnType<Lake["open"]>["compactor"];

  constructor(
    seed: number,
    changes: Partial<TableSettings>,
    options: { readonly partitions?: number; readonly roundBytesMax?: number } = {},
  ) {
    this.lake = new Lake(seed);
    this.topic = this.lake.topic("orders", options.partitions ?? 1);
    this.settings = tableSettings("json", { key: { decode: "string" }, mode: mode({}), ...changes });
    const { roundBytesMax } = options;
    this.#compactor = this.lake.open([this.settings], roundBytesMax === undefined ? {} : { roundBytesMax }).compactor;
  }

  async produce(key: string | null, value: unknown, partition = 0, timestamp = 1_700_000_000_000): Promise<void> {
    const record = { key: key === null ? null : utf8(key), value: value === null ? null : utf8(JSON.stringify(value)) };
    await this.lake.produce(this.topic, partition, [{ ...record, timestamp }]);
  }

  async flush(): Promise<void> {
    await this.#compactor.flush("orders");
  }

  async metadata(): Promise<TableMetadata> {
    const loaded = await this.lake.foreign().load(orders);
    if (loaded === undefined) throw new Error("no table");
    return loaded.metadata;
  }

  async rows(): Promise<readonly TableRow[]> {
    return await readRows(this.lake.warehouse, await this.metadata());
  }

  async letters(): Promise<readonly [reason: unknown, detail: unknown][]> {
    return (await this.lake.rows(letters)).map((row) => [row["reason"], row["detail"]]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#compactor[Symbol.asyncDispose]();
  }
}

async function byKey(world: World, column = "_kafka_key", value = "v"): Promise<Readonly<Record<string, unknown>>> {
  const rows = await world.rows();
  const entries = rows.map((row) => [String(row[column]), row[value]] as const);
  expect(new Set(entries.map(([key]) => key)).size, "one row a key").toBe(entries.length);
  return Object.fromEntries(entries);
}

describe("rows identified by the Kafka key", () => {
  test("are replaced in a round and across rounds, and deleted by tombstones", async () => {
    await using world = new World(1, {});
    await world.produce("a", { v: 1 });
    await world.produce("b", { v: 1 });
    await world.produce("a", { v: 2 });
    await world.flush();
    expect(await byKey(world)).toEqual({ a: 2, b: 1 });
    await world.produce("b", null);
    await world.produce("c", { v: 3 });
    await world.produce("a", { v: 4 });
    await world.flush();
    expect(await byKey(world)).toEqual({ a: 4, c: 3 });
    await world.produce("b", { v: 5 });
    await world.produce("c", null);
    await world.flush();
    expect(await byKey(world)).toEqual({ a: 4, b: 5 });
  });

  test("carry identifier fields, and snapshots say what they do", async () => {
    await using world = new World(2, {});
    await world.produce("a", { v: 1 });
    await world.flush();
    await world.produce("a", null);
    await world.flush();
    const metadata = await world.metadata();
    const schema = currentSchema(metadata);
    const key = schema.fields.find((field) => field.name === "_kafka_key");
    expect(key).toMatchObject({ required: true, type: "string" });
    expect(schema["identifier-field-ids"]).toEqual([key?.id]);
    expect(metadata.snapshots.map(({ summary }) => summary["operation"])).toEqual(["overwrite", "delete"]);
    expect(metadata.properties["write.upsert.enabled"]).toBe("true");
  });

  test("each round gets a sequence number of its own, in one update of the catalog", async () => {
    await using world = new World(3, {}, { roundBytesMax: 1 });
    for (let v = 1; v <= 4; v += 1) await world.produce("a", { v });
    await world.flush();
    const metadata = await world.metadata();
    expect(metadata.snapshots.length).toBeGreaterThan(1);
    expect(new Set(metadata.snapshots.map((each) => each["sequence-number"])).size).toBe(metadata.snapshots.length);
    expect(await byKey(world)).toEqual({ a: 4 });
  });

  test("a record without a key is a dead letter that says so", async () => {
    await using world = new World(4, {});
    await world.produce(null, { v: 1 });
    await world.produce("a", { v: 2 });
    await world.flush();
    expect(await byKey(world)).toEqual({ a: 2 });
    expect(await world.letters()).toEqual([["no-key", "_kafka_key is null"]]);
  });

  test("tombstones may be ignored", async () => {
    await using world = new World(5, { mode: mode({ tombstone: "ignore" }) });
    await world.produce("a", { v: 1 });
    await world.produce("a", null);
    await world.flush();
    expect(await byKey(world)).toEqual({ a: 1 });
  });

  test("bytes may be keys", async () => {
    await using world = new World(6, { key: { decode: "raw" } });
    await world.produce("a", { v: 1 });
    await world.produce("b", { v: 1 });
    await world.flush();
    await world.produce("a", { v: 2 });
    await world.produce("b", null);
    await world.flush();
    expect((await world.rows()).map((row) => [row["_kafka_key"], row["v"]])).toEqual([[utf8("a"), 2]]);
  });

  test("a key in several topic partitions: the later timestamp wins, then the higher partition", async () => {
    await using world = new World(7, {}, { partitions: 3 });
    await world.produce("a", { v: 8 }, 0, 2000);
    await world.produce("a", { v: 9 }, 1, 1000);
    await world.produce("b", { v: 0 }, 0, 1000);
    await world.produce("b", { v: 2 }, 2, 1000);
    await world.flush();
    expect(await byKey(world)).toEqual({ a: 8, b: 2 });
  });

  test("deletes reach rows of every partition and of every earlier spec", async () => {
    const partitionBy = [{ column: "region", transform: "identity" } as const];
    await using world = new World(8, { partitionBy });
    await world.produce("x", { v: 0 }); // Before region is known the table is not partitioned.
    await world.flush();
    await world.produce("a", { v: 1, region: "eu" });
    await world.produce("b", { v: 1, region: "us" });
    await world.flush();
    await world.produce("a", { v: 2, region: "us" });
    await world.produce("x", { v: 2, region: "us" });
    await world.flush();
    expect(await byKey(world)).toEqual({ a: 2, b: 1, x: 2 });
    const metadata = await world.metadata();
    expect(metadata["partition-specs"].map((spec) => spec.fields.length)).toEqual([0, 1]);
  });
});

test("the spec of deletes comes back when somebody takes it away as unused", async () => {
  const partitionBy = [{ column: "region", transform: "identity" } as const];
  await using world = new World(9, { partitionBy });
  await world.produce(null, { v: 0, region: "eu" }); // A letter: no manifest names the spec.
  await world.flush();
  const unused = async (): Promise<readonly number[]> => {
    const specs = (await world.metadata())["partition-specs"].filter((spec) => spec.fields.length === 0);
    return specs.map((spec) => spec["spec-id"]);
  };
  const removal = { action: "remove-partition-specs", "spec-ids": await unused() } as const;
  expect((await world.lake.foreign().commit(orders, [], [removal])).kind).toBe("committed");
  expect(await unused()).toEqual([]);
  await world.produce("a", { v: 1, region: "eu" });
  await world.flush();
  await world.produce("a", { v: 2, region: "us" });
  await world.flush();
  expect(await byKey(world)).toEqual({ a: 2 });
  expect(await unused()).toHaveLength(1);
});

describe("rows identified by columns of the value", () => {
  const changes = { mode: mode({ key: ["id"], tombstone: "ignore" }), key: { decode: "raw" } } as const;

  test("are replaced; whole numbers become long columns", async () => {
    await using world = new World(20, changes);
    await world.produce(null, { id: 1, v: "a" });
    await world.produce(null, { id: 2, v: "a" });
    await world.produce(null, { id: 1, v: "b" });
    await world.flush();
    await world.produce(null, { id: 2, v: "c" });
    await world.flush();
    expect(await byKey(world, "id")).toEqual({ 1: "b", 2: "c" });
    const schema = currentSchema(await world.metadata());
    expect(schema.fields.find((field) => field.name === "id")).toMatchObject({ type: "long", required: true });
  });

  test("without their key are dead letters", async () => {
    await using world = new World(21, changes);
    await world.produce(null, { v: "before any key" });
    await world.produce(null, { id: 1, v: "a" });
    await world.produce(null, { id: null, v: "x" });
    await world.produce(null, { id: 1.5, v: "x" });
    await world.produce(null, { id: { a: 1 }, v: "x" });
    await world.flush();
    expect(await byKey(world, "id")).toEqual({ 1: "a" });
    expect((await world.letters()).map(([reason]) => reason)).toEqual(["no-key", "no-key", "no-key", "no-key"]);
  });

  test("may be several", async () => {
    await using world = new World(22, { mode: mode({ key: ["b", "a"], tombstone: "ignore" }) });
    await world.produce(null, { a: "x", b: 1, v: 1 });
    await world.produce(null, { a: "x", b: 2, v: 2 });
    await world.flush();
    await world.produce(null, { a: "x", b: 1, v: 3 });
    await world.flush();
    expect(new Set((await world.rows()).map((row) => row["v"]))).toEqual(new Set([2, 3]));
  });

  test("tombstones find a single text key by the Kafka key", async () => {
    await using world = new World(23, { mode: mode({ key: ["id"] }) });
    await world.produce("k1", { id: "k1", v: 1 });
    await world.produce("k2", { id: "k2", v: 1 });
    await world.flush();
    await world.produce("k1", null);
    await world.flush();
    expect(await byKey(world, "id")).toEqual({ k2: 1 });
  });
});

describe("changes", () => {
  test("an op field says what becomes of the row", async () => {
    await using world = new World(30, {
      mode: mode({ write: "cdc", envelope: "op-field", key: ["id"], tombstone: "ignore" }),
    });
    await world.produce(null, { id: 1, op: "I", v: 1 });
    await world.produce(null, { id: 2, op: "c", v: 1 });
    await world.flush();
    await world.produce(null, { id: 1, op: "U", v: 2 });
    await world.produce(null, { id: 2, op: "D" });
    await world.produce(null, { id: 3, op: "explode" });
    await world.produce(null, { id: 4 });
    await world.flush();
    expect(await byKey(world, "id")).toEqual({ 1: 2 });
    expect((await world.letters()).map(([reason]) => reason)).toEqual(["bad-envelope", "bad-envelope"]);
  });

  const row = (id: number, v: unknown) => ({ id, v });
  const change = (op: string, before: unknown, after: unknown) => ({
    before,
    after,
    op,
    ts_ms: 1,
    source: { db: "x" },
  });

  test("Debezium's envelope: rows, deletes, the tombstones behind them, and keys that move", async () => {
    await using world = new World(31, {
      mode: mode({ write: "cdc", envelope: "debezium", key: ["id"], tombstone: "ignore" }),
    });
    await world.produce("1", change("r", null, row(1, "a")));
    await world.produce("2", change("c", null, row(2, "a")));
    await world.produce("3", change("c", null, row(3, "a")));
    await world.flush();
    await world.produce("1", change("u", row(1, "a"), row(1, "b")));
    await world.produce("2", change("d", row(2, "a"), null));
    await world.produce("2", null);
    await world.produce("3", change("u", row(3, "a"), row(30, "moved")));
    await world.flush();
    expect(await byKey(world, "id")).toEqual({ 1: "b", 30: "moved" });
    expect(Object.keys((await world.rows())[0] ?? {})).not.toContain("before");
    await world.produce("t", change("t", null, null));
    await world.produce("m", change("m", null, null));
    await world.produce("x", { id: 1, v: "flat" });
    await world.flush();
    expect((await world.letters()).map(([reason]) => reason)).toEqual(["unsupported-op", "bad-envelope"]);
  });

  test("a key that moves and comes back inside a round leaves one row", async () => {
    await using world = new World(32, {
      mode: mode({ write: "cdc", envelope: "debezium", key: ["id"], tombstone: "ignore" }),
    });
    await world.produce("1", change("u", row(1, "a"), row(1, "first of all"))); // An update may be the first that is seen.
    await world.produce("1", change("u", row(1, "a"), row(2, "b")));
    await world.produce("1", change("u", row(2, "b"), row(1, "c")));
    await world.flush();
    expect(await byKey(world, "id")).toEqual({ 1: "c" });
  });

  test("Debezium's envelope by the Kafka key: deletes and their tombstones are the same", async () => {
    await using world = new World(33, { mode: mode({ write: "cdc", envelope: "debezium" }) });
    await world.produce("1", change("c", null, row(1, "a")));
    await world.produce("2", change("c", null, row(2, "a")));
    await world.flush();
    await world.produce("1", change("d", row(1, "a"), null));
    await world.produce("1", null);
    await world.produce("2", change("u", null, row(2, "b")));
    await world.flush();
    expect(await byKey(world)).toEqual({ 2: "b" });
  });

  test("the schema beside a JSON envelope gives whole numbers long columns", async () => {
    await using world = new World(34, {
      mode: mode({ write: "cdc", envelope: "debezium", key: ["id"], tombstone: "ignore" }),
    });
    const rowSchema = (field: string) => ({
      type: "struct",
      field,
      optional: true,
      fields: [
        { type: "int32", optional: false, field: "id" },
        { type: "int64", optional: true, field: "v", name: "io.debezium.time.MicroTimestamp" },
        { type: "double", optional: true, field: "d" },
        { type: "array", items: { type: "string", optional: true }, optional: true, field: "tags" },
      ],
    });
    const fields = [rowSchema("before"), rowSchema("after"), { type: "string", optional: false, field: "op" }];
    const schema = { type: "struct", optional: false, name: "db.orders.Envelope", fields };
    const after = { id: 1, v: 1_700_000_000_000_001, d: 1, tags: ["x"] };
    await world.produce("1", { schema, payload: change("c", null, after) });
    await world.flush();
    const types = new Map(currentSchema(await world.metadata()).fields.map((field) => [field.name, field.type]));
    expect([types.get("id"), types.get("v"), types.get("d")]).toEqual(["long", "long", "double"]);
    expect(await world.rows()).toMatchObject([{ id: 1n, v: 1_700_000_000_000_001n, d: 1, tags: ["x"] }]);
  });
});

test("what the schema beside an envelope has no column for is inferred from its values", async () => {
  await using world = new World(35, {
    mode: mode({ write: "cdc", envelope: "debezium", key: ["id"], tombstone: "ignore" }),
  });
  const fields = [
    { type: "int32", optional: false, field: "id" },
    { type: "map", keys: { type: "string" }, values: { type: "string" }, optional: true, field: "tags" },
  ];
  const schema = {
    type: "struct",
    fields: [
      { type: "struct", field: "before", optional: true, fields },
      { type: "struct", field: "after", optional: true, fields },
      { type: "string", optional: false, field: "op" },
    ],
  };
  await world.produce("1", { schema, payload: { before: null, after: { id: 1, tags: null }, op: "c" } });
  await world.produce("2", { schema, payload: { before: null, after: { id: 2, tags: { a: "x" } }, op: "c" } });
  await world.flush();
  expect(await byKey(world, "id", "tags")).toEqual({ 1: undefined, 2: { a: "x" } });
});

describe("decimals of a JSON envelope with its schema", () => {
  test("stay what they are in tables of earlier rules", () => {
    const envelope = { schema, payload: value("c", null, { id: "MDQ=", price: 1.5 }).payload };
    expect(readJsonEnvelope(envelope, 6).after).toEqual({ id: "MDQ=", price: 1.5 });
    const fieldTypes = (rules: number) => {
      const row = readJsonEnvelope(envelope, rules).rowType();
      return row?.kind === "struct" ? row.fields.slice(0, 2).map(({ type }) => type) : [];
    };
    expect(fieldTypes(6)).toEqual([
      { kind: "primitive", type: "string" },
      { kind: "primitive", type: "string" },
    ]);
    expect(fieldTypes(7)).toMatchObject([{ type: "decimal(20, 0)" }, { type: "decimal(38, 2)" }]);
  });

  const decimal = (field: string, parameters: object) => ({
    type: "bytes",
    optional: true,
    name: "org.apache.kafka.connect.data.Decimal",
    version: 1,
    parameters,
    field,
  });
  const fields = [
    decimal("id", { scale: "0", "connect.decimal.precision": "20" }),
    decimal("price", { scale: "2" }),
    { type: "array", items: decimal("", { scale: "1" }), optional: true, field: "parts" },
    { type: "bytes", optional: true, field: "raw" },
  ];
  const row = (field: string) => ({ type: "struct", field, optional: true, fields });
  const schema = { type: "struct", fields: [row("before"), row("after"), { type: "string", field: "op" }] };
  const keySchema = { type: "struct", fields: [fields[0]] };
  const key = (id: unknown) => JSON.stringify({ schema: keySchema, payload: { id } });
  const value = (op: string, before: unknown, after: unknown) => ({ schema, payload: { before, after, op } });
  const settings = {
    key: { decode: "json" },
    mode: mode({ write: "cdc", envelope: "debezium", key: ["id"] }),
  } as const;

  test.each([
    ["in base64", "MDQ=", "AN4=", "z8c=", "/w=="],
    ["as numbers", 12_340, 222, -123.45, -0.1],
  ])("are decimals, %s", async (_, first, second, price, part) => {
    await using world = new World(37, settings);
    await world.produce(key(first), value("c", null, { id: first, price: null, parts: null, raw: "AQI=" }));
    await world.produce(key(second), value("c", null, { id: second, price, parts: [part], raw: null }));
    await world.flush();
    const types = new Map(currentSchema(await world.metadata()).fields.map((each) => [each.name, each.type]));
    expect(types.get("id")).toBe("decimal(20, 0)");
    expect([types.get("price"), types.get("raw")]).toEqual(["decimal(38, 2)", "string"]);
    expect(types.get("parts")).toMatchObject({ element: "decimal(38, 1)" });
    const rows = await world.rows();
    expect(rows.map((each) => each["_extra"] ?? null)).toEqual([null, null]);
    expect(rows.map((each) => each["price"] ?? null)).toEqual(expect.arrayContaining([-123.45, null]));
    await world.produce(key(first), null);
    await world.produce(key(second), value("d", { id: second, price: null, parts: null, raw: null }, null));
    await world.flush();
    expect(await world.letters()).toEqual([]);
    expect(await world.rows()).toEqual([]);
  });
});

describe("JSON beside its schema, without an envelope", () => {
  const fields = [
    { type: "int64", optional: false, field: "id" },
    { type: "string", optional: true, field: "v" },
    { type: "bytes", name: "org.apache.kafka.connect.data.Decimal", parameters: { scale: "2" }, field: "price" },
    { type: "int32", optional: true, field: "never" },
    { type: "string", optional: true, field: "__op" },
  ];
  const schema = { type: "struct", fields, optional: false, name: "db.orders.Value" };
  const value = (payload: object) => ({ schema, payload });
  const record = (id: unknown) =>
    JSON.stringify({ schema: { type: "struct", fields: fields.slice(0, 1) }, payload: { id } });
  const single = (id: unknown) => JSON.stringify({ schema: { type: "int64", optional: false }, payload: id });

  test.each([
    ["columns of the value, keys with fields", record, ["id"], "id"],
    ["columns of the value, keys of one value", single, ["id"], "id"],
    ["the Kafka key with fields", record, [], "_kafka_key_id"],
    ["the Kafka key of one value", single, [], "_kafka_key"],
  ] as const)("is the row and its key, identified by %s", async (_, key, columns, name) => {
    await using world = new World(41, { key: { decode: "json" }, mode: mode({ key: columns }) });
    const big = 2 ** 53;
    await world.produce(key(1), value({ id: 1, v: "a", price: "z8c=", never: null }));
    await world.produce(key(2), value({ id: 2, v: "a", price: 1.5, never: null }));
    await world.produce(key(big), value({ id: big, v: "big", price: null, never: null }));
    await world.flush();
    const types = new Map(currentSchema(await world.metadata()).fields.map((each) => [each.name, each.type]));
    expect([types.get("id"), types.get("price"), types.get("never")]).toEqual(["long", "decimal(38, 2)", "long"]);
    expect([types.has("schema"), types.has("payload")]).toEqual([false, false]);
    expect(await byKey(world, name)).toEqual({ 1: "a", 2: "a", [big]: "big" });
    await world.produce(key(1), null);
    await world.produce(key(2), value({ id: 2, v: "b", price: null, never: null }));
    await world.flush();
    expect(await byKey(world, name)).toEqual({ 2: "b", [big]: "big" });
    expect(await world.letters()).toEqual([]);
  });

  test("says by a field what becomes of its row", async () => {
    await using world = new World(42, {
      mode: mode({ write: "cdc", envelope: "op-field", opField: "__op", key: ["id"] }),
    });
    await world.produce("1", value({ id: 1, v: "a", __op: "c" }));
    await world.produce("2", value({ id: 2, v: "a", __op: "c" }));
    await world.produce("1", value({ id: 1, v: "a", __op: "d" }));
    await world.flush();
    expect(await byKey(world, "id")).toEqual({ 2: "a" });
    expect(await world.letters()).toEqual([]);
  });

  test("is a row in a table that is appended to, and a row of nulls where there is none", async () => {
    const append = { write: "append", key: [], envelope: "none", opField: "op", tombstone: "delete" } as const;
    await using world = new World(44, { key: { decode: "json" }, mode: append });
    await world.produce(record(1), value({ id: 1, v: "a", price: "z8c=" }));
    await world.produce(record(2), { schema, payload: null });
    await world.flush();
    const names = currentSchema(await world.metadata()).fields.map((each) => each.name);
    expect(names.filter((name) => !name.startsWith("_kafka"))).toEqual(["_extra", "id", "v", "price", "never", "__op"]);
    const rows = await world.rows();
    expect(rows.map((each) => each["id"] ?? null)).toEqual(expect.arrayContaining([1n, null]));
    expect(rows.map((each) => each["_extra"] ?? null)).toEqual([null, null]);
  });

  test("is told from an application's own fields of those names", async () => {
    await using world = new World(43, {});
    const own = [
      { schema: "v1", payload: { a: 1 } },
      { schema: { type: "struct" }, payload: { a: 1 } },
      { schema: { type: "struct", fields: [] }, payload: { a: 1 }, more: true },
      { payload: { a: 1 }, schema: { type: "int32", optional: false } },
      { schema: { type: "int32", optional: false }, payload: 7 },
    ];
    for (const [at, each] of own.entries()) await world.produce(String(at), each);
    await world.flush();
    const types = new Map(currentSchema(await world.metadata()).fields.map((each) => [each.name, each.type]));
    expect([types.get("schema"), types.has("payload"), types.has("a")]).toEqual(["string", true, false]);
    expect((await world.rows()).length).toBe(own.length);
  });
});

test.each([
  ["text", "true", "false"],
  ["a truth", true, false],
])("Debezium's __deleted deletes and keeps rows, as %s", async (_, yes, no) => {
  await using world = new World(38, {
    mode: mode({ write: "cdc", envelope: "op-field", opField: "__deleted", key: ["id"] }),
  });
  await world.produce("1", { id: 1, v: "a", __deleted: no });
  await world.produce("2", { id: 2, v: "a", __deleted: no });
  await world.flush();
  await world.produce("1", { id: 1, v: "a", __deleted: yes });
  await world.produce("2", { id: 2, v: "b", __deleted: no });
  await world.flush();
  expect(await world.letters()).toEqual([]);
  expect(await byKey(world, "id")).toEqual({ 2: "b" });
});

test("truths are no words of other op fields", async () => {
  await using world = new World(39, {
    mode: mode({ write: "cdc", envelope: "op-field", opField: "active", key: ["id"] }),
  });
  await world.produce("1", { id: 1, active: "true" });
  await world.flush();
  expect((await world.letters()).map(([reason]) => reason)).toEqual(["bad-envelope"]);
});

test.each([[[]], [["id"]]])("a key may have a schema beside it, as the envelope; mode.key %j", async (key) => {
  await using world = new World(36, {
    key: { decode: "json" },
    mode: mode({ write: "cdc", envelope: "debezium", key }),
  });
  const fields = [{ type: "int32", optional: false, field: "id" }];
  const row = (field: string) => ({ type: "struct", field, optional: true, fields });
  const schema = { type: "struct", fields: [row("before"), row("after"), { type: "string", field: "op" }] };
  const keyOf = (id: number) => JSON.stringify({ schema: { type: "struct", fields }, payload: { id } });
  for (const id of [1, 2, 3])
    await world.produce(keyOf(id), { schema, payload: { before: null, after: { id }, op: "c" } });
  await world.flush();
  await world.produce(keyOf(1), { schema, payload: { before: { id: 1 }, after: null, op: "d" } });
  await world.produce(keyOf(1), null);
  await world.produce(keyOf(3), null);
  await world.flush();
  expect((await world.rows()).map((each) => each["id"])).toEqual([2n]);
  expect(await world.letters()).toEqual([]);
});

test("a table keeps the key that it was made with", async () => {
  const lake = new Lake(40);
  const topic = lake.topic("orders", 1);
  await lake.produce(topic, 0, [{ key: utf8("a"), value: utf8("{}") }]);
  const first = lake.open([tableSettings("json")]);
  await first.compactor.flush("orders");
  await first.compactor[Symbol.asyncDispose]();
  const second = lake.open([tableSettings("json", { mode: mode({}) })]);
  await expect(second.compactor.flush("orders")).rejects.toThrow(/identified by nothing \(append\).*the Kafka key/);
  await second.compactor[Symbol.asyncDispose]();
});
