/**
 * Proves: partition spec and sort order follow the settings, or whoever changed them last, under the rules for ids; rounds
 * commit under the spec that they were written with; a file that says it is sorted is.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TableMetadata } from "../../src/table/iceberg/metadata.ts";
import type { Schema } from "../../src/table/iceberg/types.ts";
import type { Update } from "../../src/table/iceberg/updates.ts";
import { Columns } from "../../src/table/parquet/columns.ts";
import type { SortBy, TableSettings } from "../../src/table/settings.ts";
import { compareValues, sortedRows } from "../../src/table/translate/sort-rows.ts";
import { Lake } from "../support/lake.ts";
import { readByHyparquet } from "./parquet-readers.ts";
import { putRow } from "./rows.ts";
import { tableSettings, utf8 } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const json = (value: unknown) => ({ value: utf8(JSON.stringify(value)) });

type PartitionBy = TableSettings["partitionBy"];
const byDay: PartitionBy = [{ column: "_kafka_timestamp", transform: "day" }];
const byDayAndId: PartitionBy = [...byDay, { column: "id", transform: "identity" }];
const byId: SortBy = { column: "id", direction: "desc", nulls: "last" };

/** One topic whose table is opened anew with each change of the settings, as after a restart of the broker. */
class Scene {
  readonly lake: Lake;
  readonly topic;
  #id = 0;

  constructor(seed: number) {
    this.lake = new Lake(seed);
    this.topic = this.lake.topic("orders", 1);
  }

