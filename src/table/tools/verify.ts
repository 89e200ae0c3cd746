/**
 * Proves that a table holds what was translated into it: each row once, unchanged, and nothing else. The snapshot that
 * `main` names is read back whole, whoever wrote its files, and held against the digests that translation left
 * (proof.ts). Reads only; one file at a time is on the local disk.
 */
import { CorruptData, OperationFailed } from "../../base/errors.ts";
import type { Clock } from "../../base/runtime.ts";
import type { TableInfo } from "../../metadata/image.ts";
import type { Catalog, TableName } from "../catalog.ts";
import type { PlaceColumns } from "../commit/live-files.ts";
import { currentSchema } from "../commit/table-creation.ts";
import { entriesOf, manifestsOf } from "../commit/table-files.ts";
import type { ManifestEntry } from "../iceberg/manifest.ts";
import type { TableMetadata } from "../iceberg/metadata.ts";
import { Columns } from "../parquet/columns.ts";
import { type EngineLimits, ParquetRows } from "../parquet/parquet-rows.ts";
import type { CommitMark } from "../rounds.ts";
import { placeColumns } from "../schema/schema-map.ts";
import type { TableSettings } from "../settings.ts";
import { deadLetterName, tableName, tableStateOf } from "../table-state.ts";
import { letterPlace } from "../translate/dead-letters.ts";
import { canonicalUri, type Warehouse } from "../warehouse.ts";
import { beginLane } from "./backfill-plan.ts";
import type { KeyedCounts } from "./keyed-run.ts";
import { forgotten, noRows, type TableProof } from "./proof.ts";
import type { ProofName, ProofStore } from "./proof-store.ts";
import type { Scratch } from "./scratch.ts";
import { type KeyedDeps, verifyKeyed } from "./verify-keyed.ts";
import { compareRange, type Finding, type RangeReport } from "./verify-report.ts";
import { RowsFound, samplesMax } from "./verify-rows.ts";
import { Findings, markOf, requirePlace } from "./verify-snapshot.ts";

export interface VerifyDeps {
  readonly catalog: Catalog;
  readonly warehouse: Warehouse;
  readonly proofs: ProofStore;
  readonly scratch: Scratch;
  readonly clock: Clock;
  readonly limits: EngineLimits;
  /** Of tables with a key. */
  readonly keyed: KeyedDeps;
  /** Told after each file. */
  readonly progress?: (done: VerifyProgress) => void;
}

export interface VerifyProgress {
  readonly files: number;
  readonly filesTotal: number;
  readonly rows: number;
}

export interface VerifyReport {
  readonly table: string;
  /** "unproven": nothing is wrong, and of some rows nothing was kept that they could be held against. */
  readonly verdict: "equal" | "unproven" | "different";
  /** null: the table has no snapshot. */
  readonly snapshotId: string | null;
  readonly files: number;
  readonly rows: number;
  /** Rows of ranges whose proof was held against them. */
  readonly rowsProven: number;
  readonly ranges: readonly RangeReport[];
  readonly findings: readonly Finding[];
  readonly findingsLeftOut: number;
  /** Of the table of dead letters, when there is one. */
  readonly deadLetters: VerifyReport | null;
  /** Of a table with a key. */
  readonly keyed?: KeyedCounts;
}

/** The table and that of its dead letters. Throws OperationFailed when it is not there or cannot be read at all. */
export async function verifyTable(
  settings: TableSettings,
  table: TableInfo,
  deps: VerifyDeps,
  signal: AbortSignal,
): Promise<VerifyReport> {
  const state = tableStateOf(table);
  if (state === undefined) throw new OperationFailed("the table has not been made yet", { happened: "no" });
  const { generation, committedTo } = table;
  const rows =
    state.mapping.rowKey === undefined
      ? await verifyOne(
          {
            name: tableName(settings, generation),
            proof: { table: table.id, of: "rows" },
            place: placeColumns(state.mapping),
            committedTo,
            begin: table.lanes.get(beginLane),
          },
          deps,
          signal,
        )
      : await verifyKeyed(settings, table, deps, signal);
  if (state.deadLetterPlaces === null) return rows;
  const letters = await verifyOne(
    {
      name: deadLetterName(settings, generation),
      proof: { table: table.id, of: "dead-letters" },
      place: letterPlace,
      committedTo: undefined,
      begin: undefined,
    },
    deps,
    signal,
  );
  return { ...rows, deadLetters: letters, verdict: worse(rows.verdict, letters.verdict) };
}

