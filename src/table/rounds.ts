/**
 * Rounds of translated records, planned: which ranges come next, which pending rounds make the next commit, and the mark
 * that a commit leaves in the table. Pure.
 *
 *   logStart ── committedTo ── translatedTo ── LSO ── high watermark
 *               in the table |  pending     | next round
 */
import { assert, CorruptData } from "../base/errors.ts";
import type { Offset, Seq, Uuid } from "../base/ids.ts";
import type { TableRange } from "../metadata/events.ts";
import type { PendingRound } from "../metadata/image.ts";
import { isJsonObject, type Json, parseJson, renderJson } from "./iceberg/json.ts";

/** Table property and key of the snapshot summary: what of our log the table holds. */
export const markName = "inlet.committed";

/** Written with every commit of ours, as property and in the summary, in one atomic update. */
export interface CommitMark {
  readonly cluster: Uuid;
  readonly table: Uuid;
  readonly generation: number;
  /** Seq at which the committer took the table: a greater one stops every smaller one. */
  readonly epoch: Seq;
  /** Seq of the newest round included: all rounds up to it are in the table, none after it. */
  readonly seq: Seq;
  /** The next offset of every partition; a URI of them when they are too many for the metadata. */
  readonly offsets: ReadonlyMap<number, Offset> | string;
  /** What the newest commit with rows wrote, told from its files' bounds: lets its rows be recognised. */
  readonly wrote: readonly Trace[];
}

/** Some file held rows of partitions [from, to], and a row with this offset as its greatest. */
export interface Trace {
  readonly from: number;
  readonly to: number;
  readonly offset: number;
}

export function renderMark(mark: CommitMark): string {
  const { offsets } = mark;
  const vector = typeof offsets === "string" ? { "offsets-file": offsets } : { offsets: Object.fromEntries(offsets) };
  const { cluster, table, generation, epoch, seq } = mark;
  return renderJson({ cluster, table, generation, epoch, seq, ...vector, wrote: mark.wrote });
}

/** undefined when the text is not ours or was tampered with. */
export function parseMark(text: string): CommitMark | undefined {
  const json = parsed(text);
  if (!isJsonObject(json)) return undefined;
  const { cluster, table, generation, epoch, seq } = json;
  const offsets = typeof json["offsets-file"] === "string" ? json["offsets-file"] : offsetsOf(json["offsets"]);
  const wrote = tracesOf(json["wrote"]);
  if (typeof cluster !== "string" || typeof table !== "string") return undefined;
  if (typeof generation !== "number" || typeof epoch !== "number" || typeof seq !== "number") return undefined;
  if (offsets === undefined || wrote === undefined) return undefined;
  return {
    cluster: cluster as Uuid,
    table: table as Uuid,
    generation,
    epoch: epoch as Seq,
    seq: seq as Seq,
    offsets,
    wrote,
  };
}

/** The oldest pending rounds after `since`, in order: a prefix, never a selection. */
export function planCommit(
  pending: readonly PendingRound[],
  since: Seq,
  limits: { readonly roundsMax: number },
): readonly PendingRound[] {
  const rounds = pending.filter((round) => round.seq > since).slice(0, limits.roundsMax);
  for (const [index, round] of rounds.entries()) {
    const before = rounds[index - 1];
    assert(before === undefined || before.seq < round.seq, "pending rounds stand in the order of the log");
  }
  return rounds;
}

/** Offsets of all partitions when these rounds are in the table too. */
export function offsetsAfter(
  committedTo: ReadonlyMap<number, Offset>,
  rounds: readonly PendingRound[],
): ReadonlyMap<number, Offset> {
  const offsets = new Map(committedTo);
  for (const range of rounds.flatMap((round) => (round.lane === liveLane ? round.ranges : []))) {
    const present = offsets.get(range.partition) ?? (0 as Offset);
    if (range.to > present) offsets.set(range.partition, range.to);
  }
  return new Map([...offsets].sort(([a], [b]) => a - b));
}

export const liveLane = "live";
/** Of dead letters that became rows later. */
export const replayLane = "replay";

export interface PartitionView {
  readonly partition: number;
  readonly logStart: Offset;
  readonly lastStable: Offset;
}

export interface NextRange {
  readonly partition: number;
  /** Where the round's range begins: the end of the range before it, though the log may begin later. */
  readonly from: Offset;
  /** Where reading begins; records between were deleted before they could be translated, and count as skips. */
  readonly readFrom: Offset;
  readonly to: Offset;
}

/** What each partition has to translate. Partitions without news are left out. */
export function nextRanges(
  translatedTo: ReadonlyMap<number, Offset>,
  partitions: readonly PartitionView[],
): readonly NextRange[] {
  return partitions.flatMap(({ partition, logStart, lastStable }) => {
    const from = translatedTo.get(partition) ?? logStart; // What was gone before the table began is not its loss.
    // DeleteRecords wins over translation, and may leave nothing to read.
    const to = Math.max(lastStable, logStart) as Offset;
    const readFrom = Math.max(from, logStart) as Offset;
    return to > from ? [{ partition, from, readFrom, to }] : [];
  });
}

/** The range as it goes into the log: every offset is a row, a dead letter or a skip (invariant M1). */
export function tableRange(
  range: { readonly partition: number; readonly from: Offset; readonly to: Offset },
  counted: {
    readonly rows: number;
    readonly deadLetters: number;
  },
): TableRange {
  const skips = range.to - range.from - counted.rows - counted.deadLetters;
  assert(skips >= 0, "no more rows than offsets");
  return { partition: range.partition, from: range.from, to: range.to, skips };
}

/** Says where a lane is, and brings nothing. */
export function emptyRound(table: Uuid, generation: number, lane: string, ranges: readonly TableRange[]) {
  const nothing = { schemaId: 0, specId: 0, mappingVersion: 0, main: null, deadLetters: null, deletes: null };
  return { kind: "add-table-round", table, generation, lane, ranges, ...nothing } as const;
}

export function emptyRange(partition: number, at: Offset): TableRange {
  return { partition, from: at, to: at, skips: 0 };
}

function parsed(text: string): Json {
  try {
    return parseJson(text, markName);
  } catch (cause) {
    if (cause instanceof CorruptData) return null;
    throw cause;
  }
}

function offsetsOf(json: Json | undefined): ReadonlyMap<number, Offset> | undefined {
  if (!isJsonObject(json)) return undefined;
  const entries = Object.entries(json);
  if (entries.some(([key, value]) => !/^\d+$/.test(key) || typeof value !== "number")) return undefined;
  return new Map(entries.map(([key, value]) => [Number(key), value as Offset]));
}

function tracesOf(json: Json | undefined): readonly Trace[] | undefined {
  if (!Array.isArray(json)) return undefined;
  const traces = json as readonly Json[];
  const isTrace = (trace: Json): boolean =>
    isJsonObject(trace) && ["from", "to", "offset"].every((name) => typeof trace[name] === "number");
  return traces.every(isTrace) ? (traces as unknown as readonly Trace[]) : undefined;
}
