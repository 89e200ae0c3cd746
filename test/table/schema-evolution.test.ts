/**
 * Proves: whatever producers do to their schema, and in whatever order it arrives, every record becomes a row with its values
 * or a dead letter with its reason, and the table never stops. Rules G1-G7, with the cases that others' users reported.
 */
import avsc from "avsc";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { IcebergType, NestedField, PrimitiveType } from "../../src/table/iceberg/types.ts";
import { rebase, type TableMapping } from "../../src/table/schema/schema-map.ts";
import { widenedType } from "../../src/table/schema/schema-map-merge.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { readByHyparquet } from "./parquet-readers.ts";
import {
  inlineTranslator,
  Registry,
  rangeOf,
  type Translated,
  tableSettings,
  translateAll,
  withSchemaId,
} from "./translate-fixtures.ts";

const strict = tableSettings("schema-id", { metadataColumns: [], headers: "none" });
const besides: TableSettings = { ...strict, value: { ...strict.value, onTypeChange: "new-column" } };

type Fields = Readonly<Record<string, unknown>>;

/** A field is its type, or an object with a type and whatever else Avro allows. */
function record(name: string, fields: Fields): unknown {
  const full = Object.entries(fields).map(([field, type]) =>
    typeof type === "object" && type !== null && "field" in type
      ? { name: field, ...(type as { readonly field: object }).field }
      : { name: field, type },
  );
  return { type: "record", name, fields: full };
}

const optional = (type: unknown): unknown => ({ field: { type: ["null", type], default: null } });
const renamedFrom = (alias: string, type: unknown): unknown => ({ field: { type, aliases: [alias] } });
const decimal = (precision: number, scale: number) => ({ type: "bytes", logicalType: "decimal", precision, scale });

/** One topic with its schemas; each `send` is a record of one of them, in the order in which they were produced. */
class Topic {
  readonly #registry = new Registry();
  readonly #types: avsc.Type[] = [];
  readonly #records: { readonly value: Uint8Array | null }[] = [];
  readonly #settings: TableSettings;

  constructor(settings: TableSettings = strict) {
    this.#settings = settings;
  }

  schema(fields: Fields): number {
    const schema = record("R", fields);
    this.#types.push(avsc.Type.forSchema(schema as avsc.Schema, { wrapUnions: "auto" }));
    return this.#registry.register("AVRO", schema);
  }

  send(schemaId: number, value: object): this {
    const type = this.#types[schemaId - 1] as avsc.Type;
    this.#records.push({ value: withSchemaId(schemaId, type.toBuffer(value)) });
    return this;
  }

