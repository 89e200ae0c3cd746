/**
 * Proves that a table with a key holds the last row of each key: the log up to the table's mark is folded by key, and each
 * row of the current snapshot, deletes applied, is held against it. Memory is bounded: keys are taken by shares of their hashes, and
 * each share is a pass over the log and the files.
 *
 *   deletes by key ─▶┐
 *   log, in order  ─▶│ keys of the share │◀─ rows of data files
 *
 * What retention has removed says nothing: a row whose record is gone is counted as not provable, unless a later record of
 * its key is still there and proves it wrong.
 */
import { OperationFailed } from "../../base/errors.ts";
import type { Log } from "../../log/log.ts";
import type { TableInfo, Topic } from "../../metadata/image.ts";
import { onBase } from "../commit/schema-committer.ts";
import { ParquetRows } from "../parquet/parquet-rows.ts";
import type { CommitMark } from "../rounds.ts";
import { placeColumns } from "../schema/schema-map.ts";
import type { TableSettings } from "../settings.ts";
import { deadLetterName, tableName, tableStateOf } from "../table-state.ts";
import { deadLetterSchema, letterPlace } from "../translate/dead-letters.ts";
import type { BytesLeaf, Int32Leaf, Int64Leaf } from "../translate/leaf.ts";
import type { Translator } from "../translate/translate.ts";
import { type Backfill, backfillReport, beginLane } from "./backfill-plan.ts";
import { type KeyedFiles, keyedFiles } from "./keyed-files.ts";
import { KeyedRun, type KeyedSubject } from "./keyed-run.ts";
import { OffsetSet, type Place, type ReplayedStore } from "./replayed.ts";
import type { VerifyDeps, VerifyReport } from "./verify.ts";
import { Findings, markOf, requirePlace } from "./verify-snapshot.ts";

/** What the log is folded with. */
export interface KeyedDeps {
  readonly log: Log;
  readonly translator: Translator;
  readonly replayed: ReplayedStore;
  readonly topic: Topic;
  readonly readBytesMax: number;
  /** Keys of one pass, some 40 bytes of memory each. */
  readonly keysMax: number;
}

/** Of a log whose beginning moves while it is read. */
const restartsMax = 3;

export async function verifyKeyed(
  settings: TableSettings,
  table: TableInfo,
  deps: VerifyDeps,
  signal: AbortSignal,
): Promise<VerifyReport> {
  const subject = await subjectOf(settings, table, deps);
  const { metadata, mark, findings } = subject;
  await using rows = await ParquetRows.open(deps);
  const files = await keyedFiles(metadata, subject.rowKey.ids, {
    warehouse: deps.warehouse,
    say: (finding) => findings.add(finding),
  });
  const letters = await letterPlaces(settings, table, { ...deps, rows });
  if (mark !== undefined) compareOffsets(mark, table, findings);
  for (let attempt = 0; attempt < restartsMax; attempt += 1) {
    const run = new KeyedRun({ ...subject, files, letters, rows }, deps, signal);
    if ((await run.passes()) === "done") return reportOf(subject, files, run);
  }
  throw refusal("retention removed records while they were read: try again");
}

async function subjectOf(
  settings: TableSettings,
  table: TableInfo,
  { catalog, warehouse }: Pick<VerifyDeps, "catalog" | "warehouse">,
): Promise<KeyedSubject> {
  const name = tableName(settings, table.generation);
  const loaded = await catalog.load(name);
  const state = tableStateOf(table);
  if (loaded === undefined || state === undefined) throw refusal(`there is no table ${name.name} in its catalog`);
  const { metadata } = loaded;
  const mapping = onBase(state, metadata);
  const { rowKey } = mapping;
  if (rowKey === undefined) throw refusal("the table has no key");
  const place = placeColumns(mapping);
  requirePlace(metadata, { place, name });
  const findings = new Findings();
  const mark = await markOf(metadata, warehouse, findings);
  const begin = beginnings(table, state.backfill);
  const { topicId } = table;
  return { name, settings, topicId, metadata, mapping, rowKey, place, mark, begin, findings };
}

/** Where each partition's rows begin: at the history that a backfill has brought whole, or where the table began. */
function beginnings(table: TableInfo, backfill: Backfill | undefined): ReadonlyMap<number, number> {
  const begin = new Map<number, number>(table.lanes.get(beginLane) ?? []);
  for (const [partition, to] of Object.entries(backfill?.to ?? {})) begin.set(Number(partition), to);
  if (backfill !== undefined && backfillReport(backfill, table).state === "done")
    for (const { partition, from } of backfillReport(backfill, table).partitions) begin.set(partition, from);
  return begin;
}

/** The mark in the table must not be behind our log; one that is ahead is settled by the next turn. */
function compareOffsets({ offsets }: CommitMark, { committedTo }: TableInfo, findings: Findings): void {
  if (typeof offsets === "string") return;
  for (const [partition, known] of committedTo) {
    const said = offsets.get(partition) ?? 0;
    if (said >= known) continue;
    const detail = `the table's mark says ${said}, the log ${known}`;
    findings.add({ kind: "offsets-disagree", where: `partition ${partition}`, detail, sample: [] });
  }
}

/** Records that are dead letters, and have not become rows since. */
async function letterPlaces(
  settings: TableSettings,
  table: TableInfo,
  deps: VerifyDeps & { readonly rows: ParquetRows },
): Promise<OffsetSet> {
  const state = tableStateOf(table);
  if (state === undefined || state.deadLetterPlaces === null) return new OffsetSet();
  const name = deadLetterName(settings, table.generation);
  const loaded = await deps.catalog.load(name);
  if (loaded === undefined) return new OffsetSet();
  const own = new Set([1, letterPlace.partition, letterPlace.offset]);
  const schema = { ...deadLetterSchema, fields: deadLetterSchema.fields.filter(({ id }) => own.has(id)) };
  const places: Place[] = [];
  const files = await keyedFiles(loaded.metadata, [], { warehouse: deps.warehouse, say: () => undefined });
  for (const { entry } of files.data) {
    await using copy = await deps.scratch.copy(deps.warehouse, entry.file);
    for await (const columns of deps.rows.read(copy.path, schema, entry.file.path)) {
      const [topics, partitions, offsets] = columns.leaves as [BytesLeaf, Int32Leaf, Int64Leaf];
      for (let row = 0; row < columns.rows; row += 1) {
        if (Buffer.from(topics.at(row)).toString() !== settings.topic) continue;
        places.push({ partition: partitions.values[row] as number, offset: Number(offsets.at(row)) });
      }
    }
  }
  return new OffsetSet().with(places).without(await deps.keyed.replayed.read(state.replayed));
}

function reportOf({ name, metadata, findings }: KeyedSubject, files: KeyedFiles, run: KeyedRun): VerifyReport {
  const { ranges, findings: found } = run.report;
  for (const finding of found) findings.add(finding);
  const id = metadata["current-snapshot-id"];
  const { rows, counts } = run;
  const isProven = counts.rowsNotProvable === 0 && ranges.every(({ state }) => state !== "unproven");
  return {
    table: [...name.namespace, name.name].join("."),
    verdict: findings.all.length > 0 ? "different" : isProven ? "equal" : "unproven",
    snapshotId: id === -1n ? null : String(id),
    files: files.data.length,
    rows,
    rowsProven: rows - counts.rowsNotProvable,
    ranges,
    findings: findings.all,
    findingsLeftOut: findings.leftOut,
    deadLetters: null,
    keyed: counts,
  };
}

function refusal(reason: string): OperationFailed {
  return new OperationFailed(reason, { happened: "no" });
}
