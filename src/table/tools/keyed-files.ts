/**
 * Files of a table with a key as verification reads them: data files, deletes by the row's key, which a key table takes, and
 * all other deletes (positions, vectors, keys of other columns), which are few and are held in memory for the files that
 * they reach.
 */
import { OperationFailed } from "../../base/errors.ts";
import { type LiveFile, LiveManifests, liveFiles } from "../commit/live-entries.ts";
import { currentSchema } from "../commit/table-creation.ts";
import { manifestsOf } from "../commit/table-files.ts";
import type { TableMetadata } from "../iceberg/metadata.ts";
import { DeleteFilter } from "../maintenance/delete-filter.ts";
import { DeleteScope, isGlobal } from "../maintenance/delete-scope.ts";
import { canonicalUri, type Warehouse } from "../warehouse.ts";
import type { Finding } from "./verify-report.ts";

/** Rows of deletes that are not by the row's key; some 100 bytes each in memory. */
const otherDeleteRowsMax = 2_000_000;

export interface KeyedFiles {
  readonly data: readonly LiveFile[];
  /** Equality deletes on the row's key, of all partitions. */
  readonly keyDeletes: readonly LiveFile[];
  /** What else takes rows of a data file. */
  filterOf(data: LiveFile): Promise<DeleteFilter>;
}

export async function keyedFiles(
  metadata: TableMetadata,
  keyIds: readonly number[],
  deps: { readonly warehouse: Warehouse; readonly say: (finding: Finding) => void },
): Promise<KeyedFiles> {
  const { warehouse } = deps;
  const snapshot = metadata.snapshots.find((each) => each["snapshot-id"] === metadata["current-snapshot-id"]);
  const manifests = await new LiveManifests(warehouse).of(metadata, await manifestsOf(warehouse, snapshot));
  const live = liveFiles(manifests);
  const key = sortedIds(keyIds);
  const isKeyDelete = (file: LiveFile): boolean => isGlobal(file) && sortedIds(file.entry.equalityIds ?? []) === key;
  const others = live.filter((file) => file.entry.content !== "data" && !isKeyDelete(file));
  const rows = others.reduce((sum, { entry }) => sum + entry.file.recordCount, 0);
  if (rows > otherDeleteRowsMax) {
    const reason = `${rows} rows of deletes by position or by other columns are in force, more than ${otherDeleteRowsMax}: rewrite the table's files first`;
    throw new OperationFailed(reason, { happened: "no" });
  }
  const scope = new DeleteScope(others);
  let last: { readonly deletes: readonly LiveFile[]; readonly filter: DeleteFilter } | undefined;
  return {
    data: onceEach(
      live.filter(({ entry }) => entry.content === "data"),
      deps.say,
    ),
    keyDeletes: live.filter(isKeyDelete),
    filterOf: async (data) => {
      const deletes = scope.of(data);
      // Neighbours often share theirs; a filter is thrown away rather than grown without bound.
      if (last === undefined || !isSame(last.deletes, deletes) || deletes.some(({ entry }) => entry.vector !== null)) {
        const filter = new DeleteFilter(currentSchema(metadata));
        for (const remove of deletes) filter.add(await deleteInput(remove, data, warehouse));
        last = { deletes, filter };
      }
      return last.filter;
    },
  };
}

async function deleteInput({ entry }: LiveFile, data: LiveFile, warehouse: Warehouse) {
  const { content, sequenceNumber: sequence, equalityIds, referencedDataFile: dataFile, vector, file } = entry;
  const { path } = file;
  if (vector !== null && dataFile !== null) {
    const bytes = await warehouse.readRange(path, { start: vector.offset, end: vector.offset + vector.bytes });
    return { kind: "deletion-vector", path, bytes, dataFile, rows: data.entry.file.recordCount } as const;
  }
  if (content === "data" || file.format !== "PARQUET")
    throw new OperationFailed(`deletes in ${path} are ${file.format}, which is not read here`, { happened: "no" });
  return { kind: content, path, bytes: await warehouse.read(path), sequence, equalityIds: equalityIds ?? [] };
}

function onceEach(files: readonly LiveFile[], say: (finding: Finding) => void): readonly LiveFile[] {
  const once = new Map<string, LiveFile>();
  for (const file of files) {
    const path = canonicalUri(file.entry.file.path);
    if (!once.has(path)) once.set(path, file);
    else {
      const detail = "the file is listed more than once: its rows are read more than once";
      say({ kind: "path-twice", where: path, detail, sample: [] });
    }
  }
  return [...once.values()];
}

function sortedIds(ids: readonly number[]): string {
  return [...ids].sort((a, b) => a - b).join();
}

function isSame(one: readonly LiveFile[], other: readonly LiveFile[]): boolean {
  return one.length === other.length && one.every((file, at) => file === other[at]);
}
