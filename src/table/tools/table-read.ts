/**
 * One consistent read of a table and of what is not yet committed to it, as local Parquet files of one schema:
 *
 *   rows of the snapshot that main names   offsets below its mark, wherever its files are
 *   + the tail of the log                  offsets from the mark on, up to the last stable one
 *
 * Whatever is committed meanwhile: a record is in exactly one of the two, since both follow from the one snapshot's mark.
 */
import { OperationFailed } from "../../base/errors.ts";
import type { TableInfo, Topic } from "../../metadata/image.ts";
import type { Catalog } from "../catalog.ts";
import { onBase } from "../commit/schema-committer.ts";
import { ancestryOf } from "../commit/settle.ts";
import { entriesOf, manifestsOf } from "../commit/table-files.ts";
import type { ManifestEntry } from "../iceberg/manifest.ts";
import type { TableMetadata } from "../iceberg/metadata.ts";
import type { Schema } from "../iceberg/types.ts";
import { Columns } from "../parquet/columns.ts";
import { type ParquetOptions, ParquetWriter } from "../parquet/parquet.ts";
import type { ParquetRows } from "../parquet/parquet-rows.ts";
import { parseMark } from "../rounds.ts";
import type { TableSettings } from "../settings.ts";
import { tableName, tableStateOf } from "../table-state.ts";
import type { Warehouse } from "../warehouse.ts";
import { beginLane } from "./backfill-plan.ts";
import type { Scratch, ScratchFile } from "./scratch.ts";
import { type Tail, type TailDeps, translateTail } from "./tail.ts";

export interface TableReadDeps extends TailDeps {
  readonly warehouse: Warehouse;
  readonly scratch: Scratch;
  readonly rows: ParquetRows;
  readonly limits: TailDeps["limits"] & {
    /** Of the snapshot's files. */
    readonly filesBytesMax: number;
    readonly parquet: ParquetOptions;
    readonly rowGroupBytesMax: number;
  };
}

export interface TableRead {
  readonly snapshotId: bigint;
  readonly schema: Schema;
  /** All of `schema`. Dispose of them when they are read. */
  readonly files: readonly ScratchFile[];
  readonly tail: Tail;
}

/** Throws OperationFailed with the reason when it cannot be read so. */
export async function readTable(
  table: {
    readonly settings: TableSettings;
    readonly info: TableInfo;
    readonly topic: Topic;
    readonly catalog: Catalog;
  },
  deps: TableReadDeps,
): Promise<TableRead> {
  const { settings, info, topic } = table;
  const name = tableName(settings, info.generation);
  const loaded = await table.catalog.load(name);
  const state = tableStateOf(info);
  if (loaded === undefined || state === undefined) throw refusal(`table ${name.name} is not in its catalog yet`);
  // What is not yet committed would have to take rows of the snapshot away.
  if (state.mapping.rowKey !== undefined)
    throw refusal("rows of the table replace each other: query it with an engine");
  const { metadata } = loaded;
  const committed = (await committedOffsets(metadata, deps.warehouse)) ?? info.lanes.get(beginLane) ?? new Map();
  const live = await liveFiles(metadata, deps);
  const tail = await translateTail(
    {
      topicId: topic.id,
      partitions: topic.partitions.length,
      settings,
      mapping: onBase(state, metadata),
      committed,
    },
    deps,
  );
  const { schema } = tail.mapping;
  const files: ScratchFile[] = [];
  try {
    for (const { file } of live) files.push(await normalized(file, schema, deps));
    for (const bytes of tail.files) files.push(await deps.scratch.write(bytes));
  } catch (cause) {
    await Promise.all(files.map((file) => file[Symbol.asyncDispose]()));
    throw cause;
  }
  return { snapshotId: metadata["current-snapshot-id"], schema, files, tail };
}

/** What the snapshot holds of the log; undefined: there is none. */
async function committedOffsets(
  metadata: TableMetadata,
  warehouse: Warehouse,
): Promise<ReadonlyMap<number, number> | undefined> {
  const ancestry = ancestryOf(metadata);
  if (ancestry.kind === "whole" && metadata["current-snapshot-id"] === -1n) return undefined;
  if (ancestry.kind !== "mark") throw refusal("the table's history does not say which offsets it holds");
  const { mark } = ancestry;
  const whole = typeof mark.offsets === "string" ? parseMark(await warehouse.readText(mark.offsets)) : mark;
  if (whole === undefined || typeof whole.offsets === "string") throw refusal("the table's mark cannot be read");
  return whole.offsets;
}

async function liveFiles(metadata: TableMetadata, deps: TableReadDeps): Promise<readonly ManifestEntry[]> {
  const current = metadata["current-snapshot-id"];
  const snapshot = metadata.snapshots.find((each) => each["snapshot-id"] === current);
  const live: ManifestEntry[] = [];
  for (const manifest of await manifestsOf(deps.warehouse, snapshot))
    live.push(
      ...(await entriesOf(deps.warehouse, manifest, metadata)).filter(
        ({ status, file }) => status !== "deleted" && file.recordCount > 0,
      ),
    );
  if (live.some(({ content }) => content !== "data"))
    throw refusal("the table has files of deletes: query it with an engine");
  const bytes = live.reduce((sum, { file }) => sum + file.bytes, 0);
  if (bytes > deps.limits.filesBytesMax)
    throw refusal(`the table's ${bytes} bytes are more than table.sql.bytes.max allows to read here`);
  return live;
}

/** A copy with the columns of the schema, by field id: written anew if its own are not the same. */
async function normalized(
  file: { readonly path: string; readonly bytes: number },
  schema: Schema,
  deps: TableReadDeps,
): Promise<ScratchFile> {
  const copy = await deps.scratch.copy(deps.warehouse, file);
  if (await deps.rows.isOfSchema(copy.path, schema, file.path)) return copy;
  await using _old = copy;
  const writer = new ParquetWriter(schema, deps.limits.parquet);
  const group = new Columns(schema);
  for await (const columns of deps.rows.read(copy.path, schema, file.path)) {
    columns.scatter([group], new Uint32Array(columns.rows));
    if (group.bytes < deps.limits.rowGroupBytesMax) continue;
    writer.rowGroup(group);
    group.clear();
  }
  if (group.rows > 0) writer.rowGroup(group);
  return await deps.scratch.write(writer.finish().bytes);
}

function refusal(reason: string): OperationFailed {
  return new OperationFailed(reason, { happened: "no" });
}
