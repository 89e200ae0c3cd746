/**
 * Proves: whatever position and equality deletes others add between appends, rewrites leave exactly the rows that the spec's
 * rules leave, and in the end no delete file. The model knows rows and sequence numbers only.
 */
import { describe, expect, test } from "vitest";
import type { LiveFile } from "../../src/table/commit/live-entries.ts";
import { currentSchema, defaultSpec } from "../../src/table/commit/table-creation.ts";
import { addedFile, type ManifestEntry, writeManifest } from "../../src/table/iceberg/manifest.ts";
import { newManifestFile, readManifestList, writeManifestList } from "../../src/table/iceberg/manifest-list.ts";
import type { Snapshot } from "../../src/table/iceberg/metadata.ts";
import type { PartitionSpec, Schema } from "../../src/table/iceberg/types.ts";
import { DeleteFilter } from "../../src/table/maintenance/delete-filter.ts";
import { DeleteScope, idleDeletes } from "../../src/table/maintenance/delete-scope.ts";
import { Columns } from "../../src/table/parquet/columns.ts";
import { ParquetWriter } from "../../src/table/parquet/parquet.ts";
import { readRows } from "../support/iceberg-reader.ts";
import { Lake } from "../support/lake.ts";
import { seededRandom } from "../support/seeded.ts";
import { putRow, type Value } from "./rows.ts";
import { parquetOptions, tableSettings, utf8 } from "./translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };

const positionSchema: Schema = {
  type: "struct",
  "schema-id": 0,
  fields: [
    { id: 2147483546, name: "file_path", required: true, type: "string" },
    { id: 2147483545, name: "pos", required: true, type: "long" },
  ],
};

function fileOf(schema: Schema, rows: readonly { readonly [name: string]: Value }[]) {
  const columns = new Columns(schema);
  for (const row of rows) putRow(columns, row);
  const writer = new ParquetWriter(schema, parquetOptions);
  writer.rowGroup(columns);
  return writer.finish();
}

