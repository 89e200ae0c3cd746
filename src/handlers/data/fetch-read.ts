/** Reads the partitions of one fetch, in request order and within its limits. */
import type { ErrorName } from "../../../schemas/kafka/errors.ts";
import { OperationFailed } from "../../base/errors.ts";
import type { Offset } from "../../base/ids.ts";
import type { Isolation, Partition, PartitionReadResult } from "../../log/log.ts";
import type { LeaderHint } from "../handler.ts";
import type { FetchedPartition } from "./fetch-session.ts";

/** What a fetch position turned out to be: readable, or an error with perhaps the node to turn to. */
export type Found = Partition | { readonly error: ErrorName; readonly hint: LeaderHint | undefined };

export interface FetchAnswer {
  readonly error: ErrorName | undefined;
  readonly hint: LeaderHint | undefined;
  readonly diverging: { readonly epoch: number; readonly endOffset: number } | undefined;
  readonly batches: readonly Uint8Array[];
  readonly bytes: number;
  readonly aborted: readonly { readonly producerId: number; readonly firstOffset: number }[];
  /** -1, like the next two, with an error. */
  readonly highWatermark: number;
  readonly lastStable: number;
  readonly logStart: number;
}

export interface ReadLimits {
  readonly isolation: Isolation;
  readonly bytesMax: number;
  /** Disposed of when the answer is sent. */
  readonly borrow: DisposableStack | undefined;
}

/** Whether the position is answered with an epoch or an error, not with bytes. */
export function diverges(partition: Partition, wanted: FetchedPartition): boolean {
  return divergence(partition, wanted) !== undefined;
}

/**
 * One answer a partition, in order. Partitions whose limits fit into what is left of the response are read side by side;
 * the first batch found is returned whatever its size, so that a consumer is never stuck (KIP-74).
 */
export async function readAll(
  wanted: readonly FetchedPartition[],
  found: readonly Found[],
  limits: ReadLimits,
): Promise<readonly FetchAnswer[]> {
  const answers: FetchAnswer[] = [];
  let bytesLeft = limits.bytesMax;
  let isEmpty = true;
  while (answers.length < wanted.length) {
    const from = answers.length;
    const to = groupEnd(wanted, from, bytesLeft);
    const mayExceed = isEmpty; // Until something was found, any of the group may turn out to be the first.
    const reads = found
      .slice(from, to)
      .map((each, at) => readOne(wanted[from + at] as FetchedPartition, each, limits, bytesLeft, mayExceed));
    for (const [at, read] of (await Promise.all(reads)).entries()) {
      const limit = Math.min((wanted[from + at] as FetchedPartition).bytesMax, bytesLeft);
      const answer = !isEmpty && read.bytes > limit ? { ...read, batches: [], bytes: 0, aborted: [] } : read;
      if (answer.bytes > 0) isEmpty = false;
      bytesLeft -= answer.bytes;
      answers.push(answer);
    }
  }
  return answers;
}

/** The partitions from `from` on that can be read side by side without exceeding what is left; at least one. */
function groupEnd(wanted: readonly FetchedPartition[], from: number, bytesLeft: number): number {
  let to = from + 1;
  let bytes = (wanted[from] as FetchedPartition).bytesMax;
  while (to < wanted.length) {
    bytes += (wanted[to] as FetchedPartition).bytesMax;
    // With nothing left, what remains is asked for its offsets only.
    if (bytes > bytesLeft && bytesLeft > 0) break;
    to += 1;
  }
  return to;
}

async function readOne(
  wanted: FetchedPartition,
  found: Found,
  limits: ReadLimits,
  bytesLeft: number,
  mayExceed: boolean,
): Promise<FetchAnswer> {
  if ("error" in found) return failed(found.error, found.hint);
  const diverging = divergence(found, wanted);
  if (diverging === "unknown") return failed("OFFSET_OUT_OF_RANGE", undefined);
  if (diverging !== undefined) return { ...empty(found), diverging };
  const request = {
    from: wanted.fetchOffset as Offset,
    bytesMax: Math.max(0, Math.min(wanted.bytesMax, bytesLeft)),
    atLeastOne: mayExceed,
    isolation: limits.isolation,
    borrow: limits.borrow,
  };
  try {
    return answerOf(await found.read(request));
  } catch (cause) {
    // The storage has reported it. This partition alone is answered so; consumers ask again, and skip nothing.
    if (!(cause instanceof OperationFailed)) throw cause;
    return failed("KAFKA_STORAGE_ERROR", undefined);
  }
}

function answerOf(result: PartitionReadResult): FetchAnswer {
  switch (result.kind) {
    case "closed":
      return failed("NOT_LEADER_OR_FOLLOWER", undefined);
    case "out-of-range":
      return failed("OFFSET_OUT_OF_RANGE", undefined);
    case "batches":
      return { ...result, error: undefined, hint: undefined, diverging: undefined };
  }
}

/** KIP-595: the client's last epoch ended before the position that it asks for, so its copy is not this log's. */
function divergence(
  partition: Partition,
  wanted: FetchedPartition,
): { readonly epoch: number; readonly endOffset: number } | "unknown" | undefined {
  if (wanted.lastFetchedEpoch < 0) return undefined;
  const end = partition.endOfEpoch(wanted.lastFetchedEpoch);
  if (end === undefined) return "unknown";
  return end.epoch < wanted.lastFetchedEpoch || end.endOffset < wanted.fetchOffset ? end : undefined;
}

function empty(partition: Partition): FetchAnswer {
  const { highWatermark, lastStable, logStart } = partition;
  return { ...failed(undefined, undefined), highWatermark, lastStable, logStart };
}

function failed(error: ErrorName | undefined, hint: LeaderHint | undefined): FetchAnswer {
  return {
    error,
    hint,
    diverging: undefined,
    batches: [],
    bytes: 0,
    aborted: [],
    highWatermark: -1,
    lastStable: -1,
    logStart: -1,
  };
}
