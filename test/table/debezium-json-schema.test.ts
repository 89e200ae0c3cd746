/** Proves: Debezium's envelope under a JSON Schema id, as Kafka Connect's converter for the registry writes it, changes rows. */
import { expect, test } from "vitest";
import { evolve, initialMapping } from "../../src/table/schema/schema-map.ts";
import type { TableSettings, WriteMode } from "../../src/table/settings.ts";
import { readByHyparquet } from "./parquet-readers.ts";
import {
  inlineTranslator,
  Registry,
  rangeOf,
  tableSettings,
  translateAll,
  utf8,
  withSchemaId,
} from "./translate-fixtures.ts";

const orNull = (schema: object) => ({ oneOf: [{ type: "null" }, schema] });
const int32 = { type: "integer", "connect.type": "int32" };
const date = { ...int32, title: "org.apache.kafka.connect.data.Date" };
const price = {
  type: "number",
  title: "org.apache.kafka.connect.data.Decimal",
  "connect.type": "bytes",
  "connect.parameters": { scale: "2", "connect.decimal.precision": "9" },
};
const row = (properties: object) => orNull({ type: "object", title: "db.orders.Value", properties });
const envelope = (properties: object) => ({
  type: "object",
  title: "db.orders.Envelope",
  properties: {
    before: row(properties),
    after: row(properties),
    source: { type: "object", title: "Source", properties: { db: { type: "string" } } },
    op: { type: "string", "connect.index": 3 },
    ts_ms: orNull({ type: "integer", "connect.type": "int64" }),
  },
});
const fields = { id: { ...int32, "connect.index": 0 }, day: orNull(date), price: orNull(price) };
const ids = { value: 1, key: 2, later: 3 };

const mode = (changes: Partial<WriteMode>): WriteMode => ({
  write: "cdc",
  key: ["id"],
  envelope: "debezium",
  opField: "op",
  tombstone: "delete",
  ...changes,
});

const change = (op: string, before: object | null, after: object | null) => ({
  before,
  after,
  source: { db: "x" },
  op,
});
const put = (id: number, value: object | null, schemaId = ids.value) => ({
  key: withSchemaId(ids.key, utf8(JSON.stringify({ id }))),
  value: value === null ? null : withSchemaId(schemaId, utf8(JSON.stringify(value))),
});

async function translated(records: readonly ReturnType<typeof put>[], changes: Partial<TableSettings> = {}) {
  const registry = new Registry();
  registry.register("JSON", envelope(fields));
  registry.register("JSON", { type: "object", properties: { id: int32 } });
  registry.register("JSON", envelope({ ...fields, note: { type: "string" } }));
  const settings = tableSettings("schema-id", { key: { decode: "schema-id" }, mode: mode({}), ...changes });
  await using translator = inlineTranslator(registry);
  const { result, outcomes, mapping } = await translateAll(translator, settings, [rangeOf(records)]);
  const rows = (await Promise.all(result.files.map(({ bytes }) => readByHyparquet(bytes)))).flat();
  const types = Object.fromEntries(mapping.schema.fields.map(({ name, type }) => [name, type]));
  return { rows, types, deadLetters: outcomes[0]?.kind === "added" ? outcomes[0].deadLetters : -1 };
}

test("rows, deletes, tombstones and keys that move", async () => {
  const { rows, types, deadLetters } = await translated([
    put(1, change("r", null, { id: 1, day: 19_000, price: "z8c=" })),
    put(2, change("c", null, { id: 2, day: null, price: null })),
    put(3, change("c", null, { id: 3, day: -1, price: 1.5 })),
    put(4, change("c", null, { id: 4, day: 0, price: null })),
    put(2, change("d", { id: 2, day: null, price: null }, null)),
    put(2, null),
    put(3, change("u", { id: 3, day: -1, price: 1.5 }, { id: 30, day: -1, price: 1.5 })),
    put(4, null),
    put(1, change("u", null, { id: 1, day: 19_000, price: 2, note: "unnamed" })),
    put(5, change("c", null, { id: 5, day: 1, price: 1, note: "named" }), ids.later),
  ]);
  expect(types).toMatchObject({ id: "long", day: "date", price: "decimal(9, 2)", note: "string", _extra: "string" });
  expect(Object.keys(types)).not.toContain("before");
  const ofValue = rows.map(({ id, day, price: cost, note, _extra }) => ({ id, day, price: cost, note, _extra }));
  const day = (days: number): Date => new Date(days * 86_400_000);
  expect(ofValue.toSorted((a, b) => Number(a.id) - Number(b.id))).toEqual([
    { id: 1n, day: day(19_000), price: 2, note: "unnamed", _extra: null },
    { id: 5n, day: day(1), price: 1, note: "named", _extra: null },
    { id: 30n, day: day(-1), price: 1.5, note: null, _extra: null },
  ]);
  expect(deadLetters).toBe(0);
});

test("the Kafka key identifies rows as well", async () => {
  const { rows, deadLetters } = await translated(
    [
      put(1, change("c", null, { id: 1, day: 1, price: null })),
      put(2, change("c", null, { id: 2, day: 1, price: null })),
      put(1, change("d", { id: 1, day: 1, price: null }, null)),
      put(2, change("u", null, { id: 2, day: 2, price: null })),
    ],
    { mode: mode({ key: [] }) },
  );
  expect(rows.map((each) => [each["_kafka_key_id"], each["day"]])).toEqual([[2n, new Date(2 * 86_400_000)]]);
  expect(deadLetters).toBe(0);
});

test("what is no envelope, or breaks its schema, is a dead letter", async () => {
  const { rows, deadLetters } = await translated([
    put(1, change("c", null, { id: 1, day: "1970-01-02", price: null })),
    put(2, change("c", null, null)),
    put(3, change("t", null, null)),
    put(4, { id: 4 }),
    put(5, change("d", null, null)),
    put(6, change("c", null, { day: 1 })),
    put(7, change("m", null, null)),
    put(8, change("c", null, { id: 8, left: { over: 1 } })),
  ]);
  expect(rows.map((each) => [each["id"], each["_extra"]])).toEqual([[8n, '{"/left":{"over":1}}']]);
  expect(deadLetters).toBe(6);
});

test.each([
  ["a schema without op", { ...envelope(fields), properties: { after: row(fields) } }],
  ["a schema without a row", { type: "object", properties: { op: { type: "string" }, after: { type: "string" } } }],
  ["a row without the key", envelope({ day: date })],
])("%s is refused", (_, schema) => {
  const settings = tableSettings("schema-id", { mode: mode({}) });
  const source = { type: "JSON" as const, text: JSON.stringify(schema) };
  const evolution = evolve(
    initialMapping(settings),
    { kind: "schema-id", part: "value", schemaId: 1, schema: source },
    settings,
  );
  expect(evolution.kind).toBe("refused");
});