/** A commit of somebody else that adds one delete file. */
async function addDeletes(
  lake: Lake,
  kind: "position-deletes" | "equality-deletes",
  rows: readonly { readonly [name: string]: Value }[],
  partition: readonly string[] = [],
): Promise<void> {
  const foreign = lake.foreign();
  const metadata = (await foreign.load(orders))?.metadata;
  if (metadata === undefined) throw new Error("the table is gone");
  const schema = currentSchema(metadata);
  const id = schema.fields.filter((field) => field.name === "id");
  const { bytes, description } = fileOf(kind === "position-deletes" ? positionSchema : { ...schema, fields: id }, rows);
  const sequenceNumber = metadata["last-sequence-number"] + 1;
  const path = `${metadata.location}/data/deletes-${sequenceNumber}.parquet`;
  await lake.warehouse.create(path, bytes);
  const equalityIds = kind === "position-deletes" ? null : id.map((field) => field.id);
  const entries: ManifestEntry[] = [{ ...addedFile({ ...description, path, partition }), content: kind, equalityIds }];
  const spec = defaultSpec(metadata);
  const manifest = writeManifest({ schema, spec, content: "deletes", entries });
  const manifestPath = `${metadata.location}/metadata/deletes-${sequenceNumber}.avro`;
  await lake.warehouse.create(manifestPath, manifest);
  const parent = metadata.snapshots.find((each) => each["snapshot-id"] === metadata["current-snapshot-id"]) as Snapshot;
  const snapshotId = parent["snapshot-id"] + 1n;
  const placed = { path: manifestPath, bytes: manifest.length, spec, schema, entries, snapshotId, sequenceNumber };
  const manifests = [
    newManifestFile(placed),
    ...(await readManifestList(await lake.warehouse.read(parent["manifest-list"]), "list")),
  ];
  const list = `${metadata.location}/metadata/deletes-list-${sequenceNumber}.avro`;
  const parentSnapshotId = parent["snapshot-id"];
  await lake.warehouse.create(list, writeManifestList({ snapshotId, parentSnapshotId, sequenceNumber, manifests }));
  const snapshot: Snapshot = {
    "snapshot-id": snapshotId,
    "parent-snapshot-id": parentSnapshotId,
    "sequence-number": sequenceNumber,
    "timestamp-ms": metadata["last-updated-ms"],
    "manifest-list": list,
    summary: { operation: "delete" },
  };
  const outcome = await foreign.commit(
    orders,
    [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": parentSnapshotId }],
    [
      { action: "add-snapshot", snapshot },
      { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": snapshotId },
    ],
  );
  expect(outcome.kind).toBe("committed");
}

/** Live data files with the places of their rows, in the order of the file. */
async function layout(lake: Lake): Promise<readonly { readonly path: string; readonly offsets: readonly number[] }[]> {
  const { readByHyparquet } = await import("./parquet-readers.ts");
  const files = (await lake.files(orders)).filter((entry) => entry.content === "data");
  return await Promise.all(
    files.map(async ({ file }) => {
      const rows = await readByHyparquet(await lake.warehouse.read(file.path));
      return { path: file.path, offsets: rows.map((row) => Number(row["_kafka_offset"])) };
    }),
  );
}

describe("random histories of appends, deletes and rewrites", () => {
  const keys = 8;
  for (let seed = 1; seed <= Number(process.env["INLET_SEEDS"] ?? 12); seed += 1) {
    test(`seed ${seed}`, async () => {
      const random = seededRandom(seed * 104_729);
      const int = (below: number): number => Math.floor(random.unit() * below);
      const lake = new Lake(seed);
      const topic = lake.topic("orders", 1);
      const settings = tableSettings("json", { expire: { keepMs: 86_400_000, keepMin: 5 } });
      const { compactor } = lake.open([settings], {}, { filesMin: 3, deleteFilesMin: 2, deletedRatioMin: 0.4 });
      /** By offset, the key: rows that are there. */
      const model = new Map<number, number>();
      let offset = 0;
      const produce = async (): Promise<void> => {
        const ids = Array.from({ length: 1 + int(4) }, () => int(keys));
        await lake.produce(
          topic,
          0,
          ids.map((id) => ({ value: utf8(JSON.stringify({ id })) })),
        );
        await compactor.flush("orders");
        for (const id of ids) model.set(offset++, id);
      };
      const deleteByKey = async (): Promise<void> => {
        const gone = [...new Set([int(keys), int(keys)])];
        await addDeletes(
          lake,
          "equality-deletes",
          gone.map((id) => ({ id })),
        );
        for (const [at, id] of model) if (gone.includes(id)) model.delete(at);
      };
      const deleteByPosition = async (): Promise<void> => {
        const files = (await layout(lake)).filter(() => random.unit() < 0.4);
        const chosen = files.map(({ path, offsets }) => ({ path, pos: int(offsets.length), offsets }));
        if (chosen.length === 0) return;
        const rows = chosen.map(({ path, pos }) => ({ file_path: path, pos: BigInt(pos) }));
        await addDeletes(lake, "position-deletes", rows);
        for (const { offsets, pos } of chosen) model.delete(offsets[pos] as number);
      };
      await produce();
      for (let step = 0; step < 30; step += 1) {
        const choice = random.unit();
        if (choice < 0.4) await produce();
        else if (choice < 0.6) await deleteByKey();
        else if (choice < 0.75) await deleteByPosition();
        else await compactor.maintain("orders");
      }
      await compactor[Symbol.asyncDispose]();
      // Whatever deletes are left are resolved.
      const last = lake.open([settings], {}, { deleteFilesMin: 1 });
      expect(await last.compactor.maintain("orders")).toMatchObject({ held: "" });
      const files = await lake.files(orders);
      expect(files.map(({ content }) => content).filter((content) => content !== "data")).toEqual([]);
      const offsets = (await layout(lake)).flatMap((file) => file.offsets).sort((a, b) => a - b);
      expect(offsets, `seed ${seed}`).toEqual([...model.keys()].sort((a, b) => a - b));
      await last.compactor[Symbol.asyncDispose]();
    });
  }
});

test("a position delete that comes in during a rewrite makes it be given up", async () => {
  const lake = new Lake(77);
  const topic = lake.topic("orders", 1);
  const { compactor } = lake.open([tableSettings("json", { expire: { keepMs: 86_400_000, keepMin: 5 } })]);
  for (let id = 0; id < 5; id += 1) {
    await lake.produce(topic, 0, [{ value: utf8(JSON.stringify({ id })) }]);
    await compactor.flush("orders");
  }
  const [first] = await layout(lake);
  let isDone = false;
  lake.hooks = {
    ...lake.hooks,
    request: async (method) => {
      if (method !== "POST" || isDone) return;
      isDone = true;
      await addDeletes(lake, "position-deletes", [{ file_path: first?.path ?? "", pos: 0n }]);
    },
  };
  const given = await compactor.maintain("orders");
  expect(given).toMatchObject({ filesIn: 0, held: "others have changed the files meanwhile" });
  expect((await layout(lake)).map(({ offsets }) => offsets)).toHaveLength(5);
  await compactor[Symbol.asyncDispose]();
});

test("a delete file that applies to nothing goes, also when there is nothing to rewrite", async () => {
  const lake = new Lake(79);
  const topic = lake.topic("orders", 1);
  const { compactor } = lake.open([tableSettings("json", { expire: { keepMs: 86_400_000, keepMin: 5 } })]);
  await lake.produce(topic, 0, [{ value: utf8(JSON.stringify({ id: 1 })) }]);
  await compactor.flush("orders");
  await addDeletes(lake, "position-deletes", [{ file_path: "memory://lake/gone.parquet", pos: 0n }]);
  expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 0, deleteFilesDropped: 1 });
  expect((await lake.files(orders)).map(({ content }) => content)).toEqual(["data"]);
  expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 0, deleteFilesDropped: 0 });
  await compactor[Symbol.asyncDispose]();
});

