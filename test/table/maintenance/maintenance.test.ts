/**
 * Proves: maintenance turns many files into few without a change to any row, commits behind appends, loses to others without
 * harm, and resolves deletes of both kinds as the spec says.
 */
import { describe, expect, test } from "vitest";
import type { Catalog } from "../../../src/table/catalog.ts";
import { settle } from "../../../src/table/commit/settle.ts";
import { currentSchema } from "../../../src/table/commit/table-creation.ts";
import type { TableMetadata } from "../../../src/table/iceberg/metadata.ts";
import { replaceFiles } from "../../support/foreign-rewrite.ts";
import { Lake, type maintenanceLimits } from "../../support/lake.ts";
import { Registry, tableSettings, utf8, withSchemaId } from "../translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const json = (id: number) => ({ value: utf8(JSON.stringify({ id, name: `order ${id}` })) });

async function commits(lake: Lake, count: number, maintenance: Partial<typeof maintenanceLimits> = {}) {
  const topic = lake.topic("orders", 2);
  const opened = lake.open([tableSettings("json", { expire: { keepMs: 86_400_000, keepMin: 5 } })], {}, maintenance);
  for (let index = 0; index < count; index += 1) {
    await lake.produce(topic, index % 2, [json(index)]);
    await opened.compactor.flush("orders");
  }
  return { topic, ...opened };
}

const text = (row: object): string =>
  JSON.stringify(row, (_key, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));

async function rowTexts(lake: Lake): Promise<readonly string[]> {
  return (await lake.rows(orders)).map(text).sort();
}

describe("a rewrite of files whose partitions come from a column that is widened", () => {
  const record = (type: string) => ({ type: "record", name: "R", fields: [{ name: "id", type }] });

  async function partitioned(seed: number) {
    const lake = new Lake(seed);
    const registry = new Registry();
    const [narrow, wide] = [registry.register("AVRO", record("int")), registry.register("AVRO", record("long"))];
    lake.schemaById = registry.schemaById;
    const topic = lake.topic("orders", 1);
    const partitionBy = [{ column: "id", transform: "identity" } as const];
    const settings = tableSettings("schema-id", { partitionBy, expire: { keepMs: 86_400_000, keepMin: 5 } });
    const { compactor } = lake.open([settings], {}, { filesMin: 2 });
    const put = async (schemaId: number, id: number): Promise<void> => {
      await lake.produce(topic, 0, [{ value: withSchemaId(schemaId, Uint8Array.of(id * 2)) }]); // Avro's zigzag.
      await compactor.flush("orders");
    };
    for (const id of [1, 2]) await put(narrow, id);
    return { lake, compactor, narrow, widen: () => put(wide, 1), put };
  }

  test("since they were last looked at", async () => {
    const { lake, compactor, widen } = await partitioned(40);
    expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 0 });
    await widen();
    expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 2, filesOut: 1, held: "" });
    expect(await lake.places(orders)).toEqual(["0:0", "0:1", "0:2"]);
    await compactor[Symbol.asyncDispose]();
  });

  test("while they are read", async () => {
    const { lake, compactor, narrow, widen, put } = await partitioned(41);
    await put(narrow, 1);
    let isDone = false;
    lake.hooks = {
      ...lake.hooks,
      read: async (key) => {
        if (isDone || !key.endsWith(".parquet")) return;
        isDone = true;
        await widen();
      },
    };
    expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 2, filesOut: 1, held: "" });
    expect(await lake.places(orders)).toEqual(["0:0", "0:1", "0:2", "0:3"]);
    await compactor[Symbol.asyncDispose]();
  });
});

