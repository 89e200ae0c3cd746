/** Brings files of a table to a rewriter: at the pace of the budget, and behind appends. */
import { sleep } from "../../base/async.ts";
import type { LiveFile } from "../commit/live-entries.ts";
import type { VectorPlace } from "../iceberg/manifest.ts";
import type { DeleteInput } from "./delete-filter.ts";
import type { RewriteTarget } from "./replace-commit.ts";
import type { RewriteInput } from "./rewrite-core.ts";
import type { RewriteJob } from "./rewriter.ts";
import type { TableRewriterDeps } from "./table-rewriter.ts";

export interface Reading extends Pick<TableRewriterDeps, "warehouse" | "runtime" | "limits"> {
  readonly target: RewriteTarget;
  readonly signal: AbortSignal;
  /** Bytes that were read since appends were last let past. */
  readonly unasked: { bytes: number };
}

/** Read before appends are let past again: many small files are one step, or the waiting costs more than they do. */
const stepBytes = 4 * 1024 * 1024;

/** Why the job cannot go on; undefined: it has all deletes. `inputs`: what they will be asked about. */
export async function addDeletes(
  job: RewriteJob,
  deletes: readonly LiveFile[],
  inputs: readonly LiveFile[],
  reading: Reading,
): Promise<string | undefined> {
  const rows = new Map(inputs.map(({ entry: { file } }) => [file.path, file.recordCount]));
  for (const remove of deletes) {
    const input = await deleteInput(remove, rows, reading);
    if (typeof input === "string") return input;
    const answer = await job.addDelete(input);
    if (answer.kind === "unreadable") return answer.reason;
  }
  return undefined;
}

export async function rewriteInput({ entry }: LiveFile, reading: Reading): Promise<RewriteInput> {
  const { sequenceNumber: sequence, firstRowId, file } = entry;
  const { path, recordCount: rows } = file;
  return { path, bytes: await read(path, null, reading), sequence, firstRowId, rows };
}

async function deleteInput(
  { entry }: LiveFile,
  rows: ReadonlyMap<string, number>,
  reading: Reading,
): Promise<DeleteInput | string> {
  const { content, sequenceNumber: sequence, equalityIds, referencedDataFile: dataFile, vector, file } = entry;
  const { path, format } = file;
  if (vector !== null && dataFile !== null) {
    const bytes = await read(path, vector, reading);
    return { kind: "deletion-vector", path, bytes, dataFile, rows: rows.get(dataFile) ?? 0 };
  }
  if (format !== "PARQUET" || content === "data") return `${path} is ${format}`;
  return { kind: content, path, bytes: await read(path, null, reading), sequence, equalityIds: equalityIds ?? [] };
}

async function read(
  path: string,
  place: VectorPlace | null,
  { target, warehouse, runtime, limits, signal, unasked }: Reading,
): Promise<Uint8Array> {
  if (unasked.bytes >= stepBytes) {
    await target.turn(); // Appends first.
    unasked.bytes = 0;
  }
  const bytes =
    place === null
      ? await warehouse.read(path)
      : await warehouse.readRange(path, { start: place.offset, end: place.offset + place.bytes });
  unasked.bytes += bytes.length;
  await sleep(runtime.clock, (bytes.length * 1000) / limits.bytesPerSecondMax, signal);
  return bytes;
}
