/** Proves: every Iceberg type has a name that Hive and Glue know. */
import { expect, test } from "vitest";
import { hiveColumns, hiveType } from "../../catalogs/hive-columns.ts";
import type { IcebergType } from "../../src/table/iceberg/types.ts";
import { emptyTable } from "../table/iceberg/tables.ts";

test.each<[IcebergType, string]>([
  ["boolean", "boolean"],
  ["int", "int"],
  ["long", "bigint"],
  ["float", "float"],
  ["double", "double"],
  ["date", "date"],
  ["time", "string"],
  ["timestamp", "timestamp"],
  ["string", "string"],
  ["uuid", "string"],
  ["binary", "binary"],
  ["fixed[4]", "binary"],
  ["decimal(9, 2)", "decimal(9,2)"],
  [{ type: "list", "element-id": 2, "element-required": false, element: "long" }, "array<bigint>"],
  [
    { type: "map", "key-id": 2, key: "string", "value-id": 3, "value-required": false, value: "uuid" },
    "map<string,string>",
  ],
  [
    {
      type: "struct",
      fields: [
        { id: 2, name: "a", required: false, type: "int" },
        { id: 3, name: "b", required: false, type: "long" },
      ],
    },
    "struct<a:int,b:bigint>",
  ],
])("%j is %s", (type, name) => {
  expect(hiveType(type, "glue")).toBe(name);
  expect(hiveType(type, "hive")).toBe(name);
});

test("an instant is a timestamp in Glue and has its own type in Hive", () => {
  expect(hiveType("timestamptz", "glue")).toBe("timestamp");
  expect(hiveType("timestamptz", "hive")).toBe("timestamp with local time zone");
});

test("columns that the current schema does not have come last, and say so", () => {
  const [first] = emptyTable.schemas;
  const fields = [{ id: 3, name: "Name", required: false, type: "date" } as const];
  const metadata = { ...emptyTable, schemas: [first as object, { type: "struct", "schema-id": 1, fields }] };
  const columns = hiveColumns({ ...metadata, "current-schema-id": 1 } as never, "hive");
  expect(columns.map(({ field, type, isCurrent }) => [field.name, type, isCurrent])).toEqual([
    ["Name", "date", true],
    ["id", "bigint", false],
  ]);
});