function worse(one: VerifyReport["verdict"], other: VerifyReport["verdict"]): VerifyReport["verdict"] {
  return (["different", "unproven"] as const).find((verdict) => verdict === one || verdict === other) ?? "equal";
}

interface Subject {
  readonly name: TableName;
  readonly proof: ProofName;
  readonly place: PlaceColumns;
  /** As our log knows it; a table of dead letters has a commit only when there are some. */
  readonly committedTo: ReadonlyMap<number, number> | undefined;
  /** Where the table began, when that was not at the log's start. */
  readonly begin: ReadonlyMap<number, number> | undefined;
}

async function verifyOne(subject: Subject, deps: VerifyDeps, signal: AbortSignal): Promise<VerifyReport> {
  const loaded = await deps.catalog.load(subject.name);
  if (loaded === undefined)
    throw new OperationFailed(`there is no table ${subject.name.name} in its catalog`, { happened: "no" });
  const { metadata } = loaded;
  requirePlace(metadata, subject);
  const findings = new Findings();
  const mark = await markOf(metadata, deps.warehouse, findings);
  const proof = await proofOf(mark, subject, deps);
  const live = await liveFiles(metadata, deps.warehouse, findings);
  const found = await readFiles(live, { metadata, proof, subject, findings }, deps, signal);
  if (mark !== undefined) compareOffsets({ ...subject, mark, proof, findings });
  const ranges = compareRows({ proof, found, metadata, subject, findings });
  if (found.outsideRows > 0) {
    const sample = found.outside.map(({ partition, offset }) => `${partition}:${offset}`);
    const detail = `${found.outsideRows} rows of offsets that were not translated, or of which nothing was kept`;
    findings.add({ kind: "foreign", where: subject.name.name, detail, sample });
  }
  const id = metadata["current-snapshot-id"];
  return {
    table: [...subject.name.namespace, subject.name.name].join("."),
    verdict: findings.all.length > 0 ? "different" : ranges.some(({ rows }) => rows === null) ? "unproven" : "equal",
    snapshotId: id === -1n ? null : String(id),
    files: live.length,
    rows: found.rows,
    rowsProven: ranges.reduce((sum, range) => sum + (range.rows === null ? 0 : range.rowsFound), 0),
    ranges,
    findings: findings.all,
    findingsLeftOut: findings.leftOut,
    deadLetters: null,
  };
}

/** Of a mark without one only the offsets are known. */
async function proofOf(mark: CommitMark | undefined, { proof }: Subject, { proofs }: VerifyDeps): Promise<TableProof> {
  if (mark === undefined) return new Map();
  return (await proofs.read(proof, mark)) ?? forgotten(typeof mark.offsets === "string" ? new Map() : mark.offsets);
}

/** Data files of the current snapshot, each once. */
async function liveFiles(
  metadata: TableMetadata,
  warehouse: Warehouse,
  findings: Findings,
): Promise<readonly ManifestEntry[]> {
  const snapshot = metadata.snapshots.find((each) => each["snapshot-id"] === metadata["current-snapshot-id"]);
  const files = new Map<string, ManifestEntry>();
  let deletes = 0;
  for (const manifest of await manifestsOf(warehouse, snapshot)) {
    for (const entry of await entriesOf(warehouse, manifest, metadata)) {
      if (entry.status === "deleted") continue;
      const path = canonicalUri(entry.file.path);
      if (entry.content !== "data") deletes += 1;
      else if (files.has(path)) {
        const detail = "the file is listed more than once: its rows are read more than once";
        findings.add({ kind: "path-twice", where: path, detail, sample: [manifest.path] });
      } else files.set(path, entry);
    }
  }
  if (deletes > 0) {
    const detail = `${deletes} files of deletes are in force; rows that they hide are counted as there`;
    findings.add({ kind: "deletes", where: "main", detail, sample: [] });
  }
  return [...files.values()];
}

