/**
 * Which data files are worth writing again, and in which company. Pure. Only files of one partition and one spec go together.
 *
 *   oldest ──────────────────────────────▶ newest
 *   [full] [full] [ 90 MB ] [ 40 MB ] [8][8][8][8]      full files are left alone
 *                  └ left: larger than all after it      └────┬────┘ together
 *
 * Small files are packed in the order of their age, up to the target. The newest bin will go on growing: of it, a file that is
 * larger than all that came after it waits until they have caught up, so that a row is written again some log2(target /
 * commit) times and not with each rewrite. In a partition that has gone quiet nothing is waited for.
 *
 * A file whose rows deletes have taken, or that many delete files apply to, is written again whatever its size. In format version 3
 * it is given a vector first (vector-plan.ts), and written again when that has taken many of its rows.
 */

import { type LiveFile, partitionKey } from "../commit/live-entries.ts";
import { DeleteScope } from "./delete-scope.ts";

export interface RewriteSettings {
  readonly targetBytes: number;
  /** A file below this share of the target is small. */
  readonly smallRatio: number;
  /** Small files that make a rewrite worth it, while the partition is still written to. */
  readonly filesMin: number;
  /** Delete files that apply to a data file from which on it is written again. */
  readonly deleteFilesMin: number;
  /** The same for rows that they may take, as a share of the file's. */
  readonly deletedRatioMin: number;
  /** A partition whose newest file is older than this is taken for closed. */
  readonly quietMs: number;
  /** A file that is larger is never read. */
  readonly inputBytesMax: number;
  /** Rows of delete files that one rewrite holds in memory. */
  readonly deleteRowsMax: number;
}

export interface RewriteGroup {
  readonly specId: number;
  /** In the order of their age. */
  readonly inputs: readonly LiveFile[];
  /** Delete files that apply to at least one of them. */
  readonly deletes: readonly LiveFile[];
}

/** Groups with deletes first: they cost readers the most. `ageMs`: how long ago a snapshot was made. */
export function planRewrites(
  files: readonly LiveFile[],
  settings: RewriteSettings,
  ageMs: (snapshotId: bigint) => number,
  hasVectors: boolean,
): readonly RewriteGroup[] {
  const scope = new DeleteScope(files);
  const isBurdened = (file: LiveFile, deletes: readonly LiveFile[]): boolean =>
    hasVectors ? isHollow(file, deletes, settings) : burdened(file, deletes, settings);
  const partitions = new Map<string, LiveFile[]>();
  for (const file of files) {
    const { entry } = file;
    if (entry.content !== "data" || entry.file.format !== "PARQUET") continue;
    const key = partitionKey(file);
    partitions.set(key, [...(partitions.get(key) ?? []), file]);
  }
  return [...partitions.values()]
    .flatMap((partition) => groupsOf(partition, { scope, settings, ageMs, isBurdened }))
    .filter(({ deletes }) => rowsOf(deletes) <= settings.deleteRowsMax)
    .sort((a, b) => rowsOf(b.deletes) - rowsOf(a.deletes) || b.inputs.length - a.inputs.length);
}

function groupsOf(
  partition: readonly LiveFile[],
  rules: {
    readonly scope: DeleteScope;
    readonly settings: RewriteSettings;
    readonly ageMs: (snapshotId: bigint) => number;
    readonly isBurdened: (file: LiveFile, deletes: readonly LiveFile[]) => boolean;
  },
): readonly RewriteGroup[] {
  const { scope, settings, ageMs } = rules;
  const oldestFirst = partition
    .filter(({ entry }) => entry.file.bytes <= settings.inputBytesMax)
    .sort(
      (a, b) => a.entry.sequenceNumber - b.entry.sequenceNumber || (a.entry.file.path < b.entry.file.path ? -1 : 1),
    );
  const deletesOf = new Map(oldestFirst.map((file) => [file, scope.of(file)]));
  const isBurdened = (file: LiveFile): boolean => rules.isBurdened(file, deletesOf.get(file) ?? []);
  const isSmall = ({ entry }: LiveFile): boolean => entry.file.bytes < settings.targetBytes * settings.smallRatio;
  const isQuiet = partition.every(({ entry }) => ageMs(entry.snapshotId) > settings.quietMs);
  const bins = packed(
    oldestFirst.filter((file) => isSmall(file) || isBurdened(file)),
    settings.targetBytes,
  );
  return bins
    .map((bin, index) => {
      const isGrowing = index === bins.length - 1 && !isQuiet;
      return isGrowing ? worthNow(bin, isBurdened, settings) : bin;
    })
    .filter((bin) => bin.length > 1 || bin.some(isBurdened))
    .map((inputs) => {
      const deletes = [...new Set(inputs.flatMap((file) => deletesOf.get(file) ?? []))];
      return { specId: (inputs[0] as LiveFile).spec["spec-id"], inputs, deletes };
    });
}

/** Bins up to the target, in order; a file that is larger has one of its own. */
function packed(oldestFirst: readonly LiveFile[], targetBytes: number): readonly (readonly LiveFile[])[] {
  const bins: LiveFile[][] = [];
  let bytes = 0;
  for (const file of oldestFirst) {
    const bin = bins.at(-1);
    if (bin === undefined || bytes + file.entry.file.bytes > targetBytes) {
      bins.push([file]);
      bytes = file.entry.file.bytes;
    } else {
      bin.push(file);
      bytes += file.entry.file.bytes;
    }
  }
  return bins;
}

/** What of a bin that still grows is written now. */
function worthNow(
  bin: readonly LiveFile[],
  isBurdened: (file: LiveFile) => boolean,
  settings: RewriteSettings,
): readonly LiveFile[] {
  let from = 0;
  let after = bin.reduce((sum, { entry }) => sum + entry.file.bytes, 0);
  for (; from < bin.length; from += 1) {
    const file = bin[from] as LiveFile;
    after -= file.entry.file.bytes;
    if (file.entry.file.bytes <= after || isBurdened(file)) break;
  }
  const rest = bin.slice(from);
  return rest.length >= settings.filesMin ? rest : bin.filter(isBurdened);
}

/** Whether these deletes cost readers of the file enough to be resolved. */
export function burdened(file: LiveFile, deletes: readonly LiveFile[], settings: RewriteSettings): boolean {
  if (deletes.length >= settings.deleteFilesMin) return true;
  return deletes.length > 0 && rowsOf(deletes) >= file.entry.file.recordCount * settings.deletedRatioMin;
}

/** Whether a vector has taken many of the file's rows. */
function isHollow(file: LiveFile, deletes: readonly LiveFile[], settings: RewriteSettings): boolean {
  const taken = rowsOf(deletes.filter(({ entry }) => entry.vector !== null));
  return taken > 0 && taken >= file.entry.file.recordCount * settings.deletedRatioMin;
}

export function rowsOf(files: readonly LiveFile[]): number {
  return files.reduce((sum, { entry }) => sum + entry.file.recordCount, 0);
}
