/** Proves: verify is satisfied with a table that holds what was translated, whoever rewrote it, and finds each way in which it may not. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemRuntime } from "../../../src/base/runtime.ts";
import { systemDisk } from "../../../src/base/system-disk.ts";
import type { TableInfo } from "../../../src/metadata/image.ts";
import type { TableName } from "../../../src/table/catalog.ts";
import { currentSchema, defaultSpec } from "../../../src/table/commit/table-creation.ts";
import type { Compactor } from "../../../src/table/compactor.ts";
import { addedFile, type ManifestEntry, writeManifest } from "../../../src/table/iceberg/manifest.ts";
import { newManifestFile, writeManifestList } from "../../../src/table/iceberg/manifest-list.ts";
import type { TableSettings } from "../../../src/table/settings.ts";
import { ProofStore } from "../../../src/table/tools/proof-store.ts";
import { Scratch } from "../../../src/table/tools/scratch.ts";
import { type VerifyReport, verifyTable } from "../../../src/table/tools/verify.ts";
import { Lake } from "../../support/lake.ts";
import { tableSettings, utf8 } from "../translate-fixtures.ts";

const orders = { namespace: ["sales"], name: "orders" };
const json = (value: unknown) => ({ value: utf8(JSON.stringify(value)) });

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "inlet-verify-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function verify(lake: Lake, compactor: Compactor, settings: TableSettings): Promise<VerifyReport> {
  const { clock } = systemRuntime();
  const [only] = compactor.tables();
  return await verifyTable(
    settings,
    only?.table as TableInfo,
    {
      catalog: lake.foreign(),
      warehouse: lake.warehouse,
      proofs: new ProofStore(lake.store),
      scratch: new Scratch({ disk: systemDisk, directory: join(directory, "scratch"), random: lake.runtime.random }),
      clock,
      limits: { engineBytesMax: 256 * 2 ** 20, engineThreads: 1 },
    },
    new AbortController().signal,
  );
}

/** The whole table in one new file that SQL made of its files, as somebody's rewrite: `$rows` are the rows. */
async function rewrite(lake: Lake, sql: string, options = "COMPRESSION snappy"): Promise<void> {
  const duckdb = await DuckDBInstance.create();
  const connection = await duckdb.connect();
  const paths: string[] = [];
  for (const [index, { file }] of (await lake.files(orders)).entries()) {
    const path = join(directory, `in-${index}.parquet`);
    writeFileSync(path, await lake.warehouse.read(file.path));
    paths.push(`'${path}'`);
  }
  const out = join(directory, "out.parquet");
  const rows = `read_parquet([${paths.join()}], union_by_name = true)`;
  await connection.run(`COPY (${sql.replaceAll("$rows", rows)}) TO '${out}' (FORMAT parquet, ${options})`);
  const [[count]] = (await connection.runAndReadAll(`SELECT count(*) FROM '${out}'`)).getRows() as [[bigint]];
  connection.closeSync();
  duckdb.closeSync();
  const bytes = readFileSync(out);
  const path = `${lake.root}/theirs-${Math.floor(lake.runtime.random.unit() * 2 ** 30)}.parquet`;
  await lake.warehouse.create(path, bytes);
  const none = new Map<number, never>();
  const metrics = { columnSizes: none, valueCounts: none, nullValueCounts: none, nanValueCounts: none };
  const bounds = { lowerBounds: none, upperBounds: none, splitOffsets: [] };
  await replaceFiles(lake, orders, [
    addedFile({
      path,
      format: "PARQUET",
      partition: [],
      recordCount: Number(count),
      bytes: bytes.length,
      ...metrics,
      ...bounds,
    }),
  ]);
}