  /** Each record a round of its own, as records come in life. */
  async translate(mapping?: TableMapping): Promise<{
    readonly rows: readonly Readonly<Record<string, unknown>>[];
    readonly letters: number;
    readonly mapping: TableMapping;
  }> {
    const translator = inlineTranslator(this.#registry);
    const rows: Readonly<Record<string, unknown>>[] = [];
    let letters = 0;
    let known = mapping;
    for (const one of this.#records) {
      const plan = known === undefined ? {} : { mapping: known };
      const done: Translated = await translateAll(translator, this.#settings, [rangeOf([one])], plan);
      known = done.mapping;
      letters += done.result.deadLetters;
      for (const { bytes } of done.result.files) rows.push(...(await readByHyparquet(bytes)).map(valuesOf));
    }
    await translator[Symbol.asyncDispose]();
    return { rows, letters, mapping: known as TableMapping };
  }
}

function valuesOf(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const values = Object.entries(row).filter(([name, value]) => !name.startsWith("_kafka") && value !== null);
  return Object.fromEntries(values.map(([name, value]) => [name, plain(value)]));
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  const present = Object.entries(value).filter(([, each]) => each !== null);
  return Object.fromEntries(present.map(([name, each]) => [name, plain(each)]));
}

function columnsOf({ schema, own }: TableMapping): readonly NestedField[] {
  return schema.fields.filter((field) => !Object.values(own).includes(field.id));
}

function shapeOf(mapping: TableMapping): Readonly<Record<string, unknown>> {
  return Object.fromEntries(columnsOf(mapping).map((field) => [field.name, shape(field.type)]));
}

function shape(type: IcebergType): unknown {
  if (typeof type === "string") return type;
  if (type.type === "struct") return Object.fromEntries(type.fields.map((field) => [field.name, shape(field.type)]));
  return type.type === "list" ? [shape(type.element)] : { "*": shape(type.value) };
}

const columnNamed = (mapping: TableMapping, name: string): number | undefined =>
  columnsOf(mapping).find((field) => field.name === name)?.id;

describe("a field that is added", () => {
  test("inside a struct, a list's elements and a map's values, also where the parent is null (apache/iceberg#15395, apache/iceberg#16826)", async () => {
    const topic = new Topic();
    const before = topic.schema({
      s: ["null", record("S", { a: "int" })],
      l: { type: "array", items: record("L", { a: "int" }) },
      m: { type: "map", values: record("M", { a: "int" }) },
    });
    const deep = { deep: optional(record("D", { x: "string" })) };
    const after = topic.schema({
      s: ["null", record("S", { a: "int", b: optional("string"), ...deep })],
      l: { type: "array", items: record("L", { a: "int", b: optional("string") }) },
      m: { type: "map", values: record("M", { a: "int", b: optional("long") }) },
    });
    topic
      .send(before, { s: { a: 1 }, l: [{ a: 2 }], m: { k: { a: 3 } } })
      .send(before, { s: null, l: [], m: {} })
      .send(after, {
        s: null,
        l: [
          { a: 4, b: "x" },
          { a: 5, b: null },
        ],
        m: { k: { a: 6, b: 7 } },
      })
      .send(after, { s: { a: 8, b: "y", deep: { x: "z" } }, l: [], m: {} })
      .send(before, { s: { a: 9 }, l: [{ a: 10 }], m: {} });
    const { rows, letters, mapping } = await topic.translate();
    expect(letters).toBe(0);
    expect(shapeOf(mapping)).toEqual({
      s: { a: "int", b: "string", deep: { x: "string" } },
      l: [{ a: "int", b: "string" }],
      m: { "*": { a: "int", b: "long" } },
    });
    expect(rows).toEqual([
      { s: { a: 1 }, l: [{ a: 2 }], m: { k: { a: 3 } } },
      { l: [], m: {} },
      { l: [{ a: 4, b: "x" }, { a: 5 }], m: { k: { a: 6, b: 7 } } },
      { s: { a: 8, b: "y", deep: { x: "z" } }, l: [], m: {} },
      { s: { a: 9 }, l: [{ a: 10 }], m: {} },
    ]);
  });

  test("in an arm of a union that had no field before", async () => {
    const topic = new Topic();
    const before = topic.schema({ f: ["null", record("Empty", {}), record("Full", { a: "int" })] });
    const after = topic.schema({
      f: ["null", record("Empty", { b: "int" }), record("Full", { a: "int" })],
    });
    topic.send(before, { f: null }).send(after, { f: { Empty: { b: 1 } } });
    const { letters, mapping } = await topic.translate();
    expect(letters).toBe(0);
    expect(shapeOf(mapping)).toEqual({ f: { Full: { a: "int" }, Empty: { b: "int" } } });
  });
});

describe("a field that goes", () => {
  test("leaves its column, null from then on (databricks/iceberg-kafka-connect#261)", async () => {
    const topic = new Topic();
    const before = topic.schema({ id: "int", name: "string" });
    const after = topic.schema({ id: "int" });
    topic.send(before, { id: 1, name: "a" }).send(after, { id: 2 }).send(before, { id: 3, name: "c" });
    const { rows, mapping } = await topic.translate();
    expect(rows).toEqual([{ id: 1, name: "a" }, { id: 2 }, { id: 3, name: "c" }]);
    expect(columnsOf(mapping).every((field) => !field.required)).toBe(true);
  });

  test("and comes back has its column again", async () => {
    const topic = new Topic();
    const [with_, without] = [topic.schema({ id: "int", x: "int" }), topic.schema({ id: "int" })];
    const again = topic.schema({ x: "long", id: "int" });
    topic.send(with_, { id: 1, x: 1 }).send(without, { id: 2 }).send(again, { id: 3, x: 3 });
    const { mapping } = await topic.translate();
    expect(shapeOf(mapping)).toEqual({ id: "int", x: "long" });
  });

  test("when a required nested field became optional, rows without it are rows (apache/iceberg#17555)", async () => {
    const topic = new Topic();
    const before = topic.schema({ key: record("K", { a: "int", b: "int" }) });
    const after = topic.schema({ key: record("K", { a: "int", c: optional("int") }) });
    topic.send(before, { key: { a: 1, b: 2 } }).send(after, { key: { a: 3, c: null } });
    const { rows, letters, mapping } = await topic.translate();
    expect(letters).toBe(0);
    expect(rows).toEqual([{ key: { a: 1, b: 2 } }, { key: { a: 3 } }]);
    const key = columnsOf(mapping)[0]?.type as Extract<IcebergType, { readonly type: "struct" }>;
    expect(key.fields.every((field) => !field.required)).toBe(true);
  });
});

describe("a type that widens", () => {
  test("int to long, float to double, a decimal's digits: everywhere, and narrower producers go on", async () => {
    const topic = new Topic();
    const before = topic.schema({
      i: "int",
      f: "float",
      d: decimal(9, 2),
      l: { type: "array", items: "int" },
      m: { type: "map", values: "float" },
    });
    const after = topic.schema({
      i: "long",
      f: "double",
      d: decimal(20, 2),
      l: { type: "array", items: "long" },
      m: { type: "map", values: "double" },
    });
    const d = Buffer.from([0x04, 0xd2]);
    topic
      .send(before, { i: 1, f: 0.5, d, l: [1], m: { a: 0.5 } })
      .send(after, { i: 2 ** 40, f: 0.1, d, l: [2 ** 40], m: { a: 0.1 } })
      .send(before, { i: 3, f: 0.25, d, l: [3], m: { a: 0.25 } });
    const { rows, letters, mapping } = await topic.translate();
    expect(letters).toBe(0);
    expect(shapeOf(mapping)).toEqual({
      i: "long",
      f: "double",
      d: "decimal(20, 2)",
      l: ["long"],
      m: { "*": "double" },
    });
    expect(rows).toEqual([
      { i: 1, f: 0.5, d: 12.34, l: [1], m: { a: 0.5 } },
      { i: 2 ** 40, f: 0.1, d: 12.34, l: [2 ** 40], m: { a: 0.1 } },
      { i: 3, f: 0.25, d: 12.34, l: [3], m: { a: 0.25 } },
    ]);
  });

  test("widening is a lattice: idempotent, and the same whichever producer comes first", () => {
    const types: readonly PrimitiveType[] = [
      "int",
      "long",
      "float",
      "double",
      "decimal(9, 2)",
      "decimal(20, 2)",
      "date",
    ];
    const type = fc.constantFrom(...types);
    fc.assert(
      fc.property(type, type, (a, b) => {
        expect(widenedType(a, a)).toBe(a);
        const widened = widenedType(a, b);
        if (widened !== undefined) expect(widenedType(widened, b)).toBe(widened);
        const isPromotion = widened !== undefined && !(a === "double" && b === "int");
        if (isPromotion) expect(widenedType(b, a)).toBe(widened);
      }),
    );
  });
});

describe("a field that is renamed by an alias", () => {
  test("keeps its column and id, for old producers too", async () => {
    const topic = new Topic();
    const before = topic.schema({ id: "int", n: record("N", { amount: "int" }), amount: "int" });
    const after = topic.schema({
      total: renamedFrom("amount", "long"),
      id: "int",
      n: record("N", { sum: renamedFrom("amount", "int") }),
    });
    topic
      .send(before, { id: 1, n: { amount: 2 }, amount: 3 })
      .send(after, { total: 4, id: 5, n: { sum: 6 } })
      .send(before, { id: 7, n: { amount: 8 }, amount: 9 });
    const first = await topic.translate();
    expect(shapeOf(first.mapping)).toEqual({ id: "int", n: { sum: "int" }, total: "long" });
    expect(first.rows.map((row) => row["total"] ?? row["amount"])).toEqual([3, 4, 9]);
    expect(first.rows[2]).toEqual({ id: 7, n: { sum: 8 }, total: 9 });
    const amount = first.mapping.bindings.find((each) => each.parent === 0 && each.name === "amount");
    expect(columnNamed(first.mapping, "total")).toBe(amount?.id);
  });

  test("is found by an older schema that is used only afterwards", async () => {
    const topic = new Topic();
    const [before, after] = [topic.schema({ amount: "int" }), topic.schema({ total: renamedFrom("amount", "int") })];
    topic.send(after, { total: 1 }).send(before, { amount: 2 });
    expect((await topic.translate()).rows).toEqual([{ total: 1 }, { total: 2 }]);
  });

  test("keeps the name that people gave to the column", async () => {
    const topic = new Topic();
    topic.send(topic.schema({ amount: "int" }), { amount: 1 });
    const { mapping } = await topic.translate();
    const fields = mapping.schema.fields.map((each) => (each.name === "amount" ? { ...each, name: "price" } : each));
    const later = new Topic();
    later.schema({ unused: "int" });
    later.send(later.schema({ total: renamedFrom("amount", "int") }), { total: 2 });
    const renamed = await later.translate(rebase(mapping, { ...mapping.schema, fields }, mapping.lastColumnId));
    expect(renamed.rows).toEqual([{ price: 2 }]);
  });

  test("two fields that claim one column: dead letters with the reason, or a column beside it", async () => {
    const scene = (settings: TableSettings): Topic => {
      const topic = new Topic(settings);
      const [before, after] = [topic.schema({ amount: "int" }), topic.schema({ total: renamedFrom("amount", "int") })];
      const both = topic.schema({ amount: "int", total: "int" });
      return topic.send(before, { amount: 1 }).send(after, { total: 2 }).send(both, { amount: 3, total: 4 });
    };
    const refused = await scene(strict).translate();
    expect(refused.letters).toBe(1);
    expect(refused.mapping.sources["value:3"]).toMatchObject({ reason: expect.stringContaining("goes to total too") });
    const { rows, letters } = await scene(besides).translate();
    expect(letters).toBe(0);
    expect(rows).toEqual([{ amount: 1 }, { total: 2 }, { total: 3, total__2: 4 }]);
  });
});

describe("a type that Iceberg does not let a column change to", () => {
  test("is refused for the records of that schema only, with the reason (policy dead-letter)", async () => {
    const topic = new Topic();
    const [number, text] = [topic.schema({ id: "int", amount: "int" }), topic.schema({ id: "int", amount: "string" })];
    topic.send(number, { id: 1, amount: 2 }).send(text, { id: 3, amount: "4" }).send(number, { id: 5, amount: 6 });
    const { rows, letters, mapping } = await topic.translate();
    expect(rows).toEqual([
      { id: 1, amount: 2 },
      { id: 5, amount: 6 },
    ]);
    expect(letters).toBe(1);
    expect(mapping.sources["value:2"]).toEqual({ kind: "refused", reason: "amount: a int cannot become a string" });
  });

  test("has a column beside it, amount__2, which is the same for every later schema (policy new-column)", async () => {
    const topic = new Topic(besides);
    const number = topic.schema({ amount: "int" });
    const text = topic.schema({ amount: "string" });
    const list = topic.schema({ amount: { type: "array", items: "int" } });
    const textAgain = topic.schema({ amount: "string", id: "int" });
    const wide = topic.schema({ amount: "long" });
    topic
      .send(number, { amount: 1 })
      .send(text, { amount: "a" })
      .send(list, { amount: [1] })
      .send(number, { amount: 2 })
      .send(textAgain, { amount: "b", id: 1 })
      .send(wide, { amount: 3 })
      .send(text, { amount: "c" });
    const { rows, letters, mapping } = await topic.translate();
    expect(letters).toBe(0);
    expect(shapeOf(mapping)).toEqual({ amount: "long", amount__2: "string", amount__3: ["int"], id: "int" });
    expect(rows).toEqual([
      { amount: 1 },
      { amount__2: "a" },
      { amount__3: [1] },
      { amount: 2 },
      { amount__2: "b", id: 1 },
      { amount: 3 },
      { amount__2: "c" },
    ]);
    expect(JSON.parse(JSON.stringify(mapping))).toEqual(mapping);
  });

  test("inside a list of structs it stands beside its field there", async () => {
    const topic = new Topic(besides);
    const items = (type: unknown) => ({ l: { type: "array", items: record("I", { a: type, b: "int" }) } });
    const [number, text] = [topic.schema(items("int")), topic.schema(items("string"))];
    topic.send(number, { l: [{ a: 1, b: 2 }] }).send(text, { l: [{ a: "x", b: 3 }] });
    const { rows, mapping } = await topic.translate();
    expect(shapeOf(mapping)).toEqual({ l: [{ a: "int", b: "int", a__2: "string" }] });
    expect(rows[1]).toEqual({ l: [{ a__2: "x", b: 3 }] });
  });

  test("survives a rebase: after people's DDL the same columns are found again", async () => {
    const topic = new Topic(besides);
    const [number, text] = [topic.schema({ amount: "int" }), topic.schema({ amount: "string" })];
    topic.send(number, { amount: 1 }).send(text, { amount: "a" });
    const { mapping } = await topic.translate();
    const fields = [...mapping.schema.fields].reverse();
    const again = await topic.translate(rebase(mapping, { ...mapping.schema, fields }, mapping.lastColumnId));
    expect(again.rows).toEqual([{ amount: 1 }, { amount__2: "a" }]);
    expect(again.mapping.lastColumnId).toBe(mapping.lastColumnId);
  });
});

describe("names", () => {
  test("of another case, and those of metadata columns, get a number of their own", async () => {
    const topic = new Topic();
    topic
      .send(topic.schema({ id: "int" }), { id: 1 })
      .send(topic.schema({ id: "int", ID: "int", _kafka_offset: "int" }), {
        id: 2,
        ID: 3,
        _kafka_offset: 4,
      });
    expect(shapeOf((await topic.translate()).mapping)).toEqual({ id: "int", ID_2: "int", _kafka_offset_2: "int" });
  });

  test("a column that people added before its producer came is the field's own, if the type fits", async () => {
    const first = new Topic();
    first.send(first.schema({ id: "int" }), { id: 1 });
    const { mapping } = await first.translate();
    const added = { id: 90, name: "amount", required: false, type: "int" as const };
    const based = rebase(mapping, { ...mapping.schema, fields: [...mapping.schema.fields, added] }, 90);
    for (const [type, expected] of [
      ["long", { id: "int", amount: "long" }],
      ["string", { id: "int", amount: "int", amount_2: "string" }],
    ] as const) {
      const later = new Topic();
      later.schema({ unused: "int" });
      later.send(later.schema({ amount: type }), { amount: type === "long" ? 1 : "x" });
      expect(shapeOf((await later.translate(based)).mapping)).toEqual(expected);
    }
  });

  test("our own columns are nobody's else: a field by the name of one never takes it", async () => {
    const topic = new Topic(tableSettings("schema-id"));
    topic.send(topic.schema({ _kafka_timestamp: { type: "long", logicalType: "timestamp-micros" } }), {
      _kafka_timestamp: 1,
    });
    const { mapping } = await topic.translate();
    expect(shapeOf(mapping)).toEqual({ _kafka_timestamp_2: "timestamptz" });
  });
});

test("a compatible schema change never wedges: any schemas, in any order of use (AutoMQ/automq#3006)", async () => {
  const scalar = fc.constantFrom("int", "long", "float", "double", "string", "boolean", "bytes");
  const type = fc.oneof(
    scalar,
    scalar.map((items) => ({ type: "array", items })),
    scalar.map((values) => ({ type: "map", values })),
  );
  const name = fc.constantFrom("a", "b", "c", "A");
  const field = fc.record({ type, isNested: fc.boolean(), alias: fc.option(name) });
  const schema = fc.dictionary(name, field, { minKeys: 1 }).map((fields): Fields => {
    const own = Object.entries(fields).map(([key, { type: of, alias, isNested }]) => [
      key,
      isNested
        ? record(`N${key}`, { x: of })
        : { field: { type: of, ...(alias === null ? {} : { aliases: [alias] }) } },
    ]);
    return Object.fromEntries(own) as Fields;
  });
  const policy = fc.constantFrom(strict, besides);
  const scene = fc.tuple(
    policy,
    fc.array(schema, { minLength: 1, maxLength: 5 }),
    fc.array(fc.nat(20), { maxLength: 8 }),
  );
  await fc.assert(
    fc.asyncProperty(scene, async ([settings, schemas, uses]) => {
      const topic = new Topic(settings);
      const ids = schemas.map((fields) => topic.schema(fields));
      for (const use of uses) {
        const at = use % ids.length;
        const sample = avsc.Type.forSchema(record("R", schemas[at] as Fields) as avsc.Schema).random() as object;
        topic.send(ids[at] as number, sample);
      }
      const { rows, letters } = await topic.translate();
      expect(rows.length + letters).toBe(uses.length);
      if (settings === besides) expect(letters).toBe(0);
    }),
    { numRuns: 60 },
  );
});
