/**
 * Which files of a table of format version 3 are given deletion vectors, so that delete files can go. Pure.
 *
 *   before   [file]◀─┬─(keys)   [file]◀─(keys)  ...        readers compare the keys of every file with every later key file
 *                    └─(vector)
 *   after    [file]◀───(vector) [file]◀─(vector)           they look rows up, and open no key file
 *
 * A file of keys goes only when all files that it reaches have been read. So they all are, once one of them bears enough: the
 * cost of reading a table's keys is then shared by all commits since the last time, and is not paid again for each.
 */

import { fileKey, type LiveFile } from "../commit/live-entries.ts";
import { DeleteScope } from "./delete-scope.ts";
import { burdened, type RewriteSettings, rowsOf } from "./rewrite-plan.ts";

export interface VectorPlan {
  /** In one job, before the first file is read. */
  readonly deletes: readonly LiveFile[];
  readonly inputs: readonly VectorInputFile[];
}

export interface VectorInputFile {
  readonly file: LiveFile;
  /** Of the plan's, those that apply to it. */
  readonly deletes: readonly LiveFile[];
}

/** undefined: nothing is worth it yet. */
export function planVectors(files: readonly LiveFile[], settings: RewriteSettings): VectorPlan | undefined {
  const scope = new DeleteScope(files);
  const data = files.filter(({ entry }) => entry.content === "data").map((file) => ({ file, all: scope.of(file) }));
  const isReadable = ({ entry: { file } }: LiveFile): boolean =>
    file.format === "PARQUET" && file.bytes <= settings.inputBytesMax;
  /** Files of keys that some file is too large to be asked about: they would stay, whatever the others say. */
  const stuck = new Set(
    data.flatMap(({ file, all }) => (isReadable(file) ? [] : all.map(({ entry }) => fileKey(entry)))),
  );
  const keys = files.filter(({ entry }) => entry.content === "equality-deletes" && !stuck.has(fileKey(entry)));
  const chosen = new Set(oldestUpTo(keys, settings.deleteRowsMax).map(({ entry }) => fileKey(entry)));
  const positions = files.filter((file) => file.entry.content === "position-deletes" && isFile(file));
  if (rowsOf(positions) > settings.deleteRowsMax) return undefined;
  const inputs = data
    .filter(({ file }) => isReadable(file))
    // Deletes by position all count: readers look at a file's vector and at no others (rule H5).
    .map(({ file, all }) => ({
      file,
      deletes: all.filter(({ entry }) => entry.content === "position-deletes" || chosen.has(fileKey(entry))),
    }))
    .filter(({ deletes }) => deletes.some(isFile));
  if (!inputs.some(({ file, deletes }) => burdened(file, deletes.filter(isFile), settings))) return undefined;
  const deletes = new Map(inputs.flatMap((input) => input.deletes.map((each) => [fileKey(each.entry), each] as const)));
  return { deletes: [...deletes.values()], inputs };
}

function isFile({ entry }: LiveFile): boolean {
  return entry.vector === null;
}

/** As many of the oldest as have no more rows in all. */
function oldestUpTo(files: readonly LiveFile[], rowsMax: number): readonly LiveFile[] {
  const oldestFirst = files.toSorted((a, b) => a.entry.sequenceNumber - b.entry.sequenceNumber);
  let rows = 0;
  const end = oldestFirst.findIndex(({ entry }) => {
    rows += entry.file.recordCount;
    return rows > rowsMax;
  });
  return end === -1 ? oldestFirst : oldestFirst.slice(0, end);
}
