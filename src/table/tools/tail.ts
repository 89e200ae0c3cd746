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
import type { Round, RoundResult, Translator } from "../translate/translate.ts";

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
  const ranges = openRanges(table, deps.log);
  const translated = await translateRanges({ ...table, specOf: () => unpartitioned }, ranges, {
    ...deps,
    beyondLimit: "refuse",
  });
  const { files, rows } = translated.result;
  return { mapping: translated.mapping, files: files.map(({ bytes }) => bytes), rows, ranges };
}

export interface Translated {
  readonly mapping: TableMapping;
  readonly result: RoundResult;
  /** Bytes of record batches. */
  readonly bytes: number;
  /** How far each range was read. */
  readonly ranges: readonly TailRange[];
}

/** Until the mapping knows everything that the records ask for. "stop": each range ends where its share of the limit does. */
export async function translateRanges(
  table: {
    readonly topicId: Uuid;
    readonly settings: TableSettings;
    readonly mapping: TableMapping;
    readonly specOf: (mapping: TableMapping) => PartitionSpec;
  },
  ranges: readonly TailRange[],
  deps: TailDeps & { readonly beyondLimit: "refuse" | "stop" },
): Promise<Translated> {
  let { mapping } = table;
  for (let turn = 0; turn < turnsMax; turn += 1) {
    const plan = { mapping, spec: table.specOf(mapping), settings: table.settings };
    await using round = deps.translator.beginRound({ ...plan, targetFileBytes: Number.POSITIVE_INFINITY });
    const added = await addAll(round, table.topicId, ranges, deps);
    if (added.kind === "added") return { ...added, mapping, result: await round.finish() };
    for (const source of added.sources) mapping = evolve(mapping, source, table.settings).mapping;
  }
  throw refusal("the schema of its records does not come to fit");
}

const unpartitioned: PartitionSpec = { "spec-id": 0, fields: [] };

/** Behind what is committed, or from the log's start, up to what is stable. */
export function openRanges(
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

type Added =
  | { readonly kind: "added"; readonly bytes: number; readonly ranges: readonly TailRange[] }
  | { readonly kind: "needs-schema"; readonly sources: readonly MappingSource[] };

async function addAll(
  round: Round,
  topicId: Uuid,
  ranges: readonly TailRange[],
  { log, limits, beyondLimit }: Parameters<typeof translateRanges>[2],
): Promise<Added> {
  const mayStop = beyondLimit === "stop";
  const shareMax = mayStop ? limits.tailBytesMax / ranges.length : limits.tailBytesMax;
  const read: TailRange[] = [];
  let bytes = 0;
  for (const { partition, from, to } of ranges) {
    let share = mayStop ? 0 : bytes;
    let at = from;
    while (at < to && share < shareMax) {
      const lookup = log.partition(topicId, partition);
      if (lookup.kind !== "here") throw refusal(`partition ${partition} has left this broker`);
      const request = { from: at as Offset, bytesMax: limits.readBytesMax, atLeastOne: true } as const;
      const found = await lookup.partition.read({ ...request, isolation: "read-committed" });
      if (found.kind !== "batches" || found.next <= at) throw refusal(`partition ${partition} cannot be read at ${at}`);
      const { batches, aborted } = found;
      const next = Math.min(found.next, to);
      const added = await round.add({ partition, batches, aborted, from: at, to: next });
      if (added.kind === "needs-schema") return added;
      if (added.kind === "bad-record")
        throw refusal(`partition ${partition} offset ${added.offset}: ${added.reason}: ${added.detail}`);
      at = next;
      bytes += found.bytes;
      share += found.bytes;
    }
    if (at < to && !mayStop)
      throw refusal("too much is not yet committed to read it all: inlet table flush commits it");
    read.push({ partition, from, to: at });
  }
  return { kind: "added", bytes, ranges: read };
}

function refusal(reason: string): OperationFailed {
  return new OperationFailed(reason, { happened: "no" });
}
