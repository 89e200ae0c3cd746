/** Proves: Protobuf's fields, which are bound by number, identify rows and say what becomes of them by the names that people give. */
import protobuf from "protobufjs";
import { expect, test } from "vitest";
import type { TableSettings } from "../../src/table/settings.ts";
import { readByHyparquet } from "./parquet-readers.ts";
import {
  inlineTranslator,
  Registry,
  rangeOf,
  tableSettings,
  translateAll,
  withSchemaId,
} from "./translate-fixtures.ts";

const first = `syntax = "proto3"; message Row { int32 id = 1; string op = 2; string name = 3; }`;
/** A field more, and one that another number had. */
const second = `syntax = "proto3"; message Row { double price = 4; string title = 3; string op = 2; int32 id = 1; }`;

const settings: TableSettings = tableSettings("schema-id", {
  mode: { write: "cdc", key: ["id"], envelope: "op-field", opField: "op", tombstone: "ignore" },
});

test("mode.key and the op field are found in every schema of a message", async () => {
  const registry = new Registry();
  const translator = inlineTranslator(registry);
  const put = (schema: string, value: object) => {
    const type = protobuf.parse(schema, { keepCase: true }).root.lookupType("Row");
    const index = Uint8Array.of(0); // The file's first message.
    const payload = Buffer.concat([index, type.encode(type.fromObject(value)).finish()]);
    return { value: withSchemaId(registry.register("PROTOBUF", schema), payload) };
  };
  const records = [
    put(first, { id: 1, op: "c", name: "one" }),
    put(first, { id: 2, op: "c", name: "two" }),
    put(second, { id: 2, op: "u", title: "deux", price: 2.5 }),
    put(first, { id: 3, op: "c", name: "three" }),
    put(second, { id: 1, op: "d" }),
    put(first, { id: 4, op: "explode" }),
  ];
  const { mapping, result } = await translateAll(translator, settings, [rangeOf(records)]);
  expect(result.deadLetters).toBe(1);
  const rows = (await Promise.all(result.files.map(({ bytes }) => readByHyparquet(bytes)))).flat();
  const ofValue = rows.map(({ id, name, price }) => ({ id, name, price }));
  expect(ofValue).toContainEqual({ id: 2, name: "deux", price: 2.5 });
  expect(ofValue).toContainEqual({ id: 3, name: "three", price: null });
  const key = mapping.schema.fields.find((field) => field.name === "id");
  expect(mapping.schema["identifier-field-ids"]).toEqual([key?.id]);
  await translator[Symbol.asyncDispose]();
});
