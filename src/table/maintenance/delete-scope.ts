/**
 * Which delete files apply to which data files (Iceberg spec, "Scan Planning"). Pure.
 *
 *   vector     the one data file that it names
 *   position   same spec and partition   data sequence ≤ the delete's   and its path is among those that the file may name
 *   equality   same spec and partition, or everywhere when its spec parts nothing      data sequence < the delete's
 *
 * Bounds may only rule a delete out. Where they are missing, it applies.
 */

import { fileKey, type LiveEntry, type LiveFile, partitionKey } from "../commit/live-entries.ts";
import type { ManifestEntry } from "../iceberg/manifest.ts";

/** Reserved id of file_path in position delete files. */
const filePathId = 2147483546;

export class DeleteScope {
  readonly #global: readonly LiveFile[];
  readonly #byPartition = new Map<string, LiveFile[]>();
  readonly #byFile = new Map<string, LiveFile[]>();

  /** Of all live files only the delete files count. */
  constructor(files: readonly LiveFile[]) {
    const deletes = files.filter(({ entry }) => entry.content !== "data");
    this.#global = deletes.filter(isGlobal);
    for (const file of deletes.filter((each) => !isGlobal(each))) {
      const { referencedDataFile } = file.entry;
      if (referencedDataFile === null) put(this.#byPartition, partitionKey(file), file);
      else put(this.#byFile, referencedDataFile, file);
    }
  }

  /** The delete files that may take rows of the data file. */
  of(data: LiveFile): readonly LiveFile[] {
    const near = this.#byPartition.get(partitionKey(data)) ?? [];
    const own = this.#byFile.get(data.entry.file.path) ?? [];
    return [...own, ...near, ...this.#global].filter((file) => applies(file.entry, data.entry));
  }
}

/**
 * Delete files that take no row of any of these data files, now or ever: what is added later comes after them. `fresh` files
 * have just got their names, so that no position delete can name them, whatever its bounds say. `resolved`: of a data file by its
 * path, those whose rows a new vector of it holds.
 */
export function idleDeletes(
  files: readonly LiveFile[],
  fresh: readonly LiveFile[] = [],
  resolved: ReadonlyMap<string, ReadonlySet<string>> = new Map(),
): readonly LiveFile[] {
  const scope = new DeleteScope(files);
  const used = new Set<string>();
  for (const file of fresh) {
    for (const { entry } of scope.of(file)) if (entry.content !== "position-deletes") used.add(fileKey(entry));
  }
  for (const file of files) {
    if (file.entry.content !== "data") continue;
    const done = resolved.get(file.entry.file.path);
    for (const { entry } of scope.of(file)) if (done?.has(fileKey(entry)) !== true) used.add(fileKey(entry));
  }
  return files.filter(({ entry }) => entry.content !== "data" && !used.has(fileKey(entry)));
}

function put(files: Map<string, LiveFile[]>, key: string, file: LiveFile): void {
  const known = files.get(key);
  if (known === undefined) files.set(key, [file]);
  else known.push(file);
}

/** A field that was taken away leaves void behind, and parts nothing. */
export function isGlobal({ entry, spec }: LiveFile): boolean {
  return entry.content === "equality-deletes" && spec.fields.every(({ transform }) => transform === "void");
}

function applies(remove: LiveEntry, data: LiveEntry): boolean {
  if (remove.content === "position-deletes") {
    return data.sequenceNumber <= remove.sequenceNumber && mayName(remove.file, data.file.path);
  }
  return data.sequenceNumber < remove.sequenceNumber;
}

/** Bounds of paths are cut short by some writers, but a cut one is still a bound. */
function mayName(remove: ManifestEntry["file"], path: string): boolean {
  const bytes = Buffer.from(path, "utf8");
  const lower = remove.lowerBounds.get(filePathId);
  const upper = remove.upperBounds.get(filePathId);
  if (lower !== undefined && Buffer.compare(bytes, lower) < 0) return false;
  return upper === undefined || Buffer.compare(bytes, upper) <= 0;
}