test("an equality delete that comes in during a rewrite still finds the rows where they are now", async () => {
  const lake = new Lake(78);
  const topic = lake.topic("orders", 1);
  const settings = tableSettings("json", { expire: { keepMs: 86_400_000, keepMin: 5 } });
  const { compactor } = lake.open([settings], {}, { deleteFilesMin: 1 });
  for (let id = 0; id < 5; id += 1) {
    await lake.produce(topic, 0, [{ value: utf8(JSON.stringify({ id })) }]);
    await compactor.flush("orders");
  }
  let isDone = false;
  lake.hooks = {
    ...lake.hooks,
    request: async (method) => {
      if (method !== "POST" || isDone) return;
      isDone = true;
      await addDeletes(lake, "equality-deletes", [{ id: 3 }]);
    },
  };
  expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 5, filesOut: 1, rowsDropped: 0 });
  expect(await compactor.maintain("orders")).toMatchObject({ filesIn: 1, rowsDropped: 1, deleteFilesDropped: 1 });
  expect((await layout(lake)).flatMap(({ offsets }) => offsets)).toEqual([0, 1, 2, 4]);
  await compactor[Symbol.asyncDispose]();
});

test.each([2, 3] as const)("a partition's equality delete takes no row of another one, version %i", async (version) => {
  const lake = new Lake(80);
  const topic = lake.topic("orders", 1);
  const settings = tableSettings("json", {
    partitionBy: [{ column: "region", transform: "identity" }],
    expire: { keepMs: 86_400_000, keepMin: 5 },
  });
  const first = lake.open([settings]);
  for (const region of ["eu", "us"]) {
    await lake.produce(topic, 0, [{ value: utf8(JSON.stringify({ id: 1, region })) }]);
    await lake.produce(topic, 0, [{ value: utf8(JSON.stringify({ id: 2, region })) }]);
  }
  await first.compactor.flush("orders");
  await first.compactor[Symbol.asyncDispose]();
  await addDeletes(lake, "equality-deletes", [{ id: 1 }], ["eu"]);
  await addDeletes(lake, "equality-deletes", [{ id: 2 }], ["us"]);
  const rows = async () => {
    const metadata = (await lake.foreign().load(orders))?.metadata;
    if (metadata === undefined) throw new Error("the table is gone");
    return (await readRows(lake.warehouse, metadata)).map((row) => `${String(row["region"])} ${String(row["id"])}`);
  };
  expect(new Set(await rows())).toEqual(new Set(["eu 2", "us 1"]));
  const { compactor } = lake.open([{ ...settings, formatVersion: version }], {}, { deleteFilesMin: 1 });
  await compactor.flush("orders");
  expect(await compactor.maintain("orders")).toMatchObject({ held: "", rowsDropped: 2, deleteFilesDropped: 2 });
  expect(new Set(await rows())).toEqual(new Set(["eu 2", "us 1"]));
  await compactor[Symbol.asyncDispose]();
});