describe("a rewrite", () => {
  test("makes one file of many, with every row as it was, and appends go on", async () => {
    const lake = new Lake(1);
    const { compactor, topic, metadata } = await commits(lake, 12);
    const before = await rowTexts(lake);
    const report = await compactor.maintain("orders");
    expect(report).toMatchObject({ filesIn: 12, filesOut: 1, rowsDropped: 0, held: "" });
    expect(await lake.files(orders)).toHaveLength(1);
    expect(await rowTexts(lake)).toEqual(before);
    await lake.produce(topic, 0, [json(12)]);
    await compactor.flush("orders");
    expect(await lake.places(orders)).toHaveLength(13);
    expect([...metadata.image.tables()][0]?.state).toBe("running");
    await compactor[Symbol.asyncDispose]();
  });

  test("writes one manifest of what it has made, and one of all files that it has replaced", async () => {
    const lake = new Lake(19);
    const { compactor } = await commits(lake, 12);
    const written: string[] = [];
    lake.hooks = { ...lake.hooks, write: (key) => void (key.includes("/inlet-replaced-") && written.push(key)) };
    expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 12, filesOut: 1 });
    expect(written).toHaveLength(2);
    await compactor[Symbol.asyncDispose]();
  });

  test("is a replace snapshot with our mark, true totals, and the sequence number of what it read", async () => {
    const lake = new Lake(2);
    const { compactor } = await commits(lake, 6);
    const before = await lake.foreign().load(orders);
    const read = before?.metadata.snapshots.at(-1);
    await compactor.maintain("orders");
    const after = (await lake.foreign().load(orders))?.metadata;
    const snapshot = after?.snapshots.at(-1);
    expect(snapshot?.summary).toMatchObject({
      operation: "replace",
      "inlet.committed": before?.metadata.properties["inlet.committed"],
      "added-data-files": "1",
      "deleted-data-files": "6",
      "added-records": "6",
      "deleted-records": "6",
      "total-data-files": "1",
      "total-records": "6",
    });
    const [file] = await lake.files(orders);
    expect(file).toMatchObject({ status: "added", sequenceNumber: read?.["sequence-number"] });
    expect(snapshot?.["sequence-number"]).toBe((read?.["sequence-number"] ?? 0) + 1);
    await compactor[Symbol.asyncDispose]();
  });

  test.each(["id", "name"])(
    "goes on once the column %s, which partitions were made of, was dropped",
    async (column) => {
      const lake = new Lake(7);
      const topic = lake.topic("orders", 1);
      const partitioned = tableSettings("json", { partitionBy: [{ column, transform: "identity" }] });
      const first = lake.open([partitioned]);
      const produce = async (from: number, compactor: typeof first.compactor) => {
        for (let index = from; index < from + 6; index += 1) {
          await lake.produce(topic, 0, [json(7)]);
          await compactor.flush("orders");
        }
      };
      await produce(0, first.compactor);
      await first.compactor[Symbol.asyncDispose]();
      const { compactor } = lake.open([tableSettings("json")]);
      await compactor.flush("orders");
      const schema = currentSchema((await lake.foreign().load(orders))?.metadata as TableMetadata);
      const fields = schema.fields.filter(({ name }) => name !== column);
      const dropped = await lake.foreign().commit(
        orders,
        [],
        [
          { action: "add-schema", schema: { ...schema, fields } },
          { action: "set-current-schema", "schema-id": -1 },
        ],
      );
      expect(dropped.kind).toBe("committed");
      await produce(6, compactor);
      expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 12, filesOut: 2, held: "" });
      expect(await lake.places(orders)).toHaveLength(12);
      const tuples = (await lake.files(orders)).map(({ file }) => file.partition);
      expect(tuples).toEqual(expect.arrayContaining([[column === "id" ? 7 : "order 7"]]));
      await compactor[Symbol.asyncDispose]();
    },
  );

  test("waits until there are enough files, and until newer ones weigh as much as an older one", async () => {
    const lake = new Lake(3);
    const { compactor, topic } = await commits(lake, 4);
    expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 0, filesOut: 0 });
    const more = async (from: number, count: number): Promise<void> => {
      for (let id = from; id < from + count; id += 1) {
        await lake.produce(topic, 0, [json(id)]);
        await compactor.flush("orders");
      }
    };
    await more(4, 8);
    expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 12, filesOut: 1 });
    await more(12, 2);
    expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 0 });
    await compactor[Symbol.asyncDispose]();
  });

  test("is not carried out where its topic says so, or its catalog does it", async () => {
    const lake = new Lake(4);
    lake.topic("orders", 1);
    const off = lake.open([tableSettings("json", { maintain: { rewrites: false, manifests: false, orphansMs: 0 } })]);
    await expect(off.compactor.maintain("orders")).rejects.toThrow(/the table of orders is rewritten by others/);
    await off.compactor[Symbol.asyncDispose]();
  });
});

