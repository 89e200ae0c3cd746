/** Another writer that puts a table's rows into files of its own, by SQL. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { TableName } from "../../src/table/catalog.ts";
import { currentSchema, defaultSpec } from "../../src/table/commit/table-creation.ts";
import { addedFile, type ManifestEntry, writeManifest } from "../../src/table/iceberg/manifest.ts";
import { newManifestFile, writeManifestList } from "../../src/table/iceberg/manifest-list.ts";
import type { Lake } from "./lake.ts";

const orders = { namespace: ["sales"], name: "orders" };

/** The whole table in one new file that SQL made of its files, as somebody's rewrite: `$rows` are the rows. */
export async function rewriteBySql(
  lake: Lake,
  sql: string,
  options: { readonly directory: string; readonly write?: string },
): Promise<void> {
  const { directory, write = "COMPRESSION snappy" } = options;
  const duckdb = await DuckDBInstance.create();
  const connection = await duckdb.connect();
  const paths: string[] = [];
  const data = (await lake.files(orders)).filter(({ content }) => content === "data");
  for (const [index, { file }] of data.entries()) {
    const path = join(directory, `in-${index}.parquet`);
    writeFileSync(path, await lake.warehouse.read(file.path));
    paths.push(`'${path}'`);
  }
  const out = join(directory, "out.parquet");
  const rows = `read_parquet([${paths.join()}], union_by_name = true)`;
  await connection.run(`COPY (${sql.replaceAll("$rows", rows)}) TO '${out}' (FORMAT parquet, ${write})`);
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
export async function replaceFiles(lake: Lake, name: TableName, entries: readonly ManifestEntry[]): Promise<void> {
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