  async produce(...ids: readonly unknown[]): Promise<void> {
    const values = ids.length > 0 ? ids : [(this.#id += 1)];
    await this.lake.produce(
      this.topic,
      0,
      values.map((id) => json({ id, name: `n${String(id)}` })),
    );
  }

  async under(changes: Partial<TableSettings>): Promise<TableMetadata> {
    const { compactor } = this.lake.open([tableSettings("json", changes)]);
    await compactor.flush("orders");
    await compactor[Symbol.asyncDispose]();
    return await this.metadata();
  }

  async metadata(): Promise<TableMetadata> {
    return (await this.lake.foreign().load(orders))?.metadata as TableMetadata;
  }

  async foreign(...updates: readonly Update[]): Promise<void> {
    const outcome = await this.lake.foreign().commit(orders, [], updates);
    expect(outcome.kind).toBe("committed");
  }
}

function specOf(metadata: TableMetadata): readonly string[] {
  const spec = metadata["partition-specs"].find((each) => each["spec-id"] === metadata["default-spec-id"]);
  return (spec?.fields ?? []).map((field) => `${field["field-id"]} ${field.name} ${field.transform}`);
}

function orderOf(metadata: TableMetadata): readonly string[] {
  const order = metadata["sort-orders"].find((each) => each["order-id"] === metadata["default-sort-order-id"]);
  return (order?.fields ?? []).map((field) => `${field["source-id"]} ${field.direction} ${field["null-order"]}`);
}

describe("the partition spec", () => {
  test("follows the settings: a field that was there keeps its id, an equal spec is not made twice", async () => {
    const scene = new Scene(301);
    await scene.produce();
    expect(specOf(await scene.under({}))).toEqual([]);
    await scene.produce();
    expect(specOf(await scene.under({ partitionBy: byDay }))).toEqual(["1000 _kafka_timestamp_day day"]);
    await scene.produce();
    const both = await scene.under({ partitionBy: byDayAndId });
    expect(specOf(both)).toEqual(["1000 _kafka_timestamp_day day", "1001 id identity"]);
    expect(both["last-partition-id"]).toBe(1001);
    await scene.produce();
    expect(specOf(await scene.under({ partitionBy: [byDayAndId[1] as PartitionBy[number]] }))).toEqual([
      "1001 id identity",
    ]);
    await scene.produce();
    const back = await scene.under({});
    expect(back["default-spec-id"]).toBe(0);
    expect(back["partition-specs"].map((spec) => spec["spec-id"])).toEqual([0, 1, 2, 3]);
    const partitions = (await scene.lake.files(orders)).map(({ file }) => JSON.stringify(file.partition));
    expect(partitions.toSorted()).toEqual(["[19675,3]", "[19675]", "[4]", "[]", "[]"]);
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2", "0:3", "0:4"]);
  });

  test("rounds that were pending when it changed are committed under their own", async () => {
    const scene = new Scene(302);
    await scene.produce();
    await scene.under({ partitionBy: byDay });
    scene.lake.hooks = {
      ...scene.lake.hooks,
      request: (method) => (method === "POST" ? Promise.reject(new Error("refused")) : Promise.resolve()),
    };
    await scene.produce();
    await expect(scene.under({ partitionBy: byDay })).rejects.toThrow();
    scene.lake.hooks = { ...scene.lake.hooks, request: async () => {} };
    await scene.produce();
    expect(specOf(await scene.under({ partitionBy: byDayAndId }))).toHaveLength(2);
    const partitions = (await scene.lake.files(orders)).map((entry) => entry.file.partition.length);
    expect(partitions.toSorted((a, b) => a - b)).toEqual([1, 1, 2]);
    expect(await scene.lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
  });

  test("that somebody else changed is followed, until the settings change", async () => {
    const scene = new Scene(303);
    await scene.produce();
    const before = await scene.under({ partitionBy: byDay });
    const id = before.schemas.at(-1)?.fields.find((field) => field.name === "id")?.id as number;
    const fields = [{ "source-id": id, "field-id": 1001, name: "id_bucket", transform: "truncate[3]" as const }];
    const name = before.schemas.at(-1)?.fields.find((field) => field.name === "name")?.id as number;
    await scene.foreign(
      { action: "add-spec", spec: { "spec-id": 9, fields: fields.map((field) => ({ ...field, "source-id": name })) } },
      { action: "set-default-spec", "spec-id": -1 },
    );
    await scene.produce("abcd");
    await scene.under({ partitionBy: byDay }); // Still under the day: this commit sees the change.
    await scene.produce("efgh");
    const { compactor } = scene.lake.open([tableSettings("json", { partitionBy: byDay })]);
    await compactor.flush("orders");
    await scene.produce("ijkl");
    await compactor.flush("orders");
    await compactor[Symbol.asyncDispose]();
    expect(specOf(await scene.metadata())).toEqual(["1001 id_bucket truncate[3]"]);
    expect((await scene.lake.files(orders)).map((entry) => entry.file.partition)).toContainEqual(["nij"]);
    await scene.produce();
    expect(specOf(await scene.under({ partitionBy: byDayAndId }))).toHaveLength(2);
  });

  test("whose transform we do not know pauses the table with the reason", async () => {
    const scene = new Scene(304);
    const { compactor } = scene.lake.open([tableSettings("json", { partitionBy: byDay })]);
    await scene.produce();
    await compactor.flush("orders");
    const fields = [{ "source-id": 3, "field-id": 1001, name: "z", transform: "zorder[3]" as "day" }];
    await scene.foreign(
      { action: "add-spec", spec: { "spec-id": 9, fields } },
      { action: "set-default-spec", "spec-id": -1 },
    );
    await scene.produce();
    await compactor.flush("orders");
    await scene.produce();
    await expect(compactor.flush("orders")).rejects.toThrow(/the partition field z \(zorder\[3\]\) cannot be written/);
    expect([...compactor.tables()][0]?.table?.state).toBe("paused");
    await compactor[Symbol.asyncDispose]();
  });

  test("a column that people renamed is still what the settings mean; a name that a column has is not given to a field", async () => {
    const scene = new Scene(305);
    await scene.produce();
    const before = await scene.under({ partitionBy: byDayAndId });
    const schema = before.schemas.at(-1) as Schema;
    const fields = schema.fields.map((field) => (field.name === "id" ? { ...field, name: "order_id" } : field));
    const added = { id: before["last-column-id"] + 1, name: "name_trunc_1", required: false, type: "int" as const };
    await scene.foreign(
      { action: "add-schema", schema: { ...schema, fields: [...fields, added] } },
      { action: "set-current-schema", "schema-id": -1 },
    );
    await scene.produce();
    expect(specOf(await scene.under({ partitionBy: byDayAndId }))).toHaveLength(2);
    await scene.produce();
    const by: PartitionBy = [
      { column: "id", transform: "identity" },
      { column: "name", transform: "truncate[1]" },
    ];
    expect(specOf(await scene.under({ partitionBy: by }))).toEqual([
      "1001 id identity",
      "1002 name_trunc_1_part truncate[1]",
    ]);
  });
});

test("a column that comes later is not called as a partition field: Iceberg's library reads no such table", async () => {
  const scene = new Scene(307);
  await scene.produce();
  await scene.under({ partitionBy: [{ column: "name", transform: "truncate[1]" }] });
  await scene.lake.produce(scene.topic, 0, [json({ id: 2, name: "n2", Name_trunc_1: "n" })]);
  const after = await scene.under({ partitionBy: [{ column: "name", transform: "truncate[1]" }] });
  expect(specOf(after)).toEqual(["1000 name_trunc_1 truncate[1]"]);
  expect(after.schemas.at(-1)?.fields.map(({ name }) => name)).toContain("Name_trunc_1_2");
});

describe("the sort order", () => {
  test("follows the settings, and files name it only while they are sorted by it", async () => {
    const scene = new Scene(310);
    await scene.produce(1, 2);
    expect(orderOf(await scene.under({}))).toEqual([]);
    await scene.produce(2, 3, "x", 1);
    const sorted = await scene.under({ sortBy: [byId] });
    expect(sorted["sort-orders"].map((order) => order["order-id"])).toEqual([0, 1]);
    expect(orderOf(sorted)).toEqual([expect.stringMatching(/^\d+ desc nulls-last$/)]);
    await scene.produce(7, 8);
    expect((await scene.under({}))["default-sort-order-id"]).toBe(0);
    const files = await scene.lake.files(orders);
    const ids = await Promise.all(
      files.map(async ({ file, sortOrderId }) => ({
        sortOrderId,
        ids: (await readByHyparquet(await scene.lake.warehouse.read(file.path))).map((row) => row["id"]),
      })),
    );
    expect(ids).toContainEqual({ sortOrderId: 0, ids: [1, 2] });
    expect(ids).toContainEqual({ sortOrderId: 1, ids: [3, 2, 1, null] }); // "x" is no number: it is in _extra.
    expect(ids).toContainEqual({ sortOrderId: 0, ids: [7, 8] });
  });

  test("a column that can never be sorted by pauses the table with the reason", async () => {
    const scene = new Scene(311);
    await scene.produce();
    const sortBy: readonly SortBy[] = [{ ...byId, column: "_kafka_headers" }];
    await expect(scene.under({ sortBy })).rejects.toThrow(/sort_by\(_kafka_headers\) does not apply to a list/);
  });

  const schema: Schema = {
    type: "struct",
    "schema-id": 0,
    fields: [
      { id: 1, name: "k", required: false, type: "string" },
      { id: 2, name: "n", required: false, type: "double" },
      { id: 3, name: "at", required: true, type: "long" },
      {
        id: 4,
        name: "l",
        required: false,
        type: { type: "list", "element-id": 5, "element-required": false, element: "int" },
      },
    ],
  };

  test("any rows: in order, with ties as they came, and none lost or changed, lists included", () => {
    const double = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, 0, -0, Infinity));
    const row = fc.record({
      k: fc.option(fc.string({ maxLength: 2, unit: "binary" }), { freq: 4 }),
      n: fc.option(double, { freq: 4 }),
      l: fc.option(fc.array(fc.option(fc.integer({ min: 0, max: 9 })), { maxLength: 3 })),
    });
    const direction = fc.constantFrom("asc", "desc");
    const nulls = fc.constantFrom("nulls-first", "nulls-last");
    fc.assert(
      fc.property(fc.array(row, { maxLength: 40 }), direction, nulls, (rows, by, nullOrder) => {
        const columns = new Columns(schema);
        rows.forEach((each, at) => putRow(columns, { ...each, at: BigInt(at) }));
        const field = (id: number) =>
          ({ transform: "identity", "source-id": id, direction: by, "null-order": nullOrder }) as const;
        const sorted = sortedRows(columns, { "order-id": 1, fields: [field(1), field(2)] });
        const expected = rows
          .map((each, at) => ({ ...each, at }))
          .sort((a, b) => compare(a.k, b.k, by, nullOrder) || compare(a.n, b.n, by, nullOrder) || a.at - b.at);
        const again = new Columns(schema);
        for (const each of expected) putRow(again, { ...each, at: BigInt(each.at) });
        expect(leavesOf(sorted)).toEqual(leavesOf(again));
        expect(sorted.rows).toBe(rows.length);
      }),
    );
  });

  function compare(a: string | number | null, b: string | number | null, by: string, nulls: string): number {
    if (a === null || b === null) return a === b ? 0 : (a === null) === (nulls === "nulls-first") ? -1 : 1;
    return compareValues(a, b) * (by === "asc" ? 1 : -1);
  }

  function leavesOf(columns: Columns): unknown {
    return columns.leaves.map((leaf) => {
      const levels = [leaf.defs.slice(0, leaf.slots), leaf.maxRep > 0 ? leaf.reps.slice(0, leaf.slots) : []];
      const values = Array.from({ length: leaf.count }, (_, at) =>
        leaf.kind === "bytes" || leaf.kind === "fixed" || leaf.kind === "int64" ? leaf.at(at) : leaf.values[at],
      );
      return [...levels, values];
    });
  }

  test("texts stand in the order of their code points, as their UTF-8 does", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
        expect(Math.sign(compareValues(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });
});