describe("a rewrite that meets others", () => {
  /** Runs `meanwhile` at the n-th write of a rewritten file: after planning, before the commit. */
  function atUpload(lake: Lake, meanwhile: () => Promise<void>): { readonly done: () => boolean } {
    let isDone = false;
    lake.hooks = {
      ...lake.hooks,
      request: async (method) => {
        if (method !== "POST" || isDone) return;
        isDone = true;
        await meanwhile();
      },
    };
    return { done: () => isDone };
  }

  test("an append goes first, and the rewrite is planned again on top of it", async () => {
    const lake = new Lake(5);
    const { compactor, topic } = await commits(lake, 6);
    const other = lake.foreign();
    const meanwhile = atUpload(lake, async () => {
      const loaded = await other.load(orders);
      await other.commit(
        orders,
        [],
        [{ action: "set-properties", updates: { touched: String(loaded?.metadata.snapshots.length) } }],
      );
      lake.hooks = { ...lake.hooks, request: async () => {} };
      await lake.produce(topic, 0, [json(6)]);
      await compactor.flush("orders");
    });
    expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 6, filesOut: 1 });
    expect(meanwhile.done()).toBe(true);
    expect(await lake.places(orders)).toHaveLength(7);
    expect(await lake.files(orders)).toHaveLength(2);
    await compactor[Symbol.asyncDispose]();
  });

  test("files that somebody else has replaced are not replaced again", async () => {
    const lake = new Lake(6);
    const { compactor } = await commits(lake, 6);
    const rival = lake.open([tableSettings("json")]);
    const before = await rowTexts(lake);
    // The rival takes the table over, as a node does that thinks this one dead.
    atUpload(lake, async () => {
      lake.hooks = { ...lake.hooks, request: async () => {} };
      expect(await rival.compactor.maintain("orders")).toMatchObject({ filesIn: 6 });
    });
    expect(await compactor.maintain("orders")).toMatchObject({
      filesIn: 0,
      held: "others have changed the files meanwhile",
    });
    expect(await rowTexts(lake)).toEqual(before);
    expect(await lake.files(orders)).toHaveLength(1);
    await compactor[Symbol.asyncDispose]();
    await rival.compactor[Symbol.asyncDispose]();
  });

  test("a reply that is lost does not make it happen twice", async () => {
    const lake = new Lake(7);
    const { compactor } = await commits(lake, 6);
    const before = await rowTexts(lake);
    let isLost = false;
    lake.hooks = {
      ...lake.hooks,
      answer: async (method, _path, response) => {
        if (method !== "POST" || isLost) return response;
        isLost = true;
        throw new TypeError("connection reset");
      },
    };
    expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 6, filesOut: 1 });
    expect(isLost).toBe(true);
    const metadata = (await lake.foreign().load(orders))?.metadata;
    expect(metadata?.snapshots.filter(({ summary }) => summary["operation"] === "replace")).toHaveLength(1);
    expect(await rowTexts(lake)).toEqual(before);
    await compactor[Symbol.asyncDispose]();
  });

  test("a table in which somebody has listed a file twice is left alone", async () => {
    const lake = new Lake(10);
    const { compactor } = await commits(lake, 6);
    const [first, ...others] = await lake.files(orders);
    if (first === undefined) throw new Error("no file");
    await replaceFiles(lake, orders, [first, ...others, first]);
    const report = await compactor.maintain("orders");
    expect(report).toMatchObject({ filesIn: 0, filesOut: 0 });
    expect(report.held).toContain("files that are listed once");
    await compactor[Symbol.asyncDispose]();
  });

  test("a table that is not what our log says is left alone", async () => {
    const lake = new Lake(8);
    const { compactor } = await commits(lake, 6);
    const foreign: Catalog = lake.foreign();
    const first = (await foreign.load(orders))?.metadata.snapshots[0]?.["snapshot-id"] ?? 0n;
    await foreign.commit(
      orders,
      [],
      [{ action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": first }],
    );
    expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 0, held: "the table is diverged" });
    await compactor[Symbol.asyncDispose]();
  });
});

test("settling sees C = P after a rewrite", async () => {
  const lake = new Lake(9);
  const { compactor, metadata } = await commits(lake, 6);
  await compactor.maintain("orders");
  const table = (await lake.foreign().load(orders))?.metadata;
  const [info] = [...metadata.image.tables()];
  if (table === undefined || info === undefined) throw new Error("the table is gone");
  const { id, generation, committedSeq } = info;
  const epoch = Number.MAX_SAFE_INTEGER as typeof committedSeq;
  const { clusterId: cluster } = metadata.image;
  const settled = settle(table, { cluster, table: id, generation, committedSeq, epoch, tableUuid: null });
  expect(settled).toMatchObject({ kind: "settled", seq: committedSeq });
  await compactor[Symbol.asyncDispose]();
});