async function readFiles(
  live: readonly ManifestEntry[],
  what: {
    readonly metadata: TableMetadata;
    readonly proof: TableProof;
    readonly subject: Subject;
    readonly findings: Findings;
  },
  deps: VerifyDeps,
  signal: AbortSignal,
): Promise<RowsFound> {
  const { metadata, findings } = what;
  const found = new RowsFound(what.proof, what.subject.place);
  if (live.length === 0) return found;
  await using reader = await ParquetRows.open(deps);
  for (const [index, { file }] of live.entries()) {
    signal.throwIfAborted();
    const before = found.rows;
    try {
      await using copy = await deps.scratch.copy(deps.warehouse, file);
      for await (const columns of reader.read(copy.path, currentSchema(metadata), file.path)) found.add(columns);
      const rows = found.rows - before;
      if (rows !== file.recordCount) {
        const detail = `it holds ${rows} rows, its manifest says ${file.recordCount}`;
        findings.add({ kind: "miscounted", where: file.path, detail, sample: [] });
      }
    } catch (cause) {
      if (!(cause instanceof OperationFailed) && !(cause instanceof CorruptData)) throw cause;
      findings.add({ kind: "file-unreadable", where: file.path, detail: cause.message, sample: [] });
    }
    deps.progress?.({ files: index + 1, filesTotal: live.length, rows: found.rows });
  }
  return found;
}

/** Three that must agree: the mark in the table, the proof that was kept with it, and our log. */
function compareOffsets(what: {
  readonly mark: CommitMark;
  readonly proof: TableProof;
  readonly committedTo: Subject["committedTo"];
  readonly begin: Subject["begin"];
  readonly findings: Findings;
}): void {
  const { mark, proof, committedTo, begin, findings } = what;
  if (committedTo === undefined || typeof mark.offsets === "string") return;
  const partitions = new Set([...mark.offsets.keys(), ...committedTo.keys(), ...proof.keys()]);
  for (const partition of [...partitions].sort((a, b) => a - b)) {
    const said = mark.offsets.get(partition) ?? 0;
    const known = committedTo.get(partition) ?? 0;
    // A partition of which nothing was translated yet, or only its history, has none.
    const isBegun = mark.offsets.has(partition) && said !== begin?.get(partition);
    const proven = isBegun ? (proof.get(partition)?.at(-1)?.to ?? 0) : said;
    // A commit that has not come to our log yet is ahead of it; the next turn settles that.
    const isProofOff = proof.size > 0 && proven !== said;
    if (said >= known && !isProofOff) continue;
    const detail = `the table's mark says ${said}, the log ${known}, the proof ${proven}`;
    findings.add({ kind: "offsets-disagree", where: `partition ${partition}`, detail, sample: [] });
  }
}

function compareRows(what: {
  readonly proof: TableProof;
  readonly found: RowsFound;
  readonly metadata: TableMetadata;
  readonly subject: Subject;
  readonly findings: Findings;
}): readonly RangeReport[] {
  const { found, proof, subject } = what;
  const { leaves } = new Columns(currentSchema(what.metadata));
  const columns = new Map(leaves.map(({ shape }) => [shape.id, shape.path.join(".")]));
  return found.found().map((range) => {
    const known = proof.get(range.partition)?.find(({ from }) => from === range.from);
    const proven = known ?? { from: range.from, to: range.to, proof: noRows, others: 0 };
    const absent = () => found.absent(range, samplesMax);
    const compared = compareRange(proven, range, { place: subject.place, columns, absent });
    for (const finding of compared.findings) what.findings.add(finding);
    return compared.range;
  });
}
