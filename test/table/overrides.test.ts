/** Proves: a person's word on single columns holds in every format, loses nothing in silence, and stays with the table. */
import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import type { Uuid } from "../../src/base/ids.ts";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import type { ColumnOverrides } from "../../src/table/schema/column-overrides.ts";
import { spelled } from "../../src/table/schema/type-table.ts";
import type { DecodeMode, TableSettings } from "../../src/table/settings.ts";
import { readRows, type TableRow } from "../support/iceberg-reader.ts";
import { Lake } from "../support/lake.ts";
import { Registry, tableSettings, utf8, withSchemaId } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };

class World {
  readonly registry = new Registry();
  readonly lake = new Lake(5);
  readonly #topic: Uuid;
  readonly #decode: DecodeMode;

  constructor(decode: DecodeMode) {
    this.#decode = decode;
    this.#topic = this.lake.topic("orders", 1);
    this.lake.schemaById = this.registry.schemaById;
  }

  async put(...values: readonly Uint8Array[]): Promise<void> {
    await this.lake.produce(
      this.#topic,
      0,
      values.map((value) => ({ value })),
    );
  }

  async putJson(...texts: readonly string[]): Promise<void> {
    await this.put(...texts.map((text) => utf8(text)));
  }

  async flush(overrides: ColumnOverrides, changes: Partial<TableSettings> = {}): Promise<void> {
    const { compactor } = this.lake.open([tableSettings(this.#decode, { overrides, ...changes })]);
    try {
      await compactor.flush("orders");
    } finally {
      await compactor[Symbol.asyncDispose]();
    }
  }

  async rows(overrides: ColumnOverrides, changes: Partial<TableSettings> = {}): Promise<readonly TableRow[]> {
    await this.flush(overrides, changes);
    const rows = await readRows(this.lake.warehouse, await this.metadata());
    return [...rows].sort((a, b) => Number(a["_kafka_offset"]) - Number(b["_kafka_offset"]));
  }

  async metadata() {
    const loaded = await this.lake.foreign().load(orders);
    if (loaded === undefined) throw new Error("no table");
    return loaded.metadata;
  }

  /** Of the value. */
  async columns(): Promise<Readonly<Record<string, string>>> {
    const { fields } = currentSchema(await this.metadata());
    const ours = fields.filter(({ name }) => !name.startsWith("_"));
    return Object.fromEntries(ours.map(({ name, type }) => [name, spelled(type)]));
  }

  async letters(): Promise<readonly unknown[]> {
    const rows = await this.lake.rows({ namespace: ["sales"], name: "orders_dlq" });
    return rows.map((row) => [Number(row["offset"]), row["reason"]]);
  }
}

const everyType: ColumnOverrides = {
  price: { type: "decimal(38, 18)" },
  at: { type: "timestamptz" },
  local: { type: "timestamp" },
  day: { type: "date" },
  noon: { type: "time" },
  id: { type: "uuid" },
  count: { type: "long" },
  small: { type: "int" },
  ratio: { type: "double" },
  isOpen: { type: "boolean" },
  blob: { type: "binary" },
};
const texts = {
  price: "0.1",
  at: "2026-01-02T03:04:05.678901+01:00",
  local: "2026-01-02 03:04:05.5",
  day: "2026-01-02",
  noon: "12:30:00.25",
  id: "9b2c3a4e-0000-4000-8000-0123456789ab",
  count: "9223372036854775807",
  small: "-7",
  ratio: "1e-3",
  isOpen: "true",
  blob: "bytes",
};
const columnTypes = Object.fromEntries(Object.entries(everyType).map(([name, { type }]) => [name, type]));

/** As a reader shows them, in words that compare. */
function shown(row: TableRow | undefined): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.keys(everyType).map((name) => {
      const value = row?.[name];
      if (value instanceof Date) return [name, value.toISOString()];
      if (value instanceof Uint8Array) return [name, Buffer.from(value).toString("hex")];
      return [name, typeof value === "bigint" ? String(value) : value];
    }),
  );
}

describe("text becomes any type", () => {
  const check = async (world: World): Promise<void> => {
    const [row] = await world.rows(everyType);
    expect(await world.letters()).toEqual([]);
    expect(await world.columns()).toEqual(columnTypes);
    expect(shown(row)).toMatchObject({
      at: "2026-01-02T02:04:05.678Z",
      local: "2026-01-02T03:04:05.500Z",
      day: "2026-01-02T00:00:00.000Z",
      count: "9223372036854775807",
      small: -7,
      ratio: 0.001,
      isOpen: true,
      blob: Buffer.from("bytes").toString("hex"),
    });
    const [file] = await world.lake.files(orders);
    const priceId = currentSchema(await world.metadata()).fields.find(({ name }) => name === "price")?.id ?? 0;
    const lower = file?.file.lowerBounds.get(priceId) ?? new Uint8Array();
    expect(BigInt(`0x${Buffer.from(lower).toString("hex")}`)).toBe(10n ** 17n);
    expect(shown(row)["id"]).toBe(texts.id);
  };

  test("in JSON without a schema", async () => {
    const world = new World("json");
    await world.putJson(JSON.stringify(texts));
    await check(world);
  });

  test("in JSON Schema", async () => {
    const world = new World("schema-id");
    const properties = Object.fromEntries(Object.keys(texts).map((name) => [name, { type: "string" }]));
    const id = world.registry.register("JSON", { type: "object", properties });
    await world.put(withSchemaId(id, utf8(JSON.stringify(texts))));
    await check(world);
  });

  test("in Avro", async () => {
    const world = new World("schema-id");
    const fields = Object.keys(texts).map((name) => ({ name, type: ["null", "string"] }));
    const id = world.registry.register("AVRO", { type: "record", name: "R", fields });
    const bytes = Object.values(texts).map((text) => Buffer.concat([Uint8Array.of(2, text.length * 2), utf8(text)]));
    await world.put(withSchemaId(id, Buffer.concat(bytes)));
    await check(world);
  });

  test("in Protobuf, where a text that is not there is null", async () => {
    const world = new World("schema-id");
    const lines = Object.keys(texts).map((name, at) => `string ${name} = ${at + 1};`);
    const schema = `syntax = "proto3"; message R { ${lines.join(" ")} }`;
    const type = protobuf.parse(schema, { keepCase: true }).root.lookupType("R");
    const id = world.registry.register("PROTOBUF", schema);
    const put = (value: object) =>
      world.put(withSchemaId(id, Buffer.concat([Uint8Array.of(0), type.encode(value).finish()])));
    await put(texts);
    await check(world);
    await put({});
    expect((await world.rows(everyType)).at(-1)?.["price"]).toBe(null);
  });
});

describe("numbers", () => {
  const decimals: ColumnOverrides = { n: { type: "decimal(38, 18)" } };

  test("of JSON reach a decimal with all their digits, or make the record bad", async () => {
    const world = new World("json");
    const good = ["0.1", "-12345678901234567890.123456789012345678", "9007199254740993", "1e19", "1.50", '"2.5"', "0"];
    const bad = ["1e400", "1e20", "0.1234567890123456789", '"two"', "true", "[1]", "1e-400"];
    await world.putJson(...[...good, ...bad].map((n) => `{"n":${n}}`));
    await world.flush(decimals);
    expect(await world.letters()).toEqual([
      [7, "out-of-range"],
      [8, "out-of-range"],
      [9, "out-of-range"],
      [10, "type-mismatch"],
      [11, "type-mismatch"],
      [12, "type-mismatch"],
      [13, "out-of-range"],
    ]);
    const [file] = await world.lake.files(orders);
    const id = currentSchema(await world.metadata()).fields.find(({ name }) => name === "n")?.id ?? 0;
    const bound = (bytes: Uint8Array | undefined): bigint =>
      BigInt.asIntN(
        128,
        BigInt(
          `0x${Buffer.from(bytes ?? [])
            .toString("hex")
            .padStart(32, "f")}`,
        ),
      );
    expect(bound(file?.file.lowerBounds.get(id))).toBe(-12345678901234567890123456789012345678n);
    expect(BigInt(`0x${Buffer.from(file?.file.upperBounds.get(id) ?? []).toString("hex")}`)).toBe(10n ** 37n);
  });

  test("of Avro and Protobuf do so too", async () => {
    const world = new World("schema-id");
    const avro = (type: string) =>
      world.registry.register("AVRO", { type: "record", name: "R", fields: [{ name: "n", type }] });
    const proto = 'syntax = "proto3"; message R { uint64 n = 1; }';
    const protobufId = world.registry.register("PROTOBUF", proto);
    const float = Buffer.alloc(4);
    float.writeFloatLE(0.1);
    const double = Buffer.alloc(8);
    double.writeDoubleLE(1e300);
    await world.put(
      withSchemaId(avro("long"), Uint8Array.of(14)),
      withSchemaId(avro("float"), float),
      withSchemaId(avro("double"), double),
      withSchemaId(protobufId, Uint8Array.of(0, 8, 9)),
      withSchemaId(avro("boolean"), Uint8Array.of(1)),
    );
    const rows = await world.rows(decimals, {});
    const numbers = rows.map((row) => [Number(row["_kafka_offset"]), Number(row["n"] ?? row["n_2"]).toPrecision(12)]);
    expect(numbers).toEqual([
      [0, (7).toPrecision(12)],
      [1, (0.1).toPrecision(12)],
      [3, (9).toPrecision(12)],
    ]);
    expect(await world.letters()).toEqual([
      [2, "out-of-range"],
      [4, "schema-refused"],
    ]);
  });

  test("without a word of anybody: exact as longs of a schema, in the extra column of inferred doubles", async () => {
    const world = new World("json");
    const all = ["1", "9223372036854775807", "1e400", "-1e400", "0.1"];
    await world.putJson(...all.map((n) => `{"n":${n}}`));
    const rows = await world.rows({});
    expect(rows.map((row) => [row["n"], row["_extra"]])).toEqual([
      [1, null],
      [null, '{"/n":9223372036854775807}'],
      [null, '{"/n":1e400}'],
      [null, '{"/n":-1e400}'],
      [0.1, null],
    ]);
    const typed = new World("schema-id");
    const properties = { n: { type: "integer" }, d: { type: "number" } };
    const id = typed.registry.register("JSON", { type: "object", properties });
    const values = [
      '{"n":9223372036854775807}',
      '{"n":9223372036854775808}',
      '{"n":1e400}',
      '{"d":1e400}',
      '{"d":1e308}',
    ];
    await typed.put(...values.map((value) => withSchemaId(id, utf8(value))));
    expect((await typed.rows({})).map((row) => row["n"] ?? row["d"])).toEqual([9223372036854775807n, 1e308]);
    expect(await typed.letters()).toEqual([
      [1, "out-of-range"],
      [2, "type-mismatch"],
      [3, "out-of-range"],
    ]);
  });
});

describe("a column", () => {
  test("has the name and the comment that people want, and is still its field's", async () => {
    const world = new World("json");
    const overrides: ColumnOverrides = {
      "at.zip": { name: "postcode", comment: "of the house" },
      n: { name: "number" },
    };
    const partitionBy = [{ column: "number", transform: "identity" }] as const;
    await world.putJson('{"n":1,"at":{"zip":"a","street":"b"}}');
    await world.flush(overrides, { partitionBy });
    await world.putJson('{"n":2,"number":"other","at":{"zip":"c"}}');
    const rows = await world.rows(overrides, { partitionBy });
    expect(rows.map(({ number, number_2, at }) => ({ number, number_2, at }))).toMatchObject([
      { number: 1, at: { postcode: "a", street: "b" } },
      { number: 2, number_2: "other", at: { postcode: "c" } },
    ]);
    const at = currentSchema(await world.metadata()).fields.find(({ name }) => name === "at");
    expect(at?.type).toMatchObject({ fields: [{ name: "postcode", doc: "of the house" }, { name: "street" }] });
  });

  test("may be text whatever comes: text as it is, anything else as JSON with all its digits", async () => {
    const world = new World("json");
    await world.putJson('{"t":"plain"}', '{"t":{"a":[1.10,12345678901234567890.5]}}', '{"t":7}', '{"t":true}');
    const rows = await world.rows({ t: { type: "string" } });
    expect(rows.map((row) => row["t"])).toEqual(["plain", '{"a":[1.1,12345678901234567890.5]}', "7", "true"]);
    const typed = new World("schema-id");
    const inner = { type: "record", name: "In", fields: [{ name: "a", type: "int" }] };
    const fields = [
      { name: "r", type: inner },
      { name: "n", type: "long" },
      { name: "l", type: { type: "array", items: "int" } },
    ];
    const id = typed.registry.register("AVRO", { type: "record", name: "R", fields });
    await typed.put(withSchemaId(id, Uint8Array.of(2, 4, 2, 6, 0)));
    const asText: ColumnOverrides = { r: { type: "string" }, n: { type: "string" }, l: { type: "string" } };
    expect(await typed.rows(asText)).toMatchObject([{ r: '{"a":1}', n: "2", l: "[3]" }]);
    const proto =
      'syntax = "proto3"; message R { In r = 1; int64 n = 2; repeated int32 l = 3; } message In { int32 a = 1; }';
    const other = new World("schema-id");
    const protoId = other.registry.register("PROTOBUF", proto);
    await other.put(withSchemaId(protoId, Uint8Array.of(0, 10, 2, 8, 1, 16, 2, 26, 1, 3)));
    expect(await other.rows(asText)).toMatchObject([{ r: '{"a":1}', n: "2", l: "[3]" }]);
  });

  test("may be left out: its values are nowhere, not in the extra column either", async () => {
    const excluded: ColumnOverrides = { ssn: { isExcluded: true }, "in.ssn": { isExcluded: true } };
    const world = new World("json");
    await world.putJson(
      '{"id":1,"ssn":"secret","in":{"ssn":"secret"}}',
      '{"id":"misfit","ssn":"secret","in":{"ssn":"secret","a":1}}',
    );
    const rows = await world.rows(excluded);
    expect(JSON.stringify(rows, (_, value) => (typeof value === "bigint" ? Number(value) : value))).not.toContain(
      "secret",
    );
    expect(await world.columns()).toEqual({ id: "double", in: "struct<a: double>" });
    expect(rows[1]?.["_extra"]).toBe('{"/id":"misfit"}');
    const typed = new World("schema-id");
    const fields = [
      { name: "ssn", type: "string" },
      { name: "id", type: "int" },
    ];
    const id = typed.registry.register("AVRO", { type: "record", name: "R", fields });
    await typed.put(withSchemaId(id, Uint8Array.of(2, 97, 4)));
    expect(await typed.rows(excluded)).toMatchObject([{ id: 2 }]);
    expect(await typed.columns()).toEqual({ id: "int" });
  });
});

describe("a table goes on", () => {
  test("when a column is left out from now on, and when it is wanted again", async () => {
    const world = new World("json");
    await world.putJson('{"id":1,"note":"a"}');
    await world.flush({});
    await world.putJson('{"id":2,"note":"b"}');
    await world.flush({ note: { isExcluded: true } });
    await world.putJson('{"id":3,"note":"c"}');
    expect((await world.rows({})).map((row) => [row["note"], row["_extra"]])).toEqual([
      ["a", null],
      [null, null],
      ["c", null],
    ]);
  });

  test("with types of fields that came later, whose schemas evolve as ever", async () => {
    const world = new World("schema-id");
    const schema = (...fields: readonly object[]) =>
      world.registry.register("AVRO", { type: "record", name: "R", fields });
    const overrides: ColumnOverrides = { price: { type: "decimal(10, 2)" } };
    await world.put(withSchemaId(schema({ name: "id", type: "int" }), Uint8Array.of(2)));
    await world.flush({});
    const second = schema({ name: "id", type: "long" }, { name: "price", type: "string" });
    await world.put(withSchemaId(second, Buffer.concat([Uint8Array.of(4, 6), utf8("1.5")])));
    await world.flush(overrides);
    const third = schema({ name: "id", type: "long" }, { name: "price", type: "int" }, { name: "more", type: "int" });
    await world.put(withSchemaId(third, Uint8Array.of(6, 14, 2)));
    expect((await world.rows(overrides)).map(({ id, price, more }) => [Number(id), price, more])).toEqual([
      [1, undefined, undefined],
      [2, 1.5, undefined],
      [3, 7, 1],
    ]);
    expect(await world.columns()).toEqual({ id: "long", price: "decimal(10, 2)", more: "int" });
  });

  test("not when a column that is there would get another type: it says what was, and both ways out", async () => {
    const world = new World("json");
    await world.putJson('{"in":{"n":1}}');
    await world.flush({});
    await world.putJson('{"in":{"n":2}}');
    await expect(world.flush({ "in.n": { type: "long" } })).rejects.toThrow(
      /columns.overrides.in.n.type was not said when the column was made, and is now long: put it back/,
    );
  });
});
