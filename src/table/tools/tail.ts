/**
 * The end of a topic that its table does not hold yet, translated as the next commit will translate it, and kept nowhere:
 * for readers that want it now. Columns that its records ask for are there, though the table has not got them yet.
 */
import { OperationFailed } from "../../base/errors.ts";
import type { Offset, Uuid } from "../../base/ids.ts";
import type { Log } from "../../log/log.ts";
import type { PartitionSpec } from "../iceberg/types.ts";
import { evolve, type MappingSource, type TableMapping } from "../schema/schema-map.ts";
import type { TableSettings } from "../settings.ts";
import type { Round, Translator } from "../translate/translate.ts";

export interface TailRange {
  readonly partition: number;
  readonly from: number;
  /** The last stable offset. */
  readonly to: number;
}

export interface Tail {
  /** The table's, with what the tail added. */
  readonly mapping: TableMapping;
  /** Parquet. */
  readonly files: readonly Uint8Array[];
  readonly rows: number;
  readonly ranges: readonly TailRange[];
}

export interface TailDeps {
  readonly log: Log;
  readonly translator: Translator;
  readonly limits: { readonly readBytesMax: number; readonly tailBytesMax: number };
}

/** Each turn knows one question of the records more; schemas of one tail are few. */
const turnsMax = 100;

/** `committed`: the next offset of each partition, as the snapshot that is read says it. Throws OperationFailed. */
export async function translateTail(
  table: {
    readonly topicId: Uuid;
    readonly partitions: number;
    readonly settings: TableSettings;
    readonly mapping: TableMapping;
    readonly committed: ReadonlyMap<number, number>;
  },
  deps: TailDeps,
): Promise<Tail> {
  const ranges = rangesOf(table, deps.log);
  let { mapping } = table;
  for (let turn = 0; turn < turnsMax; turn += 1) {
    const plan = { mapping, spec: unpartitioned, settings: table.settings, targetFileBytes: Number.POSITIVE_INFINITY };
    await using round = deps.translator.beginRound(plan);
    const sources = await addAll(round, table.topicId, ranges, deps);
    if (sources === undefined) {
      const { files, rows } = await round.finish();
      return { mapping, files: files.map(({ bytes }) => bytes), rows, ranges };
    }
    for (const source of sources) mapping = evolve(mapping, source, table.settings).mapping;
  }
  throw refusal("the schema of its end does not come to fit");
}

const unpartitioned: PartitionSpec = { "spec-id": 0, fields: [] };

function rangesOf(
  table: { readonly topicId: Uuid; readonly partitions: number; readonly committed: ReadonlyMap<number, number> },
  log: Log,
): readonly TailRange[] {
  return Array.from({ length: table.partitions }, (_, partition) => {
    const lookup = log.partition(table.topicId, partition);
    if (lookup.kind !== "here") throw refusal(`partition ${partition} is not here: ask the broker that has it`);
    const { logStart, lastStable } = lookup.partition;
    return { partition, from: Math.max(table.committed.get(partition) ?? 0, logStart), to: lastStable };
  }).filter(({ from, to }) => from < to);
}

/** What the mapping lacks; undefined when everything was added. */
async function addAll(
  round: Round,
  topicId: Uuid,
  ranges: readonly TailRange[],
  { log, limits }: TailDeps,
): Promise<readonly MappingSource[] | undefined> {
  let bytesLeft = limits.tailBytesMax;
  for (const { partition, from, to } of ranges) {
    for (let at = from; at < to; ) {
      const lookup = log.partition(topicId, partition);
      if (lookup.kind !== "here") throw refusal(`partition ${partition} has left this broker`);
      const request = { from: at as Offset, bytesMax: limits.readBytesMax, atLeastOne: true } as const;
      const read = await lookup.partition.read({ ...request, isolation: "read-committed" });
      if (read.kind !== "batches" || read.next <= at) throw refusal(`partition ${partition} cannot be read at ${at}`);
      bytesLeft -= read.bytes;
      if (bytesLeft < 0)
        throw refusal("too much is not yet committed to read it all: commit first (inlet table flush)");
      const next = Math.min(read.next, to);
      const added = await round.add({ partition, batches: read.batches, aborted: read.aborted, from: at, to: next });
      if (added.kind === "needs-schema") return added.sources;
      if (added.kind === "bad-record")
        throw refusal(`partition ${partition} offset ${added.offset}: ${added.reason}: ${added.detail}`);
      at = next;
    }
  }
  return undefined;
}

function refusal(reason: string): OperationFailed {
  return new OperationFailed(reason, { happened: "no" });
}