describe("scope", () => {
  const unpartitioned: PartitionSpec = { "spec-id": 0, fields: [] };
  const byRegion: PartitionSpec = {
    "spec-id": 1,
    fields: [{ "source-id": 1, "field-id": 1000, name: "region", transform: "identity" }],
  };
  const file = (
    path: string,
    content: ManifestEntry["content"],
    sequenceNumber: number,
    region?: string,
    spec = region === undefined ? unpartitioned : byRegion,
  ): LiveFile => {
    const none = new Map<number, never>();
    const partition = region === undefined ? [] : [region];
    const metrics = { columnSizes: none, valueCounts: none, nullValueCounts: none, nanValueCounts: none };
    const bounds = { lowerBounds: none, upperBounds: none, splitOffsets: [] };
    const of = { path, format: "PARQUET" as const, partition, recordCount: 1, bytes: 1, ...metrics, ...bounds };
    return { spec, entry: { ...addedFile(of), content, snapshotId: 1n, sequenceNumber, equalityIds: [1] } };
  };
  const applied = (data: LiveFile, ...deletes: readonly LiveFile[]): readonly string[] =>
    new DeleteScope(deletes).of(data).map(({ entry }) => entry.file.path);

  test("an equality delete takes older files only; a position delete also those of its own commit", () => {
    const data = file("d", "data", 5);
    expect(applied(data, file("e5", "equality-deletes", 5), file("e6", "equality-deletes", 6))).toEqual(["e6"]);
    const positions = [4, 5, 6].map((sequence) => file(`p${sequence}`, "position-deletes", sequence));
    expect(applied(data, ...positions)).toEqual(["p5", "p6"]);
  });

  test("a partition's deletes stay in it; an equality delete without a partition is everywhere", () => {
    const data = file("d", "data", 1, "eu");
    const everywhere = file("e", "equality-deletes", 2);
    const near = file("n", "equality-deletes", 2, "eu");
    expect(applied(data, everywhere, near, file("f", "equality-deletes", 2, "us"))).toEqual(["n", "e"]);
    expect(applied(data, file("p", "position-deletes", 2), file("q", "position-deletes", 2, "eu"))).toEqual(["q"]);
  });

  test("an equality delete under a spec whose fields were all taken away is everywhere", () => {
    const spec: PartitionSpec = {
      "spec-id": 2,
      fields: [{ "source-id": 1, "field-id": 1000, name: "region", transform: "void" }],
    };
    const remove = file("e", "equality-deletes", 2, undefined, spec);
    expect(applied(file("d", "data", 1, "eu"), remove)).toEqual(["e"]);
    expect(applied(file("d", "data", 1), remove)).toEqual(["e"]);
  });

  test("deletes without data older than they are idle", () => {
    const files = [
      file("new", "data", 9),
      file("e", "equality-deletes", 9),
      file("p", "position-deletes", 8),
      file("used", "equality-deletes", 10),
    ];
    expect(idleDeletes(files).map(({ entry }) => entry.file.path)).toEqual(["e", "p"]);
  });
});

test("null is a value to an equality delete, and no two tuples are mistaken for each other", () => {
  const schema: Schema = {
    type: "struct",
    "schema-id": 0,
    fields: [
      { id: 1, name: "a", required: false, type: "string" },
      { id: 2, name: "b", required: false, type: "string" },
    ],
  };
  const filter = new DeleteFilter(schema);
  const rows = [
    { a: null, b: "x" },
    { a: "1:", b: "" },
  ];
  const { bytes } = fileOf(schema, rows);
  filter.add({ kind: "equality-deletes", path: "e", bytes, sequence: 5, equalityIds: [1, 2] });
  const columns = new Columns(schema);
  for (const row of [...rows, { a: "n", b: "x" }, { a: "", b: "1:" }, { a: null, b: null }]) putRow(columns, row);
  const at = { path: "d", firstRow: 0 };
  expect([...(filter.keeps(columns, { ...at, sequence: 4 }) ?? [])]).toEqual([0, 0, 1, 1, 1]);
  expect(filter.keeps(columns, { ...at, sequence: 5 })).toBeUndefined();
});
