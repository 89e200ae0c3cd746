/** Brings files of a table to a rewriter: in steps, at the pace of the budget, and behind appends. */
import { Gate, sleep } from "../../base/async.ts";
import { assert } from "../../base/errors.ts";
import { type LiveFile, partitionKey } from "../commit/live-entries.ts";
import type { DeleteInput } from "./delete-filter.ts";
import { isGlobal } from "./delete-scope.ts";
import { nextTurn, type RewriteTarget } from "./replace-commit.ts";
import type { RewriteInput } from "./rewrite-core.ts";
import type { RewriteJob } from "./rewriter.ts";
import type { TableRewriterDeps } from "./table-rewriter.ts";

export interface Reading extends Pick<TableRewriterDeps, "warehouse" | "runtime" | "limits"> {
  readonly target: RewriteTarget;
  readonly signal: AbortSignal;
}

/** Of one step: many small files cost what one does, one turn behind appends and one wait for the store. */
const stepBytes = 4 * 1024 * 1024;
/** Files of a step that are asked for at once. */
const readsAtOnceMax = 16;

/** Why the job cannot go on; undefined: it has all deletes. `inputs`: what they will be asked about. */
export async function addDeletes(
  job: RewriteJob,
  deletes: readonly LiveFile[],
  inputs: readonly LiveFile[],
  reading: Reading,
): Promise<string | undefined> {
  const foreign = deletes.find((remove) => !isVector(remove) && !isDeleteFile(remove))?.entry.file;
  if (foreign !== undefined) return `${foreign.path} is ${foreign.format}`;
  const rows = new Map(inputs.map(({ entry: { file } }) => [file.path, file.recordCount]));
  for await (const { file, bytes } of contents(deletes, reading)) {
    const answer = await job.addDelete(deleteInput(file, bytes, rows));
    if (answer.kind === "unreadable") return answer.reason;
  }
  return undefined;
}

/** In the order of the files. */
export async function* rewriteInputs(files: readonly LiveFile[], reading: Reading): AsyncGenerator<RewriteInput> {
  for await (const { file, bytes } of contents(files, reading)) {
    const { sequenceNumber: sequence, firstRowId } = file.entry;
    const { path, recordCount: rows } = file.entry.file;
    yield { path, bytes, sequence, firstRowId, rows, partition: partitionKey(file) };
  }
}

interface Content {
  readonly file: LiveFile;
  readonly bytes: Uint8Array;
}

async function* contents(files: readonly LiveFile[], reading: Reading): AsyncGenerator<Content> {
  const { target, runtime, limits, signal } = reading;
  for (const step of stepsOf(files)) {
    await nextTurn(target); // Appends first.
    const gate = new Gate(readsAtOnceMax);
    const read = step.map((file) => gate.run(async () => ({ file, bytes: await contentOf(file, reading) })));
    const all = await Promise.all(read);
    const bytes = all.reduce((sum, content) => sum + content.bytes.length, 0);
    await sleep(runtime.clock, (bytes * 1000) / limits.bytesPerSecondMax, signal);
    yield* all;
  }
}

/** A file that is larger than a step is one of its own. */
function stepsOf(files: readonly LiveFile[]): readonly (readonly LiveFile[])[] {
  const steps: LiveFile[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const file of files) {
    const { vector } = file.entry;
    const more = vector === null ? file.entry.file.bytes : vector.bytes;
    if (bytes + more > stepBytes) {
      steps.push([]);
      bytes = 0;
    }
    steps.at(-1)?.push(file);
    bytes += more;
  }
  return steps;
}

async function contentOf({ entry }: LiveFile, { warehouse }: Reading): Promise<Uint8Array> {
  const { file, vector } = entry;
  if (vector === null) return await warehouse.read(file.path);
  return await warehouse.readRange(file.path, { start: vector.offset, end: vector.offset + vector.bytes });
}

function deleteInput(remove: LiveFile, bytes: Uint8Array, rows: ReadonlyMap<string, number>): DeleteInput {
  const { entry } = remove;
  const { content, sequenceNumber: sequence, equalityIds, referencedDataFile: dataFile, vector, file } = entry;
  const { path } = file;
  if (vector !== null && dataFile !== null)
    return { kind: "deletion-vector", path, bytes, dataFile, rows: rows.get(dataFile) ?? 0 };
  assert(content !== "data", "a delete file holds no rows");
  const partition = isGlobal(remove) ? undefined : partitionKey(remove);
  return { kind: content, path, bytes, sequence, equalityIds: equalityIds ?? [], partition };
}

function isVector({ entry }: LiveFile): boolean {
  return entry.vector !== null && entry.referencedDataFile !== null;
}

function isDeleteFile({ entry }: LiveFile): boolean {
  return entry.file.format === "PARQUET" && entry.content !== "data";
}
