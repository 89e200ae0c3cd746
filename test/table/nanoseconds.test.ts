/** Proves: nanoseconds of Avro are kept in tables made in format 3, through partitions, rewrites and verification, and floored where the column has none. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { currentSchema } from "../../src/table/commit/table-creation.ts";
import { deserializeValue } from "../../src/table/iceberg/bounds.ts";
import type { TableSettings } from "../../src/table/settings.ts";
import { Lake } from "../support/lake.ts";
import { verifyReport } from "../support/verified.ts";
import { Registry, tableSettings, withSchemaId } from "./translate-fixtures.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-nanoseconds-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const orders = { namespace: ["sales"], name: "orders" };
/** 1700000000123456789 and -1 nanoseconds, as Avro's zigzag varints. */
const instants = [1700000000123456789n, -1n];

function zigzag(value: bigint): Uint8Array {
  let rest = value >= 0n ? value * 2n : value * -2n - 1n;
  const bytes: number[] = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...bytes, Number(rest)]);
}

async function tableOf(changes: Partial<TableSettings>, then: Partial<TableSettings> = changes) {
  const registry = new Registry();
  const nanos = (name: string, logicalType: string) => ({ name, type: { type: "long", logicalType } });
  const fields = [nanos("at", "timestamp-nanos"), nanos("local", "local-timestamp-nanos")];
  const schemaId = registry.register("AVRO", { type: "record", name: "R", fields });
  const lake = new Lake(9);
  lake.schemaById = registry.schemaById;
  const topic = lake.topic("orders", 1);
  for (const [at, instant] of instants.entries()) {
    const { compactor } = lake.open([tableSettings("schema-id", at === 0 ? changes : then)]);
    const value = withSchemaId(schemaId, Buffer.concat([zigzag(instant), zigzag(instant)]));
    for (let copy = 0; copy < 6; copy += 1) {
      await lake.produce(topic, 0, [{ value }]);
      await compactor.flush("orders");
    }
    expect(await compactor.maintain("orders")).toMatchObject({ rowsDropped: 0, held: "" });
    const settings = tableSettings("schema-id", at === 0 ? changes : then);
    expect(await verifyReport(lake, compactor, { settings, directory })).toMatchObject({ verdict: "equal" });
    await compactor[Symbol.asyncDispose]();
  }
  const loaded = await lake.foreign().load(orders);
  if (loaded === undefined) throw new Error("no table");
  const { fields: columns } = currentSchema(loaded.metadata);
  const types = ["at", "local"].map((name) => columns.find((column) => column.name === name)?.type);
  const files = await lake.files(orders);
  const id = columns.find(({ name }) => name === "at")?.id ?? 0;
  const bounds = files.flatMap(({ file: { lowerBounds, upperBounds } }) =>
    [lowerBounds, upperBounds].map((each) => deserializeValue("long", each.get(id) ?? new Uint8Array())),
  );
  return { types, bounds: new Set(bounds), partitions: files.map(({ file }) => file.partition) };
}

test("in format 3 each is a column of nanoseconds", async () => {
  const partitionBy = [
    { column: "at", transform: "hour" },
    { column: "local", transform: "identity" },
  ] as const;
  const { types, bounds, partitions } = await tableOf({ formatVersion: 3, partitionBy });
  expect(types).toEqual(["timestamptz_ns", "timestamp_ns"]);
  expect(bounds).toEqual(new Set(instants));
  expect(partitions).toContainEqual([472222, 1700000000123456789n]);
  expect(partitions).toContainEqual([-1, -1n]);
});

test("in format 2 they are floored to microseconds", async () => {
  const { types, bounds } = await tableOf({});
  expect(types).toEqual(["timestamptz", "timestamp"]);
  expect(bounds).toEqual(new Set([1700000000123456n, -1n]));
});

test("a table that is upgraded keeps the types that it has", async () => {
  const { types, bounds } = await tableOf({}, { formatVersion: 3 });
  expect(types).toEqual(["timestamptz", "timestamp"]);
  expect(bounds).toEqual(new Set([1700000000123456n, -1n]));
});

test("people may want microseconds, for engines that read no others", async () => {
  const overrides = { at: { type: "timestamptz" } } as const;
  const { types, bounds } = await tableOf({ formatVersion: 3, overrides });
  expect(types).toEqual(["timestamptz", "timestamp_ns"]);
  expect(bounds).toEqual(new Set([1700000000123456n, -1n]));
});