/** Commits a snapshot of exactly these files, as another writer would: without a mark of ours. */
async function replaceFiles(lake: Lake, name: TableName, entries: readonly ManifestEntry[]): Promise<void> {
  const catalog = lake.foreign();
  const table = await catalog.load(name);
  if (table === undefined) throw new Error("no table");
  const { metadata } = table;
  const [schema, spec] = [currentSchema(metadata), defaultSpec(metadata)];
  const snapshotId = BigInt(Math.floor(lake.runtime.random.unit() * 2 ** 40)) + 1n;
  const sequenceNumber = metadata["last-sequence-number"] + 1;
  const parent = metadata["current-snapshot-id"];
  const added = entries.map((entry) => ({
    ...entry,
    status: "added" as const,
    sequenceNumber: null,
    snapshotId: null,
    fileSequenceNumber: null,
  }));
  const manifest = writeManifest({ schema, spec, content: "data", entries: added });
  const path = `${lake.root}/m-${snapshotId}.avro`;
  await lake.warehouse.create(path, manifest);
  const file = newManifestFile({
    path,
    bytes: manifest.length,
    schema,
    spec,
    entries: added,
    snapshotId,
    sequenceNumber,
  });
  const list = `${lake.root}/l-${snapshotId}.avro`;
  await lake.warehouse.create(
    list,
    writeManifestList({ snapshotId, parentSnapshotId: parent, sequenceNumber, manifests: [file] }),
  );
  const outcome = await catalog.commit(
    name,
    [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": parent }],
    [
      {
        action: "add-snapshot",
        snapshot: {
          "snapshot-id": snapshotId,
          "parent-snapshot-id": parent,
          "sequence-number": sequenceNumber,
          "timestamp-ms": metadata["last-updated-ms"],
          "manifest-list": list,
          summary: { operation: "replace" },
          "schema-id": metadata["current-schema-id"],
        },
      },
      { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": snapshotId },
    ],
  );
  if (outcome.kind !== "committed") throw new Error(outcome.kind);
}

/** 20 records in 2 partitions, one of them no JSON, in three commits. */
async function filled(seed: number, settings: TableSettings) {
  const lake = new Lake(seed);
  const topic = lake.topic("orders", 2);
  const { compactor } = lake.open([settings]);
  for (const commit of [0, 1, 2]) {
    const records = [1, 2, 3].map((each) => json({ id: commit * 10 + each, name: `n${each}`, tags: ["a", null] }));
    await lake.produce(topic, 0, records);
    await lake.produce(topic, 1, [...records, ...(commit === 1 ? [{ value: utf8("{not json") }] : [])]);
    if (commit === 2) await lake.produce(topic, 0, [json({ id: 30, later: true })]);
    await compactor.flush("orders");
  }
  return { lake, topic, compactor, settings };
}

const kinds = (report: VerifyReport) => report.findings.map(({ kind }) => kind);

describe("a table that holds its log", () => {
  const settings = tableSettings("json");

  test("is equal, with dead letters and a schema that grew; every row is proven", async () => {
    const { lake, compactor } = await filled(1, settings);
    const report = await verify(lake, compactor, settings);
    expect(report).toMatchObject({ verdict: "equal", rows: 19, rowsProven: 19, findings: [] });
    expect(report.ranges.map(({ partition, from, to, others }) => [partition, from, to, others])).toEqual([
      [0, 0, 3, 0],
      [0, 3, 6, 0],
      [0, 6, 9, 0], // The last record asked for another column: a round of its own.
      [0, 9, 10, 0],
      [1, 0, 3, 0],
      [1, 3, 7, 1],
      [1, 7, 10, 0],
    ]);
    expect(report.deadLetters).toMatchObject({ verdict: "equal", rows: 1, rowsProven: 1 });
    await compactor[Symbol.asyncDispose]();
  });

  test("is equal when the log is gone, after a crash, and when others rewrote its files and went on", async () => {
    const { lake, compactor, topic } = await filled(2, settings);
    for (const partition of [0, 1])
      lake.partition(topic, partition).logStart = lake.partition(topic, partition).lastStable;
    await compactor[Symbol.asyncDispose]();
    const again = lake.open([settings]).compactor;
    await rewrite(lake, "SELECT * FROM $rows ORDER BY id DESC");
    expect(await verify(lake, again, settings)).toMatchObject({ verdict: "equal", files: 1, rowsProven: 19 });
    await lake.produce(topic, 0, [json({ id: 99 })]);
    await again.flush("orders");
    expect(await verify(lake, again, settings)).toMatchObject({ verdict: "equal", files: 2, rowsProven: 20 });
    await again[Symbol.asyncDispose]();
  });

  test("with skipped records and partitions is equal too", async () => {
    const skip = tableSettings("json", {
      errors: { policy: "skip", deadLetterTable: "" },
      partitionBy: [{ column: "_kafka_offset", transform: "bucket[3]" }],
    });
    const { lake, compactor } = await filled(3, skip);
    expect(await verify(lake, compactor, skip)).toMatchObject({ verdict: "equal", rowsProven: 19, deadLetters: null });
    await compactor[Symbol.asyncDispose]();
  });

  test("of which nothing was kept is unproven, not different", async () => {
    const { lake, compactor } = await filled(4, settings);
    const keys: string[] = [];
    for await (const { key } of lake.store.list("tables/")) keys.push(key);
    await lake.store.delete(keys);
    expect(await verify(lake, compactor, settings)).toMatchObject({ verdict: "unproven", rows: 19, rowsProven: 0 });
    await compactor[Symbol.asyncDispose]();
  });
});

describe("what is wrong is found, and where", () => {
  const settings = tableSettings("json");
  const cases: readonly (readonly [string, string, object])[] = [
    [
      "a lost row",
      "SELECT * FROM $rows WHERE NOT (_kafka_partition = 0 AND _kafka_offset = 4)",
      { kind: "lost", where: "partition 0 offsets 3 to 5", sample: ["0:4"] },
    ],
    [
      "a doubled row",
      "SELECT * FROM $rows UNION ALL SELECT * FROM $rows WHERE _kafka_partition = 1 AND _kafka_offset = 8",
      { kind: "doubled", where: "partition 1 offsets 7 to 9", sample: ["1:8"] },
    ],
    [
      "an altered value",
      "SELECT * REPLACE (CASE WHEN id = 12 AND _kafka_partition = 0 THEN 13 ELSE id END AS id) FROM $rows",
      {
        kind: "altered",
        where: "partition 0 offsets 3 to 5",
        detail: "column id has other values than translation wrote",
      },
    ],
    [
      "an altered item of a list",
      "SELECT * REPLACE (CASE WHEN id = 12 AND _kafka_partition = 0 THEN ['a', 'b'] ELSE tags END AS tags) FROM $rows",
      { kind: "altered", detail: "column tags.list.element has other values than translation wrote" },
    ],
    [
      "a value that was nulled",
      "SELECT * REPLACE (CASE WHEN id = 30 THEN NULL ELSE later END AS later) FROM $rows",
      { kind: "altered", where: "partition 0 offsets 9 to 9" },
    ],
    [
      "a row of nobody",
      "SELECT * FROM $rows UNION ALL SELECT * REPLACE (77 AS _kafka_offset) FROM $rows WHERE _kafka_offset = 0",
      { kind: "foreign", sample: ["0:77", "1:77"] },
    ],
    [
      "a row in place of another",
      "SELECT * REPLACE (CASE WHEN _kafka_offset = 4 THEN 5 ELSE _kafka_offset END AS _kafka_offset) FROM $rows WHERE _kafka_partition = 0",
      { kind: "doubled", sample: ["0:5"] },
    ],
    [
      "a row where there was a dead letter",
      "SELECT * REPLACE (CASE WHEN _kafka_partition = 1 AND _kafka_offset = 3 THEN 6 ELSE _kafka_offset END AS _kafka_offset) FROM $rows",
      { kind: "lost", where: "partition 1 offsets 3 to 6" },
    ],
  ];
  test.each(cases)("%s", async (_name, sql, finding) => {
    const { lake, compactor } = await filled(5, settings);
    await rewrite(lake, `SELECT * FROM (${sql}) ORDER BY _kafka_offset, _kafka_partition`);
    const report = await verify(lake, compactor, settings);
    expect(report.verdict).toBe("different");
    expect(report.findings).toEqual(expect.arrayContaining([expect.objectContaining(finding)]));
    await compactor[Symbol.asyncDispose]();
  });

  test("a file that is listed twice, one that is gone, one whose count is wrong", async () => {
    const { lake, compactor } = await filled(6, settings);
    const files = await lake.files(orders);
    const [first, second, ...others] = files as [ManifestEntry, ManifestEntry];
    await replaceFiles(lake, orders, [...files, first]);
    expect(kinds(await verify(lake, compactor, settings))).toEqual(["path-twice"]);
    const miscounted = { ...second, file: { ...second.file, recordCount: second.file.recordCount + 1 } };
    await replaceFiles(lake, orders, [first, miscounted, ...others]);
    expect(kinds(await verify(lake, compactor, settings))).toEqual(["miscounted"]);
    await lake.warehouse.remove([first.file.path]);
    expect(kinds(await verify(lake, compactor, settings))).toEqual(
      expect.arrayContaining(["file-unreadable", "lost", "miscounted"]),
    );
    await compactor[Symbol.asyncDispose]();
  });
});
